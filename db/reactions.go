package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

const giveSQL = `insert into reactions (room_id, seq, emoji, person_id, reacted_at) values ($1, $2, $3, $4, $5)`
const takeSQL = `delete from reactions where room_id = $1 and seq = $2 and emoji = $3 and person_id = $4`
const reactedSQL = `update messages set reactions = reactions + $3, rev = $4 where room_id = $1 and seq = $2`

// React gives a message a person's emoji, or takes it back if the person gave
// it before. It returns the room's new number, and whether the emoji is there
// now. A message takes chat.MostEmoji different ones.
func (s *Store) React(ctx context.Context, roomID, seq, personID int64, emoji string) (rev int64, given bool, err error) {
	rev, err = s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if old.Deleted() {
			return false, chat.Refuse(chat.Conflict, chat.ReactionTooLate)
		}
		taken, err := tx.ExecContext(ctx, takeSQL, roomID, seq, emoji, personID)
		if err != nil {
			return false, fmt.Errorf("take a reaction back: %w", err)
		}
		n, err := taken.RowsAffected()
		if err != nil {
			return false, err
		}
		change := -1
		if given = n == 0; given {
			if !old.TakesEmoji(emoji) {
				return false, chat.Refuse(chat.Conflict, chat.TooManyEmoji, chat.MostEmoji)
			}
			// Who reacts belongs to the room, so that a new nickname shows there, too.
			if _, err := tx.ExecContext(ctx, belongSQL, roomID, pq.Array([]int64{personID})); err != nil {
				return false, fmt.Errorf("make a membership: %w", err)
			}
			if _, err := tx.ExecContext(ctx, giveSQL, roomID, seq, emoji, personID, s.now()); err != nil {
				return false, fmt.Errorf("give a reaction: %w", err)
			}
			change = 1
		}
		_, err = tx.ExecContext(ctx, reactedSQL, roomID, seq, change, rev)
		return true, err
	})
	return rev, given && err == nil, err
}
