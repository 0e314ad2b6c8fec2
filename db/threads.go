package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"parlor/app/chat"
)

// Thread is a message with a page of what was answered to it, true at
// Room.Rev.
type Thread struct {
	Room    chat.Room
	Root    chat.Message
	Replies []chat.Message // in order of Seq, at most PageSize
	Older   bool           // there are replies before the first
	Newer   bool           // and after the last
}

var threadSQL = selectMessages + `where m.room_id = $1 and m.thread_seq = $2 and m.seq < $3 order by m.seq desc limit $4`
var threadAfterSQL = selectMessages + `where m.room_id = $1 and m.thread_seq = $2 and m.seq > $3 order by m.seq limit $4`

// Thread reads a page of the thread that began with a message: the newest
// replies, or those before or after one. The room was read before, so whatever
// is shown beyond Room.Rev is only sent again later.
func (s *Store) Thread(ctx context.Context, room chat.Room, root int64, at Place) (Thread, error) {
	m, err := s.Message(ctx, room.ID, root)
	if err != nil {
		return Thread{}, err
	}
	t := Thread{Room: room, Root: m}
	query, from := threadSQL, int64(math.MaxInt64)
	switch {
	case at.After > 0 || at.FromStart:
		query, from = threadAfterSQL, at.After
	case at.Before > 0:
		from = at.Before
	}
	var rows []messageRow
	err = again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, query, room.ID, root, from, PageSize+1)
	})
	if err != nil {
		return t, fmt.Errorf("read thread %d of room %d: %w", root, room.ID, err)
	}
	more := len(rows) > PageSize
	rows = rows[:min(len(rows), PageSize)]
	if query == threadAfterSQL {
		t.Older, t.Newer = at.After > root, more
	} else {
		slices.Reverse(rows)
		t.Older, t.Newer = more, at.Before > 0
	}
	t.Replies, err = toMessages(rows)
	return t, err
}

// SaidBefore finds the message that a person's nonce belongs to; false when it
// belongs to none yet.
func (s *Store) SaidBefore(ctx context.Context, roomID, personID int64, nonce string) (Said, bool, error) {
	var said Said
	err := again(ctx, func() error {
		return s.DB.QueryRowxContext(ctx, `select seq, rev from messages where author_id = $1 and nonce = $2 and room_id = $3`,
			personID, nonce, roomID).Scan(&said.Seq, &said.Rev)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return said, false, nil
	}
	if err != nil {
		return said, false, fmt.Errorf("look a nonce of person %d up in room %d: %w", personID, roomID, err)
	}
	return said, true, nil
}

// RoomNamed finds a room as people call it: by its name in any case, or by
// what its address says.
func (s *Store) RoomNamed(ctx context.Context, name string) (chat.Room, error) {
	var row roomRow
	err := again(ctx, func() error {
		return s.DB.GetContext(ctx, &row, `select `+roomColumns+` from rooms r where lower(r.name) = lower($1)`, name)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return s.Room(ctx, chat.Slug(name))
	}
	if err != nil {
		return chat.Room{}, fmt.Errorf("find the room called %q: %w", name, err)
	}
	return s.found(row, nil)
}
