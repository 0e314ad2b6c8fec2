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
	variant int // which of the Variants it reads
	limit   int // bytes that may wait

	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	err     error // why it ended
	last    []byte
	ready   chan struct{} // holds one token while there is something to Take

	leave []func() // take it out of its topic and boards; guarded by the hub's callers
}

// NewSubscriber makes a subscriber that reads the given variant (language)
// and is cut when more than limit bytes wait for it.
func NewSubscriber(variant, limit int) *Subscriber {
	return &Subscriber{variant: variant, limit: limit, ready: make(chan struct{}, 1)}
}

// Ready delivers a token when there is something to Take.
func (s *Subscriber) Ready() <-chan struct{} { return s.ready }

// Take returns what waits, oldest first. After the end it returns the frames
// that were left to say, if any, together with the reason.
func (s *Subscriber) Take() ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		if s.last != nil {
			return [][]byte{s.last}, s.err
		}
		return nil, s.err
	}
	frames := s.waiting
	s.waiting, s.bytes = nil, 0
	return frames, nil
}

// Close ends the subscriber. What waits is dropped, since its cursor was not
// confirmed and it will be sent again; last, if not nil, is still written.
func (s *Subscriber) Close(last []byte) { s.end(ErrClosed, last) }

// Send puts a frame in front of the connection, or ends the subscriber when
// too much waits already.
func (s *Subscriber) Send(frame []byte) { s.send(s.limit, frame) }

// sendReplay is Send for what a reader missed, which is as large as it is and
// bounded where it is read. Only what waits beside it counts.
func (s *Subscriber) sendReplay(frame []byte) { s.send(s.limit+len(frame), frame) }

func (s *Subscriber) send(limit int, frame []byte) {
	if len(frame) == 0 {
		return
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.waiting = append(s.waiting, frame)
	s.bytes += len(frame)
	tooMuch := s.bytes > limit && len(s.waiting) > 1 // one batch alone is as large as it is
	s.mu.Unlock()
	if tooMuch {
		s.end(ErrSlow, nil)
		return
	}
	s.wake()
}

func (s *Subscriber) end(err error, last []byte) {
	s.mu.Lock()
	if s.err == nil {
		s.err, s.last, s.waiting = err, last, nil
	}
	s.mu.Unlock()
	s.wake()
}

func (s *Subscriber) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
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
