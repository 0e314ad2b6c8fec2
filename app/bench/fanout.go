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
	parlor, err := b.gather(ctx, b.parlor)
	if err != nil {
		return nil, err
	}
	defer parlor.leave()
	bare, err := b.gather(ctx, b.bare)
	if err != nil {
		return nil, fmt.Errorf("bare: %w", err)
	}
	defer bare.leave()
	measured, err := alternate(b.rounds,
		func() (sample, error) { return b.talk(ctx, parlor) },
		func() (sample, error) { return b.talk(ctx, bare) })
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("fan-out to %d, ", b.subscribers)
	pace, speed := name+fmt.Sprintf("%.0f messages a second: ", 1/b.every.Seconds()), name+"full speed: "
	names := []string{pace + "p50 ms", pace + "p99 ms", speed + "deliveries per second"}
	if !b.own() {
		return rows(names, measured[0], measured[1]), nil
	}
	names = append(names, pace+"server's µs of CPU per delivery", speed+"server's µs of CPU per delivery")
	return append(rows(names, measured[0], measured[1]),
		row{name + "idle: server's KB of memory per stream", parlor.memory, bare.memory}), nil
}

// talk is one round: some messages at a steady pace, for the latency, and some
// at full speed, for the rate.
func (b *bench) talk(ctx context.Context, c *crowd) (sample, error) {
	before := c.at.cpu()
	c.expect(b.paced)
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	for range b.paced {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := c.say(ctx, 0); err != nil {
			return nil, err
		}
	}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	latency, pacedCPU := c.latencies(), c.at.cpu()-before

	before = c.at.cpu()
	c.expect(b.burst)
	began := time.Now()
	if err := share(ctx, len(c.talkers), b.burst, c.say); err != nil {
		return nil, err
	}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	took, burstCPU := time.Since(began), c.at.cpu()-before
	return sample{
		milliseconds(quantile(latency, 0.5)), milliseconds(quantile(latency, 0.99)),
		float64(b.burst*b.subscribers) / took.Seconds(),
		microseconds(pacedCPU / time.Duration(b.paced*b.subscribers)),
		microseconds(burstCPU / time.Duration(b.burst*b.subscribers)),
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
	text := message(0, 0)
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
	numberMark  = []byte("measured ")       // our text begins
)

// stream is an open event stream over a connection of its own.
type stream struct {
	conn   net.Conn
	body   *bufio.Reader // of the response, without the framing of HTTP
	buffer []byte        // of an event
}

// open subscribes to the room from a number on and reads until the stream has
// caught up. It is closed when ctx ends.
func open(ctx context.Context, s subject, after int64) (*stream, error) {
	host := strings.TrimPrefix(s.base, "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
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

// crowd are all who read the room, and those who talk in it.
type crowd struct {
	at      subject
	began   time.Time
	talkers []*visitor
	members []*member
	memory  float64 // KB per stream

	said    atomic.Int64 // messages so far
	missing atomic.Int64 // deliveries
	done    chan struct{}
	failed  chan error
	leaving atomic.Bool
	reading sync.WaitGroup
}

// member is one who reads, with what came since the last expect.
type member struct {
	*stream
	seen []bool // by number of the message
	took []time.Duration
}

// gather opens the streams and sees what they cost while nothing happens.
func (b *bench) gather(ctx context.Context, at subject) (*crowd, error) {
	c := &crowd{
		at: at, began: time.Now(), members: make([]*member, b.subscribers),
		done: make(chan struct{}, 1), failed: make(chan error, b.subscribers),
	}
	var err error
	if c.talkers, err = at.guests(ctx, manyClients); err != nil {
		return nil, err
	}
	rev, err := c.talkers[0].say(ctx, "Here we go.")
	if err != nil {
		return nil, err
	}
	before := at.resident()
	var group errgroup.Group
	group.SetLimit(32)
	for i := range c.members {
		group.Go(func() error {
			st, err := open(ctx, at, rev)
			if err == nil {
				c.members[i] = &member{stream: st, seen: make([]bool, b.rounds*(b.paced+b.burst))}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		c.leave()
		return nil, fmt.Errorf("open %d streams: %w", b.subscribers, err)
	}
	for i, m := range c.members {
		c.reading.Go(func() {
			if err := c.read(m); err != nil && !c.leaving.Load() {
				c.failed <- fmt.Errorf("subscriber %d: %w", i, err)
			}
		})
	}
	time.Sleep(b.idle)
	c.memory = float64(at.resident()-before) / float64(b.subscribers) / 1000
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

// say has one of the talkers post the next message.
func (c *crowd) say(ctx context.Context, talker int) error {
	number := c.said.Add(1) - 1
	_, err := c.talkers[talker].say(ctx, message(number, time.Since(c.began)))
	return err
}

// message is a text that says which it is and when it was posted.
func message(number int64, at time.Duration) string {
	return fmt.Sprintf("measured %06d %015d, with some more words as people write them", number, at)
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
