package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/live"
	"parlor/app/sse"
)

const (
	// heartbeatEvery is how often a quiet stream says that it is alive. A
	// page that hears nothing for 25 seconds asks afresh.
	heartbeatEvery = 10 * time.Second
	// writeFor is how long a write may take before its reader is given up.
	writeFor = 10 * time.Second
	// plainStreams is how many streams a browser may have over HTTP/1.1. It
	// opens six connections to one server; two are left for everything else.
	plainStreams = 4
)

// longestName bounds the random names of tabs and browsers, mostParked how many
// parked tabs of a browser are remembered.
const (
	longestName = 64
	mostParked  = 100
)

// openSignals are what a page sends when it opens its stream.
type openSignals struct {
	Cursor string `json:"cursor"`
	Tab    string `json:"tab"`   // a random name of the opened page
	Opens  int    `json:"opens"` // how often it opened its stream on purpose
}

// getLobbyStream keeps the lobby live.
func (s *Server) getLobbyStream(w http.ResponseWriter, r *http.Request) error {
	return s.serveStream(w, r, func(_ context.Context, sub *live.Subscriber, _ *chat.Person) (func(), error) {
		s.hub.Open(sub, lobbyBoard)
		return func() {}, nil
	})
}

// getRoomStream keeps a room live: first what the page missed since its
// cursor, then everything as it comes.
func (s *Server) getRoomStream(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	after, err := s.resumeFrom(r, room)
	if err != nil {
		return err
	}
	return s.serveStream(w, r, func(ctx context.Context, sub *live.Subscriber, me *chat.Person) (func(), error) {
		leave := func() {}
		if me != nil {
			s.presence.Arrive(room.ID, *me)
			leave = func() { s.presence.Depart(room.ID, me.ID) }
		}
		s.hall.showRoom(room.ID)
		s.hub.Open(sub, roomBoard(room.ID))
		s.hub.Open(sub, hallBoard)
		if err := s.hub.Follow(ctx, sub, room.ID, after); err != nil {
			return leave, err
		}
		if s.store.Epoch() != room.Epoch {
			return leave, errRestored // where it goes on from is a number of the old database
		}
		return leave, nil
	})
}

var errRestored = errors.New("a backup was restored in this moment")

// resumeFrom finds the number to go on from: the later of what the browser
// remembers (Last-Event-ID) and the page's cursor. The client's own retries
// carry a fresh header and stale signals, a stream opened on purpose has
// signals only. A cursor of another database, or from the future, has missed
// everything.
func (s *Server) resumeFrom(r *http.Request, room chat.Room) (int64, error) {
	var signals openSignals
	if err := datastar.ReadSignals(r, &signals); err != nil {
		return 0, chat.Refuse(chat.Malformed, chat.CursorMalformed)
	}
	at, found := int64(0), false
	for _, text := range []string{r.Header.Get("Last-Event-ID"), signals.Cursor, r.URL.Query().Get("after")} {
		if text == "" {
			continue
		}
		cursor, err := chat.ParseCursor(text)
		if err != nil {
			return 0, err
		}
		if cursor.Epoch != "" && cursor.Epoch != room.Epoch || cursor.Rev > room.Rev {
			return fromNothing, nil
		}
		at, found = max(at, cursor.Rev), true
	}
	if !found {
		return fromNothing, nil
	}
	return at, nil
}

// serveStream opens a stream, lets begin put the subscriber where it belongs,
// and writes what comes until somebody goes. begin returns what to do then.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request,
	begin func(context.Context, *live.Subscriber, *chat.Person) (leave func(), err error),
) error {
	var signals openSignals
	if err := datastar.ReadSignals(r, &signals); err != nil {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	who, session, err := s.streamPerson(r)
	if err != nil {
		return err
	}
	sub := live.NewSubscriber(int(s.lang(r)), s.cfg.StreamBytes)
	open := &openStream{sub: sub, tab: signals.Tab, opens: signals.Opens, session: session}
	if len(open.tab) > longestName {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) <= longestName {
		open.browser = c.Value
	}
	var direct bool
	open.addr, direct = s.clientAddr(r)
	switch err := s.streams.open(open, s.mostStreams(r, direct), s.cfg.StreamsPerAddress); {
	case errors.Is(err, errParked):
		w.WriteHeader(http.StatusNoContent) // ends the client's retries
		return nil
	case err != nil:
		return err
	}
	defer s.streams.close(open)
	defer sub.Leave()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx passes it on at once
	out := http.NewResponseController(w)
	write := func(frames ...[]byte) error {
		if err := out.SetWriteDeadline(s.now().Add(writeFor)); err != nil {
			return err
		}
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	// The wait before a reconnect differs from page to page, so that they do
	// not come back all at once.
	hello := append(sse.Retry(time.Duration(200+rand.IntN(800))*time.Millisecond),
		sse.Signals(map[string]any{"_online": true, "_parked": false}, "")...)
	if err := write(hello); err != nil {
		return nil // gone already
	}
	leave, err := begin(r.Context(), sub, who)
	defer leave()
	if err != nil {
		// Too late for a status; the page comes back by itself.
		if r.Context().Err() == nil {
			s.log.Warn("a stream could not begin", "request", requestID(r), "path", r.URL.Path, "err", err)
		}
		return nil
	}

	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-s.draining:
			return nil
		case <-heartbeat.C:
			if err := write(sse.Signals(map[string]any{"_beat": s.now().Unix()}, "")); err != nil {
				return nil
			}
		case <-sub.Ready():
			frames, ended := sub.Take()
			if err := write(frames...); err != nil {
				return nil
			}
			if errors.Is(ended, live.ErrSlow) {
				s.log.Info("cut a reader that was too slow", "request", requestID(r), "path", r.URL.Path)
			}
			if ended != nil {
				return nil
			}
		}
	}
}

// mostStreams is how many streams the browser of this request may have.
func (s *Server) mostStreams(r *http.Request, direct bool) int {
	most := s.cfg.StreamsPerSession
	if most > 0 && direct && r.ProtoMajor == 1 {
		most = min(most, plainStreams)
	}
	return most
}

// streamPerson reads who opens the stream. Nothing of the session is kept.
func (s *Server) streamPerson(r *http.Request) (*chat.Person, string, error) {
	cookie, err := r.Cookie(s.sessions.Cookie.Name)
	if err != nil {
		return nil, "", nil
	}
	ctx, err := s.sessions.Load(r.Context(), cookie.Value)
	if err != nil {
		return nil, "", fmt.Errorf("load the session of a stream: %w", err)
	}
	who, err := s.whoIs(ctx)
	return who, sessionName(cookie.Value), err
}

// sessionName names a session without giving its token away.
func sessionName(token string) string {
	sum := sha256.Sum256([]byte("stream " + token))
	return hex.EncodeToString(sum[:8])
}

// openStream is one stream of a page.
type openStream struct {
	sub     *live.Subscriber
	browser string // "" for a program
	tab     string
	opens   int
	session string
	addr    netip.Addr
}

// streams knows all open ones. A browser with too many gets its oldest one
// parked: told so, ended, and not opened again until its tab is looked at.
type streams struct {
	mu        sync.Mutex
	browsers  map[string]*browserStreams
	addresses map[netip.Addr]int
	sessions  map[string]map[*openStream]bool
}

type browserStreams struct {
	open   []*openStream  // oldest first
	parked map[string]int // by tab: the Opens at which it was parked
}

var errParked = errors.New("this tab is parked")

func newStreams() *streams {
	return &streams{
		browsers: make(map[string]*browserStreams), addresses: make(map[netip.Addr]int),
		sessions: make(map[string]map[*openStream]bool),
	}
}

// open counts a stream in. most is how many its browser may have, 0 for any
// number and no limit at all.
func (s *streams) open(o *openStream, most, perAddress int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.addresses[o.addr] >= perAddress {
		return chat.Refuse(chat.TooMany, chat.TooManyStreams)
	}
	if o.browser != "" && o.tab != "" {
		b := s.browsers[o.browser]
		if b == nil {
			b = &browserStreams{parked: make(map[string]int)}
			s.browsers[o.browser] = b
		}
		if at, ok := b.parked[o.tab]; ok && o.opens <= at {
			return errParked // a retry, not somebody who looks
		}
		delete(b.parked, o.tab)
		open := b.open[:0:0]
		for _, other := range b.open {
			if other.tab == o.tab { // the page opened it afresh
				other.sub.Close(nil)
				continue
			}
			open = append(open, other)
		}
		for most > 0 && len(open) >= most {
			oldest := open[0]
			oldest.sub.Close(parkedFrame)
			if len(b.parked) >= mostParked { // a new page, not a tab, each time
				clear(b.parked)
			}
			b.parked[oldest.tab] = oldest.opens
			open = open[1:]
		}
		b.open = append(open, o)
	}
	s.addresses[o.addr]++
	if o.session != "" {
		if s.sessions[o.session] == nil {
			s.sessions[o.session] = make(map[*openStream]bool)
		}
		s.sessions[o.session][o] = true
	}
	return nil
}

var parkedFrame = sse.Signals(map[string]any{"_parked": true}, "")

// close counts a stream out.
func (s *streams) close(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addresses[o.addr]--; s.addresses[o.addr] <= 0 {
		delete(s.addresses, o.addr)
	}
	if of := s.sessions[o.session]; of != nil {
		delete(of, o)
		if len(of) == 0 {
			delete(s.sessions, o.session)
		}
	}
	b := s.browsers[o.browser]
	if b == nil {
		return
	}
	for i, other := range b.open {
		if other == o {
			b.open = append(b.open[:i:i], b.open[i+1:]...)
			break
		}
	}
	if len(b.open) == 0 {
		delete(s.browsers, o.browser)
	}
}

// endSession ends the streams of a session that ended.
func (s *streams) endSession(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.sessions[name] {
		o.sub.Close(nil)
	}
}
