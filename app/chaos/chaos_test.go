package main

import (
	"bytes"
	"log/slog"
	"os"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	asNode() // does not return in a process that is to be one
	os.Exit(m.Run())
}

// A minute of chaos: each kind of fault strikes, nothing that was acknowledged
// is lost, doubled or out of order, and no page has to be loaded again.
func TestAMinuteOfChaosLosesNothing(t *testing.T) {
	survive(t, settings{
		lasts: 42 * time.Second, phases: []phase{{1, byPostgres}, {3, byPostgres}, {3, byNATS}}, longest: 3 * time.Second,
		watchdog: 12 * time.Second, readerCount: 40, posterCount: 6, pageCount: 2, rate: 10,
	})
}

// A new version comes to three nodes, one after the other, while people talk:
// every message is acknowledged, and no page is loaded again.
func TestARollingRestartLosesNothing(t *testing.T) {
	survive(t, settings{
		lasts: 5 * time.Second, phases: []phase{{3, byPostgres}}, faults: "rolling restart", longest: 3 * time.Second,
		watchdog: 12 * time.Second, readerCount: 40, posterCount: 6, pageCount: 1, rate: 50,
	})
}

func survive(t *testing.T, s settings) {
	t.Helper()
	s.seed, s.dir = uint64(time.Now().UnixNano())%100_000, worldDir(t)
	var log bytes.Buffer
	r := &run{ctx: t.Context(), log: slog.New(slog.NewTextHandler(&log, nil)), settings: s}
	before := slog.Default()
	slog.SetDefault(r.log) // what runs Postgres writes there
	defer slog.SetDefault(before)
	t.Logf("seed %d", s.seed)
	report, err := r.do()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	report.print(t.Output())
	if report.broken() {
		t.Errorf("the promise is broken\n%s", log.Bytes())
	}
}

// worldDir is a folder that Postgres may enter as another user.
func worldDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
