// Package backup writes everything that a Parlor keeps into one file, while it
// is in use, and puts a database back from it.
//
// The file is a zip archive, so any machine can look into it: manifest.json,
// which says what it is; database.dump, as pg_dump writes it; and what is in
// the files folder, below files/. A cut or damaged one is recognised before
// anything is touched.
//
// The invariant of Restore: the old database is whole until the new one is, and
// from the moment in which the old one is given up nobody is told any more that
// something was stored in it. Both because it happens in one transaction that
// begins by locking everything.
package backup

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"parlor/db"
	"parlor/db/postgres"
)

// Place is what is saved and restored.
type Place struct {
	Database string // connection string
	Files    string // folder of the files; "": none. It need not exist
	Bin      string // folder of pg_dump, pg_restore and psql; "": look in the usual places
}

// Manifest says what an archive holds.
type Manifest struct {
	Format    int       `json:"format"`    // 1
	At        time.Time `json:"at"`        // when it was made; everything said before is in it
	Epoch     string    `json:"epoch"`     // of the database it was made from
	Migration int64     `json:"migration"` // the last that the database had seen
	Postgres  int       `json:"postgres"`  // major version of the server
	People    int64     `json:"people"`
	Rooms     int64     `json:"rooms"`
	Messages  int64     `json:"messages"`
}

// Names in the archive.
const (
	manifestName = "manifest.json"
	dumpName     = "database.dump"
	filesPrefix  = "files/"
)

// WriteFile makes a backup under a temporary name and gives it its own when it
// is safely on disk, so that a file of that name is always whole.
func WriteFile(ctx context.Context, from Place, name string) (m Manifest, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".unfinished-*") // for its owner only
	if err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if m, err = Write(ctx, from, f); err != nil {
		return m, err
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return m, fmt.Errorf("back up: %w", err)
	}
	return m, syncFolder(filepath.Dir(name))
}

// Write writes a backup. One that was cut off is no zip archive and is refused
// by Restore.
func Write(ctx context.Context, from Place, to io.Writer) (m Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up: %w", err)
		}
	}()
	conn, err := open(ctx, from.Database)
	if err != nil {
		return m, err
	}
	defer conn.Close()
	// Everything is read as it is in this transaction's snapshot, by pg_dump too.
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return m, err
	}
	defer tx.Rollback()
	m = Manifest{Format: 1, At: time.Now().UTC().Truncate(time.Second)}
	var ours bool
	if err := tx.QueryRowContext(ctx, `select to_regclass('public.house') is not null`).Scan(&ours); err != nil {
		return m, err
	}
	if !ours {
		return m, errors.New("this database is not Parlor's: it has no table house")
	}
	var snapshot string
	err = tx.QueryRowContext(ctx, `
		select pg_export_snapshot(), epoch, current_setting('server_version_num')::int / 10000,
		       (select coalesce(max(version_id), 0) from public.goose_db_version where is_applied),
		       (select count(*) from public.people), (select count(*) from public.rooms), (select count(*) from public.messages)
		from public.house`).Scan(&snapshot, &m.Epoch, &m.Postgres, &m.Migration, &m.People, &m.Rooms, &m.Messages)
	if err != nil {
		return m, err
	}
	dump, err := command(ctx, from, "pg_dump", m.Postgres,
		"--format=custom", "--schema=public", "--no-owner", "--no-privileges", "--snapshot="+snapshot)
	if err != nil {
		return m, err
	}

	archive := zip.NewWriter(to)
	w, err := archive.CreateHeader(&zip.FileHeader{Name: manifestName, Method: zip.Store, Modified: m.At})
	if err != nil {
		return m, err
	}
	about := json.NewEncoder(w)
	about.SetIndent("", "  ")
	if err := about.Encode(m); err != nil {
		return m, err
	}
	// It is compressed already.
	if w, err = archive.CreateHeader(&zip.FileHeader{Name: dumpName, Method: zip.Store, Modified: m.At}); err != nil {
		return m, err
	}
	dump.Stdout = w
	if err := run(dump); err != nil {
		return m, err
	}
	// The files come after the database: a file is stored before the row that
	// names it, so whatever the snapshot names is there.
	if err := addFiles(archive, from.Files); err != nil {
		return m, err
	}
	return m, archive.Close()
}

// addFiles adds what is in the folder. What vanishes meanwhile was deleted.
func addFiles(archive *zip.Writer, folder string) error {
	if folder == "" {
		return nil
	}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		w, err := archive.CreateHeader(&zip.FileHeader{
			Name: filesPrefix + filepath.ToSlash(inside), Method: zip.Deflate, Modified: info.ModTime(),
		})
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("add the files: %w", err)
	}
	return nil
}

// open connects with little patience.
func open(ctx context.Context, url string) (*sql.DB, error) {
	conn, err := sql.Open("postgres", url)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	conn.SetMaxOpenConns(1)
	ping, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := conn.PingContext(ping); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// command prepares a client program of Postgres. How to connect is told by its
// environment, since everybody on the machine can read its arguments.
func command(ctx context.Context, to Place, name string, major int, args ...string) (*exec.Cmd, error) {
	program, err := postgres.Client(name, to.Bin, major)
	if err != nil {
		return nil, err
	}
	cfg, err := pq.NewConfig(to.Database)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { // they would lead elsewhere
		return strings.HasPrefix(v, "PGSERVICE") || strings.HasPrefix(v, "PGHOSTADDR=")
	})
	cmd.Env = append(env, "LC_ALL=C")
	for _, v := range []struct{ name, value string }{
		{"PGHOST", cfg.Host}, {"PGPORT", strconv.Itoa(int(cfg.Port))}, {"PGUSER", cfg.User}, {"PGPASSWORD", cfg.Password},
		{"PGDATABASE", cfg.Database}, {"PGSSLMODE", string(cfg.SSLMode)}, {"PGSSLCERT", cfg.SSLCert}, {"PGSSLKEY", cfg.SSLKey},
		{"PGSSLROOTCERT", cfg.SSLRootCert}, {"PGOPTIONS", cfg.Options}, {"PGAPPNAME", "parlor"},
	} {
		if v.value != "" {
			cmd.Env = append(cmd.Env, v.name+"="+v.value)
		}
	}
	return cmd, nil
}

// run runs a client program; its error is what it says.
func run(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stderr = &said
	return told(cmd, cmd.Run(), &said)
}

func told(cmd *exec.Cmd, err error, said *bytes.Buffer) error {
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(said.String()), " ")
	return fmt.Errorf("%s: %w: %.1000s", filepath.Base(cmd.Path), err, text)
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

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
// signed in again where their browser still knows how.
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
	place, err := unpackFiles(&archive.Reader, to.Files)
	if err != nil {
		return m, fmt.Errorf("unpack the files: %w", err)
	}
	defer place(false)
	conn.Close() // it would be sent away with all others
	if err := restoreDatabase(ctx, to, &archive.Reader, m, major); err != nil {
		return m, err
	}
	if err := place(true); err != nil {
		return m, fmt.Errorf("the database is restored, but the files are not: %w", err)
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

// after makes sure that everything is there, and that nobody takes the numbers
// of the lost future for numbers of this database.
const after = `
do $$ begin
	if (select count(*) from public.messages) <> %d then
		raise exception 'the backup does not hold the messages that it should';
	end if;
end $$;
update public.house set epoch = substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
commit;
`

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
	if err == nil && m.Messages > 0 { // statistics of an empty table make plans for an empty table
		_, err = io.WriteString(in, "analyze;\n")
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

// unpackFiles unpacks the files of the archive beside the folder where they
// belong. place(true) puts them there, in the place of what is there; and
// place(false) clears away what was not placed.
func unpackFiles(archive *zip.Reader, folder string) (place func(bool) error, err error) {
	unfinished, old := folder+".restored", folder+".replaced"
	some := false
	for _, entry := range archive.File {
		if !strings.HasPrefix(entry.Name, filesPrefix) || strings.HasSuffix(entry.Name, "/") {
			continue
		}
		if folder == "" {
			return nil, errors.New("the backup holds files, and there is no folder for them")
		}
		if !some {
			if err := os.RemoveAll(unfinished); err != nil {
				return nil, err
			}
			some = true
		}
		if err := unpack(entry, filepath.Join(unfinished, filepath.FromSlash(strings.TrimPrefix(path.Clean(entry.Name), filesPrefix)))); err != nil {
			os.RemoveAll(unfinished)
			return nil, err
		}
	}
	if !some {
		return func(bool) error { return nil }, nil
	}
	return func(really bool) error {
		if !really {
			return os.RemoveAll(unfinished)
		}
		if err := os.RemoveAll(old); err != nil {
			return err
		}
		if err := os.Rename(folder, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(unfinished, folder); err != nil {
			return err
		}
		return errors.Join(syncFolder(filepath.Dir(folder)), os.RemoveAll(old))
	}, nil
}

func unpack(entry *zip.File, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close(), os.Chtimes(name, entry.Modified, entry.Modified))
}
