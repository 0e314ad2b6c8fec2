-- +goose Up

-- What was deleted behind somebody's read mark is counted when it is asked for:
-- it is little, and there is an index of it alone. So a deletion is written to
-- no membership, of which a room may have ten thousand; and known is how many of
-- a room's messages are not new to the person for their own sake: all up to the
-- read mark, and behind it their own, deleted or not.
create index messages_gone on messages (room_id, seq) include (author_id) where deleted_at is not null;
update memberships b set known = b.known - (
    select count(*) from messages m
    where m.room_id = b.room_id and m.seq > b.read_seq and m.deleted_at is not null and m.author_id <> b.person_id)
where b.known is not null;

-- move_mark as in migration 00013, but for what was deleted. Only who speaks
-- changes what is counted here, and waits for the membership; or has come before
-- and is seen: each statement sees what was committed when it began. Of more
-- than 10,000 messages behind the mark, which no page counts any more, one's own
-- among the first 10,000 are told apart.
-- +goose StatementBegin
create or replace function move_mark(in_room bigint, in_person bigint, up_to bigint, in_turn integer, back boolean, at timestamptz)
returns boolean language plpgsql
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    b memberships;
    mark_seq bigint;
    mark_ordinal bigint;
begin
    insert into memberships (room_id, person_id) values (in_room, in_person) on conflict do nothing;
    select * into b from memberships where room_id = in_room and person_id = in_person for update;
    select seq, ordinal into mark_seq, mark_ordinal from messages where room_id = in_room and seq <= up_to order by seq desc limit 1;
    mark_seq := coalesce(mark_seq, 0);
    if not back and (b.known is not null and b.read_seq > mark_seq or b.read_turn <> in_turn) then
        return false;
    end if;
    update memberships
    set read_seq = mark_seq, read_turn = read_turn + back::integer, read_at = case when back then coalesce(read_at, at) else at end,
        known = coalesce(mark_ordinal, 0) + (
            select count(*) from (
                select author_id from messages where room_id = in_room and seq > mark_seq order by seq limit 10000) as behind
            where author_id = in_person)
    where room_id = in_room and person_id = in_person;
    return back or b.known is null or b.read_seq < mark_seq;
end $$;
-- +goose StatementEnd

-- +goose Down
update memberships b set known = b.known + (
    select count(*) from messages m
    where m.room_id = b.room_id and m.seq > b.read_seq and m.deleted_at is not null and m.author_id <> b.person_id)
where b.known is not null;
drop index messages_gone;
-- +goose StatementBegin
create or replace function move_mark(in_room bigint, in_person bigint, up_to bigint, in_turn integer, back boolean, at timestamptz)
returns boolean language plpgsql
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    b memberships;
    mark_seq bigint;
    mark_ordinal bigint;
begin
    -- Who speaks in the room, or deletes what is behind the mark, waits for the
    -- membership, or has come before and is seen: each statement here sees what
    -- was committed when it began. Only a mark that is not there yet, or
    -- further on, nobody waits for; then it is for the room.
    if back or not exists (select from memberships where room_id = in_room and person_id = in_person and known is not null) then
        perform from rooms where id = in_room for share;
    end if;
    insert into memberships (room_id, person_id) values (in_room, in_person) on conflict do nothing;
    select * into b from memberships where room_id = in_room and person_id = in_person for update;
    select seq, ordinal into mark_seq, mark_ordinal from messages where room_id = in_room and seq <= up_to order by seq desc limit 1;
    mark_seq := coalesce(mark_seq, 0);
    if not back and (b.known is not null and b.read_seq > mark_seq or b.read_turn <> in_turn) then
        return false;
    end if;
    update memberships
    set read_seq = mark_seq, read_turn = read_turn + back::integer, read_at = case when back then coalesce(read_at, at) else at end,
        known = coalesce(mark_ordinal, 0) + (
            select count(*) from (
                select author_id, deleted_at from messages where room_id = in_room and seq > mark_seq order by seq limit 10000) as behind
            where author_id = in_person or deleted_at is not null)
    where room_id = in_room and person_id = in_person;
    return back or b.known is null or b.read_seq < mark_seq;
end $$;
-- +goose StatementEnd
