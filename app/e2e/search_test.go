package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

func TestWhatOneSaysAnotherFinds(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := newClient(t, p, "Ann")
	seq := ann.say("parlor", "今天我们开会讨论聊天应用")
	ann.say("parlor", "we deployed the café")
	bob := guest(t, p, "Bob")
	bob.goTo("/rooms/parlor")

	// From anywhere in the room, by keyboard.
	bob.find("#scroll")
	bob.must(bob.find("#scroll").Focus())
	bob.press('/')
	bob.until("the field has the focus", `() => document.activeElement.matches('.hall input[type=search]') && document.activeElement.value === ''`)
	bob.must(bob.page.InsertText("讨论"))
	bob.press(input.Enter)
	bob.until("it was found, in this room", `() => document.querySelector('.results mark')?.textContent === '讨论' && document.querySelector('#q').value === 'in:parlor 讨论'`)
	bob.until("the time is the reader's", `() => !/UTC/.test(document.querySelector('.results time').textContent)`)

	// While typing, without another page.
	bob.must(bob.page.Keyboard.Press(input.ControlLeft))
	bob.press('k')
	bob.must(bob.page.Keyboard.Release(input.ControlLeft))
	bob.until("the whole query is selected", `() => document.activeElement.id === 'q' && getSelection().toString() === 'in:parlor 讨论'`)
	bob.eval(`() => { window.samePage = true; return '' }`)
	bob.must(bob.page.InsertText("depl"))
	bob.until("results come while typing", `() => window.samePage && document.querySelector('.results mark')?.textContent === 'deployed'`)
	bob.must(bob.page.InsertText("x"))
	bob.until("and go", `() => window.samePage && !document.querySelector('.results') && document.querySelector('.nothing')`)
	bob.until("the reader's days are told", `() => document.querySelector('#search [name=tz]').value === Intl.DateTimeFormat().resolvedOptions().timeZone`)

	// An edit and a deletion are searched at once, and the way leads there.
	ann.edit("parlor", seq, "明天再议")
	bob.goTo("/search?q=" + url.QueryEscape("讨论"))
	bob.until("the old text is gone", `() => document.querySelector('.nothing')`)
	bob.goTo("/search?q=" + url.QueryEscape("再议"))
	bob.click(".results a")
	bob.until("the message in its room", `seq => location.pathname.endsWith('/messages/' + seq) && document.querySelector('#m-' + seq + ':target')`, seq)
	ann.delete("parlor", seq)
	bob.goTo("/search?q=" + url.QueryEscape("再议"))
	bob.until("deleted, not found", `() => document.querySelector('.nothing')`)

	// What was looked for is remembered until it is forgotten.
	bob.goTo("/search")
	bob.until("remembered", `() => [...document.querySelectorAll('.recent a')].some(a => a.textContent.trim() === 'in:parlor 讨论')`)
	bob.click(".recent button[value='in:parlor 讨论']")
	bob.until("forgotten", `() => location.pathname === '/search' && document.querySelector('#q') &&
		![...document.querySelectorAll('.recent a')].some(a => a.textContent.trim() === 'in:parlor 讨论')`)
}

func TestSearchWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := newClient(t, p, "Ann")
	for i := range 25 {
		ann.say("parlor", fmt.Sprintf("apple number %d", i))
	}
	v := without(t, p)
	v.visit("/rooms/parlor")
	v.point(".hall input[type=search]")
	v.must(v.page.Mouse.Click("left", 1))
	v.must(v.page.InsertText("apple"))
	v.mark()
	v.press(input.Enter)
	v.arrived("at the results")
	if n := v.number(`() => document.querySelectorAll('.results mark').length`); n != 20 {
		t.Errorf("%.0f results", n)
	}
	v.follow("a[rel=next]")
	if n := v.number(`() => document.querySelectorAll('.results mark').length`); n != 5 {
		t.Errorf("%.0f older results", n)
	}
	v.follow(".results li:last-child a")
	if got := v.eval(`() => location.pathname`); got != "/rooms/parlor/messages/1" {
		t.Errorf("the oldest result leads to %s", got)
	}
	v.visit("/search?in=parlor")
	v.visit("/rooms/parlor?on=today")
	if got := v.eval(`() => location.pathname`); got != "/rooms/parlor/messages/1" {
		t.Errorf("today leads to %s", got)
	}
}

func TestSearchFitsAnyScreen(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := newClient(t, p, "Ann")
	ann.say("parlor", "apple "+"verylongwordwithoutanyspace/andapath/andmore_andmore_andmore_andmore_andmore_andmore_and")
	v := guest(t, p, "A name of thirty-two characters!")
	for _, path := range []string{"/search", "/search?q=apple", "/search?q=" + url.QueryEscape("in:parlor nothing-of-this-kind-was-ever-said-by-anybody")} {
		v.goTo(path)
		for _, width := range []int{320, 390, 1280, 3840} {
			v.size(width)
			if got := v.number(`() => document.documentElement.scrollWidth`); got > float64(width) {
				t.Errorf("%s at %d px is %.0f px wide", path, width, got)
			}
		}
	}
	v.size(390)
	v.goTo("/rooms/parlor")
	v.click(".fold")
	v.click(".to-search")
	v.until("a phone gets there from the room's head", `() => document.querySelector('#q')?.value.startsWith('in:parlor')`)
}

func (v *person) size(width int) {
	v.t.Helper()
	v.must(v.page.SetViewport(&proto.EmulationSetDeviceMetricsOverride{Width: width, Height: 800, DeviceScaleFactor: 1}))
}
