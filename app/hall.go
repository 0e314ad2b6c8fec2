package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/live"
	"parlor/app/presence"
	"parlor/app/sse"
	"parlor/views"
)

// Names of the boards that pages follow.
const (
	lobbyBoard = "lobby"
	hallBoard  = "hall"
)

func roomBoard(roomID int64) string { return fmt.Sprintf("room/%d", roomID) }

// mostRooms is how many rooms lobby and hall list.
const mostRooms = 100

const (
	// showPeopleEvery and showRoomsEvery bound how often who is here, and a
	// room's line in the lists, are rendered; then once, for everybody.
	showPeopleEvery = 150 * time.Millisecond
	showRoomsEvery  = time.Second
)

// hall keeps in memory what the lists of rooms show, and renders what changed
// in them and in who is here.
type hall struct {
	s *Server

	mu     sync.Mutex
	rooms  map[int64]chat.Glance
	moved  map[int64]bool // have something new to read in the database
	people map[int64]bool // somebody came, went, or types
	stale  map[int64]bool // their line in the lists must be rendered
	all    bool           // everything may have changed
}

func newHall(s *Server) *hall {
	return &hall{
		s: s, rooms: make(map[int64]chat.Glance), moved: make(map[int64]bool),
		people: make(map[int64]bool), stale: make(map[int64]bool),
	}
}

// reload reads all rooms that are listed.
func (h *hall) reload(ctx context.Context) error {
	rooms, err := h.s.store.Rooms(ctx, mostRooms)
	if err != nil {
		return err
	}
	h.take(rooms)
	return nil
}

func (h *hall) take(rooms []chat.Glance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range rooms {
		if _, known := h.rooms[r.ID]; known || len(h.rooms) < mostRooms {
			h.rooms[r.ID] = r
			h.stale[r.ID] = true
			continue
		}
		// The list is full: the room replaces the one that is quiet longest.
		oldest := r
		for _, other := range h.rooms {
			if other.LastSaidAt.Before(oldest.LastSaidAt) {
				oldest = other
			}
		}
		if oldest.ID != r.ID {
			delete(h.rooms, oldest.ID)
			h.rooms[r.ID] = r
			h.stale[r.ID] = true
		}
	}
}

// list is what the lists show now: by name beside a room, by activity in the
// lobby.
func (h *hall) list(byName bool) []views.LobbyRoom {
	h.mu.Lock()
	glances := make([]chat.Glance, 0, len(h.rooms))
	for _, g := range h.rooms {
		glances = append(glances, g)
	}
	h.mu.Unlock()
	slices.SortFunc(glances, func(a, b chat.Glance) int {
		if byName {
			return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(b.LastSaidAt.Compare(a.LastSaidAt), cmp.Compare(a.ID, b.ID))
	})
	out := make([]views.LobbyRoom, len(glances))
	for i, g := range glances {
		out[i] = h.withPeople(g)
	}
	return out
}

func (h *hall) withPeople(g chat.Glance) views.LobbyRoom {
	here := h.s.presence.Here(g.ID)
	return views.LobbyRoom{Glance: g, Here: len(here), People: here[:min(len(here), 3)]}
}

// roomMoved notes that a room has a new number.
func (h *hall) roomMoved(roomID int64) {
	h.mu.Lock()
	h.moved[roomID] = true
	h.mu.Unlock()
}

// refresh reads one room at once, for the page that follows its making.
func (h *hall) refresh(ctx context.Context, roomID int64) error {
	rooms, err := h.s.store.RoomsByID(ctx, []int64{roomID})
	if err == nil {
		h.take(rooms)
	}
	return err
}

// peopleChanged notes that somebody came to a room, went, or types.
func (h *hall) peopleChanged(roomID int64) {
	h.mu.Lock()
	h.people[roomID], h.stale[roomID] = true, true
	h.mu.Unlock()
}

// showRoom puts who is here on the room's board if nobody did so yet.
func (h *hall) showRoom(roomID int64) {
	if !h.s.hub.Has(roomBoard(roomID)) {
		h.showPeople(roomID)
	}
}

// run renders what changed, and lets time pass for presence.
func (h *hall) run(ctx context.Context) {
	people := time.NewTicker(showPeopleEvery)
	defer people.Stop()
	rooms := time.NewTicker(showRoomsEvery)
	defer rooms.Stop()
	announce := time.NewTicker(presence.AnnounceEvery)
	defer announce.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-people.C:
			h.s.presence.Tick()
			h.mu.Lock()
			changed := h.people
			h.people = make(map[int64]bool)
			h.mu.Unlock()
			for roomID := range changed {
				h.showPeople(roomID)
				h.s.announce(roomID, h.s.presence.Local(roomID))
			}
		case <-rooms.C:
			h.showRooms(ctx)
		case <-announce.C:
			for roomID, people := range h.s.presence.AllLocal() {
				h.s.announce(roomID, people)
			}
		}
	}
}

// showPeople renders who is in a room and who types there.
func (h *hall) showPeople(roomID int64) {
	here, typing := h.s.presence.Here(roomID), h.s.presence.Typing(roomID)
	typing = typing[:min(len(typing), mostTyping)]
	var hereShown, typingShown live.Variants
	for _, l := range i18n.Langs {
		hereShown = append(hereShown, sse.Elements("", datastar.ElementPatchModeOuter, h.s.html(views.Here(l, here))))
		typingShown = append(typingShown, sse.Elements("", datastar.ElementPatchModeOuter, h.s.html(views.TypingLine(l, typing))))
	}
	h.s.hub.Put(roomBoard(roomID), "here", hereShown)
	h.s.hub.Put(roomBoard(roomID), "typing", typingShown)
}

// mostTyping is how many people are shown typing.
const mostTyping = 3

// showRooms reads the rooms that moved, in one query, and renders the lines
// of all that changed.
func (h *hall) showRooms(ctx context.Context) {
	h.mu.Lock()
	var moved []int64
	for id := range h.moved {
		moved = append(moved, id)
	}
	all := h.all
	h.moved, h.all = make(map[int64]bool), false
	h.mu.Unlock()
	var err error
	if all {
		err = h.reload(ctx)
	} else if len(moved) > 0 {
		var rooms []chat.Glance
		if rooms, err = h.s.store.RoomsByID(ctx, moved); err == nil {
			h.take(rooms)
		}
	}
	if err != nil {
		h.s.log.Warn("the list of rooms could not be read, trying again", "err", err)
		h.mu.Lock()
		h.all = h.all || all
		for _, id := range moved {
			h.moved[id] = true
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	var stale []chat.Glance
	for id := range h.stale {
		if g, ok := h.rooms[id]; ok {
			stale = append(stale, g)
		}
	}
	h.stale = make(map[int64]bool)
	h.mu.Unlock()
	for _, g := range stale {
		h.showLine(h.withPeople(g))
	}
}

// showLine renders a room's line in lobby and hall: put where it is missing,
// else brought up to date. In the hall only the inside of its link is, since
// the link itself knows whether it is the present page's.
func (h *hall) showLine(r views.LobbyRoom) {
	var lobby, hall live.Variants
	for _, l := range i18n.Langs {
		card := h.s.html(views.Card(l, r))
		id := fmt.Sprintf("#card-%d", r.ID)
		lobby = append(lobby, append(
			sse.Elements("#cards:not(:has(> "+id+"))", datastar.ElementPatchModePrepend, card),
			sse.Elements(id, datastar.ElementPatchModeOuter, card)...))
		id = fmt.Sprintf("#hall-%d", r.ID)
		hall = append(hall, append(
			sse.Elements("#hall:not(:has(> "+id+"))", datastar.ElementPatchModeAppend, h.s.html(views.HallItem(l, r))),
			sse.Elements(id+" > a", datastar.ElementPatchModeInner, h.s.html(views.HallRoom(l, r)))...))
	}
	part := fmt.Sprint(r.ID)
	h.s.hub.Put(lobbyBoard, part, lobby)
	h.s.hub.Put(hallBoard, part, hall)
}

// Kinds of what nodes tell each other.
const (
	toldHere      = "here"       // peopleIn
	toldTyping    = "typing"     // typist
	toldRenamed   = "renamed"    // chat.Person
	toldSignedOut = "signed-out" // sessionName
)

// peopleIn are some of the people of one room.
type peopleIn struct {
	Room   int64
	People []chat.Person
}

// typist is somebody who began to type, or stopped.
type typist struct {
	Room    int64
	Person  chat.Person
	Stopped bool
}

// Woken is called by the bus: rooms have these numbers, or higher.
func (s *Server) Woken(revs map[int64]int64) {
	s.metrics.BusReceived("wake")
	for roomID, rev := range revs {
		s.hub.Wake(roomID, rev)
		s.hall.roomMoved(roomID)
	}
}

// Resumed is called by the bus when it may have missed something.
func (s *Server) Resumed() {
	s.metrics.BusResumed()
	s.hall.mu.Lock()
	s.hall.all = true
	s.hall.mu.Unlock()
	s.hub.WakeAll()
}

// Told is called by the bus with what another node says.
func (s *Server) Told(node, kind string, data []byte) {
	s.metrics.BusReceived("tell")
	var err error
	switch kind {
	case toldHere:
		var in peopleIn
		if err = json.Unmarshal(data, &in); err == nil {
			for _, person := range in.People {
				s.presence.Elsewhere(in.Room, person)
			}
		}
	case toldTyping:
		var t typist
		if err = json.Unmarshal(data, &t); err == nil {
			s.noteTyping(t)
		}
	case toldRenamed:
		var person chat.Person
		if err = json.Unmarshal(data, &person); err == nil {
			s.presence.Renamed(person)
		}
	case toldSignedOut:
		var session string
		if err = json.Unmarshal(data, &session); err == nil {
			s.streams.endSession(session)
		}
	}
	if err != nil {
		s.log.Warn("could not read what another node said", "node", node, "kind", kind, "err", err)
	}
}

// announce tells other nodes who is in a room on this one, in pieces that
// fit. It is done on every change, and for all rooms now and then, since what
// is not repeated is forgotten (presence.Silence).
func (s *Server) announce(roomID int64, people []chat.Person) {
	for part := range slices.Chunk(people, 40) {
		s.bus.Tell(toldHere, peopleIn{roomID, part})
	}
}

func (s *Server) noteTyping(t typist) {
	if t.Stopped {
		s.presence.Typed(t.Room, t.Person)
	} else {
		s.presence.Types(t.Room, t.Person)
	}
}
