// Package bus carries wake-ups and passing states between nodes: "room 7 is
// at 4183", "Ann is typing". It goes by NOTIFY of the Postgres that every node
// has anyway, or by NATS.
//
// Its invariant is modesty: a message on the bus is a hint. It may come late,
// twice, out of order or never; nothing is lost by that, because whoever is
// woken reads what is stored, and looks by itself after every break of the
// connection and now and then without one. So the bus may forget, and never
// lets a caller wait: what is to be sent is put into memory, where newer
// replaces older, and one goroutine sends it.
//
// A node's own messages are handed to it in memory, without the detour.
package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

// Transport takes messages to all nodes.
type Transport interface {
	// Listen hands over every message that arrives, one at a time, until ctx
	// ends, and nil where others may have been lost. It returns once it
	// listens, or tries to; an error says that trying again would not help.
	Listen(ctx context.Context, arrived func(message []byte)) error
	// Send returns nil when the message is out of our hands. It may take its
	// time, until ctx ends, but no message may be longer than MostBytes.
	Send(ctx context.Context, message []byte) error
	// Healthy tells whether the connection stands. It answers at once.
	Healthy() bool
}

// MostBytes is the longest message: NOTIFY takes 7,999 bytes. NATS would take
// more, but what works with one transport shall work with the other.
const MostBytes = 7900

// MostData is the longest data of Tell, as JSON.
const MostData = 7000

const (
	// gather is how long what is to be sent waits for more, so that a burst
	// costs one message.
	gather = 5 * time.Millisecond
	// beatEvery is how often a node with nothing to say is heard, so that
	// silence means a dead connection (see silence in postgres.go).
	beatEvery = 5 * time.Second
	// passing is how long a state may wait for a transport that does not
	// work. Who was typing before that is of no use to anyone.
	passing = 5 * time.Second
	// sendFor is how long sending one message may take.
	sendFor = 5 * time.Second
	// mostWaiting and mostTopics bound what waits; what is more is dropped.
	mostWaiting = 1000
	mostTopics  = 10000
	// mostNodes bounds how many nodes are remembered, those that are gone
	// included.
	mostNodes = 1000
)

// The pause after a message that could not be sent doubles up to the longest.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
)

// Handler is told what arrives. Its methods must return soon.
type Handler interface {
	// Woken says that topics are at these numbers, or higher.
	Woken(revs map[int64]int64)
	// Told hands over a state that another node tells: each at most once, and
	// those of one node in their order.
	Told(node, kind string, data []byte)
	// Resumed says that messages may have been lost: look after everything.
	Resumed()
}

// Stats count since the start.
type Stats struct {
	Sent     int64 // messages that went out
	Failed   int64 // messages that could not go out; their wake-ups are tried again
	Dropped  int64 // wake-ups and states that were given up
	Received int64 // messages of other nodes
	Resumed  int64 // times that messages may have been lost
}

// Bus connects this node with the others.
type Bus struct {
	node      string
	epoch     func() string
	transport Transport
	handler   Handler
	log       *slog.Logger

	seq int64 // of the latest message; the sender's alone

	arriving sync.Mutex       // one message at a time
	heard    map[string]int64 // the highest number of each node

	mu      sync.Mutex
	revs    map[int64]int64  // wake-ups that wait to be sent
	tells   []*tell          // states that wait, oldest first
	keyed   map[string]*tell // those of them that a newer one replaces
	closing bool
	stats   Stats
	others  time.Time // when another node was heard

	ready chan struct{} // holds one token while something waits
	done  chan struct{} // closed when nothing is sent any more
}

// tell is a state on its way to the other nodes.
type tell struct {
	Kind string          `json:"k"`
	Data json.RawMessage `json:"d"`
	key  string
	at   time.Time
}

// envelope is what goes over the wire: wake-ups and states, or nothing but a
// sign of life.
type envelope struct {
	Epoch string          `json:"e"` // of the sender's database
	Node  string          `json:"n"`
	Seq   int64           `json:"s"` // counts the node's messages
	Revs  map[int64]int64 `json:"r,omitempty"`
	Tells []*tell         `json:"t,omitempty"`
}

// Start listens and sends until ctx ends. The handler is called from one
// goroutine at a time for what other nodes say, and from Wake's caller for
// what this one does.
//
// Nodes hear each other while they are at the same epoch, the random name of
// their database. So several chats may share a NATS server, a trial with
// yesterday's backup does not talk into today's rooms, and after a restore
// nobody is woken by a number from the lost future.
func Start(ctx context.Context, transport Transport, epoch func() string, handler Handler, log *slog.Logger) (*Bus, error) {
	b := &Bus{
		node: rand.Text()[:12], epoch: epoch, transport: transport, handler: handler, log: log,
		revs: make(map[int64]int64), keyed: make(map[string]*tell), heard: make(map[string]int64),
		ready: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := transport.Listen(ctx, b.arrived); err != nil {
		return nil, err
	}
	go b.run(ctx)
	return b, nil
}

// Node is this node's random name.
func (b *Bus) Node() string { return b.node }

// Healthy tells whether the connection to the other nodes stands.
func (b *Bus) Healthy() bool { return b.transport.Healthy() }

// Stats tells what the bus did so far.
func (b *Bus) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Alone tells whether no other node was heard for a while.
func (b *Bus) Alone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.others.IsZero() || time.Since(b.others) > 3*beatEvery
}

// Wake tells every node, this one at once, that a topic is at a number.
func (b *Bus) Wake(topic, rev int64) {
	b.handler.Woken(map[int64]int64{topic: rev})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep(topic, rev)
	b.wakeSender()
}

// keep puts a wake-up among those that wait. The caller holds b.mu.
func (b *Bus) keep(topic, rev int64) {
	if _, waits := b.revs[topic]; !waits && len(b.revs) >= mostTopics {
		b.stats.Dropped++
		return
	}
	b.revs[topic] = max(b.revs[topic], rev)
}

// Tell sends a state to the other nodes, of at most MostData as JSON. One that
// still waits under the same kind and key is replaced; with the key "" it
// stands beside the others.
func (b *Bus) Tell(kind, key string, data any) {
	js, err := json.Marshal(data)
	if err != nil || len(js) > MostData {
		b.log.Error("a message for other nodes can't be sent", "kind", kind, "bytes", len(js), "err", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &tell{Kind: kind, Data: js, at: time.Now()}
	if key != "" {
		t.key = kind + " " + key
		if old := b.keyed[t.key]; old != nil {
			*old = *t
			return
		}
		b.keyed[t.key] = t
	}
	if len(b.tells) >= mostWaiting {
		b.takeTell()
		b.stats.Dropped++
	}
	b.tells = append(b.tells, t)
	b.wakeSender()
}

// takeTell takes the oldest state that waits. The caller holds b.mu.
func (b *Bus) takeTell() *tell {
	t := b.tells[0]
	b.tells[0] = nil
	b.tells = b.tells[1:]
	if t.key != "" {
		delete(b.keyed, t.key)
	}
	return t
}

func (b *Bus) wakeSender() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// Close sends what waits and stops sending; listening ends with Start's ctx.
func (b *Bus) Close(ctx context.Context) {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.wakeSender()
	select {
	case <-b.done:
	case <-ctx.Done():
	}
}

// run sends what waits, until ctx ends or the bus is closed.
func (b *Bus) run(ctx context.Context) {
	defer close(b.done)
	beat := time.NewTimer(beatEvery)
	defer beat.Stop()
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-b.ready:
			sleep(ctx, gather)
		case <-beat.C:
			pause = b.send(ctx, envelope{}, pause)
		}
		for e, some := b.take(); some && ctx.Err() == nil; e, some = b.take() {
			if pause = b.send(ctx, e, pause); pause > 0 && b.closed() {
				return
			}
		}
		if b.closed() {
			return
		}
		beat.Reset(beatEvery)
	}
}

func (b *Bus) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing
}

// send sends one message. After one that fails there is a pause, longer than
// the one before; its wake-ups are tried again.
func (b *Bus) send(ctx context.Context, e envelope, pause time.Duration) time.Duration {
	b.seq++
	e.Epoch, e.Node, e.Seq = b.epoch(), b.node, b.seq
	js, err := json.Marshal(e)
	if err == nil {
		sending, cancel := context.WithTimeout(ctx, sendFor)
		err = b.transport.Send(sending, js)
		cancel()
	}
	if err == nil {
		b.count(func(s *Stats) { s.Sent++ })
		return 0
	}
	b.giveBack(e)
	if ctx.Err() != nil {
		return pause
	}
	if pause == 0 {
		b.log.Warn("other nodes can't be told what is new; trying again, and they look by themselves", "err", err)
	}
	pause = min(max(2*pause, shortestPause), longestPause)
	sleep(ctx, pause)
	return pause
}

func (b *Bus) giveBack(e envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Failed++
	b.stats.Dropped += int64(len(e.Tells))
	for topic, rev := range e.Revs {
		b.keep(topic, rev)
	}
}

// take puts together the next message of what waits. States that waited too
// long are dropped.
func (b *Bus) take() (e envelope, some bool) {
	const frame, entry = 100, 44 // bytes: the longest forms of an envelope, or what encloses a state, and of a wake-up
	b.mu.Lock()
	defer b.mu.Unlock()
	room := MostBytes - frame
	for topic, rev := range b.revs {
		if room < entry {
			break
		}
		if e.Revs == nil {
			e.Revs = make(map[int64]int64)
		}
		e.Revs[topic] = rev
		delete(b.revs, topic)
		room -= entry
	}
	old := time.Now().Add(-passing)
	for len(b.tells) > 0 {
		t := b.tells[0]
		if t.at.Before(old) {
			b.takeTell()
			b.stats.Dropped++
			continue
		}
		if room -= len(t.Data) + len(t.Kind) + frame; room < 0 {
			break
		}
		e.Tells = append(e.Tells, b.takeTell())
	}
	return e, len(e.Revs) > 0 || len(e.Tells) > 0
}

// arrived hands on what the transport brings.
func (b *Bus) arrived(message []byte) {
	b.arriving.Lock()
	defer b.arriving.Unlock()
	if message == nil {
		b.count(func(s *Stats) { s.Resumed++ })
		b.handler.Resumed()
		return
	}
	var e envelope
	if err := json.Unmarshal(message, &e); err != nil {
		b.log.Warn("a message of another node can't be read", "err", err)
		return
	}
	if e.Node == b.node || e.Epoch != b.epoch() {
		return
	}
	b.mu.Lock()
	b.stats.Received++
	b.others = time.Now()
	b.mu.Unlock()
	if len(e.Revs) > 0 {
		b.handler.Woken(e.Revs)
	}
	if e.Seq <= b.heard[e.Node] {
		return // what it tells is old
	}
	if len(b.heard) >= mostNodes {
		clear(b.heard)
	}
	b.heard[e.Node] = e.Seq
	for _, t := range e.Tells {
		if t != nil {
			b.handler.Told(e.Node, t.Kind, t.Data)
		}
	}
}

func (b *Bus) count(what func(*Stats)) {
	b.mu.Lock()
	what(&b.stats)
	b.mu.Unlock()
}

// sleep waits, but not beyond the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
