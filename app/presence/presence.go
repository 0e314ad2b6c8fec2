// Package presence knows who is in which room and who is typing there, on
// this node and on others. It holds nothing but people, rooms and times, and
// stores nothing: what it knows passes.
//
// People are counted, not tabs. Whoever leaves is still here for Grace, so
// that a reload or a short gap does not flicker.
package presence

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"parlor/app/chat"
)

const (
	// Grace is how long somebody is still here after the last stream ended.
	Grace = 5 * time.Second
	// Silence of another node for this long means its people are gone. Nodes
	// announce their people every AnnounceEvery.
	Silence       = 10 * time.Second
	AnnounceEvery = 4 * time.Second
	// TypingFor is how long somebody is typing after the last sign of it.
	TypingFor = 5 * time.Second
)

// seen is what is known of one person in one room.
type seen struct {
	person      chat.Person
	streams     int       // open on this node
	until       time.Time // here without an open stream until then (grace, or another node's word)
	typingUntil time.Time
}

func (s *seen) here(now time.Time) bool { return s.streams > 0 || now.Before(s.until) }

// Presence is safe for concurrent use.
type Presence struct {
	now     func() time.Time
	changed func(room int64)

	mu    sync.Mutex
	rooms map[int64]map[int64]*seen
}

// New makes an empty Presence. changed is called, without locks held, after
// what Here or Typing say of a room may have changed.
func New(now func() time.Time, changed func(room int64)) *Presence {
	return &Presence{now: now, changed: changed, rooms: make(map[int64]map[int64]*seen)}
}

// update runs f on what is known of the person, making it if necessary.
func (p *Presence) update(room int64, person chat.Person, f func(*seen)) {
	p.mu.Lock()
	people := p.rooms[room]
	if people == nil {
		people = make(map[int64]*seen)
		p.rooms[room] = people
	}
	s := people[person.ID]
	if s == nil {
		s = &seen{}
		people[person.ID] = s
	}
	now := p.now()
	wasHere, wasTyping, was := s.here(now), now.Before(s.typingUntil), s.person
	s.person = person
	f(s)
	differs := wasHere != s.here(now) || wasTyping != now.Before(s.typingUntil) || was != person
	p.mu.Unlock()
	if differs {
		p.changed(room)
	}
}

// Arrive notes that a stream of the person opened on this node.
func (p *Presence) Arrive(room int64, person chat.Person) {
	p.update(room, person, func(s *seen) { s.streams++ })
}

// Depart notes that a stream of the person ended on this node. The nickname
// of the one who came may be an old one by now, so only the id counts, and
// nothing is seen of it before the grace has passed (Tick).
func (p *Presence) Depart(room, personID int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.rooms[room][personID]; s != nil {
		s.streams--
		s.until = latest(s.until, p.now().Add(Grace))
	}
}

// Elsewhere notes that another node says the person is here.
func (p *Presence) Elsewhere(room int64, person chat.Person) {
	p.update(room, person, func(s *seen) { s.until = latest(s.until, p.now().Add(Silence)) })
}

// Types notes that the person is typing.
func (p *Presence) Types(room int64, person chat.Person) {
	p.update(room, person, func(s *seen) { s.typingUntil = p.now().Add(TypingFor) })
}

// Typed notes that the person sent what was typed, or stopped. It tells
// whether the person was typing at all.
func (p *Presence) Typed(room int64, person chat.Person) bool {
	p.mu.Lock()
	s := p.rooms[room][person.ID]
	was := s != nil && p.now().Before(s.typingUntil)
	if was {
		s.typingUntil = time.Time{}
	}
	p.mu.Unlock()
	if was {
		p.changed(room)
	}
	return was
}

// Renamed shows the person under another nickname wherever they are.
func (p *Presence) Renamed(person chat.Person) {
	p.mu.Lock()
	var rooms []int64
	for room, people := range p.rooms {
		if s := people[person.ID]; s != nil {
			s.person = person
			rooms = append(rooms, room)
		}
	}
	p.mu.Unlock()
	for _, room := range rooms {
		p.changed(room)
	}
}

// Here lists who is in the room, by nickname.
func (p *Presence) Here(room int64) []chat.Person {
	return p.list(room, func(s *seen, now time.Time) bool { return s.here(now) })
}

// Typing lists who is typing in the room, by nickname.
func (p *Presence) Typing(room int64) []chat.Person {
	return p.list(room, func(s *seen, now time.Time) bool { return now.Before(s.typingUntil) })
}

func (p *Presence) list(room int64, which func(*seen, time.Time) bool) []chat.Person {
	p.mu.Lock()
	now := p.now()
	var out []chat.Person
	for _, s := range p.rooms[room] {
		if which(s, now) {
			out = append(out, s.person)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(out, func(a, b chat.Person) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Nickname), strings.ToLower(b.Nickname)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Local lists who has a stream of the room open on this node.
func (p *Presence) Local(room int64) []chat.Person {
	return p.list(room, func(s *seen, _ time.Time) bool { return s.streams > 0 })
}

// AllLocal lists who has a stream open on this node, by room.
func (p *Presence) AllLocal() map[int64][]chat.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[int64][]chat.Person)
	for room, people := range p.rooms {
		for _, s := range people {
			if s.streams > 0 {
				out[room] = append(out[room], s.person)
			}
		}
	}
	return out
}

// Tick lets time pass: those whose time ran out since the last tick are gone.
func (p *Presence) Tick() {
	p.mu.Lock()
	now := p.now()
	var rooms []int64
	for room, people := range p.rooms {
		differs := false
		for id, s := range people {
			if !s.typingUntil.IsZero() && !now.Before(s.typingUntil) {
				s.typingUntil, differs = time.Time{}, true
			}
			if !s.here(now) && s.typingUntil.IsZero() {
				delete(people, id)
				differs = differs || !s.until.IsZero() // was here, until now
			}
		}
		if len(people) == 0 {
			delete(p.rooms, room)
		}
		if differs {
			rooms = append(rooms, room)
		}
	}
	p.mu.Unlock()
	for _, room := range rooms {
		p.changed(room)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
