package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// place is where people read and talk, on any server: an event stream, and
// somewhere to post.
type place struct {
	subject
	stream  string   // URL of the event stream
	cookies []string // of the readers, in turn; none: they are strangers
	gzip    bool     // ask for compressed streams
	mark    string   // stands before each message in an event; "": nothing special does
	end     string   // stands in the last event of a message; "": it has one event
	talkers []talker
	left    func() // is called when the readers have left; may be nil
}

// talker posts a message and returns when it was acknowledged.
type talker func(ctx context.Context, text string) error

// form is a talker for any server: it posts a form in which {text} and {uuid}
// are replaced, and takes every answer below 400 for an acknowledgement.
func form(client *http.Client, to, template, cookie string) (talker, error) {
	fields, err := url.ParseQuery(template)
	if err != nil {
		return nil, fmt.Errorf("form %q: %w", template, err)
	}
	return func(ctx context.Context, text string) error {
		filled := make(url.Values)
		put := strings.NewReplacer("{text}", text, "{uuid}", uuid.NewString())
		for name, values := range fields {
			for _, value := range values {
				filled.Add(name, put.Replace(value))
			}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(filled.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		_, _, err = (&visitor{client: client}).do(req, 0)
		return err
	}, nil
}

// crowd are all who read at a place. What they read is checked: every message
// has to reach each of them once.
type crowd struct {
	place
	name    string // in every text, to tell ours from what else is said
	began   time.Time
	members []*member
	readers []*reader
	pollers []*poller
	alone   []net.Conn // connections with a goroutine each

	said    atomic.Int64 // messages so far
	round   atomic.Int64 // counts calls of expect
	missing atomic.Int64 // deliveries in this round
	joined  atomic.Int64 // members who have seen a probe
	done    chan struct{}
	failed  chan error
	leaving atomic.Bool
	reading sync.WaitGroup
}

// member is one who reads.
type member struct {
	stream
	opened chan struct{} // closed when it began
	joined bool          // has seen a probe
	seen   []uint64      // bits by number of the message
}

// reader is a goroutine that reads for many members.
type reader struct {
	c      *crowd
	ours   []byte // begins what we said
	mark   []byte // begins a message
	pieces pieces
	round  int64
	took   []time.Duration // in this round
}

// gather opens streams and returns when all of them are live.
func gather(ctx context.Context, at place, n int) (_ *crowd, err error) {
	c := &crowd{
		place: at, name: strings.ToLower(rand.Text()[:8]), began: time.Now(), members: make([]*member, n),
		done: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	defer func() {
		if err != nil {
			c.leave()
			err = fmt.Errorf("open %d streams at %s: %w", n, at.stream, err)
		}
	}()
	for i := range c.members {
		c.members[i] = &member{opened: make(chan struct{})}
	}
	for range runtime.GOMAXPROCS(0) {
		p, err := newPoller()
		if err != nil {
			return nil, err
		}
		if p == nil {
			break
		}
		r := c.newReader()
		c.pollers = append(c.pollers, p)
		c.reading.Go(func() {
			err := p.run(func(name int, b []byte, err error) error { return r.read(name, b, err) })
			if err != nil && !c.leaving.Load() {
				c.fail(err)
			}
		})
	}
	var adding sync.Mutex
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for i := range c.members {
		group.Go(func() error {
			conn, err := c.dial(opening, &net.Dialer{}, i)
			if err != nil {
				return err
			}
			adding.Lock()
			err = c.add(conn, i)
			adding.Unlock()
			if err != nil {
				return err
			}
			select {
			case <-c.members[i].opened:
				return nil
			case err := <-c.failed:
				return err
			case <-opening.Done():
				return opening.Err()
			case <-time.After(patience):
				return errors.New("a stream does not begin")
			}
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return c, c.probe(ctx)
}

// probe says something until everybody has seen it, since an answer's header
// does not promise that the stream is subscribed.
func (c *crowd) probe(ctx context.Context) error {
	for began := time.Now(); time.Since(began) < patience; {
		if err := c.talkers[0](ctx, ours+c.name+" "+string(probeText)); err != nil {
			return err
		}
		for range 50 {
			if c.joined.Load() == int64(len(c.members)) {
				return nil
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case err := <-c.failed:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return fmt.Errorf("%d of %d streams show nothing of what is posted", int64(len(c.members))-c.joined.Load(), len(c.members))
}

// dial opens a connection and asks for the stream.
func (c *crowd) dial(ctx context.Context, dialer *net.Dialer, name int) (net.Conn, error) {
	u, err := url.Parse(c.stream)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // net knows their ports
	}
	dialer.Timeout, dialer.KeepAlive = patience, -1
	addr := net.JoinHostPort(u.Hostname(), port)
	var conn net.Conn
	if u.Scheme == "https" {
		conn, err = (&tls.Dialer{NetDialer: dialer}).DialContext(ctx, "tcp", addr)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", u.RequestURI(), u.Host)
	if len(c.cookies) > 0 {
		request = fmt.Appendf(request, "Cookie: %s\r\n", c.cookies[name%len(c.cookies)])
	}
	if c.gzip {
		request = append(request, "Accept-Encoding: gzip\r\n"...)
	}
	if _, err = conn.Write(append(request, "\r\n"...)); err != nil {
		conn.Close()
	}
	return conn, err
}

// add has a connection read, by a poller where there is one and it can.
func (c *crowd) add(conn net.Conn, name int) error {
	if tcp, ok := conn.(*net.TCPConn); ok && len(c.pollers) > 0 {
		return c.pollers[name%len(c.pollers)].add(tcp, name)
	}
	c.alone = append(c.alone, conn)
	r := c.newReader()
	c.reading.Go(func() {
		for buffer := make([]byte, 4<<10); ; {
			n, err := conn.Read(buffer)
			if r.read(name, buffer[:n], err) != nil || err != nil {
				return
			}
		}
	})
	return nil
}

func (c *crowd) newReader() *reader {
	r := &reader{c: c, ours: []byte(ours + c.name + " ")}
	r.mark = r.ours
	if c.mark != "" {
		r.mark = []byte(c.mark)
	}
	c.readers = append(c.readers, r)
	return r
}

// leave closes the streams and waits for their readers.
func (c *crowd) leave() {
	c.leaving.Store(true)
	for _, p := range c.pollers {
		p.stop()
	}
	for _, conn := range c.alone {
		conn.Close()
	}
	c.reading.Wait()
	for _, p := range c.pollers {
		p.close()
	}
	if c.left != nil {
		c.left()
	}
}

// fail ends whatever is waited for.
func (c *crowd) fail(err error) {
	select {
	case c.failed <- err:
	default: // one is enough
	}
}

// read takes what came on a member's connection.
func (r *reader) read(name int, b []byte, err error) error {
	m := r.c.members[name]
	before := m.begun
	if len(b) > 0 {
		if feedErr := m.feed(b, &r.pieces, func(event []byte) error { return r.event(m, event) }); feedErr != nil {
			err = feedErr
		}
	}
	if m.begun && !before {
		if r.c.gzip && !m.gzip {
			err = errNotCompressed
		}
		close(m.opened)
	}
	if err != nil && !r.c.leaving.Load() {
		r.c.fail(fmt.Errorf("reader %d: %w", name, err))
	}
	return err
}

// event takes down the messages that an event shows.
func (r *reader) event(m *member, event []byte) error {
	last := -1
	for rest := event; ; {
		_, text, found := bytes.Cut(rest, r.mark)
		if !found {
			return nil
		}
		rest = text
		if r.c.mark != "" {
			if next := bytes.Index(text, r.mark); next >= 0 {
				text = text[:next]
			}
			if _, text, found = bytes.Cut(text, r.ours); !found {
				continue // others talk too
			}
		}
		if bytes.HasPrefix(text, probeText) {
			if !m.joined {
				m.joined = true
				r.c.joined.Add(1)
			}
			continue
		}
		if len(text) < 22 {
			return fmt.Errorf("not a message of ours: %.300s", event)
		}
		number, err := strconv.Atoi(string(text[:6]))
		if err != nil {
			return err
		}
		posted, err := strconv.ParseInt(string(text[7:22]), 10, 64)
		if err != nil {
			return err
		}
		if r.c.mark == "" && number == last {
			continue // a text may stand in an event twice
		}
		last = number
		if err := r.deliver(m, number, time.Duration(posted)); err != nil {
			return err
		}
	}
}

// deliver takes down one message.
func (r *reader) deliver(m *member, number int, posted time.Duration) error {
	took := time.Since(r.c.began) - posted
	if round := r.c.round.Load(); round != r.round {
		r.round, r.took = round, r.took[:0]
	}
	if int64(number) >= r.c.said.Load() {
		return fmt.Errorf("message %d was never said", number)
	}
	for number/64 >= len(m.seen) {
		m.seen = append(m.seen, 0)
	}
	if bit := uint64(1) << (number % 64); m.seen[number/64]&bit == 0 {
		m.seen[number/64] |= bit
	} else {
		return fmt.Errorf("message %d came twice", number)
	}
	r.took = append(r.took, took)
	if r.c.missing.Add(-1) == 0 {
		r.c.done <- struct{}{}
	}
	return nil
}

// ours begins every text.
const ours = "measured "

var probeText = []byte("probe")

// message is a text that says which it is and when it was posted.
func message(crowd string, number int64, at time.Duration) string {
	return fmt.Sprintf(ours+"%s %06d %015d, with some more words as people write them", crowd, number, at)
}

// say has one of the talkers post the next message.
func (c *crowd) say(ctx context.Context, talker int) error {
	return c.sayLong(ctx, talker, time.Now(), 0)
}

// sayLong says at least so many bytes, which were to be said at the given time.
func (c *crowd) sayLong(ctx context.Context, talker int, at time.Time, bytes int) error {
	text := message(c.name, c.said.Add(1)-1, at.Sub(c.began))
	if len(text) < bytes {
		text += strings.Repeat(" and so on", (bytes-len(text)+9)/10)
	}
	return c.talkers[talker](ctx, text)
}

// expect says how many messages come next.
func (c *crowd) expect(messages int) {
	c.round.Add(1)
	c.missing.Store(int64(messages * len(c.members)))
}

// patience is how long anything may take to begin, and lastDelivery how long
// the last message may take to reach everybody.
const patience = 30 * time.Second

var lastDelivery = patience

// wait returns when everybody has every message that was expected.
func (c *crowd) wait(ctx context.Context) error {
	if len(c.members) == 0 {
		return nil
	}
	select {
	case <-c.done:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(lastDelivery):
		return fmt.Errorf("%d deliveries are missing", c.missing.Load())
	}
}

// latencies are how long each delivery took, sorted; after wait.
func (c *crowd) latencies() []time.Duration {
	var all []time.Duration
	for _, r := range c.readers {
		if r.round == c.round.Load() {
			all = append(all, r.took...)
		}
	}
	slices.Sort(all)
	return all
}

// paced has messages posted at a steady pace, and returns how long each
// delivery took.
func (c *crowd) paced(ctx context.Context, messages int, every time.Duration) ([]time.Duration, error) {
	c.expect(messages)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range messages {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := c.say(ctx, i%len(c.talkers)); err != nil {
			return nil, err
		}
	}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	return c.latencies(), nil
}

// burst has all talk as fast as they can, and returns how long it took until
// everybody had everything.
func (c *crowd) burst(ctx context.Context, messages int) (time.Duration, error) {
	c.expect(messages)
	began := time.Now()
	if err := share(ctx, len(c.talkers), messages, c.say); err != nil {
		return 0, err
	}
	err := c.wait(ctx)
	return time.Since(began), err
}
