package e2e

import (
	"syscall"
	"testing"

	"github.com/go-rod/rod/lib/input"
)

// What is added to a message goes with it, stands beside it while it waits, and
// comes back with the text.
func TestWhatIsAddedToAMessageGoesWithIt(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	_, err := ann.page.Eval(`() => {
		document.querySelector('#extras .replying').innerHTML = '<b>a chip</b> <input type="hidden" name="other" value="one"><input type="hidden" name="other" value="two"><input type="hidden" name="empty">';
	}`)
	ann.must(err)
	p.end(syscall.SIGKILL)
	ann.say("with a chip")
	ann.until("it waits, with what was added", `() => document.querySelector('#outbox .pending.waiting .extras')?.innerText.trim() === 'a chip'`)
	if got := ann.eval(`() => document.querySelector('#outbox .pending').dataset.fields`); got != "other=one&other=two&body=with+a+chip" {
		t.Errorf("it says %s", got)
	}
	if got := ann.eval(`() => '' + document.querySelector('#extras .replying').childElementCount`); got != "0" {
		t.Errorf("above the composer is still %q", got)
	}
	ann.click("#outbox .pending [name=edit]")
	ann.until("all of it is back", `() => document.querySelector('#message').value === 'with a chip' &&
		document.querySelector('#extras').innerText.trim() === 'a chip' && new FormData(document.querySelector('#composer')).getAll('other').join() === 'one,two'`)
	ann.until("and nowhere else", outboxEmpty)
	ann.press(input.Enter)
	ann.until("it waits", `() => document.querySelector('#outbox .pending.waiting')`)
	p.run()
	ann.until("it is stored", outboxEmpty)
	if got := stored(t, p, "parlor"); len(got) != 1 || got[0].Body != "with a chip" {
		t.Errorf("stored: %v", got)
	}
}

// What was no message may lead to another page, or be answered by a dialog.
func TestAnAnswerThatIsNoMessage(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	_, err := ann.page.Eval(`() => {
		const answers = [{dialog: '/rooms/parlor/who'}, {go: '/#there'}], real = window.fetch;
		window.fetch = (url, options) => options?.headers?.Accept === 'application/json' && answers.length ? Promise.resolve(Response.json(answers.shift())) : real(url, options);
		document.addEventListener('ask', (event) => { window.asked = event.detail }) }`)
	ann.must(err)
	ann.say("/who")
	ann.until("a dialog is asked for", `() => window.asked === '/rooms/parlor/who'`)
	ann.until("nothing waits", outboxEmpty)
	ann.until("it opens", `() => document.querySelector('dialog[open]')`)
	ann.press(input.Escape)
	ann.until("it is closed", `() => !document.querySelector('dialog[open]')`)
	ann.must(ann.find("#message").Focus())
	ann.say("/join there")
	ann.until("the page goes there", `() => location.pathname + location.hash === '/#there'`)
	if got := stored(t, p, "parlor"); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
}

// Who signed out in another tab learns it, and what they wrote waits for the
// nickname that they take next.
func TestSignedOutInAnotherTab(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.allow("401")
	ann.fill("#message", "half a thought")
	ann.until("the server has it", `() => Object.keys(sessionStorage).some(k => k.startsWith('composer/') && JSON.parse(sessionStorage[k])[1] === '')`)
	first := ann.page
	signedOut := `() => [...document.querySelectorAll('.offline.shown a')].some(a => a.getAttribute('href') === location.pathname)`
	ann.open("/")
	ann.until("nobody says so before", `() => !document.querySelector('.offline.shown')`)
	ann.click(`form[action="/session/end"] button`)
	ann.until("signed out", `() => document.querySelector('input[name=nickname]')`)
	ann.turnTo(first)
	ann.until("the first tab says so", signedOut)
	ann.must(ann.find("#message").Focus())
	ann.press(input.Enter)
	ann.until("it is not sent", `() => document.querySelector('#outbox .failed')`)
	ann.fill("#message", "the other half")
	ann.click(".offline.shown a")
	ann.until("the way to a nickname", `() => document.querySelector('.spectator input[name=nickname]')`)
	ann.enter("Bea")
	ann.until("what was written is there", `() => document.querySelector('#outbox .failed .body')?.innerText === 'half a thought' && document.querySelector('#message')?.value === 'the other half'`)
	ann.click("#outbox [name=again]")
	ann.sees("half a thought")
	ann.until("all is well", `() => !document.querySelector('.offline.shown')`)
	if got := stored(t, p, "parlor"); len(got) != 1 {
		t.Errorf("stored: %v", got)
	}
	// Who signs out in this very tab leaves nothing to the next one.
	ann.click(`form[action="/session/end"] button`)
	ann.until("signed out", `() => document.querySelector('.lobby input[name=nickname]')`)
	if kept := ann.eval(`() => JSON.stringify(sessionStorage)`); kept != "{}" {
		t.Errorf("the tab keeps %s", kept)
	}
}
