package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-rod/rod/lib/proto"
)

// TestScreenshots seeds an evening and a morning in a few rooms, makes the
// README's pictures of them, and checks what can be measured of how they look.
func TestScreenshots(t *testing.T) {
	p := start(t)
	mara := visitor(t, p)
	mara.enter("Mara")
	garden := seedHouse(t, p, mara)
	mara.allow("404 (Not Found)") // one of the pages below is none

	t.Run("pictures", func(t *testing.T) {
		dir := *screenshotDir
		if dir == "" {
			dir = t.TempDir()
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stranger := visitor(t, p)
		for _, picture := range []struct {
			name   string
			who    *person
			path   string
			scheme string
			phone  bool
		}{
			{"lobby-light", stranger, "/", "light", false},
			{"lobby-phone", stranger, "/", "light", true},
			{"lobby-dark", mara, "/", "dark", false},
			{"room-light", mara, garden.path, "light", false},
			{"room-dark", mara, garden.path, "dark", false},
			{"room-phone", mara, garden.path, "light", true},
		} {
			look(picture.who, picture.path, picture.scheme, picture.phone)
			if picture.path == garden.path {
				garden.letType(picture.who)
			}
			shoot(picture.who, filepath.Join(dir, picture.name+".png"))
		}
		reader := visitor(t, p)
		reader.click(".preferences button[value=zh]")
		reader.until("it is Chinese", `() => document.documentElement.lang === 'zh-Hans'`)
		reader.enter("阿兰")
		look(reader, "/rooms/"+url.PathEscape("茶馆"), "light", false)
		shoot(reader, filepath.Join(dir, "room-zh.png"))
	})

	pages := []string{
		"/", garden.path, garden.path + "?before=9", garden.path + "?after=0", garden.path + "/messages/3", "/rooms/night-train",
		garden.path + "/settings", garden.path + fmt.Sprintf("/messages/%d/edit", garden.marasOwn), garden.path + fmt.Sprintf("/messages/%d/delete", garden.marasOwn),
		garden.path + "/messages/3/reply", garden.path + "/messages/3/thread", garden.path + "/messages/3/versions", garden.path + "/who", "/help",
		"/rooms/new", "/session", "/nowhere",
	}
	t.Run("nothing scrolls sideways", func(t *testing.T) {
		for _, path := range pages {
			for _, width := range []int{320, 390, 760, 900, 1280, 3840} {
				mara.must(mara.page.SetViewport(&proto.EmulationSetDeviceMetricsOverride{Width: width, Height: 800, DeviceScaleFactor: 1}))
				if width == 320 {
					mara.goTo(path)
				}
				if got := mara.number(`() => document.documentElement.scrollWidth`); got > float64(width) {
					t.Errorf("%s at %d px is %.0f px wide", path, width, got)
				}
				if scroller := mara.number(`() => { const s = document.querySelector('#scroll'); return s ? s.scrollWidth - s.clientWidth : 0 }`); scroller > 0 {
					t.Errorf("%s at %d px: the log is %.0f px too wide", path, width, scroller)
				}
			}
		}
	})
	t.Run("a room opens at its newest message", func(t *testing.T) {
		for _, width := range []int{390, 1280} {
			mara.must(mara.page.SetViewport(&proto.EmulationSetDeviceMetricsOverride{Width: width, Height: 700, DeviceScaleFactor: 1}))
			mara.goTo(garden.path)
			mara.until("the newest is in sight, and older ones are not", `() => {
				const log = document.querySelector('#log'), frame = document.querySelector('#scroll').getBoundingClientRect();
				return log.lastElementChild.getBoundingClientRect().bottom <= frame.bottom + 1 && log.firstElementChild.getBoundingClientRect().top < frame.top }`)
		}
	})
	t.Run("colours can be read", func(t *testing.T) {
		for _, scheme := range []string{"light", "dark"} {
			look(mara, garden.path, scheme, false)
			if bad := mara.eval(lowContrast); bad != "" {
				t.Errorf("%s: %s", scheme, bad)
			}
		}
	})
	t.Run("a finger finds everything", func(t *testing.T) {
		stranger := visitor(t, p)
		stranger.allow("401 (Unauthorized)", "404 (Not Found)")
		for _, v := range []*person{mara, stranger} {
			for _, path := range pages {
				look(v, path, "light", true)
				if !v.page.MustEval(`() => matchMedia('(pointer: coarse)').matches`).Bool() {
					t.Fatal("the browser does not play a phone")
				}
				if bad := v.eval(tooSmall); bad != "" {
					t.Errorf("%s: smaller than 44 px: %s", path, bad)
				}
			}
		}
	})
	t.Run("who is here is found on a phone, too", func(t *testing.T) {
		look(mara, garden.path, "light", true)
		mara.until("the number", `() => document.querySelector('#here button').innerText.includes('6')`)
		mara.until("the list is closed", `() => !document.querySelector('#here li').checkVisibility()`)
		mara.click("#here button")
		mara.until("the list", `() => [...document.querySelectorAll('#here li')].filter(li => li.checkVisibility()).length === 6`)
	})
}

// house is what seedHouse made.
type house struct {
	path     string // of the room in the pictures
	marasOwn int64  // a message by Mara there
	types    *client
}

// letType lets somebody type until v sees it.
func (h house) letType(v *person) {
	v.t.Helper()
	h.types.post(h.path+"/typing", nil).Body.Close()
	v.until("somebody types", `() => document.querySelector('#typing b')`)
}

// seedHouse makes rooms, people and what they said.
func seedHouse(t *testing.T, p *program, mara *person) house {
	t.Helper()
	people := map[string]*client{"Mara": {t: t, p: p, http: &http.Client{Jar: newJar(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}}
	cookies, err := mara.browser.GetCookies()
	mara.must(err)
	base, _ := url.Parse(p.url("/")) // we wrote it
	for _, c := range cookies {
		people["Mara"].http.Jar.SetCookies(base, []*http.Cookie{{Name: c.Name, Value: c.Value}})
	}
	for _, name := range []string{"Zoë", "张三", "نور", "Amir", "Lena"} {
		people[name] = newClient(t, p, name)
	}
	room := func(maker, name, topic string) string {
		resp := people[maker].post("/rooms", url.Values{"name": {name}, "topic": {topic}})
		resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("room %s: %s", name, resp.Status)
		}
		return strings.TrimPrefix(resp.Header.Get("Location"), "/rooms/")
	}
	room("Lena", "Night train", "")
	kitchen := room("Mara", "Kitchen table", "Bread, mostly. Whoever bakes decides.")
	tea := room("张三", "茶馆", "水已经烧上了，随便坐")
	garden := room("Mara", "Garden", "What grows, what doesn’t, and who forgot to close the greenhouse")

	people["Zoë"].say(kitchen, "Who took the last of the rye?")
	people["Lena"].say(kitchen, "The next one is out of the oven in ten minutes.")
	people["张三"].say(tea, "晚上八点有人来喝茶吗？新到的龙井。")
	people["Lena"].say(tea, "我来！要带点心吗？Linzer 还有半盘。")
	people["张三"].say(tea, "那太好了，老位置见。")
	people["张三"].say(tea, "对了，上次说的《茶经》我找到了，第三章讲得很细：\n\n「其水，用山水上，江水中，井水下。」\n\n我们的井水也不算太差吧 😄")
	people["نور"].say(tea, "سأحضر النعناع معي 🌿")
	people["Amir"].say(tea, "Count me in. I’ll be ten minutes late.")

	var own int64
	for _, m := range []struct{ who, said string }{
		{"张三", "温室的灯我已经换好了，明天早上可以直接开。"},
		{"张三", "传感器还没接，等 Lena 来一起弄。"},
		{"Lena", "Tomorrow at nine works. The probe speaks plain HTTP, so this is all it takes:\n```\ncurl -N https://garden.example/beds/south/soil?every=10m \\\n     -H 'Accept: text/event-stream' | tee -a soil.log\n```"},
		{"Lena", "Its manual is at https://garden.example/library/sensors/soil/manual-second-edition-with-all-the-appendices.html#calibration-in-heavy-clay-and-after-frost"},
		{"Zoë", "Frost on the south beds, but the kale does not care."},
		{"Zoë", "Pictures when the fog lifts. 🌱🥬"},
		{"Amir", "The seed order closes at noon. I added Cavolo nero, two trays of leeks and the blue peas. Anything from your side, Mara?"},
		{"Mara", "Two bags of seed potatoes, the early ones."},
		{"Mara", "And a Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnung"},
		{"Mara", "… for the new fence, says the town hall. It really is called that."},
		{"Amir", "🤯"},
		{"نور", "صباح الخير! هل بقي مكان لشتلتين من النعناع؟"},
		{"نور", "Wrong window, sorry."},
		{"Mara", "For mint, always. But in a pot, or `rm -rf` won’t get rid of it."},
		{"张三", "哈哈，去年的薄荷已经占了整条路 🌿"},
	} {
		seq := people[m.who].say(garden, m.said)
		path, form := fmt.Sprintf("/rooms/%s/messages/%d", garden, seq), url.Values(nil)
		switch {
		case strings.HasPrefix(m.said, "Frost"):
			form = url.Values{"body": {"Frost on the south beds this morning, but the kale does not care."}}
		case strings.HasPrefix(m.said, "Wrong"):
			path, form = path+"/delete", url.Values{}
		case strings.HasPrefix(m.said, "Two bags"):
			own = seq
		}
		if form != nil {
			resp := people[m.who].post(path, form)
			resp.Body.Close()
			if resp.StatusCode >= 400 {
				t.Fatalf("%s: %s", path, resp.Status)
			}
		}
	}
	// It began the evening before. The server reads the rooms when it starts.
	p.end(syscall.SIGTERM)
	database, err := sql.Open("postgres", p.database)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if _, err := database.Exec(`
		update messages set said_at = said_at - make_interval(mins => 3 * (18 - seq::int)) where seq <= 18;
		update messages m set said_at = date_trunc('day', m.said_at) - interval '4 hours' + make_interval(mins => 3 * m.seq::int)
			from rooms r where r.id = m.room_id and r.name = 'Garden' and m.seq <= 4;
		update rooms set last_said_at = last_said_at - case name 
			when 'Garden' then interval '0' when '茶馆' then '9 minutes' when 'Kitchen table' then '2 hours' else '3 days' end`); err != nil {
		t.Fatal(err)
	}
	p.run()
	for name, c := range people {
		if name != "Mara" {
			stay(t, c, garden)
		}
	}
	stay(t, people["张三"], tea)
	stay(t, people["نور"], tea)
	return house{path: "/rooms/" + garden, marasOwn: own, types: people["Lena"]}
}

// stay keeps a room's stream open, as a browser would.
func stay(t *testing.T, c *client, room string) {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	t.Cleanup(leave)
	signals := url.Values{"datastar": {`{"cursor":"","tab":"` + nonce() + `","opens":1}`}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.p.url("/rooms/"+room+"/stream?"+signals.Encode()), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Datastar-Request", "true")
	resp, err := (&http.Client{Jar: c.http.Jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("stream of %s: %s", room, resp.Status)
	}
	go func() {
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body) // ends with the test
	}()
}

// look opens a path on a desk's or a phone's screen, in a colour scheme.
func look(v *person, path, scheme string, phone bool) {
	v.t.Helper()
	screen := proto.EmulationSetDeviceMetricsOverride{Width: 1280, Height: 800, DeviceScaleFactor: 1}
	if phone {
		screen = proto.EmulationSetDeviceMetricsOverride{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true}
	}
	v.must(v.page.SetViewport(&screen))
	v.must(proto.EmulationSetTouchEmulationEnabled{Enabled: phone}.Call(v.page))
	v.must(proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}.Call(v.page))
	v.goTo(path)
}

// shoot writes a picture of what the page shows.
func shoot(v *person, path string) {
	v.t.Helper()
	v.until("everybody is listed", `() => {
		const here = document.querySelectorAll('#here li').length;
		return !document.querySelector('#here') || here >= 3 && document.querySelector('#hall a[aria-current] .count')?.innerText.startsWith(here) }`)
	v.until("people are in the lobby", `() => !document.querySelector('#cards') || document.querySelectorAll('#cards .stack').length >= 2`)
	png, err := v.page.Screenshot(false, &proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatPng, OptimizeForSpeed: false})
	v.must(err)
	if len(png) < 5000 || len(png) > 200_000 {
		v.t.Errorf("%s has %d bytes", filepath.Base(path), len(png))
	}
	v.must(os.WriteFile(path, png, 0o644))
}

// lowContrast lists the pairs of colours whose contrast (WCAG 2.2, 1.4.3 and
// 1.4.11) is too low: 4.5 for text, 3 for edges and marks.
const lowContrast = `() => {
	const brush = document.createElement('canvas').getContext('2d', {willReadFrequently: true}), probe = document.body.appendChild(document.createElement('span'));
	const luminance = (colour) => {
		brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
		const [r, g, b] = [...brush.getImageData(0, 0, 1, 1).data].map(x => x / 255).map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const token = (name) => { probe.style.color = 'var(--' + name + ')'; return luminance(getComputedStyle(probe).color) };
	const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
	const bad = [], check = (what, got, least) => got >= least || bad.push(what + ' ' + got.toFixed(2));
	for (const ground of ['paper', 'raised', 'sunken']) {
		for (const text of ['ink', 'muted', 'faint', 'seal', 'link']) check(text + ' on ' + ground, ratio(token(text), token(ground)), 4.5);
		for (const mark of ['here', 'edge']) check(mark + ' on ' + ground, ratio(token(mark), token(ground)), ground === 'sunken' && mark === 'edge' ? 0 : 3);
	}
	for (const [text, ground] of [['seal', 'seal-wash'], ['ink', 'seal-wash'], ['faint', 'seal-wash'], ['link', 'seal-wash'], ['seal-ink', 'seal']])
		check(text + ' on ' + ground, ratio(token(text), token(ground)), 4.5);
	for (let i = 0; i < 36; i++) {
		probe.removeAttribute('style'); probe.className = 'seal h' + i;
		const style = getComputedStyle(probe);
		check('seal ' + i, ratio(luminance(style.color), luminance(style.backgroundColor)), 4.5);
	}
	probe.remove();
	return bad.join(', ');
}`

// tooSmall lists what can be tapped and is less than 44 px high. Links inside
// of text and the times of messages are as high as their line.
const tooSmall = `() => [...document.querySelectorAll('a, button, input, textarea')]
	.filter(e => e.checkVisibility({checkVisibilityCSS: true}) && !e.closest('.body, .skip, [hidden]') && !e.matches('.when, [type=hidden]'))
	.map(e => e.type === 'checkbox' ? e.labels[0] : e)
	.filter(e => e.getBoundingClientRect().height < 43.5)
	.map(e => e.tagName + '.' + e.className + ' "' + (e.innerText || e.name || '').trim().slice(0, 30) + '" ' + Math.round(e.getBoundingClientRect().height))
	.join('; ')`
