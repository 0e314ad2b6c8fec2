package db

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// Said is the answer to Say: where the message stands.
type Said struct {
	Seq int64
	Rev int64 // the room's number after the commit that holds the message
}

// Text is what a message says, ready to be stored.
type Text struct {
	Body string // with people as chat.Mention writes them
	// Mentions are the people whom the text calls.
	Mentions []Mention
	// Links are the addresses that previews are shown of, each as
	// unfurl.Target writes it, none twice.
	Links []string
}

// Mention is somebody whose attention is wanted.
type Mention struct {
	PersonID int64
	// Here says that everybody who was in the room is called, not by name.
	Here bool
}

func (m Mention) reason() string {
	if m.Here {
		return "here"
	}
	return "mention"
}

// Post is a message that is to be said.
type Post struct {
	AuthorID int64
	Nonce    string // a canonical UUID
	Text
	Emote     bool
	ParentSeq int64   // the message it answers, which the caller has seen; or 0
	Files     []int64 // that its author brought to the room before
	Terms     string  // of package search: what it is found by
	// Typed is the text as it was typed, by which a repeated post is told from
	// another one: what it is made of may be called otherwise the next time.
	Typed string
}

// Calls tells whether the post may want somebody's attention.
func (p Post) Calls() bool { return len(p.Mentions) > 0 || p.ParentSeq != 0 }

// sum is the same for the same post.
func (p Post) sum() []byte {
	what := cmp.Or(p.Typed, p.Body)
	if p.Emote || p.ParentSeq != 0 || len(p.Files) > 0 { // \x00 is in no text
		what = fmt.Sprintf("%s\x00%t %d %v", what, p.Emote, p.ParentSeq, p.Files)
	}
	sum := sha256.Sum256([]byte(what))
	return sum[:]
}

// pendingSay is one post that waits for its room's next batch.
type pendingSay struct {
	Post

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
func (s *Store) Say(ctx context.Context, roomID int64, post Post) (Said, error) {
	p := &pendingSay{Post: post, done: make(chan struct{})}
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

// The function say is in migration 00013: one statement, so one trip to the
// server, and its own transaction.
const saySQL = `
	select at_seq, at_rev, reused from say($1, $2, $3, $4, $5, $6, $7, $8, $9, (
			select array_agg(replace(t.terms, ` + stretchMark + `, s.n || ':') order by t.i)
			from unnest($10::text[]) with ordinality as t(terms, i), (
				select n from stretches where since <= $2 order by since desc limit 1) as s
		), $11, $12, $13, $14, $15)`

// sayBatch stores posts of one room in one transaction. Posts that fail for a
// reason of their own get their err; a returned error concerns all.
//
// Whether a message begins a group or a day is decided under the room's lock
// by the clock of this program, read before it waits for the lock.
func (s *Store) sayBatch(roomID int64, batch []*pendingSay) error {
	// Not the context of any one request: the commit belongs to all of them.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n := len(batch)
	authors, nonces, sums, bodies := make([]int64, n), make([]string, n), make([][]byte, n), make([]string, n)
	emotes, parents, terms := make([]bool, n), make([]sql.NullInt64, n), make([]string, n)
	mentionPosts, mentionPeople, mentionReasons := []int64{}, []int64{}, []string{}
	filePosts, fileIDs := []int64{}, []int64{}
	for i, p := range batch {
		authors[i], nonces[i], sums[i], bodies[i] = p.AuthorID, p.Nonce, p.sum(), p.Body
		emotes[i] = p.Emote
		parents[i] = sql.NullInt64{Int64: p.ParentSeq, Valid: p.ParentSeq != 0}
		terms[i] = termsOf(p.Terms, roomID, p.AuthorID)
		for _, m := range p.Mentions {
			mentionPosts, mentionPeople = append(mentionPosts, int64(i+1)), append(mentionPeople, m.PersonID)
			mentionReasons = append(mentionReasons, m.reason())
		}
		for _, id := range p.Files {
			filePosts, fileIDs = append(filePosts, int64(i+1)), append(fileIDs, id)
		}
	}
	rows, err := s.say.QueryContext(ctx, roomID, s.now(), groupGap, pq.Array(authors), pq.Array(nonces), pq.Array(sums),
		pq.Array(bodies), pq.Array(emotes), pq.Array(parents), pq.Array(terms),
		pq.Array(mentionPosts), pq.Array(mentionPeople), pq.Array(mentionReasons), pq.Array(filePosts), pq.Array(fileIDs))
	if err != nil {
		return err
	}
	defer rows.Close()
	answered := 0
	for ; rows.Next(); answered++ {
		p, reused := batch[answered], false
		if err := rows.Scan(&p.said.Seq, &p.said.Rev, &reused); err != nil {
			return err
		}
		if p.err = nil; reused {
			p.err = &chat.Error{Kind: chat.Conflict, Field: "body", Reason: chat.NonceReused}
		}
	}
	// Only now it is known to be committed: the answer's last piece says so.
	if err := rows.Err(); err != nil {
		return err
	}
	if answered == 0 {
		return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	}
	s.committed(len(batch))
	return nil
}

// groupGap is chat.GroupGap as Postgres reads it.
var groupGap = fmt.Sprintf("%d seconds", int(chat.GroupGap.Seconds()))

// NewNonce makes a nonce for a form.
func NewNonce() string { return uuid.NewString() }
