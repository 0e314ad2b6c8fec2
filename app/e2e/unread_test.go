package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"

	"parlor/db"
)

// What a list says of the first room.
const (
	number = `() => document.querySelector('#hall-1 .unread, #card-1 .unread').textContent`
	mark   = `() => document.querySelector('#log .said[data-new]')?.closest('article').querySelector('.body').innerText.trim() ?? ''`
)

// turnTo brings another tab to the front.
func (v *person) turnTo(page *rod.Page) {
	v.t.Helper()
	_, err := page.Activate()
	v.must(err)
	v.page = page
}

// stir moves the mouse: a sign of somebody.
func (v *person) stir() {
	v.t.Helper()
	for _, x := range []float64{300, 320, 340} {
		v.must(v.page.Mouse.MoveTo(proto.Point{X: x, Y: 300}))
	}
}

// reads looks at the first room until the server knows that all of it is read.
func (v *person) reads() {
	v.t.Helper()
	me := v.eval(`() => document.querySelector('link[href*="/own.css"]').getAttribute('href').split('/')[2]`)
	db, err := sql.Open("postgres", v.p.database)
	v.must(err)
	defer db.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		v.stir()
		var read bool
		v.must(db.QueryRow(`select exists (
			select from memberships b join rooms r on r.id = b.room_id where r.slug = 'parlor' and b.person_id = $1 and b.known = r.said)`, me).Scan(&read))
		if read {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatal("the server never knew that it is read")
		}
	}
}

// hide has the page believe that nobody sees it, or that somebody does again.
// Headless tabs are always visible.
func (v *person) hide(hidden bool) {
	v.t.Helper()
	_, err := v.page.Eval(`hidden => {
		Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
		document.dispatchEvent(new Event('visibilitychange')) }`, hidden)
	v.must(err)
}

// shows waits for what an expression says.
func (v *person) shows(what, js, want string) {
	v.t.Helper()
	v.until(fmt.Sprintf("%s is %q", what, want), `want => (`+js+`)() === want`, want)
}

func TestUnreadIsCountedMarkedAndRead(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("parlor", "before")
	bob.sees("before")
	bob.reads()
	room := bob.page
	lobby := bob.open("/")
	bob.shows("the number", number, "")

	// Bob looks elsewhere. Who comes and goes does not count, messages do.
	bob.turnTo(room)
	bob.hide(true)
	guest(t, p, "Carol")
	for i := range 3 {
		ann.say("parlor", fmt.Sprint("new ", i))
	}
	bob.turnTo(lobby)
	bob.shows("the number in the lobby", number, "3")
	bob.turnTo(room)
	bob.shows("the number in the hall", number, "3")
	bob.until("the title counts", `() => document.title === '(3) Parlor · Parlor'`)
	bob.until("the icon has a dot", `() => document.querySelector('link[rel=icon]').href.includes('favicon-new')`)

	// Nothing is read while nobody looks, whatever moves.
	bob.stir()
	// He comes back: the divider is there, and stays while he reads.
	bob.hide(false)
	bob.shows("the divider is above", mark, "new 0")
	bob.stir()
	bob.shows("the number", number, "")
	bob.until("the title is plain", `() => document.title === 'Parlor · Parlor'`)
	bob.shows("the divider is still above", mark, "new 0")
	ann.say("parlor", "while he reads")
	bob.sees("while he reads")
	bob.stir()
	bob.shows("the divider does not move", mark, "new 0")
	bob.say("my own words")
	bob.sees("my own words")
	bob.shows("own words are not unread", number, "")

	// When he leaves and comes back it is gone.
	bob.hide(true)
	bob.hide(false)
	bob.shows("the divider", mark, "")
	bob.turnTo(lobby)
	bob.shows("the number in the lobby", number, "")
}

func TestMarkUnreadFromHereHoldsUntilOneComesBack(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	for i := range 4 {
		ann.say("parlor", fmt.Sprint("message ", i))
	}
	bob.sees("message 3")
	bob.reads()
	first := bob.page
	second := bob.open("/rooms/parlor")
	bob.stir()
	bob.turnTo(first)
	bob.until("the page knows that it is read", `() => document.querySelector('[data-attr\\:data-mark]').dataset.mark === '-1'`)
	bob.menu(2, `form[action$="/unread"] button`)
	bob.shows("the number", number, "3")
	bob.shows("the divider is above", mark, "message 1")
	bob.stir()
	bob.page = second // in the background: to turn to it would be to come back
	bob.shows("the number", number, "3")
	bob.shows("the divider is above", mark, "message 1")
	bob.page = first
	ann.say("parlor", "one more")
	bob.shows("nothing is read by that", number, "4")
	bob.hide(true)
	bob.hide(false)
	bob.shows("the divider is still above", mark, "message 1")
	bob.stir()
	bob.shows("the number", number, "")
}

func TestJumpToFirstUnread(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("parlor", "the last one that Bob read")
	bob.sees("the last one that Bob read")
	bob.reads()
	bob.must(bob.page.Navigate("about:blank"))
	for i := range 30 {
		ann.say("parlor", fmt.Sprintf("message %02d", i))
	}
	bob.goTo("/rooms/parlor")
	bob.shows("the divider is above", mark, "message 00")
	bob.until("a way up", `() => document.querySelector('#catch-up.shown')?.innerText.includes('30 new')`)
	// It stays while messages come in: somebody may be about to click it.
	_, err := bob.page.Eval(`() => {
		window.gone = 0;
		const up = document.querySelector('#catch-up');
		new MutationObserver(() => up.matches('.shown') || window.gone++).observe(up, {attributeFilter: ['class']}) }`)
	bob.must(err)
	ann.say("parlor", "while it is there")
	bob.sees("while it is there")
	bob.shows("how often the way up was gone", `() => String(window.gone)`, "0")
	bob.click("#catch-up")
	bob.until("there it is", `() => { const r = document.querySelector('#log .said[data-new]').getBoundingClientRect(); return r.top > 0 && r.bottom < innerHeight }`)
	bob.until("no way up any more", `() => !document.querySelector('#catch-up.shown')`)

	// On a page further back.
	_, err = bob.page.Eval(`() => { document.querySelector('#scroll').scrollTop = 0 }`)
	bob.must(err)
	bob.reads()
	bob.shows("the number", number, "")
	bob.must(bob.page.Navigate("about:blank"))
	for i := range 70 {
		ann.say("parlor", fmt.Sprintf("more %02d", i))
	}
	bob.goTo("/rooms/parlor")
	bob.until("a way up", `() => document.querySelector('#catch-up.shown')?.innerText.includes('70 new')`)
	bob.click("#catch-up")
	bob.until("the page with the first one", `() => location.search.startsWith('?after=')`)
	bob.shows("the divider is above", mark, "more 00")

	// Whoever says something goes to the end, and has read what is there: from a
	// page further back, and from further up on the newest.
	bob.must(bob.page.Navigate("about:blank"))
	ann.fillRoom("parlor", 60, "and more %02d")
	bob.goTo("/rooms/parlor/messages/1")
	unread := func() {
		t.Helper()
		bob.until("some are unread", `() => document.querySelector('#hall-1 .unread').textContent > 0 && document.title.startsWith('(')`)
	}
	unread()
	bob.say("from further back")
	bob.sees("from further back")
	bob.shows("the number", number, "")
	bob.until("the title is plain", `() => document.title === 'Parlor · Parlor'`)
	_, err = bob.page.Eval(`() => { document.querySelector('#log > article').scrollIntoView() }`)
	bob.must(err)
	bob.until("not at the end", `() => !document.querySelector('.scroll.at-end')`)
	ann.say("parlor", "while he is further up")
	unread()
	bob.say("from further up")
	bob.sees("from further up")
	bob.shows("the number", number, "")
}

func TestDraftFollowsToAnotherDevice(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	desk := ann.page
	phone := ann.open("/rooms/parlor")
	typed := `() => document.querySelector('#message').value`
	ann.turnTo(desk)
	ann.fill("#message", "half a thought")
	ann.turnTo(phone)
	ann.shows("what was typed on the desk", typed, "half a thought")
	ann.fill("#message", ", and more")
	ann.turnTo(desk)
	ann.shows("what was typed on the phone", typed, "half a thought, and more")
	ann.until("the tab has nothing to remember", `() => Object.keys(sessionStorage).filter(k => k.startsWith('composer/')).every(k => JSON.parse(sessionStorage[k])[1] === '')`)
	_, err := ann.page.Eval(`() => { window.beforeReload = true }`)
	ann.must(err)
	ann.reload()
	ann.shows("after a reload", typed, "half a thought, and more")
	ann.find("#message")
	ann.must(ann.find("#message").Focus())
	ann.press(input.Enter)
	ann.sees("half a thought, and more")
	ann.shows("sent", typed, "")
	ann.turnTo(phone)
	ann.shows("sent on the other device", typed, "")
	ann.open("/rooms/parlor")
	ann.shows("sent for good", typed, "")
}

func TestCallRingsOnceWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	resp := ann.post("/rooms/parlor/read", url.Values{})
	resp.Body.Close()
	store, err := db.Open(context.Background(), p.database, db.Options{Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	who := func(nickname string) (id int64) {
		t.Helper()
		if err := store.DB.Get(&id, `select id from people where nickname = $1`, nickname); err != nil && err != sql.ErrNoRows {
			t.Fatal(err)
		}
		return id
	}
	call := func(body string) {
		t.Helper()
		if _, err := store.Say(context.Background(), 1, db.Post{AuthorID: who("Ann"), Nonce: nonce(), Text: db.Text{
			Body: body, Mentions: []db.Mention{{PersonID: who("Bob")}}}}); err != nil {
			t.Fatal(err)
		}
		ann.say("parlor", "after "+body)
		ann.post("/presence", url.Values{}).Body.Close()
	}
	// The system's notifications are the test's own here.
	const stub = `() => { window.rung = [];
		window.Notification = class { constructor(title, options) { rung.push(title + ': ' + options.body) } static requestPermission() { return Promise.resolve('granted') } };
		addEventListener('ring', () => rung.push('sound')) }`
	first := bob.page
	second := bob.open("/")
	_, err = bob.page.Eval(stub)
	bob.must(err)
	bob.turnTo(first)
	_, err = bob.page.Eval(stub)
	bob.must(err)
	bob.hide(true)
	rung := `() => rung.join(', ')`
	call("not asked for")
	// What was said past the program is found when a page of Bob's tells of
	// something.
	save := func() {
		_, err := bob.page.Eval(`() => fetch('/rooms/parlor/draft', {method: 'POST', headers: {'Content-Type': 'application/json', Accept: 'application/json'},
			body: JSON.stringify({body: String(Math.random()), tab: 'test', n: Date.now()})})`)
		bob.must(err)
	}
	save()
	bob.until("the inbox counts", `() => document.querySelector('.inbox .calls').textContent === '1'`)
	bob.shows("rung", rung, "")
	bob.click(".acts .ask")
	_, err = bob.page.Eval(`() => { const s = document.querySelector('#ring'); s.value = 'sound'; s.dispatchEvent(new Event('change', {bubbles: true})) }`)
	bob.must(err)
	bob.shows("rung for a try", rung, "sound")
	bob.turnTo(second)
	bob.hide(true)
	call("listen")
	save()
	bob.until("the inbox counts", `() => document.querySelector('.inbox .calls').textContent === '2'`)
	// The tabs agree within a moment on who rings.
	rang := func() string {
		bob.t.Helper()
		bob.until("the tabs have agreed", `() => { window.since ??= Date.now(); return Date.now() - since > 2500 }`)
		return bob.eval(rung)
	}
	inLobby := rang()
	bob.turnTo(first)
	bob.until("the inbox counts", `() => document.querySelector('.inbox .calls').textContent === '2'`)
	const once = "Ann · Parlor: listen, sound"
	if inRoom := rang(); (inLobby != once || inRoom != "sound") && (inLobby != "" || inRoom != "sound, "+once) {
		t.Errorf("rung: %q in the lobby, %q in the room", inLobby, inRoom)
	}

	// The inbox shows it, and learns at once that another came.
	bob.hide(false)
	bob.turnTo(second)
	bob.goTo("/inbox")
	bob.until("two calls", `() => document.querySelectorAll('#inbox li .new-call').length === 2`)
	call("a third")
	save()
	bob.until("three calls", `() => document.querySelectorAll('#inbox li .new-call').length === 3`)
}

func TestLevelsOfARoom(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("parlor", "one")
	bob.sees("one")
	bob.reads()
	room := bob.page
	lobby := bob.open("/")
	bob.turnTo(room)
	bob.hide(true)
	ann.say("parlor", "two")
	bob.shows("the number", number, "1")
	set := func(level string) {
		bob.t.Helper()
		_, err := bob.page.Eval(`level => document.querySelector('.levels [value=' + level + ']').click()`, level)
		bob.must(err)
		bob.until("the bell says "+level, `level => document.querySelector('.levels [value=' + level + ']').getAttribute('aria-pressed') === 'true'`, level)
	}
	set("none")
	bob.shows("the number", number, "")
	bob.until("the title is plain", `() => document.title === 'Parlor · Parlor'`)
	set("hidden")
	bob.turnTo(lobby)
	bob.until("not listed", `() => !document.querySelector('#card-1').checkVisibility()`)
	bob.turnTo(room)
	set("all")
	bob.shows("the number", number, "1")
	bob.turnTo(lobby)
	bob.until("listed", `() => document.querySelector('#card-1').checkVisibility()`)
}
