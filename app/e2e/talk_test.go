package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/go-rod/rod/lib/input"
)

// picture keeps how the page looks, where -screenshots names a folder.
func (v *person) picture(name string) {
	v.t.Helper()
	if *screenshotDir == "" {
		return
	}
	v.must(os.MkdirAll(*screenshotDir, 0o755))
	png, err := v.page.Screenshot(false, nil)
	v.must(err)
	v.must(os.WriteFile(filepath.Join(*screenshotDir, name+".png"), png, 0o644))
}

// tool clicks one of a message's tools.
func (v *person) tool(text, end string) {
	v.t.Helper()
	v.sees(text)
	v.must(v.find("#composer textarea").Focus())
	const article = `[...document.querySelectorAll('#log > article')].find(a => a.querySelector('.body')?.innerText.trim() === text)`
	if end == "/delete" {
		seq, err := strconv.ParseInt(v.eval(`text => `+article+`.dataset.seq`, text), 10, 64)
		v.must(err)
		v.menu(seq, `a[href$="/delete"]`)
		return
	}
	_, err := v.page.Eval(`(text, end) => `+article+`.querySelector('.tools a[href$="' + end + '"]').click()`, text, end)
	v.must(err)
}

func (v *person) hasFocus(selector string) {
	v.t.Helper()
	v.until("the focus is in "+selector, `s => document.activeElement.matches(s)`, selector)
}

func TestReplyQuotesItsParentAndFollowsIt(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("shall we meet at noon?")
	bob.tool("shall we meet at noon?", "/reply")
	bob.until("the composer says what it answers", `() => document.querySelector('#composer .replying')?.innerText.includes('shall we meet')`)
	bob.hasFocus("#message")
	bob.picture("reply-begun")
	bob.press(input.Escape)
	bob.until("Escape gives up", `() => !document.querySelector('#composer .replying > *')`)
	bob.hasFocus("#message")
	bob.say("not an answer")
	ann.sees("not an answer")
	ann.until("it quotes nothing", `() => !document.querySelector('#log .quote')`)

	bob.tool("shall we meet at noon?", "/reply")
	bob.until("the composer says what it answers", `() => document.querySelector('#composer [name=parent]')`)
	bob.say("yes, at the gate")
	ann.sees("yes, at the gate")
	for _, v := range []*person{ann, bob} {
		v.until("the quote", `() => document.querySelector('#log > article:last-child .quote')?.innerText.replace(/\s+/g, ' ') === 'Ann shall we meet at noon?'`)
		v.until("the count", `() => document.querySelector('#m-1 .thread')?.innerText === '1 reply'`)
	}
	bob.until("the next one answers nothing", `() => !document.querySelector('#composer .replying > *')`)

	// The parent's one change goes to it and to its quotes.
	ann.tool("shall we meet at noon?", "/edit")
	ann.hasFocus("#editing textarea")
	ann.must(ann.page.KeyActions().Press(input.ControlLeft).Type('a').Release(input.ControlLeft).Do())
	ann.must(ann.page.InsertText("shall we meet at one?"))
	ann.press(input.Enter)
	bob.sees("shall we meet at one?")
	bob.until("the quote follows", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('at one?')`)
	bob.until("edited, with the reader's time", `() => document.querySelector('#m-1 .edited time')?.title.includes(new Date().getFullYear())`)
	bob.picture("replied")

	bob.click("#log > article:last-child .quote a")
	bob.until("the quote leads to its parent in the page", `() => location.hash === '#m-1' && location.pathname === '/rooms/parlor'`)

	ann.tool("shall we meet at one?", "/delete")
	ann.click("dialog button[type=submit]")
	bob.until("the quote knows", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('deleted')`)
	bob.until("nothing is left of it", `() => !document.querySelector('#log').innerText.includes('at one?')`)
}

func TestReplyByKeyboardSurvivesAReload(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	bob.allow("422 (Unprocessable Entity)")
	ann.say("a question")
	bob.sees("a question")
	_, err := bob.page.Eval(`() => document.querySelector('#m-1 .when').focus()`)
	bob.must(err)
	bob.press('r')
	bob.until("r begins a reply", `() => document.querySelector('#composer [name=parent]')?.value === '1'`)
	bob.hasFocus("#message")

	// It can't be sent now; after a reload it still answers.
	_, err = bob.page.Eval(`() => { window.fetch = () => Promise.reject(new TypeError('cut off')) }`)
	bob.must(err)
	bob.say("an answer")
	bob.until("it waits", `() => document.querySelector('#outbox .pending.waiting')`)
	bob.until("with what it answers, and no button that does nothing", `() => document.querySelector('#outbox .pending .quote').checkVisibility() && !document.querySelector('#outbox .pending .icon').checkVisibility()`)
	bob.reload()
	bob.sees("an answer")
	ann.until("it answers", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('a question')`)

	// What is taken back to be edited answers what it answered.
	bob.tool("a question", "/reply")
	bob.until("begun", `() => document.querySelector('#composer [name=parent]')`)
	bob.say("/nonsense")
	bob.until("it failed", `() => document.querySelector('#outbox .pending.failed')?.innerText.includes('/help')`)
	bob.picture("command-unknown")
	_, err = bob.page.Eval(`() => [...document.querySelectorAll('#outbox .pending [name=edit]')][0].click()`)
	bob.must(err)
	bob.until("all is back", `() => document.querySelector('#message').value === '/nonsense' && document.querySelector('#composer [name=parent]')?.value === '1'`)
	_, err = bob.page.Eval(`() => { document.querySelector('#message').value = 'sense' }`)
	bob.must(err)
	bob.hasFocus("#message")
	bob.press(input.Enter)
	ann.sees("sense")
	ann.until("it answers", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('a question')`)
}

func TestThreadIsLive(t *testing.T) {
	t.Parallel()
	p := start(t)
	w := newWire(t, p)
	ann, bob := guest(t, p, "Ann"), guest(t, p.through(w.addr()), "Bob")
	ann.say("the beginning")
	bob.sees("the beginning")
	bob.goTo("/rooms/parlor/messages/1/thread")
	bob.until("nobody replied yet", `() => document.querySelector('.nothing')?.checkVisibility()`)
	bob.say("from the thread")
	bob.sees("from the thread")
	bob.until("that is said no more", `() => !document.querySelector('.nothing').checkVisibility()`)
	ann.sees("from the thread")
	ann.until("it answers", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('the beginning')`)

	ann.say("beside it")
	ann.tool("from the thread", "/reply")
	ann.until("begun", `() => document.querySelector('#composer [name=parent]')?.value === '2'`)
	ann.say("an answer to the answer")
	bob.sees("an answer to the answer")
	bob.until("it quotes what it answers", `() => document.querySelector('#log > article:last-child .quote')?.checkVisibility() && document.querySelector('#log > article:last-child .quote').innerText.includes('from the thread')`)
	if got := fmt.Sprint(bob.texts()); got != "[the beginning from the thread an answer to the answer]" {
		t.Errorf("the thread shows %s", got)
	}
	ann.tool("an answer to the answer", "/edit")
	ann.hasFocus("#editing textarea")
	ann.must(ann.page.InsertText(", edited"))
	ann.press(input.Enter)
	bob.sees("an answer to the answer, edited")
	bob.picture("thread")
	bob.tool("from the thread", "/delete")
	bob.click("dialog button[type=submit]")
	bob.until("the tombstone", `() => document.querySelector('#m-2 .tombstone')`)
	bob.until("and its quote", `() => document.querySelector('#log > article:last-child .quote').innerText.includes('deleted')`)

	// After a gap too long to be replayed, whoever reads a thread gets it afresh,
	// and a screen reader does not read it out.
	_, err := bob.page.Eval(`() => { window.lives = []; new MutationObserver(records => records.forEach(r => r.addedNodes.forEach(n => {
		const log = n.querySelector?.('#log'); log && lives.push(log.getAttribute('aria-live')) }))).observe(document.body, {childList: true, subtree: true}) }`)
	bob.must(err)
	w.cut()
	noise := newClient(t, p, "Carol")
	noise.fillRoom("parlor", 250, "noise %d")
	resp := noise.post("/rooms/parlor/messages", url.Values{"body": {"after the noise"}, "nonce": {nonce()}, "parent": {"1"}})
	resp.Body.Close()
	w.join()
	bob.sees("after the noise")
	if got := fmt.Sprint(bob.texts()); got != "[the beginning This message was deleted. an answer to the answer, edited after the noise]" {
		t.Errorf("the thread shows %s", got)
	}
	if got := bob.eval(`() => lives.join()`); got != "off" {
		t.Errorf("while it comes, the log's aria-live is %q", got)
	}
	bob.until("new replies are read out", `() => document.getElementById('log').getAttribute('aria-live') === 'polite'`)
	noise.post("/rooms/parlor/messages", url.Values{"body": {"live again"}, "nonce": {nonce()}, "thread": {"1"}}).Body.Close()
	bob.sees("live again")
}

func TestTwoTabsThatEditTheSameMessage(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("as it was")
	first := ann.page
	ann.sees("as it was")
	ann.open("/rooms/parlor")
	second := ann.page
	begin := func() {
		t.Helper()
		ann.tool("as it was", "/edit")
		ann.hasFocus("#editing textarea")
	}
	_, err := first.Activate()
	ann.must(err)
	ann.page = first
	begin()
	_, err = second.Activate()
	ann.must(err)
	ann.page = second
	begin()
	ann.must(ann.page.InsertText(", second tab"))
	ann.press(input.Enter)
	bob.sees("as it was, second tab")
	_, err = first.Activate()
	ann.must(err)
	ann.page = first
	ann.sees("as it was, second tab")
	ann.must(ann.page.InsertText(", first tab"))
	ann.press(input.Enter)
	ann.until("the conflict", `() => document.querySelector('#editing .error') && document.querySelector('#editing .present')?.innerText.includes('as it was, second tab')`)
	ann.until("what was typed is kept", `() => document.querySelector('#editing textarea').value === 'as it was, first tab'`)
	ann.hasFocus("#editing textarea")
	ann.picture("conflict")
	bob.sees("as it was, second tab")
	ann.must(ann.page.InsertText(", after all"))
	ann.press(input.Enter)
	bob.sees("as it was, first tab, after all")
	ann.hasFocus("#message")

	bob.click("#m-1 .edited")
	bob.until("earlier versions", `() => document.querySelector('dialog.versions-dialog, dialog')?.open && ['as it was', 'as it was, second tab', 'as it was, first tab, after all'].every(text =>
		[...document.querySelectorAll('.versions .body')].some(b => b.innerText.trim() === text))`)
	bob.picture("versions")
	bob.press(input.Escape)
	bob.until("closed", `() => !document.querySelector('dialog[open]')`)
}

func TestArrowUpOpensTheLastMessage(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.press(input.ArrowUp)
	ann.say("first")
	ann.say("last")
	ann.sees("last")
	bob.say("not hers")
	ann.sees("not hers")
	ann.hasFocus("#message")
	ann.press(input.ArrowUp)
	ann.until("the last one", `() => document.querySelector('#editing textarea')?.value === 'last'`)
	ann.hasFocus("#editing textarea")
	ann.press(input.Escape)
	ann.until("Escape cancels", `() => !document.querySelector('#editing > *')`)
	ann.hasFocus("#message")

	ann.must(ann.page.InsertText("something"))
	ann.press(input.ArrowUp)
	ann.press(input.Enter)
	ann.sees("something")
	ann.press(input.ArrowUp)
	ann.until("now that one", `() => document.querySelector('#editing textarea')?.value === 'something'`)
	ann.must(ann.page.InsertText(" else"))
	ann.press(input.Enter)
	bob.sees("something else")
}

func TestCommandsInABrowser(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	bob.allow("403 (Forbidden)")
	ann.say("/me waves")
	bob.until("Ann waves", `() => document.querySelector('#log > article.emote .body')?.innerText.replace(/\s+/g, ' ').trim() === 'Ann waves'`)
	ann.say("//me is a command")
	bob.sees("/me is a command")
	bob.picture("emote")

	ann.say("/who")
	ann.until("who is here", `() => document.querySelector('dialog[open]')?.open && ['Ann', 'Bob'].every(name => document.querySelector('dialog[open]').innerText.includes(name))`)
	ann.until("it is sent no more", `() => !document.querySelector('#outbox .pending')`)
	ann.picture("who")
	ann.press(input.Escape)
	ann.until("closed", `() => !document.querySelector('dialog[open]')`)
	ann.must(ann.find("#message").Focus())
	ann.say("/help")
	ann.until("help", `() => document.querySelector('dialog[open]')?.open && document.querySelector('dialog[open]').innerText.includes('/topic')`)
	ann.picture("help")
	ann.press(input.Escape)
	ann.until("closed", `() => !document.querySelector('dialog[open]')`)

	ann.must(ann.find("#message").Focus())
	_, err := ann.page.Eval(`() => { window.beforeReload = true }`)
	ann.must(err)
	ann.say("/nick Anna")
	ann.until("she is called so", `() => !window.beforeReload && document.querySelector('.me b')?.innerText === 'Anna'`)
	ann.live()
	bob.until("and so is what she does", `() => document.querySelector('article.emote .actor')?.innerText.includes('Anna')`)

	ann.say("/join Chess club")
	ann.until("the form for a new room", `() => document.querySelector('input[name=name]')?.value === 'Chess club'`)
	ann.click("button.send")
	ann.until("in it", `() => location.pathname === '/rooms/chess-club' && document.querySelector('#composer')`)
	ann.live()
	ann.say("/topic openings & endings")
	ann.until("the topic", `() => document.querySelector('#about .topic').innerText === 'openings & endings'`)
	ann.until("it is sent no more", `() => !document.querySelector('#outbox .pending')`)
	bob.say("/join chess club")
	bob.until("there", `() => location.pathname === '/rooms/chess-club' && document.querySelector('#composer')`)
	bob.live()
	bob.say("/topic mine")
	bob.until("it is not his room", `() => document.querySelector('#outbox .pending.failed')`)
	if got := stored(t, p, "parlor"); len(got) != 2 {
		t.Errorf("stored: %v", got)
	}
	if got := stored(t, p, "chess-club"); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
}

func TestTalkingWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.say("parlor", "a question")
	ann := without(t, p)
	ann.write("input[name=nickname]", "Ann", false)
	ann.mark()
	ann.press(input.Enter)
	ann.arrived("signed in")
	ann.visit("/rooms/parlor/messages/1/reply")
	ann.write("textarea[name=body]", "an answer", false)
	ann.follow("button.send")
	ann.sees("an answer")
	ann.until("it answers", `() => document.querySelector('#log > article:last-child .quote')?.innerText.includes('a question')`)
	ann.follow("#m-1 .thread")
	ann.write("#message", "and more", false)
	ann.follow("#composer button.send")
	ann.until("in the thread again", `() => location.pathname === '/rooms/parlor/messages/1/thread'`)
	ann.sees("and more")
	ann.write("#message", "/help", false)
	ann.follow("#composer button.send")
	ann.until("at the help", `() => location.pathname === '/help'`)

	// An edit that somebody else's tab was faster with.
	ann.visit("/rooms/parlor/messages/2/edit")
	ann.mark()
	other := &client{t: t, p: p, http: p.client()}
	other.http.Jar = newJar()
	cookies, err := ann.page.Cookies(nil)
	ann.must(err)
	base, err := url.Parse(p.url("/"))
	ann.must(err)
	for _, c := range cookies {
		other.http.Jar.SetCookies(base, []*http.Cookie{{Name: c.Name, Value: c.Value}})
	}
	other.post("/rooms/parlor/messages/2", url.Values{"body": {"faster"}}).Body.Close()
	ann.allow("409 (Conflict)")
	ann.write("#edit-text", "slower", true)
	ann.follow("button.send[type=submit]")
	ann.until("both texts", `() => document.querySelector('.present').innerText.includes('faster') && document.querySelector('#edit-text').value.includes('slower')`)
	ann.picture("conflict-plain")
	ann.follow("button.send[type=submit]")
	ann.until("saved after all", `() => document.querySelector('#m-2 .body')?.innerText.includes('slower')`)
}
