package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

// without is a visitor whose browser runs no scripts.
func without(t testing.TB, p *program) *person {
	t.Helper()
	v := visitor(t, p)
	v.must(proto.EmulationSetScriptExecutionDisabled{Value: true}.Call(v.page))
	v.visit("/")
	return v
}

// visit opens a path and waits for the page itself, which is all there is.
func (v *person) visit(path string) {
	v.t.Helper()
	v.mark()
	_, err := proto.PageNavigate{URL: v.p.url(path)}.Call(v.page)
	v.must(err)
	v.arrived("at " + path)
}

// mark marks the present document, so that arrived notices another one.
func (v *person) mark() {
	v.t.Helper()
	_, err := v.page.Eval(`() => { document.documentElement.dataset.left = 'yes' }`)
	v.must(err)
}

func (v *person) arrived(what string) {
	v.t.Helper()
	v.until("arrived: "+what, `() => document.documentElement && !document.documentElement.dataset.left && document.readyState === 'complete'`)
}

// follow clicks something and waits for the page it leads to.
func (v *person) follow(selector string) {
	v.t.Helper()
	v.mark()
	v.point(selector)
	v.must(v.page.Mouse.Click(proto.InputMouseButtonLeft, 1))
	v.arrived("by " + selector)
}

// point moves the mouse to something until the page knows: what is shown to
// whoever points there can be clicked then. rod's own ways wait for frames,
// which are a script's.
func (v *person) point(selector string) {
	v.t.Helper()
	v.until("there is "+selector, `s => document.querySelector(s)`, selector)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var at struct{ X, Y float64 }
		v.must(json.Unmarshal([]byte(v.eval(`s => {
			const el = document.querySelector(s);
			el.scrollIntoView({block: 'nearest'});
			const r = el.getClientRects()[0];
			return JSON.stringify({X: r.x + r.width / 2, Y: r.y + r.height / 2}) }`, selector)), &at))
		v.must(v.page.Mouse.MoveTo(proto.NewPoint(at.X, at.Y)))
		if v.eval(`s => String(document.querySelector(s).matches(':hover'))`, selector) == "true" {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("never pointed at %s", selector)
		}
	}
}

// write types into a field, in place of what it holds when all is set.
func (v *person) write(selector, text string, all bool) {
	v.t.Helper()
	v.until("there is "+selector, `(s, all) => { const el = document.querySelector(s); el?.focus(); all && el?.select(); return el }`, selector, all)
	v.must(v.page.InsertText(text))
}

func TestEverythingWorksWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := without(t, p)
	ann.write("input[name=nickname]", "Ann", false)
	ann.mark()
	ann.press(input.Enter)
	ann.arrived("signed in")
	ann.until("welcome", `() => document.querySelector('.welcome')`)

	ann.follow(`a[href="/rooms/new"]`)
	ann.allow("status of 4")
	ann.write("input[name=name]", strings.Repeat("x", 100), false)
	ann.write("input[name=topic]", "a topic", false)
	ann.follow("button.send[type=submit]")
	ann.until("what is wrong stands at its field, the rest is kept", `() =>
		document.querySelector('#name-error')?.innerText.includes('too long') && document.querySelector('[name=topic]').value === 'a topic'`)
	ann.visit("/rooms/new")
	ann.write("input[name=name]", "Garden", false)
	ann.follow("button.send[type=submit]")
	ann.until("in the new room", `() => location.pathname === '/rooms/garden' && document.querySelector('#composer')`)

	say := func(text string) {
		t.Helper()
		ann.write("#composer textarea", text, false)
		ann.follow("#composer button.send")
	}
	say("first words\nin two lines")
	ann.sees("first words\nin two lines")
	say(strings.Repeat("too long ", 2000))
	ann.until("the text is kept, with what is wrong", `() =>
		document.querySelector('#body-error')?.innerText.includes('too long') && document.querySelector('#composer textarea').value.length > 17000`)
	ann.visit("/rooms/garden")

	bob := newClient(t, p, "Bob")
	bob.fillRoom("garden", 130, "number %d")
	ann.visit("/rooms/garden")
	ann.isEnd("garden", 50)
	ann.follow("#older a")
	ann.isWindow("garden")
	if got := ann.texts(); len(got) != 50 || got[49] != "number 80" {
		t.Errorf("the page before shows %d, to %s", len(got), got[len(got)-1])
	}
	ann.follow("#older a")
	ann.isWindow("garden")
	if got := ann.texts(); got[len(got)-1] != "number 30" {
		t.Errorf("the page before that ends with %s", got[len(got)-1])
	}
	ann.follow("#newer a")
	ann.isWindow("garden")
	if got := ann.texts(); got[0] != "number 31" {
		t.Errorf("the page after begins with %s", got[0])
	}
	ann.until("and begins in sight", `() => { const r = document.querySelector('#log > article .body').getBoundingClientRect(), s = document.getElementById('scroll').getBoundingClientRect();
		return r.top >= s.top && r.bottom <= s.bottom }`)
	ann.follow(".foot .pill")
	ann.isEnd("garden", 50)

	first := stored(t, p, "garden")[0].Seq
	ann.visit(fmt.Sprintf("/rooms/garden/messages/%d#m-%d", first, first))
	ann.until("the permalink's message", `seq => document.querySelector('#m-' + seq + ':target')`, first)
	ann.point(fmt.Sprintf("#m-%d", first))
	ann.follow(fmt.Sprintf(`#m-%d .tools a[href$="/edit"]`, first))
	ann.until("the form with the text", `() => document.querySelector('textarea').value === 'first words\nin two lines'`)
	ann.write("textarea", " ", true)
	ann.follow("form.edit button.send")
	ann.until("an empty text is refused", `() => document.querySelector('#edit-error')`)
	ann.write("textarea", "edited without script", true)
	ann.follow("form.edit button.send")
	ann.sees("edited without script")
	ann.point(fmt.Sprintf("#m-%d", first))
	ann.follow(fmt.Sprintf(`#m-%d .tools a.more`, first))
	ann.follow(`.menu a[href$="/delete"]`)
	ann.follow("form button.send")
	ann.until("a tombstone", `seq => document.querySelector('#m-' + seq + ' .tombstone')`, first)
	if got := stored(t, p, "garden"); len(got) != 131 || got[0].Body != tombstone {
		t.Errorf("stored: %d, first %v", len(got), got[0])
	}
}
