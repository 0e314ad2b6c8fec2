package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"parlor/app/chat"
)

// membershipRow is a membership as the queries below select it.
type membershipRow struct {
	RoomID   int64         `db:"room_id"`
	PersonID int64         `db:"person_id"`
	Known    sql.NullInt64 `db:"known"`
	ReadSeq  int64         `db:"read_seq"`
	Turn     int           `db:"read_turn"`
	Level    string        `db:"level"`
	Calls    int           `db:"calls"`
	Draft    string        `db:"draft"`
	DraftTab string        `db:"draft_tab"`
}

func (r membershipRow) membership() chat.Membership {
	return chat.Membership{
		RoomID: r.RoomID, PersonID: r.PersonID, Marked: r.Known.Valid, ReadSeq: r.ReadSeq, Known: r.Known.Int64, Turn: r.Turn,
		Level: chat.Level(r.Level), Calls: r.Calls, Draft: r.Draft, DraftTab: r.DraftTab,
	}
}

// knownSQL is chat.Membership.Known of a membership b; null: there is no mark. Of
// others' messages that were deleted behind the mark it counts no more than
// move_mark does of one's own.
const knownSQL = `case when b.known is not null then b.known + (
	select count(*) from (
	    select from messages m where m.room_id = b.room_id and m.seq > b.read_seq and m.deleted_at is not null and m.author_id <> b.person_id
	    limit 10000) as gone) end`

// belongSQL makes people members of a room.
const belongSQL = `insert into memberships (room_id, person_id) select $1, unnest($2::bigint[]) on conflict do nothing`

// mostMemberships is how many rooms of a person are followed: those that are
// open, and those where something was said last.
const mostMemberships = 200

// A person's rooms, with the mentions above each mark and what was deleted there:
// a step in an index for each of them and every room. Drafts are long, and read
// only where they are wanted.
const membershipsSQL = `
	select b.room_id, b.person_id, ` + knownSQL + ` as known, b.read_seq, b.read_turn,
	       b.level, case when b.open then b.draft else '' end as draft, case when b.open then b.draft_tab else '' end as draft_tab,
	       case when b.level in ('all', 'mentions') then (
	           select count(*) from (
	               select from mentions m where m.person_id = b.person_id and m.room_id = b.room_id and m.seq > b.read_seq limit $2) as few
	       ) else 0 end as calls
	from unnest($1::bigint[]) as who(id)
	cross join lateral (
	    select b.*, seat.room_id is not null as open
	    from memberships b join rooms r on r.id = b.room_id
	    left join (select distinct room_id, person_id from unnest($4::bigint[], $5::bigint[]) as at(room_id, person_id)) as seat on seat.room_id = b.room_id and seat.person_id = b.person_id
	    where b.person_id = who.id order by open desc, r.last_said_at desc limit $3) as b`

// Memberships reads what people have to do with their rooms, in one query, with
// the drafts of those that are open.
func (s *Store) Memberships(ctx context.Context, people []int64, open []DraftPlace) ([]chat.Membership, error) {
	var rows []membershipRow
	rooms, seated := make([]int64, len(open)), make([]int64, len(open))
	for i, seat := range open {
		rooms[i], seated[i] = seat.RoomID, seat.PersonID
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.memberships.SelectContext(ctx, &rows, pq.Array(people), chat.MostCalls, mostMemberships, pq.Array(rooms), pq.Array(seated))
	})
	if err != nil {
		return nil, fmt.Errorf("read the memberships of %d people: %w", len(people), err)
	}
	out := make([]chat.Membership, len(rows))
	for i, r := range rows {
		out[i] = r.membership()
	}
	return out, nil
}

// Read notes that a person has read a room up to its number upTo, or to its
// end where that is less. The mark never goes back, and what was read before it
// was set back (turn; -1 is any) does not count. It tells whether it moved.
func (s *Store) Read(ctx context.Context, roomID, personID, upTo int64, turn int) (bool, error) {
	var moved bool
	err := again(ctx, func() error {
		return s.read.GetContext(ctx, &moved, roomID, personID, upTo, sql.NullInt64{Int64: int64(turn), Valid: turn >= 0}, s.now())
	})
	if err != nil {
		return false, fmt.Errorf("note what person %d read in room %d: %w", personID, roomID, err)
	}
	return moved, nil
}

// The function move_mark is in migration 00016.
const readSQL = `select move_mark($1, $2, $3, $4, false, $5)`

// Unread sets a person's mark back to the message before one, so that this is
// the first unread.
func (s *Store) Unread(ctx context.Context, roomID, personID, seq int64) error {
	var moved bool
	err := again(ctx, func() error {
		return s.DB.GetContext(ctx, &moved, `
			select move_mark($1, $2, $3 - 1, null, true, $4) from messages where room_id = $1 and seq = $3`, roomID, personID, seq, s.now())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	if err != nil {
		return fmt.Errorf("set the mark of person %d in room %d back: %w", personID, roomID, err)
	}
	return nil
}

// Behind lists those whose read mark is before a message.
func (s *Store) Behind(ctx context.Context, roomID, seq int64) ([]int64, error) {
	var people []int64
	err := again(ctx, func() error {
		people = people[:0]
		return s.DB.SelectContext(ctx, &people,
			`select person_id from memberships where room_id = $1 and read_seq < $2 and known is not null`, roomID, seq)
	})
	if err != nil {
		return nil, fmt.Errorf("find who has not read message %d of room %d: %w", seq, roomID, err)
	}
	return people, nil
}

// SetLevel says how much of a room a person wants to hear.
func (s *Store) SetLevel(ctx context.Context, roomID, personID int64, level chat.Level) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			insert into memberships (room_id, person_id, level) values ($1, $2, $3)
			on conflict (room_id, person_id) do update set level = excluded.level`, roomID, personID, string(level))
		return err
	})
	if err != nil {
		return fmt.Errorf("set the level of person %d in room %d: %w", personID, roomID, err)
	}
	return nil
}

// SaveDraft keeps what a person has typed in a room and not sent; "" forgets
// it. n counts what the page named tab has saved: of the same page a lower
// number is older, and does not count.
func (s *Store) SaveDraft(ctx context.Context, roomID, personID int64, draft, tab string, n int64) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			insert into memberships as b (room_id, person_id, draft, draft_at, draft_tab, draft_n)
			select $1, $2, $3, $4, $5, $6
			where $3 <> '' or exists (select from memberships where room_id = $1 and person_id = $2)
			on conflict (room_id, person_id) do update
			set draft = excluded.draft, draft_at = excluded.draft_at, draft_tab = excluded.draft_tab, draft_n = excluded.draft_n
			where b.draft_tab <> excluded.draft_tab or b.draft_n < excluded.draft_n`,
			roomID, personID, draft, sql.NullTime{Time: s.now(), Valid: draft != ""}, tab, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("save the draft of person %d in room %d: %w", personID, roomID, err)
	}
	return nil
}

// Spoken is what somebody said, and where it was typed.
type Spoken struct {
	DraftPlace
	Text string // without white space around it
}

// ClearDrafts forgets the drafts that were said. What was typed since, or for
// another message, stays.
func (s *Store) ClearDrafts(ctx context.Context, spoken []Spoken) error {
	var rooms, people, threads []int64
	var texts []string
	for _, said := range spoken {
		rooms, people, threads = append(rooms, said.RoomID), append(people, said.PersonID), append(threads, said.ThreadSeq)
		texts = append(texts, said.Text)
	}
	err := again(ctx, func() error {
		_, err := s.clearDrafts.ExecContext(ctx, pq.Array(rooms), pq.Array(people), pq.Array(threads), pq.Array(texts))
		if err == nil && slices.ContainsFunc(threads, func(seq int64) bool { return seq != 0 }) {
			_, err = s.DB.ExecContext(ctx, clearThreadDraftsSQL, pq.Array(rooms), pq.Array(people), pq.Array(threads), pq.Array(texts))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("clear %d drafts: %w", len(spoken), err)
	}
	return nil
}

// No tab has the name of who said it: so all of them take it over. Rows are
// locked in the order in which say does.
const clearDraftsSQL = `
	update memberships b set draft = '', draft_at = null, draft_tab = 'said'
	from (
	    select m.room_id, m.person_id
	    from memberships m join unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as said(room_id, person_id, thread_seq, body)
	        on m.room_id = said.room_id and m.person_id = said.person_id and said.thread_seq = 0
	    where m.draft <> '' and btrim(m.draft, E' \n\t') = said.body
	    order by m.room_id, m.person_id for update of m) as mine
	where b.room_id = mine.room_id and b.person_id = mine.person_id`

// SetStatus gives a person another status line. It counts as a rename: of two
// states of a person the one with more Renames is the newer.
func (s *Store) SetStatus(ctx context.Context, personID int64, status string) (chat.Person, error) {
	var row personRow
	err := s.DB.GetContext(ctx, &row, `
		update people set status = $2, renames = renames + 1 where id = $1 returning id, nickname, hue, renames, status`, personID, status)
	if err != nil {
		return chat.Person{}, fmt.Errorf("set the status of person %d: %w", personID, err)
	}
	return row.person(), nil
}

// gapSQL looks at no more rows of anything than the limit. What the reader
// changed themselves is no news to them.
const gapSQL = `
	select r.said - k.known as new, f.said_at as since,
	       (select count(*) from (
	           select from mentions m where m.person_id = $2 and m.room_id = $1 and m.seq > b.read_seq limit $3) as few) as calls,
	       (select count(*) from (
	           select m.seq, m.author_id from messages m where m.room_id = $1 and m.edited_at > t.looked limit $3) as few
	        where seq <= b.read_seq and author_id <> $2) as edited,
	       (select count(*) from (
	           select m.seq, m.author_id from messages m where m.room_id = $1 and m.deleted_at > t.looked limit $3) as few
	        where seq <= b.read_seq and author_id <> $2) as deleted
	from memberships b
	join rooms r on r.id = b.room_id
	cross join lateral (select ` + knownSQL + ` as known) as k
	left join lateral (
	    select m.said_at from (select * from messages where room_id = $1 and seq > b.read_seq order by seq limit $3) as m
	    where m.author_id <> $2 and m.deleted_at is null order by m.seq limit 1) as f on true
	left join messages l on l.room_id = $1 and l.seq = b.read_seq
	cross join lateral (select greatest(b.read_at, l.said_at) as looked) as t
	where b.room_id = $1 and b.person_id = $2 and r.said > k.known`

// Gap tells what happened in a room after a person's read mark; nothing, when
// there is none, or it is at the end.
func (s *Store) Gap(ctx context.Context, roomID, personID int64) (chat.Gap, error) {
	var rows []struct {
		New     int64               `db:"new"`
		Since   sql.Null[time.Time] `db:"since"`
		Calls   int                 `db:"calls"`
		Edited  int                 `db:"edited"`
		Deleted int                 `db:"deleted"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, gapSQL, roomID, personID, chat.MostInGap)
	})
	if err != nil {
		return chat.Gap{}, fmt.Errorf("read what person %d missed in room %d: %w", personID, roomID, err)
	}
	if len(rows) == 0 {
		return chat.Gap{}, nil
	}
	g := rows[0]
	return chat.Gap{New: g.New, Since: g.Since.V, Calls: g.Calls, Edited: g.Edited, Deleted: g.Deleted}, nil
}

// Called lists those who are mentioned or answered by a message.
func (s *Store) Called(ctx context.Context, roomID, seq int64) ([]int64, error) {
	var people []int64
	err := again(ctx, func() error {
		people = people[:0]
		return s.DB.SelectContext(ctx, &people, `select person_id from mentions where room_id = $1 and seq = $2`, roomID, seq)
	})
	if err != nil {
		return nil, fmt.Errorf("find who is called by message %d of room %d: %w", seq, roomID, err)
	}
	return people, nil
}

// InboxSize is how many calls a page of the inbox has.
const InboxSize = 30

// InboxPlace is a place in somebody's inbox: that of a call. The zero value is
// before the first.
type InboxPlace struct {
	SaidAt  time.Time
	Room    int64
	Message int64
}

type callRow struct {
	PersonID  int64     `db:"person_id"`
	RoomID    int64     `db:"room_id"`
	Slug      string    `db:"slug"`
	RoomName  string    `db:"room_name"`
	Seq       int64     `db:"seq"`
	Reason    string    `db:"reason"`
	SaidAt    time.Time `db:"said_at"`
	Unread    bool      `db:"unread"`
	Body      string    `db:"body"`
	Emote     bool      `db:"emote"`
	Files     int       `db:"files"`
	AuthorID  int64     `db:"author_id"`
	Nickname  string    `db:"nickname"`
	Hue       int       `db:"hue"`
	Mentioned []byte    `db:"mentioned_people"`
}

func (r callRow) call() (chat.Call, error) {
	c := chat.Call{
		Room: chat.Room{ID: r.RoomID, Slug: r.Slug, Name: r.RoomName}, Seq: r.Seq, Reason: r.Reason,
		Author: chat.Person{ID: r.AuthorID, Nickname: r.Nickname, Hue: r.Hue},
		Body:   r.Body, Files: r.Files, Emote: r.Emote, SaidAt: r.SaidAt, Unread: r.Unread,
	}
	if r.Mentioned != nil {
		if err := json.Unmarshal(r.Mentioned, &c.Names); err != nil {
			return c, fmt.Errorf("read who is named in message %d of room %d: %w", r.Seq, r.RoomID, err)
		}
	}
	return c, nil
}

// callColumns tell of a call c; message m, its author p, its room r, and the
// membership b of the one who is called.
const callColumns = `
	c.person_id, c.room_id, r.slug, r.name as room_name, c.seq, c.reason, c.said_at, c.seq > coalesce(b.read_seq, 0) as unread,
	left(m.body, 300) as body, m.emote, m.files, m.author_id, p.nickname, p.hue,
	case when m.mentioned is not null then (select jsonb_agg(` + personJSON + `) from people x where x.id = any(m.mentioned)) end as mentioned_people`

const callTables = `
	join messages m on m.room_id = c.room_id and m.seq = c.seq
	join people p on p.id = m.author_id
	join rooms r on r.id = c.room_id
	left join memberships b on b.room_id = c.room_id and b.person_id = c.person_id`

// Inbox lists the mentions of a person and the answers, newest first, after a
// place in that list.
func (s *Store) Inbox(ctx context.Context, personID int64, after InboxPlace) (calls []chat.Call, more bool, err error) {
	where, args := `c.person_id = $1`, []any{personID, InboxSize + 1}
	if after != (InboxPlace{}) {
		where += ` and c.said_at <= $3 and (c.said_at < $3 or (c.room_id, c.seq) > ($4, $5))`
		args = append(args, after.SaidAt, after.Room, after.Message)
	}
	var rows []callRow
	err = again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `select `+callColumns+` from (
			select * from mentions c where `+where+` order by c.said_at desc, c.room_id, c.seq limit $2) as c`+callTables+`
			order by c.said_at desc, c.room_id, c.seq`, args...)
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the inbox of person %d: %w", personID, err)
	}
	for _, r := range rows[:min(len(rows), InboxSize)] {
		c, err := r.call()
		if err != nil {
			return nil, false, err
		}
		calls = append(calls, c)
	}
	return calls, len(rows) > InboxSize, nil
}

// NewestCalls finds for each person the newest call in a room that they want
// to hear of, by person.
func (s *Store) NewestCalls(ctx context.Context, people []int64) (map[int64]chat.Call, error) {
	var rows []callRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `select `+callColumns+` from unnest($1::bigint[]) as who(id)
			cross join lateral (
			    select n.* from mentions n join memberships l on l.room_id = n.room_id and l.person_id = n.person_id
			    where n.person_id = who.id and l.level in ('all', 'mentions')
			    order by n.said_at desc, n.room_id, n.seq limit 1) as c`+callTables, pq.Array(people))
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest calls of %d people: %w", len(people), err)
	}
	calls := make(map[int64]chat.Call, len(rows))
	for _, r := range rows {
		c, err := r.call()
		if err != nil {
			return nil, err
		}
		calls[r.PersonID] = c
	}
	return calls, nil
}
