package app_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"parlor/app"
)

// Load balancers hear first that a node stops; meanwhile nobody is sent away, and
// everything is answered as ever.
func TestNobodyLeavesBeforeLoadBalancersKnow(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.DrainGrace = time.Hour })
	ann := s.guest("Ann")
	st := ann.stream("/rooms/parlor/stream?after=0")
	st.until("cursor")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.server.Drain(ctx)
	eventually(t, "it is not ready", func() bool { return ann.get("/readyz").code == 503 })
	contains(t, ann.get("/readyz"), 503, "stopping")
	contains(t, ann.get("/healthz"), 200)
	ann.say("parlor", "while it is stopping")
	st.until("while it is stopping")
	ann.stream("/rooms/parlor/stream?after=0").until("while it is stopping")
}

// Streams end wave by wave, each told a wait of its own. The next wave is twenty
// minutes away here: whoever is not in the first goes on reading.
func TestDrainingGoesInWaves(t *testing.T) {
	t.Parallel()
	const streams, wave = 80, 20
	s := newSite(t, func(c *app.Config) {
		c.DrainGrace, c.DrainFor = 0, time.Hour
		c.StreamsPerAddress = streams
	})
	other := newNode(t, s.database) // a single node ends all at once
	ann := s.guest("Ann")
	elsewhere := other.visitor().stream("/rooms/parlor/stream?after=0")
	ann.say("parlor", "are you there?")
	elsewhere.until("are you there?")
	bob := other.guest("Bob")
	bob.say("parlor", "yes")
	looker := s.visitor()
	var open []*stream
	for range streams {
		st := looker.stream("/rooms/parlor/stream?after=0", "Accept-Encoding", "identity")
		st.until(">yes<")
		open = append(open, st)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.server.Drain(ctx)

	left, stayed := make(chan string, streams), make(chan bool, streams) // left: what each heard last
	for _, st := range open {
		go func() {
			last := ""
			for event := range st.events {
				if last = event; strings.Contains(event, "are some gone?") {
					stayed <- true
				}
			}
			left <- last
		}()
	}
	late := time.After(20 * time.Second)
	waits := make(map[string]bool)
	retry := regexp.MustCompile(`retry: (\d+)\n`)
	for i := range wave {
		select {
		case last := <-left:
			m := retry.FindStringSubmatch(last)
			if m == nil {
				t.Fatalf("the last word was %q", last)
			}
			waits[m[1]] = true
		case <-late:
			t.Fatalf("%d streams ended", i)
		}
	}
	if len(waits) < wave/2 {
		t.Errorf("the waits before they come back: %v", waits)
	}
	bob.say("parlor", "are some gone?")
	for i := range streams - wave {
		select {
		case <-stayed:
		case last := <-left:
			t.Fatalf("one more left: %q", last)
		case <-late:
			t.Fatalf("%d streams are left", i)
		}
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
	drainsWithin(t, s, 10*time.Second, st)
}

// threeWaves are the streams of so many lookers that they are sent away in
// three waves. Each has heard what.
func threeWaves(s *site, what string) []*stream {
	looker := s.visitor()
	var open []*stream
	for range 60 {
		st := looker.stream("/rooms/parlor/stream?after=0", "Accept-Encoding", "identity")
		st.until(what)
		open = append(open, st)
	}
	return open
}

// drainsWithin drains the site and waits until the streams end.
func drainsWithin(t *testing.T, s *site, most time.Duration, open ...*stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	s.server.Drain(ctx)
	if ctx.Err() != nil {
		t.Fatalf("draining took longer than %s", most)
	}
	for _, st := range open {
		st.ends()
	}
}

// Where there is no other node, nobody waits for a wave.
func TestSingleNodeDrainsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.DrainFor = time.Hour })
	drainsWithin(t, s, 20*time.Second, threeWaves(s, "cursor")...)
}

// Beside another node, too, all are gone when the time for it is over.
func TestTheLastWaveEndsInTime(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.DrainGrace, c.DrainFor = 0, 300*time.Millisecond })
	elsewhere := newNode(t, s.database).visitor().stream("/rooms/parlor/stream?after=0")
	s.guest("Ann").say("parlor", "are you there?")
	elsewhere.until("are you there?") // so this node knows of the other
	drainsWithin(t, s, 10*time.Second, threeWaves(s, "are you there?")...)
}
