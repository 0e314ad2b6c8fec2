package app_test

import (
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"parlor/app"
)

// Streams end wave by wave, each told a wait of its own; load balancers hear
// of it first, and everything else is answered to the end.
func TestDrainingGoesInWaves(t *testing.T) {
	t.Parallel()
	const streams = 80 // four waves
	s := newSite(t, func(c *app.Config) {
		c.DrainGrace, c.DrainFor = 300*time.Millisecond, 900*time.Millisecond
		c.StreamsPerAddress = streams
	})
	other := newNode(t, s.database) // a single node ends all at once
	ann := s.guest("Ann")
	elsewhere := other.visitor().stream("/rooms/parlor/stream?after=0")
	ann.say("parlor", "are you there?")
	elsewhere.until("are you there?")
	other.guest("Bob").say("parlor", "yes")
	looker := s.visitor()
	var open []*stream
	for range streams {
		st := looker.stream("/rooms/parlor/stream?after=0", "Accept-Encoding", "identity")
		st.until(">yes<")
		open = append(open, st)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.server.Drain(context.Background())
	}()
	for deadline := time.Now().Add(5 * time.Second); looker.get("/readyz").code == 200; {
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	contains(t, looker.get("/readyz"), 503, "stopping")
	contains(t, looker.get("/healthz"), 200)
	ann.say("parlor", "while it is stopping")
	for _, st := range open { // nobody is gone yet
		st.until("while it is stopping")
	}

	var mu sync.Mutex
	var ends []time.Time
	waits := make(map[string]int)
	retry := regexp.MustCompile(`retry: (\d+)\n`)
	var all sync.WaitGroup
	for _, st := range open {
		all.Go(func() {
			last := ""
			for event := range st.events {
				last = event
			}
			mu.Lock()
			defer mu.Unlock()
			ends = append(ends, time.Now())
			if m := retry.FindStringSubmatch(last); m != nil {
				waits[m[1]]++
			}
		})
	}
	<-drained
	ann.say("parlor", "at last")
	all.Wait()
	first, last := ends[0], ends[0]
	for _, end := range ends {
		if end.Before(first) {
			first = end
		}
		if end.After(last) {
			last = end
		}
	}
	if over := last.Sub(first); over < 600*time.Millisecond {
		t.Errorf("all streams ended within %s", over)
	}
	if len(waits) < streams/4 {
		t.Errorf("the waits before they come back: %v", waits)
	}
	if st := looker.stream("/stream"); st.code != 503 {
		t.Errorf("a new stream got %d", st.code)
	}
}

func TestAFewStreamsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.DrainFor = time.Hour })
	ann := s.guest("Ann")
	st := ann.stream("/rooms/parlor/stream?after=0")
	st.until("cursor")
	ann.say("parlor", "just before")
	st.until("just before")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.server.Drain(ctx)
	if ctx.Err() != nil {
		t.Error("draining a single stream took its time")
	}
	st.ends()
}

// Where there is no other node, nobody waits for a wave.
func TestSingleNodeDrainsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.DrainFor = time.Hour })
	looker := s.visitor()
	var open []*stream
	for range 60 { // three waves
		st := looker.stream("/rooms/parlor/stream?after=0", "Accept-Encoding", "identity")
		st.until("cursor")
		open = append(open, st)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s.server.Drain(ctx)
	if ctx.Err() != nil {
		t.Fatal("it waited for waves")
	}
	for _, st := range open {
		st.ends()
	}
}
