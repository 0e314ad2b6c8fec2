package app

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// postPin pins a message to its room, for everybody.
func (s *Server) postPin(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, i18n.Pinned, func(ctx context.Context, room chat.Room, seq int64, me chat.Person) (int64, error) {
		return s.store.Pin(ctx, room.ID, seq, me.ID)
	})
}

// postUnpin takes a message off the room's pins.
func (s *Server) postUnpin(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, i18n.Unpinned, func(ctx context.Context, room chat.Room, seq int64, _ chat.Person) (int64, error) {
		return s.store.Unpin(ctx, room.ID, seq)
	})
}

// getPins lists what is pinned to a room: over the open page, or on a page of
// its own.
func (s *Server) getPins(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	pins, err := s.store.Pins(r.Context(), room.ID)
	if err != nil {
		return err
	}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.PinsDialog(s.page(r), room, pins))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.PinsPage(s.page(r), room, pins))
	return nil
}

// postSave keeps a message for the one who asks. Nobody else learns of it: it
// takes no number, and nothing of it is on a stream.
func (s *Server) postSave(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, i18n.SavedForYou, func(ctx context.Context, room chat.Room, seq int64, me chat.Person) (int64, error) {
		return 0, s.store.Save(ctx, me.ID, room.ID, seq)
	})
}

// postUnsave keeps it no more.
func (s *Server) postUnsave(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, i18n.Unsaved, func(ctx context.Context, room chat.Room, seq int64, me chat.Person) (int64, error) {
		return 0, s.store.Unsave(ctx, me.ID, room.ID, seq)
	})
}

// getSaved lists what somebody saved.
func (s *Server) getSaved(w http.ResponseWriter, r *http.Request) error {
	p := s.page(r)
	me, err := needMe(r)
	if err != nil {
		s.show(w, r, http.StatusOK, views.SessionPage(p, views.Field{}, views.Field{}, "/saved"))
		return nil
	}
	from, err := savedPlace(r.URL.Query().Get("from"))
	if err != nil {
		return err
	}
	saved, more, err := s.store.SavedBy(r.Context(), me.ID, from)
	if err != nil {
		return err
	}
	list := make([]views.SavedMessage, len(saved))
	for i, entry := range saved {
		list[i] = views.SavedMessage{Room: entry.Room, Message: entry.Message}
	}
	next := ""
	if more && len(saved) > 0 {
		next = "/saved?from=" + savedText(saved[len(saved)-1].Place())
	}
	s.show(w, r, http.StatusOK, views.SavedPage(p, list, next))
	return nil
}

// savedText writes a place in the list of what is saved for a URL; savedPlace
// reads it. It names a moment to the microsecond, as the database does.
func savedText(p db.SavedPlace) string {
	return strconv.FormatInt(p.At.UnixMicro(), 10) + "." + strconv.FormatInt(p.RoomID, 10) + "." + strconv.FormatInt(p.Seq, 10)
}

func savedPlace(text string) (db.SavedPlace, error) {
	if text == "" {
		return db.SavedPlace{}, nil
	}
	var n [3]int64
	parts := strings.Split(text, ".")
	for i := range n {
		var err error
		if len(parts) == len(n) {
			n[i], err = strconv.ParseInt(parts[i], 10, 64)
		}
		if err != nil || n[i] < 1 || n[0] > 1<<52 { // 1<<52 microseconds: the year 2112
			return db.SavedPlace{}, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
		}
	}
	return db.SavedPlace{At: time.UnixMicro(n[0]), RoomID: n[1], Seq: n[2]}, nil
}
