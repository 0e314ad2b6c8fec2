package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/live"
	"parlor/app/sse"
	"parlor/db"
	"parlor/static"
	"parlor/views"
)

const (
	// heartbeatEvery is how often a stream over TLS or HTTP/2 says that it is
	// alive; live.Writers do it for the others. A page that hears nothing for
	// 25 seconds asks afresh.
	heartbeatEvery = 10 * time.Second
	// writeFor is how long a write may take before its reader is given up.
	writeFor = 10 * time.Second
	// openWithin is how long it may take until a stream is open.
	openWithin = 12 * time.Second
	// kernelBytes is how much the kernel keeps for a reader, beside what may
	// wait here: by itself it would keep 4 MB.
	kernelBytes = 128 << 10
	// plainStreams is how many streams a browser may have over HTTP/1.1. It
	// opens six connections to one server; two are left for everything else.
	plainStreams = 4
)

// longestName bounds the random names of tabs and browsers, in bytes.
const longestName = 64

// openSignals are what a page sends when it opens its stream.
type openSignals struct {
	Cursor string `json:"cursor"`
	Tab    string `json:"tab"`   // a random name of the opened page
	Opens  int    `json:"opens"` // how often it opened its stream on purpose
}

// getLobbyStream keeps the lobby live.
func (s *Server) getLobbyStream(w http.ResponseWriter, r *http.Request) error {
	return s.serveStream(w, r, func(_ context.Context, sub *live.Subscriber, v db.Visit) (func(), error) {
		s.hub.Open(sub, lobbyBoard)
		if v.Person == nil {
			return func() {}, nil
		}
		return s.members.follow(sub, db.DraftPlace{PersonID: v.Person.ID}), nil
	})
}

// getInboxStream tells a page of the inbox that somebody called.
func (s *Server) getInboxStream(w http.ResponseWriter, r *http.Request) error {
	return s.serveStream(w, r, func(_ context.Context, sub *live.Subscriber, v db.Visit) (func(), error) {
		if v.Person == nil {
			return func() {}, nil
		}
		return s.members.follow(sub, db.DraftPlace{PersonID: v.Person.ID}), nil
	})
}

// getRoomStream keeps a room live, or the page of a thread in it: first what
// the page missed since its cursor, then everything as it comes.
func (s *Server) getRoomStream(w http.ResponseWriter, r *http.Request) error {
	return s.serveStream(w, r, func(ctx context.Context, sub *live.Subscriber, v db.Visit) (func(), error) {
		room, me := v.Room, v.Person
		after, err := s.resumeFrom(r, room)
		if err != nil {
			return nil, err
		}
		thread, err := threadOf(r.URL.Query())
		if err != nil {
			return nil, err
		}
		s.hub.Open(sub, roomBoard(room.ID))
		s.hall.showRoom(room.ID)
		s.hub.Open(sub, hallBoard)
		if err := s.hub.Follow(ctx, sub, room.ID, after); err != nil {
			return nil, err
		}
		if s.store.Epoch() != room.Epoch {
			// A backup was restored in this moment; the page's number means nothing in it.
			return nil, chat.Refuse(chat.Unavailable, chat.DatabaseAway)
		}
		if me == nil {
			return func() {}, nil
		}
		roomID, personID := room.ID, me.ID
		s.presence.Arrive(roomID, *me)
		leave := s.members.follow(sub, db.DraftPlace{RoomID: roomID, PersonID: personID, ThreadSeq: thread})
		return func() { leave(); s.presence.Depart(roomID, personID) }, nil
	})
}

// showGone begins the stream of a page that is open and whose room is gone: a
// backup was restored that is older than the room. The page shows it.
func (s *Server) showGone(sentence string) func(context.Context, *live.Subscriber, db.Visit) (func(), error) {
	return func(_ context.Context, sub *live.Subscriber, _ db.Visit) (func(), error) {
		sub.Send(sse.Elements("", datastar.ElementPatchModeOuter, s.html(views.Gone(sentence))))
		s.hub.Open(sub, hallBoard)
		return func() {}, nil
	}
}

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

// serveStream opens a stream: begin puts the subscriber where it belongs and
// returns what to do when it ends. Then a connection takes over what waits for
// the subscriber.
//
// On plain HTTP/1.1 the connection is taken out of net/http's hands and given
// to live.Writers, since a goroutine with its buffers for each idle stream
// would cost ten times the memory. TLS and HTTP/2 frame what is written, and
// keep their goroutine. Both ways carry the same bytes.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request,
	begin func(context.Context, *live.Subscriber, db.Visit) (leave func(), err error),
) error {
	if r.Method == http.MethodHead { // a look at the headers is no reader
		w.Header().Set("Content-Type", "text/event-stream")
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), openWithin)
	defer cancel()
	v, err := s.visit(ctx, r)
	var refusal *chat.Error
	gone := errors.As(err, &refusal) && refusal.Kind == chat.NotFound && isDatastar(r)
	if gone {
		v, begin = db.Visit{}, s.showGone(sentence(s.lang(r), refusal))
	} else if err != nil {
		return err
	}
	open, err := s.newStream(r)
	if err != nil {
		return err
	}
	if v.Person != nil {
		open.session = sessionName(s.token(r))
	}
	switch err := s.streams.open(open, s.mostStreams(r, open.direct), s.cfg.StreamsPerAddress); {
	case errors.Is(err, errParked):
		w.WriteHeader(http.StatusNoContent) // ends the client's retries
		return nil
	case err != nil:
		return err
	}
	// The wait before a reconnect differs from page to page, so that they do
	// not come back all at once.
	open.sub.Send(append(sse.Retry(time.Duration(200+rand.IntN(800))*time.Millisecond), online...))
	if !gone { // else nobody looked who asks
		open.sub.Send(reader(v.Person))
	}
	leave, err := begin(ctx, open.sub, v)
	if err != nil {
		open.sub.Leave()
		s.streams.close(open)
		return err
	}
	path, id := r.URL.Path, requestID(r)
	protocol := "http1"
	if r.ProtoMajor > 1 {
		protocol = "http2"
	}
	s.metrics.StreamOpened(protocol)
	ended := func(reason error) {
		s.streams.close(open)
		leave()
		s.metrics.StreamClosed(protocol)
		if errors.Is(reason, live.ErrSlow) {
			s.metrics.SlowCut()
			s.log.Info("cut a reader that was too slow", "request", id, "path", path)
		}
	}

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx passes it on at once
	h.Set("Vary", "Accept-Encoding")
	if open.packed {
		h.Set("Content-Encoding", "gzip")
	}
	if conn := hijack(w, r); conn != nil {
		if err := s.writers.Add(conn, open.sub, open.head(h), ended); err == nil {
			return nil
		}
		conn.Close()
	} else {
		s.writeStream(w, r, open)
	}
	open.sub.Leave()
	ended(open.sub.Err())
	return nil
}

// reader tells a page whose its stream is: the browser may have signed out, or in
// as somebody else, since the page was made.
func reader(p *chat.Person) []byte {
	var id int64
	if p != nil {
		id = p.ID
	}
	return sse.Signals(map[string]any{"_reader": id}, "")
}

var online = sse.Signals(map[string]any{"_online": true, "_parked": false}, "")

// newStream reads from where the stream is opened, and how.
func (s *Server) newStream(r *http.Request) (*openStream, error) {
	var signals openSignals
	if err := datastar.ReadSignals(r, &signals); err != nil || len(signals.Tab) > longestName {
		return nil, chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	packed := static.Accepts(r, "gzip")
	open := &openStream{
		sub: live.NewSubscriber(int(s.lang(r)), packed, s.cfg.StreamBytes), packed: packed,
		tab: signals.Tab, opens: signals.Opens,
	}
	if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) <= longestName {
		open.browser = c.Value
	}
	open.addr, open.direct = s.clientAddr(r)
	return open, nil
}

// hijack takes the connection of a plain HTTP/1.1 request; nil: it is not one.
func hijack(w http.ResponseWriter, r *http.Request) net.Conn {
	if r.ProtoMajor != 1 || !r.ProtoAtLeast(1, 1) || r.TLS != nil {
		return nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	if tcp, ok := conn.(interface{ SetWriteBuffer(int) error }); ok {
		_ = tcp.SetWriteBuffer(kernelBytes)
	}
	return conn
}

// head is what an answer begins with that is written to the connection
// itself. Its body ends with the connection (RFC 9112, section 6.3), so it
// needs no framing.
func (o *openStream) head(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
	_ = h.Write(&b) // a Buffer takes everything
	b.WriteString("Date: " + time.Now().UTC().Format(http.TimeFormat) + "\r\n\r\n")
	if o.packed {
		b.Write(live.PackedHead)
	}
	return b.Bytes()
}

// writeWithin returns a function that writes frames to the client, and takes
// no longer than that each time.
func writeWithin(most time.Duration, w http.ResponseWriter) func(frames ...[]byte) error {
	out := http.NewResponseController(w)
	return func(frames ...[]byte) error {
		if err := out.SetWriteDeadline(time.Now().Add(most)); err != nil {
			return err
		}
		for _, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		// On HTTP/2 a deadline ends the stream even if nothing is being written.
		return out.SetWriteDeadline(time.Time{})
	}
}

// writeStream writes what comes until somebody goes.
func (s *Server) writeStream(w http.ResponseWriter, r *http.Request, open *openStream) {
	write := writeWithin(writeFor, w)
	if open.packed {
		if _, err := w.Write(live.PackedHead); err != nil {
			return
		}
	}
	heartbeat := time.NewTicker(heartbeatEvery)
	defer heartbeat.Stop()
	var frames [][]byte
	for {
		select {
		case <-r.Context().Done():
			return
		case <-heartbeat.C:
			open.sub.Send(s.beat())
		case <-open.sub.Ready():
			began, bytes := time.Now(), 0
			var ended error
			frames, ended = open.sub.Take(frames[:0])
			for _, frame := range frames {
				bytes += len(frame)
			}
			if err := write(frames...); err != nil || ended != nil {
				return
			}
			clear(frames)
			s.metrics.Delivered(1, bytes, time.Since(began))
		}
	}
}

// beat is the sign of life on a quiet stream.
func (s *Server) beat() []byte { return sse.Signals(map[string]any{"_beat": s.now().Unix()}, "") }

// mostStreams is how many streams the browser of this request may have.
func (s *Server) mostStreams(r *http.Request, direct bool) int {
	most := s.cfg.StreamsPerSession
	if most > 0 && direct && r.ProtoMajor == 1 {
		most = min(most, plainStreams)
	}
	return most
}

// sessionName names a session without giving its token away (db.EndedSessions).
func sessionName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
