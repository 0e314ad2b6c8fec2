package markup

import (
	"strings"
	"testing"
	"unicode/utf8"

	"parlor/app/chat"
)

func TestPlain(t *testing.T) {
	people := map[int64]string{7: "Zoë"}
	for body, want := range map[string]string{
		"just text":                                                "just text",
		"**bold** _and_ ~~not~~ `code`":                            "bold and not code",
		"one\ntwo\n\nthree":                                        "one\ntwo\nthree",
		"# Title\n> quoted\n> more":                                "Title\nquoted\nmore",
		"[x](https://a.example) y":                                 "x y",
		"see https://a.example/b":                                  "see https://a.example/b",
		"before\n```go\na := 1\n\n\tb()\n```\n":                    "before\na := 1\n\n\tb()",
		"- [x] done\n- [ ] open\n  - deeper":                       "☑ done\n☐ open\ndeeper",
		"| a | b |\n|---|---|\n| c | `d` |":                        "a · b\nc · d",
		"hello " + chat.Mention(7) + ", `" + chat.Mention(7) + "`": "hello @Zoë, @Zoë",
		"<b>as typed</b> &amp; \\*so\\*":                           "<b>as typed</b> &amp; *so*",
		"***":                                                      "***", // shows no text
		"":                                                         "",
	} {
		if got := Plain(body, people); got != want {
			t.Errorf("Plain(%.60q) is %.200q, not %.200q", body, got, want)
		}
	}
	if got := Plain(strings.Repeat("> ", 2000)+"deep", people); !strings.HasSuffix(got, "deep") {
		t.Errorf("a deep text is %.200q", got)
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("**a** [b](c)\n\n| d |\n|---|\n```\n\x0E7\x0F")
	f.Fuzz(func(t *testing.T, body string) {
		if got := Plain(body, map[int64]string{7: "Zoë"}); !utf8.ValidString(got) || strings.ContainsAny(got, begins+ends) {
			t.Errorf("Plain(%q) is %q", body, got)
		}
	})
}
