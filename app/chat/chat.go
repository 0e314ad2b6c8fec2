// Package chat is the language of the subject: people, rooms, messages, and
// the rules about them that need no database and no browser. It imports
// nothing else of this program, so everything else may speak it.
package chat

import "time"

// Person is somebody who took a nickname. Messages point to the person and
// are always shown under the present nickname.
type Person struct {
	ID       int64
	Nickname string
	// Hue is the colour class of the person's seal, 0 to 35. It belongs to
	// the person, not to the name, so a reused nickname looks different.
	Hue int
	// Renames counts how often the person took another nickname: of two that
	// are told, the one with more is the newer. The author of a message has 0.
	Renames int
}

// Room is a place to talk.
type Room struct {
	ID    int64
	Slug  string // the readable part of its URL
	Name  string
	Topic string // may be empty
	// MakerID is the person who made the room and may change its name and
	// topic; 0 for the room that exists from the start.
	MakerID int64
	// Epoch names the database that Rev is a number of; a restored backup has
	// another one.
	Epoch string
	// Rev is the number of the latest change of anything the room shows.
	Rev int64
	// AboutRev is the number of the latest change of name or topic.
	AboutRev int64
	// Said counts all messages ever said here, deleted ones included.
	Said int64
	// LastSeq is the place of the newest message, 0 when nothing was said.
	LastSeq int64
	// LastSaidAt is when the newest message was said; for an empty room,
	// when the room was made.
	LastSaidAt time.Time
}

// Glance is a room as a list of rooms shows it: with its newest message.
type Glance struct {
	Room
	LastAuthor string // "" when nothing was said, or the newest was deleted
	LastBody   string // its beginning, as typed
}

// CanChange tells whether the person may change the room's name and topic.
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
	// until the message is edited or deleted.
	Rev int64
	// Ordinal counts the room's messages: the first one has 1.
	Ordinal int64
	Author  Person
	Body    string // as typed; empty when deleted
	// First says that the message begins a group: it has another author than
	// the one before, or comes five minutes later, or on another day (UTC).
	First bool
	// NewDay says that no earlier message was said on the same day (UTC).
	NewDay    bool
	SaidAt    time.Time
	EditedAt  *time.Time
	DeletedAt *time.Time // set: a tombstone stands in its place
}

// Deleted tells whether only a tombstone is left.
func (m Message) Deleted() bool { return m.DeletedAt != nil }

// CanEdit tells whether the person may change or delete the message: its
// author may, nobody else, and only while it is not deleted.
func (m Message) CanEdit(personID int64) bool {
	return personID != 0 && m.Author.ID == personID && !m.Deleted()
}

// GroupGap is the silence after which the next message begins a new group.
const GroupGap = 5 * time.Minute
