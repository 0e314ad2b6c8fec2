package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// reply answers a message as a program does and returns its seq.
func (v *visitor) reply(slug string, parent int64, body string) int64 {
	v.s.t.Helper()
	a := v.do(v.request("POST", "/rooms/"+slug+"/messages",
		form("body", body, "nonce", uuid.NewString(), "parent", fmt.Sprint(parent)), "Accept", "application/json"))
	var said struct{ Seq int64 }
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || a.code != http.StatusCreated {
		v.s.t.Fatalf("reply %q: %d %s", body, a.code, a.body)
	}
	return said.Seq
}

// patches asks as an open page does.
func (v *visitor) patches(path string) answer {
	v.s.t.Helper()
	return v.get(path, "Datastar-Request", "true", "Accept", "text/event-stream, text/html, application/json")
}

// What a reply quotes follows its parent, whatever happened while the page was
// away, from memory and from the database, and where the answer was cut.
func TestQuotesAreTrueAfterAnyGap(t *testing.T) {
	var ann, bob *visitor
	var open *stream
	for what, away := range map[string]func(root, reply int64){
		"parent edited": func(root, _ int64) {
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", root), "body", "root, edited")
		},
		"parent edited twice around a new reply": func(root, _ int64) {
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", root), "body", "root, edited once")
			bob.reply("parlor", root, "new")
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", root), "body", "root, edited again")
		},
		"parent edited, then its author renamed": func(root, _ int64) {
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", root), "body", "root, edited")
			open.until("root, edited") // the quote is in memory with the old name
			ann.post("/session", "nickname", "Anna")
		},
		"parent deleted": func(root, _ int64) {
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", root))
		},
		"a new reply, and its parent deleted": func(root, _ int64) {
			bob.reply("parlor", root, "too late")
			ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", root))
		},
		"a reply to the reply, which is edited": func(_, reply int64) {
			ann.reply("parlor", reply, "nested")
			bob.post(fmt.Sprintf("/rooms/parlor/messages/%d", reply), "body", "reply, edited")
		},
		"the reply deleted": func(_, reply int64) {
			ann.reply("parlor", reply, "nested")
			bob.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", reply))
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			ann, bob = s.guest("Ann"), s.guest("Bob")
			open = bob.stream("/rooms/parlor/stream?after=0") // keeps the room in memory
			open.until("cursor")
			ann.get("/rooms/parlor")
			root := ann.say("parlor", "root")
			reply := bob.reply("parlor", root, "reply")
			room, err := s.store.Room(t.Context(), "parlor")
			if err != nil {
				t.Fatal(err)
			}
			cursor := func(rev int64) string { return fmt.Sprintf("%s.%d", room.Epoch, rev) }
			before := newOpenPage(cursor(0))
			ann.resume(before, cursor(room.Rev))
			before.check(t, s, "before")
			copied := func() *openPage {
				p := newOpenPage(before.cursor)
				p.log = append(p.log, before.log...)
				for id, text := range before.texts {
					p.texts[id] = text
				}
				return p
			}
			away(root, reply)
			if room, err = s.store.Room(t.Context(), "parlor"); err != nil {
				t.Fatal(err)
			}
			open.until(cursor(room.Rev))
			p := copied()
			whole := ann.resume(p, cursor(room.Rev))
			p.check(t, s, "from memory")
			for cut, c := range whole {
				if c != '\n' || cut == 0 || whole[cut-1] != '\n' { // within events: TestConnectionCutAtEveryByte
					continue
				}
				p := copied()
				p.read(whole[:cut+1])
				ann.resume(p, cursor(room.Rev))
				p.check(t, s, fmt.Sprintf("cut after byte %d of %d", cut, len(whole)))
			}
			other := newNode(t, s.database)
			p = copied()
			other.visitor().resume(p, cursor(room.Rev))
			p.check(t, s, "from the database")

			// A page opened now, from memory and from history.
			for _, path := range []string{"/rooms/parlor", "/rooms/parlor?after=0"} {
				ann.opened(path).check(t, s, path)
			}
		})
	}
}

func TestReplyNeedsAParentThatIsThere(t *testing.T) {
	s := newSite(t)
	ann, bob, looker := s.guest("Ann"), s.guest("Bob"), s.visitor()
	root := ann.say("parlor", "root")
	contains(t, bob.get("/rooms/parlor/messages/1/reply"), 200, "root", `name="parent" value="1"`, `name="nonce"`)
	contains(t, bob.patches("/rooms/parlor/messages/1/reply"), 200, "#composer .replying", `name="parent" value="1"`, "root")
	contains(t, looker.get("/rooms/parlor/messages/1/reply"), 401)
	contains(t, bob.get("/rooms/parlor/messages/99/reply"), 404)
	contains(t, bob.patches("/rooms/parlor/messages/99/reply"), 200, "<dialog")

	post := func(pairs ...string) answer {
		return bob.post("/rooms/parlor/messages", append([]string{"nonce", uuid.NewString()}, pairs...)...)
	}
	if a := post("body", "yes", "parent", "1"); a.code != 303 || a.header.Get("Location") != "/rooms/parlor#m-2" {
		t.Fatalf("%d to %q", a.code, a.header.Get("Location"))
	}
	contains(t, bob.get("/rooms/parlor"), 200, `data-quote="1"`, "1 reply")
	bob.post("/rooms", "name", "Other")
	bob.say("other", "elsewhere")
	for _, parent := range []string{"99", "-1", "0", "x", "99999999999999999999"} {
		a := post("body", "kept <text>", "parent", parent)
		if a.code != 404 && a.code != 422 {
			t.Errorf("parent %s: %d", parent, a.code)
		}
		contains(t, a, a.code, "kept &lt;text&gt;</textarea>")
		if strings.Contains(a.body, `name="parent"`) {
			t.Errorf("parent %s stays in the form, which so can't be sent", parent)
		}
	}
	// What else is wrong does not cost the reply.
	contains(t, post("body", strings.Repeat("x\n", 500)+"x", "parent", "1"), 422, `name="parent" value="1"`)

	nonce := uuid.NewString()
	again := func() answer {
		return bob.do(bob.request("POST", "/rooms/parlor/messages", form("body", "once", "nonce", nonce, "parent", "1"), "Accept", "application/json"))
	}
	contains(t, again(), 201, `"seq":3`)
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", root))
	contains(t, again(), 201, `"seq":3`) // its first answer may have been lost
	contains(t, post("body", "too late", "parent", "1"), 409, "too late</textarea>", "deleted")
	contains(t, bob.do(bob.request("POST", "/rooms/parlor/messages", form("body", "too late", "nonce", uuid.NewString(), "parent", "1"), "Accept", "application/json")), 409, "parent-deleted")
	contains(t, bob.get("/rooms/parlor/messages/1/reply"), 409)
	// Others answered it: their thread goes on. Where nobody did there is none.
	contains(t, bob.do(bob.request("POST", "/rooms/parlor/messages", form("body", "it goes on", "nonce", uuid.NewString(), "thread", "1"), "Accept", "application/json")), 201)
	contains(t, bob.get("/rooms/parlor/messages/1/thread"), 200, "it goes on")
	alone := ann.say("parlor", "nobody answers")
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", alone))
	contains(t, bob.do(bob.request("POST", "/rooms/parlor/messages", form("body", "too late", "nonce", uuid.NewString(), "thread", fmt.Sprint(alone)), "Accept", "application/json")), 409, "parent-deleted")
	if page := bob.get("/rooms/parlor").body; strings.Contains(page, ">root<") || !strings.Contains(page, `data-quote="1"`) {
		t.Error("the quote does not follow the deletion")
	}
}

func TestQuotingMentionsNobodyAgain(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	root := ann.say("parlor", "hello @Bob")
	bob.reply("parlor", root, "hello")
	ann.reply("parlor", root, "and again")
	var called []string
	if err := s.store.DB.Select(&called, `select p.nickname || ' ' || m.reason || ' ' || m.seq from mentions m join people p on p.id = m.person_id where m.seq > $1`, root); err != nil {
		t.Fatal(err)
	}
	if len(called) != 1 || called[0] != "Ann reply 2" {
		t.Errorf("called: %q", called)
	}
}

func TestThreadShowsAMessageWithItsReplies(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	root := ann.say("parlor", "the question")
	bob.say("parlor", "something else")
	first := bob.reply("parlor", root, "first answer")
	nested := ann.reply("parlor", first, "nested answer")
	path := fmt.Sprintf("/rooms/parlor/messages/%d/thread", root)
	a := s.visitor().get(path) // may be read without a nickname
	contains(t, a, 200, "the question", "first answer", "nested answer", `class="log newest of-1"`)
	if strings.Contains(a.body, "something else") {
		t.Error("the thread shows what does not belong to it")
	}
	if strings.Index(a.body, "the question") > strings.Index(a.body, "first answer") || strings.Index(a.body, "first answer") > strings.LastIndex(a.body, "nested answer") {
		t.Error("out of order")
	}
	if a := ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/thread", nested)); a.code != 302 || a.header.Get("Location") != fmt.Sprintf("%s#m-%d", path, nested) {
		t.Errorf("a reply leads to %d %q", a.code, a.header.Get("Location"))
	}
	contains(t, ann.get("/rooms/parlor/messages/99/thread"), 404)
	contains(t, ann.get(path+"?before=x"), 400)

	// Its composer answers the first message, or the one that was chosen.
	contains(t, ann.get(path), 200, `name="thread" value="1"`)
	live := bob.stream("/rooms/parlor/stream?after=" + fmt.Sprint(nested))
	live.until("cursor")
	if a := ann.post("/rooms/parlor/messages", "body", "from the thread", "nonce", uuid.NewString(), "thread", "1"); a.code != 303 || a.header.Get("Location") != path+"#m-5" {
		t.Errorf("%d to %q", a.code, a.header.Get("Location"))
	}
	event := live.until("from the thread<")
	if !strings.Contains(event, "selector #log:is(.tail, .of-1):not(:has(> #m-5))\n") || !strings.Contains(event, `data-quote="1"`) {
		t.Errorf("the new reply came as %s", event)
	}
	ann.post("/rooms/parlor/messages", "body", "chosen", "nonce", uuid.NewString(), "thread", "1", "parent", fmt.Sprint(first))
	if event := live.until("chosen<"); !strings.Contains(event, `data-quote="3"`) {
		t.Errorf("came as %s", event)
	}
	contains(t, ann.get("/rooms/parlor"), 200, "4 replies")

	// A long one comes in pages.
	var last int64
	for i := range 60 {
		last = bob.reply("parlor", root, fmt.Sprintf("number %d", i))
	}
	a = ann.get(path)
	contains(t, a, 200, "the question", "number 59", "number 10", "?before=")
	if strings.Contains(a.body, "number 9<") || strings.Contains(a.body, "?after=") {
		t.Error("the newest page has more than its share")
	}
	a = ann.get(path + fmt.Sprintf("?before=%d", last-49))
	contains(t, a, 200, "the question", "first answer", "number 9<", "?after=")
	if strings.Contains(a.body, "of-1") || strings.Contains(a.body, "number 10") {
		t.Error("an older page takes what is new, or shows too much")
	}
	a = ann.get(path + fmt.Sprintf("?after=%d", last-1))
	contains(t, a, 200, "number 59", "of-1", "?before=")

	// After a gap too long to be replayed a page asks for the thread afresh.
	a = ann.patches(path)
	contains(t, a, 200, "selector #thread\n", "number 59", `"_behind":""`)
}
