// Package dbtest gives each test a Postgres database of its own: empty of data,
// with all migrations applied, and gone when the test ends. Databases of one
// server share nothing that Parlor uses, NOTIFY and advisory locks included, so
// tests may run side by side.
//
// All packages of a run share the cluster that the command dbtest/cluster
// started; a package tested alone starts its own.
package dbtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"parlor/db"
	"parlor/db/postgres"
)

// Variable names the environment variable with the connection string of the
// cluster that packages share.
const Variable = "PARLOR_TEST_POSTGRES"

// Main runs a package's tests with a cluster, and what is to be done after
// them. It belongs into TestMain, and does not return.
func Main(m *testing.M, after ...func()) {
	tests := func() int {
		code := m.Run()
		for _, do := range after {
			do()
		}
		return code
	}
	if os.Getenv(Variable) != "" {
		os.Exit(tests())
	}
	// An interrupt would otherwise end the process before it has cleared away.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 1
	err := WithCluster(ctx, func(url string) error {
		os.Setenv(Variable, url)
		done := make(chan int, 1)
		go func() { done <- tests() }()
		select {
		case code = <-done:
			return nil
		case <-ctx.Done():
			return errors.New("interrupted")
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "dbtest:", err)
		code = cmp.Or(code, 1)
	}
	os.Exit(code)
}

// WithCluster calls do with the connection string of a fresh cluster in a
// temporary folder, and clears it away afterwards. The context bounds the start.
func WithCluster(ctx context.Context, do func(url string) error) error {
	dir, err := os.MkdirTemp(fastDir(), "parlor-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cluster, err := postgres.Start(ctx, postgres.Config{
		Dir:            dir,
		Bin:            os.Getenv("PARLOR_POSTGRES_BIN"),
		MaxConnections: 200,
		NoSync:         true,
	})
	if err != nil {
		return err
	}
	return errors.Join(do(cluster.URL("parlor")), cluster.Stop())
}

// fastDir returns where the cluster goes: into memory if there is room, where a
// database is copied some times faster than on many a disk.
func fastDir() string {
	const memory, enough = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(memory, &fs) != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < enough {
		return os.TempDir()
	}
	return memory
}

// New makes a database for the test and returns its connection string. The test
// must close its connections in a Cleanup or before it returns.
func New(t testing.TB) string {
	t.Helper()
	template, err := prepared()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	name := "test_" + strings.ToLower(rand.Text()[:12])
	if _, err := admin.Exec("create database " + name + " template " + template); err != nil {
		t.Fatalf("dbtest: make the test's database: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("drop database " + name + " with (force)"); err != nil {
			t.Errorf("dbtest: drop the test's database: %v", err)
		}
	})
	return in(name)
}

// admin is connected to the cluster's own database.
var admin *sql.DB

// prepared opens admin and returns the name of the template, making it if this
// process is the first of the run to ask.
var prepared = sync.OnceValues(func() (string, error) {
	server := os.Getenv(Variable)
	if server == "" {
		return "", errors.New("no cluster: the package's TestMain must call dbtest.Main")
	}
	var err error
	if admin, err = sql.Open("postgres", server); err != nil {
		return "", err
	}
	name, err := templateName()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := makeTemplate(ctx, name); err != nil {
		return "", fmt.Errorf("make the template database: %w", err)
	}
	return name, nil
})

// templateName depends on the migrations: other ones make another template.
func templateName() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(db.Migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(db.Migrations, path)
		fmt.Fprintf(sum, "%s\n%d\n%s", path, len(text), text)
		return err
	})
	return fmt.Sprintf("template_%x", sum.Sum(nil)[:8]), err
}

// makeTemplate makes the template unless it is there. Packages under test take
// turns; it gets its name when it is complete.
func makeTemplate(ctx context.Context, name string) error {
	conn, err := admin.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "select pg_advisory_lock(hashtext('parlor test template'))"); err != nil {
		return err
	}
	defer conn.ExecContext(context.Background(), "select pg_advisory_unlock(hashtext('parlor test template'))")

	var there bool
	err = conn.QueryRowContext(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&there)
	if err != nil || there {
		return err
	}
	unfinished := name + "_new"
	for _, statement := range []string{
		"drop database if exists " + unfinished + " with (force)",
		"create database " + unfinished,
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := db.Migrate(ctx, in(unfinished)); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "alter database "+unfinished+" rename to "+name)
	return err
}

// in returns the connection string of a database of the cluster.
func in(database string) string {
	u, err := url.Parse(os.Getenv(Variable))
	if err != nil {
		panic(err) // sql.Open has read it before
	}
	u.Path = "/" + database
	return u.String()
}
