package e2e

import (
	"testing"

	"github.com/go-rod/rod/lib/proto"
)

func TestTheLanguageFollowsTheBrowserAndTheChoice(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := visitor(t, p)
	speaks := func(what, lang, contains string) {
		t.Helper()
		ann.until(what, `(lang, text) => document.documentElement.lang === lang && document.body.innerText.includes(text)`, lang, contains)
	}
	speaks("English", "en", "Take a name")
	ann.must(proto.EmulationSetUserAgentOverride{
		UserAgent: ann.eval(`() => navigator.userAgent`), AcceptLanguage: "zh-CN,en",
	}.Call(ann.page))
	ann.goTo("/")
	speaks("Chinese, as the browser asks", "zh-Hans", "取个名字")
	ann.enter("小安")
	speaks("Chinese after a form", "zh-Hans", "欢迎回来")
	ann.goTo("/rooms/parlor")
	ann.say("你好")
	ann.sees("你好")
	ann.until("what comes by the stream is Chinese, too", `() => document.querySelector('#here h2').innerText.includes('在场')`)
	bob := guest(t, p, "Bob")
	bob.sees("你好")
	bob.until("everybody in their own", `() => document.querySelector('#here h2').innerText.includes('Here · 2')`)

	ann.click(`.preferences button[name=lang][value=en]`)
	speaks("English by choice", "en", "Make a room")
	ann.until("in the same place", `() => location.pathname === '/rooms/parlor'`)
	ann.goTo("/")
	speaks("the choice is remembered", "en", "Welcome back")
	ann.live()
	ann.click(`.preferences button[name=lang][value=zh]`)
	speaks("and Chinese again", "zh-Hans", "欢迎回来")
}

func TestTheThemeIsChosenAndRemembered(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	colour := `() => getComputedStyle(document.body.closest('html')).backgroundColor`
	light := ann.eval(colour)
	ann.click(`.preferences button[value=dark]`)
	ann.until("dark", `light => document.documentElement.classList.contains('theme-dark') && (`+colour+`)() !== light`, light)
	ann.goTo("/")
	ann.until("remembered", `() => document.documentElement.classList.contains('theme-dark')`)
	ann.click(`.preferences button[value=light]`)
	ann.until("light", `light => document.documentElement.classList.contains('theme-light') && (`+colour+`)() === light`, light)
	ann.must(proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}.Call(ann.page))
	ann.until("still light", `light => (`+colour+`)() === light`, light)
	ann.click(`.preferences button[value=system]`)
	ann.until("as the system", `light => !document.documentElement.className.includes('theme-') && (`+colour+`)() !== light`, light)
}

// A screen reader is told new messages, and not old ones that are loaded.
func TestTheLogIsReadOutOnceAndNotWhilePaging(t *testing.T) {
	t.Parallel()
	p := start(t)
	newClient(t, p, "Bob").fillRoom("parlor", 120, "number %d")
	ann := guest(t, p, "Ann")
	ann.until("new messages are read out", `() => document.getElementById('log').getAttribute('aria-live') === 'polite'`)
	_, err := ann.page.Eval(`() => { window.live = [];
		new MutationObserver(() => window.live.push(document.getElementById('log').getAttribute('aria-live') + ' ' + document.querySelectorAll('#log > article').length))
			.observe(document.getElementById('log'), {childList: true, attributes: true, attributeFilter: ['aria-live']}) }`)
	ann.must(err)
	ann.goUp()
	ann.until("polite again", `() => document.getElementById('log').getAttribute('aria-live') === 'polite'`)
	ann.until("it was off when old ones came", `() => window.live.find(seen => seen.endsWith(' 100')) === 'off 100'`)
}
