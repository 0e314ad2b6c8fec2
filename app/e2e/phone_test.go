package e2e

import (
	"fmt"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

// onPhone gives the person's page the size of a phone.
func (v *person) onPhone(width, height int) {
	v.t.Helper()
	v.must(proto.EmulationSetDeviceMetricsOverride{Width: width, Height: height, DeviceScaleFactor: 2, Mobile: true}.Call(v.page))
	v.must(proto.EmulationSetTouchEmulationEnabled{Enabled: true}.Call(v.page))
}

func TestAPhoneHasEverything(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 30, "number %d")
	bob.say("parlor", "a very long word: "+fmt.Sprintf("%0200d", 7))
	bob.say("parlor", "```\n"+fmt.Sprintf("code %0300d", 7)+"\n```")
	for _, size := range [][2]int{{390, 844}, {320, 640}} {
		ann := visitor(t, p)
		ann.onPhone(size[0], size[1])
		narrow := func(where string) {
			t.Helper()
			ann.until(fmt.Sprintf("%s at %d pixels does not scroll sideways", where, size[0]), `width =>
				document.documentElement.scrollWidth <= width && document.body.scrollWidth <= width && innerWidth <= width &&
				(document.getElementById('scroll')?.scrollWidth ?? 0) <= width`, size[0])
		}
		ann.goTo("/")
		narrow("the lobby")
		ann.enter(fmt.Sprintf("Ann%d", size[0]))
		narrow("the lobby of a person")
		ann.click(".card")
		ann.until("in the room", `() => document.querySelector('#composer')`)
		ann.live()
		narrow("a room")
		ann.until("the list of rooms is away, the composer is in sight", `() => {
			const r = document.querySelector('#composer textarea').getBoundingClientRect();
			return !document.querySelector('.hall').checkVisibility() && r.top > 0 && r.bottom <= innerHeight && r.width > 120 }`)
		text := fmt.Sprintf("from a phone of %d", size[0])
		ann.fill("#composer textarea", text)
		ann.press(input.Enter) // its keyboard has no Shift+Enter
		ann.must(ann.page.InsertText("second line"))
		ann.until("Enter broke the line", `text => document.querySelector('#message').value === text + '\nsecond line'`, text)
		ann.click("#composer button.send")
		ann.sees(text + "\nsecond line")
		// Where all else is read, a way up to what is not is one line.
		ann.click("#about a.back")
		ann.until("back in the lobby", `() => location.pathname === '/' && document.querySelector('.card')`)
		ann.must(ann.page.Navigate("about:blank"))
		bob.fillRoom("parlor", 32, "new %d")
		ann.goTo("/rooms/parlor")
		ann.until("the way up is one line", `() => { const [words, arrow] = document.querySelectorAll('#catch-up.shown span'), r = arrow?.getBoundingClientRect();
			return r && Math.abs(r.top - words.getBoundingClientRect().top) < r.height / 2 && document.querySelector('#catch-up').offsetHeight >= 44 }`)
		pictures(ann, "catch-up")
		ann.click("#about a.back")
		ann.until("back in the lobby", `() => location.pathname === '/' && document.querySelector('.card')`)
		ann.goTo("/rooms/new")
		narrow("the form for a room")
	}
}
