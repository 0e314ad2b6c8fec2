-- +goose Up

-- What one may begin to type to find the nickname (chat.Nickname.Keys), made by
-- the program; null: not made yet, which the next start does.
alter table people add name_keys text[];
create index people_without_keys on people (id) where name_keys is null;

-- The same for each room, so that whoever types a name gets an answer by the
-- index however many people the house has. It follows people and memberships
-- by the triggers below.
create table member_keys (
    room_id   bigint not null,
    key       text collate "C" not null, -- by its bytes: a beginning is a range
    person_id bigint not null,
    primary key (room_id, key, person_id),
    foreign key (room_id, person_id) references memberships on delete cascade
);
create index on member_keys (person_id, room_id);

-- +goose StatementBegin
create function keys_of_membership() returns trigger language plpgsql as $$
begin
    insert into member_keys (room_id, key, person_id)
    select new.room_id, k, p.id from people p, unnest(p.name_keys) as k where p.id = new.person_id
    on conflict do nothing;
    return null;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function keys_of_person() returns trigger language plpgsql as $$
begin
    delete from member_keys where person_id = new.id;
    insert into member_keys (room_id, key, person_id)
    select b.room_id, k, new.id from memberships b, unnest(new.name_keys) as k where b.person_id = new.id
    on conflict do nothing;
    return null;
end $$;
-- +goose StatementEnd

-- A trigger runs after those of foreign keys if its name sorts behind theirs:
-- so a membership has waited for a renaming that is under way.
create trigger name_keys after insert on memberships for each row execute function keys_of_membership();
create trigger name_keys after update of name_keys on people for each row
    when (old.name_keys is distinct from new.name_keys) execute function keys_of_person();

-- +goose Down
drop trigger name_keys on memberships;
drop trigger name_keys on people;
drop function keys_of_membership, keys_of_person;
drop table member_keys;
alter table people drop name_keys;
