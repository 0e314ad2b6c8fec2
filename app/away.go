package app

import (
	"context"
	"errors"
	"net/http"

	"parlor/app/chat"
	"parlor/app/sse"
	"parlor/db"
)

// errAway is told at once while the database is known to be away.
func errAway() error { return chat.Refuse(chat.Unavailable, chat.DatabaseAway) }

// isAway tells whether the error means that the database can't be reached.
func isAway(err error) bool {
	var refusal *chat.Error
	return errors.As(err, &refusal) && refusal.Reason == chat.DatabaseAway || db.IsAway(err) || errors.Is(err, context.DeadlineExceeded)
}

// databaseAway tells all open pages that the database went away, or is back.
func (s *Server) databaseAway(away bool) {
	if away {
		s.log.Warn("the database is away: rooms are shown from memory, posting is paused")
	} else {
		s.log.Info("the database is back")
		s.Resumed()
	}
	s.putAway(away)
}

// putAway puts it on the boards that every page follows.
func (s *Server) putAway(away bool) {
	frame := same(sse.Signals(map[string]any{"_away": away}, ""))
	s.hub.Put(lobbyBoard, "away", frame)
	s.hub.Put(hallBoard, "away", frame)
}

// visit asks who sends a request, and about which room, if it is about one:
// one query, which those who ask at the same moment share, with a limit in
// time. While the database is away it is told at once.
func (s *Server) visit(ctx context.Context, r *http.Request) (db.Visit, error) {
	slug, token := r.PathValue("slug"), s.token(r)
	switch {
	case slug != "" && !chat.ValidSlug(slug):
		return db.Visit{}, chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	case slug == "" && token == "":
		return db.Visit{}, nil
	case s.store.Away():
		return db.Visit{}, errAway()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.store.Visit(ctx, slug, token)
}

// known finds out who asks, and about which room, before a handler is called.
// away answers while the database is away.
func (s *Server) known(next http.Handler, away handler) http.Handler {
	return s.answer(func(w http.ResponseWriter, r *http.Request) error {
		if s.store.Away() {
			return away(w, r)
		}
		v, err := s.visit(r.Context(), r)
		if err != nil && isAway(err) {
			return away(w, r)
		} else if err != nil {
			return err
		}
		ctx := context.WithValue(r.Context(), keyRoom, v.Room)
		if v.Person != nil && v.Day != s.today() && r.Method == http.MethodGet {
			there, err := s.noteVisit(w, r)
			if err != nil && isAway(err) {
				return away(w, r)
			} else if err != nil {
				return err
			}
			if !there {
				v.Person = nil
			}
		}
		if v.Person != nil {
			ctx = context.WithValue(ctx, keyMe, v.Person)
			ctx = context.WithValue(ctx, keyMember, v.Member)
		}
		next.ServeHTTP(w, r.WithContext(ctx))
		return nil
	})
}

// ignoreAway is for what nobody misses.
func ignoreAway(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// refuseAway is what most handlers do without the database.
func refuseAway(http.ResponseWriter, *http.Request) error { return errAway() }
