package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"parlor/db"
)

func TestPinIsLiveAndListed(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Zoë")
	seq := ann.say("parlor", "remember <this>")
	st := ann.stream(fmt.Sprintf("/rooms/parlor/stream?after=%d", seq), "Accept", "text/event-stream")
	at := fmt.Sprintf("/rooms/parlor/messages/%d", seq)
	if a := bob.post(at + "/pin"); a.code != 303 || a.header.Get("Location") != fmt.Sprintf("%s#m-%d", at, seq) {
		t.Fatal(a.code, a.header)
	}
	if got := st.until("class=\"pinned\""); !strings.Contains(got, "Zoë") {
		t.Error(got)
	}
	if got := st.until(`href="/rooms/parlor/pins"`); !strings.Contains(got, "1 pinned message") {
		t.Error(got)
	}
	contains(t, ann.get("/rooms/parlor"), 200, `class="pinned"`, `href="/rooms/parlor/pins"`)
	contains(t, ann.get("/rooms/parlor/pins"), 200, "remember &lt;this&gt;", "Zoë", at+"/unpin")
	if a := s.visitor().get("/rooms/parlor/pins"); a.code != 200 || strings.Contains(a.body, "/unpin") {
		t.Error("what a looker may not do is offered:", a.code)
	}
	contains(t, s.visitor().post(at+"/pin"), 401)
	contains(t, ann.get("/rooms/nowhere/pins"), 404)
	// A rename reaches it.
	bob.post("/session", "nickname", "Zoltan")
	contains(t, ann.get("/rooms/parlor"), 200, "Zoltan")
	if a := ann.post(at + "/unpin"); a.code != 303 { // anybody may
		t.Fatal(a.code)
	}
	st.until(`id="about"`)
	if a := ann.get("/rooms/parlor"); strings.Contains(a.body, `class="pinned"`) || strings.Contains(a.body, "/rooms/parlor/pins") {
		t.Error("it is still pinned")
	}
	contains(t, ann.get("/rooms/parlor/pins"), 200, "Nothing is pinned here")

	bob.post(at + "/pin")
	ann.post(at + "/delete")
	if a := ann.get("/rooms/parlor/pins"); strings.Contains(a.body, "remember") || !strings.Contains(a.body, "Nothing is pinned here") {
		t.Error("a deleted message is listed")
	}
	contains(t, bob.do(bob.request("POST", at+"/pin", "", "Accept", "application/json")), 409, "message-deleted")
	contains(t, bob.post("/rooms/parlor/messages/9999/pin"), 404)
	contains(t, bob.post("/rooms/parlor/messages/x/pin"), 404)
}

func TestSavedIsPrivateAndPaged(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	for i := range db.SavedPageSize + 1 {
		seq := ann.say("parlor", fmt.Sprintf("message %d.", i))
		if a := bob.post(fmt.Sprintf("/rooms/parlor/messages/%d/save", seq)); a.code != 303 {
			t.Fatal(a.code)
		}
	}
	room, err := s.store.Room(t.Context(), "parlor")
	if err != nil || room.Rev != room.LastSeq {
		t.Error("saving took a number that everybody sees:", room.Rev, room.LastSeq, err)
	}
	a := bob.get("/saved")
	contains(t, a, 200, "message 50.", "message 1.", `value="/saved"`)
	if strings.Contains(a.body, "message 0.") {
		t.Error("more than a page")
	}
	next := regexp.MustCompile(`/saved\?from=[0-9.]+`).FindString(a.body)
	b := bob.get(next)
	contains(t, b, 200, "message 0.")
	if strings.Contains(b.body, "message 1.") {
		t.Error("listed twice")
	}
	if a := ann.get("/saved"); strings.Contains(a.body, "message") && !strings.Contains(a.body, "Nothing saved yet") {
		t.Error("another's list")
	}
	contains(t, s.visitor().get("/saved"), 200, `name="nickname"`)
	for _, bad := range []string{"x", "1", "1.1", "1.1.1.1", "0.1.1", "-1.1.1", "99999999999999999999.1.1", "9007199254740993.1.1", "%00"} {
		if a := bob.get("/saved?from=" + bad); a.code != 400 {
			t.Errorf("%s: %d", bad, a.code)
		}
	}
	a = bob.post("/rooms/parlor/messages/51/unsave", "next", "/saved")
	if a.code != 303 || a.header.Get("Location") != "/saved" {
		t.Error(a.code, a.header.Get("Location"))
	}
	if a := bob.post("/rooms/parlor/messages/51/unsave", "next", "https://evil.example/"); a.header.Get("Location") != "/" {
		t.Error("an open redirect:", a.header.Get("Location"))
	}
	if a := bob.get("/saved"); strings.Contains(a.body, "message 50.") {
		t.Error("it is still kept")
	}
	contains(t, s.visitor().post("/rooms/parlor/messages/1/save"), 401)
}

func TestMenuOffersWhatOneMayDo(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	seq := ann.say("parlor", "hello")
	at := fmt.Sprintf("/rooms/parlor/messages/%d", seq)
	contains(t, ann.get(at+"/menu"), 200, at+"/pin", at+"/save", at+"/edit", at+"/delete")
	a := bob.get(at + "/menu")
	contains(t, a, 200, at+"/pin", at+"/save")
	if strings.Contains(a.body, at+"/edit") || strings.Contains(a.body, at+"/delete") {
		t.Error("somebody else's words are offered for a change")
	}
	if a := s.visitor().get(at + "/menu"); a.code != 200 || strings.Contains(a.body, "<form method=\"post\" action=\"/rooms/") {
		t.Error("a looker is offered something:", a.code)
	}
	bob.post(at + "/save")
	bob.post(at + "/pin")
	contains(t, bob.get(at+"/menu"), 200, at+"/unpin", at+"/unsave")
	contains(t, ann.get(at+"/menu"), 200, at+"/unpin", at+"/save")
	patch := bob.get(at+"/menu", "Datastar-Request", "true")
	contains(t, patch, 200, "selector #dialogs", "popover", at+"/unpin")
	contains(t, bob.get("/rooms/parlor/messages/99/menu"), 404)
	contains(t, bob.get("/rooms/parlor/messages/99/menu", "Datastar-Request", "true"), 200, "no such message")
	done := bob.do(bob.request(http.MethodPost, at+"/unpin", form("listed", "yes"), "Datastar-Request", "true"))
	contains(t, done, 200, "Unpinned.", fmt.Sprintf(`#dialogs [data-listed="%d"]`, seq))
	if strings.Contains(done.body, "#editing") {
		t.Error("what is being written goes away")
	}
	ann.post(at + "/delete")
	a = ann.get(at + "/menu")
	if a.code != 200 || strings.Contains(a.body, at+"/pin") {
		t.Error("a deleted message can be pinned:", a.code)
	}
}
