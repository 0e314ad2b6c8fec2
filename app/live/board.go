package live

import (
	"bytes"
	"slices"
	"sync"
)

// Board is state without a cursor, in a few named parts: who is here, who is
// typing, the rooms. Whoever opens it gets all parts, then each that changes.
type Board struct {
	mu      sync.Mutex
	order   []string // parts, oldest first
	parts   map[string]Variants
	whole   forms // all parts, as they are sent to whoever opens it; nil: not made yet
	readers map[*Subscriber]struct{}
	idle    bool // nobody has read it since the last sweep
	swept   bool // the hub does not know it any more
}

// board returns the board, locked; it is made if there is none.
func (h *Hub) board(name string) *Board {
	for {
		h.mu.Lock()
		b := h.boards[name]
		if b == nil {
			b = &Board{parts: make(map[string]Variants), readers: make(map[*Subscriber]struct{})}
			h.boards[name] = b
		}
		h.mu.Unlock()
		b.mu.Lock()
		if !b.swept {
			return b
		}
		b.mu.Unlock()
	}
}

// SweepBoards forgets the boards that nobody has read since the last sweep,
// but for those to keep.
func (h *Hub) SweepBoards(keep ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, b := range h.boards {
		b.mu.Lock()
		if len(b.readers) == 0 && !slices.Contains(keep, name) {
			if b.idle {
				b.swept = true
				delete(h.boards, name)
			}
			b.idle = true
		}
		b.mu.Unlock()
	}
}

// Put gives a part of a board its present form and sends it to all readers, if
// it is another one.
func (h *Hub) Put(name, part string, shown Variants) {
	b := h.board(name)
	defer b.mu.Unlock()
	old, ok := b.parts[part]
	if ok && slices.EqualFunc(old, shown, bytes.Equal) {
		return
	}
	if !ok {
		b.order = append(b.order, part)
	}
	b.parts[part] = shown
	b.whole = nil
	sent := make(forms)
	for s := range b.readers {
		s.put(sent.of(s, func(variant int) []byte { return shown[variant] }))
	}
}

// Drop takes a part off a board. Pages that show it are not told.
func (h *Hub) Drop(name, part string) {
	b := h.board(name)
	defer b.mu.Unlock()
	if _, ok := b.parts[part]; ok {
		delete(b.parts, part)
		b.order = slices.DeleteFunc(b.order, func(p string) bool { return p == part })
		b.whole = nil
	}
}

// Clear takes all parts off a board. Pages that show them are not told.
func (h *Hub) Clear(name string) {
	h.mu.Lock()
	b := h.boards[name]
	h.mu.Unlock()
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.parts)
	b.order, b.whole = nil, nil
}

// Has tells whether anything is on a board.
func (h *Hub) Has(name string) bool {
	h.mu.Lock()
	b := h.boards[name]
	h.mu.Unlock()
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.parts) > 0
}

// Open makes the subscriber a reader of a board and sends it all parts.
func (h *Hub) Open(s *Subscriber, name string) {
	b := h.board(name)
	defer b.mu.Unlock()
	b.readers[s], b.idle = struct{}{}, false
	if b.whole == nil {
		b.whole = make(forms)
	}
	frame := b.whole.of(s, func(variant int) []byte {
		var all []byte
		for _, part := range b.order {
			all = append(all, b.parts[part][variant]...)
		}
		return all
	})
	s.add(frame, 0)
	s.onLeave(func() {
		b.mu.Lock()
		delete(b.readers, s)
		b.mu.Unlock()
	})
}
