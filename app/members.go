package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"parlor/app/bus"
	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/live"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

const (
	// lookEvery is the pause between two looks at what people have to do with
	// their rooms; each is one query for mostAtOnce of them at most. So it costs
	// the same whether ten or ten thousand speak in a second.
	lookEvery  = 50 * time.Millisecond
	mostAtOnce = 200
	// After a look that failed.
	lookAgainAfter = time.Second
)

// personBoard shows a person's pages what is read in every room and who called;
// draftBoard shows those of one room, or of one thread, what was typed there.
func personBoard(personID int64) string { return fmt.Sprintf("person/%d", personID) }

func draftBoard(at db.DraftPlace) string {
	return fmt.Sprintf("draft/%d/%d/%d", at.PersonID, at.RoomID, at.ThreadSeq)
}

// members keeps the pages of people up to date about themselves: read marks,
// levels, mentions and drafts. It reads them from the database when somebody's
// first page on this node opens its stream and when told that they moved; all
// pages of a person on this node share what was read.
//
// Its invariant is that of the rooms: a word of another node is only a hint.
// What was not heard is found by look-ups that go round among all who are here.
type members struct {
	s *Server

	mu    sync.Mutex
	open  map[int64]*openMember
	dirty map[int64]bool     // of those who are open: to be read
	spoke map[db.Spoken]bool // their drafts are sent
	ready chan struct{}
	round int64 // of the sweep
}

// openMember is a person with pages open on this node.
type openMember struct {
	streams int
	places  map[db.DraftPlace]int // streams of each room and thread
}

func newMembers(s *Server) *members {
	return &members{
		s: s, open: make(map[int64]*openMember), dirty: make(map[int64]bool), spoke: make(map[db.Spoken]bool),
		ready: make(chan struct{}, 1),
	}
}

// follow makes a page a reader of what is its person's, until the returned
// function is called. In room 0 nothing is typed.
func (m *members) follow(sub *live.Subscriber, at db.DraftPlace) (leave func()) {
	personID := at.PersonID
	m.mu.Lock()
	p := m.open[personID]
	if p == nil {
		p = &openMember{places: make(map[db.DraftPlace]int)}
		m.open[personID] = p
	}
	first := p.places[at] == 0
	p.streams++
	p.places[at]++
	m.mu.Unlock()
	m.s.hub.Open(sub, personBoard(personID))
	if at.RoomID != 0 {
		m.s.hub.Open(sub, draftBoard(at))
	}
	if first {
		m.moved(personID)
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		p.streams--
		if p.places[at]--; p.places[at] == 0 {
			delete(p.places, at)
			m.s.hub.Clear(draftBoard(at))
		}
		if p.streams == 0 {
			delete(m.open, personID)
			delete(m.dirty, personID)
			// Nobody keeps it up to date from now on, so nobody shall get it.
			m.s.hub.Clear(personBoard(personID))
		}
	}
}

// moved notes that something of these people is to be read again.
func (m *members) moved(people ...int64) {
	m.mu.Lock()
	for _, id := range people {
		if m.open[id] != nil {
			m.dirty[id] = true
		}
	}
	m.mu.Unlock()
	m.wake()
}

func (m *members) wake() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// tell is moved, on all nodes.
func (m *members) tell(people ...int64) {
	m.moved(people...)
	const most = bus.MostData / 22 // an id and its comma
	for piece := range slices.Chunk(people, most) {
		key := ""
		if len(piece) == 1 {
			key = fmt.Sprint(piece[0])
		}
		m.s.bus.Tell(toldMember, key, piece)
	}
}

// said notes that somebody spoke: the read mark moved, and what was typed is
// sent.
func (m *members) said(at db.DraftPlace, typed string) {
	m.mu.Lock()
	m.spoke[db.Spoken{DraftPlace: at, Text: strings.Trim(typed, " \n\t")}] = true
	m.mu.Unlock()
	m.wake()
}

// sweep has a quarter of all people looked after.
func (m *members) sweep() {
	m.mu.Lock()
	m.round++
	for id := range m.open {
		if id%4 == m.round%4 {
			m.dirty[id] = true
		}
	}
	m.mu.Unlock()
	m.wake()
}

// distrust has all people looked after.
func (m *members) distrust() {
	m.mu.Lock()
	for id := range m.open {
		m.dirty[id] = true
	}
	m.mu.Unlock()
	m.wake()
}

// run looks after those who moved, until ctx ends.
func (m *members) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.ready:
		}
		pause := lookEvery
		if err := m.look(ctx); err != nil {
			if ctx.Err() == nil {
				m.s.log.Warn("could not read what people have to do with their rooms, trying again", "err", err)
			}
			pause = lookAgainAfter
			m.wake()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// look takes some of those who moved and brings their boards up to date.
func (m *members) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := m.clearDrafts(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	people := make([]int64, 0, min(len(m.dirty), mostAtOnce))
	for id := range m.dirty {
		if len(people) == mostAtOnce {
			m.wake() // for the others
			break
		}
		people = append(people, id)
		delete(m.dirty, id)
	}
	m.mu.Unlock()
	if len(people) == 0 {
		return nil
	}
	err := m.bring(ctx, people)
	if err != nil {
		m.moved(people...)
	}
	return err
}

// clearDrafts forgets what was typed by those who sent it.
func (m *members) clearDrafts(ctx context.Context) error {
	m.mu.Lock()
	spoke := m.spoke
	m.spoke = make(map[db.Spoken]bool)
	m.mu.Unlock()
	if len(spoke) == 0 {
		return nil
	}
	var people []int64
	for at := range spoke {
		people = append(people, at.PersonID)
	}
	if err := m.s.store.ClearDrafts(ctx, slices.Collect(maps.Keys(spoke))); err != nil {
		m.mu.Lock()
		for at := range spoke {
			m.spoke[at] = true
		}
		m.mu.Unlock()
		return err
	}
	slices.Sort(people)
	m.tell(slices.Compact(people)...)
	return nil
}

// bring reads what people have to do with their rooms and shows it to them.
func (m *members) bring(ctx context.Context, people []int64) error {
	open := m.places(people)
	all, err := m.s.store.Memberships(ctx, people, open)
	if err != nil {
		return err
	}
	of, called := make(map[int64][]chat.Membership), []int64{}
	for _, b := range all {
		of[b.PersonID] = append(of[b.PersonID], b)
		if b.Calls > 0 && !slices.Contains(called, b.PersonID) {
			called = append(called, b.PersonID)
		}
	}
	var newest map[int64]chat.Call
	if len(called) > 0 {
		if newest, err = m.s.store.NewestCalls(ctx, called); err != nil {
			return err
		}
	}
	drafts, err := m.s.store.ThreadDrafts(ctx, open)
	if err != nil {
		return err
	}
	for _, b := range all {
		room := db.DraftPlace{RoomID: b.RoomID, PersonID: b.PersonID}
		if _, isOpen := drafts[room]; isOpen {
			drafts[room] = db.Draft{Text: b.Draft, Tab: b.DraftTab}
		}
	}
	for _, id := range people {
		m.show(id, of[id], newest[id], drafts)
	}
	return nil
}

// places are the rooms and threads that people have open.
func (m *members) places(people []int64) (open []db.DraftPlace) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range people {
		if p := m.open[id]; p != nil {
			open = slices.AppendSeq(open, maps.Keys(p.places))
		}
	}
	return open
}

// show puts what one person has to do with the rooms on the boards. Of places
// that were opened since the drafts were read nothing is known yet.
func (m *members) show(personID int64, all []chat.Membership, call chat.Call, drafts map[db.DraftPlace]db.Draft) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.open[personID]
	if p == nil {
		return
	}
	board, calls := personBoard(personID), 0
	for _, b := range all {
		calls += b.Calls
		room := "r" + fmt.Sprint(b.RoomID)
		m.s.hub.Put(board, room, same(sse.Signals(map[string]any{"_me": map[string]any{room: views.MemberSignals(b)}}, "")))
	}
	if call.Unread {
		var shown live.Variants
		for _, l := range i18n.Langs {
			shown = append(shown, sse.Signals(map[string]any{"_call": views.CallSignals(l, call)}, ""))
		}
		m.s.hub.Put(board, "call", shown)
	} else { // read, or deleted: a page that is opened now has nothing to tell
		m.s.hub.Drop(board, "call")
	}
	m.s.hub.Put(board, "calls", same(sse.Signals(map[string]any{"_calls": calls}, "")))
	for at := range p.places {
		if d, read := drafts[at]; read && at.RoomID != 0 {
			m.s.hub.Put(draftBoard(at), "draft", same(sse.Signals(map[string]any{
				"_draft": map[string]any{"body": strings.ReplaceAll(d.Text, "\r", ""), "tab": d.Tab}}, "")))
		}
	}
}

// ownReactions are what a person gave a message that many people react to.
type ownReactions struct {
	Person, Room, Seq int64
	Emoji             []string
}

// showOwn tells a person's pages on this node of their reactions. A page that
// is opened later asks.
func (m *members) showOwn(own ownReactions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[own.Person] != nil {
		m.s.hub.Put(personBoard(own.Person), "own", same(own.signals()))
		m.s.hub.Drop(personBoard(own.Person), "own")
	}
}

func (own ownReactions) signals() []byte {
	return sse.Signals(map[string]any{views.OwnSignal(own.Room, own.Seq): strings.Join(own.Emoji, " ")}, "")
}

// heard reads what another node says of people.
func (m *members) heard(data []byte) error {
	var people []int64
	err := json.Unmarshal(data, &people)
	m.moved(people...)
	return err
}

// tellCalled tells those whom a message calls, and those whom it called before.
// Who is not found now finds out by the sweep.
func (s *Server) tellCalled(ctx context.Context, roomID, seq int64, before ...int64) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	people, err := s.store.Called(ctx, roomID, seq)
	if err != nil {
		s.log.Warn("who is called will find out a little later", "err", err)
	}
	people = append(people, before...)
	slices.Sort(people)
	s.members.tell(slices.Compact(people)...)
}
