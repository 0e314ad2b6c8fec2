package chat

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const family = "👨\u200D👩\u200D👧\u200D👦"

func mustParse(t *testing.T, typed string) Nickname {
	t.Helper()
	n, err := ParseNickname(typed, 32)
	if err != nil {
		t.Fatalf("ParseNickname(%+q): %v", typed, err)
	}
	return n
}

func TestNicknamesOfAllScriptsAreShownAsTyped(t *testing.T) {
	for _, typed := range []string{
		"a", "Zoë", "张三", "نور", "Дмитрий", "नेहा", "สมชาย", "列夫·托尔斯泰", "ナオミ・キャンベル",
		"O'Neill", "_x_", "Anna Maria", "1", "#1", "C++",
		"🦊", "❤\uFE0F", "❤\uFE0E", "👍🏽", family, "🏳\uFE0F\u200D🌈", "👩🏽\u200D🚀", "🇨🇳", "🇨🇳🇫🇮",
		"1\uFE0F\u20E3", "⛹🏻\u200D♂\uFE0F", "🐦\u200D⬛", "🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
		"fox 🦊", "\U0001FAE9", strings.Repeat("名", 32),
	} {
		n := mustParse(t, typed)
		if n.Shown != typed {
			t.Errorf("ParseNickname(%+q).Shown = %+q", typed, n.Shown)
		}
		if n.Folded == "" || n.Skeleton == "" {
			t.Errorf("%+q has empty forms: %+q", typed, n)
		}
	}
}

func TestNicknamesAreTidied(t *testing.T) {
	for typed, want := range map[string]string{
		"  Zoë \n":             "Zoë",
		"Zoe\u0308":            "Zoë",
		"Anna \t\u00A0\u3000M": "Anna M",
	} {
		if got := mustParse(t, typed).Shown; got != want {
			t.Errorf("ParseNickname(%+q).Shown = %+q, want %+q", typed, got, want)
		}
	}
}

func TestNicknamesThatCantBeAreRefusedWithTheReason(t *testing.T) {
	for typed, want := range map[string]Reason{
		"":                          NicknameEmpty,
		" \t\n\u00A0\u3000\u2028":   NicknameEmpty,
		strings.Repeat("名", 33):     NicknameTooLong,
		"ad\u200Bmin":               NicknameInvisible,
		"ad\u200Dmin":               NicknameInvisible, // a joiner, but not between emoji
		"🦊\u200D":                   NicknameInvisible,
		"a\u200D🦊":                  NicknameInvisible,
		"\u200B":                    NicknameInvisible,
		"\u2800":                    NicknameInvisible,
		"\u3164":                    NicknameInvisible,
		"\uFE0F":                    NicknameInvisible,
		"a\uFE0F":                   NicknameInvisible,
		"1\uFE0F":                   NicknameInvisible, // a digit is no emoji by itself
		"葛\U000E0100":               NicknameInvisible,
		"so\u00ADft":                NicknameInvisible,
		"\u202Enimda":               NicknameInvisible,
		"a\u2066b\u2069":            NicknameInvisible,
		"a\u200Fb":                  NicknameInvisible,
		"a\u061Cb":                  NicknameInvisible,
		"a\x00b":                    NicknameInvisible,
		"a\nb":                      NicknameInvisible,
		"a\rb":                      NicknameInvisible,
		"a\x1B[1mb":                 NicknameInvisible,
		"a\u0085b":                  NicknameInvisible,
		"a\u2028b":                  NicknameInvisible,
		"a\u2029b":                  NicknameInvisible,
		"a\uFEFFb":                  NicknameInvisible,
		"a\u034Fb":                  NicknameInvisible,
		"🏴\U000E0061\U000E007F":     NicknameInvisible, // hidden letters, no flag
		"\xFFab":                    NicknameForbidden,
		"a\uE000":                   NicknameForbidden, // private
		"a\u0378":                   NicknameForbidden, // unassigned
		"a\uFFFF":                   NicknameForbidden, // noncharacter
		"a\uFFFD":                   NicknameForbidden,
		"\u0301a":                   NicknameForbidden, // a mark on nothing
		"Z\u030D\u030E\u0310\u0352": NicknameForbidden, // Zalgo
	} {
		n, err := ParseNickname(typed, 32)
		var refusal *Error
		if !errors.As(err, &refusal) {
			t.Errorf("ParseNickname(%+q) = %+q, %v; want %s", typed, n, err, want)
			continue
		}
		if refusal.Reason != want || refusal.Field != "nickname" || refusal.Kind != Invalid {
			t.Errorf("ParseNickname(%+q): %+v, want %s", typed, refusal, want)
		}
		wantArgs := want == NicknameForbidden || want == NicknameTooLong
		if wantArgs != (len(refusal.Args) == 1) {
			t.Errorf("ParseNickname(%+q): %s with arguments %v", typed, want, refusal.Args)
		}
	}
}

func TestSameNameFoldsToTheSame(t *testing.T) {
	for _, same := range [][]string{
		{"Zoë", "ZOË", "zoe\u0308", "Ｚｏë", " zoë "},
		{"Straße", "STRASSE", "strasse"},
		{"ΣΊΣΥΦΟΣ", "σίσυφος", "σίσυφοσ"},
		{"ﬁn", "fin"},
		{"张三", "张三 "},
	} {
		first := mustParse(t, same[0])
		for _, other := range same[1:] {
			if n := mustParse(t, other); n.Folded != first.Folded {
				t.Errorf("%+q and %+q differ: %+q, %+q", same[0], other, first, n)
			}
		}
	}
}

func TestLookAlikesHaveTheSameSkeleton(t *testing.T) {
	for _, alike := range [][]string{
		{"admin", "аdmin", "ADMIN", "аdmіn", "ａｄｍｉｎ", "adrnin"},
		{"pay-pal", "pay‑pal", "pay‐pal", "pаy-pal", "pay－pal"},
		{"Bill", "BiII", "Bi1l", "Bi|l", "Вill", "Βill"},
		{"Ivan", "lvan", "1van", "Іvan", "іvan"},
		{"Nick", "Νick"},
		{"b0b", "bob", "BОB"},
		{"Zoë", "Zоë"},
		{"❤\uFE0F", "❤"},
		{"Tom", "T o m", "to m", "Ｔｏ　ｍ", "TOM"},
		{"张三", "张 三"},
		{"👨\u200D👩", "👨👩"},
	} {
		first := mustParse(t, alike[0])
		for _, other := range alike[1:] {
			if n := mustParse(t, other); n.Skeleton != first.Skeleton {
				t.Errorf("%q and %q look alike, but: %q, %q", alike[0], other, first.Skeleton, n.Skeleton)
			}
		}
	}
}

func TestWordsThatMeanSomebodyElseAreReserved(t *testing.T) {
	for _, typed := range []string{"here", "HERE", "@here", "＠Ｈｅｒｅ", "h e r e", "@@me", "Me", "ｍｅ", "@ me", "在座", "@在 座", "我"} {
		if !mustParse(t, typed).Reserved() {
			t.Errorf("somebody may be called %q", typed)
		}
	}
	for _, typed := range []string{"Hera", "there", "me2", "Mei", "here's Ann", "我们", "@", "m.e"} {
		if mustParse(t, typed).Reserved() {
			t.Errorf("nobody may be called %q", typed)
		}
	}
}

func TestDifferentNamesStayDifferent(t *testing.T) {
	names := []string{
		"admin", "张三", "李四", "张三 2", "Zoë", "Zoe", "نور", "نورا", "🦊", "🐺", "👍", "👍🏽", "👍🏿",
		"🇨🇳", "🇫🇮", family, "🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F",
		"🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F", "anna", "anna_", "anna 2", "anna 3",
	}
	skeletons, folded := map[string]string{}, map[string]string{}
	for _, name := range names {
		n := mustParse(t, name)
		if other, taken := skeletons[n.Skeleton]; taken {
			t.Errorf("%q and %q share the skeleton %q", name, other, n.Skeleton)
		}
		if other, taken := folded[n.Folded]; taken {
			t.Errorf("%q and %q fold to %q", name, other, n.Folded)
		}
		skeletons[n.Skeleton], folded[n.Folded] = name, name
	}
}

func TestSuggestionsAreValidAndDifferent(t *testing.T) {
	for _, typed := range []string{"Zoë", "张三", "نور", "l", family, strings.Repeat("🇨🇳", 16), strings.Repeat("名", 32), strings.Repeat("a", 31) + " "} {
		n := mustParse(t, typed)
		seen := map[string]bool{n.Skeleton: true}
		suggestions := n.Suggestions(32)
		if len(suggestions) < 15 {
			t.Errorf("only %d suggestions for %q: %q", len(suggestions), typed, suggestions)
		}
		for _, s := range suggestions {
			other, err := ParseNickname(s, 32)
			if err != nil || other.Shown != s || seen[other.Skeleton] {
				t.Errorf("suggestion %q for %q: %v, seen before: %v", s, typed, err, seen[other.Skeleton])
			}
			seen[other.Skeleton] = true
		}
	}
	if got := mustParse(t, "张三").Suggestions(32)[:3]; !slices.Equal(got, []string{"张三 2", "小张三", "阿张三"}) {
		t.Errorf("for 张三: %q", got)
	}
	if got := mustParse(t, "a").Suggestions(1); len(got) != 0 {
		t.Errorf("with room for one character: %q", got)
	}
}

func TestInitialIsOneCharacterAsAReaderCounts(t *testing.T) {
	for nickname, want := range map[string]string{
		"zoë": "Z", "张三": "张", "نور": "ن", "ëlla": "Ë", "नेहा": "ने", "q\u0307x": "Q\u0307",
		"❤\uFE0Fx": "❤\uFE0F", "👍🏽 ok": "👍🏽", family + "a": family, "🏳\uFE0F\u200D🌈🦊": "🏳\uFE0F\u200D🌈",
		"🇨🇳🇫🇮": "🇨🇳", "1\uFE0F\u20E3st": "1\uFE0F\u20E3", "": "",
	} {
		if got := (Person{Nickname: nickname}).Initial(); got != want {
			t.Errorf("Initial of %+q = %+q, want %+q", nickname, got, want)
		}
	}
}

// A unique index of Postgres takes 2704 bytes; a longer key would be an error
// for which there is no sentence.
func TestLongestNicknameFitsIntoAnIndex(t *testing.T) {
	for r := rune(' '); r <= unicode.MaxRune; r++ {
		if !unicode.IsGraphic(r) || unicode.IsMark(r) || unicode.IsSpace(r) {
			continue
		}
		n, err := ParseNickname(string(r), 1)
		if err == nil && (len(n.Folded)*32 > 2600 || len(n.Skeleton)*32 > 2600) {
			t.Errorf("32 times %U %c: folded %d bytes, skeleton %d", r, r, 32*len(n.Folded), 32*len(n.Skeleton))
		}
	}
}

func FuzzNickname(f *testing.F) {
	for _, s := range []string{"Zoë", "аdmin", "a\u200Db", family, "ΐ́", "ﷺ", "´", "İ", "e\u0345\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		n, err := ParseNickname(typed, 32)
		if err != nil {
			var refusal *Error
			if !errors.As(err, &refusal) {
				t.Fatalf("%+q: %v is no refusal", typed, err)
			}
			return
		}
		if !utf8.ValidString(n.Shown) || !visible(n.Shown) || strings.ContainsFunc(n.Shown, unicode.IsControl) {
			t.Errorf("%+q is shown as %+q", typed, n.Shown)
		}
		again, err := ParseNickname(n.Shown, 32)
		if err != nil || again != n {
			t.Errorf("%+q: parsed again %+q is %+q, %v", typed, n, again, err)
		}
		if n.Folded == "" || n.Skeleton == "" || fold(n.Folded) != n.Folded {
			t.Errorf("%+q: %+q, folded again %+q", typed, n, fold(n.Folded))
		}
		if (Person{Nickname: n.Shown}).Initial() == "" {
			t.Errorf("%+q has no initial", typed)
		}
	})
}
