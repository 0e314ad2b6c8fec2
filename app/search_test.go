package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"parlor/app"
)

// search asks as a browser does when its own form was sent.
func (v *visitor) search(query string, more ...string) answer {
	v.s.t.Helper()
	return v.get("/search?"+form(append([]string{"q", query}, more...)...), "Sec-Fetch-Site", "same-origin")
}

// lacks says what must not be in an answer.
func lacks(t *testing.T, a answer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%q is in: %.2000s", text, a.body)
		}
	}
}

func TestSearchShowsWhatWasSaidAndWhere(t *testing.T) {
	s := newSite(t)
	zoe, bob := s.guest("Zoe"), s.guest("Bob")
	seq := zoe.say("parlor", "今天我们开会讨论聊天应用")
	bob.say("parlor", "we deployed <b>it</b> & more")
	link := fmt.Sprintf(`href="/rooms/parlor/messages/%d#m-%d"`, seq, seq)
	for _, v := range []*visitor{bob, s.visitor()} { // rooms are public, and so is what is found in them
		contains(t, v.search("讨论"), 200, "今天我们开会<mark>讨论</mark>聊天应用", link, "Zoe", "Parlor")
	}
	contains(t, bob.search("deploy"), 200, "we <mark>deployed</mark> &lt;b&gt;it&lt;/b&gt; &amp; more")
	lacks(t, bob.search("论文"), link)
	contains(t, bob.search("from:zoe"), 200, link)
	contains(t, bob.search("from:me"), 200, "we deployed")
	lacks(t, bob.search("from:me"), link)
	contains(t, bob.search("in:parlor 会议 OR"), 200, "Nothing was found.", `type="date"`, `href="/search?q=%E4%BC%9A%E8%AE%AE+OR"`, "Search in all rooms")
	contains(t, bob.search("from:nobody in:nowhere x"), 200, "Nobody here is called “nobody”.", "There is no room “nowhere”.")
	contains(t, s.visitor().search("from:me"), 200, "Nobody here is called “me”.")
	contains(t, bob.search("-from:me"), 200, link)
	lacks(t, bob.search("-from:zoe -from:nobody"), link)
	contains(t, bob.search("-from:zoe -from:nobody deploy"), 200, "Nobody here is called “nobody”.", "<mark>deployed</mark>")
	lacks(t, bob.search("-in:parlor"), `class="results"`)
	contains(t, bob.search("-in:nowhere 讨论"), 200, link, "There is no room “nowhere”.")
	contains(t, bob.search("会"), 200, "开<mark>会</mark>讨论")
}

func TestEditsAndDeletionsAreSearchedAtOnce(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	seq := zoe.say("parlor", "the secret word is marzipan")
	path := fmt.Sprintf("/rooms/parlor/messages/%d", seq)
	contains(t, zoe.search("marzipan"), 200, "<mark>marzipan</mark>")
	if a := zoe.post(path, "body", "the word is nougat"); a.code != http.StatusSeeOther {
		t.Fatal(a.code, a.body)
	}
	lacks(t, zoe.search("secret"), "the secret", "class=\"results\"")
	contains(t, zoe.search("word"), 200, "<mark>word</mark> is nougat")
	lacks(t, zoe.search("word"), "marzipan</")
	if a := zoe.post(path + "/delete"); a.code != http.StatusSeeOther {
		t.Fatal(a.code, a.body)
	}
	for _, query := range []string{"nougat", "word", "from:me", "in:parlor", "-absent"} {
		lacks(t, zoe.search(query), "class=\"results\"")
	}
}

func TestAnythingCanBeSearchedFor(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "something")
	for _, query := range []string{
		"", " ", "'", `"`, `\`, "%", "&|!()<->:*", "from:", "from:\x00", "in:\x00x", "\x00", "\xff\xfe", "-", "--x", "has:", "on:2026-99-99",
		"before:0000-00-00", "after:9000 before:1000", strings.Repeat("a ", 4000), strings.Repeat("讨论", 1000), strings.Repeat(`"a" `, 2000),
		strings.Repeat("from:a ", 2000), "' or 1=1; drop table messages; --", "<script>alert(1)</script>", "\u202e", "👨‍👩‍👧", "in:" + strings.Repeat("x", 5000),
		"from:" + strings.Repeat("x", 5000), strings.Repeat("字", 4000), strings.Repeat("some ", 200), "!!! ... ???", `some "unclosed`, "“未闭合", `"""`, "has:wings",
		"before:9001", "after:-1", "on:2026-13", "on:٢٠٢٦", "-from:", "-from:\x00 -in:\x00 -has:pin", "-on:today", "\x0e1\x0f", "@Zoe@Zoe", "e" + strings.Repeat("\u0301", 300), strings.Repeat("\u200b", 100),
	} {
		if a := zoe.search(query); a.code != 200 {
			t.Errorf("%.40q: %d", query, a.code)
		}
	}
	lacks(t, zoe.search("<script>alert(1)</script>"), "<script>alert")
	for _, older := range []string{"x", "1-2", "1-2-3", "1-2-3-4-5", "-1-1-1-1", "0-99999999999999999999-1-1", "0-9223372036854775807-1-1", "9223372036854775807-1-1-1", "2147483647-1-1-1", "1--1-1"} {
		if a := zoe.search("some", "older", older); a.code != 200 && a.code != 400 {
			t.Errorf("older=%s: %d", older, a.code)
		}
	}
	for _, tz := range []string{"../../etc/passwd", "Local", "Nowhere/Land", strings.Repeat("x", 5000), "\x00"} {
		if a := zoe.search("some on:today", "tz", tz); a.code != 200 {
			t.Errorf("tz=%.20q: %d", tz, a.code)
		}
	}
	contains(t, zoe.search("some"), 200, "<mark>something</mark>")
	contains(t, zoe.search("from:Zоe"), 200, "Nobody here is called “Zоe”.") // with a Cyrillic о
	contains(t, zoe.search("some from:ＺＯＥ"), 200, "<mark>something</mark>")
	contains(t, zoe.search(strings.Repeat("some ", 200)), 200, "<mark>something</mark>")
}

func TestResultsHavePages(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	for i := range 45 {
		zoe.say("parlor", fmt.Sprintf("apple number %d.", i))
	}
	seen, path, pages := 0, "/search?q=apple", 0
	for ; path != ""; pages++ {
		a := zoe.get(path)
		for i := range 45 {
			seen += strings.Count(a.body, fmt.Sprintf("</mark> number %d.", i))
		}
		_, rest, more := strings.Cut(a.body, `rel="next" href="`)
		path, _, _ = strings.Cut(rest, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
		if more != (pages < 2) || pages > 3 {
			t.Fatalf("page %d has more: %v", pages, more)
		}
	}
	if seen != 45 || pages != 3 {
		t.Errorf("%d results on %d pages", seen, pages)
	}
}

func TestSearchFromARoomIsInThatRoom(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	contains(t, zoe.get("/rooms/parlor"), 200, `role="search"`, `name="in" value="parlor"`, `href="/search?in=parlor"`)
	contains(t, zoe.get("/"), 200, `role="search"`)
	for query, want := range map[string]string{"apple": "in:parlor apple", "in:kitchen apple": "in:kitchen apple", "": "in:parlor"} {
		a := zoe.search(query, "in", "parlor")
		to, err := url.Parse(a.header.Get("Location"))
		if a.code != http.StatusSeeOther || err != nil || strings.TrimSpace(to.Query().Get("q")) != want || to.Query().Has("in") {
			t.Errorf("%q leads to %v", query, to)
		}
	}
}

func TestRecentSearchesAreOnesOwn(t *testing.T) {
	s := newSite(t)
	zoe, bob := s.guest("Zoe"), s.guest("Bob")
	zoe.search("first <thing>")
	zoe.search("second")
	contains(t, zoe.get("/search"), 200, "first &lt;thing&gt;", "second", `action="/search/forget"`)
	zoe.get("/search?q=planted", "Sec-Fetch-Site", "cross-site") // a link on another site
	zoe.get("/search?q=typing", "Sec-Fetch-Site", "same-origin", "Datastar-Request", "true")
	lacks(t, zoe.get("/search"), "planted", "typing")
	lacks(t, bob.get("/search"), "second")
	if a := bob.post("/search/forget", "q", "second"); a.code != http.StatusSeeOther {
		t.Error(a.code)
	}
	if a := zoe.post("/search/forget", "q", "first <thing>"); a.code != http.StatusSeeOther {
		t.Error(a.code)
	}
	a := zoe.get("/search")
	contains(t, a, 200, ">second<")
	lacks(t, a, "first")
	zoe.post("/search/forget", "q", "")
	lacks(t, zoe.get("/search"), ">second<")
	if a := s.visitor().post("/search/forget", "q", ""); a.code != http.StatusUnauthorized {
		t.Errorf("a stranger forgets: %d", a.code)
	}
}

func TestSearchForPrograms(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	seq := zoe.say("parlor", "a good apple")
	a := zoe.get("/search?q=apple", "Accept", "application/json")
	var found struct {
		Query    string
		Messages []struct {
			Room    struct{ Slug, Name string }
			Author  struct{ Nickname string }
			Seq     int64
			URL     string
			Snippet []struct {
				Text string
				Hit  bool
			}
		}
	}
	if err := json.Unmarshal([]byte(a.body), &found); err != nil || a.code != 200 || len(found.Messages) != 1 {
		t.Fatalf("%d %s %v", a.code, a.body, err)
	}
	m := found.Messages[0]
	if m.Seq != seq || m.Room.Slug != "parlor" || m.Author.Nickname != "Zoe" || m.URL != fmt.Sprintf("/rooms/parlor/messages/%d#m-%d", seq, seq) ||
		len(m.Snippet) != 2 || m.Snippet[1].Text != "apple" || !m.Snippet[1].Hit {
		t.Errorf("%+v", m)
	}
	if a := zoe.get("/search?q=absent", "Accept", "application/json"); !strings.Contains(a.body, `"messages":[]`) {
		t.Error(a.body)
	}
}

func TestSearchWhileTypingPatchesTheResults(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "a good apple")
	a := zoe.get("/search?q=appl", "Datastar-Request", "true")
	contains(t, a, 200, "event: datastar-patch-elements", "#results", "<mark>apple</mark>")
	lacks(t, a, "<html")
}

func TestDaysAreTheReadersOwn(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "late apple")
	seq := zoe.say("parlor", "early apple")
	set := func(seq int64, at string) {
		t.Helper()
		if _, err := s.store.DB.Exec(`update messages set said_at = $2 where seq = $1`, seq, at); err != nil {
			t.Fatal(err)
		}
	}
	set(seq-1, "2026-11-03T15:30:00Z") // 23:30 in Shanghai
	set(seq, "2026-11-03T16:30:00Z")   // the next day there
	contains(t, zoe.search("apple on:2026-11-03"), 200, "late", "early")
	shanghai := []string{"tz", "Asia/Shanghai"}
	a := zoe.search("apple on:2026-11-03", shanghai...)
	contains(t, a, 200, "late <mark>")
	lacks(t, a, "early <mark>")
	a = zoe.search("apple on:2026-11-04", shanghai...)
	contains(t, a, 200, "early <mark>")
	lacks(t, a, "late <mark>")

	to := func(query string) string {
		t.Helper()
		a := zoe.get("/rooms/parlor?" + query)
		if a.code != http.StatusSeeOther {
			t.Errorf("%s: %d %.300s", query, a.code, a.body)
		}
		return a.header.Get("Location")
	}
	link := func(seq int64) string { return fmt.Sprintf("/rooms/parlor/messages/%d#m-%d", seq, seq) }
	if got := to("on=2026-11-03"); got != link(seq-1) {
		t.Error(got)
	}
	if got := to("on=2026-11-04&tz=Asia/Shanghai"); got != link(seq) {
		t.Error(got)
	}
	if got := to("on=2026-11-05"); got != link(seq) {
		t.Error("a day after the last message: ", got)
	}
	if got := to("on=2001-01-01"); got != link(1) {
		t.Error("a day before the first message: ", got)
	}
	zoe.post("/rooms", "name", "Quiet", "topic", "")
	if a := zoe.get("/rooms/quiet?on=2026-11-05"); a.code != http.StatusSeeOther || a.header.Get("Location") != "/rooms/quiet" {
		t.Error("a room in which nothing was said: ", a.code, a.header.Get("Location"))
	}
	contains(t, zoe.get("/rooms/parlor?on=soon"), 400, "That is not a date.")
	contains(t, zoe.get("/rooms/nowhere?on=2026-11-05"), 404)
}

func TestTooMuchToSearchIsSaidClearly(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "an apple")
	hold, err := s.store.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback()
	hold.MustExec(`set local idle_in_transaction_session_timeout = 0; lock table stretches in access exclusive mode`)
	const sentence = "There is too much to look through."
	contains(t, zoe.search("apple"), 422, sentence, `value="apple"`)
	contains(t, zoe.get("/search?q=apple", "Datastar-Request", "true"), 200, sentence)
	contains(t, zoe.get("/search?q=apple", "Accept", "application/json"), 422, sentence)
}

func TestSearchesAreNotEndless(t *testing.T) {
	s := newSite(t, func(c *app.Config) { c.PostsPerSecond = 2 })
	v := s.visitor()
	last := 0
	for range 100 {
		if last = v.search("apple").code; last == http.StatusTooManyRequests {
			return
		}
	}
	t.Errorf("a hundred searches at once end with %d", last)
}

// What was said before there was a search is found soon after the start.
func TestOldMessagesGetFound(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	for i := range 3 {
		zoe.say("parlor", fmt.Sprintf("an old apple, %d", i))
	}
	if _, err := s.store.DB.Exec(`update messages set terms = null`); err != nil {
		t.Fatal(err)
	}
	lacks(t, zoe.search("apple"), "<mark>")
	again := newNode(t, s.database)
	v := again.visitor()
	for deadline := time.Now().Add(10 * time.Second); strings.Count(v.search("apple").body, "<mark>") != 3; {
		if time.Now().After(deadline) {
			t.Fatal("they are not found")
		}
	}
}
