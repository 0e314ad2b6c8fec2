package chat

import (
	"errors"
	"fmt"
)

// Kind says what sort of refusal an Error is; the web layer turns it into a
// status code in one place.
type Kind int

const (
	Malformed   Kind = iota + 1 // the request makes no sense: 400
	Unnamed                     // a nickname is needed first: 401
	NotAllowed                  // somebody else's: 403
	NotFound                    // unknown, or not for you to know: 404
	Conflict                    // it contradicts what is stored: 409
	TooLarge                    // more bytes than a request may have: 413
	Invalid                     // a field breaks a rule: 422
	TooMany                     // too fast: 429
	Unavailable                 // the database is away: 503
)

// Reason names the sentence that a person is shown. Package i18n has one for
// every reason, in every language.
type Reason string

// Reasons for refusals. The arguments that belong into the sentence, if any,
// stand behind each.
const (
	NicknameEmpty     Reason = "nickname-empty"
	NicknameTooLong   Reason = "nickname-too-long" // most characters
	NicknameInvisible Reason = "nickname-invisible"
	NicknameForbidden Reason = "nickname-forbidden"  // the character
	NicknameTaken     Reason = "nickname-taken"      // the nickname
	NicknameReserved  Reason = "nickname-reserved"   // the nickname
	NicknameLookAlike Reason = "nickname-look-alike" // the nickname it resembles

	RoomNameEmpty     Reason = "room-name-empty"
	RoomNameTooLong   Reason = "room-name-too-long" // most characters
	RoomNameTaken     Reason = "room-name-taken"
	RoomNameForbidden Reason = "room-name-forbidden"
	RoomKindUnknown   Reason = "room-kind-unknown"
	TopicTooLong      Reason = "topic-too-long" // most characters

	MessageEmpty        Reason = "message-empty"
	MessageTooLong      Reason = "message-too-long"       // most KiB
	MessageTooManyLines Reason = "message-too-many-lines" // most lines
	MessageNotText      Reason = "message-not-text"
	MessageDeleted      Reason = "message-deleted"
	TooManyPins         Reason = "too-many-pins"  // most pins
	TooManySaved        Reason = "too-many-saved" // most saved
	EditConflict        Reason = "edit-conflict"
	EditTooLate         Reason = "edit-too-late"
	ParentDeleted       Reason = "parent-deleted"
	NoSuchParent        Reason = "no-such-parent"

	CommandUnknown   Reason = "command-unknown"    // the command
	CommandNeedsText Reason = "command-needs-text" // the command
	CommandOneLine   Reason = "command-one-line"   // the command
	CommandAlone     Reason = "command-alone"      // the command

	NotAnEmoji      Reason = "not-an-emoji"
	TooManyEmoji    Reason = "too-many-emoji" // most different emoji
	ReactionTooLate Reason = "reaction-too-late"
	FileTooLarge    Reason = "file-too-large" // most MB
	FileEmpty       Reason = "file-empty"
	FileCut         Reason = "file-cut"
	FilesTooMany    Reason = "files-too-many" // most files in a message
	FilesOfDay      Reason = "files-of-day"   // most MB in a day
	FilesFull       Reason = "files-full"
	FilesAtOnce     Reason = "files-at-once"
	FilesAway       Reason = "files-away"
	FileGone        Reason = "file-gone"
	FileSent        Reason = "file-sent"
	NoSuchFile      Reason = "no-such-file"

	LevelUnknown  Reason = "level-unknown"
	StatusTooLong Reason = "status-too-long" // most characters

	NonceMalformed  Reason = "nonce-malformed"
	NonceReused     Reason = "nonce-reused"
	CursorMalformed Reason = "cursor-malformed"
	PlaceMalformed  Reason = "place-malformed" // before=, after= and the like
	FormMalformed   Reason = "form-malformed"

	SearchTooBroad Reason = "search-too-broad"
	SearchBusy     Reason = "search-busy"
	SearchTooFast  Reason = "search-too-fast"
	DateMalformed  Reason = "date-malformed"

	NeedNickname   Reason = "need-nickname"
	NotYours       Reason = "not-yours"
	NotYourRoom    Reason = "not-your-room"
	NoSuchPage     Reason = "no-such-page"
	NoSuchRoom     Reason = "no-such-room"
	NoSuchMessage  Reason = "no-such-message"
	WrongMethod    Reason = "wrong-method"
	CrossSite      Reason = "cross-site"
	RequestTooBig  Reason = "request-too-big"
	TooFast        Reason = "too-fast"
	TooManyNames   Reason = "too-many-names"
	TooManyRooms   Reason = "too-many-rooms"
	TooManyStreams Reason = "too-many-streams"
	DatabaseAway   Reason = "database-away"
	Draining       Reason = "draining"
	NotStored      Reason = "not-stored"
	Internal       Reason = "internal"
)

// Error is a refusal with a sentence for the person.
type Error struct {
	Kind   Kind
	Field  string // the form field it belongs to, or ""
	Reason Reason
	Args   []any // for the sentence
	// Suggestions are values that would be accepted for Field instead.
	Suggestions []string
	// Present is, after a Conflict, the message as it is now.
	Present *Message
}

func (e *Error) Error() string {
	if len(e.Args) == 0 {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s %v", e.Reason, e.Args)
}

// Refuse makes an Error that belongs to no field.
func Refuse(kind Kind, reason Reason, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Args: args}
}

// RefuseField makes an Invalid error about one form field.
func RefuseField(field string, reason Reason, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Reason: reason, Args: args}
}

// IsReason tells whether err is a refusal for that reason.
func IsReason(err error, reason Reason) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Reason == reason
}
