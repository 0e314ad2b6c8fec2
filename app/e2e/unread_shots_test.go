package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-rod/rod/lib/proto"

	"parlor/db"
)

// How unread, the bell, who is away and the inbox look.
func TestUnreadScreenshots(t *testing.T) {
	dir := *screenshotDir
	if dir == "" {
		dir = t.TempDir()
	}
	p := start(t)
	ann, bob := newClient(t, p, "Ann"), guest(t, p, "Bob")
	store, err := db.Open(context.Background(), p.database, db.Options{Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	bob.must(bob.page.Navigate("about:blank"))
	bob.goTo("/rooms/parlor")
	ann.post("/rooms", url.Values{"name": {"Garden 花园"}}).Body.Close()
	ann.post("/rooms", url.Values{"name": {"Kitchen"}}).Body.Close()
	for _, slug := range []string{"parlor"} {
		ann.say(slug, "Good morning. Is anybody up for a walk to the lake later?")
		ann.say(slug, "I would bring tea.")
	}
	seen := ann.say("parlor", "And something to eat.")
	bob.sees("And something to eat.")
	bob.reads()
	bob.shows("the number", number, "")
	bob.must(bob.page.Navigate("about:blank"))
	for i := range 6 {
		ann.say("parlor", []string{"The weather holds.", "明天见！", "I found the old map in the drawer, the one with the path along the shore.", "Who has the keys?", "Nobody?", "Found them."}[i])
	}
	if _, err := store.DB.Exec(`update messages set said_at = said_at - interval '3 hours' where seq <= $1`, seen+6); err != nil {
		t.Fatal(err)
	}
	resp := ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seen), url.Values{"body": {"And something to eat, for everybody."}})
	resp.Body.Close()
	var id, by int64
	if err := store.DB.QueryRow(`select (select id from people where nickname = 'Bob'), (select id from people where nickname = 'Ann')`).Scan(&id, &by); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Say(context.Background(), 1, db.Post{AuthorID: by, Nonce: nonce(), Text: db.Text{Body: "Bob, will you come along?", Mentions: []db.Mention{{PersonID: id}}}}); err != nil {
		t.Fatal(err)
	}
	ann.post("/session/status", url.Values{"status": {"at the lake until noon, back for tea"}}).Body.Close()
	size := func(width, height int) {
		bob.must(proto.EmulationSetDeviceMetricsOverride{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500}.Call(bob.page))
	}
	shot := func(name string) {
		t.Helper()
		bob.live()
		png, err := bob.page.Screenshot(false, nil)
		bob.must(err)
		bob.must(os.WriteFile(filepath.Join(dir, "unread-"+name+".png"), png, 0o644))
	}
	size(1280, 800)
	bob.goTo("/rooms/parlor")
	bob.until("the sentence stands above", `() => document.querySelector('#log .said[data-new]')?.dataset.new.includes('edited')`)
	shot("room")
	bob.click(".acts .ask")
	shot("bell")
	for _, look := range []struct {
		name, lang, theme string
		width, height     int
	}{{"light", "en", "light", 1280, 800}, {"dark-zh", "zh", "dark", 1280, 800}, {"phone", "en", "light", 390, 844}, {"phone-dark-zh", "zh", "dark", 390, 844}} {
		size(look.width, look.height)
		_, err := bob.page.Eval(`(lang, theme) => Promise.all([fetch('/preferences', {method: 'POST', body: new URLSearchParams({lang})}), fetch('/preferences', {method: 'POST', body: new URLSearchParams({theme})})]).then(() => {})`, look.lang, look.theme)
		bob.must(err)
		for page, path := range map[string]string{"room": "/rooms/parlor", "inbox": "/inbox", "lobby": "/", "session": "/session"} {
			bob.goTo(path)
			shot(page + "-" + look.name)
		}
		bob.goTo("/rooms/parlor")
		if look.width < 760 {
			bob.click(".fold")
		}
		bob.click(".acts .ask")
		shot("bell-" + look.name)
	}
}
