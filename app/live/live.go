// Package live is the engine that keeps open pages true. It knows bytes and
// numbers only: not what a message is, nor who reads.
//
// There are two sorts of things to follow. A Topic is a log with a cursor: a
// room. Whoever is at number C gets everything after C, once and in order,
// from memory or from the Source. A board (see Board) is state without a
// cursor: who is here, who is typing. It is sent whole to whoever comes, then
// on change.
//
// The invariant: a subscriber is given the cursor of a batch only behind
// everything that the batch holds, and no batch with changes that it needs is
// ever left out. Batches may repeat what was sent; pieces are made so that
// repeating is harmless. Everything is rendered once per variant (language)
// and the same bytes go to every subscriber.
package live

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Variants are the same frame in each variant, in the variants' order.
type Variants [][]byte

// Piece is the newest form of one thing that a topic shows, ready to send.
type Piece struct {
	Key string // what it is; a newer piece with the same key replaces it
	Seq int64  // its place: the number at which it came. 0: it has none
	Rev int64  // the number of its latest change

	// Added puts it on a page that does not have it (and does nothing to one
	// that does); Changed makes a page that has it show the present form.
	Added, Changed Variants
}

// Batch is what happened in a topic after some number.
type Batch struct {
	To     int64    // the topic's number after the batch
	Pieces []Piece  // in order of Seq; behind them those without, the latest last: they change what others show
	Cursor Variants // the frame that says so; sent behind the pieces
	// TooMany: there was more than can be replayed. Pieces is empty and
	// Restart brings any page up to To.
	TooMany bool
	Restart Variants
}

// Source reads what happened in a topic after a number.
type Source func(ctx context.Context, topic, after int64) (Batch, error)

// mostPieces is how many pieces a topic keeps in memory for those who return,
// and keepFor how long, so that memory follows what is said, not how many
// rooms are open. Whoever comes back later reads from the source.
const (
	mostPieces = 256
	keepFor    = 2 * time.Minute
)

// readFor is how long a read of the source may take.
const readFor = 20 * time.Second

// Hub holds the topics and boards that somebody reads.
type Hub struct {
	// Resumed, if not nil, is told how many pieces a subscriber was sent that
	// came back. It is set before the first Follow.
	Resumed func(pieces int)

	source Source
	log    *slog.Logger

	mu     sync.Mutex
	topics map[int64]*Topic
	boards map[string]*Board
	past   int // how often everything was forgotten

	reads singleflight.Group // many who return to the same number read once
}

// NewHub makes a hub over a source.
func NewHub(source Source, log *slog.Logger) *Hub {
	return &Hub{source: source, log: log, topics: make(map[int64]*Topic), boards: make(map[string]*Board)}
}

// Topic is one log with its subscribers and its newest pieces.
type Topic struct {
	hub *Hub
	id  int64

	mu      sync.Mutex
	known   bool  // rev, floor and pieces say something
	rev     int64 // everything up to here was sent to the live subscribers
	floor   int64 // memory holds the newest piece of everything changed after here
	cursor  Variants
	pieces  map[string]Piece
	young   int64     // everything up to here was in memory at the last sweep
	swept   time.Time // when that was
	readers []*reader // live subscribers
	joining int       // subscribers on their way in
	wanted  int64     // the highest number heard of
	hints   int       // how often it was woken
	reading bool      // a goroutine reads for this topic
}

// reader is a live subscriber in a topic.
type reader struct {
	*Subscriber
	at    int64 // the number it is at
	index int   // its place among the readers
}

func (h *Hub) topic(id int64) *Topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[id]
	if t == nil {
		t = &Topic{hub: h, id: id, pieces: make(map[string]Piece)}
		h.topics[id] = t
	}
	return t
}

// Wake says that a topic is at the number rev, or higher. It may come late,
// twice or out of order; with rev 0 it means "look whether there is anything".
func (h *Hub) Wake(id, rev int64) {
	h.mu.Lock()
	t := h.topics[id]
	h.mu.Unlock()
	if t == nil {
		return // nobody reads: whoever comes reads for themselves
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if rev == 0 {
		rev = t.rev + 1
	} else if t.known && rev <= t.rev {
		return
	}
	t.wanted = max(t.wanted, rev)
	t.hints++
	if !t.reading {
		t.reading = true
		go t.read()
	}
}

// WakeAll looks after every topic that is read: hints may have been lost.
func (h *Hub) WakeAll() {
	h.mu.Lock()
	ids := make([]int64, 0, len(h.topics))
	for id := range h.topics {
		ids = append(ids, id)
	}
	h.mu.Unlock()
	for _, id := range ids {
		h.Wake(id, 0)
	}
}

// Sweep forgets the topics that nobody reads, and what others have kept for
// longer than keepFor.
func (h *Hub) Sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, t := range h.topics {
		t.mu.Lock()
		if len(t.readers) == 0 && t.joining == 0 && !t.reading {
			delete(h.topics, id)
		}
		if now.Sub(t.swept) >= keepFor {
			t.dropUpTo(t.young)
			t.young, t.swept = t.rev, now
		}
		t.mu.Unlock()
	}
}

// dropUpTo takes out of memory what was last changed at a number or before.
// The caller holds t.mu.
func (t *Topic) dropUpTo(rev int64) {
	t.floor = max(t.floor, rev)
	for key, p := range t.pieces {
		if p.Rev <= t.floor {
			delete(t.pieces, key)
		}
	}
}

// Restart forgets all topics and closes their readers: the source is another
// one, and numbers of the old one mean nothing in it.
func (h *Hub) Restart() {
	h.mu.Lock()
	old := h.topics
	h.topics = make(map[int64]*Topic)
	h.past++ // what is being read now is given to nobody who comes later
	h.mu.Unlock()
	for _, t := range old {
		t.mu.Lock()
		for _, r := range t.readers {
			r.Close(nil)
		}
		t.mu.Unlock()
	}
}

// read brings the topic to the number that is wanted and delivers the way
// there. One goroutine per topic runs it, only while there is something.
func (t *Topic) read() {
	for wait := 50 * time.Millisecond; ; {
		t.mu.Lock()
		if len(t.readers) == 0 && t.joining == 0 || t.known && t.rev >= t.wanted {
			if len(t.readers) == 0 && t.joining == 0 {
				t.forget() // nobody reads: what memory holds would grow old
			}
			t.reading = false
			t.mu.Unlock()
			return
		}
		if !t.known { // those on their way in read for themselves
			t.reading = false
			t.mu.Unlock()
			return
		}
		from, hints := t.rev, t.hints
		t.mu.Unlock()

		// Not by load: a read that began before the hint would not know of it.
		ctx, cancel := context.WithTimeout(context.Background(), readFor)
		batch, err := t.hub.source(ctx, t.id, from)
		cancel()
		if err != nil {
			t.hub.log.Warn("topic could not be read, trying again", "topic", t.id, "after", from, "wait", wait, "err", err)
			time.Sleep(wait)
			wait = min(2*wait, 2*time.Second)
			continue
		}
		t.mu.Lock()
		// A hint above what is stored (or a mere look) is answered by this read,
		// one that came after the read had begun is not.
		if t.hints == hints {
			t.wanted = batch.To
		}
		if batch.To > t.rev {
			t.deliver(batch)
		}
		t.mu.Unlock()
	}
}

// deliver merges a batch into memory and sends it to the live subscribers.
// The caller holds t.mu.
func (t *Topic) deliver(batch Batch) {
	from := t.rev
	t.merge(batch)
	shared := make(forms)
	for _, r := range t.readers {
		at := r.at
		if at >= batch.To {
			continue // it read further than this by itself
		}
		r.at = batch.To
		if at > from { // it knows part of the batch
			r.Send(batch.frames(at, r.variant))
			continue
		}
		r.put(shared.of(r.Subscriber, func(variant int) []byte { return batch.frames(from, variant) }))
	}
}

// merge takes a batch that begins at t.rev into memory. The caller holds t.mu.
func (t *Topic) merge(batch Batch) {
	if batch.TooMany {
		t.forget()
		t.known, t.rev, t.floor, t.cursor = true, batch.To, batch.To, batch.Cursor
		return
	}
	t.known, t.rev, t.cursor = true, batch.To, batch.Cursor
	for _, p := range batch.Pieces {
		t.pieces[p.Key] = p
	}
	if len(t.pieces) <= mostPieces {
		return
	}
	revs := make([]int64, 0, len(t.pieces))
	for _, p := range t.pieces {
		revs = append(revs, p.Rev)
	}
	sort.Slice(revs, func(i, j int) bool { return revs[i] < revs[j] })
	t.dropUpTo(revs[len(revs)-mostPieces*3/4-1]) // a quarter at once, not one each time
}

// forget empties the memory. The caller holds t.mu.
func (t *Topic) forget() {
	t.known, t.rev, t.floor, t.young, t.cursor = false, 0, 0, 0, nil
	clear(t.pieces)
}

// since answers from memory what a reader at number `at` missed.
// The caller holds t.mu.
func (t *Topic) since(at int64) (Batch, bool) {
	if !t.known || at < t.floor || at > t.rev {
		return Batch{}, false
	}
	batch := Batch{To: t.rev, Cursor: t.cursor}
	for _, p := range t.pieces {
		if p.Rev > at {
			batch.Pieces = append(batch.Pieces, p)
		}
	}
	sort.Slice(batch.Pieces, func(i, j int) bool {
		a, b := batch.Pieces[i], batch.Pieces[j]
		if (a.Seq == 0) != (b.Seq == 0) {
			return b.Seq == 0
		}
		// Without a place it is the number that counts: a piece that was rendered
		// before another came must not undo what that one changed in it.
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.Key, b.Key)) < 0
	})
	return batch, true
}

// size is the number of pieces; what can't be replayed counts as all that
// memory would have held.
func (b Batch) size() int {
	if b.TooMany {
		return mostPieces
	}
	return len(b.Pieces)
}

// frames are the batch as a subscriber at number `at` needs it, in one piece
// so that it goes out in one write: what is new to it is added, and changed
// too where it was changed since (its page may hold an older form); what it
// has is changed. The cursor comes last.
func (b Batch) frames(at int64, variant int) []byte {
	if b.TooMany {
		return b.Restart[variant]
	}
	size := len(b.Cursor[variant])
	for _, p := range b.Pieces {
		if p.Seq > at {
			size += len(p.Added[variant])
		}
		if p.Seq <= at || p.Rev > p.Seq {
			size += len(p.Changed[variant])
		}
	}
	out := make([]byte, 0, size)
	for _, p := range b.Pieces {
		if p.Rev <= at {
			continue
		}
		isNew := p.Seq > at
		if isNew {
			out = append(out, p.Added[variant]...)
		}
		if !isNew || p.Rev > p.Seq {
			out = append(out, p.Changed[variant]...)
		}
	}
	return append(out, b.Cursor[variant]...)
}

// Follow makes the subscriber a reader of a topic from the number `after` on.
// It returns once everything up to the present was put in front of it.
//
// It subscribes first and reads then, so nothing falls between the two.
func (h *Hub) Follow(ctx context.Context, s *Subscriber, id, after int64) (err error) {
	t := h.join(id)
	replayed := 0
	defer func() {
		t.mu.Lock()
		t.joining--
		t.mu.Unlock()
		if h.Resumed != nil && err == nil {
			h.Resumed(replayed)
		}
	}()
	for at, sent := after, false; ; {
		t.mu.Lock()
		if sent && t.known && at > t.rev { // it is ahead of the live path, which follows
			t.enter(s, at)
			t.mu.Unlock()
			h.Wake(id, at)
			return nil
		}
		if batch, ok := t.since(at); ok {
			if !sent || len(batch.Pieces) > 0 {
				s.SendReplay(batch.frames(at, s.variant))
				replayed += batch.size()
			}
			t.enter(s, batch.To)
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()

		batch, err := h.load(ctx, id, at)
		if err != nil {
			return fmt.Errorf("follow topic %d after %d: %w", id, at, err)
		}
		s.SendReplay(batch.frames(at, s.variant))
		replayed += batch.size()
		sent = true
		t.mu.Lock()
		if !t.known {
			t.floor = at
			t.merge(batch)
			if t.wanted > t.rev && !t.reading {
				t.reading = true
				go t.read()
			}
		}
		t.mu.Unlock()
		at = max(at, batch.To)
	}
}

func (h *Hub) join(id int64) *Topic {
	for {
		t := h.topic(id)
		t.mu.Lock()
		t.joining++
		t.mu.Unlock()
		h.mu.Lock()
		same := h.topics[id] == t // not swept in between
		h.mu.Unlock()
		if same {
			return t
		}
	}
}

// enter makes the subscriber live. The caller holds t.mu.
func (t *Topic) enter(s *Subscriber, at int64) {
	r := &reader{s, at, len(t.readers)}
	t.readers = append(t.readers, r)
	s.onLeave(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		last := t.readers[len(t.readers)-1]
		t.readers[r.index], last.index = last, r.index
		t.readers[len(t.readers)-1] = nil
		t.readers = t.readers[:len(t.readers)-1]
	})
}

// load reads from the source. Calls for the same number share one read only
// with calls that began before it, so what it returns may be older than the
// present; the caller's loop sees to that.
func (h *Hub) load(ctx context.Context, id, after int64) (Batch, error) {
	h.mu.Lock()
	key := fmt.Sprintf("%d/%d/%d", h.past, id, after)
	h.mu.Unlock()
	read := h.reads.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), readFor) // others may wait for it too
		defer cancel()
		return h.source(ctx, id, after)
	})
	select {
	case r := <-read:
		if r.Err != nil {
			return Batch{}, r.Err
		}
		return r.Val.(Batch), nil
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	}
}

// Readers counts the live subscribers of a topic.
func (h *Hub) Readers(id int64) int {
	h.mu.Lock()
	t := h.topics[id]
	h.mu.Unlock()
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.readers)
}
