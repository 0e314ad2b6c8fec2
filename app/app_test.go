package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"parlor/app"
	"parlor/db"
	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// site is a server over a database of its own.
type site struct {
	t        testing.TB
	web      *httptest.Server
	server   *app.Server
	store    *db.Store
	database string
	kill     func() // ends what runs beside requests, without a word
}

func newSite(t testing.TB, change ...func(*app.Config)) *site {
	t.Helper()
	return newNode(t, dbtest.New(t), change...)
}

// newNode is a server over a given database; several make a cluster.
func newNode(t testing.TB, database string, change ...func(*app.Config)) *site {
	t.Helper()
	cfg := app.DefaultConfig()
	cfg.PostsPerSecond, cfg.NicknamesPerHour = 0, 0
	cfg.DatabaseConnections = 6
	cfg.Files = t.TempDir()
	for _, f := range change {
		f(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	store, err := db.Open(ctx, database, db.Options{Connections: cfg.DatabaseConnections})
	if err != nil {
		t.Fatal(err)
	}
	server, err := app.New(ctx, cfg, database, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, server: server, store: store, database: database, kill: cancel}
	s.web = httptest.NewUnstartedServer(server)
	s.web.Config.MaxHeaderBytes = 32 << 10
	// Little waits in the kernel, so that a slow reader is slow soon.
	s.web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		return ctx
	}
	s.web.Start()
	t.Cleanup(func() {
		s.web.CloseClientConnections()
		s.web.Close()
		cancel()
		store.Close()
	})
	return s
}

// visitor is a browser without script: cookies, no redirects followed.
type visitor struct {
	*http.Client
	s *site
}

func (s *site) visitor() *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, s}
}

// guest is a visitor with a nickname.
func (s *site) guest(nickname string) *visitor {
	s.t.Helper()
	v := s.visitor()
	if a := v.post("/session", "nickname", nickname); a.code != http.StatusSeeOther {
		s.t.Fatalf("nickname %q: %d %s", nickname, a.code, a.body)
	}
	return v
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (v *visitor) do(req *http.Request) answer {
	v.s.t.Helper()
	resp, err := v.Do(req)
	if err != nil {
		v.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (v *visitor) request(method, path, body string, headers ...string) *http.Request {
	v.s.t.Helper()
	req, err := http.NewRequest(method, v.s.web.URL+path, strings.NewReader(body))
	if err != nil {
		v.s.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func (v *visitor) get(path string, headers ...string) answer {
	v.s.t.Helper()
	return v.do(v.request(http.MethodGet, path, "", headers...))
}

func form(pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values.Encode()
}

func (v *visitor) post(path string, pairs ...string) answer {
	v.s.t.Helper()
	return v.do(v.request(http.MethodPost, path, form(pairs...)))
}

// say posts a message as a program does and returns its seq.
func (v *visitor) say(slug, body string) int64 {
	v.s.t.Helper()
	a := v.do(v.request(http.MethodPost, "/rooms/"+slug+"/messages", form("body", body, "nonce", uuid.NewString()), "Accept", "application/json"))
	var said struct{ Seq int64 }
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || a.code != http.StatusCreated {
		v.s.t.Fatalf("say %q: %d %s", body, a.code, a.body)
	}
	return said.Seq
}

// stream is an open event stream.
type stream struct {
	t      testing.TB
	events chan string
	cancel context.CancelFunc
	code   int
}

func (v *visitor) stream(path string, headers ...string) *stream {
	v.s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req := v.request(http.MethodGet, path, "", headers...).WithContext(ctx)
	resp, err := v.Do(req)
	if err != nil {
		cancel()
		v.s.t.Fatal(err)
	}
	st := &stream{t: v.s.t, events: make(chan string, 10000), cancel: cancel, code: resp.StatusCode}
	v.s.t.Cleanup(cancel)
	go func() {
		defer resp.Body.Close()
		defer close(st.events)
		lines := bufio.NewReader(resp.Body)
		var event strings.Builder
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\n" {
				st.events <- event.String()
				event.Reset()
				continue
			}
			event.WriteString(line)
		}
	}()
	return st
}

// until returns the first event that contains one of the texts.
func (s *stream) until(texts ...string) string {
	s.t.Helper()
	var seen strings.Builder
	for deadline := time.After(10 * time.Second); ; {
		select {
		case event, ok := <-s.events:
			if !ok {
				s.t.Fatalf("the stream ended before %q; it said:\n%s", texts, seen.String())
			}
			if slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(event, text) }) {
				return event
			}
			seen.WriteString(event + "\n")
		case <-deadline:
			s.t.Fatalf("no event with %q in:\n%s", texts, seen.String())
		}
	}
}

// untilAll waits for events that contain all the texts, in whatever order.
func (s *stream) untilAll(texts ...string) {
	s.t.Helper()
	for len(texts) > 0 {
		event := s.until(texts...)
		texts = slices.DeleteFunc(texts, func(text string) bool { return strings.Contains(event, text) })
	}
}

// ends waits for the end of the stream.
func (s *stream) ends() {
	s.t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		select {
		case _, ok := <-s.events:
			if !ok {
				return
			}
		case <-deadline:
			s.t.Fatal("the stream did not end")
		}
	}
}

func contains(t *testing.T, a answer, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("status %d, want %d: %.300s", a.code, code, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("no %q in: %.2000s", text, a.body)
		}
	}
}

func TestStrangerSeesLobbyAndRoomWithoutANickname(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	contains(t, v.get("/"), 200, "Parlor", `name="nickname"`, `id="card-1"`)
	a := v.get("/rooms/parlor")
	contains(t, a, 200, `id="log"`, "tail", `name="nickname"`)
	if strings.Contains(a.body, `id="composer"`) {
		t.Error("a spectator gets a composer")
	}
	for _, c := range v.Jar.Cookies(&url.URL{Scheme: "http", Host: strings.TrimPrefix(s.web.URL, "http://"), Path: "/"}) {
		if c.Name == "parlor" {
			t.Error("a session was made for somebody who only looks")
		}
	}
}

func TestPlainFormsSayEditAndDelete(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	nonce := uuid.NewString()
	a := ann.post("/rooms/parlor/messages", "body", "hello <b>you</b>", "nonce", nonce)
	if a.code != 303 || a.header.Get("Location") != "/rooms/parlor#m-1" {
		t.Fatalf("%d to %q", a.code, a.header.Get("Location"))
	}
	contains(t, ann.get("/rooms/parlor"), 200, "hello &lt;b&gt;you&lt;/b&gt;", `id="m-1"`)
	contains(t, ann.get("/rooms/parlor/messages/1/edit"), 200, "hello &lt;b&gt;you&lt;/b&gt;</textarea>")
	if a := ann.post("/rooms/parlor/messages/1", "body", "hello, edited"); a.code != 303 {
		t.Fatalf("edit: %d %s", a.code, a.body)
	}
	contains(t, ann.get("/rooms/parlor/messages/1"), 200, "hello, edited", `class="edited"`)
	contains(t, ann.get("/rooms/parlor/messages/1/delete"), 200, "hello, edited")
	if a := ann.post("/rooms/parlor/messages/1/delete"); a.code != 303 {
		t.Fatalf("delete: %d %s", a.code, a.body)
	}
	a = ann.get("/rooms/parlor")
	contains(t, a, 200, `class="tombstone"`)
	if strings.Contains(a.body, "hello, edited") {
		t.Error("the deleted text is still on the page")
	}
}

func TestNobodyChangesAnothersWords(t *testing.T) {
	s := newSite(t)
	ann, bob, looker := s.guest("Ann"), s.guest("Bob"), s.visitor()
	ann.say("parlor", "mine")
	for _, path := range []string{"/rooms/parlor/messages/1", "/rooms/parlor/messages/1/delete"} {
		contains(t, bob.do(bob.request("POST", path, form("body", "stolen"), "Accept", "application/json")), 403)
		contains(t, looker.do(looker.request("POST", path, form("body", "stolen"), "Accept", "application/json")), 401)
	}
	contains(t, bob.get("/rooms/parlor/messages/1/edit"), 403)
	contains(t, bob.get("/rooms/parlor"), 200, "mine")
}

func TestNonceBelongsToOneText(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	nonce := uuid.NewString()
	post := func(body string) answer {
		return ann.do(ann.request("POST", "/rooms/parlor/messages", form("body", body, "nonce", nonce), "Accept", "application/json"))
	}
	first := post("once")
	contains(t, first, 201, `"seq":1`)
	contains(t, post("once"), 201, `"seq":1`)
	contains(t, post("twice"), 409, "nonce-reused")
	a := ann.post("/rooms/parlor/messages", "body", "twice", "nonce", nonce)
	contains(t, a, 409, "twice</textarea>")
	if strings.Contains(a.body, nonce) {
		t.Error("the form after a conflict has the used nonce again")
	}
	page, err := s.store.Page(context.Background(), 1, db.Place{})
	if err != nil || len(page.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(page.Messages), err)
	}
	ann.post("/rooms/parlor/messages/1", "body", "edited since")
	contains(t, post("once"), 201, `"seq":1`)
	ann.post("/rooms/parlor/messages/1/delete")
	contains(t, post("once"), 201, `"seq":1`)
}

// Bad input gets the right 4xx with a sentence, and what was typed stays.
func TestBadInput(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "first")
	nonce := uuid.NewString
	for _, c := range []struct {
		name   string
		method string
		path   string
		body   string
		code   int
	}{
		{"empty", "POST", "/rooms/parlor/messages", form("body", "", "nonce", nonce()), 422},
		{"blank", "POST", "/rooms/parlor/messages", form("body", " \n\t　", "nonce", nonce()), 422},
		{"too long", "POST", "/rooms/parlor/messages", form("body", strings.Repeat("x", 16<<10+1), "nonce", nonce()), 422},
		{"10,000 lines", "POST", "/rooms/parlor/messages", form("body", strings.Repeat("x\n", 10000)[:16000], "nonce", nonce()), 422},
		{"not UTF-8", "POST", "/rooms/parlor/messages", "body=%ff%fe&nonce=" + nonce(), 422},
		{"only NUL", "POST", "/rooms/parlor/messages", "body=%00&nonce=" + nonce(), 422},
		{"forged nonce", "POST", "/rooms/parlor/messages", form("body", "hi", "nonce", "1; drop table"), 400},
		{"no nonce", "POST", "/rooms/parlor/messages", form("body", "hi"), 400},
		{"broken form", "POST", "/rooms/parlor/messages", "body=%zz", 400},
		{"enormous", "POST", "/rooms/parlor/messages", form("body", strings.Repeat("x", 1<<20), "nonce", nonce()), 413},
		{"unknown room", "GET", "/rooms/nowhere", "", 404},
		{"room that is no text", "GET", "/rooms/%ff%00", "", 404},
		{"unknown room, posting", "POST", "/rooms/nowhere/messages", form("body", "hi", "nonce", nonce()), 404},
		{"unknown room, stream", "GET", "/rooms/nowhere/stream", "", 404},
		{"unknown page", "GET", "/nowhere", "", 404},
		{"file that is none", "GET", "/static/..%2f", "", 404},
		{"wrong method", "DELETE", "/rooms/parlor", "", 405},
		{"wrong method on stream", "POST", "/rooms/parlor/stream", "", 405},
		{"negative before", "GET", "/rooms/parlor?before=-5", "", 400},
		{"before what", "GET", "/rooms/parlor?before=abc", "", 400},
		{"before and after", "GET", "/rooms/parlor?before=5&after=2", "", 400},
		{"overflow", "GET", "/rooms/parlor?after=99999999999999999999", "", 400},
		{"malformed cursor", "GET", "/rooms/parlor/stream?after=abc.def.9", "", 400},
		{"negative cursor", "GET", "/rooms/parlor/stream?after=-1", "", 400},
		{"malformed signals", "GET", "/rooms/parlor/stream?datastar=%7Bnot", "", 400},
		{"catch-up of nothing", "GET", "/rooms/parlor/catchup?from=9&to=1", "", 400},
		{"unknown message", "GET", "/rooms/parlor/messages/999", "", 404},
		{"message that is none", "GET", "/rooms/parlor/messages/zero", "", 404},
		{"edit to nothing", "POST", "/rooms/parlor/messages/1", form("body", "  "), 422},
		{"edit unknown", "POST", "/rooms/parlor/messages/999", form("body", "x"), 404},
		{"room without a name", "POST", "/rooms", form("name", " ", "topic", "t"), 422},
		{"room with a long name", "POST", "/rooms", form("name", strings.Repeat("x", 81)), 422},
		{"room with a long topic", "POST", "/rooms", form("name", "Fine", "topic", strings.Repeat("x", 251)), 422},
		{"room of another kind", "POST", "/rooms", form("name", "Fine", "kind", "secret"), 422},
		{"room name taken", "POST", "/rooms", form("name", "PARLOR"), 409},
		{"not my room", "POST", "/rooms/parlor", form("name", "Mine now"), 403},
		{"style sheet of nobody", "GET", "/people/x/own.css", "", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			a := ann.do(ann.request(c.method, c.path, c.body, "Accept", "application/json"))
			contains(t, a, c.code)
			var problem struct{ Detail string }
			if err := json.Unmarshal([]byte(a.body), &problem); err != nil || len(problem.Detail) < 10 {
				t.Errorf("no sentence in %q", a.body)
			}
			html := ann.do(ann.request(c.method, c.path, c.body, "Accept", "text/html"))
			contains(t, html, c.code, "<!doctype html>")
			if values, err := url.ParseQuery(c.body); err == nil && c.code == 422 && len(values.Get("body")) > 1 && strings.TrimSpace(values.Get("body")) != "" && values.Get("body")[0] == 'x' {
				contains(t, html, c.code, values.Get("body")[:1000])
			}
		})
	}
	s.t = t
	contains(t, ann.get("/rooms/parlor"), 200, "first")
}

func TestHarmlessInputIsNormalised(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "a\r\revent: x\r\ndata: y\x00 \u202Eabc")
	page, err := s.store.Page(context.Background(), 1, db.Place{})
	if err != nil {
		t.Fatal(err)
	}
	if got := page.Messages[0].Body; strings.ContainsAny(got, "\r\x00\u202E") {
		t.Errorf("stored %q", got)
	}
	st := ann.stream("/rooms/parlor/stream?after=0")
	event := st.until("event: x")
	if strings.Contains(event, "\r") {
		t.Errorf("a carriage return on the wire: %q", event)
	}
}

func TestHugeHeaderAndBrokenCookieAreRefusedCalmly(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	if a := v.get("/", "X-Long", strings.Repeat("x", 64<<10)); a.code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("huge header: %d", a.code)
	}
	for _, cookie := range []string{"parlor=garbage", "parlor=%00%ff", "parlor=" + strings.Repeat("a", 4000), "lang=xx; theme=<script>"} {
		contains(t, v.get("/rooms/parlor", "Cookie", cookie), 200, `name="nickname"`)
	}
}

func TestCrossSitePostsAreRefused(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	a := ann.do(ann.request("POST", "/rooms/parlor/messages", form("body", "hi", "nonce", uuid.NewString()), "Sec-Fetch-Site", "cross-site"))
	contains(t, a, 403)
	a = ann.do(ann.request("POST", "/session/end", "", "Origin", "https://evil.example"))
	contains(t, a, 403)
}

func TestEveryAnswerHasStrictHeaders(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	for _, path := range []string{"/", "/rooms/parlor", "/nowhere", "/healthz"} {
		h := v.get(path).header
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
	}
	secure := newSite(t, func(c *app.Config) { c.PublicURL, _ = url.Parse("https://chat.example") })
	a := secure.visitor().post("/session", "nickname", "Ann")
	cookie := strings.Join(a.header.Values("Set-Cookie"), "\n")
	for _, want := range []string{"__Host-parlor=", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("no %s in %q", want, cookie)
		}
	}
}

func TestNicknames(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"张三", "Zoë", "🦊 fox", "نور"} {
		contains(t, s.guest(name).get("/rooms/parlor"), 200, name)
	}
	s.guest("admin")
	for _, c := range []struct {
		typed string
		code  int
	}{
		{"Admin", 409}, {"аdmin", 409}, {"zoë", 409}, {"", 422}, {"\u200b", 422}, {"a\u202eb", 422}, {strings.Repeat("x", 33), 422},
	} {
		a := s.visitor().post("/session", "nickname", c.typed, "next", "/rooms/parlor")
		contains(t, a, c.code, `role="alert"`)
		if c.code == 409 {
			if n := strings.Count(a.body, `name="pick"`); n != 2 {
				t.Errorf("%q: %d suggestions", c.typed, n)
			}
			contains(t, a, c.code, `value="`+c.typed+`"`)
		}
	}
}

func TestRoomsAreMadeRenamedAndFoundByOldLinks(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	a := ann.post("/rooms", "name", "茶馆", "topic", "喝茶")
	if a.code != 303 || a.header.Get("Location") != "/rooms/%E8%8C%B6%E9%A6%86" {
		t.Fatalf("%d %q", a.code, a.header.Get("Location"))
	}
	contains(t, bob.get("/rooms/茶馆"), 200, "茶馆", "喝茶")
	ann.say("茶馆", "hello")
	st := bob.stream("/rooms/茶馆/stream?after=0")
	st.until("hello")
	a = ann.post("/rooms/茶馆", "name", "Tea house", "topic", "tea")
	if a.code != 303 || a.header.Get("Location") != "/rooms/tea-house" {
		t.Fatalf("%d %q", a.code, a.header.Get("Location"))
	}
	contains(t, answer{200, nil, st.until(`id="about"`)}, 200, "Tea house", "tea")
	for _, old := range []string{"/rooms/茶馆", "/rooms/茶馆/messages/1"} {
		if a := bob.get(old); a.code != 302 || !strings.HasPrefix(a.header.Get("Location"), "/rooms/tea-house") {
			t.Errorf("%s: %d %q", old, a.code, a.header.Get("Location"))
		}
	}
	contains(t, bob.post("/rooms/tea-house", "name", "Bob's"), 403)
	contains(t, bob.get("/rooms/tea-house/settings"), 403)
	// The old slug is not given to another room.
	a = bob.post("/rooms", "name", "茶馆")
	if a.code != 303 || a.header.Get("Location") == "/rooms/%E8%8C%B6%E9%A6%86" {
		t.Errorf("%d %q", a.code, a.header.Get("Location"))
	}
}

func TestRenameReachesOpenPages(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	ann.say("parlor", "I am Ann")
	st := bob.stream("/rooms/parlor/stream?after=0")
	st.until("I am Ann")
	if a := ann.post("/session", "nickname", "Anna"); a.code != 303 {
		t.Fatalf("%d %s", a.code, a.body)
	}
	if event := st.until(`[data-name=`); !strings.Contains(event, "Anna") || !strings.Contains(event, "inner") {
		t.Errorf("got %s", event)
	}
	contains(t, bob.get("/rooms/parlor"), 200, "Anna")
}

func TestPagingReachesBothEnds(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for i := range 120 {
		ann.say("parlor", fmt.Sprintf("message %03d", i+1))
	}
	a := ann.get("/rooms/parlor")
	contains(t, a, 200, "message 071", "message 120", `?before=71`)
	if strings.Contains(a.body, "message 070") {
		t.Error("more than a page")
	}
	a = ann.get("/rooms/parlor?before=71")
	contains(t, a, 200, "message 021", "message 070", `?after=70`)
	if strings.Contains(a.body, `"log tail"`) {
		t.Error("an old page says that it is the newest end")
	}
	contains(t, ann.get("/rooms/parlor?before=21"), 200, "message 001", "message 020")
	contains(t, ann.get("/rooms/parlor?after=0"), 200, "message 001", "message 050")
	contains(t, ann.get("/rooms/parlor?after=100"), 200, "message 101", "message 120", `"log tail"`)
	contains(t, ann.get("/rooms/parlor/messages/60"), 200, "message 035", "message 060", "message 085")
	contains(t, ann.get("/rooms/parlor?before=999"), 200, "message 120")
	contains(t, ann.get("/rooms/parlor?before=0"), 200)
}

func cursorIn(t *testing.T, event string) string {
	t.Helper()
	_, rest, ok := strings.Cut(event, "\nid: ")
	if !ok {
		t.Fatalf("no id in %q", event)
	}
	return strings.TrimSpace(rest)
}

func TestStreamGoesOnFromTheLaterCursor(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for i := range 5 {
		ann.say("parlor", fmt.Sprint("message ", i+1))
	}
	epoch := s.store.Epoch()
	signals := url.QueryEscape(fmt.Sprintf(`{"cursor":"%s.2"}`, epoch))
	st := ann.stream("/rooms/parlor/stream?datastar="+signals, "Last-Event-ID", epoch+".4")
	event := st.until("#m-")
	if !strings.Contains(event, "message 5") {
		t.Errorf("went on with %s", event)
	}
	if got := cursorIn(t, st.until("cursor")); got != epoch+".5" {
		t.Errorf("cursor %s", got)
	}
	st = ann.stream("/rooms/parlor/stream?datastar=" + signals)
	if event := st.until("#m-"); !strings.Contains(event, "message 3") {
		t.Errorf("went on with %s", event)
	}
}

// A cursor from the future or from another database gets the newest page
// afresh, with the true cursor.
func TestForeignCursorGetsTheNewestPage(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "here I am")
	for _, cursor := range []string{s.store.Epoch() + ".999", "0ther.1", ""} {
		st := ann.stream("/rooms/parlor/stream?after=" + cursor)
		if event := st.until("_behind"); !strings.Contains(event, `"_turn":-1`) {
			t.Errorf("cursor %q: the page goes on with read marks of another database: %s", cursor, event)
		}
		event := st.until("here I am")
		if !strings.Contains(event, "selector #history\n") {
			t.Errorf("cursor %q: %s", cursor, event)
		}
		if got := cursorIn(t, st.until("cursor\":\"")); got != s.store.Epoch()+".1" {
			t.Errorf("true cursor is %s", got)
		}
	}
}

func TestLongGapGetsAPageWithADivider(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "the one I saw")
	for i := range 250 {
		ann.say("parlor", fmt.Sprint("missed ", i))
	}
	st := ann.stream("/rooms/parlor/stream?after=1")
	if event := st.until("_behind"); !strings.Contains(event, s.store.Epoch()+".251") {
		t.Errorf("%s", event)
	}
	event := st.until("selector .scroll.at-end")
	for _, want := range []string{"250 messages while you were away", "?after=1#m-2\"", "missed 249"} {
		if !strings.Contains(event, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if event = st.until("selector :root:not(:has(> .in-thread)) title"); !strings.Contains(event, "elements Parlor · Parlor") {
		t.Errorf("the title stays as it was: %s", event)
	}
	contains(t, ann.get("/rooms/parlor/catchup?from=10&to=12", "Datastar-Request", "true"), 200, `id="m-10"`, `id="m-12"`, `"_behind":""`)
}

// An older page is read while a message on it is edited: the answer carries
// the number at which it was read, for the page to go back to.
func TestHistoryCarriesItsNumber(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for i := range 60 {
		ann.say("parlor", fmt.Sprint("message ", i+1))
	}
	a := ann.get("/rooms/parlor?before=11", "Datastar-Request", "true")
	contains(t, a, 200, "mode prepend", "message 10", "&gt; 60 &amp;&amp; ($cursor = &#39;"+s.store.Epoch()+".60&#39;, $opens++)")
	ann.post("/rooms/parlor/messages/5", "body", "edited meanwhile")
	st := ann.stream("/rooms/parlor/stream?after=" + s.store.Epoch() + ".60")
	if event := st.until("edited meanwhile"); !strings.Contains(event, "selector #m-5\n") {
		t.Errorf("%s", event)
	}
}

func TestSpectatorsStreamAndPresence(t *testing.T) {
	s := newSite(t)
	looker, ann := s.visitor(), s.guest("Ann")
	st := looker.stream("/rooms/parlor/stream?after=0")
	lobby := looker.stream("/stream")
	st.until("_online")
	second := ann.stream("/rooms/parlor/stream?after=0")
	third := ann.stream("/rooms/parlor/stream?after=0")
	third.until("cursor")
	if event := st.until("Here · 1"); strings.Count(event, "Ann") != 1 {
		t.Errorf("people, not tabs: %s", event)
	}
	lobby.until("1 here")
	contains(t, ann.post("/rooms/parlor/typing"), 204)
	if event := st.until("typing …"); !strings.Contains(event, "Ann") {
		t.Errorf("%s", event)
	}
	ann.say("parlor", "said it")
	st.untilAll("said it", `<div class="typing" id="typing"></div>`)
	lobby.until("said it")
	second.cancel()
	third.cancel()
	st.until("Here · 0")
}

func TestFifthStreamOfABrowserParksTheOldest(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	v.get("/") // takes the cookie that names the browser
	open := func(tab string, opens int) *stream {
		return v.stream("/rooms/parlor/stream?datastar=" + url.QueryEscape(fmt.Sprintf(`{"cursor":"","tab":%q,"opens":%d}`, tab, opens)))
	}
	first := open("a", 1)
	first.until("cursor")
	var others []*stream
	for _, tab := range []string{"b", "c", "d"} {
		st := open(tab, 1)
		st.until("cursor")
		others = append(others, st)
	}
	open("e", 1).until("cursor")
	first.until(`{"_parked":true}`)
	first.ends()
	if retry := open("a", 1); retry.code != http.StatusNoContent {
		t.Errorf("the client's retry got %d", retry.code)
	}
	again := open("a", 2)
	again.until("cursor")
	others[0].until(`{"_parked":true}`)
	// A tab that opens afresh ends its own earlier stream, nobody else's.
	open("a", 3).until("cursor")
	again.ends()
	unlimited := newSite(t, func(c *app.Config) { c.StreamsPerSession = 0 })
	u := unlimited.visitor()
	u.get("/")
	for i := range 8 {
		u.stream("/rooms/parlor/stream?datastar=" + url.QueryEscape(fmt.Sprintf(`{"tab":"%d","opens":1}`, i))).until("cursor")
	}
}

func TestTwoNodesShowEverything(t *testing.T) {
	database := dbtest.New(t)
	one, two := newNode(t, database), newNode(t, database)
	ann := one.guest("Ann")
	bob := two.guest("Bob")
	atOne, atTwo := ann.stream("/rooms/parlor/stream?after=0"), bob.stream("/rooms/parlor/stream?after=0")
	atOne.until("Bob")
	atTwo.until("Ann")
	for i := range 20 {
		ann.say("parlor", fmt.Sprint("from one ", i))
		bob.say("parlor", fmt.Sprint("from two ", i))
	}
	for _, st := range []*stream{atOne, atTwo} {
		for i := range 20 {
			st.until(fmt.Sprintf("from one %d<", i))
			st.until(fmt.Sprintf("from two %d<", i))
		}
	}
	// Ann's session is good on the other node; its name is on both.
	moved := two.visitor()
	moved.Jar = ann.Jar
	u1, _ := url.Parse(one.web.URL)
	u2, _ := url.Parse(two.web.URL)
	moved.Jar.SetCookies(u2, ann.Jar.Cookies(u1))
	moved.say("parlor", "Ann at two")
	contains(t, one.visitor().get("/rooms/parlor"), 200, "Ann at two")
	ann.post("/rooms/parlor/messages/1", "body", "edited at one")
	atTwo.until("edited at one")
	contains(t, bob.post("/rooms/parlor/typing"), 204)
	atOne.until("typing …")
}

func TestFloodIsSlowedWithASentence(t *testing.T) {
	s := newSite(t, func(c *app.Config) { c.PostsPerSecond, c.PostsBurst, c.NicknamesPerHour = 1, 3, 2 })
	ann := s.guest("Ann")
	var last answer
	for i := range 5 {
		last = ann.post("/rooms/parlor/messages", "body", fmt.Sprint("flood ", i), "nonce", uuid.NewString())
	}
	contains(t, last, 429, "flood 4</textarea>")
	if last.header.Get("Retry-After") == "" {
		last = ann.do(ann.request("POST", "/rooms/parlor/messages", form("body", "x", "nonce", uuid.NewString()), "Accept", "application/json"))
		if last.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	// A new nickname goes to every room, so it counts, too.
	contains(t, ann.post("/session", "nickname", "Anna"), 429, `value="Anna"`, "Wait a moment")
	bob := s.guest("Bob")
	contains(t, s.visitor().post("/session", "nickname", "Carol"), 429, `value="Carol"`)
	contains(t, bob.post("/session", "nickname", "Bobby"), 303)
}

// The lists hold a hundred rooms: somebody with a hundred new ones would have
// them for themselves.
func TestRoomsAreMadeSlowly(t *testing.T) {
	s := newSite(t, func(c *app.Config) { c.PostsPerSecond, c.PostsBurst = 1, 100 })
	ann := s.guest("Ann")
	made, last := 0, answer{}
	for i := range 30 {
		if last = ann.post("/rooms", "name", fmt.Sprint("Room ", i), "topic", "of mine"); last.code == 303 {
			made++
		}
	}
	contains(t, last, 429, `value="Room 29"`, "of mine")
	if made < 10 || made > 25 {
		t.Errorf("%d rooms", made)
	}
	contains(t, ann.post("/rooms/parlor/messages", "body", "still here", "nonce", uuid.NewString()), 303)
}

func TestSignOutEndsTheStream(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	st := ann.stream("/rooms/parlor/stream?after=0")
	st.until("cursor")
	contains(t, ann.post("/session/end"), 303)
	st.ends()
	contains(t, ann.do(ann.request("POST", "/rooms/parlor/messages", form("body", "x", "nonce", uuid.NewString()), "Accept", "application/json")), 401)
}

func TestNoDatabaseWithoutNeed(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	s.store.Close()
	contains(t, v.get("/"), 200, `id="card-1"`)
	contains(t, v.get("/healthz"), 200, "alive")
	contains(t, v.get("/people/1/own.css"), 200, `data-author="1"`)
	contains(t, v.get("/readyz"), 503, "the database does not answer")
}

func TestLanguages(t *testing.T) {
	s := newSite(t)
	v := s.visitor()
	contains(t, v.get("/", "Accept-Language", "zh-CN,zh;q=0.9"), 200, `lang="zh-Hans"`)
	contains(t, v.get("/", "Accept-Language", "fr, en;q=0.5"), 200, `lang="en"`)
	contains(t, v.post("/preferences", "lang", "zh", "theme", "dark", "next", "https://evil.example"), 303)
	contains(t, v.get("/", "Accept-Language", "en"), 200, `lang="zh-Hans"`, "theme-dark")
	st := v.stream("/rooms/parlor/stream?after=0")
	s.guest("Ann").post("/rooms/parlor/messages", "body", "x", "nonce", uuid.NewString())
	st.until("回复")
}
