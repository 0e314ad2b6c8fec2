package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"parlor/db/dbtest"
)

// What is deleted is not new any more: at once, on pages of another node, too.
func TestDeletedMessagesAreNotNew(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	a, b := newNode(t, database), newNode(t, database)
	ann, bob := a.guest("Ann"), a.guest("Bob")
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	here, there := bob.stream("/stream"), bob.at(b).stream("/rooms/parlor/stream?after=0")
	slip := ann.say("parlor", "a slip")
	ann.say("parlor", "what she meant")
	for _, st := range []*stream{here, there} {
		st.mine(`"o":0,"s":0`)
	}
	contains(t, ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", slip)), http.StatusSeeOther)
	for _, st := range []*stream{here, there} {
		st.mine(`"o":1,"s":0`)
	}
	bob.says(t, 1)
	own := bob.say("parlor", "my own")
	bob.says(t, 1)
	contains(t, bob.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", own)), http.StatusSeeOther)
	bob.says(t, 1)
}

// says compares what the page without script, the lobby, and a program are told
// of how many messages of the first room are new.
func (v *visitor) says(t *testing.T, unread int) {
	t.Helper()
	var gap map[string]any
	if err := json.Unmarshal([]byte(v.get("/rooms/parlor/since", "Accept", "application/json").body), &gap); err != nil || gap["new"] != float64(unread) {
		t.Errorf("a program is told %v, not %d new (%v)", gap, unread, err)
	}
	if _, since := gap["since"]; since != (unread > 0) {
		t.Errorf("%d new, and since: %v", unread, gap["since"])
	}
	want := []string{`class="unread" data-word="unread"`, fmt.Sprintf(`>%d</b>`, unread)}
	css := fmt.Sprintf(`#hall-1 .unread::before{content:"%d"}`, unread)
	if unread == 0 {
		want, css = []string{`></b>`}, ""
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // lists are a second old
		_, lobby, _ := strings.Cut(v.get("/").body, `id="card-1"`)
		lobby, _, _ = strings.Cut(lobby, `class="calls"`)
		style := v.get("/unread.css")
		contains(t, style, 200)
		there := strings.Contains(style.body, css) && (css != "" || !strings.Contains(style.body, ".unread"))
		for _, text := range want {
			there = there && strings.Contains(lobby, text)
		}
		if there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %d new: %s\n%s", unread, lobby, style.body)
		}
	}
}

// Who speaks by a program, or from a thread, has not read the room; who sends
// the room's plain form sees its end.
func TestSpeakingIsReadingWithoutScriptOnly(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	bob.say("parlor", "the first word makes the mark")
	first := ann.say("parlor", "one")
	bob.say("parlor", "sent when the connection was back")
	bob.says(t, 1)
	speak := func(more ...string) {
		t.Helper()
		contains(t, bob.post("/rooms/parlor/messages", append([]string{"body", "by the form", "nonce", uuid.NewString()}, more...)...), http.StatusSeeOther)
	}
	speak("thread", fmt.Sprint(first), "parent", fmt.Sprint(first))
	bob.says(t, 1)
	speak()
	bob.says(t, 0)
}

func TestUnreadStyleSheetIsOnesOwn(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	contains(t, bob.post("/rooms/parlor/read"), http.StatusSeeOther)
	s.call(ann.person(), bob.person(), "psst")
	bob.says(t, 1)
	a := bob.get("/unread.css")
	contains(t, a, 200, `#hall-1 .calls::before{content:"@1"}`, `.hall .inbox .calls::before{content:"1"}`)
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("it may be kept")
	}
	for _, other := range []*visitor{ann, s.visitor()} {
		if body := other.get("/unread.css").body; body != "" {
			t.Errorf("another's numbers: %s", body)
		}
	}
	for level, css := range map[string]string{"none": "#hall-1{opacity:.6}", "hidden": "#hall-1:not(:has([aria-current])){display:none}"} {
		contains(t, bob.post("/rooms/parlor/level", "level", level), http.StatusSeeOther)
		if body := bob.get("/unread.css").body; body != css {
			t.Errorf("%s: %s", level, body)
		}
	}
	for who, wanted := range map[*visitor]bool{bob: true, s.visitor(): false} {
		if strings.Contains(who.get("/rooms/parlor").body, `<noscript><link rel="stylesheet" href="/unread.css"`) != wanted {
			t.Errorf("on the page: not %v", wanted)
		}
	}
}
