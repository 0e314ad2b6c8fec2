package db

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// Said is the answer to Say: where the message stands.
type Said struct {
	Seq int64
	Rev int64 // the room's number after the commit that holds the message
}

// pendingSay is one post that waits for its room's next batch.
type pendingSay struct {
	authorID int64
	nonce    string
	body     string

	said Said
	err  error
	done chan struct{}
}

// sayQueue gathers posts by room. A room has a goroutine only while posts of
// it wait: what arrives during one commit goes together into the next.
type sayQueue struct {
	mu      sync.Mutex
	waiting map[int64][]*pendingSay // an entry, maybe empty, means a goroutine runs
}

// MostPerBatch is how many posts are committed together at most.
const MostPerBatch = 256

// Say stores a message, durably, and returns its place. Concurrent posts to
// one room share a commit (group commit).
//
// The nonce, a canonical UUID, belongs to one text of one author in one room:
// the same nonce with the same text returns the first answer again, with
// another text a Conflict. So a post whose answer was lost is simply
// repeated. When ctx ends first the message may be stored nevertheless.
func (s *Store) Say(ctx context.Context, roomID, authorID int64, nonce, body string) (Said, error) {
	p := &pendingSay{authorID: authorID, nonce: nonce, body: body, done: make(chan struct{})}
	s.says.mu.Lock()
	_, running := s.says.waiting[roomID]
	s.says.waiting[roomID] = append(s.says.waiting[roomID], p)
	s.says.mu.Unlock()
	if !running {
		go s.commitSays(roomID)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		return Said{}, fmt.Errorf("say in room %d: %w", roomID, ctx.Err())
	}
	if p.err != nil {
		return Said{}, fmt.Errorf("say in room %d: %w", roomID, p.err)
	}
	return p.said, nil
}

// commitSays commits what waits in one room, batch after batch, until nothing
// waits any more.
func (s *Store) commitSays(roomID int64) {
	for {
		s.says.mu.Lock()
		batch := s.says.waiting[roomID]
		if len(batch) == 0 {
			delete(s.says.waiting, roomID)
			s.says.mu.Unlock()
			return
		}
		batch = batch[:min(len(batch), MostPerBatch)]
		s.says.waiting[roomID] = s.says.waiting[roomID][len(batch):]
		s.says.mu.Unlock()

		// Repeating is safe by the nonces, even where the commit went through
		// and only its answer was lost.
		err := again(context.Background(), func() error { return s.sayBatch(roomID, batch) })
		switch {
		case err != nil && IsAway(err):
			for _, p := range batch {
				p.err = err
			}
		case err != nil:
			// One bad post must not take others with it: each is tried alone.
			for _, p := range batch {
				p.err = nil
				if err := s.sayBatch(roomID, []*pendingSay{p}); err != nil {
					p.err = err
				}
			}
		}
		for _, p := range batch {
			close(p.done)
		}
	}
}

const lockRoomSQL = `
	select r.rev, r.said, coalesce(m.author_id, 0) as last_author, r.last_said_at
	from rooms r left join messages m on m.room_id = r.id and m.seq = r.last_seq
	where r.id = $1 for update of r`

const findNoncesSQL = `
	select author_id, nonce, seq, said_sum from messages
	where room_id = $1 and (author_id, nonce) in (select * from unnest($2::bigint[], $3::uuid[]))`

const addMessagesSQL = `
	insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, first, new_day, said_at)
	select $1, seq, seq, ordinal, author_id, nonce, said_sum, body, first, new_day, $2
	from unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bytea[], $8::text[], $9::boolean[], $10::boolean[])
	     as t(seq, ordinal, author_id, nonce, said_sum, body, first, new_day)`

const moveRoomSQL = `update rooms set rev = $2, said = $3, last_seq = $2, last_said_at = $4 where id = $1`

const joinRoomSQL = `
	insert into memberships (room_id, person_id)
	select distinct $1::bigint, person_id from unnest($2::bigint[]) as t(person_id)
	on conflict do nothing`

// sayBatch stores posts of one room in one transaction. Posts that fail for a
// reason of their own get their err; a returned error concerns all.
func (s *Store) sayBatch(roomID int64, batch []*pendingSay) error {
	// Not the context of any one request: the commit belongs to all of them.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		var room struct {
			Rev        int64     `db:"rev"`
			Said       int64     `db:"said"`
			LastAuthor int64     `db:"last_author"`
			LastSaidAt time.Time `db:"last_said_at"`
		}
		err := tx.StmtxContext(ctx, s.lockRoom).GetContext(ctx, &room, roomID)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
		} else if err != nil {
			return fmt.Errorf("lock the room: %w", err)
		}

		known, err := s.knownNonces(ctx, tx, roomID, batch)
		if err != nil {
			return fmt.Errorf("look up nonces: %w", err)
		}

		now := s.now()
		var seqs, ordinals, authors []int64
		var nonces, bodies []string
		var sums [][]byte
		var firsts, newDays []bool
		fresh := make([]*pendingSay, 0, len(batch))
		for _, p := range batch {
			key := nonceKey{p.authorID, p.nonce}
			sum := sumOf(p.body)
			if k, ok := known[key]; ok {
				if k.sum != nil && !bytes.Equal(k.sum, sum) {
					p.err = &chat.Error{Kind: chat.Conflict, Field: "body", Reason: chat.NonceReused}
				} else {
					p.said = Said{Seq: k.seq, Rev: room.Rev}
				}
				continue
			}
			newDay := room.Said == 0 || !sameDay(room.LastSaidAt, now)
			first := newDay || room.LastAuthor != p.authorID || now.Sub(room.LastSaidAt) >= chat.GroupGap
			room.Rev++
			room.Said++
			room.LastAuthor, room.LastSaidAt = p.authorID, now
			known[key] = knownNonce{room.Rev, sum}
			p.said = Said{Seq: room.Rev}
			seqs, ordinals, authors = append(seqs, room.Rev), append(ordinals, room.Said), append(authors, p.authorID)
			nonces, sums, bodies = append(nonces, p.nonce), append(sums, sum), append(bodies, p.body)
			firsts, newDays = append(firsts, first), append(newDays, newDay)
			fresh = append(fresh, p)
		}
		if len(fresh) == 0 {
			return nil
		}
		if _, err := tx.StmtxContext(ctx, s.addMessages).ExecContext(ctx, roomID, now, pq.Array(seqs), pq.Array(ordinals),
			pq.Array(authors), pq.Array(nonces), pq.Array(sums), pq.Array(bodies), pq.Array(firsts), pq.Array(newDays)); err != nil {
			return fmt.Errorf("insert %d messages: %w", len(fresh), err)
		}
		if _, err := tx.StmtxContext(ctx, s.joinRoom).ExecContext(ctx, roomID, pq.Array(authors)); err != nil {
			return fmt.Errorf("join the room: %w", err)
		}
		if _, err := tx.StmtxContext(ctx, s.moveRoom).ExecContext(ctx, roomID, room.Rev, room.Said, now); err != nil {
			return fmt.Errorf("move the room's number: %w", err)
		}
		for _, p := range fresh {
			p.said.Rev = room.Rev
		}
		return nil
	})
}

type nonceKey struct {
	authorID int64
	nonce    string
}

type knownNonce struct {
	seq int64
	sum []byte // nil: deleted since, any text is taken for the first one
}

func (s *Store) knownNonces(ctx context.Context, tx *sqlx.Tx, roomID int64, batch []*pendingSay) (map[nonceKey]knownNonce, error) {
	authors, nonces := make([]int64, len(batch)), make([]string, len(batch))
	for i, p := range batch {
		authors[i], nonces[i] = p.authorID, p.nonce
	}
	rows, err := tx.StmtxContext(ctx, s.findNonces).QueryxContext(ctx, roomID, pq.Array(authors), pq.Array(nonces))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := make(map[nonceKey]knownNonce, len(batch))
	for rows.Next() {
		var key nonceKey
		var k knownNonce
		if err := rows.Scan(&key.authorID, &key.nonce, &k.seq, &k.sum); err != nil {
			return nil, err
		}
		known[key] = k
	}
	return known, rows.Err()
}

// NewNonce makes a nonce for a form.
func NewNonce() string { return uuid.NewString() }

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.UTC().Date()
	by, bm, bd := b.UTC().Date()
	return ay == by && am == bm && ad == bd
}
