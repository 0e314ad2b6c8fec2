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
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/klauspost/compress/gzhttp"

	"parlor/app/bus"
	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/live"
	"parlor/app/metrics"
	"parlor/app/presence"
	"parlor/app/search"
	"parlor/db"
	"parlor/static"
)

// Server is the application. New starts it, ServeHTTP answers, Drain, Close and
// then ending New's context stop it.
type Server struct {
	cfg      Config
	log      *slog.Logger
	store    *db.Store
	bus      *bus.Bus
	hub      *live.Hub
	writers  *live.Writers
	presence *presence.Presence
	hall     *hall
	newest   *newest
	nameKeys nameKeys
	previews *previews
	members  *members
	sessions *scs.SessionManager
	streams  *streams
	limits   *limits
	now      func() time.Time
	ready    *readiness
	metrics  *metrics.Metrics
	files    *filesFolder
	handler  http.Handler

	greet, greeted atomic.Bool // say hello to other nodes; one of them did
}

// New makes the server and starts what runs beside the requests, until ctx
// ends: the bus, presence, and the slow sweeps.
func New(ctx context.Context, cfg Config, databaseURL string, store *db.Store, log *slog.Logger) (*Server, error) {
	s := &Server{
		cfg: cfg, log: log, store: store, now: store.Now,
		streams: newStreams(), limits: newLimits(cfg), metrics: metrics.New(),
	}
	s.ready = newReadiness(store.Ping, func() bool { return s.bus.Healthy() })
	s.hub = live.NewHub(s.roomChanges, log)
	s.hub.Resumed = s.metrics.Resumed
	s.writers = live.NewWriters(s.beat, s.metrics.Delivered)
	s.hall = newHall(s)
	s.newest = newNewest(s)
	s.previews = newPreviews(s)
	s.members = newMembers(s)
	s.putAway(false)
	s.presence = presence.New(s.now, s.hall.peopleChanged)
	s.sessions = newSessions(cfg, store, s)
	var err error
	transport := bus.Postgres(databaseURL, store.DB, log)
	if cfg.NATS != "" {
		transport = bus.NATS(cfg.NATS, log)
	}
	s.greet.Store(true)
	if s.bus, err = bus.Start(ctx, transport, store.Epoch, s, log); err != nil {
		return nil, err
	}
	if err := s.hall.reload(ctx); err != nil {
		return nil, err
	}
	s.files = newFilesFolder(s)
	s.files.open(ctx)
	store.OnNewEpoch(s.restored)
	store.OnCommit(s.metrics.GroupCommit)
	store.FindBy(func(m chat.Message) string { return search.Terms(said(m)) })
	s.measure()
	s.handler = s.chain(s.routes())
	go s.ready.watch(ctx)
	go s.hall.run(ctx)
	go s.members.run(ctx)
	go s.sweep(ctx)
	go s.keepSearchable(ctx)
	go s.files.lookAfter(ctx)
	if cfg.Previews {
		go s.previews.run(ctx)
	}
	go func() {
		if err := store.Watch(ctx, s.databaseAway); err != nil {
			log.Error("can't watch the database", "err", err)
		}
	}()
	return s, nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// restored is called when the database was replaced by a backup of it. Open
// pages come back with cursors that the new one does not know, and so get the
// newest end afresh.
func (s *Server) restored() {
	s.log.Info("the database is a restored backup: all open pages begin afresh")
	s.hub.Restart()
	s.newest.restart()
	s.hall.restart()
	s.presence.Restored()
	s.files.ready.Store(false) // until looked at again
	s.members.distrust()
}

// handler answers a request or says why not; fail turns the error into an
// answer.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes is the whole of what the server answers to.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	compressed, _ := gzhttp.NewWrapper(gzhttp.MinSize(512)) // the option is valid
	// A page, or patches for one: compressed, bounded in time, by somebody
	// who is known if there is a session.
	known := func(h, away handler) http.Handler {
		return compressed(within(answerWithin, s.known(s.answer(h), away)))
	}
	page := func(pattern string, h handler) { mux.Handle(pattern, known(h, refuseAway)) }

	mux.Handle("GET /{$}", known(s.getLobby, s.getLobbyAway))
	page("POST /session", s.postSession)
	page("GET /session", s.getSession)
	mux.Handle("POST /session/end", within(answerWithin, s.known(s.sessions.LoadAndSave(s.answer(s.postSessionEnd)), refuseAway)))
	mux.Handle("POST /preferences", s.answer(s.postPreferences))

	page("POST /rooms", s.postRooms)
	page("GET /rooms/new", s.getNewRoom)
	mux.Handle("GET /rooms/{slug}", s.fromMemory(known(s.getRoom, refuseAway)))
	page("POST /rooms/{slug}", s.postRoom)
	page("GET /rooms/{slug}/settings", s.getRoomSettings)
	page("GET /rooms/{slug}/catchup", s.getCatchUp)
	page("GET /rooms/{slug}/complete", s.getComplete)
	page("GET /rooms/{slug}/who", s.getWho)
	page("GET /help", s.getHelp)

	page("POST /rooms/{slug}/messages", s.postMessage)
	page("GET /rooms/{slug}/messages/{seq}", s.getMessage)
	page("POST /rooms/{slug}/messages/{seq}", s.postMessageEdit)
	page("GET /rooms/{slug}/messages/{seq}/edit", s.getMessageEdit)
	page("GET /rooms/{slug}/messages/last/edit", s.getLastEdit)
	page("GET /rooms/{slug}/messages/{seq}/versions", s.getVersions)
	page("GET /rooms/{slug}/messages/{seq}/reply", s.getReply)
	page("GET /rooms/{slug}/messages/{seq}/thread", s.getThread)
	page("GET /rooms/{slug}/messages/{seq}/delete", s.getMessageDelete)
	page("POST /rooms/{slug}/messages/{seq}/delete", s.postMessageDelete)
	page("GET /rooms/{slug}/messages/{seq}/react", s.getReact)
	page("POST /rooms/{slug}/messages/{seq}/reactions", s.postReaction)
	page("GET /rooms/{slug}/messages/{seq}/reactions", s.getReactions)
	// Files take their time, and are compressed as far as they can be.
	mux.Handle("POST /rooms/{slug}/files", s.known(s.answer(s.postFile), refuseAway))
	page("POST /rooms/{slug}/files/{id}/delete", s.postFileDelete)
	mux.Handle("GET /rooms/{slug}/files/{id}/{name}", s.known(s.answer(s.getFile), refuseAway))
	mux.Handle("GET /rooms/{slug}/thumbs/{id}", s.known(s.answer(s.getThumb), refuseAway))
	page("GET /rooms/{slug}/messages/{seq}/menu", s.getMessageMenu)
	page("POST /rooms/{slug}/messages/{seq}/previews/{id}/remove", s.postPreviewRemove)
	page("POST /rooms/{slug}/messages/{seq}/pin", s.postPin)
	page("POST /rooms/{slug}/messages/{seq}/unpin", s.postUnpin)
	page("POST /rooms/{slug}/messages/{seq}/save", s.postSave)
	page("POST /rooms/{slug}/messages/{seq}/unsave", s.postUnsave)
	page("GET /rooms/{slug}/pins", s.getPins)
	page("GET /saved", s.getSaved)

	page("GET /search", s.getSearch)
	page("POST /search/forget", s.postSearchForget)
	// What only the one who asks sees of a room, and that somebody is there. Pages
	// tell much of it by themselves, and nobody misses it while the database is away.
	quietly := func(pattern string, h handler) { mux.Handle(pattern, known(s.quiet(h), ignoreAway)) }
	quietly("POST /rooms/{slug}/read", s.postRead)
	quietly("POST /rooms/{slug}/draft", s.postDraft)
	quietly("POST /rooms/{slug}/messages/{seq}/draft", s.postDraft)
	quietly("POST /rooms/{slug}/typing", s.postTyping)
	quietly("POST /presence", s.postPresence)
	quietly("GET /rooms/{slug}/since", s.getSince)
	page("POST /rooms/{slug}/unread", s.postUnread)
	page("GET /rooms/{slug}/unread", s.getUnread)
	page("POST /rooms/{slug}/level", s.postLevel)
	page("GET /inbox", s.getInbox)
	page("POST /session/status", s.postStatus)

	page("GET /unread.css", s.getUnreadCSS)

	// Streams read the session once and hold nothing of it.
	mux.Handle("GET /stream", s.answer(s.getLobbyStream))
	mux.Handle("GET /rooms/{slug}/stream", s.answer(s.getRoomStream))
	mux.Handle("GET /inbox/stream", s.answer(s.getInboxStream))

	// These need no session at all.
	mux.Handle("GET /previews/{id}/image", within(answerWithin, s.answer(s.getPreviewImage)))
	mux.Handle("GET /people/{id}/own.css", compressed(s.answer(s.getOwnCSS)))
	dev := ""
	if s.cfg.Dev {
		dev = "static"
	}
	mux.Handle("GET "+static.Prefix, static.Handler(dev, s.answer(noSuchPage)))
	mux.Handle("GET /favicon.ico", http.RedirectHandler(static.URL("favicon.svg"), http.StatusFound))
	mux.Handle("GET /healthz", s.answer(s.getHealth))
	mux.Handle("GET /readyz", s.answer(s.getReady))
	mux.Handle("/", s.unknown(mux))
	return mux
}

// sweep looks after what hints may have missed, and forgets what is unused.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	sessions := time.NewTicker(sweepSessionsEvery)
	defer sessions.Stop()
	expired := time.NewTicker(time.Hour)
	defer expired.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.hub.WakeAll()
			s.hub.Sweep(s.now())
			s.limits.sweep(s.now())
			s.newest.sweep(s.now())
			s.members.sweep()
		case <-sessions.C:
			s.sweepSessions(ctx, s.streams.names())
		case <-expired.C:
			if err := s.store.SweepSessions(ctx); err != nil {
				s.log.Warn("expired sessions stay for another hour", "err", err)
			}
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
