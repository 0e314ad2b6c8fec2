package db

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"parlor/app/chat"
)

// PageSize is how many messages a page of history has at most.
const PageSize = 50

// MostChanges is how many changes are replayed one by one. A reader who
// missed more gets a page instead.
const MostChanges = 200

// messageRow is a message as the queries below select it.
type messageRow struct {
	RoomID    int64      `db:"room_id"`
	Seq       int64      `db:"seq"`
	Rev       int64      `db:"rev"`
	Ordinal   int64      `db:"ordinal"`
	AuthorID  int64      `db:"author_id"`
	Nickname  string     `db:"nickname"`
	Hue       int        `db:"hue"`
	Body      string     `db:"body"`
	First     bool       `db:"first"`
	NewDay    bool       `db:"new_day"`
	SaidAt    time.Time  `db:"said_at"`
	EditedAt  *time.Time `db:"edited_at"`
	DeletedAt *time.Time `db:"deleted_at"`
}

const selectMessages = `
	select m.room_id, m.seq, m.rev, m.ordinal, m.author_id, p.nickname, p.hue, m.body,
	       m.first, m.new_day, m.said_at, m.edited_at, m.deleted_at
	from messages m join people p on p.id = m.author_id `

func toMessages(rows []messageRow) []chat.Message {
	out := make([]chat.Message, len(rows))
	for i, r := range rows {
		out[i] = chat.Message{
			RoomID: r.RoomID, Seq: r.Seq, Rev: r.Rev, Ordinal: r.Ordinal,
			Author: chat.Person{ID: r.AuthorID, Nickname: r.Nickname, Hue: r.Hue},
			Body:   r.Body, First: r.First, NewDay: r.NewDay,
			SaidAt: r.SaidAt, EditedAt: r.EditedAt, DeletedAt: r.DeletedAt,
		}
	}
	return out
}

// Place says which page of history is wanted. At most one field is set; none
// means the newest page.
type Place struct {
	Before int64 // the messages before this seq
	After  int64 // the messages after this seq
	Around int64 // the message with this seq in its context
	// FromStart wants the room's first messages.
	FromStart bool
}

// Page is a piece of a room's history, true at Room.Rev.
type Page struct {
	Room     chat.Room
	Messages []chat.Message // in order of Seq, at most PageSize (+1 around a message)
	Older    bool           // there are messages before the first
	Newer    bool           // there are messages after the last
}

const newestSQL = selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3`
const beforeSQL = selectMessages + `where m.room_id = $1 and m.seq < $2 order by m.seq desc limit $3`
const afterSQL = selectMessages + `where m.room_id = $1 and m.seq > $2 order by m.seq limit $3`
const aroundSQL = `(` + selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3)
	union all (` + selectMessages + `where m.room_id = $1 and m.seq > $2 order by m.seq limit $4)`

// Page reads a page of a room's history. The room is read first, so whatever
// the messages show beyond Room.Rev is only sent again later, never missed.
func (s *Store) Page(ctx context.Context, roomID int64, at Place) (Page, error) {
	var page Page
	err := again(ctx, func() (err error) {
		page, err = s.page(ctx, roomID, at)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read a page of room %d: %w", roomID, err)
	}
	return page, nil
}

// PageOf is Page for a room that was read before.
func (s *Store) PageOf(ctx context.Context, room chat.Room, at Place) (Page, error) {
	var page Page
	err := again(ctx, func() (err error) {
		page, err = s.pageOf(ctx, room, at)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read a page of room %d: %w", room.ID, err)
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, roomID int64, at Place) (Page, error) {
	room, err := s.room(ctx, s.roomByID, roomID)
	if err != nil {
		return Page{}, err
	}
	return s.pageOf(ctx, room, at)
}

func (s *Store) pageOf(ctx context.Context, room chat.Room, at Place) (Page, error) {
	roomID := room.ID
	page := Page{Room: room}
	var olderRows, newerRows []messageRow // both outwards from the place
	switch {
	case at.Before > 0:
		if err := s.before.SelectContext(ctx, &olderRows, roomID, at.Before, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = len(olderRows) > PageSize
		page.Newer = room.LastSeq >= at.Before
	case at.After > 0 || at.FromStart:
		if err := s.after.SelectContext(ctx, &newerRows, roomID, at.After, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = !at.FromStart
		page.Newer = len(newerRows) > PageSize
	case at.Around > 0:
		half := PageSize / 2
		var rows []messageRow
		if err := s.around.SelectContext(ctx, &rows, roomID, at.Around, half+2, half+1); err != nil {
			return Page{}, err
		}
		slices.SortFunc(rows, func(a, b messageRow) int { return cmp.Compare(a.Seq, b.Seq) })
		i, found := slices.BinarySearchFunc(rows, at.Around, func(r messageRow, seq int64) int { return cmp.Compare(r.Seq, seq) })
		if !found {
			return Page{}, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
		}
		olderRows, newerRows = rows[:i+1], rows[i+1:]
		slices.Reverse(olderRows)
		page.Older = len(olderRows) > half+1
		page.Newer = len(newerRows) > half
		olderRows = olderRows[:min(len(olderRows), half+1)]
		newerRows = newerRows[:min(len(newerRows), half)]
	default:
		// Not beyond the room's number: what comes after it is delivered by
		// the stream that continues there.
		if err := s.newest.SelectContext(ctx, &olderRows, roomID, room.Rev, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = len(olderRows) > PageSize
	}
	olderRows = olderRows[:min(len(olderRows), PageSize)]
	newerRows = newerRows[:min(len(newerRows), PageSize)]
	rows := make([]messageRow, 0, len(olderRows)+len(newerRows))
	for i := len(olderRows) - 1; i >= 0; i-- {
		rows = append(rows, olderRows[i])
	}
	page.Messages = toMessages(append(rows, newerRows...))
	return page, nil
}

// Window reads the messages from one seq to another, both included, at most
// `most` of them, for a page of old history that must be made true again.
// The room was read before them.
func (s *Store) Window(ctx context.Context, room chat.Room, from, to int64, most int) (Page, error) {
	var page Page
	err := again(ctx, func() error {
		var rows []messageRow
		err := s.DB.SelectContext(ctx, &rows, selectMessages+
			`where m.room_id = $1 and m.seq between $2 and $3 order by m.seq limit $4`, room.ID, from, to, most)
		page = Page{Room: room, Messages: toMessages(rows)}
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read messages %d to %d of room %d: %w", from, to, room.ID, err)
	}
	return page, nil
}

const messageSQL = selectMessages + `where m.room_id = $1 and m.seq = $2`

// Message reads one message.
func (s *Store) Message(ctx context.Context, roomID, seq int64) (chat.Message, error) {
	var rows []messageRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.message.SelectContext(ctx, &rows, roomID, seq)
	})
	if err != nil {
		return chat.Message{}, fmt.Errorf("read message %d of room %d: %w", seq, roomID, err)
	}
	if len(rows) == 0 {
		return chat.Message{}, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	return toMessages(rows)[0], nil
}

// Changes is what happened in a room after a number.
type Changes struct {
	Room chat.Room // as it is now; Room.Rev is the number after all of this
	// Messages that are new or changed, in the order of Seq. A message is new
	// to the reader when its Seq is above the number asked for.
	Messages []chat.Message
	People   []chat.Person // members whose nickname or seal changed
	About    bool          // name or topic changed
	// TooMany says that there are more than MostChanges: the lists are empty
	// and the reader needs a page.
	TooMany bool
}

// The sequence in which things are read is the guarantee: the room's number
// first, then what changed. Whatever commits in between shows up here early
// and once more under its own number, which is harmless; the other way round
// it would be lost. Messages said after the number was read are left out, so
// that new messages are always appended in order. One row per message however
// often it was edited.
//
// The limit is taken in the order of rev, which an index has ready, and the
// few that are left are sorted: who missed 100,000 costs no more than who
// missed 200.
const changesSQL = `select * from (` + selectMessages + `
	where m.room_id = $1 and m.rev > $2 and m.seq <= $3 order by m.rev limit $4) as few order by seq`

const changedPeopleSQL = `
	select p.id, p.nickname, p.hue from memberships b join people p on p.id = b.person_id
	where b.room_id = $1 and b.rev > $2 order by b.rev limit $3`

// roomSinceSQL is the room, and whether anybody in it was renamed after a
// number: mostly nobody was, and then nothing is asked about people.
const roomSinceSQL = `select ` + roomColumns + `,
	exists (select from memberships b where b.room_id = r.id and b.rev > $2) as renamed
	from rooms r where r.id = $1`

// Changes reads what a reader at number `after` missed. It is the one source
// of the live path, of every resume and of what is kept in memory.
func (s *Store) Changes(ctx context.Context, roomID, after int64) (Changes, error) {
	var out Changes
	err := again(ctx, func() error {
		var since struct {
			roomRow
			Renamed bool `db:"renamed"`
		}
		err := s.roomSince.GetContext(ctx, &since, roomID, after)
		room, err := s.found(since.roomRow, err)
		if err != nil {
			return err
		}
		out = Changes{Room: room, About: room.AboutRev > after}
		if room.Rev <= after {
			return nil
		}
		var rows []messageRow
		if err := s.changes.SelectContext(ctx, &rows, roomID, after, room.Rev, MostChanges+1); err != nil {
			return err
		}
		var people []personRow
		if since.Renamed {
			if err := s.changedPeople.SelectContext(ctx, &people, roomID, after, MostChanges+1); err != nil {
				return err
			}
		}
		if len(rows)+len(people) > MostChanges {
			out.TooMany = true
			return nil
		}
		out.Messages = toMessages(rows)
		for _, p := range people {
			out.People = append(out.People, p.person())
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("read changes of room %d after %d: %w", roomID, after, err)
	}
	return out, nil
}

// SaidAfter counts the messages of a room after a number, by two look-ups.
func (s *Store) SaidAfter(ctx context.Context, room chat.Room, after int64) (count, firstSeq int64, err error) {
	var last []int64
	err = again(ctx, func() error {
		last = last[:0]
		return s.DB.SelectContext(ctx, &last,
			`select ordinal from messages where room_id = $1 and seq <= $2 order by seq desc limit 1`, room.ID, after)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count messages of room %d after %d: %w", room.ID, after, err)
	}
	count = room.Said
	if len(last) == 1 {
		count -= last[0]
	}
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &firstSeq,
			`select coalesce(min(seq), 0) from messages where room_id = $1 and seq > $2`, room.ID, after)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("find the first message of room %d after %d: %w", room.ID, after, err)
	}
	return count, firstSeq, nil
}

// What holds the room's lock is prepared, to hold it shortly.
const nextRevSQL = `update rooms set rev = rev + 1 where id = $1 returning rev`

const editSQL = `update messages set body = $3, edited_at = $4, rev = $5 where room_id = $1 and seq = $2`

const removeSQL = `
	update messages set body = '', said_sum = null, edited_at = null, deleted_at = $3, rev = $4
	where room_id = $1 and seq = $2`

// Edit gives the author's message another text and returns the room's new
// number. A text equal to the present one changes nothing: the number is 0.
func (s *Store) Edit(ctx context.Context, roomID, seq, personID int64, body string) (rev int64, err error) {
	return s.changeMessage(ctx, roomID, seq, personID, func(tx *sqlx.Tx, rev int64, old messageRow) (bool, error) {
		if old.Body == body {
			return false, nil
		}
		_, err := tx.StmtxContext(ctx, s.edit).ExecContext(ctx, roomID, seq, body, s.now(), rev)
		return true, err
	})
}

// Delete leaves a tombstone where the author's message was. Its text is gone
// from the database with the commit.
func (s *Store) Delete(ctx context.Context, roomID, seq, personID int64) (rev int64, err error) {
	rev, err = s.changeMessage(ctx, roomID, seq, personID, func(tx *sqlx.Tx, rev int64, _ messageRow) (bool, error) {
		_, err := tx.StmtxContext(ctx, s.remove).ExecContext(ctx, roomID, seq, s.now(), rev)
		return true, err
	})
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Reason == chat.MessageDeleted {
		return 0, nil // it is as it was wished to be
	}
	return rev, err
}

// changeMessage takes the room's next number, checks that the person may
// change the message, and runs the change, all under the room's lock.
func (s *Store) changeMessage(ctx context.Context, roomID, seq, personID int64,
	change func(tx *sqlx.Tx, rev int64, old messageRow) (changed bool, err error),
) (rev int64, err error) {
	unchanged := errors.New("nothing changed")
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.StmtxContext(ctx, s.nextRev).GetContext(ctx, &rev, roomID)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
		} else if err != nil {
			return err
		}
		var old messageRow
		err = tx.StmtxContext(ctx, s.message).GetContext(ctx, &old, roomID, seq)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchMessage)
		} else if err != nil {
			return err
		}
		m := toMessages([]messageRow{old})[0]
		if m.Author.ID != personID {
			return chat.Refuse(chat.NotAllowed, chat.NotYours)
		}
		if m.Deleted() {
			return chat.Refuse(chat.Conflict, chat.MessageDeleted)
		}
		changed, err := change(tx, rev, old)
		if err == nil && !changed {
			return unchanged // roll the number back
		}
		return err
	})
	if errors.Is(err, unchanged) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("change message %d of room %d: %w", seq, roomID, err)
	}
	return rev, nil
}
