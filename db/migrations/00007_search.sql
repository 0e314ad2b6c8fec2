-- +goose Up

-- What messages are found by (package search), and the orders in which a search
-- goes back in time: over everything, in one room, and over the few messages
-- that have something. See Store.Search.
--
-- New terms wait in the GIN index's list of what is pending, which costs a post
-- a tenth of sorting them in at once; the program has them sorted in behind
-- everybody's back (Store.TidySearch), before a post has to.
create index messages_terms on messages using gin (terms) with (fastupdate = on);
create index messages_said on messages (said_at, room_id, seq);
create index messages_said_in_room on messages (room_id, said_at, seq);
create index messages_with_files on messages (said_at, room_id, seq) where files > 0;
create index messages_with_mentions on messages (said_at, room_id, seq) where mentioned is not null;
create index messages_with_parent on messages (said_at, room_id, seq) where parent_seq is not null;
create index messages_with_reactions on messages (said_at, room_id, seq) where reactions > 0;
create index messages_with_pin on messages (said_at, room_id, seq) where pinned_at is not null;

-- Messages from before there was a search. It is empty when all have terms.
create index messages_without_terms on messages (room_id, seq) where terms is null and deleted_at is null;

-- What a person looked for lately.
create table searches (
    person_id   bigint not null references people,
    query       text not null,
    searched_at timestamptz not null,
    primary key (person_id, query)
);

-- +goose Down
drop table searches;
drop index messages_terms, messages_said, messages_said_in_room, messages_with_files, messages_with_mentions,
    messages_with_parent, messages_with_reactions, messages_with_pin, messages_without_terms;
