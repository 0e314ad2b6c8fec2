package live

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// roundEvery and rounds: each connection is looked at once in
	// roundEvery*rounds = 1 s, a few at a time. Has its peer gone? Is it time
	// for a sign of life?
	roundEvery = 100 * time.Millisecond
	rounds     = 10
	// quietFor is how long nothing was written before a sign of life is due.
	// With the round that is every 10 s at the latest.
	quietFor = 9 * time.Second
	// writeFor is how long a write to a slow reader may take before it is cut.
	writeFor = 10 * time.Second
	// mostJoined is how many bytes are gathered for one write.
	mostJoined = 64 << 10
)

// Writers write to the connections of many subscribers with few goroutines:
// one per processor, each with its share of the connections (a shard). An idle
// connection has no goroutine and no buffer, and costs about a kilobyte.
//
// A shard never waits for a reader. What the kernel does not take at once is
// written by a goroutine that the connection gets until it has caught up, or
// until too much waits for it, or for too long.
type Writers struct {
	shards []*shard
	next   atomic.Uint64
	beat   func() []byte
	wrote  func(streams, bytes int, took time.Duration)
}

// NewWriters starts the goroutines, which run for the rest of the program's
// life. beat makes the sign of life that quiet connections get, a frame; wrote
// is told how much was written to how many, and how long after the first of
// them became ready.
func NewWriters(beat func() []byte, wrote func(streams, bytes int, took time.Duration)) *Writers {
	w := &Writers{beat: beat, wrote: wrote}
	for range runtime.GOMAXPROCS(0) {
		s := &shard{writers: w, wake: make(chan struct{}, 1)}
		s.write = func(fd uintptr) bool {
			s.n, s.err = syscall.Write(int(fd), s.out)
			return true // never wait
		}
		s.peek = func(fd uintptr) bool {
			s.n, s.err = syscall.Read(int(fd), s.in[:])
			return true
		}
		w.shards = append(w.shards, s)
		go s.run()
	}
	return w
}

// Add hands a connection over, with the subscriber whose frames it is to
// carry, behind head, which is written as it is. ended is called once, with
// the reason, when the connection is closed and the subscriber has left.
func (w *Writers) Add(c net.Conn, sub *Subscriber, head []byte, ended func(error)) error {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	s := w.shards[w.next.Add(1)%uint64(len(w.shards))]
	conn := &connection{Conn: c, raw: raw, sub: sub, shard: s, ended: ended}
	sub.mu.Lock()
	if sub.err != nil { // it was told to go meanwhile
		sub.last = append(head, sub.last...)
	} else {
		sub.waiting = append([][]byte{head}, sub.waiting...)
	}
	sub.mu.Unlock()
	s.mu.Lock()
	s.added = append(s.added, conn)
	s.mu.Unlock()
	sub.attach(conn.notify)
	return nil
}

// connection is one open stream that a shard writes to.
type connection struct {
	net.Conn
	raw   syscall.RawConn
	sub   *Subscriber
	shard *shard
	ended func(error)

	index    int         // its place in the shard
	lastSent time.Time   // when something was written
	slow     atomic.Bool // a goroutine of its own writes; the shard does not
	closed   bool        // known to the shard only
}

// shard is one goroutine and its connections.
type shard struct {
	writers *Writers
	wake    chan struct{} // holds a token while there is something in ready or added

	mu    sync.Mutex
	ready []*connection // have something to write, or have ended
	added []*connection
	since time.Time // when the first of ready became so

	// All below is known to the goroutine only.
	conns  []*connection
	turn   int // the index in conns of the one that was looked at last
	frames [][]byte
	joined []byte // for frames that go out in one write
	out    []byte // what write writes
	in     [64]byte
	n      int // what write and peek return
	err    error
	write  func(fd uintptr) bool
	peek   func(fd uintptr) bool
}

// notify has the shard look after the connection.
func (c *connection) notify() {
	s := c.shard
	s.mu.Lock()
	if len(s.ready) == 0 {
		s.since = time.Now()
	}
	s.ready = append(s.ready, c)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shard) run() {
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	var spare []*connection
	for {
		select {
		case <-tick.C:
			s.look()
		case <-s.wake:
			s.mu.Lock()
			ready, since := s.ready, s.since
			s.ready = spare[:0]
			for _, c := range s.added {
				c.index = len(s.conns)
				s.conns = append(s.conns, c)
			}
			clear(s.added)
			s.added = s.added[:0]
			s.mu.Unlock()
			bytes, now := 0, time.Now()
			for _, c := range ready {
				bytes += s.serve(c, now)
			}
			s.writers.wrote(len(ready), bytes, time.Since(since))
			clear(ready)
			spare = ready
		}
	}
}

// serve writes what waits for a connection, as far as the kernel takes it, and
// returns how many bytes that were.
func (s *shard) serve(c *connection, now time.Time) int {
	if c.closed {
		return 0
	}
	if c.slow.Load() {
		if c.sub.Err() != nil {
			c.Conn.Close() // its goroutine may be stuck in a write
		}
		return 0
	}
	var ended error
	s.frames, ended = c.sub.Take(s.frames[:0])
	defer clear(s.frames)
	rest := s.join(s.frames)
	sent := 0
	for full := false; len(rest) > 0 && !full; {
		s.out = rest
		err := c.raw.Write(s.write)
		if err == nil {
			err = s.err
		}
		switch err {
		case nil:
			sent += s.n
			rest = rest[s.n:]
		case syscall.EAGAIN:
			full = true
		case syscall.EINTR:
		default:
			s.drop(c, err)
			return sent
		}
	}
	s.out = nil
	if cap(s.joined) > mostJoined {
		s.joined = nil
	}
	c.lastSent = now
	switch {
	case ended != nil:
		s.drop(c, ended) // whatever of its last words did not fit
	case len(rest) > 0:
		if len(s.frames) > 1 {
			s.joined = nil // the goroutine has it now
		}
		c.slow.Store(true)
		go c.catchUp(rest)
	}
	return sent
}

// join makes one write of several frames.
func (s *shard) join(frames [][]byte) []byte {
	if len(frames) == 0 {
		return nil
	}
	if len(frames) == 1 {
		return frames[0]
	}
	s.joined = s.joined[:0]
	for _, f := range frames {
		s.joined = append(s.joined, f...)
	}
	return s.joined
}

// catchUp writes to a reader that the kernel keeps waiting, until nothing
// waits any more, and gives the connection back to its shard.
func (c *connection) catchUp(rest []byte) {
	defer c.notify() // it may have got more, or have ended
	defer c.slow.Store(false)
	for frames := (net.Buffers{rest}); len(frames) > 0; {
		err := c.SetWriteDeadline(time.Now().Add(writeFor))
		if err == nil {
			_, err = frames.WriteTo(c.Conn)
		}
		if err != nil {
			c.sub.end(err, nil)
			return
		}
		if frames, err = c.sub.Take(nil); err != nil {
			return
		}
	}
	_ = c.SetWriteDeadline(time.Time{}) // else the shard's next write would be refused
}

// look goes to the next few connections: whose peer has gone is dropped, and
// what was quiet for long gets a sign of life.
func (s *shard) look() {
	now := time.Now()
	var beat []byte
	var packed []byte
	for range (len(s.conns) + rounds - 1) / rounds {
		// Downwards: the place of a dropped one is taken by the last, which
		// had its turn.
		if s.turn = min(s.turn, len(s.conns)) - 1; s.turn < 0 {
			if s.turn = len(s.conns) - 1; s.turn < 0 {
				return
			}
		}
		c := s.conns[s.turn]
		if c.slow.Load() {
			continue
		}
		if err := c.raw.Read(s.peek); err != nil {
			s.drop(c, err)
			continue
		}
		// A client has nothing to say on its stream; what it says is dropped.
		if s.err == nil && s.n == 0 {
			s.drop(c, net.ErrClosed)
			continue
		} else if s.err != nil && s.err != syscall.EAGAIN && s.err != syscall.EINTR {
			s.drop(c, s.err)
			continue
		}
		if now.Sub(c.lastSent) < quietFor {
			continue
		}
		if beat == nil {
			beat = s.writers.beat()
			packed = pack(beat)
		}
		if c.sub.packed {
			c.sub.put(packed)
		} else {
			c.sub.put(beat)
		}
	}
}

// drop closes a connection and forgets it.
func (s *shard) drop(c *connection, reason error) {
	c.closed = true
	last := s.conns[len(s.conns)-1]
	s.conns[c.index], last.index = last, c.index
	s.conns[len(s.conns)-1] = nil
	s.conns = s.conns[:len(s.conns)-1]
	c.Conn.Close()
	c.sub.end(reason, nil)
	c.sub.Leave()
	c.ended(c.sub.Err())
}
