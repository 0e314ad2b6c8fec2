package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

// reactions waits until a message has these reactions, as they can be heard.
func (v *person) reactions(seq int64, chips string) {
	v.t.Helper()
	v.until("the reactions are "+chips, `(seq, chips) => [...document.querySelectorAll('#m-' + seq + ' .reactions button')]
		.map(b => [...b.childNodes].map(n => n.nodeType === 1 && getComputedStyle(n).display === 'none' ? '' : n.textContent).join('').replace(/\s+/g, ' ').trim())
		.join('; ') === chips`, seq, chips)
}

func TestTwoPeopleReact(t *testing.T) {
	t.Parallel()
	p := start(t)
	old := newClient(t, p, "Zoë")
	old.fillRoom("parlor", 20, "number %d")
	seq := old.say("parlor", "shall we?")
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.live()
	message := fmt.Sprintf("#m-%d", seq)

	// By the picker, with the mouse.
	ann.point(message)
	ann.click(message + " .tools .react")
	ann.until("the picker opens with the first emoji chosen", `() => document.querySelector('dialog.picker')?.open && document.activeElement.value === '👍'`)
	ann.click(`dialog.picker .quick button[value="🎉"]`)
	for _, v := range []*person{ann, bob} {
		v.reactions(seq, "🎉 1: Ann"+map[bool]string{true: ", yours"}[v == ann])
	}
	ann.until("the picker is gone", `() => !document.querySelector('dialog[open]')`)

	// By the chip, and back.
	bob.click(message + ` .reactions button[value="🎉"]`)
	ann.reactions(seq, "🎉 2: Ann, Bob, yours")
	bob.reactions(seq, "🎉 2: Ann, Bob, yours")
	mine := func(v *person) bool {
		return v.number(`m => { const chip = document.querySelector(m + ' .reactions button'), plain = document.querySelector('.composer');
			return getComputedStyle(chip).boxShadow !== 'none' ? 1 : 0 }`, message) == 1
	}
	if !mine(ann) || !mine(bob) {
		t.Error("one's own reaction can't be told")
	}
	ann.click(message + ` .reactions button[value="🎉"]`)
	ann.reactions(seq, "🎉 1: Bob")
	if mine(ann) {
		t.Error("a reaction that was taken back seems to be one's own")
	}

	// The way to another emoji behind the chips opens the picker over the page, too.
	ann.click(message + " .reactions .react")
	ann.until("the picker opens", `() => document.querySelector('dialog.picker')?.open && location.pathname === '/rooms/parlor'`)
	ann.press(input.Escape)
	ann.until("the picker is gone", `() => !document.querySelector('dialog[open]')`)

	// Who: to be read, by a click, and still open after the next change.
	hidden := `m => document.querySelector(m + ' .names').getBoundingClientRect().width < 2`
	ann.until("names are for ears only", hidden, message)
	ann.click(message + " .reactions summary")
	ann.until("names can be read", `m => document.querySelector(m + ' .names').getBoundingClientRect().width > 20`, message)
	resp := old.post(fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq), url.Values{"emoji": {"👀"}})
	resp.Body.Close()
	ann.reactions(seq, "🎉 1: Bob; 👀 1: Zoë")
	ann.until("names can still be read", `m => [...document.querySelectorAll(m + ' .names')].every(n => n.getBoundingClientRect().width > 20)`, message)

	// A new nickname is read in open pages at once.
	resp = old.post("/session", url.Values{"nickname": {"Zoé"}})
	resp.Body.Close()
	ann.reactions(seq, "🎉 1: Bob; 👀 1: Zoé")

	// In a page of old history, and after a gap without a connection.
	bob.goTo("/rooms/parlor?before=" + fmt.Sprint(seq+1))
	bob.reactions(seq, "🎉 1: Bob, yours; 👀 1: Zoé")
	bob.click(message + ` .reactions button[value="👀"]`)
	bob.reactions(seq, "🎉 1: Bob, yours; 👀 2: Zoé, Bob, yours")
	ann.must(proto.NetworkEmulateNetworkConditions{Offline: true}.Call(ann.page))
	resp = old.post(fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq), url.Values{"emoji": {"👀"}})
	resp.Body.Close()
	ann.must(proto.NetworkEmulateNetworkConditions{Offline: false, DownloadThroughput: -1, UploadThroughput: -1}.Call(ann.page))
	ann.reactions(seq, "🎉 1: Bob; 👀 1: Bob")
	bob.reactions(seq, "🎉 1: Bob, yours; 👀 1: Bob, yours")
	ann.until("and the newest message is where it was", `() => { const s = document.getElementById('scroll').getBoundingClientRect();
		return Math.abs(document.querySelector('#log > article:last-child').getBoundingClientRect().bottom - s.bottom) < 40 }`)
}

func TestReactingByKeyboard(t *testing.T) {
	t.Parallel()
	p := start(t)
	seq := newClient(t, p, "Bob").say("parlor", "shall we?")
	ann := guest(t, p, "Ann")
	message := fmt.Sprintf("#m-%d", seq)
	ann.tabTo("#composer textarea")
	back := func(selector string) {
		t.Helper()
		for range 40 {
			ann.must(ann.page.KeyActions().Press(input.ShiftLeft).Type(input.Tab).Release(input.ShiftLeft).Do())
			if ann.number(`s => document.activeElement.matches(s) ? 1 : 0`, selector) == 1 {
				return
			}
		}
		t.Fatalf("Shift+Tab never leads to %s", selector)
	}
	back(message + " .tools .react")
	ann.press(input.Enter)
	ann.until("the first emoji has the focus", `() => document.activeElement.closest('dialog.picker') && document.activeElement.value === '👍'`)
	ann.press(input.Escape)
	ann.until("Escape leads back", `m => !document.querySelector('dialog[open]') && document.activeElement.matches(m + ' .tools .react')`, message)
	ann.press(input.Enter)
	ann.until("it opens again", `() => document.activeElement.closest('dialog.picker')`)
	ann.tabTo("dialog.picker input[type=search]")
	ann.must(ann.page.InsertText("watermelon"))
	ann.until("the one that is sought", `() => document.querySelector('#found button')?.value === '🍉' && document.querySelectorAll('#found button').length === 1`)
	ann.press(input.Enter)
	ann.reactions(seq, "🍉 1: Ann, yours")
	ann.until("the focus is back", `m => document.activeElement.matches(m + ' .tools .react')`, message)
	back(message + " .reactions summary")
	ann.press(input.Enter)
	ann.until("names can be read", `m => document.querySelector(m + ' .names').getBoundingClientRect().width > 20`, message)
	back(message + " .reactions button")
	ann.press(input.Space)
	ann.until("it is taken back", `m => !document.querySelector(m + ' .reactions')`, message)
}

func TestReactingWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	seq := newClient(t, p, "Bob").say("parlor", "shall we?")
	message := fmt.Sprintf("#m-%d", seq)
	ann := without(t, p)
	ann.write("input[name=nickname]", "Ann", false)
	ann.mark()
	ann.press(input.Enter)
	ann.arrived("signed in")
	ann.visit("/rooms/parlor")
	ann.point(message)
	ann.follow(message + " .tools .react")
	ann.write("input[type=search]", "watermelon", false)
	ann.follow("[role=search] button")
	ann.follow(`#found button[value="🍉"]`)
	ann.reactions(seq, "🍉 1: Ann, yours")
	ann.follow(message + " .reactions .react")
	ann.follow(`.quick button[value="👍"]`)
	ann.reactions(seq, "🍉 1: Ann, yours; 👍 1: Ann, yours")
	ann.point(message + " .reactions summary")
	ann.must(ann.page.Mouse.Click(proto.InputMouseButtonLeft, 1))
	ann.until("names can be read", `m => document.querySelector(m + ' .names').getBoundingClientRect().width > 20`, message)
	ann.follow(message + ` .reactions button[value="🍉"]`)
	ann.reactions(seq, "👍 1: Ann, yours")
}

func TestSomebodyWithoutANicknameIsAskedForOne(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	seq := bob.say("parlor", "shall we?")
	bob.post(fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq), url.Values{"emoji": {"👍"}}).Body.Close()
	looker := visitor(t, p)
	looker.goTo("/rooms/parlor")
	looker.reactions(seq, "👍 1: Bob")
	looker.until("no way to the picker", `() => [...document.querySelectorAll('.react')].every(a => !a.checkVisibility())`)
	looker.click(".reactions button")
	looker.until("a sentence", `() => document.querySelector('dialog[open]')?.innerText.includes('nickname')`)
}
