package e2e

import (
	"strings"
	"testing"
	"time"
)

// names are those who are here, as the page lists them.
const names = `() => [...document.querySelectorAll('#here li span[dir]')].map(s => s.innerText.trim()).join(', ')`

func TestPeopleAreCountedNotTabs(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := guest(t, p, "Bob")
	ann := guest(t, p, "Ann")
	first := ann.page
	second := ann.open("/rooms/parlor")
	both := `() => (` + names + `)() === 'Ann, Bob' && document.querySelector('#here h2').innerText.includes('2')`
	bob.until("two people", both)
	ann.until("two people", both)

	// A reload, and a tab that closes, are no news.
	_, err := bob.page.Eval(`() => { window.seen = [];
		new MutationObserver(() => window.seen.push((` + names + `)())).observe(document.body, {childList: true, subtree: true, characterData: true}) }`)
	bob.must(err)
	ann.must(second.Close())
	ann.tabs = ann.tabs[:1]
	ann.page = first
	_, err = ann.page.Eval(`() => { window.beforeReload = true }`)
	ann.must(err)
	ann.reload()
	bob.until("three seconds", `() => { window.since ??= Date.now(); return Date.now() - window.since > 3000 }`)
	if got := bob.eval(`() => window.seen.filter(names => !names.includes('Ann')).join(' | ')`); got != "" {
		t.Errorf("Ann vanished from the list: %s", got)
	}

	// Who goes is gone.
	ann.must(ann.page.Navigate("about:blank"))
	bob.until("Bob alone", `() => (`+names+`)() === 'Bob'`)
}

func TestTypingShowsToOthersOnlyAndEnds(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	typing := `() => { const line = document.getElementById('typing'); return line.checkVisibility({visibilityProperty: true}) ?
		[...line.querySelectorAll('[data-person] b')].filter(b => b.checkVisibility({visibilityProperty: true})).map(b => b.innerText).join(', ') : '' }`
	written := `() => document.querySelector('#composer textarea').value`
	// Who pauses types no more: everybody goes on until it is seen.
	var typists []*person
	types := func(v *person) {
		v.must(v.find("#composer textarea").Focus())
		typists = append(typists, v)
	}
	shows := func(v *person, what, js string, args ...any) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			for _, typist := range typists {
				typist.must(typist.page.InsertText("la "))
			}
			if res, err := v.page.Eval(js, args...); err == nil && res.Value.Bool() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("never: %s\n%s", what, v.log())
			}
		}
	}
	is := `want => (` + typing + `)() === want`
	types(ann)
	shows(bob, "Bob sees Ann typing", is, "Ann")
	shows(ann, "the page of the one who types has the line", `() => !!document.querySelector('#typing [data-person]')`)
	shows(ann, "but hides it", `() => document.querySelector('#typing [data-person]') && (`+typing+`)() === ''`)
	types(bob)
	shows(ann, "Ann sees Bob", is, "Bob")
	shows(bob, "Bob sees Ann only", `() => document.querySelectorAll('#typing [data-person]').length === 2 && (`+typing+`)() === 'Ann'`)
	typists = typists[1:]
	said := ann.eval(written)
	ann.click("#composer button.send")
	shows(bob, "gone when it is sent", is, "")
	typists = nil
	draft := bob.eval(written)
	bob.sees(strings.TrimSpace(said))
	shows(ann, "gone after a while", is, "")
	if got := bob.eval(written); got != draft || draft == "" {
		t.Errorf("the draft is %q, was %q", got, draft)
	}
}
