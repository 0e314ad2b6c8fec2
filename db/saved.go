package db

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

const (
	// MostSaved is how many messages one person can save.
	MostSaved = 1000
	// SavedPageSize is how many of them a page lists.
	SavedPageSize = 50
)

// Saved is a message that somebody keeps for themselves.
type Saved struct {
	Room    chat.Room
	Message chat.Message
	At      time.Time
}

// SavedPlace is a place in the list of what somebody saved: after this entry.
// The zero value is the beginning.
type SavedPlace struct {
	At          time.Time
	RoomID, Seq int64
}

// Place is where the list goes on after an entry.
func (s Saved) Place() SavedPlace {
	return SavedPlace{s.At, s.Message.RoomID, s.Message.Seq}
}

// Save keeps a message for a person. To save it again changes nothing.
func (s *Store) Save(ctx context.Context, personID, roomID, seq int64) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		// A deletion waits for this, or is seen here.
		var deleted []bool
		if err := tx.SelectContext(ctx, &deleted, `
			select deleted_at is not null from messages where room_id = $1 and seq = $2 for share`, roomID, seq); err != nil {
			return err
		}
		switch {
		case len(deleted) == 0:
			return chat.Refuse(chat.NotFound, chat.NoSuchMessage)
		case deleted[0]:
			return chat.Refuse(chat.Conflict, chat.MessageDeleted)
		}
		var n int
		if err := tx.GetContext(ctx, &n, `
			select count(*) from saved where person_id = $1 and (room_id, seq) <> ($2, $3)`, personID, roomID, seq); err != nil {
			return err
		}
		if n >= MostSaved {
			return chat.Refuse(chat.Conflict, chat.TooManySaved, MostSaved)
		}
		_, err := tx.ExecContext(ctx, `
			insert into saved (person_id, room_id, seq, saved_at) values ($1, $2, $3, $4) on conflict do nothing`,
			personID, roomID, seq, s.now())
		return err
	})
	if err != nil {
		return fmt.Errorf("save message %d of room %d for person %d: %w", seq, roomID, personID, err)
	}
	return nil
}

// Unsave keeps a message no more.
func (s *Store) Unsave(ctx context.Context, personID, roomID, seq int64) error {
	if _, err := s.DB.ExecContext(ctx, `delete from saved where person_id = $1 and room_id = $2 and seq = $3`, personID, roomID, seq); err != nil {
		return fmt.Errorf("unsave message %d of room %d for person %d: %w", seq, roomID, personID, err)
	}
	return nil
}

// IsSaved tells whether a person keeps a message.
func (s *Store) IsSaved(ctx context.Context, personID, roomID, seq int64) (is bool, err error) {
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &is, `
			select exists (select from saved where person_id = $1 and room_id = $2 and seq = $3)`, personID, roomID, seq)
	})
	if err != nil {
		return false, fmt.Errorf("look whether message %d of room %d is saved: %w", seq, roomID, err)
	}
	return is, nil
}

// SavedBy lists what a person saved, the latest first, from a place on. more
// says that the list goes on.
func (s *Store) SavedBy(ctx context.Context, personID int64, from SavedPlace) (out []Saved, more bool, err error) {
	var keys []struct {
		RoomID  int64     `db:"room_id"`
		Seq     int64     `db:"seq"`
		SavedAt time.Time `db:"saved_at"`
		Slug    string    `db:"slug"`
		Name    string    `db:"name"`
	}
	if from == (SavedPlace{}) {
		from.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	var rows []messageRow
	err = again(ctx, func() error {
		keys, rows = keys[:0], rows[:0]
		if err := s.DB.SelectContext(ctx, &keys, `
			select k.room_id, k.seq, k.saved_at, r.slug, r.name from saved k join rooms r on r.id = k.room_id
			where k.person_id = $1 and k.saved_at <= $2 and (k.saved_at < $2 or (k.room_id, k.seq) > ($3, $4))
			order by k.saved_at desc, k.room_id, k.seq limit $5`, personID, from.At, from.RoomID, from.Seq, SavedPageSize+1); err != nil {
			return err
		}
		rooms, seqs := make([]int64, len(keys)), make([]int64, len(keys))
		for i, k := range keys {
			rooms[i], seqs[i] = k.RoomID, k.Seq
		}
		return s.DB.SelectContext(ctx, &rows, selectMessages+`
			join unnest($1::bigint[], $2::bigint[]) as k(room_id, seq) on k.room_id = m.room_id and k.seq = m.seq`,
			pq.Array(rooms), pq.Array(seqs))
	})
	if err != nil {
		return nil, false, fmt.Errorf("list what person %d saved: %w", personID, err)
	}
	messages, err := toMessages(rows)
	if err != nil {
		return nil, false, err
	}
	more = len(keys) > SavedPageSize
	for _, k := range keys[:min(len(keys), SavedPageSize)] {
		i := slices.IndexFunc(messages, func(m chat.Message) bool { return m.RoomID == k.RoomID && m.Seq == k.Seq })
		if i < 0 || messages[i].Deleted() {
			continue // deleted between the two queries
		}
		out = append(out, Saved{Room: chat.Room{ID: k.RoomID, Slug: k.Slug, Name: k.Name}, Message: messages[i], At: k.SavedAt})
	}
	return out, more, nil
}
