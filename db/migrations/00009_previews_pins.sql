-- +goose Up

-- What is shown never changes under a message: once a row is fetched it stays
-- as it is, and a later look at the same address makes another one. The
-- current one is what new messages get.
alter table previews
    drop constraint previews_url_hash_key,
    add current   boolean not null default true,
    add image_key text not null default ''; -- names the picture's bytes, in its address
create unique index previews_current on previews (url_hash) where current;

-- A row is a link in a message. It is wanted until its address is looked up;
-- removed says that the author wants no preview of it, for as long as the link
-- stands in the text.
alter table message_previews
    add state     text not null default 'wanted' check (state in ('wanted', 'shown', 'removed')),
    add wanted_at timestamptz not null default now();
create index message_previews_wanted on message_previews (wanted_at) where state = 'wanted';

alter table rooms add pins integer not null default 0; -- messages pinned to it

-- +goose Down
alter table rooms drop pins;
drop index message_previews_wanted;
alter table message_previews drop state, drop wanted_at;
drop index previews_current;
alter table previews drop current, drop image_key, add constraint previews_url_hash_key unique (url_hash);
