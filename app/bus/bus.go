// Package bus carries wake-ups and passing states between nodes: "room 7 is
// at 4183", "Ann is typing". It uses NOTIFY of the Postgres that every node
// has anyway.
//
// Its invariant is modesty: a message on the bus is a hint. It may come late,
// twice or never; nothing is lost by that, because whoever is woken reads
// what is stored, and looks by itself after every break of the listener.
// A node's own messages are handed to it in memory, without the detour.
package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// channel is the Postgres channel all nodes listen on.
const channel = "parlor"

// MostBytes is the longest Data of a message: NOTIFY takes 7,999 bytes.
const MostBytes = 7000

// gather is how long wake-ups wait for others, so that a burst costs one
// NOTIFY.
const gather = 5 * time.Millisecond

// Handler is told what arrives. Its methods must return soon.
type Handler interface {
	// Woken says that topics are at these numbers, or higher.
	Woken(revs map[int64]int64)
	// Told hands over a message of another node.
	Told(node, kind string, data []byte)
	// Resumed says that messages may have been lost: look after everything.
	Resumed()
}

// Bus connects this node with the others.
type Bus struct {
	node     string
	db       *sqlx.DB
	listener *pq.Listener
	handler  Handler
	log      *slog.Logger

	mu      sync.Mutex
	pending map[int64]int64 // wake-ups that wait to be sent
	healthy bool
}

type envelope struct {
	Node string          `json:"n"`
	Kind string          `json:"k,omitempty"`
	Data json.RawMessage `json:"d,omitempty"`
	Revs map[int64]int64 `json:"r,omitempty"`
}

// Start connects and listens until ctx ends. The handler is called from one
// goroutine for what other nodes say and from Wake's caller for its own.
func Start(ctx context.Context, url string, db *sqlx.DB, handler Handler, log *slog.Logger) (*Bus, error) {
	b := &Bus{node: rand.Text()[:12], db: db, handler: handler, log: log, pending: make(map[int64]int64)}
	b.listener = pq.NewListener(url, 50*time.Millisecond, 2*time.Second, func(event pq.ListenerEventType, err error) {
		b.mu.Lock()
		b.healthy = event == pq.ListenerEventConnected || event == pq.ListenerEventReconnected
		b.mu.Unlock()
		if event == pq.ListenerEventDisconnected {
			log.Warn("lost the connection that listens to other nodes; reconnecting", "err", err)
		}
	})
	if err := b.listener.Listen(channel); err != nil {
		b.listener.Close()
		return nil, fmt.Errorf("listen to other nodes: %w", err)
	}
	go b.listen(ctx)
	return b, nil
}

// Node is this node's random name.
func (b *Bus) Node() string { return b.node }

// Healthy tells whether the listener is connected.
func (b *Bus) Healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.healthy
}

// Wake tells every node, this one at once, that a topic is at a number.
func (b *Bus) Wake(topic, rev int64) {
	b.handler.Woken(map[int64]int64{topic: rev})
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) == 0 {
		time.AfterFunc(gather, b.flush)
	}
	b.pending[topic] = max(b.pending[topic], rev)
}

// mostRevs keeps a message with this many wake-ups below MostBytes.
const mostRevs = 150

func (b *Bus) flush() {
	b.mu.Lock()
	revs := b.pending
	b.pending = make(map[int64]int64)
	b.mu.Unlock()
	for len(revs) > 0 {
		part := make(map[int64]int64)
		for topic, rev := range revs {
			part[topic] = rev
			delete(revs, topic)
			if len(part) == mostRevs {
				break
			}
		}
		b.send(envelope{Node: b.node, Revs: part})
	}
}

// Tell sends a message to the other nodes, of at most MostBytes as JSON.
func (b *Bus) Tell(kind string, data any) {
	js, err := json.Marshal(data)
	if err != nil || len(js) > MostBytes {
		b.log.Error("a message for other nodes can't be sent", "kind", kind, "bytes", len(js), "err", err)
		return
	}
	b.send(envelope{Node: b.node, Kind: kind, Data: js})
}

func (b *Bus) send(e envelope) {
	js, err := json.Marshal(e)
	if err != nil {
		b.log.Error("a message for other nodes can't be written", "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// In a statement of its own: inside the transaction of the change it would
	// take a lock that puts all commits of the cluster in one queue.
	if _, err := b.db.ExecContext(ctx, `select pg_notify($1, $2)`, channel, string(js)); err != nil {
		b.log.Warn("could not notify other nodes; they will find out by their next look", "err", err)
	}
}

func (b *Bus) listen(ctx context.Context) {
	defer b.listener.Close()
	ping := time.NewTicker(30 * time.Second)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			go b.listener.Ping() // finds a dead connection
		case n := <-b.listener.Notify:
			if n == nil { // reconnected
				b.handler.Resumed()
				continue
			}
			var e envelope
			if err := json.Unmarshal([]byte(n.Extra), &e); err != nil {
				b.log.Warn("a message of another node can't be read", "err", err)
				continue
			}
			switch {
			case e.Node == b.node:
			case len(e.Revs) > 0:
				b.handler.Woken(e.Revs)
			default:
				b.handler.Told(e.Node, e.Kind, e.Data)
			}
		}
	}
}
