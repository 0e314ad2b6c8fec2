package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"parlor/app/chat"
	"parlor/db/dbtest"
)

// wish asks for an emoji as an open page does.
func (v *visitor) wish(seq int64, emoji, want string) answer {
	return v.note(fmt.Sprintf("/rooms/parlor/messages/%d/reactions?emoji=%s", seq, url.QueryEscape(emoji)), `{"want":"`+want+`"}`)
}

func TestDraftOfAThreadIsItsOwnOnEveryDeviceAndNode(t *testing.T) {
	database := dbtest.New(t)
	s, other := newNode(t, database), newNode(t, database)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	root := ann.say("parlor", "root")
	thread := fmt.Sprintf("/rooms/parlor/messages/%d/", root)
	second := fmt.Sprintf("/rooms/parlor/messages/%d/", ann.say("parlor", "another"))
	phone := ann.at(other)
	inThread := phone.stream(fmt.Sprintf("/rooms/parlor/stream?after=0&thread=%d", root))
	inThread.until(`"_draft":{"body":""`)
	inRoom := phone.stream("/rooms/parlor/stream?after=0")
	inRoom.until(`"_draft":{"body":""`)

	contains(t, ann.note(thread+"draft", `{"body":"\n half an <answer>","tab":"desk","n":1}`), 204)
	inThread.until(`"_draft":{"body":"\n half an \u003canswer\u003e","tab":"desk"}`)
	contains(t, ann.note("/rooms/parlor/draft", `{"body":"for the room","tab":"desk","n":1}`), 204)
	if event := inRoom.until(`"_draft":`); !strings.Contains(event, "for the room") {
		t.Errorf("the room's page is told %s", event)
	}
	contains(t, phone.get(thread+"thread"), 200, ">\n\n half an &lt;answer&gt;</textarea>")
	for path, v := range map[string]*visitor{"/rooms/parlor": phone, second + "thread": phone, thread + "thread": bob} {
		if body := v.get(path).body; strings.Contains(body, "half an") {
			t.Errorf("%s shows the draft", path)
		}
	}
	if body := phone.get(thread + "thread").body; strings.Contains(body, "for the room") {
		t.Error("the thread shows the room's draft")
	}

	// The same text, said elsewhere, clears nothing; said here it does.
	ann.say("parlor", "half an <answer>")
	contains(t, ann.post("/rooms/parlor/messages", "body", "for the room", "nonce", uuid.NewString(), "thread", fmt.Sprint(root)), 303)
	contains(t, ann.post("/rooms/parlor/messages", "body", "half an <answer>", "nonce", uuid.NewString(), "thread", fmt.Sprint(root)), 303)
	inThread.until(`"_draft":{"body":"","tab":"said"}`)
	contains(t, phone.get(thread+"thread"), 200, ">\n</textarea>")
	contains(t, phone.get("/rooms/parlor"), 200, "for the room</textarea>")

	// Bad places, and nobody's.
	for path, code := range map[string]int{
		"/rooms/parlor/messages/0/draft": 404, "/rooms/parlor/messages/x/draft": 404, "/rooms/nowhere/messages/1/draft": 404,
	} {
		contains(t, ann.post(path, "body", "x"), code)
	}
	contains(t, s.visitor().post(thread+"draft", "body", "x"), 401)
	contains(t, ann.post(thread+"draft", "body", "by a form"), 303)
	contains(t, ann.get(thread+"thread"), 200, "by a form</textarea>")
	for _, thread := range []string{"x", "-1", "0", "99999999999999999999"} {
		if a := ann.get("/rooms/parlor/stream?after=0&thread=" + thread); a.code != 400 {
			t.Errorf("the stream of thread %s: %d", thread, a.code)
		}
		if a := ann.get("/rooms/parlor/messages/last/edit?thread=" + thread); a.code != 400 {
			t.Errorf("the last of thread %s: %d", thread, a.code)
		}
	}
}

func TestTheLastMessageOfAThreadIsEdited(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	root := ann.say("parlor", "root")
	own := ann.reply("parlor", root, "in the thread")
	bob.reply("parlor", root, "another's")
	ann.say("parlor", "in the room")
	contains(t, ann.patches(fmt.Sprintf("/rooms/parlor/messages/last/edit?thread=%d", root)), 200, "in the thread", fmt.Sprintf("messages/%d", own))
	contains(t, ann.patches("/rooms/parlor/messages/last/edit"), 200, "in the room")
	contains(t, ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/thread", root)), 200, fmt.Sprintf(`data-last="/rooms/parlor/messages/last/edit?thread=%d"`, root))
}

func TestAThreadPageIsAPageLikeARooms(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	root := ann.say("parlor", "root")
	a := ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/thread", root))
	contains(t, a, 200, fmt.Sprintf(`/rooms/parlor/stream?thread=%d`, root), `id="typing"`, `id="bell"`, `popovertarget="bell"`, `data-before="Thread · "`,
		fmt.Sprintf(`data-draft="/rooms/parlor/messages/%d/draft"`, root), "<title>Thread · Parlor · Parlor</title>")
	if strings.Contains(a.body, `data-read="/`) {
		t.Error("to read a thread marks its room as read")
	}
	looker := s.visitor().get(fmt.Sprintf("/rooms/parlor/messages/%d/thread", root))
	contains(t, looker, 200, `id="typing"`)
	if strings.Contains(looker.body, `id="bell"`) || strings.Contains(looker.body, "data-draft=\"\"") {
		t.Error("somebody without a nickname has a bell")
	}
}

func TestAReactionMayBeAskedForTwice(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	seq := ann.say("parlor", "hello")
	for _, step := range []struct{ want, chips string }{
		{"take", ""}, {"give", "👍 1: Ann, yours"}, {"give", "👍 1: Ann, yours"}, {"take", ""}, {"take", ""}, {"", "👍 1: Ann, yours"}, {"", ""},
	} {
		contains(t, ann.wish(seq, "👍", step.want), 204)
		if got := chips(ann.get("/rooms/parlor").body, seq); got != step.chips {
			t.Errorf("after %q: %q, want %q", step.want, got, step.chips)
		}
	}
	// By forms, and to programs.
	path := fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq)
	for range 2 {
		contains(t, ann.post(path, "emoji", "🎉", "want", "give"), 303)
		contains(t, ann.do(ann.request("POST", path, form("emoji", "🎉", "want", "give"), "Accept", "application/json")), 200, `"given":true`, `"rev":`)
	}
	if got := chips(ann.get("/rooms/parlor").body, seq); got != "🎉 1: Ann, yours" {
		t.Error(got)
	}
	contains(t, ann.do(ann.request("GET", path, "", "Accept", "application/json")), 200, `"given":["🎉"]`)
	contains(t, ann.get(path), 303)
	contains(t, s.visitor().get(path), 401)
	contains(t, s.guest("Bob").do(ann.request("GET", path, "", "Accept", "application/json")), 200)
	contains(t, ann.post(path, "emoji", "🎉", "want", "maybe"), 400)
	contains(t, ann.wish(seq, "🎉", "x"), 200, "#dialogs", "<dialog")
	contains(t, ann.note(path+"?emoji=x", `{"want":`), 200, "<dialog")
	contains(t, ann.get(fmt.Sprintf("/rooms/parlor/messages/%d/react", seq)), 200, `name="want" value="give"`)
}

func TestOnesOwnReactionIsKnownAmongMoreThanAHundred(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	seq := ann.say("parlor", "hello")
	signal := fmt.Sprintf("_own1_%d", seq)
	ann.react(seq, "🙋")
	live := ann.stream("/rooms/parlor/stream?after=0")
	live.until("🙋")
	var last *visitor
	for i := range chat.LatestReactions {
		last = s.guest(fmt.Sprintf("Guest %d", i))
		last.react(seq, "🙋")
		if i == chat.LatestReactions-2 {
			if page := ann.get("/rooms/parlor").body; strings.Contains(page, signal) {
				t.Error("asked for before there is a need")
			}
		}
	}
	contains(t, ann.get("/rooms/parlor"), 200, "$"+signal)
	path := fmt.Sprintf("/rooms/parlor/messages/%d/reactions", seq)
	contains(t, ann.patches(path), 200, `"`+signal+`":"🙋"`)
	contains(t, s.guest("Bob").patches(path), 200, `"`+signal+`":""`)
	// What is changed on one page the others learn, and nobody else.
	contains(t, ann.wish(seq, "🙋", "take"), http.StatusNoContent)
	live.until(`"` + signal + `":""`)
	contains(t, ann.wish(seq, "👍", "give"), http.StatusNoContent)
	live.until(`"` + signal + `":"👍"`)
	other := last.stream("/rooms/parlor/stream?after=0")
	contains(t, last.wish(seq, "👍", "give"), http.StatusNoContent)
	if event := other.until(`"` + signal + `":`); !strings.Contains(event, "🙋") {
		t.Errorf("of somebody else: %s", event)
	}
}

func TestNicknamesThatMeanSomebodyElseAreRefused(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"here", "@Here", "ME", "＠ｍｅ", "h e r e", "在座"} {
		contains(t, s.visitor().post("/session", "nickname", name), 422, `role="alert"`, "means somebody else")
	}
	tom := s.guest("Tom")
	contains(t, tom.post("/session", "nickname", "@me"), 422, "means somebody else")
	for _, name := range []string{"T o m", "ｔｏ　ｍ"} {
		contains(t, s.visitor().post("/session", "nickname", name), 409, "Tom")
	}
	contains(t, tom.post("/session", "nickname", "T o m"), 303) // one's own name
	contains(t, s.visitor().post("/session", "nickname", "Tom"), 409)
}

func TestPinsFollowARename(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	seq := ann.say("parlor", "keep this")
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/pin", seq))
	contains(t, ann.patches("/rooms/parlor/pins"), 200, `class="excerpt"`, fmt.Sprintf(`data-author="%d"`, ann.person()),
		fmt.Sprintf(`<b dir="auto" data-name="%d">Ann</b> <time`, ann.person()))
	live := ann.stream("/rooms/parlor/stream?after=0")
	live.until("keep this")
	ann.post("/session", "nickname", "Zoë")
	live.until(fmt.Sprintf(`:is(#log, #dialogs) [data-author="%d"]`, ann.person()))
}
