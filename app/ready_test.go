package app_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parlor/app"
	"parlor/db"
	"parlor/db/dbtest"
)

// readySite is a server whose database and bus have a wire each.
func readySite(t *testing.T) (s *site, database, bus *wire) {
	t.Helper()
	u := dbtest.New(t)
	database, bus = newWire(t, u), newWire(t, u)
	ctx, cancel := context.WithCancel(context.Background())
	store, err := db.Open(ctx, database.url, db.Options{Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	server, err := app.New(ctx, app.DefaultConfig(), bus.url, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		web.Close()
		cancel()
		store.Close()
	})
	return &site{t: t, server: server, store: store, web: web}, database, bus
}

// ready waits until /readyz says the text, and returns how long one answer
// took at most.
func (v *visitor) ready(within time.Duration, code int, text string) (longest time.Duration) {
	v.s.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		began := time.Now()
		a := v.get("/readyz")
		longest = max(longest, time.Since(began))
		if a.code == code && strings.Contains(a.body, text) {
			return longest
		}
		if time.Now().After(deadline) {
			v.s.t.Fatalf("/readyz never was %d %q; it is %d %q", code, text, a.code, a.body)
		}
	}
}

func TestReadyzFailsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s, database, _ := readySite(t)
	v := s.visitor()
	v.ready(10*time.Second, 200, "ready")
	database.cut()
	v.ready(10*time.Second, 503, "the database does not answer")
	contains(t, v.get("/healthz"), 200, "alive")
	database.join()
	v.ready(20*time.Second, 200, "ready")
}

func TestReadyzFailsSoonWhileTheDatabaseIsFrozen(t *testing.T) {
	t.Parallel()
	s, database, _ := readySite(t)
	v := s.visitor()
	v.ready(10*time.Second, 200, "ready")
	database.freeze()
	if took := v.ready(10*time.Second, 503, "the database does not answer"); took > 6*time.Second {
		t.Errorf("a health check waited %s", took)
	}
	database.join()
	v.ready(30*time.Second, 200, "ready")
}

func TestReadyzFailsWhenTheBusIsAwayForLong(t *testing.T) {
	t.Parallel()
	s, _, bus := readySite(t)
	v := s.visitor()
	v.ready(10*time.Second, 200, "ready")
	began := time.Now()
	bus.cut()
	v.ready(20*time.Second, 503, "the connection to the other nodes is lost")
	if after := time.Since(began); after < 3*time.Second {
		t.Errorf("it failed after %s; a listener that reconnects at once is no reason", after)
	}
	bus.join()
	v.ready(20*time.Second, 200, "ready")
}

// Whether a proxy is trusted can be seen from outside.
func TestHealthzTellsWhereAClientSeemsToComeFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	get := func(s *site, headers ...string) string {
		return s.visitor().get("/healthz", headers...).header.Get("Parlor-Client")
	}
	if got := get(s); got != "127.0.0.1" {
		t.Errorf("directly: %q", got)
	}
	if got := get(s, "X-Forwarded-For", "198.51.100.7"); !strings.Contains(got, "127.0.0.1") || !strings.Contains(got, "not believed") {
		t.Errorf("by a proxy that is not trusted: %q", got)
	}
	trusting := newSite(t, func(c *app.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	if got := get(trusting, "X-Forwarded-For", "198.51.100.7"); got != "198.51.100.7" {
		t.Errorf("by a trusted proxy: %q", got)
	}
}
