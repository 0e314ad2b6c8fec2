package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// MostPins is how many messages of a room can be pinned at the same time.
const MostPins = 100

// Pin puts a message on its room's list of pins and returns the room's new
// number; 0 if it is there already.
func (s *Store) Pin(ctx context.Context, roomID, seq, personID int64) (rev int64, err error) {
	return s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if old.Deleted() {
			return false, chat.Refuse(chat.Conflict, chat.MessageDeleted)
		}
		if old.PinnedAt != nil {
			return false, nil
		}
		var pins int
		if err := tx.GetContext(ctx, &pins, `update rooms set pins = pins + 1, about_rev = $2 where id = $1 returning pins`, roomID, rev); err != nil {
			return false, err
		}
		if pins > MostPins {
			return false, chat.Refuse(chat.Conflict, chat.TooManyPins, MostPins)
		}
		// Whose name the room shows belongs to it, and a rename reaches it.
		if _, err := tx.ExecContext(ctx, belongSQL, roomID, pq.Array([]int64{personID})); err != nil {
			return false, err
		}
		_, err := tx.ExecContext(ctx, `update messages set pinned_at = $3, pinned_by = $4, rev = $5 where room_id = $1 and seq = $2`,
			roomID, seq, s.now(), personID, rev)
		return true, err
	})
}

// Unpin takes a message off the list again; anybody may. It returns the room's
// new number, 0 if the message is not pinned.
func (s *Store) Unpin(ctx context.Context, roomID, seq int64) (rev int64, err error) {
	return s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if old.PinnedAt == nil {
			return false, nil
		}
		if err := unpinned(ctx, tx, old, rev); err != nil {
			return false, err
		}
		_, err := tx.ExecContext(ctx, `update messages set pinned_at = null, pinned_by = null, rev = $3 where room_id = $1 and seq = $2`,
			roomID, seq, rev)
		return true, err
	})
}

// unpinned counts a message that is pinned no more.
func unpinned(ctx context.Context, tx *sqlx.Tx, m chat.Message, rev int64) error {
	if m.PinnedAt == nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, `update rooms set pins = pins - 1, about_rev = $2 where id = $1`, m.RoomID, rev)
	return err
}

// Pins lists the messages that are pinned to a room, the latest pinned first.
func (s *Store) Pins(ctx context.Context, roomID int64) ([]chat.Message, error) {
	var rows []messageRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, selectMessages+`
			where m.room_id = $1 and m.pinned_at is not null order by m.pinned_at desc, m.seq desc limit $2`, roomID, MostPins)
	})
	if err != nil {
		return nil, fmt.Errorf("list the pins of room %d: %w", roomID, err)
	}
	return toMessages(rows)
}
