package e2e

import (
	"fmt"
	"testing"

	"github.com/go-rod/rod"
)

// pretend makes the page believe that it is hidden, or shown. A page without
// a window never knows by itself.
const pretend = `hidden => {
	Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
	Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => hidden ? 'hidden' : 'visible'});
	document.dispatchEvent(new Event('visibilitychange'));
}`

func TestAHiddenTabStaysLive(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	bob := newClient(t, p, "Bob")
	_, err := ann.page.Eval(pretend, true)
	ann.must(err)
	for i := range 5 {
		bob.say("parlor", fmt.Sprintf("hidden %d", i))
	}
	ann.sees("hidden 4")
	for i := range 6 { // the ends of streams and the starts of others overlap
		_, err = ann.page.Eval(pretend, i%2 == 1)
		ann.must(err)
		bob.say("parlor", fmt.Sprintf("flicker %d", i))
	}
	ann.isEnd("parlor", 11)
}

func TestSevenTabsOfOneBrowserAllWork(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	pages := []*rod.Page{ann.page}
	for range 6 {
		pages = append(pages, ann.open("/rooms/parlor"))
	}
	on := func(i int) *person { ann.page = pages[i]; return ann }
	look := func(i int) *person { // keys reach the tab in front only
		_, err := on(i).page.Activate()
		ann.must(err)
		return ann
	}
	parked := `() => document.querySelector('.offline.quiet.shown')`
	for i := range 3 {
		on(i).until(fmt.Sprintf("tab %d says that it rests", i+1), parked)
	}
	look(6).say("from the seventh")
	for i := 3; i < 7; i++ {
		on(i).sees("from the seventh")
		on(i).until("it is awake", offlineGone)
	}
	// A resting tab hears nothing. To a tab that is awake that would mean that
	// the network fell silent; looked for every 5 s.
	for _, i := range []int{0, 1, 2, 6} {
		_, err := on(i).page.Eval(`() => {
			const now = Date.now;
			Date.now = () => now() + 60000;
			window.heard.streams = window.looked = 0;
			setInterval(() => window.looked++, 5000) }`)
		ann.must(err)
	}
	on(6).until("who is awake looks for the network", `() => window.heard.streams > 0`)
	for i := range 3 {
		on(i).until("it had the time to look for the network", `() => window.looked > 1`)
		on(i).shows("how often it opened its stream", `() => String(window.heard.streams)`, "0")
		_, err := on(i).page.Eval(`() => window.dispatchEvent(new Event('online'))`)
		ann.must(err)
		on(i).shows("how often when the network came back", `() => String(window.heard.streams)`, "0")
	}

	newClient(t, p, "Bob").fillRoom("parlor", 20, "bob %d")
	for i := range 3 {
		if got := on(i).texts(); len(got) != 0 {
			t.Errorf("tab %d rests, but shows %v", i+1, got)
		}
	}
	// Whoever looks at a resting tab wakes it; another one rests instead.
	_, err := on(0).page.Eval(`() => window.dispatchEvent(new Event('focus'))`)
	ann.must(err)
	on(0).isEnd("parlor", 21)
	on(0).until("it is awake", offlineGone)
	on(3).until("the fourth rests now", parked)
	look(0).say("from the first")
	on(6).sees("from the first")
	for i := range 7 {
		_, err := on(i).page.Eval(pretend, false) // looked at, one after the other
		ann.must(err)
		on(i).isEnd("parlor", 22)
	}
}
