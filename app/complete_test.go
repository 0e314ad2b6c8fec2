package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestEmojiAreCompleted(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ask := func(v *visitor, word string, headers ...string) answer {
		return v.get("/rooms/parlor/complete?q="+url.QueryEscape(word), headers...)
	}
	a := ask(ann, ":smil", "Datastar-Request", "true")
	for _, want := range []string{"event: datastar-patch-elements", "selector #completions", `role="listbox"`, `id="completion-0" aria-selected="true"`, `data-insert="😄"`, `"_listed":":smil"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	if strings.Count(a.body, `role="option"`) != 8 || a.code != http.StatusOK || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v\n%s", a.code, a.header, a.body)
	}
	if a := ask(ann, ":笑", "Datastar-Request", "true", "Accept-Language", "zh"); !strings.Contains(a.body, "笑哭") || !strings.Contains(a.body, "建议") {
		t.Errorf("in Chinese: %s", a.body)
	}

	var found []map[string]string
	if a := ask(ann, ":tada"); json.Unmarshal([]byte(a.body), &found) != nil || len(found) != 1 || found[0]["insert"] != "🎉" || found[0]["name"] != ":tada:" {
		t.Errorf("for a program: %d %s", a.code, a.body)
	}
	for _, word := range []string{"", ":", "tada", ":no such emoji", "::", strings.Repeat(":", 5000), ":\xff", ":<script>", ":\r\revent: x", ":" + strings.Repeat("a", 200)} {
		if a := ask(ann, word); a.code != http.StatusOK || strings.TrimSpace(a.body) != "[]" {
			t.Errorf("%.20q: %d %.80s", word, a.code, a.body)
		}
		if a := ask(ann, word, "Datastar-Request", "true"); a.code != http.StatusOK || strings.Contains(a.body, "option") || strings.Contains(a.body, "\r") || !strings.Contains(a.body, `"_picks":0`) {
			t.Errorf("%.20q: %d %.200s", word, a.code, a.body)
		}
	}
	if a := ask(s.visitor(), ":smil"); a.code != http.StatusUnauthorized {
		t.Errorf("without a nickname: %d", a.code)
	}
	if a := ann.get("/rooms/nowhere/complete?q=:smil"); a.code != http.StatusNotFound {
		t.Errorf("in no room: %d", a.code)
	}
}

// What people typed is what they edit, whatever it looks like in the room.
func TestMarkdownIsShownAndEditedAsTyped(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	typed := "# *Plan* :tada:\n\n- [x] `go <vet>`\n\n```go\nx := 1\n```\n<b data-on:click=\"x\">raw</b> &amp;"
	ann.say("parlor", typed)
	page := ann.get("/rooms/parlor").body
	for _, want := range []string{
		"<h3><em>Plan</em> 🎉</h3>", `<li class="task"><label><input type="checkbox" disabled="" checked=""> <code>go &lt;vet&gt;</code></label></li>`,
		`<span class="nu">1</span>`, "&lt;b data-on:click=&#34;x&#34;&gt;raw&lt;/b&gt; &amp;amp;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in the room", want)
		}
	}
	edit := ann.get("/rooms/parlor/messages/1/edit").body
	if want := "# *Plan* :tada:\n\n- [x] `go &lt;vet&gt;`\n\n```go\nx := 1\n```\n&lt;b data-on:click=&#34;x&#34;&gt;raw&lt;/b&gt; &amp;amp;</textarea>"; !strings.Contains(edit, want) {
		t.Errorf("to edit:\n%s", edit)
	}
	if ask := ann.get("/rooms/parlor/messages/1/delete").body; !strings.Contains(ask, ">Plan 🎉</blockquote>") {
		t.Errorf("not its first line without marks:\n%s", ask)
	}
}

// A mention is made by the server alone: neither its token nor its HTML can
// be typed.
func TestMentionsCantBeForged(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for _, typed := range []string{"\x0E1\x0F hi", "a \x0E0\x0F", "`\x0E1\x0F`", `<span class="mention" data-mention="1">@Zoë</span>`, `[@Zoë](x){data-mention=1}`} {
		ann.say("parlor", typed)
	}
	_, log, _ := strings.Cut(ann.get("/rooms/parlor").body, `id="log"`)
	if log == "" || strings.Contains(log, `data-mention="`) || strings.ContainsAny(log, "\x0E\x0F") {
		t.Errorf("a mention nobody made:\n%s", log)
	}
}
