-- +goose Up

-- What a nickname is found by (Store.NamedLike), made by the program; null: not
-- made yet.
alter table people add terms tsvector;
create index people_terms on people using gin (terms) with (fastupdate = off); -- they are read much more often than written
create index people_without_terms on people (id) where terms is null;

-- A message that mentions somebody is found by who it is, no more by the words
-- of the nickname at that time; what is bold inside of Chinese is found in its
-- sentence. The program makes the new words soon.
alter table messages drop column terms; -- and the indexes on it
alter table messages add terms tsvector;
create index messages_terms on messages using gin (terms) with (fastupdate = on);
create index messages_without_terms on messages (room_id, seq) where terms is null and deleted_at is null;

-- +goose Down
drop index people_without_terms, people_terms;
alter table people drop terms;
alter table messages drop column terms;
alter table messages add terms tsvector;
create index messages_terms on messages using gin (terms) with (fastupdate = on);
create index messages_without_terms on messages (room_id, seq) where terms is null and deleted_at is null;
