package i18n

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var verb = regexp.MustCompile(`%[^ %]?`)

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	if len(texts) < 100 {
		t.Fatalf("only %d texts are known", len(texts))
	}
	for _, text := range texts {
		for _, l := range Langs {
			if s := text.In(l); s == "" || strings.TrimSpace(s) != s {
				t.Errorf("%q is empty or has space around it in %s", text.in, l.Tag())
			}
		}
		en, zh := text.In(English), text.In(Chinese)
		if !slices.Equal(verb.FindAllString(en, -1), verb.FindAllString(zh, -1)) {
			t.Errorf("%q and %q have different arguments", en, zh)
		}
		for _, v := range verb.FindAllString(en, -1) {
			if v != "%s" && v != "%d" {
				t.Errorf("%q has the verb %q", en, v)
			}
		}
		if !strings.ContainsFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%q is not translated: %q", en, zh)
		}
		if strings.ContainsFunc(en, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%q is no English", en)
		}
	}
}

func TestChinesePunctuationIsFullWidth(t *testing.T) {
	for _, text := range texts {
		if zh := text.In(Chinese); strings.ContainsAny(zh, `,;:!?()"'`) || strings.HasSuffix(zh, ".") {
			t.Errorf("%q", zh)
		}
	}
}

func TestErrorTitles(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503} {
		if _, known := titles[status]; !known {
			t.Errorf("no title for %d", status)
		}
	}
	for status, like := range map[int]int{418: 400, 502: 500, 0: 500} {
		if ErrorTitle(Chinese, status) != titles[like].In(Chinese) {
			t.Errorf("%d is called %q", status, ErrorTitle(Chinese, status))
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int64][2]string{
		1:       {"1 message while you were away", "你离开时有 1 条消息"},
		2:       {"2 messages while you were away", "你离开时有 2 条消息"},
		999:     {"999 messages while you were away", "你离开时有 999 条消息"},
		1240:    {"1,240 messages while you were away", "你离开时有 1,240 条消息"},
		1234567: {"1,234,567 messages while you were away", "你离开时有 1,234,567 条消息"},
		-100:    {"-100 messages while you were away", "你离开时有 -100 条消息"},
	} {
		for _, l := range Langs {
			if got := AwayDivider.In(l, n); got != want[l] {
				t.Errorf("%d: %q, want %q", n, got, want[l])
			}
		}
	}
	both := count("%d thing in %s", "%d things in %s", "“%[2]s”")
	texts = texts[:len(texts)-2]
	if got := both.In(English, 2000, "Tea 100%"); got != "2,000 things in Tea 100%" {
		t.Errorf("with another argument: %q", got)
	}
}

func TestTextWithArguments(t *testing.T) {
	if got := WelcomeBack.In(Chinese, "100%d"); got != "欢迎回来，100%d。" {
		t.Error(got)
	}
	if got := NewBelow.In(English); got != "%d new below ↓" {
		t.Error(got)
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		cookie, accept string
		want           Lang
	}{
		{"", "", English},
		{"zh", "en", Chinese},
		{"en", "zh-CN", English},
		{"xx", "zh-CN", Chinese},
		{"", "zh", Chinese},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", Chinese},
		{"", "zh-Hans-SG", Chinese},
		{"", "zh-TW", Chinese},
		{"", "zh-HK,zh;q=0.9", Chinese},
		{"", "zh-Hant", Chinese},
		{"", "en-GB,en;q=0.9,zh;q=0.8", English},
		{"", "zh;q=0.5,en", English},
		{"", "de", English},
		{"", "de,zh;q=0.5", Chinese},
		{"", "de,en;q=0.5,zh;q=0.3", English},
		{"", "zh;q=0", English},
		{"", "*", English},
		{"", ";;;\x00=-", English},
		{"", strings.Repeat("a-", 100000), English},
	} {
		if got := Match(test.cookie, test.accept); got != test.want {
			t.Errorf("Match(%q, %.40q) = %s", test.cookie, test.accept, got.Tag())
		}
	}
}

func TestLanguagesAreNamedInThemselves(t *testing.T) {
	if LanguageName.In(English) != "English" || LanguageName.In(Chinese) != "简体中文" {
		t.Error(LanguageName)
	}
}
