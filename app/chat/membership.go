package chat

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Level says how much of a room somebody wants to hear.
type Level string

const (
	LevelAll      Level = "all"      // a number of what is unread, and mentions
	LevelMentions Level = "mentions" // mentions only
	LevelNone     Level = "none"     // neither; the room is listed
	LevelHidden   Level = "hidden"   // neither, and the room is not listed
)

// Levels are all of them, the loudest first.
var Levels = []Level{LevelAll, LevelMentions, LevelNone, LevelHidden}

// ParseLevel reads a level. The error is about the field "level".
func ParseLevel(s string) (Level, error) {
	for _, l := range Levels {
		if s == string(l) {
			return l, nil
		}
	}
	return "", RefuseField("level", LevelUnknown)
}

// MostCalls is how far a room's unread mentions are counted.
const MostCalls = 100

// Membership is what one person has to do with one room. The zero value is
// that of somebody who was never there.
type Membership struct {
	RoomID   int64
	PersonID int64
	// Marked says that there is a read mark: else nothing counts as unread.
	Marked bool
	// ReadSeq is the mark: the last message that was read; 0: there was none.
	ReadSeq int64
	// Known is how many of the room's messages are not new to the person: those
	// up to the mark, and behind it their own and those that were deleted.
	Known int64
	// Turn counts how often the mark was set back.
	Turn  int
	Level Level // "" is LevelAll
	// Calls are the unread mentions and replies, at most MostCalls; none where
	// the level wants to hear of none.
	Calls int
	// Draft is what was typed and not sent, and DraftTab the page that saved it.
	Draft    string
	DraftTab string
}

// Unread is how many messages of a room with so many are new to the person:
// those of others behind the mark that are still there. It is a subtraction, so
// that everybody is told the same of a message, and each page works it out; what
// is the person's own is Known, and changes only when the person reads, or
// speaks, or when something behind their mark is deleted.
func (m Membership) Unread(said int64) int64 {
	if !m.Marked {
		return 0
	}
	return max(said-m.Known, 0)
}

// Counts tells whether the number of unread messages is wanted.
func (m Membership) Counts() bool { return m.Level == LevelAll || m.Level == "" }

// Call is a message that wanted somebody's attention.
type Call struct {
	Room   Room // of it only ID, Slug and Name are known
	Seq    int64
	Reason string // mention, here, reply
	Author Person
	Body   string // its beginning, with people as Mention writes them
	Names  []Person
	Files  int
	Emote  bool
	SaidAt time.Time
	Unread bool
}

// Gap is what happened in a room after somebody's read mark. Each number is
// counted up to MostInGap.
type Gap struct {
	New     int64     // messages of others; not bounded
	Since   time.Time // when the first of them was said; zero: none, or none of the first MostInGap messages
	Calls   int       // of them mention or answer the reader
	Edited  int       // older messages of others that were edited since the reader looked
	Deleted int       // and deleted
}

// MostInGap bounds what is counted for a Gap.
const MostInGap = 1000

// LongestStatus is how many characters a status line may have.
const LongestStatus = 80

// ParseStatus makes a status of what was typed: one line, cleaned like a
// message, or "" where nothing is to be seen. Errors are about the field
// "status".
func ParseStatus(typed string) (string, error) {
	if !utf8.ValidString(typed) {
		return "", RefuseField("status", MessageNotText)
	}
	status := norm.NFC.String(strings.Join(strings.Fields(cleanText(typed)), " "))
	if !visible(status) {
		return "", nil
	}
	if utf8.RuneCountInString(status) > LongestStatus {
		return "", RefuseField("status", StatusTooLong, LongestStatus)
	}
	return status, nil
}

// ParseDraft makes a draft of what stands in the composer: cleaned like a
// message, but kept as it is typed, since more will follow. Errors are about
// the field "body".
func ParseDraft(typed string, l Limits) (string, error) {
	if !utf8.ValidString(typed) {
		return "", RefuseField("body", MessageNotText)
	}
	draft := cleanText(typed)
	if strings.TrimFunc(draft, unicode.IsSpace) == "" {
		return "", nil
	}
	if len(draft) > l.MessageBytes {
		return "", RefuseField("body", MessageTooLong, max(1, l.MessageBytes>>10))
	}
	return draft, nil
}
