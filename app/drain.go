package app

import (
	"context"
	"math/rand/v2"
	"time"

	"parlor/app/sse"
)

// Streams are ended wave by wave, so that their pages do not come back to
// this program's successor, or to the other nodes, all at the same moment.
const (
	mostWaves  = 50 // with the default of 5 s one every 100 ms
	leastWave  = 20 // streams in a wave: a small room is gone at once
	comeBackIn = 2 * time.Second
)

// Drain ends all streams, for a shutdown. First /readyz fails, for as long as
// load balancers are given to find out; then streams are told to come back,
// each after a random wait, and end, in waves; all at once if there is no other
// node that they could go to. Meanwhile everything else is answered as ever. It
// returns when all streams have ended, or ctx has.
func (s *Server) Drain(ctx context.Context) {
	s.ready.drain()
	if !sleep(ctx, s.cfg.DrainGrace) {
		return
	}
	last := s.cfg.DrainFor
	if s.bus.Alone() {
		last = 0 // nobody else serves the pages meanwhile
	}
	open := s.streams.drain()
	if len(open) > 0 {
		s.log.Info("ending streams", "streams", len(open), "within", last)
	}
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	parts := waves(len(open))
	for i, part := range parts {
		for _, o := range open[:part] {
			o.sub.Close(sse.Retry(200*time.Millisecond + rand.N(comeBackIn)))
		}
		open = open[part:]
		if i < len(parts)-1 && !sleep(ctx, last/time.Duration(len(parts)-1)) {
			return
		}
	}
	// What they were told last is on its way; a reader that does not take it
	// is not waited for long.
	for began := time.Now(); s.streams.count() > 0 && time.Since(began) < comeBackIn; {
		if !sleep(ctx, 10*time.Millisecond) {
			return
		}
	}
}

// waves are the sizes of the waves in which n streams end.
func waves(n int) []int {
	if n == 0 {
		return nil
	}
	sizes := make([]int, min(max(n/leastWave, 1), mostWaves))
	for i := range sizes {
		sizes[i] = n*(i+1)/len(sizes) - n*i/len(sizes)
	}
	return sizes
}

// sleep waits, and tells whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// drain lets no more streams in and returns those that are open.
func (s *streams) drain() []*openStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	open := make([]*openStream, 0, len(s.all))
	for o := range s.all {
		open = append(open, o)
	}
	return open
}

// count is how many streams are open.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}
