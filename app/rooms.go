package app

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/a-h/templ"
	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

func (s *Server) getLobby(w http.ResponseWriter, r *http.Request) error {
	rooms, err := s.myRooms(r)
	if err != nil {
		return err
	}
	s.knowBrowser(w, r)
	s.show(w, r, http.StatusOK, views.LobbyPage(s.page(r), rooms, views.Field{}))
	return nil
}

// myRooms are the rooms that are listed, with what the one who asks has to do
// with each.
func (s *Server) myRooms(r *http.Request) ([]views.LobbyRoom, error) {
	rooms := s.hall.list(false)
	if me(r) == nil {
		return rooms, nil
	}
	all, err := s.store.Memberships(r.Context(), []int64{me(r).ID}, nil)
	if err != nil {
		return nil, err
	}
	of := make(map[int64]chat.Membership, len(all))
	for _, m := range all {
		of[m.RoomID] = m
	}
	for i := range rooms {
		rooms[i].Mine = of[rooms[i].ID]
	}
	return rooms, nil
}

// getLobbyAway is the lobby as to a looker, while the database is away.
func (s *Server) getLobbyAway(w http.ResponseWriter, r *http.Request) error {
	s.knowBrowser(w, r)
	p := s.page(r)
	p.Away = true
	w.Header().Set("Cache-Control", "no-store")
	s.show(w, r, http.StatusOK, views.LobbyPage(p, s.hall.list(false), views.Field{}))
	return nil
}

// roomOf is the room in the request's path.
func (s *Server) roomOf(r *http.Request) (chat.Room, error) {
	if room, ok := r.Context().Value(keyRoom).(chat.Room); ok {
		return room, nil
	}
	slug := r.PathValue("slug")
	if !chat.ValidSlug(slug) {
		return chat.Room{}, chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	}
	return s.store.Room(r.Context(), slug)
}

// getRoom shows a page of a room's history: the newest, or the one before or
// after a message. A page that is open already gets it as patches.
func (s *Server) getRoom(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	if room.Slug != r.PathValue("slug") && !isDatastar(r) {
		to := *r.URL
		to.Path, to.RawPath = "/rooms/"+room.Slug, ""
		http.Redirect(w, r, to.String(), http.StatusFound) // not for ever: it may be renamed back
		return nil
	}
	if on := r.URL.Query().Get("on"); on != "" {
		return s.goToDay(w, r, room, on)
	}
	place, err := placeOf(r)
	if err != nil {
		return err
	}
	h, err := s.historyAt(r, room, place)
	if err != nil {
		return err
	}
	if isDatastar(r) {
		return s.patchHistory(w, r, h, place)
	}
	return s.showRoom(w, r, http.StatusOK, h, 0, views.Field{})
}

// historyAt reads a page of a room's history; the newest from memory.
func (s *Server) historyAt(r *http.Request, room chat.Room, place db.Place) (views.History, error) {
	if place == (db.Place{}) {
		kept, err := s.newest.at(r.Context(), room)
		if err != nil {
			return views.History{}, err
		}
		return s.newest.history(kept, s.lang(r)), nil
	}
	page, err := s.store.PageOf(r.Context(), room, place)
	return s.history(page), err
}

// placeOf reads ?before= and ?after=: a seq, at least 1.
func placeOf(r *http.Request) (db.Place, error) {
	var place db.Place
	for name, into := range map[string]*int64{"before": &place.Before, "after": &place.After} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seq < 0 {
			return place, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
		}
		*into = max(seq, 1)
		if name == "after" && seq == 0 { // from the beginning
			*into = 0
			place.FromStart = true
		}
	}
	if place.Before > 0 && (place.After > 0 || place.FromStart) {
		return place, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	return place, nil
}

// patchHistory adds a piece of history to an open page. Every patch carries
// the number at which it was read, and sees to the page's cursor by itself
// (views.rewind).
func (s *Server) patchHistory(w http.ResponseWriter, r *http.Request, h views.History, place db.Place) error {
	l := s.lang(r)
	messages, err := htmlWithin(r.Context(), views.Log(l, h))
	if err != nil {
		return err
	}
	edge := func(id string, c templ.Component) []byte {
		return sse.Elements(id, datastar.ElementPatchModeReplace, s.html(c))
	}
	switch {
	case place.Before > 0:
		h.Newer = true // not this answer's to say
		s.patch(w, r, sse.Elements("#log", datastar.ElementPatchModePrepend, messages), edge("#older", views.Older(l, h)))
	case place.After > 0 || place.FromStart:
		s.patch(w, r, sse.Elements("#log", datastar.ElementPatchModeAppend, messages), edge("#newer", views.Newer(l, h, false)))
	default:
		s.patch(w, r,
			sse.Elements("#history", datastar.ElementPatchModeReplace, s.html(views.HistoryView(l, h))),
			edge("#newer", views.Newer(l, h, true)),
			sse.Signals(map[string]any{"_said": h.Room.Said, "_seen": h.Room.Said, "_behind": ""}, ""))
	}
	return nil
}

// mostShown is how many messages a page holds; static/log.js keeps to it.
const mostShown = 300

// getCatchUp makes a page of old history true again after a gap that was too
// long to be replayed: the messages it shows are sent as they are now.
func (s *Server) getCatchUp(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	from, fromErr := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	to, toErr := strconv.ParseInt(r.URL.Query().Get("to"), 10, 64)
	if fromErr != nil || toErr != nil || from < 0 || to < from {
		return chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	page, err := s.store.Window(r.Context(), room, from, to, 2*mostShown)
	if err != nil {
		return err
	}
	page.Newer = true // the page lost its tail; the way back leads through more history
	l, h := s.lang(r), s.history(page)
	var events [][]byte
	if len(page.Messages) > 0 {
		messages, err := htmlWithin(r.Context(), views.Messages(l, page.Room, page.Messages))
		if err != nil {
			return err
		}
		events = append(events, sse.Elements("", datastar.ElementPatchModeOuter, messages))
	}
	events = append(events,
		sse.Elements("#newer", datastar.ElementPatchModeReplace, s.html(views.Newer(l, h, false))),
		sse.Signals(map[string]any{"_behind": ""}, ""))
	s.patch(w, r, events...)
	return nil
}

// showRoom shows a room's whole page; waiting are the files that belong to the
// message that is being written.
func (s *Server) showRoom(w http.ResponseWriter, r *http.Request, code int, h views.History, target int64, body views.Field, waiting ...chat.File) error {
	s.knowBrowser(w, r)
	p := s.page(r)
	if r.Method != http.MethodGet {
		p.Path = roomPath(h.Room)
	}
	page := s.roomPage(p, h)
	page.Nonce, page.Body, page.TargetSeq = db.NewNonce(), body, target
	page.Waiting = waiting
	if r.Method == http.MethodPost { // what is kept still answers what it answered, if that is there
		page.Replying, _ = s.parentOf(r, h.Room)
	}
	s.show(w, r, code, views.Room(page))
	return nil
}

// roomPage is a room's page with what stands beside it now.
func (s *Server) roomPage(p views.Page, h views.History) views.RoomPage {
	typing := s.presence.Typing(h.Room.ID)
	return views.RoomPage{
		Page: p, History: h, Rooms: s.hall.list(true),
		Here: s.presence.Here(h.Room.ID), Typing: typing[:min(len(typing), mostTyping)], Newest: roomPath(h.Room),
		FileBytes: s.cfg.FileBytes,
	}
}

func (s *Server) getNewRoom(w http.ResponseWriter, r *http.Request) error {
	p := s.page(r)
	if p.Me == nil {
		s.show(w, r, http.StatusOK, views.SessionPage(p, views.Field{}, views.Field{}, p.Path))
		return nil
	}
	s.show(w, r, http.StatusOK, views.RoomFormPage(p, nil, views.Field{Value: r.URL.Query().Get("name")}, views.Field{}))
	return nil
}

func (s *Server) getRoomSettings(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	if !room.CanChange(me.ID) {
		return chat.Refuse(chat.NotAllowed, chat.NotYourRoom)
	}
	s.show(w, r, http.StatusOK, views.RoomFormPage(s.page(r), &room, views.Field{Value: room.Name}, views.Field{Value: room.Topic}))
	return nil
}

// postRooms makes a room.
func (s *Server) postRooms(w http.ResponseWriter, r *http.Request) error {
	return s.writeRoom(w, r, nil)
}

// postRoom changes a room's name and topic.
func (s *Server) postRoom(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	return s.writeRoom(w, r, &room)
}

// writeRoom makes a room, or changes the given one. What is wrong is shown
// beside its field, with everything else as it was typed.
func (s *Server) writeRoom(w http.ResponseWriter, r *http.Request, room *chat.Room) error {
	if err := parseForm(r); err != nil {
		return err
	}
	saved, err := s.saveRoom(r, room)
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Kind == chat.TooMany {
		refusal.Field = "name" // so that the form comes back
	}
	if refusal != nil && refusal.Field != "" && !wantsJSON(r) {
		p := s.page(r)
		s.show(w, r, status(refusal), views.RoomFormPage(p, room,
			field(p.Lang, "name", r.PostForm.Get("name"), refusal), field(p.Lang, "topic", r.PostForm.Get("topic"), refusal)))
		return nil
	}
	if err != nil {
		return err
	}
	s.tellRoom(r.Context(), saved)
	http.Redirect(w, r, roomPath(saved), http.StatusSeeOther)
	return nil
}

// tellRoom tells everybody that a room was made or changed, and has it in this
// node's lists before the answer leads there.
func (s *Server) tellRoom(ctx context.Context, room chat.Room) {
	s.bus.Wake(room.ID, room.Rev)
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if err := s.hall.refresh(ctx, room.ID); err != nil {
		s.log.Warn("the lists show a room a little later", "room", room.ID, "err", err)
	}
}

func (s *Server) saveRoom(r *http.Request, room *chat.Room) (chat.Room, error) {
	me, err := needMe(r)
	if err != nil {
		return chat.Room{}, err
	}
	if room != nil && !room.CanChange(me.ID) {
		return chat.Room{}, chat.Refuse(chat.NotAllowed, chat.NotYourRoom)
	}
	if kind := r.PostForm.Get("kind"); kind != "" && kind != "public" {
		return chat.Room{}, chat.RefuseField("kind", chat.RoomKindUnknown)
	}
	name, err := chat.ParseRoomName(r.PostForm.Get("name"), s.cfg.Limits)
	if err != nil {
		return chat.Room{}, err
	}
	topic, err := chat.ParseTopic(r.PostForm.Get("topic"), s.cfg.Limits)
	if err != nil {
		return chat.Room{}, err
	}
	if err := s.mayPost(r, me); err != nil {
		return chat.Room{}, err
	}
	if room == nil {
		if addr, _ := s.clientAddr(r); !s.limits.mayMakeRoom(addr, s.now()) {
			return chat.Room{}, chat.Refuse(chat.TooMany, chat.TooManyRooms)
		}
		return s.store.MakeRoom(r.Context(), me.ID, name, topic)
	}
	changed, err := s.store.ChangeRoom(r.Context(), room.ID, me.ID, name, topic)
	if err != nil {
		return changed, err
	}
	return s.setPreviews(r, changed)
}
