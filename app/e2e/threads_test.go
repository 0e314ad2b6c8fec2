package e2e

import (
	"database/sql"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/input"
)

// execute changes the program's database behind its back.
func (p *program) execute(statement string, args ...any) {
	p.t.Helper()
	conn, err := sql.Open("postgres", p.database)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Exec(statement, args...); err != nil {
		p.t.Fatal(err)
	}
}

// promised waits until what the expression promises is true.
func (v *person) promised(what, js string, args ...any) {
	v.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		res, err := v.page.Eval(js, args...)
		v.must(err)
		if res.Value.Bool() {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("never: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const composed = `() => document.querySelector('#message').value`

func TestTheDraftOfAThreadIsKeptByItself(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("the beginning")
	bob.sees("the beginning")
	room := bob.page
	bob.fill("#message", "for the room")
	desk := bob.open("/rooms/parlor/messages/1/thread")
	bob.shows("the thread's composer", composed, "")
	bob.fill("#message", "half an answer")
	phone := bob.open("/rooms/parlor")
	for _, page := range []string{"/rooms/parlor/messages/1/thread", "/rooms/parlor"} {
		want := map[bool]string{true: "for the room", false: "half an answer"}[page == "/rooms/parlor"]
		bob.promised("the server has what is typed in "+page, `async (page, want) => new DOMParser().parseFromString(await (await fetch(page)).text(), 'text/html')
			.querySelector('#message').value === want`, page, want)
	}
	bob.goTo("/rooms/parlor/messages/1/thread")
	bob.shows("on another device", composed, "half an answer")
	bob.must(bob.find("#message").Focus())
	bob.press(input.End)
	bob.must(bob.page.InsertText(", and the rest"))
	bob.turnTo(desk)
	bob.shows("what was typed there comes here", composed, "half an answer, and the rest")
	bob.reload()
	bob.shows("after a reload", composed, "half an answer, and the rest")
	bob.turnTo(room)
	bob.shows("the room's composer", composed, "for the room")
	bob.turnTo(phone)
	bob.must(bob.find("#message").Focus())
	bob.press(input.Enter)
	ann.sees("half an answer, and the rest")
	bob.turnTo(desk)
	bob.shows("what was said is no draft", composed, "")
	bob.turnTo(room)
	bob.sees("half an answer, and the rest")
	bob.shows("the room's composer still", composed, "for the room")
}

func TestAThreadTellsWhatARoomTells(t *testing.T) {
	t.Parallel()
	p := start(t)
	maker := newClient(t, p, "Maker")
	maker.post("/rooms", url.Values{"name": {"Garden"}}).Body.Close()
	root := maker.say("garden", "the beginning")
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.goTo("/rooms/garden")
	bob.goTo("/rooms/garden")
	bob.stir()
	bob.promised("Bob has read it", `async () => !(await (await fetch('/rooms/garden/since', {headers: {Accept: 'application/json'}})).json()).new &&
		performance.getEntriesByType('resource').some(e => e.name.endsWith('/garden/read'))`)
	thread := fmt.Sprintf("/rooms/garden/messages/%d/thread", root)
	bob.goTo(thread)

	// Signs of Bob: he is there, and that says nothing about the room.
	bob.stir()
	bob.until("the server hears of him", `() => performance.getEntriesByType('resource').some(e => e.name.endsWith('/presence'))`)
	ann.say("one")
	ann.say("two")
	bob.until("the title counts", `() => document.title === '(2) Thread · Garden · Parlor'`)
	bob.until("the icon has a dot", `() => document.querySelector('link[rel=icon]').href.includes('favicon-new')`)
	bob.stir()
	maker.post("/rooms/garden", url.Values{"name": {"Orchard"}}).Body.Close()
	bob.until("the title follows the room's name", `() => document.title === '(2) Thread · Orchard · Parlor'`)
	bob.until("and the head", `() => document.querySelector('.in-thread .topic a').innerText === 'in Orchard'`)
	if bob.number(`() => performance.getEntriesByType('resource').some(e => e.name.endsWith('/read')) ? 1 : 0`) == 1 {
		t.Error("what is said in the room counts as read")
	}

	// Who types.
	ann.fill("#message", "I am writ")
	const typing = `() => document.querySelector('#typing')?.checkVisibility() && document.querySelector('#typing b')?.innerText === 'Ann' ? 1 : 0`
	for deadline := time.Now().Add(patience); bob.number(typing) == 0; { // only now and then it is told
		if time.Now().After(deadline) {
			t.Fatal("Bob does not see that Ann types")
		}
		ann.must(ann.page.InsertText("."))
	}
	ann.press(input.Enter)

	// The arrow up opens one's last words of the thread.
	bob.say("from the thread")
	bob.sees("from the thread")
	bobs := newClient(t, p, "Carol")
	bobs.say("orchard", "beside it")
	bob.until("his last words", `() => { const t = document.querySelector('#message'); t.focus(); return !t.value && document.querySelector('.scroll.at-end') }`)
	bob.press(input.ArrowUp)
	bob.hasFocus("#editing textarea")
	bob.shows("which", `() => document.querySelector('#editing textarea').value`, "from the thread")
	bob.press(input.Escape)
	bob.hasFocus("#message")

	// The bell rings here, too.
	_, err := bob.page.Eval(`() => { window.rung = [];
		window.Notification = class { constructor(title, options) { rung.push(title + ': ' + options.body) } static requestPermission() { return Promise.resolve('granted') } } }`)
	bob.must(err)
	bob.click(".in-thread header > .ask")
	bob.until("the bell opens", `() => document.querySelector('#bell:popover-open')`)
	bob.picture("thread-bell")
	_, err = bob.page.Eval(`() => { const s = document.querySelector('#ring'); s.value = 'on'; s.dispatchEvent(new Event('change', {bubbles: true})) }`)
	bob.must(err)
	bob.until("it is set", `() => Object.keys(localStorage).some(key => key.startsWith('bell/'))`)
	bob.press(input.Escape)
	bob.hide(true)
	maker.say("orchard", "@Bob listen")
	bob.shows("rung", `() => rung.join()`, "Maker · Orchard: @Bob listen")
	bob.picture("thread-page")
}

// With each request to the address, the page believes that the answer is lost,
// as often as is said; the server has it.
const lose = `(end, times) => { const real = window.fetch; window.lost = 0;
	window.fetch = async (...args) => { const answer = await real(...args);
		if (String(args[0]).includes(end) && times-- > 0) { lost++; throw new TypeError('lost') }
		return answer } }`

func TestAReactionIsSentAgainAndMeansTheSame(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.allow("lost")
	ann.say("hello")
	bob.tool("hello", "/react")
	bob.click(`dialog.picker .quick button[value="🎉"]`)
	ann.reactions(1, "🎉 1: Bob")
	_, err := ann.page.Eval(lose, "/reactions", 1)
	ann.must(err)
	ann.click(`#m-1 .reactions button[value="🎉"]`)
	ann.until("the answer was lost", `() => window.lost === 1`)
	ann.until("and asked for again", `() => performance.getEntriesByType('resource').filter(e => e.name.includes('/reactions')).length >= 2`)
	for _, v := range []*person{ann, bob} {
		v.reactions(1, "🎉 2: Bob, Ann, yours")
	}
	// A double click is one wish.
	_, err = ann.page.Eval(`() => { const chip = document.querySelector('#m-1 .reactions button[value="🎉"]'); chip.click(); chip.click() }`)
	ann.must(err)
	ann.reactions(1, "🎉 1: Bob")
	bob.reactions(1, "🎉 1: Bob, yours")
	ann.say("after it")
	bob.sees("after it")
	bob.reactions(1, "🎉 1: Bob, yours")
	// What is refused is said.
	p.execute(`update messages set deleted_at = now() where seq = 1`)
	ann.click(`#m-1 .reactions button[value="🎉"]`)
	ann.until("a sentence", `() => document.querySelector('dialog[open]')?.innerText.includes('deleted')`)
}

func TestOnesOwnReactionAmongMoreThanAHundred(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("hello")
	bob.sees("hello")
	ann.tool("hello", "/react")
	ann.click(`dialog.picker .quick button[value="🎉"]`)
	bob.reactions(1, "🎉 1: Ann")
	p.execute(`
		with crowd as (
		    insert into people (nickname, hue, held_until, created_at) select 'crowd ' || n, 1, now(), now() from generate_series(1, 100) as n returning id),
		given as (
		    insert into reactions (room_id, seq, emoji, person_id, reacted_at) select 1, 1, '🎉', id, now() from crowd),
		moved as (update rooms set rev = rev + 1 where id = 1 returning rev)
		update messages set reactions = 101, rev = moved.rev from moved where room_id = 1 and seq = 1`)
	bob.say("everybody is here")
	mine := `() => { const chip = document.querySelector('#m-1 .reactions button'); return chip.querySelector('b').innerText + ' ' + (getComputedStyle(chip).boxShadow !== 'none') + ' ' +
		(getComputedStyle(chip.querySelector('.mine')).display !== 'none') }`
	if people := ann.eval(`() => document.querySelector('#m-1 .reactions button').dataset.people.split(' ').length + ''`); people != "100" && people != "1" {
		t.Errorf("%s people are named", people)
	}
	ann.shows("live", mine, "101 true true")
	bob.shows("live", mine, "101 false false")
	room := ann.page
	other := ann.open("/rooms/parlor")
	ann.shows("after a fresh look", mine, "101 true true")
	ann.picture("crowd")
	ann.turnTo(room)
	ann.click("#m-1 .reactions button")
	ann.shows("taken back", mine, "100 false false")
	bob.shows("taken back", mine, "100 false false")
	ann.turnTo(other)
	ann.shows("taken back, in another tab", mine, "100 false false")
	bob.click("#m-1 .reactions button")
	bob.shows("given", mine, "101 true true")
	ann.shows("given by another", mine, "101 false false")
}

func TestWhatWasRefusedIsDiscarded(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.allow("422")
	ann.fill("#message", "/nope")
	ann.promised("the server keeps it as a draft", `async () => (await (await fetch('/rooms/parlor')).text()).includes('/nope</textarea>')`)
	ann.press(input.Enter)
	ann.until("it is refused", `() => document.querySelector('#outbox .pending.failed')`)
	ann.say("meanwhile")
	bob.sees("meanwhile")
	ann.picture("refused")
	for range 20 {
		ann.must(ann.page.KeyActions().Press(input.ShiftLeft).Type(input.Tab).Release(input.ShiftLeft).Do())
		if ann.number(`() => document.activeElement.matches('#outbox [name=discard]') ? 1 : 0`) == 1 {
			break
		}
	}
	ann.hasFocus("#outbox [name=discard]")
	ann.press(input.Enter)
	ann.until("it is gone", outboxEmpty)
	ann.hasFocus("#message")
	ann.promised("the server keeps nothing", `async () => !(await (await fetch('/rooms/parlor')).text()).includes('/nope')`)
	ann.say("afterwards")
	bob.sees("afterwards")
	ann.reload()
	ann.shows("the composer after a reload", composed, "")
	ann.until("and the outbox", outboxEmpty)
	ann.open("/rooms/parlor")
	ann.shows("the composer in another tab", composed, "")
	if got := fmt.Sprint(bob.texts()); got != "[meanwhile afterwards]" {
		t.Errorf("Bob reads %s", got)
	}
}

func TestFocusGoesOnWhereSomethingWent(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	for i := range 3 {
		bob.say(fmt.Sprint("pin ", i+1))
		ann.sees(fmt.Sprint("pin ", i+1))
		ann.menu(int64(2*i+1), `form[action$="/pin"] button`) // to pin takes a number, too
		bob.until("pinned", `n => document.querySelector('#m-' + n + ' .pinned')`, 2*i+1)
	}
	ann.until("three pins", `() => document.querySelector('#about .pins > span')?.innerText === '3'`)
	ann.click("#about .pins")
	const unpin = `#dialogs [data-listed="%d"] button`
	ann.find(fmt.Sprintf(unpin, 3))
	// Names in the open list follow.
	bobs := bob.page
	bob.goTo("/session")
	bob.must(bob.find("input[name=nickname]").SelectAllText())
	bob.fill("input[name=nickname]", "Zoë")
	bob.press(input.Enter)
	ann.until("the list has the new name", `() => [...document.querySelectorAll('dialog .excerpt')].every(e => e.querySelector('b').innerText === 'Zoë' && e.querySelector('.seal').innerText === 'Z')`)
	bob.page = bobs
	// What is refused is said above the list, which stays as it was.
	const second = "#dialogs li:nth-child(2) button"
	asks := func(from, to string) {
		ann.eval(`(button, from, to) => { const {dataset} = document.querySelector(button).form; dataset.url = dataset.url.replace(from, to) }`, second, from, to)
	}
	asks("/unpin", "999/unpin")
	ann.must(ann.find(second).Focus())
	ann.press(input.Enter)
	ann.until("the refusal is said", `() => document.querySelector('dialog:modal #notice-title')`)
	ann.press(input.Enter)
	ann.hasFocus(second)
	asks("999/unpin", "/unpin")
	order := ann.eval(`() => [...document.querySelectorAll('dialog [data-listed]')].map(li => li.dataset.listed).join()`)
	first, last := order[:1], order[4:]
	ann.must(ann.find(`#dialogs [data-listed="` + order[2:3] + `"] button`).Focus())
	ann.press(input.Enter)
	ann.hasFocus(`#dialogs [data-listed="` + last + `"] button`)
	ann.press(input.Enter)
	ann.hasFocus(`#dialogs [data-listed="` + first + `"] button`)
	ann.press(input.Enter)
	ann.hasFocus("#dialogs dialog .buttons button")
	ann.press(input.Enter)
	ann.until("closed", `() => !document.querySelector('dialog[open]')`)

	// A quote in the composer follows a rename, too.
	ann.tool("pin 1", "/reply")
	ann.until("begun", `() => document.querySelector('#composer .replying b')?.innerText === 'Zoë'`)
	bob.goTo("/session")
	bob.must(bob.find("input[name=nickname]").SelectAllText())
	bob.fill("input[name=nickname]", "Chloe")
	bob.press(input.Enter)
	ann.until("it follows", `() => document.querySelector('#composer .replying b')?.innerText === 'Chloe'`)
	ann.press(input.Escape)

	ann.say("a slip")
	ann.tool("a slip", "/delete")
	ann.until("asked", `() => document.querySelector('dialog[open] button[type=submit]')`)
	ann.must(ann.find("dialog button[type=submit]").Focus())
	ann.press(input.Enter)
	ann.until("gone", `() => document.querySelector('#log > article:last-child .tombstone') && !document.querySelector('dialog[open]')`)
	ann.hasFocus("#message")
}
