// Package presence knows who is in which room and who is typing there, on
// this node and on others. It holds nothing but people, rooms and times, and
// stores nothing: what it knows passes.
//
// People are counted, not tabs. Whoever leaves is still here for Grace, so
// that a reload or a short gap does not flicker. Whoever is here and gave no
// sign for AwayAfter, in any tab on any device, is away.
//
// A room is kept in order, so that somebody who comes or goes costs a search
// and not a sort, and whoever asks who is here gets the list that everybody
// gets.
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
	// Silence of another node for this long means its people are gone: within
	// ten seconds of its death, with the second that it may take to show it.
	// Nodes announce their people every AnnounceEvery.
	Silence       = 9 * time.Second
	AnnounceEvery = 4 * time.Second
	// AwayAfter is how long after the last sign of a person they are away. Pages
	// tell a sign at most once in SignEvery.
	AwayAfter = 5 * time.Minute
	SignEvery = time.Minute
	// TypingFor is how long somebody is typing after the last sign of it.
	TypingFor = 5 * time.Second
	// rememberFor is how long a new nickname is remembered for those who come
	// under the old one: with a stream that was on its way, or a late word of
	// another node.
	rememberFor = time.Minute
)

// In is somebody in a room.
type In struct {
	Room   int64
	Person chat.Person
	Idle   time.Duration // since the last sign of the person
}

// seen is what is known of one person in one room.
type seen struct {
	person      chat.Person
	name        string      // the nickname in lower case, for the order
	listed      bool        // is in room.here
	away        bool        // as it is shown
	streams     int         // open on this node
	until       time.Time   // here without a stream until then, for the grace
	elsewhere   []elsewhere // here by another node's word
	typingUntil time.Time
}

type elsewhere struct {
	node  string
	until time.Time
}

func (s *seen) here(now time.Time) bool {
	return s.streams > 0 || now.Before(s.until) ||
		slices.ContainsFunc(s.elsewhere, func(e elsewhere) bool { return now.Before(e.until) })
}

func order(a, b *seen) int {
	return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.person.ID, b.person.ID))
}

// room is what is known of one room.
type room struct {
	people map[int64]*seen
	here   []*seen        // in order
	list   []chat.Person  // the same for those who ask; nil after a change
	typing map[*seen]bool // those with a typingUntil
	next   time.Time      // nothing runs out before; zero: nothing does
}

// runsOut notes that something ends at t.
func (r *room) runsOut(t time.Time) {
	if r.next.IsZero() || t.Before(r.next) {
		r.next = t
	}
}

// place puts the person in or out of who is here, under the present nickname.
// It tells whether that changed anything.
func (r *room) place(s *seen, person chat.Person, here bool) bool {
	if s.listed == here && s.person == person {
		return false
	}
	differs := s.listed || here
	if s.listed {
		at, _ := slices.BinarySearchFunc(r.here, s, order)
		r.here = slices.Delete(r.here, at, at+1)
	}
	if s.person != person {
		s.person, s.name = person, strings.ToLower(person.Nickname)
	}
	if here {
		at, _ := slices.BinarySearchFunc(r.here, s, order)
		r.here = slices.Insert(r.here, at, s)
	}
	s.listed = here
	if differs {
		r.list = nil
	}
	return differs
}

type place struct{ room, person int64 }

type renamed struct {
	person chat.Person
	at     time.Time
}

// Presence is safe for concurrent use.
type Presence struct {
	now     func() time.Time
	changed func(room int64)

	mu      sync.Mutex
	rooms   map[int64]*room
	moved   map[place]bool      // came to a room on this node, or left it
	renamed map[int64]renamed   // of late
	signs   map[int64]time.Time // the last one of each person; none: it is long ago
}

// New makes an empty Presence. changed is called, without locks held, after
// what Here or Typing say of a room may have changed.
func New(now func() time.Time, changed func(room int64)) *Presence {
	return &Presence{
		now: now, changed: changed,
		rooms: make(map[int64]*room), moved: make(map[place]bool), renamed: make(map[int64]renamed),
		signs: make(map[int64]time.Time),
	}
}

// update runs f on what is known of the person, making it if necessary. A
// nickname that is older than the known one does not come back.
func (p *Presence) update(roomID int64, person chat.Person, f func(r *room, s *seen, now time.Time)) {
	p.mu.Lock()
	r := p.rooms[roomID]
	if r == nil {
		r = &room{people: make(map[int64]*seen), typing: make(map[*seen]bool)}
		p.rooms[roomID] = r
	}
	s := r.people[person.ID]
	if s == nil {
		s = &seen{person: person, name: strings.ToLower(person.Nickname)}
		r.people[person.ID] = s
	}
	if s.person.Renames > person.Renames {
		person = s.person
	}
	if known, ok := p.renamed[person.ID]; ok && known.person.Renames > person.Renames {
		person = known.person
	}
	now := p.now()
	wasTyping, was := now.Before(s.typingUntil), s.person
	f(r, s, now)
	differs := r.place(s, person, s.here(now))
	differs = p.mind(r, s, now) || differs
	isTyping := now.Before(s.typingUntil)
	differs = differs || wasTyping != isTyping || isTyping && was != person
	p.mu.Unlock()
	if differs {
		p.changed(roomID)
	}
}

// mind notes whether a person is away, and tells whether that is another state
// than before. It needs p.mu.
func (p *Presence) mind(r *room, s *seen, now time.Time) bool {
	at := p.signs[s.person.ID].Add(AwayAfter)
	away := !now.Before(at)
	if s.listed && !away {
		r.runsOut(at)
	}
	if s.away == away {
		return false
	}
	s.away = away
	if s.listed {
		r.list = nil
	}
	return s.listed
}

// Seen notes a sign of a person. It tells whether that is news: signs follow
// each other more quickly than others need to know.
func (p *Presence) Seen(personID int64) bool {
	return p.sign(personID, p.now())
}

// SeenElsewhere is Seen by another node's word.
func (p *Presence) SeenElsewhere(personID int64) { p.sign(personID, p.now()) }

func (p *Presence) sign(personID int64, at time.Time) bool {
	p.mu.Lock()
	before := p.signs[personID]
	if at.Sub(before) < SignEvery/2 {
		p.mu.Unlock()
		return false
	}
	p.signs[personID] = at
	var rooms []int64
	if now := p.now(); now.Sub(before) >= AwayAfter {
		for id, r := range p.rooms {
			if s := r.people[personID]; s != nil && p.mind(r, s, now) {
				rooms = append(rooms, id)
			}
		}
	}
	p.mu.Unlock()
	for _, id := range rooms {
		p.changed(id)
	}
	return true
}

// Arrive notes that a stream of the person opened on this node.
func (p *Presence) Arrive(roomID int64, person chat.Person) {
	p.update(roomID, person, func(_ *room, s *seen, now time.Time) {
		if _, known := p.signs[person.ID]; !known && !s.listed {
			p.signs[person.ID] = now // somebody new
		}
		if s.streams++; s.streams == 1 {
			p.moved[place{roomID, person.ID}] = true
		}
	})
}

// Depart notes that a stream of the person ended on this node. The nickname
// of the one who came may be an old one by now, so only the id counts, and
// nothing is seen of it before the grace has passed (Tick).
func (p *Presence) Depart(room, personID int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[room]
	if r == nil || r.people[personID] == nil {
		return
	}
	s := r.people[personID]
	if s.streams--; s.streams == 0 {
		p.moved[place{room, personID}] = true
	}
	s.until = p.now().Add(Grace)
	r.runsOut(s.until)
}

// Elsewhere notes that another node says the person is here, and how long ago
// the last sign was that it knows of.
func (p *Presence) Elsewhere(node string, roomID int64, person chat.Person, idle time.Duration) {
	p.sign(person.ID, p.now().Add(-idle))
	p.update(roomID, person, func(r *room, s *seen, now time.Time) {
		until := now.Add(Silence)
		r.runsOut(until)
		for i := range s.elsewhere {
			if s.elsewhere[i].node == node {
				s.elsewhere[i].until = until
				return
			}
		}
		s.elsewhere = append(s.elsewhere, elsewhere{node, until})
	})
}

// Left notes that another node says the person's last stream there ended.
func (p *Presence) Left(node string, room, personID int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.rooms[room]; r != nil && r.people[personID] != nil {
		r.left(node, r.people[personID], p.now())
	}
}

// Gone notes that another node stopped. Its people are here for the grace, in
// which those who come back to another node are not missed.
func (p *Presence) Gone(node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for _, r := range p.rooms {
		for _, s := range r.people {
			r.left(node, s, now)
		}
	}
}

func (r *room) left(node string, s *seen, now time.Time) {
	for i := range s.elsewhere {
		if e := &s.elsewhere[i]; e.node == node && e.until.After(now.Add(Grace)) {
			e.until = now.Add(Grace)
			r.runsOut(e.until)
		}
	}
}

// Types notes that the person is typing.
func (p *Presence) Types(roomID int64, person chat.Person) {
	p.update(roomID, person, func(r *room, s *seen, now time.Time) {
		s.typingUntil = now.Add(TypingFor)
		r.typing[s] = true
		r.runsOut(s.typingUntil)
	})
}

// Typed notes that the person sent what was typed, or stopped. It tells
// whether the person was typing at all.
func (p *Presence) Typed(room int64, person chat.Person) bool {
	p.mu.Lock()
	r, was := p.rooms[room], false
	if r != nil {
		if s := r.people[person.ID]; s != nil && p.now().Before(s.typingUntil) {
			s.typingUntil, was = time.Time{}, true
			delete(r.typing, s)
			r.runsOut(p.now())
		}
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
	now := p.now()
	if known, ok := p.renamed[person.ID]; !ok || known.person.Renames <= person.Renames {
		p.renamed[person.ID] = renamed{person, now}
	}
	var rooms []int64
	for id, r := range p.rooms {
		if s := r.people[person.ID]; s != nil && s.person != person && s.person.Renames <= person.Renames {
			if r.place(s, person, s.listed) || now.Before(s.typingUntil) {
				rooms = append(rooms, id)
			}
		}
	}
	p.mu.Unlock()
	for _, id := range rooms {
		p.changed(id)
	}
}

// Restored says that the people come from another database now, a backup: the
// nickname that somebody took after it was made is lost, and does not count as
// the newer one. What is told of people from now on holds.
func (p *Presence) Restored() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.renamed)
	for _, r := range p.rooms {
		for _, s := range r.people {
			s.person.Renames = 0
		}
		r.list = nil
	}
}

// Here lists who is in the room, by nickname. The list is shared and must not
// be changed.
func (p *Presence) Here(room int64) []chat.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[room]
	if r == nil {
		return nil
	}
	if r.list == nil && len(r.here) > 0 {
		r.list = make([]chat.Person, len(r.here))
		for i, s := range r.here {
			r.list[i] = s.person
			r.list[i].Away = s.away
		}
	}
	return r.list
}

// Typing lists who is typing in the room, by nickname.
func (p *Presence) Typing(room int64) []chat.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rooms[room]
	if r == nil {
		return nil
	}
	now := p.now()
	var typing []*seen
	for s := range r.typing {
		if now.Before(s.typingUntil) {
			typing = append(typing, s)
		}
	}
	slices.SortFunc(typing, order)
	var out []chat.Person
	for _, s := range typing {
		out = append(out, s.person)
	}
	return out
}

func (p *Presence) in(room int64, s *seen) In {
	return In{room, s.person, min(p.now().Sub(p.signs[s.person.ID]), 2*AwayAfter)}
}

// Local lists who has a stream open on this node.
func (p *Presence) Local() []In {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []In
	for id, r := range p.rooms {
		for _, s := range r.people {
			if s.streams > 0 {
				out = append(out, p.in(id, s))
			}
		}
	}
	return out
}

// Moved lists who came to a room on this node and who left it since the last
// call. Of the latter only the id is known.
func (p *Presence) Moved() (came, left []In) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.moved {
		if r := p.rooms[at.room]; r != nil {
			if s := r.people[at.person]; s != nil && s.streams > 0 {
				came = append(came, p.in(at.room, s))
				continue
			}
		}
		left = append(left, In{Room: at.room, Person: chat.Person{ID: at.person}})
	}
	clear(p.moved)
	return came, left
}

// Tick lets time pass: those whose time ran out since the last tick are gone.
func (p *Presence) Tick() {
	p.mu.Lock()
	now := p.now()
	var rooms []int64
	for id, r := range p.rooms {
		if !r.next.IsZero() && !now.Before(r.next) && p.tick(r, now) {
			rooms = append(rooms, id)
		}
		if len(r.people) == 0 {
			delete(p.rooms, id)
		}
	}
	for id, was := range p.renamed {
		if now.Sub(was.at) >= rememberFor {
			delete(p.renamed, id)
		}
	}
	for id, at := range p.signs {
		if now.Sub(at) >= 2*AwayAfter {
			delete(p.signs, id)
		}
	}
	p.mu.Unlock()
	for _, id := range rooms {
		p.changed(id)
	}
}

// tick tells whether what Here or Typing say of the room changed. It needs p.mu.
func (p *Presence) tick(r *room, now time.Time) bool {
	differs := false
	r.next = time.Time{}
	for id, s := range r.people {
		if !s.typingUntil.IsZero() && !now.Before(s.typingUntil) {
			s.typingUntil, differs = time.Time{}, true
			delete(r.typing, s)
		}
		s.elsewhere = slices.DeleteFunc(s.elsewhere, func(e elsewhere) bool { return !now.Before(e.until) })
		if r.place(s, s.person, s.here(now)) {
			differs = true
		}
		if p.mind(r, s, now) {
			differs = true
		}
		if !s.listed && s.typingUntil.IsZero() {
			delete(r.people, id)
			continue
		}
		if now.Before(s.until) {
			r.runsOut(s.until)
		}
		for _, e := range s.elsewhere {
			r.runsOut(e.until)
		}
		if !s.typingUntil.IsZero() {
			r.runsOut(s.typingUntil)
		}
	}
	return differs
}
