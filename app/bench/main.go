// Command bench measures Parlor beside the least that could do the same: a
// bare net/http handler in a process of its own, under the same load, in the
// same run. Machines differ and are busy with other things; the ratio of the
// two is what stays.
//
// It starts what it needs, on loopback only: a private Postgres that syncs its
// commits to disk, Parlor, the bare server, and ends them all. What is
// measured has a file for each: the room's page (page.go), posting (post.go)
// and what a room full of people gets of it (fanout.go). The load comes from
// this process and takes its share of the processor, from both alike, so a
// ratio of requests per second flatters; that of processor time does not.
//
// Everything is checked as it is measured: a page that is not a page, a post
// that is not acknowledged, or a subscriber that misses a message or gets it
// twice, ends the run with an error.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	_ "github.com/lib/pq"

	"parlor/db/postgres"
)

// plan is how much is measured. Everything is bounded by it.
type plan struct {
	rounds      int           // Parlor, bare, Parlor, bare, ...; the median counts
	each        time.Duration // how long one of them lasts for page and post
	subscribers int           // open streams
	idle        time.Duration // how long they are left alone before their memory is read
	paced       int           // messages at a steady pace, in one round
	every       time.Duration // and their distance
	burst       int           // messages at full speed, in one round
}

var (
	whole = plan{rounds: 3, each: 2 * time.Second, subscribers: 1000, idle: 2 * time.Second,
		paced: 60, every: 50 * time.Millisecond, burst: 150}
	quick = plan{rounds: 1, each: 700 * time.Millisecond, subscribers: 1000, idle: time.Second,
		paced: 40, every: 50 * time.Millisecond, burst: 100}
)

// longest is how long a run may take, whatever happens.
const longest = 3 * time.Minute

// options say what is measured.
type options struct {
	plan
	base     string    // a server that runs already; "": one is started
	database string    // an empty database for the one that is started; "": a private Postgres
	progress io.Writer // is told what goes on
}

func main() {
	if addr := os.Getenv(bareVariable); addr != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(addr))
		os.Exit(1)
	}
	base := flag.String("base", "", "`URL` of a running Parlor without flood control to measure instead; it gets some thousand messages in its room parlor")
	short := flag.Bool("quick", false, "a run of about 20 seconds")
	flag.Parse()
	opt := options{plan: whole, base: *base, progress: os.Stderr}
	if *short {
		opt.plan = quick
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	about, rows, err := run(ctx, opt)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Printf("%s\n\n%s", about, table(rows))
}

// run starts what is needed, measures, and ends all of it. about says on what.
func run(ctx context.Context, opt options) (about string, rows []row, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dir, err := os.MkdirTemp("", "parlor-bench-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(dir)
	about = fmt.Sprintf("%d cores, %s %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)

	b := &bench{plan: opt.plan, parlor: subject{base: opt.base}, database: opt.database}
	if opt.base == "" {
		if b.database == "" {
			fmt.Fprintln(opt.progress, "starting Postgres")
			cluster, err := postgres.Start(ctx, postgres.Config{Dir: dir, Bin: os.Getenv("PARLOR_POSTGRES_BIN"), MaxConnections: 80})
			if err != nil {
				return "", nil, err
			}
			defer func() { err = errors.Join(err, cluster.Stop()) }()
			b.database = cluster.URL("parlor")
		}
		settings, err := postgresSettings(ctx, b.database)
		if err != nil {
			return "", nil, err
		}
		about += ", " + settings
		fmt.Fprintln(opt.progress, "building Parlor")
		binary := filepath.Join(dir, "parlor")
		if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "parlor").CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("build Parlor: %w\n%s", err, out)
		}
		b.parlor, err = start(ctx, binary, func(addr string) []string {
			return []string{
				"PARLOR_ADDR=" + addr, "DATABASE_URL=" + b.database,
				"PARLOR_POSTS_PER_SECOND=0", "PARLOR_NICKNAMES_PER_HOUR=0",
				"PARLOR_STREAMS_PER_SESSION=0", "PARLOR_STREAMS_PER_ADDRESS=100000",
			}
		})
		if err != nil {
			return "", nil, fmt.Errorf("start Parlor: %w", err)
		}
		defer b.parlor.process.end()
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	b.bare, err = start(ctx, self, func(addr string) []string { return []string{bareVariable + "=" + addr} })
	if err != nil {
		return "", nil, fmt.Errorf("start the bare server: %w", err)
	}
	defer b.bare.process.end()

	// The streams come first: memory is read of a server that did little yet.
	for _, measure := range []struct {
		what string
		do   func(context.Context) ([]row, error)
	}{{"fan-out", b.fanOut}, {"page", b.page}, {"post", b.post}} {
		fmt.Fprintln(opt.progress, "measuring:", measure.what)
		more, err := measure.do(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("measure %s: %w%s", measure.what, err, b.parlor.process.said())
		}
		rows = append(rows, more...)
	}
	return about, rows, nil
}

// bench is what all measurements share.
type bench struct {
	plan
	parlor, bare subject
	database     string // Parlor's; "" when it is not ours to know
}

// own tells whether Parlor was started here, so that its process and its
// database can be looked at.
func (b *bench) own() bool { return b.parlor.process != nil }

// postgresSettings tells which Postgres it is, and whether a commit is on disk
// when it says so: the tests' clusters are faster, and forgetful.
func postgresSettings(ctx context.Context, url string) (string, error) {
	conn, err := sql.Open("postgres", url)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var version, fsync, commit string
	err = conn.QueryRowContext(ctx, `select current_setting('server_version'), current_setting('fsync'),
		current_setting('synchronous_commit')`).Scan(&version, &fsync, &commit)
	if err != nil {
		return "", fmt.Errorf("ask Postgres: %w", err)
	}
	return fmt.Sprintf("Postgres %s, fsync %s, synchronous_commit %s", version, fsync, commit), nil
}
