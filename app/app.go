// Package app is the web application: what a person, or a program, can do,
// one file per subject. Handlers hold no SQL and no HTML: rules are in chat,
// storage is in db, pages are in views, and the live room is in live.
//
// The way of a message: postMessage (messages.go) -> Store.Say -> bus.Wake ->
// Server.Woken -> Hub.Wake -> Server.roomChanges (render.go), once for all ->
// every Subscriber -> serveStream (stream.go). There is no second way.
package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/klauspost/compress/gzhttp"

	"parlor/app/bus"
	"parlor/app/i18n"
	"parlor/app/live"
	"parlor/app/presence"
	"parlor/db"
	"parlor/static"
)

// Server is the application. New starts it, ServeHTTP answers, Drain and then
// ending New's context stop it.
type Server struct {
	cfg      Config
	log      *slog.Logger
	store    *db.Store
	bus      *bus.Bus
	hub      *live.Hub
	writers  *live.Writers
	presence *presence.Presence
	hall     *hall
	sessions *scs.SessionManager
	streams  *streams
	limits   *limits
	now      func() time.Time
	handler  http.Handler
}

// New makes the server and starts what runs beside the requests, until ctx
// ends: the bus, presence, and the slow sweeps.
func New(ctx context.Context, cfg Config, databaseURL string, store *db.Store, log *slog.Logger) (*Server, error) {
	s := &Server{
		cfg: cfg, log: log, store: store, now: store.Now,
		streams: newStreams(), limits: newLimits(cfg),
	}
	s.hub = live.NewHub(s.roomChanges, log)
	s.writers = live.NewWriters(s.beat, func(int, int, time.Duration) {})
	s.hall = newHall(s)
	s.presence = presence.New(s.now, s.hall.peopleChanged)
	s.sessions = newSessions(cfg, store, s)
	var err error
	if s.bus, err = bus.Start(ctx, databaseURL, store.DB, s, log); err != nil {
		return nil, err
	}
	if err := s.hall.reload(ctx); err != nil {
		return nil, err
	}
	s.handler = s.chain(s.routes())
	go s.hall.run(ctx)
	go s.sweep(ctx)
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain ends all streams, for a shutdown: their pages come back by themselves.
func (s *Server) Drain() { s.streams.drain() }

// handler answers a request or says why not; fail turns the error into an
// answer.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes is the whole of what the server answers to.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	compressed := gzhttp.GzipHandler
	// A page, or patches for one: compressed, bounded in time, with a session.
	page := func(pattern string, h handler) {
		mux.Handle(pattern, compressed(within(answerWithin, s.sessions.LoadAndSave(s.identify(s.answer(h))))))
	}

	page("GET /{$}", s.getLobby)
	page("POST /session", s.postSession)
	page("GET /session", s.getSession)
	page("POST /session/end", s.postSessionEnd)
	page("POST /preferences", s.postPreferences)

	page("POST /rooms", s.postRooms)
	page("GET /rooms/new", s.getNewRoom)
	page("GET /rooms/{slug}", s.getRoom)
	page("POST /rooms/{slug}", s.postRoom)
	page("GET /rooms/{slug}/settings", s.getRoomSettings)
	page("GET /rooms/{slug}/catchup", s.getCatchUp)

	page("POST /rooms/{slug}/messages", s.postMessage)
	page("GET /rooms/{slug}/messages/{seq}", s.getMessage)
	page("POST /rooms/{slug}/messages/{seq}", s.postMessageEdit)
	page("GET /rooms/{slug}/messages/{seq}/edit", s.getMessageEdit)
	page("GET /rooms/{slug}/messages/{seq}/delete", s.getMessageDelete)
	page("POST /rooms/{slug}/messages/{seq}/delete", s.postMessageDelete)
	page("POST /rooms/{slug}/typing", s.postTyping)

	// Streams read the session once and hold nothing of it.
	mux.Handle("GET /stream", s.answer(s.getLobbyStream))
	mux.Handle("GET /rooms/{slug}/stream", s.answer(s.getRoomStream))

	// These need no session at all.
	mux.Handle("GET /people/{id}/own.css", s.answer(s.getOwnCSS))
	dev := ""
	if s.cfg.Dev {
		dev = "static"
	}
	mux.Handle("GET "+static.Prefix, static.Handler(dev))
	mux.Handle("GET /favicon.ico", http.RedirectHandler(static.URL("favicon.svg"), http.StatusFound))
	mux.Handle("GET /healthz", s.answer(s.getHealth))
	mux.Handle("GET /readyz", s.answer(s.getReady))
	return mux
}

// sweep looks after what hints may have missed, and forgets what is unused.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.hub.WakeAll()
			s.hub.Sweep(s.now())
			s.limits.sweep(s.now())
		}
	}
}

// lang is the language a request is answered in.
func (s *Server) lang(r *http.Request) i18n.Lang {
	chosen := ""
	if c, err := r.Cookie("lang"); err == nil {
		chosen = c.Value
	}
	return i18n.Match(chosen, r.Header.Get("Accept-Language"))
}
