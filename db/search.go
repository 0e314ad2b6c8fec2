package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// Search is what is looked for. Everything that is set must hold.
type Search struct {
	// Terms is a tsquery of package search, or "". Wants says that something in
	// it must be there, so that the index can look it up.
	Terms string
	Wants bool
	// Authors and Rooms are ids, any of them; empty: all.
	Authors, Rooms []int64
	// After is the earliest time, Before the first one that is too late; zero:
	// whenever.
	After, Before time.Time
	// Has names what a message must have: file, image, mention, reply, reaction
	// or pin. Anything else finds nothing.
	Has []string
	// Matches, if not nil, has the last word on what the index found.
	Matches func(chat.Message) bool
	// Older wants what was said before this place; zero: the newest.
	Older Moment
	Most  int // results
}

// Moment is a place in the order of all messages of all rooms: by time, then by
// room and seq.
type Moment struct {
	SaidAt      time.Time
	RoomID, Seq int64
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
}

// mayRead says which messages m one may read, and so find. All rooms are
// public; a room that is not adds its condition here.
const mayRead = `true`

// hasSQL are the conditions for Search.Has. Each has an index of its own in the
// order of time.
var hasSQL = map[string]string{
	"file": `m.files > 0`,
	"image": `m.files > 0 and exists (
		select from files f where f.room_id = m.room_id and f.seq = m.seq and f.type like 'image/%')`,
	"mention":  `m.mentioned is not null`,
	"reply":    `m.parent_seq is not null`,
	"reaction": `m.reactions > 0`,
	"pin":      `m.pinned_at is not null`,
}

// Author and room are lexemes among a message's terms, so that a word of one
// person in one room is one look-up. Words of texts don't begin like these.
func authorLexeme(id int64) string { return "'@" + strconv.FormatInt(id, 10) + "'" }
func roomLexeme(id int64) string   { return "'#" + strconv.FormatInt(id, 10) + "'" }

// termsOf is everything that a message is found by, as Postgres reads it.
func termsOf(t Text, roomID, authorID int64) string {
	return t.Terms + " " + authorLexeme(authorID) + " " + roomLexeme(roomID)
}

// How a search is done follows from how often something is said. What is said
// often is found soon by going back in time and looking at each message, while
// its long list in the index, and all the messages there, would have to be read
// to know the latest. What is said rarely is found by the index at once, while
// going back would not come to an end. So a search first goes back over as many
// messages as cost little; then asks the index for at most as many as cost
// little; and only what is in neither, being frequent and long ago, is gone back
// for as far as the time allows.
const (
	fewBack = 3000 // messages gone back over
	fewHits = 800  // messages that the index may lead to
)

// searchFor is how long each of the ways may take.
const searchFor = 2 * time.Second

// searchPlans are for connections that search. Everything depends on what is
// looked for, so each statement is planned for it.
var searchPlans = fmt.Sprintf(`set plan_cache_mode = force_custom_plan; set enable_seqscan = off; set jit = off;
	set default_transaction_read_only = on; set statement_timeout = %d`, searchFor.Milliseconds())

// searchSQL makes the statement that finds messages.
type searchSQL struct {
	where []string
	args  []any
}

func (q *searchSQL) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
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
	return q
}

// terms is the whole tsquery.
func (want Search) terms() string {
	var and []string
	if want.Terms != "" {
		and = append(and, want.Terms)
	}
	for _, any := range []struct {
		ids    []int64
		lexeme func(int64) string
	}{{want.Authors, authorLexeme}, {want.Rooms, roomLexeme}} {
		if len(any.ids) == 0 {
			continue
		}
		or := make([]string, len(any.ids))
		for i, id := range any.ids {
			or[i] = any.lexeme(id)
		}
		and = append(and, "("+strings.Join(or, " | ")+")")
	}
	return strings.Join(and, " & ")
}

// inOrder is the latest first.
const inOrder = ` order by m.said_at desc, m.room_id desc, m.seq desc limit `

// back goes back in time over so many messages at most; 0: over all.
func back(want Search, over int) (string, []any) {
	q := conditions(want)
	if len(want.Rooms) == 1 { // for the index in one room's order
		q.and(`m.room_id = ` + q.arg(want.Rooms[0]))
	}
	if o := want.Older; o != (Moment{}) {
		q.and(fmt.Sprintf(`(m.said_at, m.room_id, m.seq) < (%s, %s, %s)`, q.arg(o.SaidAt), q.arg(o.RoomID), q.arg(o.Seq)))
	}
	terms, limit := want.terms(), ``
	if over > 0 {
		limit = inOrder + strconv.Itoa(over)
	} else if terms != "" {
		q.and(`m.terms @@ ` + q.arg(terms) + `::tsquery`)
		terms = ""
	}
	from := `messages m where ` + strings.Join(q.where, ` and `)
	if limit != "" {
		from = `(select m.said_at, m.room_id, m.seq, m.terms from ` + from + limit + `) m where true`
		if terms != "" {
			from += ` and m.terms @@ ` + q.arg(terms) + `::tsquery`
		}
	}
	return `select m.said_at, m.room_id, m.seq, 0 as hits from ` + from + inOrder + q.arg(want.Most+1), q.args
}

// byIndex looks the terms up. With more than fewHits it found only some of
// them, in no order. The place is written so that no other index can be used for
// it: the planner might go over everything, which was tried before.
func byIndex(want Search) (string, []any) {
	q := conditions(want)
	if o := want.Older; o != (Moment{}) {
		q.and(fmt.Sprintf(`(m.said_at + interval '0', m.room_id, m.seq) < (%s, %s, %s)`, q.arg(o.SaidAt), q.arg(o.RoomID), q.arg(o.Seq)))
	}
	q.and(`m.terms @@ ` + q.arg(want.terms()) + `::tsquery`)
	return `with few as materialized (
			select m.said_at, m.room_id, m.seq from messages m where ` + strings.Join(q.where, ` and `) + ` limit ` + strconv.Itoa(fewHits+1) + `)
		select m.said_at, m.room_id, m.seq, (select count(*) from few) as hits from few m` + inOrder + q.arg(want.Most+1), q.args
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
	err := again(ctx, func() (err error) {
		found, err = s.search(ctx, want)
		var pqErr *pq.Error
		if errors.As(err, &pqErr) && pqErr.Code == "57014" && ctx.Err() == nil { // it took longer than it may
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
				found.Older = momentOf(found.Hits[want.Most-1].Message)
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

func momentOf(m chat.Message) *Moment {
	return &Moment{SaidAt: m.SaidAt, RoomID: m.RoomID, Seq: m.Seq}
}

// moments finds where the next results stand: one more than wanted, if there
// are more.
func (s *Store) moments(ctx context.Context, want Search) ([]Moment, error) {
	type row struct {
		SaidAt time.Time `db:"said_at"`
		RoomID int64     `db:"room_id"`
		Seq    int64     `db:"seq"`
		Hits   int       `db:"hits"`
	}
	ask := func(query string, args []any) (rows []row, err error) {
		return rows, s.searching.SelectContext(ctx, &rows, query, args...)
	}
	lookUp := want.Wants || len(want.Authors) > 0 || len(want.Rooms) > 0
	over := fewBack
	if !lookUp {
		over = 0
	}
	rows, err := ask(back(want, over))
	if err == nil && lookUp && len(rows) <= want.Most {
		rows, err = ask(byIndex(want))
		if err == nil && len(rows) > 0 && rows[0].Hits > fewHits {
			rows, err = ask(back(want, 0))
		}
	}
	out := make([]Moment, len(rows))
	for i, r := range rows {
		out[i] = Moment{r.SaidAt, r.RoomID, r.Seq}
	}
	return out, err
}

var hitsSQL = `select hit.*, r.slug, r.name from (` + selectMessages + `
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
		Slug string `db:"slug"`
		Name string `db:"name"`
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
			hits = append(hits, Hit{Room: chat.Room{ID: rows[i].RoomID, Slug: rows[i].Slug, Name: rows[i].Name}, Message: messages[i]})
		}
	}
	return hits, nil
}

// FirstSince finds a room's first message at or after a time. It is a refusal
// if there is none.
func (s *Store) FirstSince(ctx context.Context, roomID int64, at time.Time) (seq int64, err error) {
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &seq, `
			select seq from messages where room_id = $1 and said_at >= $2 order by room_id, said_at, seq limit 1`, roomID, at)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, chat.Refuse(chat.NotFound, chat.NothingSince)
	}
	if err != nil {
		return 0, fmt.Errorf("find the first message of room %d since %s: %w", roomID, at, err)
	}
	return seq, nil
}

// PeopleCalled are the ids of those who have these nicknames, by the folded
// name. Names that nobody has are left out.
func (s *Store) PeopleCalled(ctx context.Context, nicks []chat.Nickname) (map[string]int64, error) {
	if len(nicks) == 0 {
		return nil, nil
	}
	folded := make([]string, len(nicks))
	for i, n := range nicks {
		folded[i] = n.Folded
	}
	var rows []struct {
		ID     int64  `db:"id"`
		Folded string `db:"folded"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `select id, folded from people where folded = any($1)`, pq.Array(folded))
	})
	if err != nil {
		return nil, fmt.Errorf("look for people by %d names: %w", len(nicks), err)
	}
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.Folded] = r.ID
	}
	return out, nil
}

// RoomsCalled are rooms by what they are asked for as: a slug, also an earlier
// one, or a name. Of each it gives id, slug and name only; what no room is
// called is left out.
func (s *Store) RoomsCalled(ctx context.Context, names []string) (map[string]chat.Room, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var rows []struct {
		roomRow
		Asked string `db:"asked"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select x.asked, r.id, r.slug, r.name from unnest($1::text[]) as x(asked)
			join rooms r on r.id = coalesce(
				(select room_id from room_slugs where slug = lower(x.asked)),
				(select room_id from room_slugs where slug = x.asked),
				(select id from rooms where lower(name) = lower(x.asked)))`, pq.Array(names))
	})
	if err != nil {
		return nil, fmt.Errorf("look for rooms by %d names: %w", len(names), err)
	}
	out := make(map[string]chat.Room, len(rows))
	for _, r := range rows {
		out[r.Asked] = r.room()
	}
	return out, nil
}

// MostRecent is how many searches are remembered of a person.
const MostRecent = 10

// Remember notes what a person looked for. Only the latest are kept.
func (s *Store) Remember(ctx context.Context, personID int64, query string) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `insert into searches (person_id, query, searched_at) values ($1, $2, $3)
			on conflict (person_id, query) do update set searched_at = excluded.searched_at`, personID, query, s.now()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `delete from searches where person_id = $1 and query in (
			select query from searches where person_id = $1 order by searched_at desc, query offset $2)`, personID, MostRecent)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember a search of person %d: %w", personID, err)
	}
	return nil
}

// Recent are the person's searches, the latest first.
func (s *Store) Recent(ctx context.Context, personID int64) ([]string, error) {
	var queries []string
	err := again(ctx, func() error {
		queries = nil
		return s.DB.SelectContext(ctx, &queries,
			`select query from searches where person_id = $1 order by searched_at desc, query limit $2`, personID, MostRecent)
	})
	if err != nil {
		return nil, fmt.Errorf("read the searches of person %d: %w", personID, err)
	}
	return queries, nil
}

// Forget takes a search away from the remembered ones; "" takes all.
func (s *Store) Forget(ctx context.Context, personID int64, query string) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `delete from searches where person_id = $1 and (query = $2 or $2 = '')`, personID, query)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget a search of person %d: %w", personID, err)
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

// NoteTerms stores what messages are found by, as it follows from them; terms
// are those of package search for each. A message that was changed meanwhile,
// or is being changed, is left out. Nothing that a room shows changes by it.
func (s *Store) NoteTerms(ctx context.Context, messages []chat.Message, terms []string) error {
	n := len(messages)
	rooms, seqs, versions, all := make([]int64, n), make([]int64, n), make([]int64, n), make([]string, n)
	for i, m := range messages {
		rooms[i], seqs[i], versions[i] = m.RoomID, m.Seq, int64(m.Version)
		all[i] = termsOf(Text{Terms: terms[i]}, m.RoomID, m.Author.ID)
	}
	// It never waits for a row, and so for nobody in a circle.
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			with free as (
				select m.room_id, m.seq, x.terms
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

// TidySearch sorts new terms into the index (see migration 00007). Without new
// ones it does nothing.
func (s *Store) TidySearch(ctx context.Context) error {
	if _, err := s.DB.ExecContext(ctx, `select gin_clean_pending_list('messages_terms')`); err != nil {
		return fmt.Errorf("sort new terms into the index: %w", err)
	}
	return nil
}
