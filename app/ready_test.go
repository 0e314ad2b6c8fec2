package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parlor/app"
	"parlor/db"
	"parlor/db/dbtest"
)

// wire stands between the program and Postgres. It can go silent, as a frozen
// server does, and be cut, as one that is gone.
type wire struct {
	url string

	mu     sync.Mutex
	conns  []net.Conn
	cut    bool
	silent atomic.Bool
}

func newWire(t *testing.T, database string) *wire {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	postgres := filepath.Join(query.Get("host"), ".s.PGSQL.5432")
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	w := &wire{url: u.String()}
	t.Cleanup(func() {
		listener.Close()
		w.setCut(true)
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", postgres)
			w.mu.Lock()
			if err != nil || w.cut {
				near.Close()
				if far != nil {
					far.Close()
				}
			} else {
				w.conns = append(w.conns, near, far)
				go w.carry(near, far)
				go w.carry(far, near)
			}
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *wire) carry(from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		for w.silent.Load() {
			time.Sleep(10 * time.Millisecond)
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// setCut ends all connections and lets no new ones in, or lets them in again.
func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

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
	database.setCut(true)
	v.ready(10*time.Second, 503, "the database does not answer")
	contains(t, v.get("/healthz"), 200, "alive")
	database.setCut(false)
	v.ready(20*time.Second, 200, "ready")
}

func TestReadyzFailsSoonWhileTheDatabaseIsFrozen(t *testing.T) {
	t.Parallel()
	s, database, _ := readySite(t)
	v := s.visitor()
	v.ready(10*time.Second, 200, "ready")
	database.silent.Store(true)
	if took := v.ready(10*time.Second, 503, "the database does not answer"); took > 6*time.Second {
		t.Errorf("a health check waited %s", took)
	}
	database.silent.Store(false)
	v.ready(30*time.Second, 200, "ready")
}

func TestReadyzFailsWhenTheBusIsAwayForLong(t *testing.T) {
	t.Parallel()
	s, _, bus := readySite(t)
	v := s.visitor()
	v.ready(10*time.Second, 200, "ready")
	began := time.Now()
	bus.setCut(true)
	v.ready(20*time.Second, 503, "the connection to the other nodes is lost")
	if after := time.Since(began); after < 3*time.Second {
		t.Errorf("it failed after %s; a listener that reconnects at once is no reason", after)
	}
	bus.setCut(false)
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
