package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"parlor/db/dbtest"
)

// TestMain is the bare server too, which is this program under another
// environment.
func TestMain(m *testing.M) {
	if addr := os.Getenv(bareVariable); addr != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveBare(addr))
		os.Exit(1)
	}
	dbtest.Main(m)
}

var tiny = plan{rounds: 2, each: 50 * time.Millisecond, subscribers: 20, idle: time.Millisecond,
	paced: 3, every: 10 * time.Millisecond, burst: 5}

// A run must end well and give every figure. How large they are is the
// machine's business.
func TestEveryFigureIsMeasured(t *testing.T) {
	_, rows, err := run(t.Context(), options{plan: tiny, database: dbtest.New(t), progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6+2*5+2*7 {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		if strings.Contains(r.what, "memory") {
			continue // so few streams fit into what a process has anyway
		}
		if strings.Contains(r.what, "CPU") && runtime.GOOS != "linux" {
			continue
		}
		for _, f := range []float64{r.parlor, r.bare, r.parlor / r.bare} {
			if !(f > 0) || math.IsInf(f, 0) {
				t.Errorf("%s: %v, bare %v", r.what, r.parlor, r.bare)
				break
			}
		}
	}
	if t.Failed() {
		t.Log("\n" + table(rows))
	}
}

func TestTableIsAligned(t *testing.T) {
	got := table([]row{{"µs of a thing", 1234.5, 12.345}, {"x", 0.5, 0}})
	want := "" +
		"| what          | Parlor | bare | ratio |\n" +
		"|---------------|-------:|-----:|------:|\n" +
		"| µs of a thing |   1234 | 12.3 |   100 |\n" +
		"| x             |   0.50 | 0.00 |     – |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
