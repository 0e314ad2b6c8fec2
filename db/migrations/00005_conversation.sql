-- +goose Up

-- A random name that the folder of files holds, too: so a node knows whether it
-- has the same folder as the others. Null: no node has made one yet.
alter table house add files_marker text;

alter table people add status text not null default '';

alter table rooms add previews boolean not null default true; -- of links

-- A membership is what one person has to do with one room. It is made by the
-- first message, or by the first thing there is to remember.
alter table memberships
    add level        text not null default 'all' check (level in ('all', 'mentions', 'none', 'hidden')),
    -- Read up to this message; the ordinal makes unread a subtraction.
    add read_seq     bigint not null default 0,
    add read_ordinal bigint not null default 0,
    -- What is typed and not sent.
    add draft        text not null default '',
    add draft_at     timestamptz;

alter table messages
    add emote      boolean not null default false,  -- said by /me
    add version    integer not null default 1,      -- counts the texts it had
    add parent_seq bigint,                          -- the message it answers
    add thread_seq bigint,                          -- the one that the thread began with
    add quotes     integer not null default 0,      -- messages that answer this one
    add replies    integer not null default 0,      -- messages in the thread that began here
    -- People that the text names: in it each is \x0E, the id, \x0F (chat.Mention).
    add mentioned  bigint[],
    add reactions  integer not null default 0,      -- rows below, so that nobody looks for none
    add files      integer not null default 0,
    add previews   integer not null default 0,
    add pinned_at  timestamptz,
    add pinned_by  bigint references people,
    add terms      tsvector;                        -- made by the program (package search)
create index messages_thread on messages (room_id, thread_seq, seq) where thread_seq is not null;
create index messages_pinned on messages (room_id, pinned_at) where pinned_at is not null;

-- The texts that a message had before it was edited.
create table message_versions (
    room_id    bigint not null,
    seq        bigint not null,
    version    integer not null,
    body       text not null,
    mentioned  bigint[],
    written_at timestamptz not null,
    primary key (room_id, seq, version)
);

create table reactions (
    id         bigint generated always as identity, -- the order in which they came
    room_id    bigint not null,
    seq        bigint not null,
    emoji      text not null,
    person_id  bigint not null references people,
    reacted_at timestamptz not null,
    primary key (room_id, seq, emoji, person_id)
);
create index on reactions (person_id);

-- What wants somebody's attention: one row per person and message.
create table mentions (
    person_id bigint not null references people,
    room_id   bigint not null,
    seq       bigint not null,
    reason    text not null check (reason in ('mention', 'here', 'reply')),
    said_at   timestamptz not null,
    primary key (person_id, room_id, seq)
);
create index mentions_message on mentions (room_id, seq);
create index mentions_inbox on mentions (person_id, said_at desc, room_id, seq);

create table files (
    id          bigint generated always as identity primary key,
    room_id     bigint not null references rooms,
    owner_id    bigint not null references people,
    seq         bigint,                 -- of the message it belongs to; null: not sent yet
    n           integer not null default 0, -- its place in the message
    digest      text not null,          -- SHA-256, in hex: where its bytes are
    name        text not null,
    type        text not null,          -- as sniffed
    size        bigint not null,
    width       integer not null default 0, -- of a picture, as shown
    height      integer not null default 0,
    uploaded_at timestamptz not null
);
create index files_message on files (room_id, seq, n);
create index files_digest on files (digest);
create index files_owner on files (owner_id, uploaded_at);
create index files_waiting on files (uploaded_at) where seq is null;

-- What is known of an address that somebody linked to.
create table previews (
    id            bigint generated always as identity primary key,
    url_hash      bytea not null unique, -- SHA-256 of url
    url           text not null,
    site          text not null default '',
    title         text not null default '',
    description   text not null default '',
    image         bytea,
    image_type    text not null default '',
    image_width   integer not null default 0,
    image_height  integer not null default 0,
    claimed_until timestamptz,           -- a node is looking it up
    fetched_at    timestamptz,
    failed        boolean not null default false
);
create table message_previews (
    room_id    bigint not null,
    seq        bigint not null,
    n          integer not null,
    preview_id bigint not null references previews,
    primary key (room_id, seq, n)
);
create index on message_previews (preview_id);

-- Messages that people keep for themselves.
create table saved (
    person_id bigint not null references people,
    room_id   bigint not null,
    seq       bigint not null,
    saved_at  timestamptz not null,
    primary key (person_id, room_id, seq)
);
create index saved_list on saved (person_id, saved_at desc, room_id, seq);
create index saved_message on saved (room_id, seq);

-- say as in migration 00003, for messages with all that they may bring: see
-- db.Post. What belongs to a post beside its row comes in arrays of its own,
-- with the number of the post; mostly these are empty and cost nothing.
drop function say;
-- +goose StatementBegin
create function say(in_room bigint, at timestamptz, gap interval, authors bigint[], nonces uuid[], sums bytea[],
    bodies text[], emotes boolean[], parents bigint[], word_lists text[],
    mention_posts integer[], mention_people bigint[], mention_reasons text[], file_posts integer[], file_ids bigint[])
returns table (at_seq bigint, at_rev bigint, reused boolean) language plpgsql
-- Planning takes longer than running, so a plan is made once; and one that is
-- made while the tables are small must be good when they have grown.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    r record;
begin
    select rev, said, last_author_id, last_said_at,
           said = 0 or (last_said_at at time zone 'UTC')::date <> (at at time zone 'UTC')::date as new_day
    into r from rooms where id = in_room for no key update; -- not against who joins
    if not found then
        return;
    end if;

    return query
    with post as (
        select p.n, p.author_id, p.nonce, p.sum, p.body, p.emote, p.parent_seq, p.words,
               m.seq as known_seq, m.said_sum as known_sum, -- null once deleted: any text is taken for the first one
               row_number() over (partition by p.author_id, p.nonce order by p.n) as copy
        from unnest(authors, nonces, sums, bodies, emotes, parents, word_lists)
            with ordinality as p(author_id, nonce, sum, body, emote, parent_seq, words, n)
        left join lateral (
            select seq, said_sum from messages
            where author_id = p.author_id and nonce = p.nonce and room_id + 0 = in_room limit 1
        ) as m on true
    ), numbered as materialized (
        select *, known_seq is null and copy = 1 as fresh,
               count(*) filter (where known_seq is null and copy = 1) over (order by n) as i
        from post
    ), added as (
        insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, emote, parent_seq, thread_seq,
            terms, first, new_day, said_at)
        select in_room, r.rev + i, r.rev + i, r.said + i, author_id, nonce, sum, body, emote, parent_seq,
               (select coalesce(q.thread_seq, q.seq) from messages q where q.room_id = in_room and q.seq = numbered.parent_seq),
               words::tsvector,
               i = 1 and (r.new_day or at - r.last_said_at >= gap)
                   or author_id is distinct from lag(author_id, 1, r.last_author_id) over (order by n),
               i = 1 and r.new_day, at
        from numbered where fresh
    ), joined as ( -- who speaks has read what is above
        insert into memberships (room_id, person_id, read_seq, read_ordinal)
        select in_room, author_id, r.rev + max(i), r.said + max(i) from numbered where fresh group by author_id order by author_id
        on conflict (room_id, person_id) do update
        set read_seq = excluded.read_seq, read_ordinal = excluded.read_ordinal
    ), moved as (
        update rooms set rev = rev + newest.i, said = said + newest.i, last_seq = rev + newest.i,
               last_said_at = at, last_author_id = newest.author_id
        from (select i, author_id from numbered where fresh order by n desc limit 1) as newest
        where id = in_room
    )
    select coalesce(known_seq, r.rev + first_value(i) over same_nonce), r.rev + max(i) over (),
           coalesce(sum <> case when known_seq is null then first_value(sum) over same_nonce else known_sum end, false)
    from numbered
    window same_nonce as (partition by author_id, nonce order by n)
    order by n;

    if parents <> array_fill(null::bigint, array[cardinality(parents)]) then
        -- Those that are answered show it, under the number of the answer.
        with answer as (
            select seq, author_id, parent_seq, thread_seq from messages
            where room_id = in_room and seq > r.rev and parent_seq is not null
        ), answered as (
            select seq, count(*) filter (where quoted) as quotes, count(*) filter (where begun) as replies, max(by) as rev
            from (select parent_seq as seq, true as quoted, parent_seq = thread_seq as begun, seq as by from answer
                  union all
                  select thread_seq, false, true, seq from answer where thread_seq <> parent_seq) as each
            group by seq
        ), told as (
            update messages m set quotes = m.quotes + a.quotes, replies = m.replies + a.replies, rev = a.rev
            from answered a where m.room_id = in_room and m.seq = a.seq
        )
        insert into mentions (person_id, room_id, seq, reason, said_at)
        select q.author_id, in_room, answer.seq, 'reply', at
        from answer join messages q on q.room_id = in_room and q.seq = answer.parent_seq
        where q.author_id <> answer.author_id
        on conflict do nothing;
    end if;

    if cardinality(mention_posts) > 0 then
        with named as (
            select m.seq, m.author_id, x.person_id, x.reason
            from unnest(mention_posts, mention_people, mention_reasons) as x(n, person_id, reason)
            join messages m on m.author_id = authors[x.n] and m.nonce = nonces[x.n] and m.room_id + 0 = in_room
            where m.seq > r.rev
        ), shown as (
            update messages m set mentioned = p.people
            from (select seq, array_agg(distinct person_id) as people from named where reason = 'mention' group by seq) as p
            where m.room_id = in_room and m.seq = p.seq
        ), joined as (
            insert into memberships (room_id, person_id)
            select distinct in_room, person_id from named order by person_id on conflict do nothing
        )
        insert into mentions (person_id, room_id, seq, reason, said_at)
        select distinct on (person_id, seq) person_id, in_room, seq, reason, at from named
        where person_id <> author_id order by person_id, seq, reason = 'mention' desc
        on conflict (person_id, room_id, seq) do update set reason = excluded.reason where excluded.reason = 'mention';
    end if;

    if cardinality(file_posts) > 0 then
        with attached as (
            update files f set seq = m.seq, n = x.i
            from unnest(file_posts, file_ids) with ordinality as x(n, file_id, i)
            join messages m on m.author_id = authors[x.n] and m.nonce = nonces[x.n] and m.room_id + 0 = in_room
            where m.seq > r.rev and f.id = x.file_id and f.room_id = in_room and f.owner_id = m.author_id and f.seq is null
            returning f.seq
        )
        update messages m set files = a.files
        from (select seq, count(*) as files from attached group by seq) as a
        where m.room_id = in_room and m.seq = a.seq;
    end if;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function say;
drop table saved, message_previews, previews, files, mentions, reactions, message_versions;
alter table messages
    drop emote, drop version, drop parent_seq, drop thread_seq, drop quotes, drop replies, drop mentioned,
    drop reactions, drop files, drop previews, drop pinned_at, drop pinned_by, drop terms;
alter table memberships drop level, drop read_seq, drop read_ordinal, drop draft, drop draft_at;
alter table rooms drop previews;
alter table people drop status;
alter table house drop files_marker;
