package chat

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func reasonOf(err error) Reason {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

func TestBodyIsCleaned(t *testing.T) {
	for typed, want := range map[string]string{
		"hello":                       "hello",
		"a\r\nb\rc\u2028d\u2029e":     "a\nb\nc\nd\ne",
		"a\x00b\x07c\x7Fd\x1B[1m":     "abcd[1m",
		"a\vb\fc":                     "abc",
		"a\u0085b\u009Bc":             "a\nbc",
		"\tindented":                  "\tindented",
		"\n \r\n\n  first\n":          "  first",
		"a  \n\n \t ":                 "a",
		"x\u202Ey\u202Cz":             "xyz",
		"\u2066a\u2067b\u2068c\u2069": "abc",
		"א\u200E1\u200F":              "א\u200E1\u200F",
		family:                        family,
		"می\u200Cروم":                 "می\u200Cروم",
		"\uE000":                      "\uE000",
		"\uFFFD":                      "\uFFFD",
		"e\u0301":                     "e\u0301", // as typed
	} {
		if got, err := ParseBody(typed, DefaultLimits()); got != want || err != nil {
			t.Errorf("ParseBody(%+q) = %+q, %v; want %+q", typed, got, err, want)
		}
	}
}

func TestBodyThatCantBeKeptIsRefused(t *testing.T) {
	for typed, want := range map[string]Reason{
		"":                                  MessageEmpty,
		" \r\n\t\u3000":                     MessageEmpty,
		"\u200B\u200E\u2060\uFEFF\u2800":    MessageEmpty,
		"\u202E\x00":                        MessageEmpty,
		"\u3164\uFE0F\u0301":                MessageEmpty,
		"a\xFF":                             MessageNotText,
		"\xED\xA0\x80":                      MessageNotText, // a surrogate
		strings.Repeat("a", 16<<10+1):       MessageTooLong,
		strings.Repeat("a\n", 400) + "a":    MessageTooManyLines,
		strings.Repeat("a\r\n", 400) + "a.": MessageTooManyLines,
	} {
		_, err := ParseBody(typed, DefaultLimits())
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Reason != want || refusal.Field != "body" || refusal.Kind != Invalid {
			t.Errorf("ParseBody(%.20q): %v, want %s", typed, err, want)
		}
	}
	for _, fits := range []string{strings.Repeat("a", 16<<10), strings.Repeat("a\r\n", 400), "\r\n\r\n" + strings.Repeat("a", 16<<10) + "  "} {
		if _, err := ParseBody(fits, DefaultLimits()); err != nil {
			t.Errorf("ParseBody(%.20q) of %d bytes: %v", fits, len(fits), err)
		}
	}
	_, err := ParseBody(strings.Repeat("a", 16<<10+1), DefaultLimits())
	if args := err.(*Error).Args; len(args) != 1 || args[0] != 16 {
		t.Errorf("too long, at most %v KiB", args)
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{"a\r\nb", "\x00", "\u2028", "\r", "```\r\n", "\u202Ea", " \n a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		body, err := ParseBody(typed, DefaultLimits())
		if err != nil {
			if reasonOf(err) == "" {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		if !utf8.ValidString(body) || strings.ContainsAny(body, "\r\x00\u2028\u2029\u202E") || !visible(body) {
			t.Errorf("ParseBody(%+q) = %+q", typed, body)
		}
		if again, err := ParseBody(body, DefaultLimits()); again != body || err != nil {
			t.Errorf("ParseBody(%+q) = %+q, and again %+q, %v", typed, body, again, err)
		}
	})
}

func TestRoomName(t *testing.T) {
	for typed, want := range map[string]string{
		" Kitchen \t table ": "Kitchen table", "茶馆": "茶馆", "🦊 den": "🦊 den", "Cafe\u0301": "Café",
	} {
		if got, err := ParseRoomName(typed, DefaultLimits()); got != want || err != nil {
			t.Errorf("ParseRoomName(%+q) = %+q, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]Reason{
		"": RoomNameEmpty, " \n": RoomNameEmpty, "a\nb": RoomNameForbidden, "a\u200Bb": RoomNameForbidden,
		"\u202Ea": RoomNameForbidden, "a\xFF": RoomNameForbidden, "\u2800": RoomNameForbidden,
		strings.Repeat("馆", 81): RoomNameTooLong,
	} {
		_, err := ParseRoomName(typed, DefaultLimits())
		if reasonOf(err) != want || err.(*Error).Field != "name" {
			t.Errorf("ParseRoomName(%+q): %v, want %s", typed, err, want)
		}
	}
}

func TestTopic(t *testing.T) {
	for typed, want := range map[string]string{
		"": "", " \u200B ": "", " two\r\nlines\x00 ": "two lines", "x\u202Ey": "xy", "见 https://go.dev": "见 https://go.dev",
	} {
		if got, err := ParseTopic(typed, DefaultLimits()); got != want || err != nil {
			t.Errorf("ParseTopic(%+q) = %+q, %v", typed, got, err)
		}
	}
	for typed, want := range map[string]Reason{strings.Repeat("题", 251): TopicTooLong, "\xFF": MessageNotText} {
		if _, err := ParseTopic(typed, DefaultLimits()); reasonOf(err) != want || err.(*Error).Field != "topic" {
			t.Errorf("ParseTopic(%.20q): %v, want %s", typed, err, want)
		}
	}
}

func TestSlugIsReadable(t *testing.T) {
	for name, want := range map[string]string{
		"茶馆": "茶馆", "Kitchen table": "kitchen-table", "C++ & Go!": "c-go", "Zoë's Café": "zoë-s-café",
		"🦊": "room", "...": "room", "../../etc": "etc", "New": "new-room", "ＡＢＣ": "abc", "नमस्ते": "नमस्ते",
		"a/b": "a-b", "\u0301tea": "tea", "x +\u0301y": "x-y", "İstanbul": "istanbul", "--a--": "a", "": "room",
		strings.Repeat("x", 59) + " yz": strings.Repeat("x", 59),
		strings.Repeat("x", 70):         strings.Repeat("x", 60),
	} {
		if got := Slug(name); got != want {
			t.Errorf("Slug(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValidSlug(t *testing.T) {
	for slug, want := range map[string]bool{
		"茶馆": true, "a-2": true, "": false, "a/b": false, "a\nb": false, "a\x00": false, "\xFF": false,
		strings.Repeat("a", 240): true, strings.Repeat("a", 241): false,
	} {
		if ValidSlug(slug) != want {
			t.Errorf("ValidSlug(%q) = %v", slug, !want)
		}
	}
}

func FuzzSlug(f *testing.F) {
	for _, s := range []string{"茶馆", "C++ & Go!", "İ", "new", strings.Repeat("\U00020000", 80), "a\u0301\u200D"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slug := Slug(name)
		if !ValidSlug(slug+"-50") || utf8.RuneCountInString(slug) > 60 || slug == "new" || strings.ContainsAny(slug, "/. ?#%") {
			t.Errorf("Slug(%+q) = %+q", name, slug)
		}
		if again := Slug(slug); again != slug {
			t.Errorf("Slug(%+q) = %+q, and again %+q", name, slug, again)
		}
	})
}

func TestNonce(t *testing.T) {
	const canonical = "0197f2a4-5b3c-7d1e-8f00-0123456789ab"
	for _, typed := range []string{canonical, strings.ToUpper(canonical)} {
		if got, err := ParseNonce(typed); got != canonical || err != nil {
			t.Errorf("ParseNonce(%q) = %q, %v", typed, got, err)
		}
	}
	for _, typed := range []string{"", "x", "{" + canonical + "}", "urn:uuid:" + canonical, strings.ReplaceAll(canonical, "-", ""), canonical + " ", canonical[:35] + "g"} {
		if _, err := ParseNonce(typed); reasonOf(err) != NonceMalformed || err.(*Error).Kind != Malformed {
			t.Errorf("ParseNonce(%q): %v", typed, err)
		}
	}
}

func TestCursor(t *testing.T) {
	for text, want := range map[string]Cursor{
		"3f9a.4183": {"3f9a", 4183}, "0": {"", 0}, "17": {"", 17}, "123.7": {"123", 7},
		"z.9223372036854775807": {"z", 1<<63 - 1},
	} {
		if got, err := ParseCursor(text); got != want || err != nil || got.String() != text {
			t.Errorf("ParseCursor(%q) = %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{
		"", ".", ".5", "a.", "a", "-1", "a.-1", "+1", "a.+1", " 1", "1\n", "a.1.2", "A.1", "é.1", "1e3", "0x1",
		"9223372036854775808", "a.99999999999999999999999", strings.Repeat("a", 21) + ".1",
	} {
		if got, err := ParseCursor(text); reasonOf(err) != CursorMalformed || err.(*Error).Kind != Malformed {
			t.Errorf("ParseCursor(%q) = %+v, %v", text, got, err)
		}
	}
}
