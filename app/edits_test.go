package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"parlor/app"
)

func (v *visitor) postJSON(path string, pairs ...string) answer {
	v.s.t.Helper()
	return v.do(v.request("POST", path, form(pairs...), "Accept", "application/json"))
}

func (v *visitor) postPatches(path string, pairs ...string) answer {
	v.s.t.Helper()
	return v.do(v.request("POST", path, form(pairs...), "Datastar-Request", "true", "Accept", "text/event-stream, text/html, application/json"))
}

// The second of two that edit the same text sees both, and may save again.
func TestEditRaceIsAConflictThatShowsBothTexts(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "first")
	contains(t, ann.get("/rooms/parlor/messages/1/edit"), 200, `name="version" value="1"`, "first</textarea>")
	if a := ann.post("/rooms/parlor/messages/1", "body", "second <b>", "version", "1"); a.code != 303 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	both := []string{`name="version" value="2"`, "mine &amp; kept</textarea>", ">second &lt;b&gt;<", "changed meanwhile"}
	contains(t, ann.post("/rooms/parlor/messages/1", "body", "mine & kept", "version", "1"), 409, both...)
	a := ann.postPatches("/rooms/parlor/messages/1", "body", "mine & kept", "version", "1")
	contains(t, a, 200, append(both, "selector #editing\n")...)
	a = ann.postJSON("/rooms/parlor/messages/1", "body", "mine & kept", "version", "1")
	var problem struct {
		Reason, Body string
		Version      int
	}
	if err := json.Unmarshal([]byte(a.body), &problem); err != nil || a.code != 409 ||
		problem.Reason != "edit-conflict" || problem.Body != "second <b>" || problem.Version != 2 {
		t.Errorf("%d %s %v", a.code, a.body, err)
	}
	contains(t, ann.get("/rooms/parlor"), 200, "second &lt;b&gt;")
	// The same text again is no conflict, and no change.
	contains(t, ann.postJSON("/rooms/parlor/messages/1", "body", "second <b>", "version", "1"), 200, `"rev":0`)
	contains(t, ann.postJSON("/rooms/parlor/messages/1", "body", "mine & kept", "version", "2"), 200)
	for _, version := range []string{"x", "0", "-1", "99999999999999999999"} {
		contains(t, ann.post("/rooms/parlor/messages/1", "body", "kept text", "version", version), 400, "kept text")
	}
	contains(t, ann.post("/rooms/parlor/messages/1", "body", " ", "version", "3"), 422, `name="version" value="3"`)
	// A program that does not care takes any.
	contains(t, ann.postJSON("/rooms/parlor/messages/1", "body", "whatever it was"), 200)
	contains(t, ann.get("/rooms/parlor"), 200, "whatever it was")
}

func TestEditIsRefusedAfterTheWindowAndDeletionIsNot(t *testing.T) {
	s := newSite(t, func(c *app.Config) { c.EditWindow = time.Hour })
	ann, bob := s.guest("Ann"), s.guest("Bob")
	ann.say("parlor", "young")
	contains(t, ann.get("/rooms/parlor/messages/1/edit"), 200, "young</textarea>", "until", "<time")
	contains(t, ann.patches("/rooms/parlor/messages/last/edit"), 200, "selector #editing\n", "young</textarea>")
	if _, err := s.store.DB.Exec(`update messages set said_at = $1`, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	contains(t, ann.get("/rooms/parlor/messages/1/edit"), 403, "too long ago")
	contains(t, ann.patches("/rooms/parlor/messages/1/edit"), 200, "<dialog", "too long ago")
	if a := ann.patches("/rooms/parlor/messages/last/edit"); a.code != 204 || a.body != "" {
		t.Errorf("the last one: %d %s", a.code, a.body)
	}
	contains(t, ann.get("/rooms/parlor/messages/last/edit"), 404)
	contains(t, ann.post("/rooms/parlor/messages/1", "body", "too late", "version", "1"), 403, "too late</textarea>", "too long ago")
	contains(t, ann.postPatches("/rooms/parlor/messages/1", "body", "too late", "version", "1"), 200, "too late</textarea>", "too long ago")
	contains(t, ann.postJSON("/rooms/parlor/messages/1", "body", "too late"), 403, "edit-too-late")
	contains(t, ann.get("/rooms/parlor"), 200, "young")
	a := bob.post("/rooms/parlor/messages/1", "body", "not mine", "version", "1")
	contains(t, a, 403, "not mine")
	if strings.Contains(a.body, `action="/rooms/parlor/messages/1"`) {
		t.Error("a form to change another's words")
	}
	contains(t, ann.postJSON("/rooms/parlor/messages/1/delete"), 200)
	contains(t, ann.get("/rooms/parlor"), 200, "tombstone")
}

func TestLastEditIsOnesOwnNewestThatIsThere(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	last := func() answer { return ann.patches("/rooms/parlor/messages/last/edit") }
	if a := last(); a.code != 204 {
		t.Errorf("in an empty room: %d", a.code)
	}
	ann.say("parlor", "one")
	two := ann.say("parlor", "two")
	bob.say("parlor", "not hers")
	contains(t, last(), 200, "two</textarea>")
	contains(t, ann.get("/rooms/parlor/messages/last/edit"), 200, "two</textarea>")
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", two))
	contains(t, last(), 200, "one</textarea>")
	contains(t, s.visitor().get("/rooms/parlor/messages/last/edit"), 401)
}

func TestEarlierVersionsCanBeReadUntilTheMessageIsDeleted(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	ann.say("parlor", "text 1")
	contains(t, bob.get("/rooms/parlor/messages/1/versions"), 200, "text 1", "no earlier version")
	for i := 2; i <= 25; i++ {
		ann.post("/rooms/parlor/messages/1", "body", fmt.Sprintf("text %d", i), "version", fmt.Sprint(i-1))
	}
	contains(t, bob.get("/rooms/parlor"), 200, `class="edited" href="/rooms/parlor/messages/1/versions"`, "<time")
	a := bob.get("/rooms/parlor/messages/1/versions")
	contains(t, a, 200, "<p>text 25</p>", "<p>text 24</p>", "<p>text 5</p>", "?before=5")
	if strings.Contains(a.body, "<p>text 4</p>") || strings.Index(a.body, "<p>text 25</p>") > strings.Index(a.body, "<p>text 24</p>") {
		t.Error("more than a page, or out of order")
	}
	a = bob.get("/rooms/parlor/messages/1/versions?before=5")
	contains(t, a, 200, "<p>text 4</p>", "<p>text 1</p>")
	if strings.Contains(a.body, "<p>text 25</p>") || strings.Contains(a.body, "<p>text 5</p>") {
		t.Error("the second page repeats the first")
	}
	contains(t, bob.patches("/rooms/parlor/messages/1/versions"), 200, "selector #dialogs\n", "<dialog", "text 24")
	for _, before := range []string{"x", "0", "-1", "99999999999999999999"} {
		contains(t, bob.get("/rooms/parlor/messages/1/versions?before="+before), 400)
	}
	contains(t, bob.get("/rooms/parlor/messages/9/versions"), 404)
	ann.post("/rooms/parlor/messages/1/delete")
	a = bob.get("/rooms/parlor/messages/1/versions")
	contains(t, a, 404, "deleted")
	if strings.Contains(a.body, "text ") && strings.Contains(a.body, "text 24") {
		t.Error("a deleted message shows what it said")
	}
	var left int
	if err := s.store.DB.Get(&left, `select count(*) from message_versions`); err != nil || left != 0 {
		t.Errorf("%d versions are left of a deleted message, %v", left, err)
	}
	if v, _, err := s.store.Versions(t.Context(), 1, 1, 0); err != nil || len(v) != 0 {
		t.Errorf("%v %v", v, err)
	}
}

func TestEditWindowSetting(t *testing.T) {
	read := func(value string) (app.Config, error) {
		return app.ReadConfig(nil, func(name string) string {
			if name == "PARLOR_EDIT_WINDOW" {
				return value
			}
			return ""
		}, &strings.Builder{})
	}
	for value, want := range map[string]time.Duration{"": 0, "15m": 15 * time.Minute, "0": 0} {
		if c, err := read(value); err != nil || c.EditWindow != want {
			t.Errorf("%q: %v %v", value, c.EditWindow, err)
		}
	}
	for _, bad := range []string{"-1m", "15", "soon"} {
		if _, err := read(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
