package e2e

import (
	"testing"
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
	shows := func(v *person, what, want string) {
		t.Helper()
		v.until(what, `want => (`+typing+`)() === want`, want)
	}
	ann.fill("#composer textarea", "I am writ")
	shows(bob, "Bob sees Ann typing", "Ann")
	ann.until("the page of the one who types has the line", `() => document.querySelector('#typing [data-person]')`)
	shows(ann, "but hides it", "")
	bob.fill("#composer textarea", "me too")
	shows(ann, "Ann sees Bob", "Bob")
	shows(bob, "Bob sees Ann only", "Ann")
	ann.must(ann.page.InsertText("ing"))
	ann.click("#composer button.send")
	shows(bob, "gone when it is sent", "")
	bob.sees("I am writing")
	shows(ann, "gone after a while", "")
	if got := bob.eval(`() => document.querySelector('#composer textarea').value`); got != "me too" {
		t.Errorf("the draft is %q", got)
	}
}
