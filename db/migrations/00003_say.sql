-- +goose Up

-- say stores a batch of posts of one room and returns for each, in the order
-- given, its number, the room's number after the batch, and whether its nonce
-- belongs to another text. Without the room there is no row.
--
-- It is a function so that a batch is one trip to the server, and one in
-- PL/pgSQL so that the second statement has a snapshot of its own, taken when
-- the room is locked: it sees what other nodes committed while this one waited
-- for the lock. In a single statement it would not.
-- +goose StatementBegin
create function say(in_room bigint, at timestamptz, gap interval, authors bigint[], nonces uuid[], bodies text[])
returns table (at_seq bigint, at_rev bigint, reused boolean) language plpgsql as $$
declare
    r record;
begin
    select rev, said, last_seq, last_said_at,
           said = 0 or (last_said_at at time zone 'UTC')::date <> (at at time zone 'UTC')::date as new_day
    into r from rooms where id = in_room for update;
    if not found then
        return;
    end if;

    return query
    with post as materialized (
        select p.n, p.author_id, p.nonce, p.body, sha256(convert_to(p.body, 'UTF8')) as sum,
               m.seq as known_seq, m.said_sum as known_sum, -- null once deleted: any text is taken for the first one
               first_value(p.n) over same_nonce as first_n
        from unnest(authors, nonces, bodies) with ordinality as p(author_id, nonce, body, n)
        left join messages m on m.room_id = in_room and m.author_id = p.author_id and m.nonce = p.nonce
        window same_nonce as (partition by p.author_id, p.nonce order by p.n)
    ), fresh as materialized (
        select n, author_id, nonce, body, sum, row_number() over (order by n) as i, lag(author_id) over (order by n) as before
        from post where known_seq is null and first_n = n
    ), added as (
        insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, first, new_day, said_at)
        select in_room, r.rev + i, r.rev + i, r.said + i, author_id, nonce, sum, body,
               case when i > 1 then before <> author_id
                    else r.new_day or at - r.last_said_at >= gap or author_id is distinct from
                         (select m.author_id from messages m where m.room_id = in_room and m.seq = r.last_seq) end,
               i = 1 and r.new_day, at
        from fresh
    ), joined as (
        insert into memberships (room_id, person_id) select distinct in_room, author_id from fresh
        on conflict do nothing
    ), moved as (
        update rooms set rev = r.rev + f.count, said = r.said + f.count, last_seq = r.rev + f.count, last_said_at = at
        from (select count(*) from fresh) f where id = in_room and f.count > 0
    )
    select coalesce(p.known_seq, r.rev + f.i), r.rev + (select count(*) from fresh),
           coalesce(p.sum <> case when p.known_seq is null then f.sum else p.known_sum end, false)
    from post p left join fresh f on f.n = p.first_n
    order by p.n;
end $$;
-- +goose StatementEnd

-- +goose Down
drop function say;
