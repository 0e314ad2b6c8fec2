-- +goose Up

-- What is typed on the page of a thread and not sent. What was sent or taken
-- away stays as '', for pages that were not told yet.
create table thread_drafts (
    person_id  bigint not null references people,
    room_id    bigint not null,
    thread_seq bigint not null,      -- the message that the thread began with
    draft      text not null,
    draft_at   timestamptz not null,
    draft_tab  text not null,        -- as memberships have it
    draft_n    bigint not null,
    primary key (person_id, room_id, thread_seq)
);

-- Which reactions to a message are somebody's own, however many there are.
create index reactions_own on reactions (person_id, room_id, seq);
drop index reactions_person_id_idx;

-- Skeletons have no spaces any more. Of people whose nicknames differ by these
-- only, one has the name; the others keep theirs, in the old form.
update people p set skeleton = bare.skeleton
from (
    select id, replace(skeleton, ' ', '') as skeleton,
           row_number() over (partition by replace(skeleton, ' ', '') order by skeleton like '% %', id) as n
    from people where skeleton is not null) as bare
where p.id = bare.id and bare.n = 1 and p.skeleton like '% %';

-- +goose Down
create index reactions_person_id_idx on reactions (person_id);
drop index reactions_own;
drop table thread_drafts;
