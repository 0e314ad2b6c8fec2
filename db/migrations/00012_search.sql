-- +goose Up

-- Time is cut into stretches in which about as much was said, and each word that
-- a message is found by has its stretch in front, as in 12:deploy (package db,
-- terms.go). So a search looks a word up in the newest stretch first, and goes
-- on until its page is full: what is said often is found after little, however
-- much there is of it, and what is said rarely costs one look-up in a stretch.
create table stretches (
    n     integer primary key,
    since timestamptz not null unique -- up to the since of the next one
);
insert into stretches (n, since) values (0, '0001-01-01 UTC');
insert into stretches (n, since)
select row_number() over (order by said_at), said_at from (
    select said_at, row_number() over (order by said_at, room_id, seq) as i from messages) as m
where i % 10000 = 0 group by said_at;

-- The program makes the new words soon (Store.NoteTerms). Among them are names of
-- files and titles of previews, and marks of what needed an index of its own.
drop index messages_with_files, messages_with_mentions, messages_with_parent;
alter table messages drop column terms; -- and the indexes on it
alter table messages add terms tsvector;
create index messages_terms on messages using gin (terms) with (fastupdate = on);
create index messages_without_terms on messages (room_id, seq) where terms is null and deleted_at is null;

-- +goose Down
alter table messages drop column terms;
alter table messages add terms tsvector;
create index messages_terms on messages using gin (terms) with (fastupdate = on);
create index messages_without_terms on messages (room_id, seq) where terms is null and deleted_at is null;
create index messages_with_files on messages (said_at, room_id, seq) where files > 0;
create index messages_with_mentions on messages (said_at, room_id, seq) where mentioned is not null;
create index messages_with_parent on messages (said_at, room_id, seq) where parent_seq is not null;
drop table stretches;
