package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"parlor/db"
)

// history is a house that is lived in for long, beside which the same is
// measured in one with ten thousand messages in a hundred rooms.
type history struct {
	messages, rooms int
	missed          int // by somebody who was away for long
	times           int // each thing is asked for
}

// smallHistory is what it is compared with. Both have more rooms than the
// sidebar lists, so their pages are alike.
var smallHistory = history{messages: 10000, rooms: 120}

const shortGap = 50 // messages that somebody missed who was away for a moment

// longHistory measures how the length of the history tells on the room's page,
// on pages far back and permalinks of any room, and on coming back after a
// short and after a long absence.
func (b *bench) longHistory(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	small, err := b.fill(ctx, smallHistory, smallHistory.messages/2)
	if err != nil {
		return nil, err
	}
	defer small.process.end()
	large, err := b.fill(ctx, b.history, b.history.missed+b.history.missed/10)
	if err != nil {
		return nil, err
	}
	defer large.process.end()

	var out []row
	name := fmt.Sprintf("history of %d messages in %d rooms; ceiling: of %d", b.history.messages, b.history.rooms, smallHistory.messages)
	for _, thing := range []struct {
		name   string
		target target
		at     func(*house) func() error
	}{
		{"room page", ratioMost(1.3), func(h *house) func() error {
			return func() error { return h.page(ctx, roomPath) }
		}},
		{"any page back", ratioMost(1.3), func(h *house) func() error {
			return func() error {
				room, seq := h.anywhere()
				return h.page(ctx, fmt.Sprintf("%s?before=%d", room, seq))
			}
		}},
		{"permalink", ratioMost(1.3), func(h *house) func() error {
			return func() error {
				room, seq := h.anywhere()
				return h.page(ctx, fmt.Sprintf("%s/messages/%d", room, seq))
			}
		}},
		{fmt.Sprintf("resume after %d", shortGap), ratioMost(1.3), func(h *house) func() error {
			return func() error { return h.resume(ctx, shortGap, shortGap) }
		}},
		{fmt.Sprintf("resume after %d, beside %d", b.history.missed, smallHistory.messages/4), ratioMost(1.3), func(h *house) func() error {
			return func() error { return h.resume(ctx, min(b.history.missed, h.inRoom/2), 0) }
		}},
	} {
		fmt.Fprintln(b.progress, "  ", thing.name)
		var took [2][]time.Duration
		measures := []func() error{thing.at(large), thing.at(small)}
		for i := range 2 * b.history.times {
			began := time.Now()
			if err := measures[i%2](); err != nil {
				return nil, fmt.Errorf("%s: %w", thing.name, err)
			}
			took[i%2] = append(took[i%2], time.Since(began))
		}
		slices.Sort(took[0])
		slices.Sort(took[1])
		out = append(out, row{group: name, what: thing.name + ": p50 ms", target: thing.target,
			parlor: milliseconds(quantile(took[0], 0.5)), ceiling: milliseconds(quantile(took[1], 0.5))})
	}
	return append(out, alone(name, fmt.Sprintf("resume after %d: KB sent", b.history.missed), most(300), float64(large.resumed)/1000)), nil
}

// house is a Parlor with a history.
type house struct {
	subject
	*visitor
	history
	inRoom  int // messages in the room parlor
	rev     int // of that room
	resumed int // bytes that the last resume was answered with
}

// fill starts a Parlor on a database of its own with a history in it, of which
// so many messages are in the room parlor.
func (b *bench) fill(ctx context.Context, h history, inRoom int) (*house, error) {
	fmt.Fprintf(b.progress, "   writing %d messages\n", h.messages)
	u, err := url.Parse(b.database)
	if err != nil {
		return nil, err
	}
	conn, err := sql.Open("postgres", b.database)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	name := fmt.Sprintf("history_%d_%d", h.messages, time.Now().UnixNano())
	if _, err := conn.ExecContext(ctx, "create database "+name); err != nil {
		return nil, err
	}
	b.ends = append(b.ends, func() error { return b.drop(name) })
	u.Path = "/" + name
	if err := db.Migrate(ctx, u.String()); err != nil {
		return nil, err
	}
	if err := write(ctx, u.String(), h, inRoom); err != nil {
		return nil, fmt.Errorf("write %d messages: %w", h.messages, err)
	}
	s, err := start(ctx, "http", b.binary, func(addr string) []string { return append(parlorEnv(addr), "DATABASE_URL="+u.String()) })
	if err != nil {
		return nil, fmt.Errorf("start Parlor with a history: %w", err)
	}
	return &house{subject: s, visitor: s.stranger(1), history: h, inRoom: inRoom, rev: inRoom}, nil
}

// drop removes a database when everything that used it has ended.
func (b *bench) drop(name string) error {
	conn, err := sql.Open("postgres", b.database)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec("drop database " + name + " with (force)")
	return err
}

// write puts messages into an empty database, in some minutes for ten million.
func write(ctx context.Context, database string, h history, inRoom int) error {
	conn, err := sql.Open("postgres", database)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetMaxOpenConns(1) // the settings below are the connection's
	const people, perRoom = 100, 10
	each := (h.messages - inRoom) / (h.rooms - 1)
	var texts []string
	for i := range 8 {
		texts = append(texts, typical(i))
	}
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{"set session_replication_role = replica", nil}, // foreign keys need not be checked
		{"set synchronous_commit = off", nil},
		{`insert into people (nickname, folded, skeleton, hue, held_until, created_at)
			select 'person ' || i, 'person ' || i, 'person ' || i, i % 360, now() + interval '90 days', now() from generate_series(1, $1::int) i`, []any{people}},
		{`insert into rooms (slug, name, topic, maker_id, last_said_at, created_at)
			select 'room-' || i, 'Room ' || i, 'What belongs here', 1, now() - i * interval '1 second', now() - interval '5 years'
			from generate_series(2, $1::int) i`, []any{h.rooms}},
		{"insert into room_slugs select slug, id from rooms where slug <> 'parlor'", nil},
		{`insert into memberships (room_id, person_id)
			select r.id, 1 + (r.id + i) % $1::int from rooms r, generate_series(0, $2::int - 1) i`, []any{people, perRoom}},
	} {
		if _, err := conn.ExecContext(ctx, step.statement, step.args...); err != nil {
			return fmt.Errorf("%s: %w", step.statement, err)
		}
	}
	for from, step := 1, 200; from <= h.rooms; from += step {
		_, err := conn.ExecContext(ctx, `
			insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, first, new_day, said_at)
			select r.id, i, i, i, 1 + (r.id + i % $5::int) % $4::int, gen_random_uuid(), '\x00', ($6::text[])[1 + i % 8],
			       i % 3 = 0, i % 40 = 0, now() - (case when r.slug = 'parlor' then $2::int else $3::int end - i) * interval '10 minutes'
			from rooms r, generate_series(1, greatest($2::int, $3::int)) i
			where r.id >= $1::int and r.id < $1::int + $7::int and i <= case when r.slug = 'parlor' then $2::int else $3::int end
			order by 1, 2`,
			from, inRoom, each, people, perRoom, pq.Array(texts), step)
		if err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, `update rooms set rev = n, said = n, last_seq = n, last_said_at = now()
		from (select id as room, case when slug = 'parlor' then $1::int else $2::int end as n from rooms) as of where room = id`, inRoom, each)
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "vacuum analyze")
	return err
}

// anywhere is a place with a page of messages before it and one after it.
func (h *house) anywhere() (room string, seq int) {
	room, messages := roomPath, h.inRoom
	if each := (h.messages - h.inRoom) / (h.rooms - 1); each > 4*shortGap {
		room, messages = fmt.Sprintf("/rooms/room-%d", 2+rand.IntN(h.rooms-1)), each
	}
	return room, shortGap + 2 + rand.IntN(messages-2*shortGap-2)
}

// page reads a page of history and looks whether it is one.
func (h *house) page(ctx context.Context, path string) error {
	body, err := h.visitor.get(ctx, path)
	if err != nil {
		return err
	}
	plain, err := unzip(body)
	if err != nil {
		return err
	}
	if n := bytes.Count(plain, []byte(articleMark)); n < shortGap || n > shortGap+1 {
		return fmt.Errorf("%s has %d messages", path, n)
	}
	return nil
}

// resume comes back to the room parlor after having missed some, and returns
// when the page would be up to date. It wants so many messages; 0: a page of
// them.
func (h *house) resume(ctx context.Context, missed, want int) error {
	host := strings.TrimPrefix(h.subject.base, "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s?after=%d HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", streamPath, h.rev-missed, host)
	var s stream
	messages := 0
	last := fmt.Appendf(nil, ".%d\n", h.rev) // of the line that tells the cursor
	h.resumed = 0
	done := false
	for buffer := make([]byte, 64<<10); !done; {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		h.resumed += n
		err = s.feed(buffer[:n], nil, func(event []byte) error {
			messages += bytes.Count(event, []byte(articleMark))
			if _, id, found := bytes.Cut(event, []byte("\nid: ")); found && bytes.Contains(id, last) {
				done = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if want > 0 && messages != want || messages > 2*shortGap {
		return fmt.Errorf("%d missed messages were answered with %d", missed, messages)
	}
	return nil
}
