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
	if testing.Short() {
		t.Skip("takes a minute")
	}
	var log bytes.Buffer
	r := &run{ctx: t.Context(), log: slog.New(slog.NewTextHandler(&log, nil)), settings: settings{
		seed: uint64(time.Now().UnixNano()) % 100_000, lasts: 50 * time.Second, phases: []phase{{1, false}, {3, false}, {3, true}}, longest: 3 * time.Second,
		watchdog: 12 * time.Second, readerCount: 40, posterCount: 6, pageCount: 2, rate: 10, dir: worldDir(t),
	}}
	t.Logf("go run ./app/chaos -seed %d -for %s -longest %s repeats the faults", r.seed, r.lasts, r.longest)
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
