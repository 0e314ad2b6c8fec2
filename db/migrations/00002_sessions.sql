-- +goose Up

-- Sessions are kept by our own store (db/sessions.go), which knows whose each
-- is, so that one query finds session and person. Nobody could read the old
-- rows any more.
drop table sessions;
create table sessions (
    token_hash bytea primary key, -- SHA-256 of the cookie's value
    person_id  bigint not null references people,
    day        bigint not null,   -- of the last visit that was noted, since 1970 (UTC)
    expiry     timestamptz not null
);
create index on sessions (person_id);
create index on sessions (expiry);

-- +goose Down
drop table sessions;
create table sessions (
    token  text primary key,
    data   bytea not null,
    expiry timestamptz not null
);
create index on sessions (expiry);
