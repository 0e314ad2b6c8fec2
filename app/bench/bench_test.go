package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/db/dbtest"
)

// TestMain is the bare server too, which is this program under another
// environment.
func TestMain(m *testing.M) {
	if bare := os.Getenv(bareVariable); bare != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(bare))
		os.Exit(1)
	}
	dbtest.Main(m)
}

var tiny = plan{
	longest: 5 * time.Minute,
	rounds:  1, each: 50 * time.Millisecond, clients: []int{1, 4},
	readers: []int{20}, pace: 2000, lasts: 50 * time.Millisecond, burst: 100, ownPosts: 5,
	idle: []int{20}, rest: time.Millisecond, http2Streams: 5,
	mixes:   []mix{{readers: 20, rooms: 2, posts: 40, views: 20, lasts: 200 * time.Millisecond}},
	stuck:   stuck{readers: 12, stuck: 4, bytes: 1300 << 10},
	history: history{messages: 10000, rooms: 50, missed: 2000, times: 3},
	archive: archive{messages: 5000, rooms: 10, times: 2},
}

// A run must end well and give every figure. How large they are is the
// machine's business.
func TestEveryFigureIsMeasured(t *testing.T) {
	_, rows, err := run(t.Context(), options{plan: tiny, database: dbtest.New(t), progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"fan-out", "memory", "room page", "post", "all at once", "stuck", "history", "search in", "start", "HTTP/2"} {
		if !slices.ContainsFunc(rows, func(r row) bool { return strings.Contains(r.group, part) }) {
			t.Errorf("nothing is measured of: %s", part)
		}
	}
	for _, r := range rows {
		switch {
		case r.note != "":
			t.Logf("%s: %s", r.group, r.note)
			continue
		case strings.Contains(r.what, "queries"):
			continue // the tests' cluster does not count them
		case strings.Contains(r.what, "KiB"), strings.Contains(r.what, "posts' own"):
			continue // so few streams fit into what a process has anyway
		case strings.Contains(r.group, "search in"):
			continue // one of those beside it may find nothing
		case strings.Contains(r.what, "CPU") || strings.Contains(r.what, "MiB"):
			if runtime.GOOS != "linux" {
				continue
			}
		}
		for _, f := range []float64{r.parlor, r.ceiling} {
			if !(f > 0) && !math.IsNaN(f) || math.IsInf(f, 0) {
				t.Errorf("%s: %s: %v, ceiling %v", r.group, r.what, r.parlor, r.ceiling)
			}
		}
		if r.target.ofRatio && math.IsNaN(r.parlor/r.ceiling) || math.IsNaN(r.parlor) {
			t.Errorf("%s: %s is missing", r.group, r.what)
		}
	}
	if t.Failed() {
		t.Log("\n" + table("Parlor", rows))
	}
}

func TestTableSaysWhatWasReached(t *testing.T) {
	got := table("Parlor", []row{
		{group: "things", what: "µs of a thing", target: ratioMost(1.4), parlor: 1234.5, ceiling: 12.345},
		alone("things", "x", least(0.5), 0.5),
		notMeasured("more", "y", most(40), "no TLS"),
	})
	want := "" +
		"| what          | target  | Parlor | ceiling | ratio | reached              |\n" +
		"|---------------|---------|-------:|--------:|------:|----------------------|\n" +
		"| **things**    |         |        |         |       |                      |\n" +
		"| µs of a thing | ≤ 1.4 × |   1234 |    12.3 |   100 | no                   |\n" +
		"| x             | ≥ 0.5   |   0.50 |         |       | yes                  |\n" +
		"| **more**      |         |        |         |       |                      |\n" +
		"| y             | ≤ 40    |        |         |       | not measured: no TLS |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
