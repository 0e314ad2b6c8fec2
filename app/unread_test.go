package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"parlor/app/chat"
	"parlor/db"
	"parlor/db/dbtest"
)

// note posts as a page does by itself.
func (v *visitor) note(path, js string) answer {
	v.s.t.Helper()
	req := v.request(http.MethodPost, path, js, "Datastar-Request", "true")
	req.Header.Set("Content-Type", "application/json")
	return v.do(req)
}

// person finds out who the visitor is.
func (v *visitor) person() int64 {
	v.s.t.Helper()
	var id int64
	_, rest, _ := strings.Cut(v.get("/rooms/parlor").body, `/people/`)
	if _, err := fmt.Sscanf(rest, "%d", &id); err != nil || id == 0 {
		v.s.t.Fatal("no id on the page", err)
	}
	return id
}

// call has ann's words mention somebody, past the composer: how people are
// named in a text is another subject.
func (s *site) call(by, who int64, body string) int64 {
	s.t.Helper()
	said, err := s.store.Say(context.Background(), 1, db.Post{AuthorID: by, Nonce: uuid.NewString(), Text: db.Text{
		Body: body, Mentions: []db.Mention{{PersonID: who}}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.server.Woken(map[int64]int64{1: said.Rev})
	return said.Seq
}

// mine waits on a stream for the state of the first room that holds the text.
func (st *stream) mine(text string) string {
	st.t.Helper()
	for {
		if event := st.until(`"_me":{"r1":`); strings.Contains(event, text) {
			return event
		}
	}
}

func TestUnreadIsTheSameOnEveryPage(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	first := ann.say("parlor", "one")
	contains(t, bob.note("/rooms/parlor/read", fmt.Sprintf(`{"cursor":"%d","turn":0}`, first)), 204)
	room, lobby := bob.stream("/rooms/parlor/stream?after=0"), bob.stream("/stream")
	room.mine(`"o":1,"s":1,"t":0`)
	lobby.mine(`"o":1,"s":1,"t":0`)
	ann.say("parlor", "two")
	third := ann.say("parlor", "three")
	lobby.until(`3 &gt; $_me.r1.o`) // the page subtracts
	contains(t, bob.get("/"), 200, `>2</b>`)
	contains(t, bob.get("/rooms/parlor"), 200, `&#34;o&#34;:1,&#34;s&#34;:1`)

	contains(t, bob.note("/rooms/parlor/read", fmt.Sprintf(`{"cursor":"%d","turn":0}`, third)), 204)
	for _, st := range []*stream{room, lobby} {
		st.mine(`"o":3,"s":3`)
	}
	if body := bob.get("/").body; strings.Contains(body, `>2</b>`) {
		t.Error("the lobby still counts what was read")
	}
	// What one says oneself is known.
	own := bob.say("parlor", "four")
	room.mine(`"o":4,"s":3`)
	lobby.mine(`"o":4`)

	// Set back by a plain form; what was read before that does not count.
	contains(t, bob.post("/rooms/parlor/unread", "seq", fmt.Sprint(third)), http.StatusSeeOther)
	room.mine(`"o":3,"s":2,"t":1`) // two before it, and his own behind it
	contains(t, bob.note("/rooms/parlor/read", fmt.Sprintf(`{"cursor":"%d","turn":0}`, own)), 204)
	a := bob.get("/rooms/parlor/unread")
	contains(t, a, http.StatusSeeOther)
	if to := a.header.Get("Location"); to != "/rooms/parlor?after=2#log" {
		t.Errorf("the first unread is at %s", to)
	}
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	room.mine(`"o":4,"s":4,"t":1`)
	if to := bob.get("/rooms/parlor/unread").header.Get("Location"); to != "/rooms/parlor" {
		t.Errorf("with nothing unread the way leads to %s", to)
	}
}

func TestBadReadMarksAreRefused(t *testing.T) {
	s := newSite(t)
	ann, looker := s.guest("Ann"), s.visitor()
	ann.say("parlor", "one")
	for _, path := range []string{"read", "unread", "level", "draft"} {
		contains(t, looker.post("/rooms/parlor/"+path, "seq", "1", "level", "none", "body", "x"), http.StatusUnauthorized)
		contains(t, ann.post("/rooms/nowhere/"+path, "seq", "1", "level", "none"), http.StatusNotFound)
	}
	for form, code := range map[[3]string]int{
		{"read", "cursor", "xyz"}:                        400,
		{"read", "seq", "-5"}:                            400,
		{"read", "seq", "nine"}:                          400,
		{"unread", "seq", "2"}:                           404,
		{"unread", "seq", "-1"}:                          404,
		{"unread", "seq", ""}:                            404,
		{"level", "level", "deafening"}:                  422,
		{"draft", "body", strings.Repeat("x", 16<<10+1)}: 422,
		{"draft", "body", "\xff"}:                        422,
		{"draft", "tab", strings.Repeat("t", 65)}:        400,
	} {
		if a := ann.post("/rooms/parlor/"+form[0], form[1], form[2]); a.code != code {
			t.Errorf("%.60v: %d, not %d", form, a.code, code)
		}
	}
	contains(t, looker.post("/presence"), http.StatusUnauthorized)
	contains(t, ann.get("/inbox?after=1-2"), 400)
	contains(t, ann.get("/inbox?after=1-2-x"), 400)
	// A page is not troubled with what its person can't change, and nothing
	// happened.
	contains(t, ann.note("/rooms/parlor/read", `{"cursor":"nonsense"}`), 204)
	contains(t, ann.note("/rooms/parlor/draft", `{"body":`), 204)
	// A cursor of another database is none of this one.
	contains(t, ann.note("/rooms/parlor/read", `{"cursor":"0123456789ab.99"}`), 204)
}

func TestLevelsDecideWhatCounts(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	s.call(ann.person(), bob.person(), "psst")
	lobby := func() string { return bob.get("/").body }
	for deadline := time.Now().Add(10 * time.Second); strings.Count(lobby(), `>1</b>`) != 3; { // unread, calls, inbox
		if time.Now().After(deadline) { // the list of rooms is a second old
			t.Fatalf("the lobby counts otherwise: %s", lobby())
		}
		time.Sleep(20 * time.Millisecond)
	}
	for level, numbers := range map[string]int{"mentions": 2, "none": 0, "hidden": 0, "all": 3} {
		contains(t, bob.post("/rooms/parlor/level", "level", level, "next", "/"), http.StatusSeeOther)
		body := lobby()
		if got := strings.Count(body, `>1</b>`); got != numbers {
			t.Errorf("%s: %d numbers, not %d", level, got, numbers)
		}
		if strings.Contains(body, `class="hidden-rooms"`) != (level == "hidden") || strings.Contains(body, `class="card gone"`) != (level == "hidden") {
			t.Errorf("%s: hidden or not", level)
		}
		if room := bob.get("/rooms/parlor").body; !strings.Contains(room, `data-level="`+level+`"`) {
			t.Errorf("%s: not in the bell", level)
		}
	}
}

func TestInboxTellsWhoCalled(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	contains(t, s.visitor().get("/inbox"), 200, `name="nickname"`)
	contains(t, bob.get("/inbox"), 200, "Nobody has called you yet")
	open := bob.stream("/inbox/stream")
	open.until(`"_calls":0`)
	a, b := ann.person(), bob.person()
	seq := s.call(a, b, "look at <b>this</b> "+chat.Mention(b))
	contains(t, bob.get("/inbox"), 200, fmt.Sprintf(`href="/rooms/parlor/messages/%d#m-%d"`, seq, seq), "look at &lt;b&gt;this&lt;/b&gt; @Bob", "new-call")
	contains(t, bob.get("/inbox", "Datastar-Request", "true"), 200, "data: elements", `id="inbox"`)
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	if body := bob.get("/inbox").body; strings.Contains(body, "new-call") || !strings.Contains(body, "look at") {
		t.Error("what was read in the room is unread in the inbox, or gone")
	}
	for i := range db.InboxSize {
		s.call(a, b, fmt.Sprint("call ", i))
	}
	first := bob.get("/inbox").body
	_, next, more := strings.Cut(first, `href="/inbox?after=`)
	next, _, _ = strings.Cut(next, `"`)
	if !more || strings.Count(first, "<li>") != db.InboxSize {
		t.Fatalf("%d calls on the first page", strings.Count(first, "<li>"))
	}
	contains(t, bob.get("/inbox?after="+next), 200, "look at")
	if body := ann.get("/inbox").body; strings.Contains(body, "call 1") {
		t.Error("another's inbox")
	}
}

// A reply, and a deletion, are told at once to the pages of the one concerned.
func TestCallsAreToldAtOnce(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	lobby := bob.stream("/stream")
	lobby.until(`"_calls":0`)
	a, b := ann.person(), bob.person()
	bob.post("/rooms/parlor/read")
	lobby.mine(`"c":0`)
	seqs := []int64{s.call(a, b, "psst"), s.call(a, b, "and again"), s.call(a, b, "never mind")}
	// These went past the handlers, which tell of it.
	contains(t, bob.post("/rooms/parlor/draft", "body", "x"), http.StatusSeeOther)
	lobby.until(`"_calls":3`)
	contains(t, ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seqs[0]), "body", "psst, nobody"), http.StatusSeeOther)
	lobby.until(`"_calls":2`)
	contains(t, ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", seqs[2])), http.StatusSeeOther)
	lobby.until(`"_calls":1`)
}

// A page that is opened after a call was read, or deleted, is not told of it: it
// would tell of it by the system, with words that are gone.
func TestCallsThatAreOverAreNotToldAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	open := bob.stream("/stream")
	open.until(`"_calls":0`)
	a, b := ann.person(), bob.person()
	for _, step := range []struct {
		how, level string // level: another one each time, so that something is told
		over       func(seq int64)
	}{
		{"read", "mentions", func(int64) { contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther) }},
		{"deleted", "all", func(seq int64) {
			contains(t, ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", seq)), http.StatusSeeOther)
		}},
	} {
		seq := s.call(a, b, "psst, "+step.how)
		contains(t, bob.post("/rooms/parlor/draft", "body", step.how), http.StatusSeeOther) // it went past the handlers
		open.until("psst, " + step.how)
		step.over(seq)
		open.until(`"_calls":0`)
		later := bob.stream("/stream")
		later.until(`"_calls":0`)
		contains(t, bob.post("/rooms/parlor/level", "level", step.level), http.StatusSeeOther)
		if event := later.until(`"_call":{`, fmt.Sprintf(`"l":"%s"`, step.level)); strings.Contains(event, `"_call"`) {
			t.Errorf("%s: %s", step.how, event)
		}
	}
}

func TestCatchUpLine(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	old := ann.say("parlor", "old")
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	contains(t, bob.get("/rooms/parlor/since", "Datastar-Request", "true"), 204)
	contains(t, ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", old), "body", "old, edited"), http.StatusSeeOther)
	ann.say("parlor", "new")
	s.call(ann.person(), bob.person(), "and you")
	contains(t, bob.get("/rooms/parlor/since", "Datastar-Request", "true"), 204) // no absence yet
	if _, err := s.store.DB.ExecContext(context.Background(), `update messages set said_at = said_at - interval '1 hour' where seq > $1`, old); err != nil {
		t.Fatal(err)
	}
	a := bob.get("/rooms/parlor/since", "Datastar-Request", "true")
	contains(t, a, 200, "2 new since ", "<time", ", 1 mentions you, 1 edited")
	if strings.Contains(a.body, "deleted") {
		t.Error("nothing was deleted")
	}
	contains(t, bob.get("/rooms/parlor/since", "Datastar-Request", "true", "Accept-Language", "zh"), 200, "2 条新消息，始于 <time", "，1 条提到你，1 条改过")
	var gap struct{ New, Mentions, Edited, Deleted int }
	if err := json.Unmarshal([]byte(bob.get("/rooms/parlor/since", "Accept", "application/json").body), &gap); err != nil || gap.New != 2 || gap.Mentions != 1 || gap.Edited != 1 || gap.Deleted != 0 {
		t.Errorf("%+v %v", gap, err)
	}
}

func TestDraftIsThereOnAnotherDeviceUntilItIsSent(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	phone := ann.at(s)
	st := phone.stream("/rooms/parlor/stream?after=0")
	st.until(`"_draft":{"body":""`)
	contains(t, ann.note("/rooms/parlor/draft", `{"body":"\n half a <thought> & \"more\"","tab":"desk","n":1}`), 204)
	st.until(`"_draft":{"body":"\n half a \u003cthought\u003e \u0026 \"more\"","tab":"desk"}`)
	// In the page from memory and in one that is not, with its first line break.
	for _, path := range []string{"/rooms/parlor", "/rooms/parlor?after=0"} {
		contains(t, phone.get(path), 200, ">\n\n half a &lt;thought&gt; &amp; &#34;more&#34;</textarea>")
	}
	if body := s.guest("Bob").get("/rooms/parlor").body; strings.Contains(body, "thought") {
		t.Error("another's draft")
	}
	// A refused post keeps it, a stored one does not.
	contains(t, ann.post("/rooms/parlor/messages", "body", "half a thought", "nonce", "broken"), 400)
	contains(t, phone.get("/rooms/parlor"), 200, "half a &lt;thought&gt;")
	ann.say("parlor", "another thought, from a thread")
	contains(t, phone.get("/rooms/parlor"), 200, "half a &lt;thought&gt;")
	ann.say("parlor", `half a <thought> & "more"`)
	st.until(`"_draft":{"body":"","tab":"said"}`)
	contains(t, phone.get("/rooms/parlor"), 200, ">\n</textarea>")
}

func TestStatusStandsBesideTheNickname(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	st := bob.stream("/rooms/parlor/stream?after=0")
	ann.stream("/rooms/parlor/stream?after=0").until("cursor")
	contains(t, ann.get("/session"), 200, `name="status"`)
	contains(t, ann.post("/session/status", "status", strings.Repeat("x", 81)), 422, "at most", `name="status"`)
	contains(t, s.visitor().post("/session/status", "status", "x"), http.StatusUnauthorized)
	contains(t, ann.post("/session/status", "status", "  at\nlunch <b> \u202e ", "next", "/rooms/parlor"), http.StatusSeeOther)
	st.until(`at lunch &lt;b&gt;</small>`)
	contains(t, ann.get("/session"), 200, `value="at lunch &lt;b&gt;"`)
	contains(t, ann.post("/session", "nickname", "Anna"), http.StatusSeeOther)
	if event := st.until("Anna</span>"); !strings.Contains(event, "at lunch") {
		t.Error("a new nickname takes the status away")
	}
	contains(t, ann.post("/session/status", "status", ""), http.StatusSeeOther)
	for strings.Contains(st.until("Anna</span>"), "at lunch") {
	}
}

// Two nodes: what is read, typed and called at one is known at the other, also
// to somebody whose pages are all there.
func TestNodesShareWhatIsRead(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	a, b := newNode(t, database), newNode(t, database)
	ann, bob := a.guest("Ann"), a.guest("Bob")
	atB := bob.at(b).stream("/rooms/parlor/stream?after=0")
	atB.until(`"_calls":0`)
	seq := ann.say("parlor", "one")
	contains(t, bob.note("/rooms/parlor/read", fmt.Sprintf(`{"cursor":"%d"}`, seq)), 204)
	atB.mine(`"o":1`)
	contains(t, bob.note("/rooms/parlor/draft", `{"body":"typed at the first node","tab":"x","n":1}`), 204)
	atB.until("typed at the first node")
	own := bob.say("parlor", "two")
	atB.mine(`"o":2`)
	contains(t, bob.post("/rooms/parlor/unread", "seq", fmt.Sprint(own)), http.StatusSeeOther)
	atB.mine(`"o":2,"s":1,"t":1`)
	contains(t, bob.at(b).post("/session/status", "status", "on the train"), http.StatusSeeOther)
	atA := ann.stream("/rooms/parlor/stream?after=0")
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(atA.until(`id="here"`), "on the train"); {
		if time.Now().After(deadline) {
			t.Fatal("the status did not travel")
		}
	}
	// A word that got lost: the node finds out by looking.
	if _, err := b.store.Read(context.Background(), 1, bob.person(), 1<<40, 1); err != nil {
		t.Fatal(err)
	}
	b.server.Resumed()
	atB.mine(`"o":2,"s":2`)
}
