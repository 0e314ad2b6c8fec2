-- +goose Up

alter table memberships
    -- When the read mark was last moved by reading; null: it was not. With a
    -- read_seq of 0 that means there is no mark, and nothing is unread.
    add read_at   timestamptz,
    -- How often the mark was set back. What was read before that, and is told
    -- late, does not count.
    add read_turn integer not null default 0,
    -- The page that saved the draft, and its count of savings: what it saved
    -- earlier and comes late does not count either.
    add draft_tab text not null default '',
    add draft_n   bigint not null default 0;

-- What was edited or deleted while somebody was away.
create index messages_edited on messages (room_id, edited_at) where edited_at is not null;
create index messages_deleted on messages (room_id, deleted_at) where deleted_at is not null;

-- +goose Down
drop index messages_edited, messages_deleted;
alter table memberships drop read_at, drop read_turn, drop draft_tab, drop draft_n;
