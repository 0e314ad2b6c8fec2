package e2e

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-rod/rod/lib/proto"

	"parlor/app"
	"parlor/app/demo"
	"parlor/db/dbtest"
)

// TestTour makes the pictures of the README's tour, of the demo.
func TestTour(t *testing.T) {
	database := dbtest.New(t)
	cfg := app.DefaultConfig()
	cfg.Files = t.TempDir()
	cookies, err := demo.Fill(context.Background(), cfg, database, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := startOn(t, database, "PARLOR_FILES="+cfg.Files)
	const opening = "/rooms/opening-day"
	tea := "/rooms/" + url.PathEscape("茶馆")
	address, err := url.Parse(p.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	for name, cookie := range cookies {
		c := &client{t: t, p: p, http: &http.Client{Jar: newJar()}}
		c.http.Jar.SetCookies(address, []*http.Cookie{cookie})
		switch name {
		case "Mara", "Tom": // she looks herself; he is out
		case "林夏", "老何":
			stay(t, c, strings.TrimPrefix(tea, "/rooms/"))
		default:
			stay(t, c, "opening-day")
		}
	}
	as := func(name string) *person {
		v := visitor(t, p)
		c := cookies[name]
		v.must(v.browser.SetCookies([]*proto.NetworkCookieParam{{Name: c.Name, Value: c.Value, URL: p.url("/")}}))
		return v
	}
	mara, linxia := as("Mara"), as("林夏")
	linxia.click(".preferences button[value=zh]")
	linxia.until("it is Chinese", `() => document.documentElement.lang === 'zh-Hans'`)

	seqOf := func(room, begin string) int64 {
		for _, m := range stored(t, p, room) {
			if strings.HasPrefix(m.Body, begin) {
				return m.Seq
			}
		}
		t.Fatalf("nobody said %q", begin)
		return 0
	}
	poster := seqOf("opening-day", "海报草稿")

	dir := *screenshotDir
	if dir == "" {
		dir = t.TempDir()
	}
	for _, picture := range []struct {
		name   string
		who    *person
		path   string
		scheme string
		phone  bool
		then   func(v *person)
	}{
		{name: "tour-room", who: mara, path: opening + "/messages/" + formatInt(poster)},
		{name: "tour-code", who: mara, path: "/rooms/shelves", scheme: "dark"},
		{name: "tour-tea", who: linxia, path: tea},
		{name: "tour-phone", who: mara, path: opening, phone: true},
		{name: "tour-thread", who: mara, path: opening + "/messages/" + formatInt(poster) + "/thread"},
		{name: "tour-search", who: mara, path: "/search?q=" + url.QueryEscape("海报")},
		{name: "tour-inbox", who: mara, path: "/inbox", scheme: "dark"},
		{name: "tour-picker", who: mara, path: opening, then: func(v *person) {
			v.point("#log > article:last-child")
			v.click("#log > article:last-child .tools [href$='/react']")
			v.find("dialog[open]")
		}},
		{name: "tour-files", who: mara, path: opening + "/messages/" + formatInt(poster), scheme: "dark", then: func(v *person) {
			v.click("#m-" + formatInt(poster) + " a.picture")
			v.find("dialog[open] img")
		}},
	} {
		t.Run(picture.name, func(t *testing.T) {
			v := picture.who
			if picture.scheme == "" {
				picture.scheme = "light"
			}
			look(v, picture.path, picture.scheme, picture.phone)
			// Pictures far out of sight are loaded when they come near.
			v.until("the pictures in sight are there", `() => [...document.images].every(i => {
				const { top, bottom } = i.getBoundingClientRect()
				return i.complete || bottom < 0 || top > innerHeight
			})`)
			if picture.then != nil {
				picture.then(v)
			}
			v.until("what appears is there", `() => document.getAnimations().every(a => a.playState === 'finished' || a.effect.getTiming().iterations === Infinity)`)
			png, err := v.page.Screenshot(false, &proto.PageCaptureScreenshot{Format: proto.PageCaptureScreenshotFormatPng})
			v.must(err)
			if len(png) < 5000 || len(png) > 200_000 {
				t.Errorf("%s has %d bytes", picture.name, len(png))
			}
			v.must(os.WriteFile(filepath.Join(dir, picture.name+".png"), png, 0o644))
		})
	}
}
