package live

import (
	"errors"
	"sync"
)

// ErrSlow ends a subscriber that let too many bytes wait.
var ErrSlow = errors.New("the reader is too slow")

// ErrClosed ends a subscriber that was told to go.
var ErrClosed = errors.New("the subscriber was closed")

// Subscriber is one open stream: frames wait here until its connection takes
// them. Frames are shared between subscribers and never changed.
type Subscriber struct {
	variant int  // which of the Variants it reads
	packed  bool // compressed (pack)
	limit   int  // bytes that may wait

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	told    bool // of what waits, and has not taken it yet
	err     error
	last    []byte
	notify  func()        // has the connection call Take; nil: it has none yet
	ready   chan struct{} // see Ready

	leave []func() // take it out of its topic and boards
}

// NewSubscriber makes a subscriber that reads the given variant (language),
// compressed or not, and is cut when more than limit bytes wait for it. What
// is sent waits until there is a connection to take it: see Ready, and
// Writers.Add.
func NewSubscriber(variant int, packed bool, limit int) *Subscriber {
	return &Subscriber{variant: variant, packed: packed, limit: limit}
}

// attach gives it the connection that is to be notified.
func (s *Subscriber) attach(notify func()) {
	s.mu.Lock()
	s.notify = notify
	s.told = len(s.waiting) > 0 || s.err != nil
	told := s.told
	s.mu.Unlock()
	if told {
		notify()
	}
}

// Ready delivers a token when there is something to Take, for a connection
// that has a goroutine of its own.
func (s *Subscriber) Ready() <-chan struct{} {
	s.mu.Lock()
	ready := s.ready
	if ready == nil {
		ready = make(chan struct{}, 1)
		s.ready = ready
	}
	s.mu.Unlock()
	if s.notify == nil {
		s.attach(func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		})
	}
	return ready
}

// Take appends what waits to the given slice, oldest first. After the end it
// gives the frame that was left to say, if any, together with the reason.
func (s *Subscriber) Take(into [][]byte) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = false
	if s.err != nil {
		if s.last != nil {
			into = append(into, s.last)
		}
		return into, s.err
	}
	into = append(into, s.waiting...)
	clear(s.waiting)
	if s.waiting = s.waiting[:0]; cap(s.waiting) > 4 {
		s.waiting = nil // an idle stream keeps little
	}
	s.bytes = 0
	return into, nil
}

// Close ends the subscriber. What waits is dropped, since its cursor was not
// confirmed and it will be sent again; last, if not nil, is still written.
func (s *Subscriber) Close(last []byte) {
	if last != nil {
		last = s.encode(last)
	}
	s.end(ErrClosed, last)
}

// Send puts bytes in front of the connection, or ends the subscriber when too
// much waits already.
func (s *Subscriber) Send(frame []byte) { s.put(s.encode(frame)) }

// SendReplay is Send for what a reader missed, which is as large as it is and
// bounded where it is read. Only what waits beside it counts.
func (s *Subscriber) SendReplay(frame []byte) { s.add(s.encode(frame), 0) }

// encode is the frame as this subscriber's connection carries it.
func (s *Subscriber) encode(frame []byte) []byte {
	if s.packed && len(frame) > 0 {
		return pack(frame)
	}
	return frame
}

// put is Send for bytes that are encoded already.
func (s *Subscriber) put(frame []byte) { s.add(frame, len(frame)) }

// add puts encoded bytes in front of the connection. So many of them count as
// waiting.
func (s *Subscriber) add(frame []byte, counted int) {
	if len(frame) == 0 {
		return
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.waiting = append(s.waiting, frame)
	s.bytes += counted
	if s.bytes > s.limit && len(s.waiting) > 1 { // one batch alone is as large as it is
		s.mu.Unlock()
		s.end(ErrSlow, nil)
		return
	}
	tell := !s.told && s.notify != nil
	s.told = s.told || tell
	s.mu.Unlock()
	if tell {
		s.notify()
	}
}

func (s *Subscriber) end(err error, last []byte) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err, s.last, s.waiting = err, last, nil
	notify := s.notify
	s.mu.Unlock()
	if notify != nil {
		notify()
	}
}

// Err is why the subscriber ended, nil while it has not.
func (s *Subscriber) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Leave takes the subscriber out of everything it reads.
func (s *Subscriber) Leave() {
	s.mu.Lock()
	leave := s.leave
	s.leave = nil
	s.mu.Unlock()
	for _, f := range leave {
		f()
	}
}

func (s *Subscriber) onLeave(f func()) {
	s.mu.Lock()
	s.leave = append(s.leave, f)
	s.mu.Unlock()
}
