package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/sse"
	"parlor/views"
)

// led is what a command answers with, instead of a message: one of where to go
// and what to open over the page. It is sent as JSON to the page's outbox
// (static/members/outbox.js) and to programs. A command may come twice, when its first
// answer was lost, and does the same again.
type led struct {
	Command chat.Verb `json:"command"`
	Go      string    `json:"go,omitempty"`
	Dialog  string    `json:"dialog,omitempty"`
}

// obey does what was typed as a command.
func (s *Server) obey(w http.ResponseWriter, r *http.Request, room chat.Room, me chat.Person, c chat.Command) (led, error) {
	to := led{Command: c.Verb}
	switch c.Verb {
	case chat.Nick:
		to.Go = roomPath(room)
		if c.Text == "" {
			to.Go = "/session?next=" + url.QueryEscape(roomPath(room))
			return to, nil
		}
		return to, s.takeNickname(w, r, c.Text)
	case chat.Topic:
		if !room.CanChange(me.ID) {
			return to, chat.Refuse(chat.NotAllowed, chat.NotYourRoom)
		}
		if c.Text == "" { // to take it away is no slip of a key
			to.Go = roomPath(room) + "/settings"
			return to, nil
		}
		to.Go = roomPath(room) + "#message" // to an open page that is no reload
		return to, s.changeTopic(r, room, me, c.Text)
	case chat.Join:
		return s.join(r, c)
	case chat.Who:
		to.Dialog = roomPath(room) + "/who"
	case chat.Search:
		to.Go = "/search?q=" + url.QueryEscape(c.Text+" in:"+room.Slug)
	case chat.Help:
		to.Dialog = "/help"
	}
	return to, nil
}

func (s *Server) changeTopic(r *http.Request, room chat.Room, me chat.Person, typed string) error {
	topic, err := chat.ParseTopic(typed, s.cfg.Limits)
	if err != nil {
		return err
	}
	changed, err := s.store.ChangeRoom(r.Context(), room.ID, me.ID, room.Name, topic)
	if err != nil {
		return err
	}
	s.tellRoom(r.Context(), changed)
	return nil
}

// join leads to a room, or to the form that makes it.
func (s *Server) join(r *http.Request, c chat.Command) (led, error) {
	to := led{Command: c.Verb, Go: "/"}
	if c.Text == "" {
		return to, nil
	}
	name := c.Text
	if name[0] == '#' && len(name) > 1 {
		name = name[1:]
	}
	room, err := s.store.RoomNamed(r.Context(), name)
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Reason == chat.NoSuchRoom {
		to.Go = "/rooms/new?name=" + url.QueryEscape(name)
		return to, nil
	}
	to.Go = roomPath(room)
	return to, err
}

// showLed answers a command: JSON for programs and the outbox; a plain form is
// led on.
func showLed(w http.ResponseWriter, r *http.Request, to led) {
	if !wantsJSON(r) {
		http.Redirect(w, r, cmp.Or(to.Go, to.Dialog), http.StatusSeeOther)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(to)
}

// getHelp shows what can be typed.
func (s *Server) getHelp(w http.ResponseWriter, r *http.Request) error {
	p := s.page(r)
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.HelpDialog(p))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.HelpPage(p))
	return nil
}

// getWho shows who is in the room.
func (s *Server) getWho(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	p, people := s.page(r), s.presence.Here(room.ID)
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.WhoDialog(p, people))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.WhoPage(p, room, people))
	return nil
}
