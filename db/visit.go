package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"

	"parlor/app/chat"
)

// ErrAway is told when the database went away while somebody waited for it.
// IsAway knows it.
var ErrAway = errors.New("the database went away")

// Visit is what a request must know first.
type Visit struct {
	Room   chat.Room    // ID 0: the visit is to no room
	Person *chat.Person // nil: without a session
	Day    int64        // of the last visit that was noted (SessionDay)
	// Member is what the person has to do with the room; its Calls are not
	// counted.
	Member chat.Membership
}

// pendingVisit is a request that waits to be told who sent it.
type pendingVisit struct {
	slug, token string

	visit Visit
	err   error
	done  chan struct{}
}

// visitQueue gathers visits: those that come while others are looked up go
// together into the next query.
type visitQueue struct {
	mu      sync.Mutex
	waiting []*pendingVisit
	running int       // queries
	began   time.Time // the latest of them
}

const (
	mostVisits = 64 // in a query
	// stuckAfter is when visits stop waiting for the query under way: it may
	// be on a connection that is dead, and others are not.
	stuckAfter = time.Second
)

const visitSQL = `
	select q.n, coalesce(r.id, 0), coalesce(r.slug, ''), coalesce(r.name, ''), coalesce(r.topic, ''), coalesce(r.maker_id, 0),
	       coalesce(r.rev, 0), coalesce(r.about_rev, 0), coalesce(r.said, 0), coalesce(r.last_seq, 0), r.last_said_at, coalesce(r.previews, false), coalesce(r.pins, 0),
	       coalesce(x.day, 0), coalesce(p.id, 0), coalesce(p.nickname, ''), coalesce(p.hue, 0), coalesce(p.renames, 0), coalesce(p.status, ''),
	       b.known is not null, coalesce(b.read_seq, 0), coalesce(` + knownSQL + `, 0), coalesce(b.read_turn, 0),
	       coalesce(b.level, 'all'), coalesce(b.draft, ''), coalesce(b.draft_tab, ''),
	       (select epoch from house)
	from unnest($1::text[], $2::bytea[]) with ordinality as q(slug, token_hash, n)
	left join room_slugs s on s.slug = q.slug
	left join rooms r on r.id = s.room_id
	left join sessions x on x.token_hash = q.token_hash and x.expiry > $3
	left join people p on p.id = x.person_id
	left join memberships b on b.room_id = r.id and b.person_id = p.id`

// Visit finds a room by its slug, or by one that it had earlier, and the
// person of a session: one query, which visits at the same moment share. Slug
// or token may be ""; an unknown token is a visit without a session. It does
// not wait for a database that is found to be away meanwhile.
func (s *Store) Visit(ctx context.Context, slug, token string) (Visit, error) {
	if slug != "" && !chat.ValidSlug(slug) { // also: it could fail the others' query
		return Visit{}, chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	}
	v := &pendingVisit{slug: slug, token: token, done: make(chan struct{})}
	s.visits.mu.Lock()
	s.visits.waiting = append(s.visits.waiting, v)
	free := s.visits.running == 0 || time.Since(s.visits.began) > stuckAfter
	if free {
		s.visits.running++
		s.visits.began = time.Now()
	}
	s.visits.mu.Unlock()
	if free {
		go s.lookUpVisits()
	}
	select {
	case <-v.done:
	case <-ctx.Done():
		return Visit{}, fmt.Errorf("visit room %q: %w", slug, ctx.Err())
	case <-s.Gone():
		return Visit{}, fmt.Errorf("visit room %q: %w", slug, ErrAway)
	}
	if v.err == nil && slug != "" && v.visit.Room.ID == 0 {
		v.err = chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	}
	if v.err != nil {
		return v.visit, fmt.Errorf("visit room %q: %w", slug, v.err)
	}
	return v.visit, nil
}

// lookUpVisits looks up what waits until nothing does.
func (s *Store) lookUpVisits() {
	for {
		s.visits.mu.Lock()
		batch := s.visits.waiting
		if len(batch) == 0 {
			s.visits.running--
			s.visits.mu.Unlock()
			return
		}
		batch = batch[:min(len(batch), mostVisits)]
		s.visits.waiting = s.visits.waiting[len(batch):]
		if len(s.visits.waiting) == 0 {
			s.visits.waiting = nil
		}
		s.visits.began = time.Now()
		s.visits.mu.Unlock()

		// Not the context of any one request. A context that can end would
		// cost the driver two more goroutines, and not make it stop: the limit
		// is the connection's (see dialer).
		err := again(context.Background(), func() error { return s.visitBatch(batch) })
		for _, v := range batch {
			v.err = err
			close(v.done)
		}
	}
}

func (s *Store) visitBatch(batch []*pendingVisit) error {
	slugs, hashes := make([]string, len(batch)), make([][]byte, len(batch))
	for i, v := range batch {
		slugs[i], hashes[i] = v.slug, tokenHash(v.token)
	}
	rows, err := s.visit.QueryContext(context.Background(), pq.Array(slugs), pq.Array(hashes), s.now())
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var v Visit
		var p chat.Person
		var lastSaidAt sql.Null[time.Time]
		r, b := &v.Room, &v.Member
		if err := rows.Scan(&n, &r.ID, &r.Slug, &r.Name, &r.Topic, &r.MakerID, &r.Rev, &r.AboutRev, &r.Said, &r.LastSeq, &lastSaidAt, &r.Previews, &r.Pins,
			&v.Day, &p.ID, &p.Nickname, &p.Hue, &p.Renames, &p.Status,
			&b.Marked, &b.ReadSeq, &b.Known, &b.Turn, &b.Level, &b.Draft, &b.DraftTab, &r.Epoch); err != nil {
			return err
		}
		r.LastSaidAt = lastSaidAt.V
		if p.ID != 0 {
			v.Person = &p
			b.RoomID, b.PersonID = r.ID, p.ID
		}
		batch[n-1].visit = v
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.sawEpoch(batch[0].visit.Room.Epoch)
	return nil
}
