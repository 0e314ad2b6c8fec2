package db

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"parlor/app/chat"
)

// PageSize is how many messages a page of history has at most.
const PageSize = 50

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

var newestSQL = selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3`
var beforeSQL = selectMessages + `where m.room_id = $1 and m.seq < $2 order by m.seq desc limit $3`
var afterSQL = selectMessages + `where m.room_id = $1 and m.seq > $2 order by m.seq limit $3`
var aroundSQL = `(` + selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3)
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
	var err error
	page.Messages, err = toMessages(append(rows, newerRows...))
	return page, err
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
		if err != nil {
			return err
		}
		page = Page{Room: room}
		page.Messages, err = toMessages(rows)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read messages %d to %d of room %d: %w", from, to, room.ID, err)
	}
	return page, nil
}

// SaidAfter counts the messages of a room after a number, by two look-ups, and
// finds the first of them; 0 when there is none.
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
