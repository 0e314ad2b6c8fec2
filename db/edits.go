package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// What holds the room's lock is prepared, to hold it shortly.
const nextRevSQL = `update rooms set rev = rev + 1 where id = $1 returning rev`

const keepVersionSQL = `
	insert into message_versions (room_id, seq, version, body, mentioned, written_at)
	select room_id, seq, version, body, mentioned, coalesce(edited_at, said_at) from messages where room_id = $1 and seq = $2`

const editSQL = `
	update messages set body = $3, edited_at = $4, rev = $5, version = version + 1, mentioned = $6
	where room_id = $1 and seq = $2`

// Who was called by an earlier text already is not called again.
const callSQL = `
	insert into mentions (person_id, room_id, seq, reason, said_at)
	select distinct on (x.person_id) x.person_id, $1, $2, x.reason, $5
	from unnest($3::bigint[], $4::text[]) as x(person_id, reason) where x.person_id <> $6
	order by x.person_id, x.reason = 'mention' desc
	on conflict (person_id, room_id, seq) do nothing`

const uncallSQL = `delete from mentions where room_id = $1 and seq = $2
	and (reason = 'mention' and not person_id = any($3) or reason = 'here' and not $4)`

const removeSQL = `
	update messages set body = '', said_sum = null, edited_at = null, deleted_at = $3, rev = $4, mentioned = null, terms = null,
	       reactions = 0, files = 0, previews = 0, pinned_at = null, pinned_by = null
	where room_id = $1 and seq = $2`

// What belongs to a message goes with it. Files that no message has any more
// are taken off the disk by package app.
var purgeSQL = []string{
	`delete from message_versions where room_id = $1 and seq = $2`,
	`delete from reactions where room_id = $1 and seq = $2`,
	`delete from mentions where room_id = $1 and seq = $2`,
	`delete from files where room_id = $1 and seq = $2`,
	`delete from message_previews where room_id = $1 and seq = $2`,
	`delete from saved where room_id = $1 and seq = $2`,
}

// Edit gives the author's message another text and returns the room's new
// number. version is the one that the author saw: if the message has another
// one now it is a Conflict; 0 takes any. A text equal to the present one changes
// nothing: the number is 0.
func (s *Store) Edit(ctx context.Context, roomID, seq, personID int64, version int, text Text) (rev int64, err error) {
	callsHere := strings.Contains(text.Body, chat.Mention(0))
	return s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if err := old.MayChange(personID); err != nil {
			return false, err
		}
		if old.Body == text.Body {
			return false, nil
		}
		if version != 0 && version != old.Version {
			return false, chat.Refuse(chat.Conflict, chat.EditConflict)
		}
		// Whoever is here now was not called by a text that others were called by.
		calledHere := strings.Contains(old.Body, chat.Mention(0))
		people, reasons, named := []int64{}, []string{}, []int64{}
		for _, m := range text.Mentions {
			if !m.Here || !calledHere {
				people, reasons = append(people, m.PersonID), append(reasons, m.reason())
			}
			if !m.Here {
				named = append(named, m.PersonID)
			}
		}
		if _, err := tx.ExecContext(ctx, keepVersionSQL, roomID, seq); err != nil {
			return false, fmt.Errorf("keep the earlier text: %w", err)
		}
		var mentioned any
		if len(named) > 0 {
			mentioned = pq.Array(named)
		}
		if _, err := tx.StmtxContext(ctx, s.edit).ExecContext(ctx, roomID, seq, text.Body, s.now(), rev, mentioned); err != nil {
			return false, err
		}
		shown, err := s.link(ctx, tx, roomID, seq, text.Links)
		if err != nil {
			return false, err
		}
		if shown != len(old.Previews) {
			if _, err := tx.ExecContext(ctx, `update messages set previews = $3 where room_id = $1 and seq = $2`, roomID, seq, shown); err != nil {
				return false, fmt.Errorf("count its previews: %w", err)
			}
		}
		if err := s.renewTerms(ctx, tx, roomID, seq); err != nil {
			return false, err
		}
		if _, err := tx.ExecContext(ctx, uncallSQL, roomID, seq, pq.Array(named), callsHere); err != nil {
			return false, fmt.Errorf("forget who is not mentioned any more: %w", err)
		}
		if len(people) == 0 {
			return true, nil
		}
		if _, err := tx.ExecContext(ctx, callSQL, roomID, seq, pq.Array(people), pq.Array(reasons), s.now(), personID); err != nil {
			return false, fmt.Errorf("note who is mentioned: %w", err)
		}
		_, err = tx.ExecContext(ctx, belongSQL, roomID, pq.Array(people))
		return true, err
	})
}

// Delete leaves a tombstone where the author's message was. Its text, and all
// that belongs to it, is gone from the database with the commit.
func (s *Store) Delete(ctx context.Context, roomID, seq, personID int64) (rev int64, err error) {
	rev, err = s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if err := old.MayChange(personID); err != nil {
			return false, err
		}
		if err := unpinned(ctx, tx, old, rev); err != nil {
			return false, fmt.Errorf("take it off the pins: %w", err)
		}
		// The row first: who wants to add something to the message waits for it.
		if _, err := tx.StmtxContext(ctx, s.remove).ExecContext(ctx, roomID, seq, s.now(), rev); err != nil {
			return false, err
		}
		for _, purge := range purgeSQL {
			if _, err := tx.ExecContext(ctx, purge, roomID, seq); err != nil {
				return false, fmt.Errorf("purge by %q: %w", purge, err)
			}
		}
		return true, nil
	})
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Reason == chat.MessageDeleted {
		return 0, nil // it is as it was wished to be
	}
	return rev, err
}

// changeMessage takes the room's next number and runs a change of a message
// under the room's lock. A change that changed nothing, or fails, takes no
// number: then it is 0.
func (s *Store) changeMessage(ctx context.Context, roomID, seq int64,
	change func(tx *sqlx.Tx, rev int64, old chat.Message) (changed bool, err error),
) (rev int64, err error) {
	unchanged := errors.New("nothing changed")
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.StmtxContext(ctx, s.nextRev).GetContext(ctx, &rev, roomID)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
		} else if err != nil {
			return err
		}
		var rows []messageRow
		if err := tx.StmtxContext(ctx, s.message).SelectContext(ctx, &rows, roomID, seq); err != nil {
			return err
		}
		if len(rows) == 0 {
			return chat.Refuse(chat.NotFound, chat.NoSuchMessage)
		}
		old, err := toMessages(rows)
		if err != nil {
			return err
		}
		changed, err := change(tx, rev, old[0])
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
