package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

const marked = "# A plan\n\nSay *this* and **that**, ~~not~~ `code`, see [the notes](https://example.org/notes).\n\n" +
	"- [x] write it\n- [ ] try it\n\n> So be it.\n> 就这样。\n\n" +
	"| what | who | needs | may break | how long it will take, roughly |\n|:-|:-:|-|-|-:|\n| the parser | Ann | patience | everything | two days and an evening or so |\n| the look | Bob | an eye for it | nothing | one |\n\n" +
	"```go\n// Greet says hello.\nfunc Greet(name string) error {\n\tfor i := range 10 {\n\t\tfmt.Println(\"hello\", name, i)\n\t}\n\treturn nil\n}\n```\n\n" +
	"1. first\n2. second\n   - and more\n\n***\n\n<b onclick=\"alert(1)\">raw</b> :tada:"

func TestPeopleSeeMarkdown(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), newClient(t, p, "Bob")
	seq := bob.say("parlor", marked)
	bob.say("parlor", "```diff\n+ in\n- out\n```")
	bob.say("parlor", "😀 :heart:")
	ann.until("the message as it is meant", `() => { const b = document.querySelector('#m-`+fmt.Sprint(seq)+` .body');
		return b && b.querySelector('h3').innerText === 'A plan' && b.querySelector('em').innerText === 'this' && b.querySelector('strong').innerText === 'that'
			&& b.querySelector('del') && b.querySelector('p code') && b.querySelector('a[href="https://example.org/notes"][rel~=noopener][target=_blank]')
			&& b.querySelectorAll('li.task input:disabled').length === 2 && b.querySelectorAll('li.task input:checked').length === 1
			&& b.querySelector('blockquote').innerText.split('\n').length === 2 && b.querySelectorAll('tbody tr').length === 2
			&& b.querySelector('pre .kw').innerText.trim() === 'func' && b.querySelectorAll('ol > li').length === 2 && b.querySelector('ol ul') && b.querySelector('hr')
			&& !b.querySelector('b') && b.innerText.includes('<b onclick="alert(1)">raw</b> 🎉') }`)
	ann.until("emoji alone are large", `() => { const e = document.querySelector('.big-emoji');
		return e && parseFloat(getComputedStyle(e).fontSize) > 1.8 * parseFloat(getComputedStyle(document.querySelector('#m-`+fmt.Sprint(seq)+` .body > p')).fontSize) }`)
	ann.until("headings are toned down", `() => parseFloat(getComputedStyle(document.querySelector('.body h3')).fontSize) < 20`)

	colours := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		ann.must(proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}.Call(ann.page))
		colours[scheme] = ann.eval(`() => ['kw', 'fn', 'st', 'nu', 'co', 'ty', 'in', 'de'].map(c => getComputedStyle(document.querySelector('pre .' + c)).color).join(' ')`)
		if low := ann.eval(lowContrast); low != "" {
			t.Errorf("too little contrast in %s: %s", scheme, low)
		}
	}
	if colours["light"] == colours["dark"] {
		t.Error("code has the same colours in light and dark:", colours["light"])
	}

	// A table does not make a narrow page wider: it scrolls in its box.
	ann.onPhone(320, 640)
	ann.until("the page does not scroll sideways, the table does", `() => { const box = document.querySelector('.table');
		return document.documentElement.scrollWidth <= 320 && document.querySelector('#scroll').scrollWidth <= 320 && box.scrollWidth > box.clientWidth && box.tabIndex === 0 }`)
	pictures(ann, "markdown")
}

func TestDeepListsStayInANarrowPage(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), newClient(t, p, "Bob")
	for i, nested := range []string{"- ", "1. ", "> ", "- > ", "- [ ] "} {
		bob.say("parlor", strings.Repeat(nested, 4000/len(nested))+"word "+fmt.Sprint(i))
	}
	ann.until("all of them", `() => document.querySelectorAll('#log > [data-seq]').length === 5`)
	ann.onPhone(320, 640)
	pictures(ann, "nested")
	ann.until("the page does not scroll sideways", `() => innerWidth === 320 && document.documentElement.scrollWidth <= 320 && document.querySelector('#scroll').scrollWidth <= 320`)
}

// pictures keeps what the page looks like, if somebody wants to see it.
func pictures(v *person, name string) {
	v.t.Helper()
	if *screenshotDir == "" {
		return
	}
	for _, look := range []struct {
		name, scheme  string
		width, height int
	}{{"desk", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"phone", "light", 390, 844}, {"narrow", "dark", 320, 640}} {
		v.must(proto.EmulationSetDeviceMetricsOverride{Width: look.width, Height: look.height, DeviceScaleFactor: 1, Mobile: look.width < 700}.Call(v.page))
		v.must(proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}}.Call(v.page))
		v.until("it is laid out", `w => innerWidth === w`, look.width)
		picture, err := v.page.Screenshot(false, nil)
		v.must(err)
		v.must(os.WriteFile(*screenshotDir+"/"+name+"-"+look.name+".png", picture, 0o644))
	}
}

// listed waits until the list for the word is open, and tells what is in it.
func (v *person) listed(least int) {
	v.t.Helper()
	v.until("the list is open, its first line is chosen, the focus is in the text", `least => {
		const list = document.querySelector('#completions [role=listbox]'), text = document.activeElement
		return list?.checkVisibility() && list.querySelectorAll('[role=option]').length >= least && text.matches('textarea')
			&& text.getAttribute('aria-activedescendant') === 'completion-0' && list.querySelector('#completion-0').ariaSelected === 'true'
			&& list.querySelectorAll('[aria-selected=true]').length === 1 }`, least)
}

func (v *person) notListed() {
	v.t.Helper()
	v.until("no list is open", `() => !document.querySelector('#completions').checkVisibility() && !document.activeElement.hasAttribute('aria-activedescendant')`)
}

func (v *person) composerHolds(text string) {
	v.t.Helper()
	v.until("the composer holds "+text, `t => document.querySelector('#composer textarea').value === t`, text)
}

func TestEmojiAreCompletedByKeyboard(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	composer := "#composer textarea"

	ann.fill(composer, "well :smil")
	ann.listed(8)
	pictures(ann, "complete")
	ann.press(input.ArrowDown, input.ArrowDown, input.ArrowUp)
	ann.until("the second is chosen", `() => document.activeElement.getAttribute('aria-activedescendant') === 'completion-1'
		&& document.querySelector('#completion-1').ariaSelected === 'true' && document.querySelectorAll('#completions [aria-selected=true]').length === 1`)
	ann.press(input.ArrowUp)
	ann.press(input.Enter) // chooses, does not send
	ann.composerHolds("well 😄")
	ann.notListed()
	ann.press(input.Enter)
	ann.sees("well 😄")
	bob.sees("well 😄")

	// Tab chooses, in the middle of a text, too; Escape only closes.
	ann.fill(composer, ":rocke there")
	for range len(" there") {
		ann.press(input.ArrowLeft)
	}
	ann.must(ann.page.InsertText("t"))
	ann.listed(1)
	ann.press(input.Tab)
	ann.composerHolds("🚀 there")
	ann.must(ann.page.InsertText(" :hear"))
	ann.listed(2)
	ann.press(input.ArrowLeft, input.ArrowRight) // away from the word, and back
	ann.notListed()
	ann.press(input.Backspace)
	ann.must(ann.page.InsertText("r"))
	ann.listed(2)
	ann.press(input.Escape)
	ann.notListed()
	ann.composerHolds("🚀 :hear there")
	ann.press(input.Enter) // the list is closed: it sends
	bob.sees("🚀 :hear there")

	// A click chooses and leaves the focus where it was.
	ann.fill(composer, "看:tad")
	ann.listed(1)
	ann.click("#completion-0")
	ann.composerHolds("看🎉")
	ann.notListed()
	ann.press(input.Enter)
	bob.sees("看🎉")

	// In Chinese one character is enough.
	ann.fill(composer, ":赞")
	ann.listed(1)
	ann.press(input.Enter)
	ann.composerHolds("👍")
	ann.press(input.Enter)
	bob.sees("👍")

	// The same in the form in which a message is edited.
	ann.sees("👍")
	ann.point("#log > article:last-child")
	ann.click(`#log > article:last-child .tools a[href$="/edit"]`)
	ann.until("the form is there", `() => document.activeElement.matches('#editing textarea')`)
	ann.must(ann.page.InsertText(":tada"))
	ann.listed(1)
	ann.press(input.Escape) // closes the list, not the form
	ann.notListed()
	ann.press(input.Backspace)
	ann.listed(2)
	ann.must(ann.page.InsertText("a"))
	ann.until("the list is for the whole word", `() => document.querySelectorAll('#completions [role=option]').length === 1`)
	ann.listed(1)
	ann.press(input.Enter)
	ann.until("it is in the form, which is not sent", `() => document.querySelector('#editing textarea')?.value === '👍🎉'`)
	ann.press(input.Enter)
	bob.sees("👍🎉")
}

func TestWhatIsNoWordIsNotCompleted(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.must(ann.page.WaitIdle(patience))
	for _, text := range []string{"https://smile", "12:30:45", "a:smile", ":s", ":smile:", ":no such", "::smile"} {
		ann.fill("#composer textarea", text)
		ann.until("nothing is looked for in "+text, `() => document.querySelector('#completions').dataset.url && !document.querySelector('#completions').checkVisibility()`)
		ann.press(input.Enter)
		shown := strings.ReplaceAll(text, ":smile:", "😄")
		ann.sees(shown)
	}

	// An input method composes: its Enter ends the composition, whatever the list.
	ann.fill("#composer textarea", ":smil")
	ann.listed(8)
	ann.must(proto.InputImeSetComposition{Text: "ni", SelectionStart: 2, SelectionEnd: 2}.Call(ann.page))
	ann.notListed()
	ann.must(proto.InputImeSetComposition{Text: "", SelectionStart: 0, SelectionEnd: 0}.Call(ann.page))
	ann.must(ann.page.InsertText("你"))
	ann.composerHolds(":smil你")
}
