package app_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"parlor/app"
	"parlor/db/dbtest"
)

// wire is the way to a database. It can be frozen, as if the server were
// stopped, and cut; and it counts the questions.
type wire struct {
	t        testing.TB
	url      string // the database through the wire
	listener net.Listener
	target   string
	asked    atomic.Int64 // Execute messages of the extended protocol

	mu     sync.Mutex
	thaw   chan struct{} // not nil: frozen until it is closed
	refuse bool
	open   map[net.Conn]bool
}

func newWire(t testing.TB, database string) *wire {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wire") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	w := &wire{t: t, target: filepath.Join(query.Get("host"), ".s.PGSQL.5432"), open: make(map[net.Conn]bool)}
	if w.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	w.url = u.String()
	go func() {
		for {
			conn, err := w.listener.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	t.Cleanup(func() {
		w.listener.Close()
		w.join()
		w.mu.Lock()
		for conn := range w.open {
			conn.Close()
		}
		w.mu.Unlock()
		os.RemoveAll(dir)
	})
	return w
}

func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", w.target)
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	refuse := w.refuse
	w.open[client], w.open[server] = true, true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.open, client)
		delete(w.open, server)
		w.mu.Unlock()
	}()
	if refuse {
		return
	}
	go func() {
		defer client.Close()
		buf := make([]byte, 16<<10)
		for {
			n, err := server.Read(buf)
			w.wait()
			if n > 0 {
				_, _ = client.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	// The start of a connection has no type, all messages after it have one
	// (PostgreSQL documentation, "Message Formats").
	for head := make([]byte, 4); ; head = make([]byte, 5) {
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if len(head) == 5 && head[0] == 'E' {
			w.asked.Add(1)
		}
		w.wait()
		if _, err := server.Write(append(head, body...)); err != nil {
			return
		}
	}
}

func (w *wire) wait() {
	w.mu.Lock()
	thaw := w.thaw
	w.mu.Unlock()
	if thaw != nil {
		<-thaw
	}
}

// freeze stops everything without closing anything.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.thaw = make(chan struct{})
}

// cut closes all connections and takes no new ones.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = true
	for conn := range w.open {
		conn.Close()
	}
}

// join lets everything through again.
func (w *wire) join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.thaw != nil {
		close(w.thaw)
		w.thaw = nil
	}
	w.refuse = false
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

const (
	awayBanner = "The database can’t be reached right now"
	composer   = `id="composer"`
)

func TestQueriesPerView(t *testing.T) {
	t.Parallel()
	w := newWire(t, dbtest.New(t))
	s := newNode(t, w.url)
	ann := s.guest("Ann")
	for i := range 60 {
		ann.say("parlor", fmt.Sprint("message ", i))
	}
	stranger := s.visitor()
	time.Sleep(1500 * time.Millisecond) // the lists of rooms have read what moved
	for _, view := range []struct {
		name    string
		who     *visitor
		path    string
		headers []string
		most    int64
	}{
		{"signed in", ann, "/rooms/parlor", nil, 1},
		{"looking", stranger, "/rooms/parlor", nil, 0},
		{"older messages", ann, "/rooms/parlor?before=30", nil, 2},
		{"newer messages", stranger, "/rooms/parlor?after=0", nil, 2},
		{"older messages in the open page", ann, "/rooms/parlor?before=30", []string{"Datastar-Request", "true"}, 2},
		{"back to the newest in the open page", ann, "/rooms/parlor", []string{"Datastar-Request", "true"}, 1},
		{"permalink", ann, "/rooms/parlor/messages/20", nil, 2},
		{"lobby", ann, "/", nil, 2}, // also what is unread
		{"lobby, looking", stranger, "/", nil, 0},
	} {
		get := func() { contains(t, view.who.get(view.path, view.headers...), http.StatusOK) }
		get() // into memory
		const times = 10
		before := w.asked.Load()
		for range times {
			get()
		}
		if asked := w.asked.Load() - before; asked > view.most*times+1 { // and one of the sweeps perhaps
			t.Errorf("%s: %d views took %d queries, wanted %d each", view.name, times, asked, view.most)
		}
	}
}

func TestRoomsAreShownFromMemoryWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name  string
		begin func(*wire)
	}{{"frozen", (*wire).freeze}, {"cut", (*wire).cut}} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, dbtest.New(t))
			s := newNode(t, w.url)
			ann, bob, zhang := s.guest("Ann"), s.visitor(), s.visitor()
			ann.post("/rooms", "name", "Garden")
			ann.say("parlor", "said before")
			contains(t, ann.get("/rooms/parlor"), http.StatusOK, "said before", composer)
			open := bob.stream("/rooms/parlor/stream")
			open.until(`"_away":false`)

			fault.begin(w)
			open.until(`"_away":true`)
			soon := func(a func() answer) answer {
				t.Helper()
				began := time.Now()
				got := a()
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("an answer took %v", took)
				}
				return got
			}
			for _, v := range []*visitor{ann, bob} {
				a := soon(func() answer { return v.get("/rooms/parlor") })
				contains(t, a, http.StatusOK, "said before", awayBanner, "Posting is paused", "Look again")
				if strings.Contains(a.body, composer) || strings.Contains(a.body, `id="nickname"`) {
					t.Error("the page promises what can't be done")
				}
				contains(t, soon(func() answer { return v.get("/") }), http.StatusOK, "Garden", awayBanner)
			}
			contains(t, soon(func() answer { return zhang.get("/rooms/parlor", "Accept-Language", "zh") }), http.StatusOK, "said before", "暂时连不上数据库")
			for _, path := range []string{"/rooms/garden", "/rooms/parlor?before=5", "/rooms/parlor/messages/1", "/rooms/new", "/session"} {
				a := soon(func() answer { return ann.get(path) })
				contains(t, a, http.StatusServiceUnavailable, "Nothing is lost", "Back in a moment")
				if a.header.Get("Retry-After") == "" {
					t.Errorf("%s: no Retry-After", path)
				}
			}
			nonce := uuid.NewString()
			contains(t, soon(func() answer { return ann.post("/rooms/parlor/messages", "body", "my <text>", "nonce", nonce) }),
				http.StatusServiceUnavailable, "Not stored yet; your text is kept", "my &lt;text&gt;</textarea>")
			json := ann.request(http.MethodPost, "/rooms/parlor/messages", form("body", "my <text>", "nonce", nonce), "Accept", "application/json")
			contains(t, soon(func() answer { return ann.do(json) }), http.StatusServiceUnavailable, "Not stored yet; your text is kept", "not-stored")

			w.join()
			open.until(`"_away":false`)
			contains(t, ann.post("/rooms/parlor/messages", "body", "my <text>", "nonce", nonce), http.StatusSeeOther)
			open.until("my &lt;text&gt;")
			a := ann.get("/rooms/parlor")
			contains(t, a, http.StatusOK, "my &lt;text&gt;", composer)
			if strings.Contains(a.body, "Posting is paused") {
				t.Error("the page is not whole again")
			}
		})
	}
}

// More requests with a session than there are connections to the database.
func TestNobodyWaitsAsLongAsTheDatabaseIsFrozen(t *testing.T) {
	t.Parallel()
	w := newWire(t, dbtest.New(t))
	s := newNode(t, w.url, func(c *app.Config) { c.DatabaseConnections = 3 })
	ann := s.guest("Ann")
	ann.say("parlor", "said before")
	ann.get("/rooms/parlor")
	ann.Transport = &http.Transport{MaxConnsPerHost: 200}
	w.freeze()
	began := time.Now()
	var all sync.WaitGroup
	for i := range 130 {
		all.Go(func() {
			path := []string{"/rooms/parlor", "/session", "/rooms/parlor?before=9", "/", "/rooms/new"}[i%5]
			resp, err := ann.Get(s.web.URL + path)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: %s", path, resp.Status)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v until all were answered", took)
	}
	w.join()
	eventually(t, "it is as before", func() bool { return ann.get("/session").code == http.StatusOK })
}

func TestNicknameIsFreeWhenItsSessionCouldNotBeStored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.store.DB.MustExec(`alter table sessions rename to elsewhere`)
	ann := s.visitor()
	if a := ann.post("/session", "nickname", "Ann"); a.code != http.StatusInternalServerError || len(a.header["Set-Cookie"]) > 0 {
		t.Errorf("without a table for sessions: %d %v", a.code, a.header["Set-Cookie"])
	}
	s.store.DB.MustExec(`alter table elsewhere rename to sessions`)
	contains(t, ann.post("/session", "nickname", "Ann"), http.StatusSeeOther)
	contains(t, ann.get("/rooms/parlor"), http.StatusOK, composer)
	ann.say("parlor", "here I am")
}
