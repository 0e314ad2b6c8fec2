package main

import (
	"fmt"
	"io"
	"math"
	"os"
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
	rounds: 2, each: 50 * time.Millisecond, clients: []int{1, 4},
	readers: []int{20}, pace: 2000, lasts: 50 * time.Millisecond, burst: 100,
	idle: []int{20}, rest: time.Millisecond,
}

// A run must end well and give every figure. How large they are is the
// machine's business.
func TestEveryFigureIsMeasured(t *testing.T) {
	_, rows, err := run(t.Context(), options{plan: tiny, database: dbtest.New(t), progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table(rows))
}

func TestTableSaysWhatWasReached(t *testing.T) {
	got := table([]row{
		{what: "µs of a thing", target: ratioMost(1.4), parlor: 1234.5, ceiling: 12.345},
		{what: "x", target: least(0.5), parlor: 0.5, ceiling: math.NaN()},
		notMeasured("y", most(40), "no TLS"),
	})
	want := "" +
		"| what          | target  | Parlor | ceiling | ratio | reached              |\n" +
		"|---------------|---------|-------:|--------:|------:|----------------------|\n" +
		"| µs of a thing | ≤ 1.4 × |   1234 |    12.3 |   100 | no                   |\n" +
		"| x             | ≥ 0.5   |   0.50 |       – |     – | yes                  |\n" +
		"| y             | ≤ 40    |      – |       – |     – | not measured: no TLS |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
