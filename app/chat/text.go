package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// Limits say how long what people write may be.
type Limits struct {
	MessageBytes int
	MessageLines int
	RoomName     int // characters, as ParseNickname counts them
	Topic        int // characters
	Nickname     int // characters

	FileBytes       int64 // of one file; 0: no files are taken
	FilesPerMessage int
	FileBytesPerDay int64 // of one person, within 24 hours; 0: no limit
	FilesTotal      int64 // bytes of all files; 0: no limit
}

// DefaultLimits are generous for talk and small enough for every page.
func DefaultLimits() Limits {
	return Limits{
		MessageBytes: 16 << 10, MessageLines: 400, RoomName: 80, Topic: 250, Nickname: 32,
		FileBytes: 25 << 20, FilesPerMessage: 10, FileBytesPerDay: 500 << 20, FilesTotal: 20 << 30,
	}
}

// ParseBody makes a message's text of what was typed. Harmless differences
// are settled without a word: every line end becomes \n, control characters
// (NUL too) and bidi embeddings, overrides and isolates vanish, and so do
// blank lines at the beginning and white space at the end. What can't be kept
// is refused, with an *Error about the field "body".
//
// The text it returns is valid UTF-8, shows something, has no control
// character but \n and \t, and so neither \r nor NUL: the stream and the
// database rely on that.
func ParseBody(typed string, l Limits) (string, error) {
	if !utf8.ValidString(typed) {
		return "", RefuseField("body", MessageNotText)
	}
	body := strings.TrimRightFunc(cleanText(typed), unicode.IsSpace)
	if !visible(body) {
		return "", RefuseField("body", MessageEmpty)
	}
	for {
		line, rest, more := strings.Cut(body, "\n")
		if !more || strings.TrimSpace(line) != "" {
			break
		}
		body = rest
	}
	if len(body) > l.MessageBytes {
		return "", RefuseField("body", MessageTooLong, max(1, l.MessageBytes>>10))
	}
	if strings.Count(body, "\n") >= l.MessageLines {
		return "", RefuseField("body", MessageTooManyLines, l.MessageLines)
	}
	return body, nil
}

// ParseRoomName checks what was typed as a room's name: one line that shows
// something and hides nothing, as for nicknames. Errors are about the field
// "name".
func ParseRoomName(typed string, l Limits) (string, error) {
	if !utf8.ValidString(typed) {
		return "", RefuseField("name", RoomNameForbidden)
	}
	name := norm.NFC.String(tidySpace(typed))
	if name == "" {
		return "", RefuseField("name", RoomNameEmpty)
	}
	if utf8.RuneCountInString(name) > l.RoomName {
		return "", RefuseField("name", RoomNameTooLong, l.RoomName)
	}
	if _, bad := badCharacter(name); bad {
		return "", RefuseField("name", RoomNameForbidden)
	}
	return name, nil
}

// ParseTopic makes a topic of what was typed: one line, cleaned like a
// message, or "" where nothing is to be seen. Errors are about the field
// "topic".
func ParseTopic(typed string, l Limits) (string, error) {
	if !utf8.ValidString(typed) {
		return "", RefuseField("topic", MessageNotText)
	}
	topic := norm.NFC.String(strings.Join(strings.Fields(cleanText(typed)), " "))
	if !visible(topic) {
		return "", nil
	}
	if utf8.RuneCountInString(topic) > l.Topic {
		return "", RefuseField("topic", TopicTooLong, l.Topic)
	}
	return topic, nil
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// cleanText settles line ends and removes controls and those bidi characters
// that reach beyond their own place and so could reorder other people's
// words (UAX 9, section 2). The marks that only stand in it stay.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r),
			'\u202A' <= r && r <= '\u202E',
			'\u2066' <= r && r <= '\u2069':
			return -1
		}
		return r
	}, lineEnds.Replace(s))
}

// visible tells whether a reader sees anything of s.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsSpace(r) && !hidden(r) && !unicode.IsMark(r)
	})
}

// A slug with a number behind it ("-50") still passes ValidSlug.
const (
	slugRunes = 60
	slugBytes = 230
	mostSlug  = 240
)

// Slug is the readable part of a room's URL: the letters, marks and digits of
// its name in small letters, with hyphens for all between. It can't collide
// with another page, since rooms live under /rooms/ and the one word that
// means something there, "new", is not given to a room.
func Slug(name string) string {
	var b strings.Builder
	runes := 0
	gap := false
	for _, r := range norm.NFC.String(strings.ToLower(norm.NFKC.String(name))) {
		if !unicode.In(r, unicode.L, unicode.N, unicode.M) || hidden(r) || unicode.IsMark(r) && (gap || runes == 0) {
			gap = runes > 0
			continue
		}
		if gap && (runes+1 >= slugRunes || b.Len()+1+utf8.RuneLen(r) > slugBytes) {
			break
		}
		if gap {
			b.WriteByte('-')
			runes++
		}
		if runes >= slugRunes || b.Len()+utf8.RuneLen(r) > slugBytes {
			break
		}
		b.WriteRune(r)
		runes++
		gap = false
	}
	switch slug := b.String(); slug {
	case "":
		return "room"
	case "new":
		return "new-room"
	default:
		return slug
	}
}

// ValidSlug tells whether s could be a slug at all, before the database is
// asked.
func ValidSlug(s string) bool {
	return s != "" && len(s) <= mostSlug && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r == '/' || unicode.IsControl(r) })
}

// ParseNonce reads a nonce, the UUID (RFC 9562) that belongs to one text of
// one person, and returns its canonical form.
func ParseNonce(s string) (string, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 { // the package knows other forms, too
		return "", Refuse(Malformed, NonceMalformed)
	}
	return id.String(), nil
}
