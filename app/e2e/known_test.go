package e2e

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/input"
)

// Two tabs, the room and the lobby: what somebody says themselves and what is
// deleted never counts, whether anything is unread or not.
func TestOwnAndDeletedMessagesAreNotNew(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("parlor", strings.Repeat("a long story\n", 100))
	ann.say("parlor", "before")
	bob.sees("before")
	bob.reads()
	room := bob.page
	lobby := bob.open("/")
	bob.turnTo(room)
	bob.hide(true)

	both := func(want string) {
		bob.t.Helper()
		for _, page := range []struct {
			what string
			*person
		}{{"room", bob}, {"lobby", &person{t: bob.t, p: bob.p, page: lobby}}} {
			page.shows("the number in the "+page.what, number, want)
		}
	}
	slip := ann.say("parlor", "a slip")
	both("1")
	own := func(body string) {
		bob.t.Helper()
		_, err := bob.page.Eval(`(body, nonce) => fetch('/rooms/parlor/messages', {method: 'POST', headers: {Accept: 'application/json'},
			body: new URLSearchParams({body, nonce})})`, body, nonce())
		bob.must(err)
		bob.sees(body)
	}
	remove := func(seq int64) {
		bob.t.Helper()
		ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", seq), url.Values{}).Body.Close()
	}
	own("said by my program")
	meant := ann.say("parlor", "@Bob what I meant")
	both("2")
	bob.shows("called", `() => document.querySelector('#hall-1 .calls').textContent`, "1")
	bob.until("the title counts", `() => document.title === '(2) Parlor · Parlor'`)
	remove(slip)
	both("1")
	bob.until("the title counts", `() => document.title === '(1) Parlor · Parlor'`)

	// Whoever comes back finds the line above what others said.
	bob.hide(false)
	bob.shows("the divider is above", mark, "@Bob what I meant")
	bob.shows("it says", `() => document.querySelector('.said[data-new]').dataset.new`, "1 new")
	bob.stir()
	both("")
	bob.shows("called", `() => document.querySelector('#hall-1 .calls').textContent`, "")
	bob.until("the icon is plain", `() => !document.querySelector('link[rel=icon]').href.includes('favicon-new')`)

	// Elsewhere in the room: what is new below.
	_, err := bob.page.Eval(`() => { document.querySelector('#scroll').scrollTop = -600 }`)
	bob.must(err)
	bob.shows("the pill", pillText, "To the newest ↓")
	own("from my program again")
	bob.shows("the pill after own words", pillText, "To the newest ↓")
	first := ann.say("parlor", "first")
	bob.shows("the pill", pillText, "1 new below ↓")
	own("and again")
	second := ann.say("parlor", "second")
	bob.shows("the pill", pillText, "2 new below ↓")
	remove(first)
	bob.shows("the pill", pillText, "1 new below ↓")
	both("1")

	// The line counts what is still there while he looks at it, and nothing of
	// what comes later.
	third := ann.say("parlor", "third")
	both("2")
	database, err := sql.Open("postgres", p.database)
	bob.must(err)
	defer database.Close()
	_, err = database.Exec(`update messages set said_at = said_at - interval '1 hour' where seq >= $1`, second)
	bob.must(err)
	bob.hide(true)
	bob.hide(false)
	bob.shows("the divider is above", mark, "second")
	bob.until("it says since when", `() => document.querySelector('.said[data-new]').dataset.new.startsWith('2 new since ')`)
	ann.say("parlor", "later")
	own("my own, below the line")
	remove(meant) // which is above it
	remove(second)
	bob.shows("the divider is above", mark, "third")
	bob.shows("it says", `() => document.querySelector('.said[data-new]').dataset.new`, "1 new")
	remove(third)
	bob.shows("no divider", mark, "")
	both("1")
}

// Nothing is read without a sign of somebody since the page was opened, nor out
// of sight of the end.
func TestReadingTakesASignAndTheEnd(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("parlor", "before")
	bob.sees("before")
	bob.reads()
	bob.must(bob.page.Navigate("about:blank"))
	for i := range 40 {
		ann.say("parlor", fmt.Sprint("message ", i))
	}
	bob.goTo("/rooms/parlor")
	bob.sees("message 39")
	bob.shows("nothing is read by opening the page", number, "40")
	ann.say("parlor", "one more")
	bob.sees("one more")
	bob.shows("nor by what comes", number, "41")

	_, err := bob.page.Eval(`() => { document.querySelector('#scroll').scrollTop = -1e6 }`)
	bob.must(err)
	bob.until("the end is out of sight", `() => !document.querySelector('.scroll.at-end')`)
	told := `() => performance.getEntriesByType('resource').some(r => r.name.endsWith('/presence'))`
	bob.stir()
	bob.until("the sign was noticed", told)
	ann.say("parlor", "below")
	bob.shows("nor elsewhere in the room", number, "42")

	bob.goTo("/rooms/parlor")
	bob.until("the end is in sight", `() => document.querySelector('.scroll.at-end')`)
	bob.stir()
	bob.shows("the number", number, "")
}

func TestHallShowsNumbersWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := newClient(t, p, "Ann")
	bob := without(t, p)
	bob.write("input[name=nickname]", "Bob", false)
	bob.mark()
	bob.press(input.Enter)
	bob.arrived("signed in")
	bob.visit("/rooms/parlor")
	bob.follow(`form[action$="/read"] button`)
	ann.say("parlor", "one")
	ann.say("parlor", "@Bob two")
	const shown = `() => ['#hall-1 .unread', '#hall-1 .calls', '.hall .inbox .calls'].map(of => {
		const el = document.querySelector(of); return getComputedStyle(el).display + getComputedStyle(el, '::before').content }).concat(document.querySelector('.hall').offsetLeft).join()`
	const want = `block"2",block"@1",block"1",0`
	for deadline := time.Now().Add(20 * time.Second); bob.eval(shown) != want; bob.visit("/rooms/parlor") { // lists are a second old
		if time.Now().After(deadline) {
			t.Fatalf("shown: %s", bob.eval(shown))
		}
	}
	bob.picture("hall-without-script")
}
