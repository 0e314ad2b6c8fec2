package backup

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"parlor/db"
)

// NotEmptyError says that a database holds messages, which a restore would
// replace.
type NotEmptyError struct{ Messages int64 }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("the database holds %d messages. With -force they are replaced by those of the backup", e.Messages)
}

// RestoreFile puts the database, and the files if the archive has any, back to
// what they were when the backup was made. Without force only a database
// without messages is written to; a *NotEmptyError says that it has some.
//
// The database gets a new epoch, so that pages that are open since the lost
// future recognise it, and all its migrations. Its sessions are those of the
// backup: nobody has another key to their nickname. So who signed out since is
// signed in again where somebody still has the cookie.
//
// Another program may run on the database. It waits, and goes on with what was
// restored.
func RestoreFile(ctx context.Context, to Place, name string, force bool) (m Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore: %w", err)
		}
	}()
	archive, err := zip.OpenReader(name)
	if errors.Is(err, zip.ErrFormat) {
		return m, fmt.Errorf("%s is no backup, or not all of one", name)
	} else if err != nil {
		return m, err
	}
	defer archive.Close()
	if m, err = readManifest(&archive.Reader); err != nil {
		return m, err
	}
	conn, err := open(ctx, to.Database)
	if err != nil {
		return m, err
	}
	defer conn.Close()
	var major int
	var used bool
	if err := conn.QueryRowContext(ctx, `
		select current_setting('server_version_num')::int / 10000, to_regclass('public.messages') is not null`).Scan(&major, &used); err != nil {
		return m, err
	}
	if major < m.Postgres {
		return m, fmt.Errorf("the backup was made with Postgres %d, and this server is a %d. Restore it into a server of that version or a newer one", m.Postgres, major)
	}
	if used && !force {
		var messages int64
		if err := conn.QueryRowContext(ctx, `select count(*) from public.messages`).Scan(&messages); err != nil {
			return m, err
		}
		if messages > 0 {
			return m, &NotEmptyError{messages}
		}
	}
	if err := verify(ctx, to, &archive.Reader, major); err != nil {
		return m, err
	}
	files, err := unpackFiles(&archive.Reader, to.Files)
	if err != nil {
		return m, fmt.Errorf("unpack the files: %w", err)
	}
	defer files.giveUp()
	conn.Close() // it would be sent away with all others
	if err := restoreDatabase(ctx, to, &archive.Reader, m, major); err != nil {
		return m, err
	}
	if err := files.finish(); err != nil {
		return m, fmt.Errorf("the database is restored, but the folder of files is not all as it was: %w", err)
	}
	if m.Messages > 0 { // statistics of an empty table make plans for an empty table
		if err := analyze(ctx, to.Database); err != nil {
			return m, fmt.Errorf("the backup is restored, but it will be slow until Postgres has looked at it: %w", err)
		}
	}
	if err := db.Migrate(ctx, to.Database); err != nil {
		return m, fmt.Errorf("the backup is restored, but it does not fit this version of Parlor: %w", err)
	}
	return m, nil
}

func readManifest(archive *zip.Reader) (m Manifest, err error) {
	f, err := archive.Open(manifestName)
	if err != nil {
		return m, fmt.Errorf("this archive is no backup of Parlor: %w", err)
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(&m); err != nil {
		return m, fmt.Errorf("read %s: %w", manifestName, err)
	}
	newest, err := db.NewestMigration()
	if err != nil {
		return m, err
	}
	if m.Format != 1 || m.Migration > newest {
		return m, errors.New("the backup was made by a newer version of Parlor; restore it with that one")
	}
	return m, nil
}

// verify reads everything once, as it will be read, into nothing.
func verify(ctx context.Context, to Place, archive *zip.Reader, major int) error {
	found := false
	for _, entry := range archive.File {
		if name := strings.TrimSuffix(entry.Name, "/"); !filepath.IsLocal(name) || path.Clean(name) != name {
			return fmt.Errorf("the archive holds %q, which leads out of it", entry.Name)
		}
		r, err := entry.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		if entry.Name == dumpName {
			found = true
			cmd, err := command(ctx, to, "pg_restore", major, "--file="+os.DevNull)
			if err != nil {
				return err
			}
			cmd.Stdin = r
			if err := run(cmd); err != nil {
				return fmt.Errorf("the archive is damaged: %w", err)
			}
		}
		// To its end, where its checksum is compared.
		if _, err := io.Copy(io.Discard, r); err != nil {
			return fmt.Errorf("the archive is damaged: %s: %w", entry.Name, err)
		}
	}
	if !found {
		return errors.New("the archive holds no database")
	}
	return nil
}

// before empties the schema. Rooms are locked first, as by everything that
// writes (see Store), and then all others are sent away, so that nobody holds
// anything that is waited for.
const before = `
set client_min_messages = warning;
begin;
do $$
declare
	statement text;
begin
	if to_regclass('public.rooms') is not null then
		lock table public.rooms in access exclusive mode;
	end if;
	perform pg_terminate_backend(pid) from pg_stat_activity
	where datname = current_database() and usename = current_user and pid <> pg_backend_pid();
	foreach statement in array
		array(select format('drop %s if exists %s cascade',
				case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, c.oid::regclass)
			from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
			and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e')))
		|| array(select format('drop routine if exists %s cascade', p.oid::regprocedure)
			from pg_proc p where p.pronamespace = 'public'::regnamespace
			and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
	loop
		execute statement;
	end loop;
end $$;
`

// after makes sure that everything is there, that nobody takes the numbers of
// the lost future for numbers of this database, and that its drafts replace
// nothing that is being typed (views/unread.go).
const after = `
do $$ begin
	if (select count(*) from public.messages) <> %d then
		raise exception 'the backup does not hold the messages that it should';
	end if;
end $$;
update public.house set epoch = substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
do $$ begin
	if exists (select from information_schema.columns where table_name = 'memberships' and column_name = 'draft_tab') then
		update public.memberships set draft_tab = '' where draft_tab <> '';
	end if;
	if to_regclass('public.thread_drafts') is not null then
		update public.thread_drafts set draft_tab = '' where draft_tab <> '';
	end if;
end $$;
commit;
`

func analyze(ctx context.Context, database string) error {
	conn, err := open(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, "analyze")
	return err
}

// restoreDatabase has psql run what pg_restore writes, with something before
// and behind it, in one transaction. The commit is written only when pg_restore
// has come to its end without a complaint.
func restoreDatabase(ctx context.Context, to Place, archive *zip.Reader, m Manifest, major int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends psql, and with it the transaction
	dump, err := archive.Open(dumpName)
	if err != nil {
		return err
	}
	defer dump.Close()
	// The schema itself is there; only what is in it is restored.
	script, err := command(ctx, to, "pg_restore", major, "--file=-", "--schema=public", "--no-owner", "--no-privileges")
	if err != nil {
		return err
	}
	psql, err := command(ctx, to, "psql", major, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
	if err != nil {
		return err
	}
	var said bytes.Buffer
	psql.Stderr = &said
	in, err := psql.StdinPipe()
	if err != nil {
		return err
	}
	if err := psql.Start(); err != nil {
		return err
	}
	script.Stdin, script.Stdout = dump, in
	_, err = io.WriteString(in, before)
	if err == nil {
		err = run(script)
	}
	if err == nil {
		_, err = fmt.Fprintf(in, after, m.Messages)
	}
	if err != nil {
		// Without its input's end, which would be taken for the end of a table.
		time.AfterFunc(time.Second, cancel) // psql may have ended first, and knows why
	} else {
		err = in.Close()
	}
	// What psql has to say comes first: the others may only have lost it.
	if psqlErr := told(psql, psql.Wait(), &said); said.Len() > 0 || err == nil {
		return psqlErr
	}
	return err
}
