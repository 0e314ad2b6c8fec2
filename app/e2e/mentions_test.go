package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/go-rod/rod/lib/input"
)

// calls tells whether a message stands out for the one who looks, and how
// strongly the mention itself does.
const calls = `seq => { const m = document.querySelector('#m-' + seq), mention = m.querySelector('.mention');
	return [getComputedStyle(m).boxShadow !== 'none' ? 'called' : 'not called', mention ? getComputedStyle(mention).backgroundColor : ''].join(' ') }`

func TestAMentionFindsThePersonUnderAnyName(t *testing.T) {
	t.Parallel()
	p := start(t)
	zhang := guest(t, p, "张三")
	zhang.say("我在")
	ann, cleo := guest(t, p, "Ann"), guest(t, p, "Cleo")
	ann.sees("我在")

	// Completed by the initials of its pinyin.
	ann.fill("#composer textarea", "你好@zs")
	ann.until("张三 is offered", `() => document.querySelector('#completions [role=option]')?.innerText.includes('张三')`)
	ann.press(input.Enter)
	ann.until("and chosen", `() => document.querySelector('#composer textarea').value === '你好@张三 '`)
	ann.must(ann.page.InsertText("茶？"))
	ann.press(input.Enter)
	for _, v := range []*person{ann, zhang, cleo} {
		v.sees("你好@张三 茶？")
	}
	seq := stored(t, p, "parlor")[1].Seq
	asZhang, asCleo, asAnn := zhang.eval(calls, seq), cleo.eval(calls, seq), ann.eval(calls, seq)
	if asCleo != asAnn || asZhang == asCleo || asZhang[:6] != "called" || asCleo[:10] != "not called" {
		t.Errorf("to 张三 %q, to Cleo %q, to Ann %q", asZhang, asCleo, asAnn)
	}

	// The mention follows the person, not the name.
	zhang.browserRenames("李四")
	for _, v := range []*person{ann, cleo} {
		v.sees("你好@李四 茶？")
	}
	ann.reload()
	ann.sees("你好@李四 茶？")
	newClient(t, p, "张三").say("parlor", "I am another one")
	zhang.goTo("/rooms/parlor")
	zhang.sees("你好@李四 茶？")
	if got := zhang.eval(calls, seq); got != asZhang {
		t.Errorf("after a new name %q, was %q", got, asZhang)
	}
	ann.point(fmt.Sprintf("#m-%d", seq))
	ann.click(fmt.Sprintf(`#m-%d .tools a[href$="/edit"]`, seq))
	ann.until("editing shows the new name", `() => document.querySelector('#editing textarea')?.value === '你好@李四 茶？'`)
	ann.press(input.Escape)

	// Everybody here, but for the one who calls.
	ann.say("@here, tea?")
	cleo.sees("@here, tea?")
	zhang.sees("@here, tea?")
	ann.sees("@here, tea?")
	all := stored(t, p, "parlor")
	seq = all[len(all)-1].Seq
	if got := ann.eval(calls, seq); got[:10] != "not called" {
		t.Errorf("to the one who says it: %q", got)
	}
	for _, v := range []*person{cleo, zhang} {
		if got := v.eval(calls, seq); got[:6] != "called" {
			t.Errorf("to somebody here: %q", got)
		}
	}
}

// browserRenames takes another nickname with the person's own session.
func (v *person) browserRenames(nickname string) {
	v.t.Helper()
	v.goTo("/session")
	v.until("the form", `() => document.querySelector('input[name=nickname]')`)
	v.must(v.find("input[name=nickname]").SelectAllText())
	v.must(v.page.InsertText(nickname))
	v.press(input.Enter)
	v.until("renamed", `() => location.pathname !== '/session'`)
}

// TestReactionsAndMentionsLookGood makes pictures, and measures what can be
// measured of them.
func TestReactionsAndMentionsLookGood(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	var guests []*client
	for _, nickname := range []string{"Bob", "Zoë Bell", "张三", "Mara", "ليلى", "Piotr", "Ines", "王小明", "Tom", "Kofi"} {
		c := newClient(t, p, nickname)
		c.say("parlor", "hello from "+nickname)
		guests = append(guests, c)
	}
	react := func(c *client, seq int64, emoji ...string) {
		for _, e := range emoji {
			c.post(fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq), url.Values{"emoji": {e}}).Body.Close()
		}
	}
	first := guests[0].say("parlor", "Shall we meet in the tea house on Friday?\nBring @Mara and @张三.")
	for i, c := range guests {
		react(c, first, "👍")
		if i%3 == 0 {
			react(c, first, "🎉", "❤️")
		}
	}
	guests[2].say("parlor", "@Ann 周五可以吗？我请大家喝茶。")
	guests[2].say("parlor", "也请 @王小明 一起来。")
	last := guests[3].say("parlor", "@here I will bring the cups.")
	react(guests[0], last, "🙏")
	ann.say("Count me in, @Bob.")
	ann.sees("Count me in, @Bob.")
	ann.click(fmt.Sprintf(`#m-%d .reactions button[value="🎉"]`, first))
	ann.reactions(first, "👍 10: Bob, Zoë Bell, 张三, Mara, ليلى, Piotr, Ines, 王小明, Tom, Kofi; 🎉 5: Bob, Mara, Ines, Kofi, Ann, yours; ❤️ 4: Bob, Mara, Ines, Kofi")
	for _, scheme := range []string{"light", "dark"} {
		look(ann, "/rooms/parlor", scheme, false)
		if bad := ann.eval(lowContrast); bad != "" {
			t.Errorf("%s: %s", scheme, bad)
		}
	}
	pictures(ann, "reactions")
	ann.click(fmt.Sprintf("#m-%d .reactions summary", first))
	pictures(ann, "reactions-who")
	for _, width := range []int{320, 390, 1280, 3840} {
		ann.onPhone(width, 800)
		if w := ann.number(`() => Math.max(document.documentElement.scrollWidth, document.querySelector('#scroll').scrollWidth)`); w > float64(width) {
			t.Errorf("at %d px it is %.0f px wide", width, w)
		}
	}
	look(ann, "/rooms/parlor", "light", true)
	if bad := ann.eval(tooSmall); bad != "" {
		t.Errorf("smaller than 44 px: %s", bad)
	}
	look(ann, "/rooms/parlor", "dark", false)
	ann.point(fmt.Sprintf("#m-%d", first))
	ann.click(fmt.Sprintf("#m-%d .tools .react", first))
	ann.until("the picker", `() => document.querySelector('dialog.picker')?.open`)
	if bad := ann.eval(lowContrast); bad != "" {
		t.Errorf("the picker: %s", bad)
	}
	pictures(ann, "picker")
	look(ann, fmt.Sprintf("/rooms/parlor/messages/%d/react", first), "light", true)
	if bad := ann.eval(tooSmall); bad != "" {
		t.Errorf("the picker's page: smaller than 44 px: %s", bad)
	}
	pictures(ann, "picker-page")

	ann.goTo("/")
	ann.click(".preferences button[value=zh]")
	ann.until("it is Chinese", `() => document.documentElement.lang === 'zh-Hans'`)
	look(ann, "/rooms/parlor", "light", false)
	ann.click(fmt.Sprintf("#m-%d .reactions summary", first))
	ann.fill("#composer textarea", "@")
	ann.until("people are offered", `() => document.querySelectorAll('#completions [role=option]').length > 3`)
	pictures(ann, "reactions-zh")
}
