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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

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

// Begins tells whether a file begins as Write begins it, by a zip archive (PKWARE
// APPNOTE 4.3.7) whose first entry is the manifest; not whether it is whole.
func Begins(name string) bool {
	const header = 30 // bytes, before the entry's name
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, header+len(manifestName))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b[:4]) == "PK\x03\x04" && string(b[header:]) == manifestName
}

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
