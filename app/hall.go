package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	// sweepBoardsEvery is how often boards of rooms that nobody reads are
	// forgotten.
	sweepBoardsEvery = 15 * time.Second
)

// hall keeps in memory what the lists of rooms show, and renders what changed
// in them and in who is here.
type hall struct {
	s *Server

	version atomic.Int64 // of what stands beside a room: rooms, who is here, who types

	mu        sync.Mutex
	rooms     map[int64]chat.Glance // those that are listed, at most mostRooms
	moved     map[int64]bool        // have something new to read in the database
	people    map[int64]bool        // somebody came, went, or types
	stale     map[int64]bool        // their line in the lists must be rendered
	fallen    []int64               // are not listed any more
	listed    bool                  // which rooms are listed changed
	all       bool                  // any room may have changed
	restarted bool                  // any room may be gone, too

	showing sync.Mutex // held while boards of the lists are brought up to date; before mu

	shownAt map[int64]time.Time // when who is in a room was rendered last; run's alone
}

func newHall(s *Server) *hall {
	return &hall{
		s: s, rooms: make(map[int64]chat.Glance), moved: make(map[int64]bool),
		people: make(map[int64]bool), stale: make(map[int64]bool), shownAt: make(map[int64]time.Time),
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

// restart has everything looked after, rooms that are gone included.
func (h *hall) restart() {
	h.mu.Lock()
	h.restarted, h.all = true, true
	h.mu.Unlock()
}

// startOver reads all rooms that are listed, and forgets all others.
func (h *hall) startOver(ctx context.Context) error {
	rooms, err := h.s.store.Rooms(ctx, mostRooms)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.fallen, h.listed = slices.AppendSeq(h.fallen, maps.Keys(h.rooms)), true
	h.rooms = make(map[int64]chat.Glance)
	h.mu.Unlock()
	h.take(rooms)
	return nil
}

// take notes how rooms are, and takes those off the lists that are on them no
// more.
func (h *hall) take(rooms []chat.Glance) {
	h.note(rooms)
	h.showListed()
}

// note notes how rooms are. What was read earlier than what is known, and came
// later, does not count.
func (h *hall) note(rooms []chat.Glance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range rooms {
		known, ok := h.rooms[r.ID]
		if ok && known.Rev > r.Rev {
			continue
		}
		if !ok && len(h.rooms) >= mostRooms {
			// The list is full: the room replaces the one that is quiet longest.
			oldest := r
			for _, other := range h.rooms {
				if other.LastSaidAt.Before(oldest.LastSaidAt) {
					oldest = other
				}
			}
			if oldest.ID == r.ID {
				continue
			}
			delete(h.rooms, oldest.ID)
			h.fallen = append(h.fallen, oldest.ID)
		}
		h.listed = h.listed || !ok
		if !ok || known.Name != r.Name || known.Slug != r.Slug {
			h.version.Add(1)
		}
		h.rooms[r.ID] = r
		h.stale[r.ID] = true
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
	r := views.LobbyRoom{Glance: g}
	var away []chat.Person
	for _, p := range h.s.presence.Here(g.ID) {
		if p.Away {
			away = append(away, p)
		} else {
			r.People = append(r.People, p)
		}
	}
	r.Here, r.Away = len(r.People), len(away)
	r.People = append(r.People, away...)
	r.People = r.People[:min(len(r.People), 3)]
	return r
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
	h.version.Add(1)
}

// showRoom puts who is here on the room's board if nobody did so yet. The
// caller has opened the board, so from now on it is kept up to date.
func (h *hall) showRoom(roomID int64) {
	if !h.s.hub.Has(roomBoard(roomID)) {
		h.showTyping(roomID)
		h.showHere(roomID)
		h.mu.Lock()
		h.people[roomID] = true // again: somebody may have come in between
		h.mu.Unlock()
	}
}

// run renders who is here, who types and how the rooms are, as they change.
func (h *hall) run(ctx context.Context) {
	go h.runRooms(ctx) // by itself, since it may wait for the database
	people := time.NewTicker(showPeopleEvery)
	defer people.Stop()
	announce := time.NewTicker(presence.AnnounceEvery)
	defer announce.Stop()
	sweep := time.NewTicker(sweepBoardsEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-people.C:
			h.s.presence.Tick()
			h.showPeople()
			h.s.tellMoves()
		case <-announce.C:
			h.s.announce()
		case <-sweep.C:
			h.s.hub.SweepBoards(lobbyBoard, hallBoard)
			maps.DeleteFunc(h.shownAt, func(roomID int64, _ time.Time) bool { return !h.s.hub.Has(roomBoard(roomID)) })
		}
	}
}

func (h *hall) runRooms(ctx context.Context) {
	rooms := time.NewTicker(showRoomsEvery)
	defer rooms.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rooms.C:
			h.showRooms(ctx)
		}
	}
}

// showPeople renders who is in the rooms where that changed, and who types
// there. A list of many goes to as many, so it is rendered less often: what
// all readers of a room get in a second does not grow with their number's
// square.
func (h *hall) showPeople() {
	h.mu.Lock()
	changed := h.people
	h.people = make(map[int64]bool)
	h.mu.Unlock()
	now := h.s.now()
	for roomID := range changed {
		if !h.s.hub.Has(roomBoard(roomID)) {
			continue // nobody reads it here: whoever comes sees to it (showRoom)
		}
		h.showTyping(roomID)
		pause := showPeopleEvery * time.Duration(len(h.s.presence.Here(roomID))/views.MostListed)
		if now.Sub(h.shownAt[roomID]).Abs() < pause {
			h.mu.Lock()
			h.people[roomID] = true
			h.mu.Unlock()
			continue
		}
		h.shownAt[roomID] = now
		h.showHere(roomID)
	}
}

// showHere renders who is in a room.
func (h *hall) showHere(roomID int64) {
	here := h.s.presence.Here(roomID)
	var shown live.Variants
	for _, l := range i18n.Langs {
		shown = append(shown, sse.Elements("", datastar.ElementPatchModeOuter, h.s.html(views.Here(l, here))))
	}
	h.s.hub.Put(roomBoard(roomID), "here", shown)
}

// showTyping renders who types in a room.
func (h *hall) showTyping(roomID int64) {
	typing := h.s.presence.Typing(roomID)
	typing = typing[:min(len(typing), mostTyping)]
	var shown live.Variants
	for _, l := range i18n.Langs {
		shown = append(shown, sse.Elements("", datastar.ElementPatchModeOuter, h.s.html(views.TypingLine(l, typing))))
	}
	h.s.hub.Put(roomBoard(roomID), "typing", shown)
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
	all, restarted := h.all, h.restarted
	h.moved, h.all, h.restarted = make(map[int64]bool), false, false
	h.mu.Unlock()
	var err error
	if restarted {
		err = h.startOver(ctx)
	} else if all {
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
		h.all, h.restarted = h.all || all, h.restarted || restarted
		for _, id := range moved {
			h.moved[id] = true
		}
		h.mu.Unlock()
	}
	h.showing.Lock()
	defer h.showing.Unlock()
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

// showListed takes the rooms that are not listed any more off the boards, and
// off the pages: those that are open, and those that come back. In the hall
// the present page's room stays.
func (h *hall) showListed() {
	h.showing.Lock()
	defer h.showing.Unlock()
	h.mu.Lock()
	fallen, changed := h.fallen, h.listed
	h.fallen, h.listed = nil, false
	ids := slices.Sorted(maps.Keys(h.rooms))
	h.mu.Unlock()
	if !changed {
		return
	}
	for _, id := range fallen {
		if _, again := slices.BinarySearch(ids, id); !again {
			h.s.hub.Drop(lobbyBoard, fmt.Sprint(id))
			h.s.hub.Drop(hallBoard, fmt.Sprint(id))
		}
	}
	var cards, items []string
	for _, id := range ids {
		cards = append(cards, fmt.Sprintf("#card-%d", id))
		items = append(items, fmt.Sprintf("#hall-%d", id))
	}
	for board, others := range map[string]string{
		lobbyBoard: "#cards > :not(" + strings.Join(cards, ", ") + ")",
		hallBoard:  "#hall > :not(:has(> [aria-current]), " + strings.Join(items, ", ") + ")",
	} {
		var shown live.Variants
		for range i18n.Langs {
			shown = append(shown, sse.Elements(others, datastar.ElementPatchModeRemove, ""))
		}
		h.s.hub.Put(board, "listed", shown)
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
