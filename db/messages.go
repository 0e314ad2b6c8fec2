package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
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

// PageSize is how many messages a page of history has at most.
const PageSize = 50

// MostChanges is how many changes are replayed one by one. A reader who
// missed more gets a page instead.
const MostChanges = 200

// messageRow is a message as the queries below select it.
type messageRow struct {
	RoomID    int64         `db:"room_id"`
	Seq       int64         `db:"seq"`
	Rev       int64         `db:"rev"`
	Ordinal   int64         `db:"ordinal"`
	AuthorID  int64         `db:"author_id"`
	Nickname  string        `db:"nickname"`
	Hue       int           `db:"hue"`
	Body      string        `db:"body"`
	Emote     bool          `db:"emote"`
	Version   int           `db:"version"`
	First     bool          `db:"first"`
	NewDay    bool          `db:"new_day"`
	SaidAt    time.Time     `db:"said_at"`
	EditedAt  *time.Time    `db:"edited_at"`
	DeletedAt *time.Time    `db:"deleted_at"`
	ThreadSeq sql.NullInt64 `db:"thread_seq"`
	Quotes    int           `db:"quotes"`
	Replies   int           `db:"replies"`
	PinnedAt  *time.Time    `db:"pinned_at"`

	// What belongs to a message is JSON, null where there is nothing.
	Mentioned []byte `db:"mentioned_people"`
	PinnedBy  []byte `db:"pinned_by_person"`
	Parent    []byte `db:"parent"`
	Reactions []byte `db:"all_reactions"`
	Files     []byte `db:"all_files"`
	Previews  []byte `db:"all_previews"`
}

// selectMessages reads messages with all that belongs to them in one query, and
// so in one state. Most messages have nothing: then nothing is looked for.
var selectMessages = `
	select m.room_id, m.seq, m.rev, m.ordinal, m.author_id, p.nickname, p.hue, m.body, m.emote, m.version,
	       m.first, m.new_day, m.said_at, m.edited_at, m.deleted_at, m.thread_seq, m.quotes, m.replies, m.pinned_at,
	       case when m.mentioned is not null or q.mentioned is not null then (
	           select jsonb_agg(` + personJSON + `) from people x where x.id = any(m.mentioned || q.mentioned)
	       ) end as mentioned_people,
	       case when m.pinned_by is not null then (select ` + personJSON + ` from people x where x.id = m.pinned_by) end as pinned_by_person,
	       case when q.seq is not null then jsonb_build_object(
	           'Seq', q.seq, 'Body', left(q.body, 600), 'Files', q.files, 'Deleted', q.deleted_at is not null,
	           'Author', (select ` + personJSON + ` from people x where x.id = q.author_id)
	       ) end as parent,
	       case when m.reactions > 0 then (
	           select jsonb_agg(jsonb_build_object('Emoji', e.emoji, 'Count', e.n, 'Latest', to_jsonb(e.latest[:` + latestReactions + `]), 'People', (
	                   select jsonb_agg(` + personJSON + ` order by u.n) from unnest(e.people[:` + reactionNames + `]) with ordinality as u(id, n)
	                   join people x on x.id = u.id)) order by e.first)
	           from (
	               select y.emoji, count(*) as n, min(y.id) as first, array_agg(y.person_id order by y.id) as people,
	                      array_agg(y.person_id order by y.id desc) as latest
	               from reactions y where y.room_id = m.room_id and y.seq = m.seq group by y.emoji) as e
	       ) end as all_reactions,
	       case when m.files > 0 then (
	           select jsonb_agg(jsonb_build_object('ID', f.id, 'Digest', f.digest, 'Name', f.name, 'Type', f.type, 'Size', f.size,
	               'Width', f.width, 'Height', f.height) order by f.n)
	           from files f where f.room_id = m.room_id and f.seq = m.seq
	       ) end as all_files,
	       case when m.previews > 0 then (
	           select jsonb_agg(jsonb_build_object('ID', v.id, 'URL', v.url, 'Site', v.site, 'Title', v.title, 'Description', v.description,
	               'ImageWidth', v.image_width, 'ImageHeight', v.image_height, 'ImageKey', v.image_key) order by w.n)
	           from message_previews w join previews v on v.id = w.preview_id
	           where w.room_id = m.room_id and w.seq = m.seq and w.state = 'shown'
	       ) end as all_previews
	from messages m join people p on p.id = m.author_id
	left join messages q on q.room_id = m.room_id and q.seq = m.parent_seq `

var latestReactions, reactionNames = strconv.Itoa(chat.LatestReactions), strconv.Itoa(chat.ReactionNames)

const personJSON = `jsonb_build_object('ID', x.id, 'Nickname', x.nickname, 'Hue', x.hue)`

func toMessages(rows []messageRow) ([]chat.Message, error) {
	out := make([]chat.Message, len(rows))
	for i, r := range rows {
		m := chat.Message{
			RoomID: r.RoomID, Seq: r.Seq, Rev: r.Rev, Ordinal: r.Ordinal,
			Author: chat.Person{ID: r.AuthorID, Nickname: r.Nickname, Hue: r.Hue},
			Body:   r.Body, Emote: r.Emote, Version: r.Version, First: r.First, NewDay: r.NewDay,
			SaidAt: r.SaidAt, EditedAt: r.EditedAt, DeletedAt: r.DeletedAt,
			ThreadSeq: r.ThreadSeq.Int64, Quotes: r.Quotes, Replies: r.Replies, PinnedAt: r.PinnedAt,
		}
		for _, part := range []struct {
			json []byte
			into any
		}{
			{r.Mentioned, &m.Mentioned}, {r.PinnedBy, &m.PinnedBy}, {r.Parent, &m.Parent},
			{r.Reactions, &m.Reactions}, {r.Files, &m.Files}, {r.Previews, &m.Previews},
		} {
			if part.json == nil {
				continue
			}
			if err := json.Unmarshal(part.json, part.into); err != nil {
				return nil, fmt.Errorf("read what belongs to message %d of room %d: %w", r.Seq, r.RoomID, err)
			}
		}
		out[i] = m
	}
	return out, nil
}

// Place says which page of history is wanted. At most one field is set; none
// means the newest page.
type Place struct {
	Before int64 // the messages before this seq
	After  int64 // the messages after this seq
	Around int64 // the message with this seq in its context
	// FromStart wants the room's first messages.
	FromStart bool
}

// Page is a piece of a room's history, true at Room.Rev.
type Page struct {
	Room     chat.Room
	Messages []chat.Message // in order of Seq, at most PageSize (+1 around a message)
	Older    bool           // there are messages before the first
	Newer    bool           // there are messages after the last
}

var newestSQL = selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3`
var beforeSQL = selectMessages + `where m.room_id = $1 and m.seq < $2 order by m.seq desc limit $3`
var afterSQL = selectMessages + `where m.room_id = $1 and m.seq > $2 order by m.seq limit $3`
var aroundSQL = `(` + selectMessages + `where m.room_id = $1 and m.seq <= $2 order by m.seq desc limit $3)
	union all (` + selectMessages + `where m.room_id = $1 and m.seq > $2 order by m.seq limit $4)`

// Page reads a page of a room's history. The room is read first, so whatever
// the messages show beyond Room.Rev is only sent again later, never missed.
func (s *Store) Page(ctx context.Context, roomID int64, at Place) (Page, error) {
	var page Page
	err := again(ctx, func() (err error) {
		page, err = s.page(ctx, roomID, at)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read a page of room %d: %w", roomID, err)
	}
	return page, nil
}

// PageOf is Page for a room that was read before.
func (s *Store) PageOf(ctx context.Context, room chat.Room, at Place) (Page, error) {
	var page Page
	err := again(ctx, func() (err error) {
		page, err = s.pageOf(ctx, room, at)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read a page of room %d: %w", room.ID, err)
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, roomID int64, at Place) (Page, error) {
	room, err := s.room(ctx, s.roomByID, roomID)
	if err != nil {
		return Page{}, err
	}
	return s.pageOf(ctx, room, at)
}

func (s *Store) pageOf(ctx context.Context, room chat.Room, at Place) (Page, error) {
	roomID := room.ID
	page := Page{Room: room}
	var olderRows, newerRows []messageRow // both outwards from the place
	switch {
	case at.Before > 0:
		if err := s.before.SelectContext(ctx, &olderRows, roomID, at.Before, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = len(olderRows) > PageSize
		page.Newer = room.LastSeq >= at.Before
	case at.After > 0 || at.FromStart:
		if err := s.after.SelectContext(ctx, &newerRows, roomID, at.After, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = !at.FromStart
		page.Newer = len(newerRows) > PageSize
	case at.Around > 0:
		half := PageSize / 2
		var rows []messageRow
		if err := s.around.SelectContext(ctx, &rows, roomID, at.Around, half+2, half+1); err != nil {
			return Page{}, err
		}
		slices.SortFunc(rows, func(a, b messageRow) int { return cmp.Compare(a.Seq, b.Seq) })
		i, found := slices.BinarySearchFunc(rows, at.Around, func(r messageRow, seq int64) int { return cmp.Compare(r.Seq, seq) })
		if !found {
			return Page{}, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
		}
		olderRows, newerRows = rows[:i+1], rows[i+1:]
		slices.Reverse(olderRows)
		page.Older = len(olderRows) > half+1
		page.Newer = len(newerRows) > half
		olderRows = olderRows[:min(len(olderRows), half+1)]
		newerRows = newerRows[:min(len(newerRows), half)]
	default:
		// Not beyond the room's number: what comes after it is delivered by
		// the stream that continues there.
		if err := s.newest.SelectContext(ctx, &olderRows, roomID, room.Rev, PageSize+1); err != nil {
			return Page{}, err
		}
		page.Older = len(olderRows) > PageSize
	}
	olderRows = olderRows[:min(len(olderRows), PageSize)]
	newerRows = newerRows[:min(len(newerRows), PageSize)]
	rows := make([]messageRow, 0, len(olderRows)+len(newerRows))
	for i := len(olderRows) - 1; i >= 0; i-- {
		rows = append(rows, olderRows[i])
	}
	var err error
	page.Messages, err = toMessages(append(rows, newerRows...))
	return page, err
}

// Window reads the messages from one seq to another, both included, at most
// `most` of them, for a page of old history that must be made true again.
// The room was read before them.
func (s *Store) Window(ctx context.Context, room chat.Room, from, to int64, most int) (Page, error) {
	var page Page
	err := again(ctx, func() error {
		var rows []messageRow
		err := s.DB.SelectContext(ctx, &rows, selectMessages+
			`where m.room_id = $1 and m.seq between $2 and $3 order by m.seq limit $4`, room.ID, from, to, most)
		if err != nil {
			return err
		}
		page = Page{Room: room}
		page.Messages, err = toMessages(rows)
		return err
	})
	if err != nil {
		return page, fmt.Errorf("read messages %d to %d of room %d: %w", from, to, room.ID, err)
	}
	return page, nil
}

var messageSQL = selectMessages + `where m.room_id = $1 and m.seq = $2`

// Message reads one message.
func (s *Store) Message(ctx context.Context, roomID, seq int64) (chat.Message, error) {
	var rows []messageRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.message.SelectContext(ctx, &rows, roomID, seq)
	})
	if err != nil {
		return chat.Message{}, fmt.Errorf("read message %d of room %d: %w", seq, roomID, err)
	}
	if len(rows) == 0 {
		return chat.Message{}, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	messages, err := toMessages(rows)
	if err != nil {
		return chat.Message{}, err
	}
	return messages[0], nil
}

// Changes is what happened in a room after a number.
type Changes struct {
	Room chat.Room // as it is now; Room.Rev is the number after all of this
	// Messages that are new or changed, in the order of Seq. A message is new
	// to the reader when its Seq is above the number asked for.
	Messages []chat.Message
	People   []chat.Person // members whose nickname or seal changed
	About    bool          // name or topic changed
	// TooMany says that there are more than MostChanges: the lists are empty
	// and the reader needs a page.
	TooMany bool
}

// The sequence in which things are read is the guarantee: the room's number
// first, then what changed. Whatever commits in between shows up here early
// and once more under its own number, which is harmless; the other way round
// it would be lost. Messages said after the number was read are left out, so
// that new messages are always appended in order. One row per message however
// often it was edited.
//
// The limit is taken in the order of rev, which an index has ready, and the
// few that are left are sorted: who missed 100,000 costs no more than who
// missed 200.
var changesSQL = `select * from (` + selectMessages + `
	where m.room_id = $1 and m.rev > $2 and m.seq <= $3 order by m.rev limit $4) as few order by seq`

const changedPeopleSQL = `
	select p.id, p.nickname, p.hue from memberships b join people p on p.id = b.person_id
	where b.room_id = $1 and b.rev > $2 order by b.rev limit $3`

// roomSinceSQL is the room, and whether anybody in it was renamed after a
// number: mostly nobody was, and then nothing is asked about people.
const roomSinceSQL = `select ` + roomColumns + `,
	exists (select from memberships b where b.room_id = r.id and b.rev > $2) as renamed
	from rooms r where r.id = $1`

// Changes reads what a reader at number `after` missed. It is the one source
// of the live path, of every resume and of what is kept in memory.
func (s *Store) Changes(ctx context.Context, roomID, after int64) (Changes, error) {
	var out Changes
	err := again(ctx, func() error {
		var since struct {
			roomRow
			Renamed bool `db:"renamed"`
		}
		err := s.roomSince.GetContext(ctx, &since, roomID, after)
		room, err := s.found(since.roomRow, err)
		if err != nil {
			return err
		}
		out = Changes{Room: room, About: room.AboutRev > after}
		if room.Rev <= after {
			return nil
		}
		var rows []messageRow
		if err := s.changes.SelectContext(ctx, &rows, roomID, after, room.Rev, MostChanges+1); err != nil {
			return err
		}
		var people []personRow
		if since.Renamed {
			if err := s.changedPeople.SelectContext(ctx, &people, roomID, after, MostChanges+1); err != nil {
				return err
			}
		}
		if len(rows)+len(people) > MostChanges {
			out.TooMany = true
			return nil
		}
		if out.Messages, err = toMessages(rows); err != nil {
			return err
		}
		for _, p := range people {
			out.People = append(out.People, p.person())
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("read changes of room %d after %d: %w", roomID, after, err)
	}
	return out, nil
}

// SaidAfter counts the messages of a room after a number, by two look-ups.
func (s *Store) SaidAfter(ctx context.Context, room chat.Room, after int64) (count, firstSeq int64, err error) {
	var last []int64
	err = again(ctx, func() error {
		last = last[:0]
		return s.DB.SelectContext(ctx, &last,
			`select ordinal from messages where room_id = $1 and seq <= $2 order by seq desc limit 1`, room.ID, after)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count messages of room %d after %d: %w", room.ID, after, err)
	}
	count = room.Said
	if len(last) == 1 {
		count -= last[0]
	}
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &firstSeq,
			`select coalesce(min(seq), 0) from messages where room_id = $1 and seq > $2`, room.ID, after)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("find the first message of room %d after %d: %w", room.ID, after, err)
	}
	return count, firstSeq, nil
}

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

// A message that is deleted is new to nobody; to its author it was not. Rows
// are locked in the order in which say does.
const knownSQL = `
	update memberships b set known = b.known + 1
	from (
	    select person_id from memberships
	    where room_id = $1 and read_seq < $2 and known is not null and person_id <> $3
	    order by person_id for no key update) as behind
	where b.room_id = $1 and b.person_id = behind.person_id`

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
		if _, err := tx.ExecContext(ctx, knownSQL, roomID, seq, personID); err != nil {
			return false, fmt.Errorf("take it off what is new: %w", err)
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
