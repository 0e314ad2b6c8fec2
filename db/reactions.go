package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

const giveSQL = `insert into reactions (room_id, seq, emoji, person_id, reacted_at) values ($1, $2, $3, $4, $5)`
const takeSQL = `delete from reactions where room_id = $1 and seq = $2 and emoji = $3 and person_id = $4`
const hadSQL = `select exists (select from reactions where room_id = $1 and seq = $2 and emoji = $3 and person_id = $4)`
const reactedSQL = `update messages set reactions = reactions + $3, rev = $4 where room_id = $1 and seq = $2`

// Want is what somebody wants of an emoji.
type Want int

const (
	Toggle Want = iota // the other of the two below: a form without script
	Give
	Take // back
)

// Reacted is the answer to React.
type Reacted struct {
	Rev   int64 // the room's new number; 0: it was as wanted already
	Given bool  // the emoji is there now
	// Crowded says that an emoji of the message was crowded before (see
	// chat.Reaction), or would have been with one more.
	Crowded bool
}

// React gives a message a person's emoji, or takes it back. To want the same
// twice changes nothing, so a request whose answer was lost is simply repeated.
// A message takes chat.MostEmoji different ones.
func (s *Store) React(ctx context.Context, roomID, seq, personID int64, emoji string, want Want) (Reacted, error) {
	var done Reacted
	rev, err := s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		done = Reacted{Crowded: slices.ContainsFunc(old.Reactions, func(r chat.Reaction) bool {
			r.Count++
			return r.Crowded()
		})}
		if old.Deleted() {
			return false, chat.Refuse(chat.Conflict, chat.ReactionTooLate)
		}
		var had bool
		if err := tx.GetContext(ctx, &had, hadSQL, roomID, seq, emoji, personID); err != nil {
			return false, fmt.Errorf("look for a reaction: %w", err)
		}
		done.Given = want == Give || want == Toggle && !had
		if done.Given == had {
			return false, nil
		}
		change := -1
		if done.Given {
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
		} else if _, err := tx.ExecContext(ctx, takeSQL, roomID, seq, emoji, personID); err != nil {
			return false, fmt.Errorf("take a reaction back: %w", err)
		}
		_, err := tx.ExecContext(ctx, reactedSQL, roomID, seq, change, rev)
		return true, err
	})
	if err != nil {
		return Reacted{}, err
	}
	done.Rev = rev
	return done, nil
}

// OwnReactions are the emoji that a person gave a message, at most
// chat.MostEmoji.
func (s *Store) OwnReactions(ctx context.Context, roomID, seq, personID int64) ([]string, error) {
	emoji := []string{}
	err := again(ctx, func() error {
		emoji = emoji[:0]
		return s.DB.SelectContext(ctx, &emoji, `select emoji from reactions where person_id = $1 and room_id = $2 and seq = $3`, personID, roomID, seq)
	})
	if err != nil {
		return nil, fmt.Errorf("read the reactions of person %d to message %d of room %d: %w", personID, seq, roomID, err)
	}
	return emoji, nil
}
