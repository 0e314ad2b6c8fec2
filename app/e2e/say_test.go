package e2e

import (
	"fmt"
	"testing"

	"github.com/go-rod/rod/lib/input"
)

func TestTwoPeopleSayAndSee(t *testing.T) {
	p := start(t)
	ann := guest(t, p, "Ann")
	bob := guest(t, p, "张三")
	ann.say("hello")
	bob.sees("hello")
	ann.sees("hello")
	for i := range 3 {
		bob.say(fmt.Sprintf("quick %d", i))
	}
	for i := range 3 {
		ann.sees(fmt.Sprintf("quick %d", i))
		bob.sees(fmt.Sprintf("quick %d", i))
	}
	if got, want := fmt.Sprint(ann.texts()), "[hello quick 0 quick 1 quick 2]"; got != want {
		t.Errorf("Ann sees %s", got)
	}
	bob.until("the outbox is empty", `() => !document.querySelector('#outbox > *')`)
	bob.find("#m-2") // hover shows tools
	bob.point("#m-2")
	bob.click(`#m-2 .tools a[href$="/edit"]`)
	bob.until("edit form", `() => document.querySelector('#editing textarea')?.value === 'quick 0'`)
	bob.press(input.End)
	bob.must(bob.page.InsertText(" edited"))
	bob.press(input.Enter)
	ann.sees("quick 0 edited")
	bob.sees("quick 0 edited")
	bob.menu(3, `a[href$="/delete"]`)
	bob.click(`dialog button.send`)
	ann.until("tombstone", `() => document.querySelector('#m-3 .tombstone')`)
	bob.until("dialog gone", `() => !document.querySelector('dialog[open]')`)
	ann.until("typist", `() => document.querySelectorAll('#here li').length === 2`)
}
