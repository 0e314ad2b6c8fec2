// Command bench measures Parlor beside the least that could do the same: bare
// servers in processes of their own, under the same load, in the same run.
// Machines differ and are busy with other things; the ratio of the two is what
// stays.
//
// It starts what it needs, on loopback only: a private Postgres that syncs its
// commits to disk, Parlor, the bare servers, and ends them all. What is
// measured has a file for each part, from fanout.go to warm.go; bare.go has the
// ceilings, crowd.go the readers. The load comes from this process and takes
// its share of the processor, from both alike, so a ratio of requests per
// second flatters; that of processor time does not.
//
// Everything is checked as it is measured: a page that is not a page, a post
// that is not acknowledged, or a reader that misses a message or gets it twice,
// ends the run with an error.
//
// With -stream and -post it puts the same readers before any server that sends
// server-sent events and takes a form (foreign.go).
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
	"slices"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq"

	"parlor/db/postgres"
)

// plan is how much is measured. Everything is bounded by it.
type plan struct {
	longest time.Duration // the whole may take, whatever happens

	rounds  int           // Parlor, ceiling, Parlor, ceiling, ...; the median counts
	each    time.Duration // how long one of them lasts for page and post
	clients []int         // who post at the same time

	readers  []int         // open streams in the room
	pace     int           // deliveries per second at a steady pace
	lasts    time.Duration // of that pace, in one round
	burst    int           // deliveries at full speed, in one round
	ownPosts int           // posts to nobody, to measure what a post alone takes

	idle []int         // streams that are opened to read the memory they take
	rest time.Duration // before it is read

	http2Streams int // with a connection each

	mixes []mix
	stuck stuck

	history history
	archive archive
}

var (
	short = plan{
		longest: 10 * time.Minute,
		rounds:  3, each: 1500 * time.Millisecond, clients: []int{1, 64},
		readers: []int{1000}, pace: 20000, lasts: 2 * time.Second, burst: 150000, ownPosts: 50,
		idle: []int{10000}, rest: 10 * time.Second, http2Streams: 1000,
		mixes: []mix{
			{readers: 2000, rooms: 20, posts: 50, views: 100, lasts: 10 * time.Second},
			{readers: 2000, rooms: 1, posts: 50, views: 100, lasts: 10 * time.Second},
		},
		stuck:   stuck{readers: 2000, stuck: 500, bytes: 1500 << 10},
		history: history{messages: 1000000, rooms: 1000, missed: 100000, times: 150},
		archive: archive{messages: 100000, rooms: 100, times: 40},
	}
	full = plan{
		longest: 2 * time.Hour,
		rounds:  3, each: 1500 * time.Millisecond, clients: []int{1, 64},
		readers: []int{1000, 10000}, pace: 20000, lasts: 6 * time.Second, burst: 300000, ownPosts: 50,
		idle: []int{10000, 19000}, rest: 150 * time.Second, http2Streams: 1000,
		mixes: []mix{
			{readers: 2000, rooms: 20, posts: 50, views: 100, lasts: 10 * time.Minute},
			{readers: 2000, rooms: 1, posts: 50, views: 100, lasts: time.Minute},
		},
		stuck:   stuck{readers: 2000, stuck: 500, bytes: 1500 << 10},
		history: history{messages: 10000000, rooms: 10000, missed: 100000, times: 500},
		archive: archive{messages: 1000000, rooms: 200, times: 100},
	}
)

// parts are what can be measured, in this order.
var parts = []struct {
	name string
	do   func(*bench, context.Context) ([]row, error)
}{
	{"fanout", (*bench).fanOut},
	{"memory", (*bench).memory},
	{"page", (*bench).page},
	{"post", (*bench).post},
	{"mixed", (*bench).mixed},
	{"slow", (*bench).slow},
	{"history", (*bench).longHistory},
	{"search", (*bench).search},
	{"warm", (*bench).warm},
	{"http2", (*bench).http2},
}

// options say what is measured.
type options struct {
	plan
	only     []string  // names of parts; none: all
	base     string    // a Parlor that runs already; "": one is started
	place    *place    // a place at another server, which is all that is measured
	database string    // an empty database for the one that is started; "": a private Postgres
	progress io.Writer // is told what goes on
}

func main() {
	if bare := os.Getenv(bareVariable); bare != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(bare))
		os.Exit(1)
	}
	var names []string
	for _, part := range parts {
		names = append(names, part.name)
	}
	base := flag.String("base", "", "`URL` of a running Parlor without flood control to measure instead; it gets some thousand messages in its room parlor")
	only := flag.String("only", "", "measure these `parts`, separated by commas: "+strings.Join(names, ", "))
	stream := flag.String("stream", "", "`URL` of an event stream of any server to measure instead; needs -post")
	post := flag.String("post", "", "`URL` that takes messages for that stream")
	form := flag.String("form", "body={text}&nonce={uuid}", "what is posted there, as a `template` of a form")
	cookie := flag.String("cookie", "", "`name=value` to send to both")
	mark := flag.String("mark", "", "`text` that stands before each message in that stream, once; without it our own text is looked for")
	packed := flag.Bool("gzip", false, "ask for that stream compressed; the server must compress a message once for all readers")
	readers := flag.Int("readers", 1000, "how many read that stream")
	rest := flag.Duration("rest", 0, "how long idle streams rest before the memory they take is read; 0: 10s, or with -full 2m30s")
	long := flag.Bool("full", false, "measure what takes long too: more streams, more history, a mixed load of ten minutes")
	flag.Parse()
	opt := options{plan: short, base: *base, progress: os.Stderr}
	if *long {
		opt.plan = full
	}
	if *rest > 0 {
		opt.rest = *rest
	}
	measured := "Parlor"
	if *stream != "" {
		at, err := elsewhere(*stream, *post, *form, *cookie, *mark, *packed)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		opt.place, opt.readers, measured = &at, []int{*readers}, "measured"
	}
	if *only != "" {
		opt.only = strings.Split(*only, ",")
		for _, name := range opt.only {
			if !slices.Contains(names, name) {
				fmt.Fprintf(os.Stderr, "bench: no part is called %q; there are %s\n", name, strings.Join(names, ", "))
				os.Exit(2)
			}
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	about, rows, err := run(ctx, opt)
	if len(rows) > 0 {
		fmt.Printf("%s\n\n%s", about, table(measured, rows))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run starts what is needed, measures, and ends all of it. about says on what.
func run(ctx context.Context, opt options) (about string, rows []row, err error) {
	ctx, cancel := context.WithTimeout(ctx, opt.longest)
	defer cancel()
	dir, err := os.MkdirTemp("", "parlor-bench-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(dir)
	about = fmt.Sprintf("%s, %d cores, load before %s, %s %s/%s", time.Now().Format(time.DateOnly), runtime.NumCPU(), loadAverage(), runtime.Version(), runtime.GOOS, runtime.GOARCH)

	b := &bench{plan: opt.plan, dir: dir, parlor: subject{base: opt.base}, database: opt.database, progress: opt.progress}
	defer func() {
		for _, end := range slices.Backward(b.ends) {
			err = errors.Join(err, end())
		}
	}()
	if opt.place == nil && opt.base == "" {
		if b.database == "" {
			fmt.Fprintln(opt.progress, "starting Postgres")
			if err := b.startPostgres(ctx); err != nil {
				return "", nil, err
			}
		}
		settings, err := postgresSettings(ctx, b.database)
		if err != nil {
			return "", nil, err
		}
		about += ", " + settings
		fmt.Fprintln(opt.progress, "building Parlor")
		b.binary = filepath.Join(dir, "parlor")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.binary, "parlor").CombinedOutput(); err != nil {
			return "", nil, fmt.Errorf("build Parlor: %w\n%s", err, out)
		}
		if b.parlor, err = b.startParlor(ctx); err != nil {
			return "", nil, err
		}
		b.ends = append(b.ends, b.parlor.process.end)
	}
	for kind, s := range map[string]*subject{bareHandler: &b.bare, bareLoop: &b.loop} {
		if *s, err = startBare(ctx, kind); err != nil {
			return "", nil, err
		}
		b.ends = append(b.ends, s.process.end)
	}
	if opt.place != nil {
		rows, err = b.foreign(ctx, *opt.place, opt.readers[0])
		return about, rows, err
	}
	for _, part := range parts {
		if len(opt.only) > 0 && !slices.Contains(opt.only, part.name) {
			continue
		}
		fmt.Fprintln(opt.progress, "measuring:", part.name)
		more, err := part.do(b, ctx)
		if errors.Is(err, errNotOwn) {
			continue
		}
		if err != nil {
			return about, rows, fmt.Errorf("measure %s: %w%s", part.name, err, b.parlor.process.said())
		}
		rows = append(rows, more...)
	}
	return about, rows, nil
}

// errNotOwn says that a part can't be measured of a server that runs elsewhere.
var errNotOwn = errors.New("this server was not started here")

// startPostgres starts a private cluster with a durable disk.
func (b *bench) startPostgres(ctx context.Context) error {
	cfg := postgres.Config{Dir: b.dir, Bin: os.Getenv("PARLOR_POSTGRES_BIN"), MaxConnections: 160}
	cluster, err := postgres.Start(ctx, cfg)
	if err != nil {
		return err
	}
	b.database = cluster.URL("parlor")
	b.counted, err = countQueries(ctx, b.database)
	if err = errors.Join(err, cluster.Stop()); err != nil {
		return err
	}
	if cluster, err = postgres.Start(ctx, cfg); err != nil {
		return err
	}
	b.ends = append(b.ends, cluster.Stop)
	return nil
}

// startParlor starts a Parlor on the database, without limits.
func (b *bench) startParlor(ctx context.Context) (subject, error) {
	s, err := start(ctx, "http", b.binary, func(addr string) []string { return append(b.parlorEnv(addr), "DATABASE_URL="+b.database) })
	if err != nil {
		return s, fmt.Errorf("start Parlor: %w", err)
	}
	return s, nil
}

func (b *bench) parlorEnv(addr string) []string {
	return []string{
		"PARLOR_ADDR=" + addr, "PARLOR_DATA=" + filepath.Join(b.dir, addr), "PARLOR_POSTS_PER_SECOND=0", "PARLOR_NICKNAMES_PER_HOUR=0",
		"PARLOR_STREAMS_PER_SESSION=0", "PARLOR_STREAMS_PER_ADDRESS=100000",
	}
}

// startBare starts this program as a bare server.
func startBare(ctx context.Context, kind string) (subject, error) {
	self, err := os.Executable()
	if err != nil {
		return subject{}, err
	}
	scheme := "http"
	if kind == bareSecure {
		scheme = "https"
	}
	s, err := start(ctx, scheme, self, func(addr string) []string { return []string{bareVariable + "=" + kind + " " + addr} })
	if err != nil {
		return s, fmt.Errorf("start the bare %s: %w", kind, err)
	}
	return s, nil
}

// bench is what all measurements share.
type bench struct {
	plan
	progress   io.Writer
	dir        string // for whatever is needed
	binary     string // Parlor
	parlor     subject
	bare, loop subject // the ceilings
	database   string  // Parlor's; "" when it is not ours to know
	counted    bool    // it counts its queries
	talkers    map[subject][]*visitor
	ends       []func() error // in the opposite order
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
