-- +goose Up

-- One row: what makes this database different from every other one.
create table house (
    only_row boolean primary key default true check (only_row),
    -- The first part of every cursor. A restored backup gets a new one, so
    -- that cursors from the lost future are recognised.
    epoch    text not null
);
insert into house (epoch) values (substr(replace(gen_random_uuid()::text, '-', ''), 1, 12));

-- Kept by scs; the columns are its own.
create table sessions (
    token  text primary key,
    data   bytea not null,
    expiry timestamptz not null
);
create index on sessions (expiry);

create table people (
    id         bigint generated always as identity primary key,
    nickname   text not null,
    -- Both are null once the nickname was released to somebody else; the
    -- person's old messages keep showing it.
    folded     text unique,
    skeleton   text unique,
    hue        smallint not null,
    held_until timestamptz not null,
    created_at timestamptz not null
);

create table rooms (
    id           bigint generated always as identity primary key,
    slug         text not null unique,
    name         text not null,
    topic        text not null default '',
    maker_id     bigint references people,
    rev          bigint not null default 0,
    about_rev    bigint not null default 0,
    said         bigint not null default 0,
    last_seq     bigint not null default 0,
    last_said_at timestamptz not null,
    created_at   timestamptz not null
);
create unique index rooms_name on rooms (lower(name));
create index rooms_activity on rooms (last_said_at desc, id);

-- Every slug a room ever had, so that old links keep leading to it.
create table room_slugs (
    slug    text primary key,
    room_id bigint not null references rooms
);
create index on room_slugs (room_id);

create table memberships (
    room_id   bigint not null references rooms,
    person_id bigint not null references people,
    -- The room's number of the person's latest change (of nickname); 0: none,
    -- the messages say it all.
    rev       bigint not null default 0,
    primary key (room_id, person_id)
);
create index on memberships (room_id, rev);
create index on memberships (person_id);

create table messages (
    room_id    bigint not null references rooms,
    seq        bigint not null,
    rev        bigint not null check (rev >= seq),
    ordinal    bigint not null,
    author_id  bigint not null references people,
    nonce      uuid not null,
    -- A digest of the text as it was first said, to tell a repeated post from
    -- another text under the same nonce; null once deleted.
    said_sum   bytea,
    body       text not null,
    first      boolean not null,
    new_day    boolean not null,
    said_at    timestamptz not null,
    edited_at  timestamptz,
    deleted_at timestamptz,
    primary key (room_id, seq),
    unique (room_id, author_id, nonce)
);
create index messages_rev on messages (room_id, rev);

insert into rooms (slug, name, topic, last_said_at, created_at)
values ('parlor', 'Parlor', 'Everyone meets here first. 大家先在这里碰面。', now(), now());
insert into room_slugs select slug, id from rooms;

-- +goose Down
drop table messages, memberships, room_slugs, rooms, people, sessions, house;
