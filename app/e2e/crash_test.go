package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/input"
)

const (
	offlineShown = `() => document.querySelector('.offline.shown:not(.quiet)')`
	offlineGone  = `() => document.querySelector('.offline') && !document.querySelector('.offline.shown')`
	outboxEmpty  = `() => !document.querySelector('#outbox > *')`
)

func TestAKilledServerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	for _, v := range []*person{ann, bob} {
		_, err := v.page.Eval(`() => { window.marker = 'mine' }`)
		v.must(err)
	}
	bob.fill("#composer textarea", "half a thou")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := newClient(t, p, "Carol")
	stop, posted := make(chan struct{}), make(chan error, 1)
	n := 0
	go func() {
		for {
			select {
			case <-stop:
				posted <- nil
				return
			case <-time.After(20 * time.Millisecond):
			}
			n++
			if err := c.insist(ctx, "parlor", fmt.Sprintf("carol %d", n)); err != nil {
				posted <- err
				return
			}
		}
	}()
	ann.say("before")
	ann.sees("before")
	bob.sees("before")

	// A short one: up again at once.
	p.end(syscall.SIGKILL)
	p.run()
	ann.until("more arrives", `() => document.querySelector('#log > article:last-child .body').innerText.startsWith('carol')`)
	ann.say("between")
	bob.sees("between")

	// A long one.
	p.end(syscall.SIGKILL)
	ann.say("while down")
	ann.until("it stands as waiting", `() => document.querySelector('#outbox .pending.waiting .body')?.innerText === 'while down'`)
	if got := ann.eval(`() => document.querySelector('#composer textarea').value`); got != "" {
		t.Errorf("the composer still holds %q", got)
	}
	ann.fill("#composer textarea", "and a dra")
	for _, v := range []*person{ann, bob} {
		v.until("the page tells that the connection is lost", offlineShown)
	}
	ann.must(ann.page.InsertText("ft"))
	p.run()
	for _, v := range []*person{ann, bob} {
		v.until("the banner goes away", offlineGone)
	}
	ann.until("what waited is stored", outboxEmpty)
	bob.sees("while down")
	close(stop)
	if err := <-posted; err != nil {
		t.Fatal(err)
	}
	for _, v := range []*person{ann, bob} {
		v.isEnd("parlor", min(n+3, 300)) // a page keeps 300; on a slow machine Carol says more
		if v.eval(`() => window.marker ?? ''`) != "mine" {
			t.Error("the page was loaded afresh")
		}
	}
	for v, want := range map[*person]string{ann: "and a draft", bob: "half a thou"} {
		if got := v.eval(`() => document.querySelector('#composer textarea').value`); got != want {
			t.Errorf("the draft is %q, was %q", got, want)
		}
	}
	counts := make(map[string]int)
	for _, r := range stored(t, p, "parlor") {
		counts[r.Body]++
	}
	for body, times := range counts {
		if times != 1 {
			t.Errorf("%q is stored %d times", body, times)
		}
	}
	for i := 1; i <= n; i++ {
		if counts[fmt.Sprintf("carol %d", i)] != 1 {
			t.Errorf("carol %d is lost", i)
		}
	}
}

func TestWhatWaitsIsSentInOrderAndTheComposerStaysFree(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	p.end(syscall.SIGKILL)
	for i := range 4 {
		ann.say(fmt.Sprintf("in order %d", i))
	}
	ann.until("all four stand below the log", `() => document.querySelectorAll('#outbox .pending').length === 4`)
	p.run()
	ann.until("all are stored", outboxEmpty)
	if got, want := fmt.Sprint(ann.texts()), "[in order 0 in order 1 in order 2 in order 3]"; got != want {
		t.Errorf("the page shows %s", got)
	}
}

// A server that stores a message and dies before it can say so.
func TestAnAnswerThatIsLostDoesNotDoubleTheMessage(t *testing.T) {
	t.Parallel()
	p := start(t)
	w := newWire(t, p)
	ann := guest(t, p.through(w.addr()), "Ann")
	bob := guest(t, p, "Bob")
	w.hush() // requests vanish, and so do answers
	ann.say("once only")
	ann.until("it is on its way", `() => document.querySelector('#outbox .pending')`)
	w.cut()
	w.speak()
	ann.until("it waits", `() => document.querySelector('#outbox .pending.waiting')`)
	w.join()
	bob.sees("once only")
	ann.sees("once only")
	ann.until("the outbox is empty", outboxEmpty)
	if got := stored(t, p, "parlor"); len(got) != 1 {
		t.Errorf("stored: %v", got)
	}
}

func TestWhatWasRefusedIsKeptOverAReload(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.allow("status of 422", "status of 413")
	long := strings.TrimSpace(strings.Repeat("too long ", 17<<10/9+1))
	ann.say(long)
	failed := `() => document.querySelector('#outbox .pending.failed .state')?.innerText.includes('too long')`
	ann.until("it is refused, and why", failed)
	ann.say("short enough")
	ann.sees("short enough")
	ann.fill("#composer textarea", "draft")
	_, err := ann.page.Eval(`() => { window.beforeReload = true }`)
	ann.must(err)
	ann.reload()
	ann.until("it is still there", failed)
	if got := ann.eval(`() => document.querySelector('#composer textarea').value`); got != "draft" {
		t.Errorf("the draft after the reload is %q", got)
	}
	buttons := `() => [...document.querySelectorAll('#outbox .pending button')].filter(b => b.checkVisibility()).map(b => b.innerText).join(', ')`
	if got := ann.eval(buttons); got != "Edit again, Discard" { // to send it again would not help
		t.Errorf("buttons: %s", got)
	}
	ann.click("#outbox .pending button:nth-of-type(2)")
	ann.until("it is in the composer, before what was typed meanwhile", `text =>
		document.querySelector('#composer textarea').value === text + '\ndraft'`, long)
	ann.until("and not below the log", outboxEmpty)
	_, err = ann.page.Eval(`() => { const t = document.querySelector('#composer textarea'); t.focus(); t.select() }`)
	ann.must(err)
	ann.press(input.Backspace)
	ann.say("in parts")
	ann.sees("in parts")
	if got, want := fmt.Sprint(ann.texts()), "[short enough in parts]"; got != want {
		t.Errorf("the page shows %s", got)
	}
	if got := stored(t, p, "parlor"); len(got) != 2 || !slices.Equal(got, ann.shown()) {
		t.Errorf("stored: %v", got)
	}
}
