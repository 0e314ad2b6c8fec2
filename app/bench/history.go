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

	"parlor/db"
	"parlor/db/dbtest"
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
	small, err := b.fill(ctx, smallHistory)
	if err != nil {
		return nil, err
	}
	defer small.process.end()
	large, err := b.fill(ctx, b.history)
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
			return func() error { return h.page(ctx, filledRoom(1)) }
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
		{fmt.Sprintf("resume after %d, beside %d", b.history.missed, small.inRoom/2), ratioMost(1.3), func(h *house) func() error {
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
	inRoom  int   // messages in the first room, which has the most
	rev     int64 // of that room
	resumed int   // bytes that the last resume was answered with
}

// fill starts a Parlor on a database of its own with a history in it.
func (b *bench) fill(ctx context.Context, h history) (*house, error) {
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
	filled, err := sql.Open("postgres", u.String())
	if err != nil {
		return nil, err
	}
	defer filled.Close()
	if err := dbtest.Fill(ctx, filled, h.rooms, h.messages); err != nil {
		return nil, err
	}
	s, err := start(ctx, "http", b.binary, func(addr string) []string { return append(b.parlorEnv(addr), "DATABASE_URL="+u.String()) })
	if err != nil {
		return nil, fmt.Errorf("start Parlor with a history: %w", err)
	}
	filler := &house{subject: s, visitor: s.stranger(1), history: h, inRoom: h.messages / 8}
	guest, err := s.guest(ctx, 1)
	for i := 0; i < shortGap && err == nil; i++ { // what is missed for a moment
		filler.rev, err = guest.sayIn(ctx, filledRoom(1), typical(i))
	}
	if err != nil {
		_ = s.process.end()
	}
	return filler, err
}

// filledRoom is the address of a room with a history, from 1 on.
func filledRoom(n int) string { return fmt.Sprintf("/rooms/filled-%d", n) }

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

// anywhere is a place with a page of messages before it and one after it.
func (h *house) anywhere() (room string, seq int) {
	room, messages := filledRoom(1), h.inRoom
	if each := (h.messages - h.inRoom) / (h.rooms - 1); each > 4*shortGap {
		room, messages = filledRoom(2+rand.IntN(h.rooms-1)), each
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

// resume comes back to the first room after having missed some, and returns
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
	fmt.Fprintf(conn, "GET %s?after=%d HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", filledRoom(1)+"/stream", h.rev-int64(missed), host)
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
