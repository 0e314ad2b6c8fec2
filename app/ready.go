package app

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// askFor is how long the database may take to answer a health check.
	askFor = 2 * time.Second
	// busAwayFor is how long the connection to the other nodes may be lost. It
	// comes back by itself, and pages are late meanwhile, not wrong.
	busAwayFor = 5 * time.Second
)

var (
	errDraining = errors.New("this server is stopping")
	errDatabase = errors.New("the database does not answer")
	errBus      = errors.New("the connection to the other nodes is lost")
)

// readiness tells whether this node should be sent people.
type readiness struct {
	ping    func(context.Context) error
	busUp   func() bool
	askFor  time.Duration
	busAway time.Duration
	asks    singleflight.Group // health checks that come together ask once

	mu       sync.Mutex
	draining bool
	busLost  time.Time // since when; zero: it is not
}

func newReadiness(ping func(context.Context) error, busUp func() bool) *readiness {
	return &readiness{ping: ping, busUp: busUp, askFor: askFor, busAway: busAwayFor}
}

// watch notes since when the bus is away, until ctx ends.
func (r *readiness) watch(ctx context.Context) {
	for sleep(ctx, r.busAway/10) {
		r.look(time.Now())
	}
}

func (r *readiness) look(now time.Time) {
	up := r.busUp()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case up:
		r.busLost = time.Time{}
	case r.busLost.IsZero():
		r.busLost = now
	}
}

// drain has check fail from now on.
func (r *readiness) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
}

// check is nil, or says why not. It takes no longer than askFor.
func (r *readiness) check(ctx context.Context) error {
	r.mu.Lock()
	draining, lost := r.draining, r.busLost
	r.mu.Unlock()
	if draining {
		return errDraining
	}
	if err := r.database(ctx); err != nil {
		return err
	}
	if !lost.IsZero() && time.Since(lost) > r.busAway {
		return errBus
	}
	return nil
}

// database asks the database whether it is there. The ping of one that is
// frozen does not end with its context, so nobody waits for that.
func (r *readiness) database(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.askFor)
	defer cancel()
	answer := r.asks.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), r.askFor) // others wait for it, too
		defer cancel()
		return nil, r.ping(ctx)
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return errDatabase
		}
		return nil
	case <-ctx.Done():
		return errDatabase
	}
}

// getHealth says that the program is alive. A header tells the client from
// where it seems to come, which shows whether a proxy is trusted.
func (s *Server) getHealth(w http.ResponseWriter, r *http.Request) error {
	addr, direct := s.clientAddr(r)
	seen := addr.String()
	if direct && r.Header.Get("X-Forwarded-For") != "" {
		seen += "; X-Forwarded-For is not believed"
	}
	w.Header().Set("Parlor-Client", seen)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write([]byte("alive\n"))
	return ignoreWrite(err)
}

// getReady says whether this node should be sent people, for load balancers,
// and why not, for those who look after it.
func (s *Server) getReady(w http.ResponseWriter, r *http.Request) error {
	text := "ready\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := s.ready.check(r.Context()); err != nil {
		s.log.Warn("not ready", "why", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "not ready: " + err.Error() + "\n"
	}
	_, err := w.Write([]byte(text))
	return ignoreWrite(err)
}
