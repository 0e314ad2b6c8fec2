// Package chat is the language of the subject: people, rooms, messages, and
// the rules about them that need no database and no browser. It imports
// nothing else of this program but what an emoji is, so everything else may
// speak it.
package chat

import (
	"slices"
	"strconv"
	"time"
)

// Person is somebody who took a nickname. Messages point to the person and
// are always shown under the present nickname.
type Person struct {
	ID       int64
	Nickname string
	// Hue is the colour class of the person's seal, 0 to 35. It belongs to
	// the person, not to the name, so a reused nickname looks different.
	Hue int
	// Renames counts how often the person took another nickname or status: of
	// two that are told, the one with more is the newer. The author of a message
	// has 0.
	Renames int
	// Status is a line that the person shows beside the nickname; in a message
	// it is not known.
	Status string
	// Away says that the person is here and gave no sign for some time. Only a
	// list of who is here knows it.
	Away bool `json:"-"`
}

// Room is a place to talk.
type Room struct {
	ID    int64
	Slug  string // the readable part of its URL
	Name  string
	Topic string // may be empty
	// MakerID is the person who made the room and may change it (CanChange); 0
	// for the room that exists from the start.
	MakerID int64
	// Epoch names the database that Rev is a number of; a restored backup has
	// another one.
	Epoch string
	// Rev is the number of the latest change of anything the room shows.
	Rev int64
	// AboutRev is the number of the latest change of what a page shows around
	// the messages: Name, Slug, Topic, Previews and Pins.
	AboutRev int64
	// Said counts all messages ever said here, deleted ones included.
	Said int64
	// LastSeq is the place of the newest message, 0 when nothing was said.
	LastSeq int64
	// LastSaidAt is when the newest message was said; for an empty room,
	// when the room was made.
	LastSaidAt time.Time
	// Previews says that links are looked up and shown with title and picture.
	Previews bool
	// Pins counts the messages that are pinned to the room.
	Pins int
}

// Glance is a room as a list of rooms shows it: with its newest message.
type Glance struct {
	Room
	LastAuthor string   // "" when nothing was said, or the newest was deleted
	LastBody   string   // its beginning, with people as Mention writes them
	LastNames  []Person // those people
	LastFiles  int      // how many files came with it
}

// CanChange tells whether the person may change the room's name and topic, and
// whether it has previews.
func (r Room) CanChange(personID int64) bool {
	return personID != 0 && r.MakerID == personID
}

// Message is what one person said in one room, once.
type Message struct {
	RoomID int64
	// Seq is the room's number at which the message was said: its place in
	// the room and its permalink. It never changes.
	Seq int64
	// Rev is the room's number of the message's latest change; equal to Seq
	// until something about the message changes.
	Rev int64
	// Ordinal counts the room's messages: the first one has 1.
	Ordinal int64
	Author  Person
	// Body is as typed, with people as Mention writes them; empty when deleted.
	Body string
	// Emote says that the author tells what they do, in the third person.
	Emote bool
	// Version counts the texts that the message had, from 1.
	Version int
	// First says that the message begins a group: it has another author than
	// the one before, or comes five minutes later, or on another day (UTC).
	First bool
	// NewDay says that no earlier message was said on the same day (UTC).
	NewDay    bool
	SaidAt    time.Time
	EditedAt  *time.Time
	DeletedAt *time.Time // set: a tombstone stands in its place

	// Mentioned are the people in Body, and in Parent's.
	Mentioned []Person
	Parent    *Quote // what it answers, or nil
	// ThreadSeq is the message with which the thread began that it belongs to;
	// 0: it answers nothing.
	ThreadSeq int64
	Quotes    int // how many messages answer it
	Replies   int // how many messages are in the thread that began with it
	Reactions []Reaction
	Files     []File
	Previews  []Preview
	PinnedAt  *time.Time
	PinnedBy  Person
}

// MostQuoted is how much of a message's text one that answers it is told, in
// characters (code points): more than it shows.
const MostQuoted = 600

// Quote is a message as one that answers it shows it.
type Quote struct {
	Seq     int64
	Author  Person
	Body    string // its beginning, at most MostQuoted characters
	Files   int    // that belong to it
	Deleted bool
}

// MostEmoji is how many different emoji a message takes. Everybody who reads a
// room gets each of its messages afresh with each reaction, so what is shown of
// them is bounded: of each emoji the first ReactionNames people by name, and
// the latest LatestReactions by number only.
const (
	MostEmoji       = 20
	ReactionNames   = 20
	LatestReactions = 100
)

// Reaction is one emoji under a message.
type Reaction struct {
	Emoji string
	Count int // of the people who gave it
	// People are the first of them, the very first at the beginning.
	People []Person
	// Latest are the ids of the latest of them, at most LatestReactions.
	Latest []int64
}

// Crowded tells whether more people gave the emoji than everybody is told of:
// who is not among the Latest can't see by them that it is theirs, too.
func (r Reaction) Crowded() bool { return r.Count > LatestReactions }

// Crowded tells whether one of the message's emoji is.
func (m Message) Crowded() bool { return slices.ContainsFunc(m.Reactions, Reaction.Crowded) }

// TakesEmoji tells whether the emoji may be given to the message, or whether
// it would be one too many.
func (m Message) TakesEmoji(emoji string) bool {
	return len(m.Reactions) < MostEmoji ||
		slices.ContainsFunc(m.Reactions, func(r Reaction) bool { return r.Emoji == emoji })
}

// File is something that belongs to a message.
type File struct {
	ID     int64
	Digest string // SHA-256, in hex: where its bytes are
	Name   string
	Type   string // a media type, as sniffed
	Size   int64  // bytes
	// Width and Height of a picture as it is shown, in pixels; 0: it is none.
	Width, Height int
}

// Preview is what stands behind a link.
type Preview struct {
	ID                      int64
	URL                     string
	Site                    string
	Title                   string
	Description             string
	ImageWidth, ImageHeight int // 0: without a picture
	// ImageKey names the picture's bytes: another picture has another one.
	ImageKey string
}

// Mention is a person in a stored text. Nobody can type it (see ParseBody), it
// is shown under the present nickname, and id 0 is everybody who was here.
func Mention(personID int64) string {
	return "\x0E" + strconv.FormatInt(personID, 10) + "\x0F"
}

// QuoteOf is the message as one that answers it shows it. Of the text it takes
// what the database does: what is cut may mean something else to Markdown, and
// a quote must be the same whichever way it comes.
func QuoteOf(m Message) *Quote {
	body, n := m.Body, 0
	for i := range body {
		if n == MostQuoted {
			body = body[:i]
			break
		}
		n++
	}
	return &Quote{Seq: m.Seq, Author: m.Author, Body: body, Files: len(m.Files), Deleted: m.Deleted()}
}

// Names tells whether the message shows the person's nickname anywhere.
func (m Message) Names(personID int64) bool {
	is := func(p Person) bool { return p.ID == personID }
	return is(m.Author) || m.Parent != nil && is(m.Parent.Author) || m.PinnedAt != nil && is(m.PinnedBy) ||
		slices.ContainsFunc(m.Mentioned, is) ||
		slices.ContainsFunc(m.Reactions, func(r Reaction) bool { return slices.ContainsFunc(r.People, is) })
}

// Renamed is the message after a person took another nickname. The one it is
// made of stays as it was.
func (m Message) Renamed(p Person) Message {
	p.Renames, p.Status, p.Away = 0, "", false
	put := func(people []Person) []Person {
		people = slices.Clone(people)
		for i := range people {
			if people[i].ID == p.ID {
				people[i] = p
			}
		}
		return people
	}
	if m.Author.ID == p.ID {
		m.Author = p
	}
	if m.PinnedBy.ID == p.ID {
		m.PinnedBy = p
	}
	if m.Parent != nil && m.Parent.Author.ID == p.ID {
		parent := *m.Parent
		parent.Author = p
		m.Parent = &parent
	}
	m.Mentioned = put(m.Mentioned)
	m.Reactions = slices.Clone(m.Reactions)
	for i := range m.Reactions {
		m.Reactions[i].People = put(m.Reactions[i].People)
	}
	return m
}

// MentionedNames are the nicknames of the people in the text, by id.
func (m Message) MentionedNames() map[int64]string { return NamesOf(m.Mentioned) }

// NamesOf are the nicknames of people, by id.
func NamesOf(people []Person) map[int64]string {
	if len(people) == 0 {
		return nil
	}
	names := make(map[int64]string, len(people))
	for _, p := range people {
		names[p.ID] = p.Nickname
	}
	return names
}

// Deleted tells whether only a tombstone is left.
func (m Message) Deleted() bool { return m.DeletedAt != nil }

// MayChange refuses to change or delete another's message, or one that is
// deleted: its author may, nobody else, whatever else they may do.
func (m Message) MayChange(personID int64) error {
	if personID == 0 || m.Author.ID != personID {
		return Refuse(NotAllowed, NotYours)
	}
	if m.Deleted() {
		return Refuse(Conflict, MessageDeleted)
	}
	return nil
}

// MayEdit is MayChange for another text, which is taken only for some time
// after the message was said; window 0 is for ever. Deleting has no such end:
// nobody is held to words for ever, and a tombstone deceives nobody.
func (m Message) MayEdit(personID int64, now time.Time, window time.Duration) error {
	if err := m.MayChange(personID); err != nil {
		return err
	}
	if window > 0 && !now.Before(m.SaidAt.Add(window)) {
		return Refuse(NotAllowed, EditTooLate)
	}
	return nil
}

// Version is a text that a message had before.
type Version struct {
	Version   int // counts from 1
	Body      string
	Mentioned []Person
	WrittenAt time.Time
}

// GroupGap is the silence after which the next message begins a new group.
const GroupGap = 5 * time.Minute
