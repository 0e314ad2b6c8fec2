package live

import "sync"

// Board is state without a cursor, in a few named parts: who is here, who is
// typing, the rooms. Whoever opens it gets all parts, then each that changes.
type Board struct {
	mu      sync.Mutex
	order   []string // parts, oldest first
	parts   map[string]Variants
	whole   forms // all parts, as they are sent to whoever opens it; nil: not made yet
	readers map[*Subscriber]struct{}
}

func (h *Hub) board(name string) *Board {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.boards[name]
	if b == nil {
		b = &Board{parts: make(map[string]Variants), readers: make(map[*Subscriber]struct{})}
		h.boards[name] = b
	}
	return b
}

// Put gives a part of a board its present form and sends it to all readers.
func (h *Hub) Put(name, part string, shown Variants) {
	b := h.board(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.parts[part]; !ok {
		b.order = append(b.order, part)
	}
	b.parts[part] = shown
	b.whole = nil
	sent := make(forms)
	for s := range b.readers {
		s.put(s.limit, sent.of(s, func(variant int) []byte { return shown[variant] }))
	}
}

// Has tells whether anything was put on a board.
func (h *Hub) Has(name string) bool {
	b := h.board(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.parts) > 0
}

// Open makes the subscriber a reader of a board and sends it all parts.
func (h *Hub) Open(s *Subscriber, name string) {
	b := h.board(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[s] = struct{}{}
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
	s.put(s.limit+len(frame), frame)
	s.onLeave(func() {
		b.mu.Lock()
		delete(b.readers, s)
		b.mu.Unlock()
	})
}
