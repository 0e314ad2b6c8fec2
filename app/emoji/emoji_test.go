package emoji

import (
	"strings"
	"testing"
	"unicode"
)

func TestEveryListedEmojiIsValid(t *testing.T) {
	seen := map[string]string{}
	for _, e := range list().all {
		if !Valid(e.Text) {
			t.Errorf("%s %q (%+q) is not valid", e.Code, e.Text, e.Text)
		}
		for _, name := range e.names {
			if other := seen[name]; other != "" {
				t.Errorf("%s means %s and %s", name, other, e.Text)
			}
			seen[name] = e.Text
			if len(name) > MostCode || strings.ToLower(name) != name || strings.ContainsAny(name, ": ") {
				t.Errorf("the name %q", name)
			}
		}
	}
}

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"😀": true, "👍": true, "👍🏽": true, "❤️": true, "🇩🇪": true, "🏴󠁧󠁢󠁥󠁮󠁧󠁿": true, "1️⃣": true, "#️⃣": true, "👩‍🚀": true, "👩🏾‍🚀": true,
		"👨‍👩‍👧‍👦": true, "🏳️‍🌈": true, "❤️‍🔥": true, "☝️": true, "☝🏿": true, "👁️‍🗨️": true, "🧑‍🧑‍🧒‍🧒": true, "🫩": true,
		"": false, "a": false, "1": false, "好": false, ":smile:": false, "😀😀": false, "😀 ": false, "\n😀": false, "😀a": false,
		"❤": false, "❤\uFE0E": false, "©": false, "🇩": false, "🇽🇽": false, "🇩🇪🇩🇪": false, "🏽": false, "🍕🏽": false, "1⃣": false,
		"\u200D": false, "😀\u200D": false, "\u200D😀": false, "😀\uFE0F": false, "<": false, "🂡": false, "\xFF": false,
		strings.Repeat("👨‍", 20) + "👨": false,
	} {
		if got := Valid(s); got != want {
			t.Errorf("Valid(%+q) = %v", s, got)
		}
	}
}

func TestOnly(t *testing.T) {
	for s, want := range map[string]int{
		"😀": 1, " 😀  👍🏽\n": 2, "👩‍🚀👩‍🚀👩‍🚀": 3, "🇩🇪🇫🇷": 2, "1️⃣": 1,
		"": 0, " ": 0, "1 2": 0, "😀!": 0, "a": 0, "❤": 0,
	} {
		if n, ok := Only(s); n != want || ok != (want > 0) {
			t.Errorf("Only(%q) = %d, %v", s, n, ok)
		}
	}
}

func TestFind(t *testing.T) {
	codes := func(found []Emoji) string {
		var out []string
		for _, e := range found {
			out = append(out, e.Code)
		}
		return strings.Join(out, " ")
	}
	for typed, want := range map[string]string{
		"":            "joy heart +1",
		"smile":       "smile smiley smiley_cat",
		"SMI":         "smile smirk smiling_face_with_three_hearts",
		"thumbsup":    "thumbsup",
		"mile":        "smile sweat_smile smiley",
		"+1":          "+1",
		"赞":           "+1",
		"哭":           "sob joy",
		"no such":     "",
		"<script>":    "",
		"robot":       "robot",
		"heart_on_fi": "heart_on_fire",
	} {
		if got := codes(Find(typed, 3)); !strings.HasPrefix(got+" ", want+" ") || want == "" && got != "" {
			t.Errorf("Find(%q) = %q, want %q", typed, got, want)
		}
	}
	if got := Find("a", 8); len(got) != 8 {
		t.Errorf("%d found, 8 asked for", len(got))
	}
	for _, e := range Find("赞", 1) {
		if e.Text != "👍" || e.Chinese != "赞" {
			t.Errorf("赞 is %+v", e)
		}
	}
}

func TestTheWellKnownHaveNamesInChinese(t *testing.T) {
	owner := map[string]string{}
	for _, known := range wellKnown {
		for _, name := range strings.Fields(known.chinese) {
			if other := owner[name]; other != "" {
				t.Errorf("%s is %s and %s", name, other, known.code)
			}
			owner[name] = known.code
			for _, r := range name {
				if !unicode.Is(unicode.Han, r) {
					t.Errorf("%s has the name %s", known.code, name)
				}
			}
		}
	}
}

func TestLookup(t *testing.T) {
	if s, ok := Lookup("tada"); !ok || s != "🎉" {
		t.Error(s, ok)
	}
	if _, ok := Lookup("no_such_emoji"); ok {
		t.Error("there is one")
	}
}

func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		Find("sm", 8)
	}
}

func FuzzValid(f *testing.F) {
	f.Add("👩🏾‍🚀")
	f.Fuzz(func(t *testing.T, s string) {
		if n, only := Only(s); Valid(s) && (n != 1 || !only) {
			t.Errorf("%+q is valid, but %d, %v", s, n, only)
		}
	})
}
