// Package demo fills an empty Parlor with a conversation that shows what there
// is: eight people, several rooms and days, in English and Chinese.
//
// People of the demo use the same door as everybody: each post, edit, reaction
// and file is a request to the server, so no rule is passed over. Only the
// clock is another one. The same script makes the same conversation, as many
// days before today as it says.
package demo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"parlor/app"
	"parlor/db"
)

//go:embed conversation.txt
var script string

// clock is the time of the server that is filled.
type clock struct{ now atomic.Int64 }

func (c *clock) read() time.Time { return time.Unix(0, c.now.Load()) }

func (c *clock) set(t time.Time) { c.now.Store(t.UnixNano()) }

// Fill lets the conversation happen in an empty database, as many days before
// today (UTC) as the script says. It returns the cookies by which a browser
// becomes one of the people.
func Fill(ctx context.Context, cfg app.Config, databaseURL string, now time.Time) (map[string]*http.Cookie, error) {
	today := now.UTC().Truncate(24 * time.Hour)
	clock := new(clock)
	clock.set(today.AddDate(0, 0, -5))
	ctx, end := context.WithCancel(ctx)
	defer end()
	store, err := db.Open(ctx, databaseURL, db.Options{Connections: 4, Now: clock.read})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	cfg.PostsPerSecond, cfg.NicknamesPerHour = 0, 0 // their days go by in a moment
	server, err := app.New(ctx, cfg, databaseURL, store, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer server.Close()
	return seed(ctx, server, clock, today)
}

// DoorPath is where one becomes one of the people.
func DoorPath(name string) string { return "/demo/" + url.PathEscape(name) }

// Door is the server with a way in for everybody as one of the people. Whoever
// comes through gets a session of their own, and may end it: those of people
// are not given away.
func Door(server http.Handler, store *db.Store, people map[string]*http.Cookie) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.HandleFunc("GET /demo/{name}", func(w http.ResponseWriter, r *http.Request) {
		c := people[r.PathValue("name")]
		if c == nil {
			server.ServeHTTP(w, r) // says that there is no such page
			return
		}
		own, now := *c, store.Now()
		own.Value, own.Expires = rand.Text(), now.Add(db.HoldFor)
		there, err := store.EnterAgain(r.Context(), c.Value, own.Value, now.Unix()/86400, own.Expires)
		if err != nil {
			http.Error(w, "The demo's database does not answer. Please try again.", http.StatusServiceUnavailable)
			return
		}
		if !there {
			http.Error(w, "Nobody can be this person any more. Remove the demo's folder, and start it again.", http.StatusGone)
			return
		}
		http.SetCookie(w, &own)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return mux
}

// seed lets the conversation happen on the server, whose clock it moves.
func seed(ctx context.Context, server http.Handler, clock *clock, today time.Time) (map[string]*http.Cookie, error) {
	rooms, err := read(script)
	if err != nil {
		return nil, err
	}
	s := seeder{ctx: ctx, server: server, clock: clock, cookies: make(map[string]*http.Cookie)}
	type moment struct {
		at   time.Time
		room *room
		line *line
	}
	var moments []moment
	for _, r := range rooms {
		for _, l := range r.lines {
			moments = append(moments, moment{today.AddDate(0, 0, -l.daysAgo).Add(l.clock), r, l})
			s.enter(l.who)
		}
	}
	for _, r := range rooms {
		s.makeRoom(r)
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range moments {
		s.say(m.at, m.room, m.line)
	}
	if s.err != nil {
		return nil, fmt.Errorf("seed the demo: %w", s.err)
	}
	return s.cookies, nil
}

// seeder does one thing after the other, until one fails.
type seeder struct {
	ctx     context.Context
	server  http.Handler
	clock   *clock
	cookies map[string]*http.Cookie // by nickname
	posts   int
	err     error
}

func (s *seeder) enter(who string) {
	if s.err != nil || s.cookies[who] != nil {
		return
	}
	answer := s.post("", "/session", form("nickname", who))
	for _, c := range answer.cookies() {
		if c.HttpOnly {
			s.cookies[who] = c
		}
	}
	if s.err == nil && s.cookies[who] == nil {
		s.err = fmt.Errorf("%s got no session", who)
	}
}

func (s *seeder) makeRoom(r *room) {
	if r.maker == "" { // it is there from the start
		r.path = "/rooms/" + url.PathEscape(r.name)
		return
	}
	answer := s.post(r.maker, "/rooms", form("name", r.name, "topic", r.topic))
	r.path = answer.header.Get("Location")
}

func (s *seeder) say(at time.Time, r *room, l *line) {
	s.clock.set(at)
	s.posts++
	fields := form("body", l.texts[0], "nonce", uuid.NewSHA1(uuid.Nil, fmt.Append(nil, s.posts)).String())
	if l.re != "" {
		fields.Set("parent", fmt.Sprint(r.seqs[l.re]))
	}
	var answer *recorder
	if l.picture == "" {
		answer = s.post(l.who, r.path+"/messages", fields)
	} else {
		answer = s.postFile(l.who, r.path+"/messages", fields, l.picture)
	}
	var said struct{ Seq int64 }
	if s.err == nil {
		s.err = json.Unmarshal(answer.body.Bytes(), &said)
	}
	if l.key != "" {
		r.seqs[l.key] = said.Seq
	}
	path := fmt.Sprintf("%s/messages/%d", r.path, said.Seq)
	for i, text := range l.texts[1:] {
		s.clock.set(at.Add(time.Duration(i+1) * 5 * time.Minute))
		s.post(l.who, path, form("body", text, "version", fmt.Sprint(i+1)))
	}
	for i, given := range l.reactions {
		s.clock.set(at.Add(time.Duration(i+1) * 20 * time.Second))
		s.post(given.who, path+"/reactions", form("emoji", given.emoji))
	}
	if l.pin != "" {
		s.post(l.pin, path+"/pin", nil)
	}
	if l.save != "" {
		s.post(l.save, path+"/save", nil)
	}
	if l.deleted {
		s.post(l.who, path+"/delete", nil)
	}
}

func form(pairs ...string) url.Values {
	v := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func (s *seeder) post(who, path string, fields url.Values) *recorder {
	return s.send(who, path, "application/x-www-form-urlencoded", []byte(fields.Encode()))
}

func (s *seeder) postFile(who, path string, fields url.Values, name string) *recorder {
	var b bytes.Buffer
	w := multipart.NewWriter(&b) // a Buffer takes everything
	for field := range fields {
		_ = w.WriteField(field, fields.Get(field))
	}
	part, _ := w.CreateFormFile("upload", name)
	if err := draw(part, name); err != nil {
		s.err = cmp.Or(s.err, err)
	}
	_ = w.Close()
	return s.send(who, path, w.FormDataContentType(), b.Bytes())
}

// send posts something, and keeps the refusal if there is one.
func (s *seeder) send(who, path, contentType string, body []byte) *recorder {
	answer := &recorder{header: make(http.Header), code: http.StatusOK}
	if s.err != nil {
		return answer
	}
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		s.err = err
		return answer
	}
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Content-Type", contentType)
	if strings.HasSuffix(path, "/messages") {
		r.Header.Set("Accept", "application/json")
	}
	if c := s.cookies[who]; c != nil {
		r.AddCookie(c)
	}
	s.server.ServeHTTP(answer, r)
	if answer.code >= 400 {
		s.err = fmt.Errorf("%s, POST %s %.200q: %d %.2000s", who, path, body, answer.code, answer.body.String())
	}
	return answer
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

func (r *recorder) cookies() []*http.Cookie { return (&http.Response{Header: r.header}).Cookies() }
