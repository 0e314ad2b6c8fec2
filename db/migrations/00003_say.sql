-- +goose Up

-- Who said the room's newest message, so that the next one knows whether it
-- begins a group; null: nothing was said yet.
alter table rooms add last_author_id bigint;
update rooms r set last_author_id = m.author_id from messages m where m.room_id = r.id and m.seq = r.last_seq;

-- The author comes first, and say asks by author and nonce only: so this index
-- is the only one that can answer, however small the table was when the plan
-- was made.
alter table messages drop constraint messages_room_id_author_id_nonce_key;
alter table messages add constraint messages_nonce unique (author_id, nonce, room_id);

-- say stores a batch of posts of one room and returns for each, in the order
-- given, its seq, the room's number after the batch, and whether its nonce
-- belongs to another text. Without the room there is no row.
--
-- It is a function so that a batch is one trip to the server, and one in
-- PL/pgSQL so that its second statement has a snapshot of its own, taken when
-- the room is locked: it sees what other nodes committed while this one waited
-- for the lock. In a single statement it would not.
-- +goose StatementBegin
create function say(in_room bigint, at timestamptz, gap interval, authors bigint[], nonces uuid[], bodies text[])
returns table (at_seq bigint, at_rev bigint, reused boolean) language plpgsql
-- Planning takes longer than running, so a plan is made once; and one that is
-- made while the tables are small must be good when they have grown.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
    r record;
begin
    select rev, said, last_author_id, last_said_at,
           said = 0 or (last_said_at at time zone 'UTC')::date <> (at at time zone 'UTC')::date as new_day
    into r from rooms where id = in_room for update;
    if not found then
        return;
    end if;

    return query
    with post as (
        select p.n, p.author_id, p.nonce, p.body, sha256(convert_to(p.body, 'UTF8')) as sum,
               m.seq as known_seq, m.said_sum as known_sum, -- null once deleted: any text is taken for the first one
               row_number() over (partition by p.author_id, p.nonce order by p.n) as copy
        from unnest(authors, nonces, bodies) with ordinality as p(author_id, nonce, body, n)
        left join lateral (
            select seq, said_sum from messages
            where author_id = p.author_id and nonce = p.nonce and room_id + 0 = in_room limit 1
        ) as m on true
    ), numbered as materialized (
        select *, known_seq is null and copy = 1 as fresh,
               count(*) filter (where known_seq is null and copy = 1) over (order by n) as i
        from post
    ), added as (
        insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, first, new_day, said_at)
        select in_room, r.rev + i, r.rev + i, r.said + i, author_id, nonce, sum, body,
               i = 1 and (r.new_day or at - r.last_said_at >= gap)
                   or author_id is distinct from lag(author_id, 1, r.last_author_id) over (order by n),
               i = 1 and r.new_day, at
        from numbered where fresh
    ), joined as (
        insert into memberships (room_id, person_id) select distinct in_room, author_id from numbered where fresh
        on conflict do nothing
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
end $$;
-- +goose StatementEnd

-- +goose Down
drop function say;
alter table messages drop constraint messages_nonce;
alter table messages add unique (room_id, author_id, nonce);
alter table rooms drop column last_author_id;
