package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/lib/pq"

	"parlor/app/chat"
)

// Thread is a message with a page of what was answered to it, true at
// Room.Rev.
type Thread struct {
	Room    chat.Room
	Root    chat.Message
	Replies []chat.Message // in order of Seq, at most PageSize
	Older   bool           // there are replies before the first
	Newer   bool           // and after the last
}

var threadSQL = selectMessages + `where m.room_id = $1 and m.thread_seq = $2 and m.seq < $3 order by m.seq desc limit $4`
var threadAfterSQL = selectMessages + `where m.room_id = $1 and m.thread_seq = $2 and m.seq > $3 order by m.seq limit $4`

// Thread reads a page of the thread that began with a message: the newest
// replies, or those before or after one. The room was read before, so whatever
// is shown beyond Room.Rev is only sent again later.
func (s *Store) Thread(ctx context.Context, room chat.Room, root int64, at Place) (Thread, error) {
	m, err := s.Message(ctx, room.ID, root)
	if err != nil {
		return Thread{}, err
	}
	t := Thread{Room: room, Root: m}
	query, from := threadSQL, int64(math.MaxInt64)
	switch {
	case at.After > 0 || at.FromStart:
		query, from = threadAfterSQL, at.After
	case at.Before > 0:
		from = at.Before
	}
	var rows []messageRow
	err = again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, query, room.ID, root, from, PageSize+1)
	})
	if err != nil {
		return t, fmt.Errorf("read thread %d of room %d: %w", root, room.ID, err)
	}
	more := len(rows) > PageSize
	rows = rows[:min(len(rows), PageSize)]
	if query == threadAfterSQL {
		t.Older, t.Newer = at.After > root, more
	} else {
		slices.Reverse(rows)
		t.Older, t.Newer = more, at.Before > 0
	}
	t.Replies, err = toMessages(rows)
	return t, err
}

// DraftPlace is where a person types: in a room, or on the page of a thread.
type DraftPlace struct {
	RoomID, PersonID int64
	ThreadSeq        int64 // the message that the thread began with; 0: the room
}

// Draft is what is typed and not sent, and the page that saved it.
type Draft struct{ Text, Tab string }

// MostThreadDrafts is in how many threads a person's drafts are kept: those
// that were saved last.
const MostThreadDrafts = 50

// SaveThreadDraft is SaveDraft for a thread. Where no thread can be it keeps
// nothing.
func (s *Store) SaveThreadDraft(ctx context.Context, at DraftPlace, draft, tab string, n int64) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			with kept as (
			    insert into thread_drafts as d (person_id, room_id, thread_seq, draft, draft_at, draft_tab, draft_n)
			    select $1, $2, $3, $4, $5, $6, $7 from messages m
			    where m.room_id = $2 and m.seq = $3 and m.thread_seq is null and (
			        $4 <> '' or exists (select from thread_drafts where person_id = $1 and room_id = $2 and thread_seq = $3))
			    on conflict (person_id, room_id, thread_seq) do update
			    set draft = excluded.draft, draft_at = excluded.draft_at, draft_tab = excluded.draft_tab, draft_n = excluded.draft_n
			    where d.draft_tab <> excluded.draft_tab or d.draft_n < excluded.draft_n
			    returning 1)
			delete from thread_drafts where person_id = $1 and exists (select from kept) and (room_id, thread_seq) in (
			    select room_id, thread_seq from thread_drafts where person_id = $1 and (room_id, thread_seq) <> ($2, $3)
			    order by draft = '', draft_at desc offset $8)`,
			at.PersonID, at.RoomID, at.ThreadSeq, draft, s.now(), tab, n, MostThreadDrafts-1)
		return err
	})
	if err != nil {
		return fmt.Errorf("save the draft of person %d in thread %d of room %d: %w", at.PersonID, at.ThreadSeq, at.RoomID, err)
	}
	return nil
}

// ThreadDrafts reads drafts in threads. Each place has one in the answer: a room,
// and a thread where nothing is typed, a zero one.
func (s *Store) ThreadDrafts(ctx context.Context, places []DraftPlace) (map[DraftPlace]Draft, error) {
	drafts := make(map[DraftPlace]Draft, len(places))
	var rooms, people, threads []int64
	for _, at := range places {
		drafts[at] = Draft{}
		rooms, people, threads = append(rooms, at.RoomID), append(people, at.PersonID), append(threads, at.ThreadSeq)
	}
	if len(places) == 0 {
		return drafts, nil
	}
	var rows []struct {
		RoomID    int64  `db:"room_id"`
		PersonID  int64  `db:"person_id"`
		ThreadSeq int64  `db:"thread_seq"`
		Draft     string `db:"draft"`
		Tab       string `db:"draft_tab"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select d.room_id, d.person_id, d.thread_seq, d.draft, d.draft_tab
			from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as at(room_id, person_id, thread_seq)
			join thread_drafts d using (room_id, person_id, thread_seq)`, pq.Array(rooms), pq.Array(people), pq.Array(threads))
	})
	if err != nil {
		return nil, fmt.Errorf("read drafts in %d threads: %w", len(places), err)
	}
	for _, r := range rows {
		drafts[DraftPlace{RoomID: r.RoomID, PersonID: r.PersonID, ThreadSeq: r.ThreadSeq}] = Draft{Text: r.Draft, Tab: r.Tab}
	}
	return drafts, nil
}

// It is clearDraftsSQL for threads.
const clearThreadDraftsSQL = `
	update thread_drafts d set draft = '', draft_tab = 'said'
	from (
	    select t.room_id, t.person_id, t.thread_seq
	    from thread_drafts t join unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as said(room_id, person_id, thread_seq, body)
	        using (room_id, person_id, thread_seq)
	    where t.draft <> '' and btrim(t.draft, E' \n\t') = said.body
	    order by t.person_id, t.room_id, t.thread_seq for update of t) as mine
	where d.room_id = mine.room_id and d.person_id = mine.person_id and d.thread_seq = mine.thread_seq`

// SaidBefore finds the message that a person's nonce belongs to; false when it
// belongs to none yet.
func (s *Store) SaidBefore(ctx context.Context, roomID, personID int64, nonce string) (Said, bool, error) {
	var said Said
	err := again(ctx, func() error {
		return s.DB.QueryRowxContext(ctx, `select seq, rev from messages where author_id = $1 and nonce = $2 and room_id = $3`,
			personID, nonce, roomID).Scan(&said.Seq, &said.Rev)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return said, false, nil
	}
	if err != nil {
		return said, false, fmt.Errorf("look a nonce of person %d up in room %d: %w", personID, roomID, err)
	}
	return said, true, nil
}

// RoomNamed finds a room as people call it: by its name in any case, or by
// what its address says.
func (s *Store) RoomNamed(ctx context.Context, name string) (chat.Room, error) {
	var row roomRow
	err := again(ctx, func() error {
		return s.DB.GetContext(ctx, &row, `select `+roomColumns+` from rooms r where lower(r.name) = lower($1)`, name)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return s.Room(ctx, chat.Slug(name))
	}
	if err != nil {
		return chat.Room{}, fmt.Errorf("find the room called %q: %w", name, err)
	}
	return s.found(row, nil)
}
