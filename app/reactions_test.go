package app_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"parlor/app"
	"parlor/app/chat"
)

func (v *visitor) react(seq int64, emoji string, headers ...string) answer {
	v.s.t.Helper()
	return v.do(v.request("POST", fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq), form("emoji", emoji), headers...))
}

// chips are the reactions of a message on a page, as they are read out.
func chips(page string, seq int64) string {
	_, message, found := strings.Cut(page, fmt.Sprintf(`<article id="m-%d"`, seq))
	if !found {
		return "no message"
	}
	message, _, _ = strings.Cut(message, "</article>")
	var all []string
	for _, chip := range strings.Split(message, `<button name="emoji"`)[1:] {
		chip, _, _ = strings.Cut(chip, "</button>")
		_, chip, _ = strings.Cut(chip, ">")
		all = append(all, strings.Join(strings.Fields(tagless(chip)), " "))
	}
	return strings.Join(all, "; ")
}

func tagless(html string) string {
	var b strings.Builder
	for i, part := range strings.Split(html, "<") {
		if i > 0 {
			_, part, _ = strings.Cut(part, ">")
		}
		b.WriteString(part)
	}
	return b.String()
}

func TestReactionsAreGivenAndTakenBackByEveryKindOfRequest(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	seq := ann.say("parlor", "hello")
	live := bob.stream("/rooms/parlor/stream?after=0")
	live.until("hello")

	a := bob.react(seq, "👍")
	if a.code != 303 || a.header.Get("Location") != "/rooms/parlor/messages/1#m-1" {
		t.Fatalf("%d to %q: %s", a.code, a.header.Get("Location"), a.body)
	}
	live.until(`value="👍"`)
	a = ann.react(seq, "👍", "Accept", "application/json")
	contains(t, a, 200, `"seq":1`, `"rev":3`, `"given":true`)
	live.until(`<b>2</b>`)
	a = ann.do(ann.request("POST", "/rooms/parlor/messages/1/reactions?emoji="+url.QueryEscape("🎉"), "{}",
		"Datastar-Request", "true", "Content-Type", "application/json"))
	if a.code != 204 || a.body != "" {
		t.Fatalf("to a page: %d %q", a.code, a.body)
	}
	live.until(`value="🎉"`)
	for _, path := range []string{"/rooms/parlor", "/rooms/parlor?after=0", "/rooms/parlor/messages/1"} {
		if got := chips(ann.get(path).body, seq); got != "👍 2: Bob, Ann, yours; 🎉 1: Ann, yours" {
			t.Errorf("%s shows %q", path, got)
		}
	}
	contains(t, ann.get("/rooms/parlor"), 200, `data-people="1 2"`, `data-people="1"`)
	contains(t, ann.react(seq, "🎉", "Accept", "application/json"), 200, `"given":false`)
	if event := live.until(`data-rev="5"`); strings.Contains(event, "🎉") {
		t.Error("what was taken back is still shown")
	}
	if got := chips(bob.get("/rooms/parlor").body, seq); got != "👍 2: Bob, Ann, yours" {
		t.Error(got)
	}

	// Under the present nickname everywhere, also of one who never spoke.
	bob.post("/session", "nickname", "Robert <b>")
	live.until("Robert &lt;b&gt;")
	for _, path := range []string{"/rooms/parlor", "/rooms/parlor?after=0"} {
		if got := chips(ann.get(path).body, seq); got != "👍 2: Robert &lt;b&gt;, Ann, yours" {
			t.Errorf("%s shows %q", path, got)
		}
	}
	// After any gap the same, from this node's memory and from the database.
	memory := ann.stream("/rooms/parlor/stream?after=1")
	if event := memory.until(`value="👍"`); strings.Contains(event, "🎉") {
		t.Error(event)
	}
	memory.until("Robert &lt;b&gt;")
	node := newNode(t, s.database)
	stored := (&visitor{ann.Client, node}).stream("/rooms/parlor/stream?after=1")
	if event := stored.until(`value="👍"`); !strings.Contains(event, "Robert &lt;b&gt;") || strings.Contains(event, "🎉") {
		t.Error(event)
	}
}

func TestReactionsThatAreRefused(t *testing.T) {
	s := newSite(t)
	ann, looker := s.guest("Ann"), s.visitor()
	seq, gone := ann.say("parlor", "hello"), ann.say("parlor", "gone")
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", gone))
	json := []string{"Accept", "application/json"}
	for _, bad := range []string{"", "a", "👍👍", ":+1:", "1", "❤", "👍 ", "<b>", strings.Repeat("👍", 1000), "\U0001F468\u200D", "\xff", "🇦"} {
		contains(t, ann.react(seq, bad, json...), 422, "not-an-emoji", "one emoji")
	}
	contains(t, ann.react(seq, "👍", "Accept", "text/html", "Accept-Language", "zh"), 303)
	contains(t, ann.react(seq, "x", "Accept", "text/html", "Accept-Language", "zh"), 422, "那不是一个表情")
	contains(t, ann.react(gone, "👍", json...), 409, "reaction-too-late", "deleted")
	contains(t, ann.react(gone+99, "👍", json...), 404, "no-such-message")
	contains(t, ann.do(ann.request("POST", "/rooms/nowhere/messages/1/reactions", form("emoji", "👍"), json...)), 404)
	contains(t, looker.react(seq, "👍", json...), 401, "need-nickname")
	contains(t, ann.do(ann.request("POST", "/rooms/parlor/messages/1/reactions?emoji=x", "{}", "Datastar-Request", "true", "Content-Type", "application/json")),
		200, "#dialogs", "one emoji") // what an open page can show
	for i := range chat.MostEmoji - 1 {
		contains(t, ann.react(seq, string(rune('🐀'+i)), json...), 200)
	}
	contains(t, ann.react(seq, "🎉", json...), 409, "too-many-emoji", "20")
	contains(t, ann.react(seq, "👍", json...), 200, `"given":false`)
	contains(t, ann.react(seq, "🎉", json...), 200, `"given":true`)
}

func TestReactionsAreSlowedDownLikeMessages(t *testing.T) {
	s := newSite(t, func(cfg *app.Config) { cfg.PostsPerSecond, cfg.PostsBurst = 0.01, 2 })
	ann := s.guest("Ann")
	seq := ann.say("parlor", "hello")
	contains(t, ann.react(seq, "👍", "Accept", "application/json"), 200)
	a := ann.react(seq, "👍", "Accept", "application/json")
	contains(t, a, 429, "too-fast")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestThePickerFindsEmoji(t *testing.T) {
	s := newSite(t)
	ann, looker := s.guest("Ann"), s.visitor()
	ann.say("parlor", "pick <me>")
	page := ann.get("/rooms/parlor/messages/1/react")
	contains(t, page, 200, "pick &lt;me&gt;", `action="/rooms/parlor/messages/1/reactions"`, `value="👍"`, `value="🎉"`)
	contains(t, ann.get("/rooms/parlor/messages/1/react?q=watermelon"), 200, `value="🍉"`, `value="watermelon"`)
	contains(t, ann.get("/rooms/parlor/messages/1/react?q="+url.QueryEscape("thumbs up")), 200)
	contains(t, ann.get("/rooms/parlor/messages/1/react?q="+url.QueryEscape("吃瓜"), "Accept-Language", "zh"), 200, `value="🍉"`)
	contains(t, ann.get("/rooms/parlor/messages/1/react?q="+url.QueryEscape("🦖")), 200, `value="🦖" title`)
	none := ann.get("/rooms/parlor/messages/1/react?q=" + url.QueryEscape("nothing is called <so>"))
	contains(t, none, 200, "No emoji has that name", "nothing is called &lt;so&gt;")
	contains(t, ann.get("/rooms/parlor/messages/1/react?q="+strings.Repeat("x", 5000)), 200, "No emoji")
	contains(t, ann.get("/rooms/parlor/messages/1/react", "Datastar-Request", "true"), 200, "#dialogs", "<dialog", "showModal")
	found := ann.get("/rooms/parlor/messages/1/react?q=tea", "Datastar-Request", "true")
	contains(t, found, 200, "#found", `value="🍵"`)
	if strings.Contains(found.body, "<dialog") {
		t.Error("looking for an emoji opens the dialog afresh")
	}
	contains(t, looker.get("/rooms/parlor/messages/1/react"), 401)
	contains(t, looker.get("/rooms/parlor/messages/1/react", "Datastar-Request", "true"), 200, "#dialogs")
	contains(t, ann.get("/rooms/parlor/messages/99/react"), 404)
	ann.post("/rooms/parlor/messages/1/delete")
	contains(t, ann.get("/rooms/parlor/messages/1/react"), 409)
}

func TestWhatIsShownOfManyReactionsIsBounded(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	seq := ann.say("parlor", "hello")
	const many = chat.LatestReactions + 20
	for i := range many {
		s.guest(fmt.Sprintf("Guest %d", i)).react(seq, "🙋")
	}
	page := ann.get("/rooms/parlor").body
	got := chips(page, seq)
	if !strings.HasPrefix(got, "🙋 120: Guest 0, Guest 1,") || !strings.HasSuffix(got, "Guest 19 and 100 more, yours") {
		t.Error(got)
	}
	if n := strings.Count(page, "data-name="); n != 1+chat.ReactionNames {
		t.Errorf("%d names", n)
	}
}
