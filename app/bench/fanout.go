package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// fanOut measures a room in which everybody reads what one person writes at a
// steady pace, and then what many write as fast as they can. A message counts
// as delivered when a subscriber has the whole event that shows it.
func (b *bench) fanOut(ctx context.Context) ([]row, error) {
	event, err := b.parlor.event(ctx)
	if err != nil {
		return nil, fmt.Errorf("see an event: %w", err)
	}
	if err := b.bare.keep(ctx, streamPath, event); err != nil {
		return nil, err
	}
	parlor, err := b.fanOutOf(ctx, b.parlor)
	if err != nil {
		return nil, err
	}
	bare, err := b.fanOutOf(ctx, b.bare)
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	name := fmt.Sprintf("fan-out to %d, ", b.subscribers)
	pace := fmt.Sprintf("%.0f messages a second: ", 1/b.every.Seconds())
	names := []string{
		name + pace + "p50 ms", name + pace + "p99 ms", name + "at full speed: deliveries per second",
		name + pace + "server's µs of CPU per delivery", name + "at full speed: server's µs of CPU per delivery",
		name + "idle: KB of memory per stream",
	}
	if !b.own() {
		names = names[:3]
	}
	return rows(names, parlor, bare), nil
}

func (b *bench) fanOutOf(ctx context.Context, s subject) (sample, error) {
	people, err := s.guests(ctx, manyClients)
	if err != nil {
		return nil, err
	}
	rev, err := people[0].say(ctx, "Here we go.")
	if err != nil {
		return nil, err
	}
	empty := s.resident()
	crowd, err := gather(ctx, s, b.subscribers, b.paced+b.burst, rev)
	if err != nil {
		return nil, err
	}
	defer crowd.leave()
	time.Sleep(b.idle)
	memory := s.resident() - empty

	// At a steady pace: the latency counts.
	before := s.cpu()
	crowd.expect(b.paced)
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	for number := range b.paced {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if _, err := people[0].say(ctx, crowd.message(number)); err != nil {
			return nil, err
		}
	}
	if err := crowd.wait(ctx); err != nil {
		return nil, err
	}
	latency := crowd.latencies()
	pacedCPU := s.cpu() - before

	// At full speed: the rate counts.
	before = s.cpu()
	crowd.expect(b.burst)
	began := time.Now()
	err = share(ctx, len(people), b.burst, func(ctx context.Context, client, number int) error {
		_, err := people[client].say(ctx, crowd.message(b.paced+number))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := crowd.wait(ctx); err != nil {
		return nil, err
	}
	took, burstCPU := time.Since(began), s.cpu()-before
	subscribers := time.Duration(b.subscribers)
	return sample{
		milliseconds(quantile(latency, 0.5)), milliseconds(quantile(latency, 0.99)),
		float64(b.subscribers*b.burst) / took.Seconds(),
		microseconds(pacedCPU / (subscribers * time.Duration(b.paced))),
		microseconds(burstCPU / (subscribers * time.Duration(b.burst))),
		float64(memory) / float64(b.subscribers) / 1000,
	}, nil
}

// event reads off Parlor what one message is on a stream, for the bare server
// to send the same bytes.
func (s subject) event(ctx context.Context) ([]byte, error) {
	v, err := s.guest(ctx, 1)
	if err != nil {
		return nil, err
	}
	rev, err := v.say(ctx, "What does an event look like?")
	if err != nil {
		return nil, err
	}
	st, err := open(ctx, s, rev)
	if err != nil {
		return nil, err
	}
	defer st.conn.Close()
	text := (&crowd{}).message(0)
	if _, err := v.say(ctx, text); err != nil {
		return nil, err
	}
	var seen []byte
	for {
		event, err := st.next()
		if err != nil {
			return nil, err
		}
		if seen != nil || bytes.Contains(event, articleMark) {
			seen = append(seen, event...)
		}
		if seen != nil && bytes.Contains(event, cursorMark) {
			return bytes.ReplaceAll(seen, []byte(text), []byte(textMark)), nil
		}
	}
}

var (
	articleMark = []byte(`<article id="m-`) // a message is shown
	cursorMark  = []byte("\nid: ")          // everything up to here was sent
	numberMark  = []byte("bench ")          // our text begins
)

// stream is an open event stream over a connection of its own.
type stream struct {
	conn   net.Conn
	body   *bufio.Reader // of the response, without the framing of HTTP
	buffer []byte        // of an event
}

// open subscribes to the room from a number on and reads until the stream has
// caught up.
func open(ctx context.Context, s subject, after int64) (*stream, error) {
	host := strings.TrimPrefix(s.base, "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	fmt.Fprintf(conn, "GET %s?after=%d HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n", streamPath, after, host)
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 4<<10), nil)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", streamPath, resp.Status)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	st := &stream{conn: conn, body: bufio.NewReaderSize(resp.Body, 4<<10)}
	for {
		event, err := st.next()
		if err != nil {
			conn.Close()
			return nil, err
		}
		if bytes.Contains(event, cursorMark) {
			return st, nil
		}
	}
}

// next reads a whole event. It is valid until the next one.
func (s *stream) next() ([]byte, error) {
	s.buffer = s.buffer[:0]
	for {
		line, err := s.body.ReadSlice('\n')
		s.buffer = append(s.buffer, line...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 1 && len(s.buffer) > 1 {
			return s.buffer, nil
		}
	}
}

// crowd are all who read the room.
type crowd struct {
	began   time.Time
	members []*member
	reading sync.WaitGroup
	missing atomic.Int64 // deliveries
	done    chan struct{}
	failed  chan error
	leaving atomic.Bool
}

// member is one of them, with what it got since the last expect.
type member struct {
	*stream
	seen []bool // by number of the message
	took []time.Duration
}

// gather opens the streams. messages is how many there will be.
func gather(ctx context.Context, s subject, members, messages int, after int64) (*crowd, error) {
	c := &crowd{
		began: time.Now(), members: make([]*member, members),
		done: make(chan struct{}, 1), failed: make(chan error, members),
	}
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range members {
		group.Go(func() error {
			deadline, _ := ctx.Deadline()
			st, err := open(opening, s, after)
			if err != nil {
				return err
			}
			_ = st.conn.SetDeadline(deadline)
			c.members[i] = &member{stream: st, seen: make([]bool, messages)}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		c.leave()
		return nil, fmt.Errorf("open %d streams: %w", members, err)
	}
	for i, m := range c.members {
		c.reading.Go(func() {
			if err := c.read(m); err != nil && !c.leaving.Load() {
				c.failed <- fmt.Errorf("subscriber %d: %w", i, err)
			}
		})
	}
	return c, nil
}

// leave closes the streams and waits for their readers.
func (c *crowd) leave() {
	c.leaving.Store(true)
	for _, m := range c.members {
		if m != nil {
			m.conn.Close()
		}
	}
	c.reading.Wait()
}

// message is a text that says which it is and when it was posted.
func (c *crowd) message(number int) string {
	return fmt.Sprintf("bench %06d %015d and a few words more, as people write them", number, time.Since(c.began))
}

// read takes down what a member gets, until its connection ends.
func (c *crowd) read(m *member) error {
	for {
		event, err := m.next()
		if err != nil {
			return err
		}
		for rest := event; ; {
			var found bool
			if _, rest, found = bytes.Cut(rest, articleMark); !found {
				break
			}
			if err := c.deliver(m, rest); err != nil {
				return err
			}
		}
	}
}

// deliver takes down one message.
func (c *crowd) deliver(m *member, article []byte) error {
	now := time.Since(c.began)
	_, text, found := bytes.Cut(article, numberMark)
	if !found || len(text) < 22 {
		return fmt.Errorf("not a message of ours: %.300s", article)
	}
	number, err := strconv.Atoi(string(text[:6]))
	if err != nil {
		return err
	}
	posted, err := strconv.ParseInt(string(text[7:22]), 10, 64)
	if err != nil {
		return err
	}
	if number >= len(m.seen) || m.seen[number] {
		return fmt.Errorf("message %d came twice", number)
	}
	m.seen[number] = true
	m.took = append(m.took, now-time.Duration(posted))
	if c.missing.Add(-1) == 0 {
		c.done <- struct{}{}
	}
	return nil
}

// expect says how many messages come next.
func (c *crowd) expect(messages int) {
	for _, m := range c.members {
		m.took = m.took[:0]
	}
	c.missing.Store(int64(messages * len(c.members)))
}

// patience is how long the last message may take to reach everybody.
const patience = 30 * time.Second

// wait returns when everybody has every message that was expected.
func (c *crowd) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("%d deliveries are missing", c.missing.Load())
	}
}

// latencies are how long each delivery took, sorted; after wait.
func (c *crowd) latencies() []time.Duration {
	var all []time.Duration
	for _, m := range c.members {
		all = append(all, m.took...)
	}
	slices.Sort(all)
	return all
}
