package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"parlor/db"
)

func TestCommandsDoWhatTheySayAndAreNeverSaid(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	if a := ann.post("/rooms", "name", "Tea room", "topic", "old topic"); a.code != 303 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	bob.stream("/rooms/tea-room/stream?after=0").until("cursor")
	plain := func(v *visitor, body string) answer {
		return v.post("/rooms/tea-room/messages", "body", body, "nonce", uuid.NewString())
	}
	led := func(v *visitor, body string) (to struct{ Command, Go, Dialog string }) {
		t.Helper()
		a := v.postJSON("/rooms/tea-room/messages", "body", body, "nonce", uuid.NewString())
		if err := json.Unmarshal([]byte(a.body), &to); err != nil || a.code != 200 {
			t.Fatalf("%s: %d %s", body, a.code, a.body)
		}
		return to
	}
	for _, c := range []struct {
		by         *visitor
		typed      string
		to, dialog string
	}{
		{ann, "/nick", "/session?next=%2Frooms%2Ftea-room", ""},
		{ann, "/nick Zoë", "/rooms/tea-room", ""},
		{ann, "/nick Zoë", "/rooms/tea-room", ""}, // when the first answer was lost
		{ann, "/topic what we drink", "/rooms/tea-room#message", ""},
		{ann, "/topic", "/rooms/tea-room/settings", ""},
		{bob, "/join", "/", ""},
		{bob, "/join parlor", "/rooms/parlor", ""},
		{bob, "/join #TEA ROOM", "/rooms/tea-room", ""},
		{bob, "/join tea-room", "/rooms/tea-room", ""},
		{bob, "/join nowhere & more", "/rooms/new?name=nowhere+%26+more", ""},
		{bob, "/who", "", "/rooms/tea-room/who"},
		{bob, "/help", "", "/help"},
		{bob, "/search green tea", "/search?q=green+tea+in%3Atea-room", ""},
	} {
		got := led(c.by, c.typed)
		if "/"+got.Command != strings.Fields(c.typed)[0] || got.Go != c.to || got.Dialog != c.dialog {
			t.Errorf("%s: %+v", c.typed, got)
		}
		if a := plain(c.by, c.typed); a.code != 303 || a.header.Get("Location") != c.to+c.dialog {
			t.Errorf("%s by a plain form: %d to %q", c.typed, a.code, a.header.Get("Location"))
		}
	}
	contains(t, ann.get("/rooms/tea-room"), 200, "what we drink", "Zoë")
	contains(t, bob.get("/rooms/new?name=nowhere+%26+more"), 200, `value="nowhere &amp; more"`)
	contains(t, bob.get("/rooms/tea-room/who"), 200, "Bob", "Here · 1")
	contains(t, bob.patches("/rooms/tea-room/who"), 200, "selector #dialogs\n", "Bob")
	contains(t, bob.get("/help"), 200, "/me", "/search", "~~", "Shift")
	contains(t, bob.patches("/help"), 200, "selector #dialogs\n", "/topic")
	contains(t, bob.get("/help", "Accept-Language", "zh"), 200, "命令")

	// What can't be done is explained, and nothing typed is lost.
	for _, c := range []struct {
		typed string
		code  int
		why   string
	}{
		{"/topic mine now", 403, "not-your-room"},
		{"/nick Zoë", 409, "nickname-taken"},
		{"/etc/passwd is a file", 422, "command-unknown"},
		{"/me", 422, "command-needs-text"},
		{"/join a\nb", 422, "command-one-line"},
		{"/who are you", 422, "command-alone"},
		{"/nick " + strings.Repeat("x", 50), 422, "nickname-too-long"},
	} {
		contains(t, bob.postJSON("/rooms/tea-room/messages", "body", c.typed, "nonce", uuid.NewString()), c.code, c.why)
		contains(t, plain(bob, c.typed), c.code, c.typed+"</textarea>", `id="body-error"`)
	}
	contains(t, plain(s.visitor(), "/nick Eve"), 401)
	contains(t, ann.get("/rooms/tea-room"), 200, "what we drink")
	page, err := s.store.Page(t.Context(), 2, db.Place{})
	if err != nil || len(page.Messages) != 0 {
		t.Fatalf("said: %+v %v", page.Messages, err)
	}

	for _, c := range []struct {
		typed, body string
		emote       bool
	}{
		{"/me waves", "waves", true},
		{"/ME and\ngoes", "and\ngoes", true},
		{"//me waves", "/me waves", false},
		{"//etc/passwd is a file", "/etc/passwd is a file", false},
		{"/ alone", "/ alone", false},
	} {
		seq := ann.say("tea-room", c.typed)
		m, err := s.store.Message(t.Context(), 2, seq)
		if err != nil || m.Body != c.body || m.Emote != c.emote {
			t.Errorf("%q is said as %q %v, %v", c.typed, m.Body, m.Emote, err)
		}
	}
	contains(t, ann.get("/rooms/tea-room"), 200, `class="actor"`, "emote")
	m, _ := s.store.Message(t.Context(), 2, ann.say("tea-room", "/me edits"))
	ann.postJSON(fmt.Sprintf("/rooms/tea-room/messages/%d", m.Seq), "body", "/me is no command here", "version", "1")
	if m, err := s.store.Message(t.Context(), 2, m.Seq); err != nil || m.Body != "/me is no command here" || !m.Emote {
		t.Errorf("%+v %v", m, err)
	}
}

// The same nonce, text and kind is the same post; another kind is not.
func TestEmoteBelongsToItsNonce(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	nonce := uuid.NewString()
	post := func(body string) answer { return ann.postJSON("/rooms/parlor/messages", "body", body, "nonce", nonce) }
	contains(t, post("/me waves"), 201, `"seq":1`)
	contains(t, post("/me waves"), 201, `"seq":1`)
	contains(t, post("waves"), 409, "nonce-reused")
}
