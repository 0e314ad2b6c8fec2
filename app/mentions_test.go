package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"parlor/db"
)

// called lists who is called by messages, and why: "Bob mention 3".
func (s *site) called() (who []string) {
	s.t.Helper()
	if err := s.store.DB.Select(&who, `select p.nickname || ' ' || m.reason || ' ' || m.seq from mentions m
		join people p on p.id = m.person_id order by m.seq, p.id`); err != nil {
		s.t.Fatal(err)
	}
	return who
}

// mentioned is the HTML of a mention.
func mentioned(id int64, nickname string) string {
	return fmt.Sprintf(`<span class="mention" data-mention="%d">@<bdi data-name="%d">%s</bdi></span>`, id, id, nickname)
}

func TestAMentionIsBoundToThePerson(t *testing.T) {
	s := newSite(t)
	ann, zhang := s.guest("Ann"), s.guest("张三") // 1 and 2
	s.guest("Outsider")
	zhang.say("parlor", "我在")
	live := ann.stream("/rooms/parlor/stream?after=0")
	live.until("我在")
	seq := ann.say("parlor", "你好@张三你在吗, `@张三`, me@张三.example, @Outsider @Nobody")
	want := "你好" + mentioned(2, "张三") + "你在吗"
	live.until(want)
	paths := []string{"/rooms/parlor", "/rooms/parlor?after=0", fmt.Sprintf("/rooms/parlor/messages/%d", seq)}
	for _, path := range paths {
		a := ann.get(path)
		contains(t, a, 200, want, "<code>@张三</code>", "@Outsider @Nobody")
		if n := strings.Count(a.body, "data-mention="); n != 1 {
			t.Errorf("%s: %d mentions", path, n)
		}
	}
	if got := fmt.Sprint(s.called()); got != fmt.Sprintf("[张三 mention %d]", seq) {
		t.Error(got)
	}

	// Renamed: on open pages, in memory, from the database, after a gap, in the form.
	zhang.post("/session", "nickname", "李四")
	event := live.until(`[data-name="2"]`)
	if !strings.Contains(event, "李四") {
		t.Error(event)
	}
	for _, path := range paths {
		contains(t, ann.get(path), 200, mentioned(2, "李四"))
	}
	memory := ann.stream("/rooms/parlor/stream?after=1")
	memory.until(want)
	memory.until(`[data-name="2"]`)
	(&visitor{ann.Client, newNode(t, s.database)}).stream("/rooms/parlor/stream?after=1").until(mentioned(2, "李四"))
	contains(t, ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/edit", seq)), 200, "你好@李四你在吗")

	// Somebody else takes the name: the old message means whom it meant.
	other := s.guest("张三") // 4
	other.say("parlor", "another one")
	contains(t, ann.get("/rooms/parlor"), 200, mentioned(2, "李四"))
	next := ann.say("parlor", "@张三")
	if got := s.called(); got[len(got)-1] != fmt.Sprintf("张三 mention %d", next) {
		t.Error(got)
	}

	// An edit keeps whom it names, calls whom it adds, and forgets whom it drops.
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seq), "body", "@李四 @张三 hello")
	contains(t, ann.get("/rooms/parlor"), 200, mentioned(2, "李四")+" "+mentioned(4, "张三")+" hello")
	if got := fmt.Sprint(s.called()); got != fmt.Sprintf("[李四 mention %d 张三 mention %d 张三 mention %d]", seq, seq, next) {
		t.Error(got)
	}
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seq), "body", "hello")
	if got := fmt.Sprint(s.called()); got != fmt.Sprintf("[张三 mention %d]", next) {
		t.Error(got)
	}
}

// Whoever lost a nickname by staying away is still the one who was meant.
func TestAnEditMeansWhomTheTextMeantBefore(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	bob.say("parlor", "hello")
	seq := ann.say("parlor", "@Bob?")
	if _, err := s.store.DB.Exec(`update people set held_until = now() - interval '1 hour' where id = 2`); err != nil {
		t.Fatal(err)
	}
	s.guest("Bob").say("parlor", "hello too") // another one
	contains(t, ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/edit", seq)), 200, "@Bob?")
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seq), "body", "@Bob!")
	contains(t, ann.get("/rooms/parlor"), 200, mentioned(2, "Bob")+"!")
	ann.say("parlor", "@Bob, the new one")
	contains(t, ann.get("/rooms/parlor"), 200, mentioned(3, "Bob")+", the new one")
}

func TestHereCallsWhoIsInTheRoomOnAnyNode(t *testing.T) {
	s := newSite(t)
	other := newNode(t, s.database)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	s.guest("Cleo")
	ann.stream("/rooms/parlor/stream?after=0").until("cursor")
	elsewhere := &visitor{bob.Client, other}
	elsewhere.stream("/rooms/parlor/stream?after=0").until("cursor")
	ann.stream("/rooms/parlor/stream?after=0").until("Bob") // this node knows
	seq := ann.say("parlor", "@here, tea?")
	contains(t, ann.get("/rooms/parlor"), 200, `<span class="mention" data-mention="here">@here</span>, tea?`)
	if got := fmt.Sprint(s.called()); got != fmt.Sprintf("[Bob here %d]", seq) {
		t.Error(got)
	}
	contains(t, ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/edit", seq)), 200, "@here, tea?")
	seq = ann.say("parlor", "@在座的 @Bob")
	if got := s.called(); got[len(got)-1] != fmt.Sprintf("Bob mention %d", seq) {
		t.Error(got)
	}
}

// A reply shows its parent; whom that mentions is not mentioned again.
func TestQuotingNeverMentionsAgain(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	bob.say("parlor", "hello")
	parent := ann.say("parlor", "@Bob look")
	body := "> @Bob look\n\nI did"
	if _, err := s.store.Say(context.Background(), 1, db.Post{AuthorID: 1, Nonce: db.NewNonce(), Text: db.Text{Body: "indeed"}, ParentSeq: parent}); err != nil {
		t.Fatal(err)
	}
	ann.say("parlor", body)
	a := ann.get("/rooms/parlor")
	contains(t, a, 200, `data-quote="2"`)
	if n := strings.Count(a.body, "data-mention="); n != 1 {
		t.Errorf("%d mentions", n)
	}
	if got := fmt.Sprint(s.called()); got != fmt.Sprintf("[Bob mention %d]", parent) {
		t.Error(got)
	}
}

func TestMentionsAreCompleted(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for _, nickname := range []string{"张三", "Zoë Bell", "Zack", "Bob"} {
		s.guest(nickname).say("parlor", "hello")
	}
	silent := s.guest("Zara")
	silent.stream("/rooms/parlor/stream?after=0").until("hello")
	s.guest("Zelda") // belongs to no room
	for i := range 60 {
		s.guest(fmt.Sprintf("Guest %d", i)).say("parlor", "hello")
	}
	complete := func(word string, headers ...string) []string {
		t.Helper()
		a := ann.get("/rooms/parlor/complete?q="+url.QueryEscape(word), headers...)
		var found []struct{ Insert, Name string }
		if err := json.Unmarshal([]byte(a.body), &found); err != nil || a.code != 200 {
			t.Fatalf("%q: %d %v %s", word, a.code, err, a.body)
		}
		var names []string
		for _, f := range found {
			if f.Insert != "@"+f.Name+" " {
				t.Errorf("%q inserts %q", f.Name, f.Insert)
			}
			names = append(names, f.Name)
		}
		return names
	}
	for word, want := range map[string]string{
		"@zs": "张三", "＠zs": "张三", "@ZHANG": "张三", "@三": "张三", "@zoe": "Zoë Bell", "@bell": "Zoë Bell", "@zb": "Zoë Bell",
		"@z": "Zara Zack Zoë Bell 张三", "@zel": "", "@an": "", "@her": "here", "@在": "在座", "@x": "",
		"@" + strings.Repeat("z", 500): "", "@%": "", "@\\": "",
	} {
		if got := strings.Join(complete(word), " "); got != want {
			t.Errorf("%.20q finds %q, want %q", word, got, want)
		}
	}
	if got := complete("@"); len(got) != 9 || got[0] != "Guest 59" || got[8] != "here" { // who spoke last comes first
		t.Errorf("%q", got)
	}
	if got := complete("@", "Accept-Language", "zh"); got[8] != "在座" {
		t.Errorf("%q", got)
	}
	if got := complete("@gu"); len(got) != 8 {
		t.Errorf("%q", got)
	}
	contains(t, ann.get("/rooms/parlor/complete?q="+url.QueryEscape("@zs"), "Datastar-Request", "true"), 200, "张三", `data-insert="@张三 "`)
}

// What is offered is understood.
func TestACompletedMentionMentions(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	nicknames := []string{"张 三", "Zoë B", "🦊 Fox", "Mr. X", "O'Neil", "_", "a@b.c", "*", "`x`", "\\", "# 1", "<b>", "[a](b)", "@home"}
	for _, nickname := range nicknames {
		s.guest(nickname).say("parlor", "hello")
	}
	seq := ann.say("parlor", "first: "+"@"+strings.Join(nicknames, " @"))
	m, err := s.store.Message(context.Background(), 1, seq)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.Mentioned {
		got = append(got, p.Nickname)
	}
	slices.Sort(got)
	slices.Sort(nicknames)
	if !slices.Equal(got, nicknames) {
		t.Errorf("%q", got)
	}
}
