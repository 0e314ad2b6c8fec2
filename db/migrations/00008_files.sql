-- +goose Up

-- A file is entered first and its bytes are kept after that, so that there are
-- never bytes without a row. false: they are not known to be there yet.
alter table files add kept boolean not null default true;

-- How much there is in all files; kept by the triggers below.
alter table house add files_bytes bigint not null default 0;

-- What was a file. Its bytes are removed soon after (cleared) unless another
-- file has the same; and it goes on counting for its owner's day.
create table files_gone (
    id          bigint primary key,
    owner_id    bigint not null,
    digest      text not null,
    size        bigint not null,
    uploaded_at timestamptz not null,
    cleared     boolean not null default false
);
create index files_gone_owner on files_gone (owner_id, uploaded_at);
create index files_gone_waiting on files_gone (digest) where not cleared;
create index files_gone_old on files_gone (uploaded_at) where cleared;

-- Whoever deletes files, for whatever reason, needs to know nothing of this.
-- +goose StatementBegin
create function file_came() returns trigger language plpgsql as $$
begin
    update house set files_bytes = files_bytes + new.size;
    return null;
end $$;
-- +goose StatementEnd
-- +goose StatementBegin
create function file_went() returns trigger language plpgsql as $$
begin
    update house set files_bytes = files_bytes - old.size;
    insert into files_gone (id, owner_id, digest, size, uploaded_at)
    values (old.id, old.owner_id, old.digest, old.size, old.uploaded_at);
    return null;
end $$;
-- +goose StatementEnd
create trigger file_came after insert on files for each row execute function file_came();
create trigger file_went after delete on files for each row execute function file_went();

-- +goose Down
drop trigger file_came on files;
drop trigger file_went on files;
drop function file_came(), file_went();
drop table files_gone;
alter table house drop files_bytes;
alter table files drop kept;
