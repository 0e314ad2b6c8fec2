package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/input"
)

// tabTo presses Tab until something that matches has the focus.
func (v *person) tabTo(selector string) {
	v.t.Helper()
	for range 60 {
		v.press(input.Tab)
		if v.number(`s => document.activeElement.matches(s) ? 1 : 0`, selector) == 1 {
			return
		}
	}
	v.t.Fatalf("Tab never leads to %s", selector)
}

func TestTheKeyboardAloneIsEnough(t *testing.T) {
	t.Parallel()
	p := start(t)
	newClient(t, p, "Bob").say("parlor", "not Ann's")
	ann := visitor(t, p)
	ann.tabTo("input[name=nickname]")
	ann.must(ann.page.InsertText("Ann"))
	ann.press(input.Enter)
	ann.until("signed in", `() => document.querySelector('.welcome')`)
	ann.tabTo("a.card")
	ann.press(input.Enter)
	ann.until("in the room", `() => document.querySelector('#composer')`)
	ann.live()
	ann.tabTo("a.skip")
	ann.press(input.Enter)
	ann.tabTo("#composer textarea")
	ann.must(ann.page.InsertText("by keyboard"))
	ann.press(input.Enter)
	ann.sees("by keyboard")
	ann.until("the focus stays in the composer", `() => document.activeElement.matches('#composer textarea')`)

	// Through the log to one's own message; other people's have no tools.
	back := func(selector string) {
		t.Helper()
		for range 40 {
			ann.must(ann.page.KeyActions().Press(input.ShiftLeft).Type(input.Tab).Release(input.ShiftLeft).Do())
			if ann.number(`() => document.activeElement.closest('#log > article')?.innerText.includes("not Ann's") && document.activeElement.matches('.own') ? 1 : 0`) == 1 {
				t.Fatal("Tab leads to the tools of somebody else's message")
			}
			if ann.number(`s => document.activeElement.matches(s) ? 1 : 0`, selector) == 1 {
				return
			}
		}
		t.Fatalf("Shift+Tab never leads to %s", selector)
	}
	back(`.tools a[href$="/edit"]`)
	ann.until("the tools can be seen", `() => { const tools = document.activeElement.closest('.tools');
		return Number(getComputedStyle(tools).opacity) > .9 }`)
	ann.press(input.Enter)
	ann.until("the form has the focus", `() => document.activeElement.matches('#editing textarea')`)
	ann.must(ann.page.InsertText(" and never sent"))
	ann.press(input.Escape)
	ann.until("Escape ends editing", `() => !document.querySelector('#editing > *')`)
	ann.until("and the focus is somewhere useful", `() => document.activeElement.matches('#composer textarea, .tools a')`)
	ann.sees("by keyboard")

	ann.goTo("/rooms/parlor")
	ann.tabTo("#composer textarea")
	back(`.tools a[href$="/edit"]`)
	ann.press(input.Enter)
	ann.until("the form has the focus", `() => document.activeElement.matches('#editing textarea')`)
	ann.must(ann.page.InsertText(", edited"))
	ann.press(input.Enter)
	ann.sees("by keyboard, edited")
	ann.until("the form goes away", `() => !document.querySelector('#editing > *')`)

	ann.goTo("/rooms/parlor")
	ann.tabTo("#composer textarea")
	back(`.tools a.more`)
	ann.press(input.Enter)
	ann.until("the menu has the focus", `() => document.activeElement.closest('.menu:popover-open')`)
	ann.press(input.Escape)
	ann.until("Escape leads back to its button", `() => !document.querySelector('.menu') && document.activeElement.matches('.tools a.more')`)
	ann.press(input.Enter)
	ann.until("the menu has the focus", `() => document.activeElement.closest('.menu:popover-open')`)
	ann.tabTo(`.menu a[href$="/delete"]`)
	ann.press(input.Enter)
	ann.until("the dialog asks", `() => document.querySelector('dialog[open]')?.open && document.activeElement.closest('dialog')`)
	ann.press(input.Escape)
	ann.until("Escape keeps it", `() => !document.querySelector('dialog[open]')`)
	ann.sees("by keyboard, edited")
	if got := stored(t, p, "parlor"); fmt.Sprint(got[1].Body) != "by keyboard, edited" {
		t.Errorf("stored: %v", got)
	}
}

// The Enter that ends a composition of an input method sends nothing.
func TestComposingWithAnInputMethodSendsNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "张三")
	key := func(init string) {
		t.Helper()
		_, err := ann.page.Eval(`() => { const e = new KeyboardEvent('keydown', Object.assign({key: 'Enter', code: 'Enter', bubbles: true, cancelable: true}, ` + init + `));
			document.querySelector('#composer textarea').dispatchEvent(e) }`)
		ann.must(err)
	}
	ann.fill("#composer textarea", "你好")
	key(`{isComposing: true}`)
	key(`{keyCode: 229}`)
	if got := ann.eval(`() => document.querySelector('#composer textarea').value`); got != "你好" {
		t.Fatalf("the composer holds %q", got)
	}
	ann.must(ann.page.KeyActions().Press(input.ShiftLeft).Type(input.Enter).Release(input.ShiftLeft).Do())
	ann.must(ann.page.InsertText("世界"))
	if got := ann.eval(`() => document.querySelector('#composer textarea').value`); got != "你好\n世界" {
		t.Fatalf("Shift+Enter makes %q", got)
	}
	ann.press(input.Enter)
	ann.sees("你好\n世界")
	ann.press(input.Enter) // nothing to send
	time.Sleep(200 * time.Millisecond)
	if got := stored(t, p, "parlor"); len(got) != 1 || got[0].Body != "你好\n世界" {
		t.Errorf("stored: %v", got)
	}
}
