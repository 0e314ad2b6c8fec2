package e2e

import (
	"fmt"
	"testing"
	"time"
)

// A network that carries nothing and closes nothing: sleep, NAT, a tunnel.
func TestASilentNetworkIsNoticed(t *testing.T) {
	t.Parallel()
	p := start(t)
	w := newWire(t, p)
	ann := guest(t, p.through(w.addr()), "Ann")
	bob := newClient(t, p, "Bob")
	bob.say("parlor", "before")
	ann.sees("before")
	_, err := ann.page.Eval(`() => { window.marker = 'mine' }`)
	ann.must(err)
	w.hush()
	bob.fillRoom("parlor", 30, "silent %d")
	ann.say("into the silence")
	// The connections that fell silent stay so for ever; new ones are fine. What
	// is said may be tried on several of the old ones first, 15 s each.
	w.wake()
	began := time.Now()
	for deadline := began.Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if got := stored(t, p, "parlor"); len(got) == 32 && len(ann.shown()) == 32 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %d stored, %d shown", time.Since(began), len(stored(t, p, "parlor")), len(ann.shown()))
		}
	}
	ann.until("the outbox is empty", outboxEmpty)
	ann.until("the banner is gone", offlineGone)
	ann.isEnd("parlor", 32)
	bob.say("parlor", fmt.Sprintf("live again after %s", time.Since(began).Round(time.Second)))
	ann.isEnd("parlor", 33)
	if ann.eval(`() => window.marker ?? ''`) != "mine" {
		t.Error("the page was loaded afresh")
	}
}
