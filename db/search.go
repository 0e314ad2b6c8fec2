package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"parlor/app/chat"
)

// Search is what is looked for. Everything that is set must hold.
type Search struct {
	// Terms is a tsquery of package search, or "". Wants says that something in
	// it must be there, so that the index can look it up.
	Terms string
	Wants bool
	// Authors and Rooms are ids, any of them; empty: all. NotAuthors and NotRooms
	// are ids, none of them.
	Authors, Rooms       []int64
	NotAuthors, NotRooms []int64
	// After is the earliest time, Before the first one that is too late; zero:
	// whenever.
	After, Before time.Time
	// Has names what a message must have besides, HasNot what it must not:
	// reaction or pin. Nothing has anything else.
	Has, HasNot []string
	// Matches, if not nil, has the last word on what the index found.
	Matches func(chat.Message) bool
	// Older wants what was said before this place; zero: the newest.
	Older Moment
	Most  int // results
}

// Moment is a place in the order of results: by stretch, then by time, room and
// seq. The stretch is 0 where nothing was looked up. It comes first because it is
// what a message was filed under for good, whatever the clocks of nodes said.
type Moment struct {
	Stretch int64     `db:"stretch"`
	SaidAt  time.Time `db:"said_at"`
	RoomID  int64     `db:"room_id"`
	Seq     int64     `db:"seq"`
}

// Found are results, the latest first.
type Found struct {
	Hits []Hit
	// Older is where the next page goes on; nil: that was all.
	Older *Moment
}

// Hit is a message that was found, and its room.
type Hit struct {
	Room    chat.Room // its id, slug and name only
	Message chat.Message
	at      Moment
}

// mayRead says which messages m one may read, and so find. All rooms are
// public; a room that is not adds its condition here.
const mayRead = `true`

// hasSQL are the conditions for Search.Has. Each has an index of its own in the
// order of time.
var hasSQL = map[string]string{
	"reaction": `m.reactions > 0`,
	"pin":      `m.pinned_at is not null`,
}

// searchFor is how long a search may take.
const searchFor = 2 * time.Second

// searchPlans are for connections that search. Everything depends on what is
// looked for, so each statement is planned for it.
var searchPlans = fmt.Sprintf(`set plan_cache_mode = force_custom_plan; set enable_seqscan = off; set jit = off;
	set max_parallel_workers_per_gather = 0; set default_transaction_read_only = on; set statement_timeout = %d`, searchFor.Milliseconds())

// searchSQL makes the statement that finds messages.
type searchSQL struct {
	where []string
	args  []any
}

func (q *searchSQL) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// before is what comes after a moment in the order of results.
func (q *searchSQL) before(o Moment) string {
	return fmt.Sprintf(`(m.said_at, m.room_id, m.seq) < (%s, %s, %s)`, q.arg(o.SaidAt), q.arg(o.RoomID), q.arg(o.Seq))
}

func (q *searchSQL) and(condition string) { q.where = append(q.where, condition) }

// conditions are all but the terms.
func conditions(want Search) *searchSQL {
	q := &searchSQL{where: []string{mayRead, `m.deleted_at is null`}}
	if !want.After.IsZero() {
		q.and(`m.said_at >= ` + q.arg(want.After))
	}
	if !want.Before.IsZero() {
		q.and(`m.said_at < ` + q.arg(want.Before))
	}
	for _, h := range want.Has {
		condition, known := hasSQL[h]
		if !known {
			condition = `false`
		}
		q.and(condition)
	}
	for _, h := range want.HasNot {
		if condition, known := hasSQL[h]; known {
			q.and(`not (` + condition + `)`)
		}
	}
	return q
}

// terms is the whole tsquery.
func (want Search) terms() string {
	var and []string
	if want.Terms != "" {
		and = append(and, want.Terms)
	}
	for _, any := range []struct {
		not    string
		ids    []int64
		lexeme func(int64) string
	}{{"", want.Authors, authorLexeme}, {"", want.Rooms, roomLexeme}, {"!", want.NotAuthors, authorLexeme}, {"!", want.NotRooms, roomLexeme}} {
		if len(any.ids) == 0 {
			continue
		}
		or := make([]string, len(any.ids))
		for i, id := range any.ids {
			or[i] = any.lexeme(id)
		}
		and = append(and, any.not+"("+strings.Join(or, " | ")+")")
	}
	return strings.Join(and, " & ")
}

// latest puts the latest first.
const latest = ` order by m.said_at desc, m.room_id desc, m.seq desc limit `

// inStretches looks the terms up, in one stretch of time after the other, the
// latest first, until there are enough. The inner loop is run for each stretch
// in turn, and no more often than the outer limit asks for.
//
// The look-up is fenced off by its offset: whatever else must hold, no other
// index is tried for it.
func inStretches(want Search) (string, []any) {
	q := conditions(want)
	terms := q.arg(want.terms())
	stretches := `true`
	if !want.After.IsZero() {
		stretches += ` and n >= (select n from stretches where since <= ` + q.arg(want.After.Add(-clocksDiffer)) + ` order by since desc limit 1)`
	}
	if !want.Before.IsZero() {
		stretches += ` and since < ` + q.arg(want.Before.Add(clocksDiffer))
	}
	if o := want.Older; o != (Moment{}) {
		n := q.arg(o.Stretch)
		stretches += ` and n <= ` + n
		q.and(`(s.n < ` + n + ` or ` + q.before(o) + `)`)
	}
	most := q.arg(want.Most + 1)
	return `select s.n as stretch, m.* from (select n from stretches where ` + stretches + ` order by n desc) s
		cross join lateral (
			select m.said_at, m.room_id, m.seq
			from (select * from messages where terms @@ replace(` + terms + `, ` + stretchMark + `, s.n || ':')::tsquery offset 0) m
			where ` + strings.Join(q.where, ` and `) + latest + most + `) m
		limit ` + most, q.args
}

// back goes back in time over messages: where nothing can be looked up, or where
// little is to be gone over. The stretch is taken from one of a message's lexemes.
func back(want Search) (string, []any) {
	q := conditions(want)
	if o := want.Older; o != (Moment{}) {
		q.and(q.before(o))
	}
	if terms := want.terms(); terms != "" {
		q.and(`m.terms @@ replace(` + q.arg(terms) + `, ` + stretchMark + `, split_part((tsvector_to_array(m.terms))[1], ':', 1) || ':')::tsquery`)
	}
	return `select 0 as stretch, m.said_at, m.room_id, m.seq from messages m where ` + strings.Join(q.where, ` and `) +
		latest + q.arg(want.Most+1), q.args
}

// Search finds messages. Where there is too much to look at it refuses, with
// chat.SearchTooBroad.
func (s *Store) Search(ctx context.Context, want Search) (Found, error) {
	var found Found
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-ctx.Done():
		return found, fmt.Errorf("wait to search: %w", ctx.Err())
	case <-time.After(searchFor):
		return found, chat.Refuse(chat.TooMany, chat.SearchBusy)
	}
	asked := ctx
	ctx, cancel := context.WithTimeout(asked, searchFor)
	defer cancel()
	err := again(ctx, func() (err error) {
		found, err = s.search(ctx, want)
		var pqErr *pq.Error
		tooLong := errors.As(err, &pqErr) && pqErr.Code == "57014" || errors.Is(err, context.DeadlineExceeded)
		if tooLong && asked.Err() == nil {
			return chat.Refuse(chat.Invalid, chat.SearchTooBroad)
		}
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// search goes on until the page is full: what the index finds is nearly always
// what is wanted, but Matches has the last word.
func (s *Store) search(ctx context.Context, want Search) (found Found, err error) {
	for {
		moments, err := s.moments(ctx, want)
		if err != nil {
			return found, err
		}
		more := len(moments) > want.Most
		moments = moments[:min(len(moments), want.Most)]
		hits, err := s.readHits(ctx, moments)
		if err != nil {
			return found, err
		}
		for _, h := range hits {
			if want.Matches != nil && !want.Matches(h.Message) {
				continue
			}
			if len(found.Hits) == want.Most {
				found.Older = &found.Hits[want.Most-1].at
				return found, nil
			}
			found.Hits = append(found.Hits, h)
		}
		if !more {
			return found, nil
		}
		if want.Older = moments[len(moments)-1]; len(found.Hits) == want.Most {
			found.Older = &want.Older
			return found, nil
		}
	}
}

// moments finds where the next results stand: one more than wanted, if there
// are more.
func (s *Store) moments(ctx context.Context, want Search) (moments []Moment, err error) {
	find := back
	if (want.Wants || len(want.Authors) > 0 || len(want.Rooms) > 0) && !slices.Contains(want.Has, "pin") { // pins are few
		find = inStretches
	}
	query, args := find(want)
	return moments, s.searching.SelectContext(ctx, &moments, query, args...)
}

var hitsSQL = `select hit.*, r.slug, r.name, r.previews as with_previews from (` + selectMessages + `
		join unnest($1::bigint[], $2::bigint[]) as found(room_id, seq) on m.room_id = found.room_id and m.seq = found.seq
		where m.deleted_at is null and ` + mayRead + `) as hit
	join rooms r on r.id = hit.room_id`

// readHits reads the messages at the moments, in their order.
func (s *Store) readHits(ctx context.Context, moments []Moment) ([]Hit, error) {
	if len(moments) == 0 {
		return nil, nil
	}
	rooms, seqs := make([]int64, len(moments)), make([]int64, len(moments))
	for i, m := range moments {
		rooms[i], seqs[i] = m.RoomID, m.Seq
	}
	var rows []struct {
		messageRow
		Slug         string `db:"slug"`
		Name         string `db:"name"`
		WithPreviews bool   `db:"with_previews"`
	}
	if err := s.hits.SelectContext(ctx, &rows, pq.Array(rooms), pq.Array(seqs)); err != nil {
		return nil, err
	}
	messageRows := make([]messageRow, len(rows))
	for i, r := range rows {
		messageRows[i] = r.messageRow
	}
	messages, err := toMessages(messageRows)
	if err != nil {
		return nil, err
	}
	hits := make([]Hit, 0, len(messages))
	for _, at := range moments {
		i := slices.IndexFunc(messages, func(m chat.Message) bool { return m.RoomID == at.RoomID && m.Seq == at.Seq })
		if i >= 0 { // else it was deleted in this moment
			if !rows[i].WithPreviews { // nobody sees them
				messages[i].Previews = nil
			}
			hits = append(hits, Hit{Room: chat.Room{ID: rows[i].RoomID, Slug: rows[i].Slug, Name: rows[i].Name}, Message: messages[i], at: at})
		}
	}
	return hits, nil
}

// FirstSince finds a room's first message at or after a time, or its newest if
// there is none: 0 in a room in which nothing was said.
func (s *Store) FirstSince(ctx context.Context, roomID int64, at time.Time) (seq int64, err error) {
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &seq, `
			select coalesce(
				(select seq from messages where room_id = $1 and said_at >= $2 order by room_id, said_at, seq limit 1),
				(select seq from messages where room_id = $1 order by room_id desc, seq desc limit 1),
				0)`, roomID, at)
	})
	if err != nil {
		return 0, fmt.Errorf("find the first message of room %d since %s: %w", roomID, at, err)
	}
	return seq, nil
}
