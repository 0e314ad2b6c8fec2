package db

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// A message's terms are what it is found by: lexemes of package search, and
// those of its author and room. Each begins with the number of a stretch of time
// (migration 00012), 12:deploy say, so that the index holds one stretch beside
// the other and a search can take the latest first. The stretch is the one that
// the message's time is in, as far as it was known when the terms were made; a
// stretch begins a while after it was noted, so that all nodes know of it, unless
// their clocks differ by more.

const (
	// StretchSize is how many messages a stretch has, about. With more, what is
	// said often takes longer to be found; with fewer, what is said rarely.
	StretchSize = 10_000
	// clocksDiffer is by how much the clocks of nodes may.
	clocksDiffer = 10 * time.Second
)

// stretchMark stands for the stretch in terms and queries (search.Stretch).
const stretchMark = `E'\x01'`

// inStretch is SQL that puts into terms the stretch of a time.
func inStretch(terms, at string) string {
	return `replace(` + terms + `, ` + stretchMark + `, (select n || ':' from stretches where since <= ` + at + ` order by since desc limit 1))`
}

// Author and room are lexemes among a message's terms, so that a word of one
// person in one room is one look-up. Words of texts don't begin like these.
func authorLexeme(id int64) string { return "'\x01@" + strconv.FormatInt(id, 10) + "'" }
func roomLexeme(id int64) string   { return "'\x01#" + strconv.FormatInt(id, 10) + "'" }

// termsOf adds to terms of package search what they don't know.
func termsOf(terms string, roomID, authorID int64) string {
	return terms + " " + authorLexeme(authorID) + " " + roomLexeme(roomID)
}

// nameTerms is what a nickname is found by, where a search asks whom it may
// mean: the terms of a message that says it. They belong to no stretch.
func (s *Store) nameTerms(nickname string) any {
	if s.terms == nil {
		return nil
	}
	return s.terms(chat.Message{Body: nickname})
}

// FindBy has messages found by the terms that a function makes of them. It is
// set before anything changes; what changes without it waits for a node that has
// it to do NoteTerms.
func (s *Store) FindBy(terms func(chat.Message) string) { s.terms = terms }

var renewTermsSQL = `update messages m set terms = ` + inStretch(`$3`, `m.said_at`) + `::tsvector where m.room_id = $1 and m.seq = $2`

// renewTerms makes the terms of a message that the transaction has changed.
func (s *Store) renewTerms(ctx context.Context, tx *sqlx.Tx, roomID, seq int64) error {
	var rows []messageRow
	if err := tx.StmtxContext(ctx, s.message).SelectContext(ctx, &rows, roomID, seq); err != nil {
		return fmt.Errorf("read what it is found by: %w", err)
	}
	messages, err := toMessages(rows)
	if err != nil {
		return err
	}
	for _, m := range messages {
		var terms any
		if s.terms != nil {
			terms = termsOf(s.terms(m), roomID, m.Author.ID)
		}
		if _, err := tx.StmtxContext(ctx, s.newTerms).ExecContext(ctx, roomID, seq, terms); err != nil {
			return fmt.Errorf("note what it is found by: %w", err)
		}
	}
	return nil
}

// WithoutTerms reads some messages that nothing was noted of by which they are
// found: from before there was a search, or said by a node of an older version.
// They are those after a room and seq, in this order: so nobody goes again and
// again over what the index still holds of those that have got theirs.
func (s *Store) WithoutTerms(ctx context.Context, roomID, seq int64, most int) ([]chat.Message, error) {
	var rows []messageRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, selectMessages+
			`where m.terms is null and m.deleted_at is null and (m.room_id, m.seq) > ($1, $2) order by m.room_id, m.seq limit $3`, roomID, seq, most)
	})
	if err != nil {
		return nil, fmt.Errorf("look for messages without terms: %w", err)
	}
	return toMessages(rows)
}

// NoteTerms stores what messages are found by, as it follows from them. A
// message that was changed meanwhile, or is being changed, is left out. Nothing
// that a room shows changes by it.
func (s *Store) NoteTerms(ctx context.Context, messages []chat.Message) error {
	n := len(messages)
	rooms, seqs, versions, all := make([]int64, n), make([]int64, n), make([]int64, n), make([]string, n)
	for i, m := range messages {
		rooms[i], seqs[i], versions[i] = m.RoomID, m.Seq, int64(m.Version)
		all[i] = termsOf(s.terms(m), m.RoomID, m.Author.ID)
	}
	// It never waits for a row, and so for nobody in a circle.
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			with free as (
				select m.room_id, m.seq, `+inStretch(`x.terms`, `m.said_at`)+` as terms
				from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as x(room_id, seq, version, terms)
				join messages m on m.room_id = x.room_id and m.seq = x.seq
				where m.terms is null and m.deleted_at is null and m.version = x.version
				for update of m skip locked)
			update messages m set terms = free.terms::tsvector from free where m.room_id = free.room_id and m.seq = free.seq`,
			pq.Array(rooms), pq.Array(seqs), pq.Array(versions), pq.Array(all))
		return err
	})
	if err != nil {
		return fmt.Errorf("note terms of messages: %w", err)
	}
	return nil
}

// NoteNames gives terms to the nicknames that have none: from before people were
// found by them.
func (s *Store) NoteNames(ctx context.Context) error {
	for more := true; more; {
		err := again(ctx, func() error {
			var rows []personRow
			if err := s.DB.SelectContext(ctx, &rows, `select id, nickname from people where terms is null order by id limit $1`, keysPerTrip); err != nil {
				return err
			}
			more = len(rows) == keysPerTrip
			ids, names, terms := make([]int64, len(rows)), make([]string, len(rows)), make([]string, len(rows))
			for i, r := range rows {
				ids[i], names[i], terms[i] = r.ID, r.Nickname, s.terms(chat.Message{Body: r.Nickname})
			}
			_, err := s.DB.ExecContext(ctx, `
				update people p set terms = made.terms::tsvector
				from unnest($1::bigint[], $2::text[], $3::text[]) as made(id, nickname, terms)
				where p.id = made.id and p.nickname = made.nickname and p.terms is null`, pq.Array(ids), pq.Array(names), pq.Array(terms))
			return err
		})
		if err != nil {
			return fmt.Errorf("note terms of nicknames: %w", err)
		}
	}
	return nil
}

// BeginStretch notes where the next stretch begins, if the latest is full.
func (s *Store) BeginStretch(ctx context.Context) error {
	now := s.now()
	_, err := s.DB.ExecContext(ctx, `
		insert into stretches (n, since)
		select last.n + 1, $2::timestamptz from (select n, since from stretches order by since desc limit 1) as last
		where last.since <= $1 and $3 = (select count(*) from (
			select from messages where said_at >= last.since order by said_at, room_id, seq limit $3) as few)
		on conflict do nothing`, now, now.Add(clocksDiffer), StretchSize)
	if err != nil {
		return fmt.Errorf("begin a stretch: %w", err)
	}
	return nil
}

// TidySearch sorts new terms into the index (see migration 00007). Without new
// ones it does nothing.
func (s *Store) TidySearch(ctx context.Context) error {
	if _, err := s.DB.ExecContext(ctx, `select gin_clean_pending_list('messages_terms')`); err != nil {
		return fmt.Errorf("sort new terms into the index: %w", err)
	}
	return nil
}
