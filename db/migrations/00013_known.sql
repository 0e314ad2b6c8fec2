-- +goose Up

-- How many messages are new to somebody is a subtraction (chat.Membership), so
-- that a message said changes it for everybody and is written for nobody. What
-- is taken off is how many of the room's messages are known to the person: all
-- up to the read mark, and behind it their own and those that were deleted.
-- Null: there is no read mark, and nothing is new. It is kept exact by whatever
-- changes it, each under a lock on the membership: say below, the deletion of a
-- message (Store.Delete), and move_mark.
alter table memberships add known bigint;
update memberships b set known = b.read_ordinal
    + (select count(*) from messages m where m.room_id = b.room_id and m.deleted_at is not null and m.seq > b.read_seq)
    + case when b.read_turn = 0 then 0 else ( -- else who speaks has read everything
        select count(*) from messages m where m.room_id = b.room_id and m.seq > b.read_seq and m.author_id = b.person_id and m.deleted_at is null) end
where b.read_seq > 0 or b.read_at is not null;
alter table memberships drop read_ordinal;

-- move_mark puts the read mark of a person behind a room's last message up to a
-- number, forward only unless it is set back; it does nothing where the mark
-- was set back more often than in_turn says (null: any). It tells whether the
-- mark moved. Of more than 10,000 messages behind the mark, which no page counts
-- any more, one's own and the deleted ones among the first 10,000 are told apart.
-- +goose StatementBegin
create function move_mark(in_room bigint, in_person bigint, up_to bigint, in_turn integer, back boolean, at timestamptz)
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

-- say as in migration 00005, but that who speaks has not read what others said.
-- +goose StatementBegin
create or replace function say(in_room bigint, at timestamptz, gap interval, authors bigint[], nonces uuid[], sums bytea[],
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
    ), joined as (
        -- What one says is known to oneself; of what is above it only the first
        -- word that one says in a room makes a mark.
        insert into memberships as b (room_id, person_id, read_seq, known)
        select in_room, author_id, r.rev + min(i), r.said + min(i) + count(*) - 1
        from numbered where fresh group by author_id order by author_id
        on conflict (room_id, person_id) do update
        set read_seq = case when b.known is null then excluded.read_seq else b.read_seq end,
            known = case when b.known is null then excluded.known
                         else b.known + (excluded.known - r.said) - (excluded.read_seq - r.rev) + 1 end -- that is count(*)
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
drop function move_mark;
alter table memberships add read_ordinal bigint not null default 0;
update memberships b set read_ordinal = m.ordinal from messages m where m.room_id = b.room_id and m.seq = b.read_seq;
alter table memberships drop known;
-- +goose StatementBegin
create or replace function say(in_room bigint, at timestamptz, gap interval, authors bigint[], nonces uuid[], sums bytea[],
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
