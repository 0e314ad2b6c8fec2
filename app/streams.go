package app

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"parlor/app/chat"
	"parlor/app/live"
	"parlor/app/sse"
)

// openStream is one stream of a page.
type openStream struct {
	sub     *live.Subscriber
	packed  bool
	browser string // "" for a program
	tab     string
	opens   int
	session string
	addr    netip.Addr
	direct  bool // no proxy between
}

// streams knows all open ones. A browser with too many gets its oldest one
// parked: told so, ended, and not opened again until its tab is looked at.
type streams struct {
	mu        sync.Mutex
	all       map[*openStream]struct{}
	draining  bool
	browsers  map[string]*browserStreams
	addresses map[netip.Addr]int
	sessions  map[string]map[*openStream]bool
}

type browserStreams struct {
	open   []*openStream  // oldest first
	parked map[string]int // by tab: the Opens at which it was parked
}

// mostParked is how many parked tabs of a browser are remembered.
const mostParked = 100

var errParked = errors.New("this tab is parked")

func newStreams() *streams {
	return &streams{
		all: make(map[*openStream]struct{}), browsers: make(map[string]*browserStreams), addresses: make(map[netip.Addr]int),
		sessions: make(map[string]map[*openStream]bool),
	}
}

// open counts a stream in. most is how many its browser may have, 0 for any
// number and no limit at all.
func (s *streams) open(o *openStream, most, perAddress int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return chat.Refuse(chat.Unavailable, chat.Draining)
	}
	if most > 0 && s.addresses[o.addr] >= perAddress {
		return chat.Refuse(chat.TooMany, chat.TooManyStreams)
	}
	if o.browser != "" && o.tab != "" {
		b := s.browsers[o.browser]
		if b == nil {
			b = &browserStreams{}
			s.browsers[o.browser] = b
		}
		if at, ok := b.parked[o.tab]; ok && o.opens <= at {
			return errParked // a retry, not somebody who looks
		}
		delete(b.parked, o.tab)
		open := b.open[:0:0]
		for _, other := range b.open {
			if other.tab == o.tab { // the page opened it afresh
				other.sub.Close(nil)
				continue
			}
			open = append(open, other)
		}
		for most > 0 && len(open) >= most {
			oldest := open[0]
			oldest.sub.Close(parkedFrame)
			if b.parked == nil || len(b.parked) >= mostParked { // a new page, not a tab, each time
				b.parked = make(map[string]int)
			}
			b.parked[oldest.tab] = oldest.opens
			open = open[1:]
		}
		b.open = append(open, o)
	}
	s.all[o] = struct{}{}
	s.addresses[o.addr]++
	if o.session != "" {
		if s.sessions[o.session] == nil {
			s.sessions[o.session] = make(map[*openStream]bool)
		}
		s.sessions[o.session][o] = true
	}
	return nil
}

var parkedFrame = sse.Signals(map[string]any{"_parked": true}, "")

// close counts a stream out.
func (s *streams) close(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, o)
	if s.addresses[o.addr]--; s.addresses[o.addr] <= 0 {
		delete(s.addresses, o.addr)
	}
	if of := s.sessions[o.session]; of != nil {
		delete(of, o)
		if len(of) == 0 {
			delete(s.sessions, o.session)
		}
	}
	b := s.browsers[o.browser]
	if b == nil {
		return
	}
	for i, other := range b.open {
		if other == o {
			b.open = append(b.open[:i:i], b.open[i+1:]...)
			break
		}
	}
	if len(b.open) == 0 {
		delete(s.browsers, o.browser)
	}
}

// names lists the sessions that have a stream open.
func (s *streams) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.sessions))
}

// endSession ends the streams of a session that ended.
func (s *streams) endSession(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.sessions[name] {
		o.sub.Close(nil)
	}
}
