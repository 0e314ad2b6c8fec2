-- +goose Up

-- How often the person took another nickname. Nodes tell each other nicknames,
-- sometimes late; the one with the higher number is the newer.
alter table people add renames integer not null default 0;

-- +goose Down
alter table people drop renames;
