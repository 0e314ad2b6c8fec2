package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"
)

// What the tests know without the page: the database's own history.

// row is a message as the database has it.
type row struct {
	Seq  int64
	Body string
}

const tombstone = "This message was deleted."

// stored is the history of a room as it is stored, in its order. A deleted
// message has the text of its tombstone.
func stored(t testing.TB, p *program, room string) []row {
	t.Helper()
	db, err := sql.Open("postgres", p.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`select seq, case when deleted_at is null then body else $2 end
		from messages where room_id = (select id from rooms where slug = $1) order by seq`, room, tombstone)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.Seq, &r.Body); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

// shown is what the page shows, in its order.
func (v *person) shown() []row {
	v.t.Helper()
	text := v.eval(`() => JSON.stringify([...document.querySelectorAll('#log > article')].map(a =>
		({Seq: Number(a.dataset.seq), Body: (a.querySelector('.body, .tombstone')?.innerText ?? '').trim()})))`)
	var out []row
	v.must(json.Unmarshal([]byte(text), &out))
	return out
}

// window explains why shown is not a piece of all without gap, repetition,
// disorder or old text; "" when it is one.
func window(shown, all []row) string {
	if len(shown) == 0 {
		return "nothing is shown"
	}
	at := 0
	for at < len(all) && all[at].Seq != shown[0].Seq {
		at++
	}
	for i, r := range shown {
		switch {
		case at+i >= len(all):
			return fmt.Sprintf("message %d (%q) at place %d of %d is beyond the history", r.Seq, r.Body, i, len(shown))
		case all[at+i] != r:
			return fmt.Sprintf("at place %d of %d: %d %.40q where the history has %d %.40q", i, len(shown), r.Seq, r.Body, all[at+i].Seq, all[at+i].Body)
		}
	}
	return ""
}

// isWindow checks that the page shows a true piece of the room's history.
func (v *person) isWindow(room string) {
	v.t.Helper()
	if wrong := window(v.shown(), stored(v.t, v.p, room)); wrong != "" {
		v.t.Errorf("the page is not a piece of the history: %s", wrong)
	}
}

// isEnd waits until the page shows the room's newest end, with `least`
// messages at least, exactly as it is stored.
func (v *person) isEnd(room string, least int) {
	v.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		shown, all := v.shown(), stored(v.t, v.p, room)
		wrong := window(shown, all)
		if wrong == "" && shown[len(shown)-1] != all[len(all)-1] {
			wrong = fmt.Sprintf("ends with %d of %d", shown[len(shown)-1].Seq, all[len(all)-1].Seq)
		}
		if wrong == "" && len(shown) < least {
			wrong = fmt.Sprintf("shows %d messages, wanted %d", len(shown), least)
		}
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the page is not the end of the history: %s", wrong)
		}
	}
}

// fillRoom posts messages number 1 to n, in order.
func (c *client) fillRoom(room string, n int, format string) {
	c.t.Helper()
	for i := 1; i <= n; i++ {
		c.say(room, fmt.Sprintf(format, i))
	}
}

func (c *client) edit(room string, seq int64, body string) {
	c.t.Helper()
	c.expect(http.StatusOK, fmt.Sprintf("/rooms/%s/messages/%d", room, seq), url.Values{"body": {body}})
}

func (c *client) delete(room string, seq int64) {
	c.t.Helper()
	c.expect(http.StatusOK, fmt.Sprintf("/rooms/%s/messages/%d/delete", room, seq), nil)
}

func (c *client) expect(status int, path string, form url.Values) {
	c.t.Helper()
	resp := c.post(path, form)
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		c.t.Fatalf("POST %s: %s %s", path, resp.Status, raw)
	}
}

// insist posts a message until it is acknowledged, with one nonce.
func (c *client) insist(ctx context.Context, room, body string) error {
	form := url.Values{"body": {body}, "nonce": {nonce()}}.Encode()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.p.url("/rooms/"+room+"/messages"), strings.NewReader(form))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		resp, err := c.http.Do(req)
		if err == nil {
			raw, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			switch {
			case resp.StatusCode == http.StatusCreated:
				return nil
			case resp.StatusCode < 500:
				return fmt.Errorf("say %q: %s %s", body, resp.Status, raw)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// What a reader sees at the top of the log, to tell whether it moves.

type place struct {
	Seq int64
	Y   float64
}

const topPlace = `() => {
	const top = document.getElementById('scroll').getBoundingClientRect().top;
	for (const a of document.querySelectorAll('#log > article')) {
		const r = a.querySelector('.body, .tombstone').getBoundingClientRect(); // name and day above it come and go
		if (r.bottom > top + 1) return JSON.stringify({Seq: Number(a.dataset.seq), Y: r.top});
	}
	return '{}';
}`

func (v *person) top() place {
	v.t.Helper()
	var p place
	v.must(json.Unmarshal([]byte(v.eval(topPlace)), &p))
	return p
}

// stays checks that a message is still where it was, to two pixels.
func (v *person) stays(was place) {
	v.t.Helper()
	v.frames()
	y := v.number(`seq => document.querySelector('#m-' + seq + ' :is(.body, .tombstone)')?.getBoundingClientRect().top ?? -1e6`, was.Seq)
	if math.Abs(y-was.Y) > 2 {
		v.t.Errorf("message %d moved from %.1f to %.1f", was.Seq, was.Y, y)
	}
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// frames waits until the page has been painted twice.
func (v *person) frames() {
	v.t.Helper()
	_, err := v.page.Eval(`() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`)
	v.must(err)
}

// through is the program as it is reached by another address.
func (p *program) through(addr string) *program {
	return &program{t: p.t, addr: addr, database: p.database, log: p.log}
}

// wire is a network between browser and program that can fail.
type wire struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	open   map[net.Conn]bool
	down   bool            // refuses connections
	silent chan struct{}   // not nil: what comes now is held until it is closed
	old    []chan struct{} // earlier silences
}

// newWire listens before a program.
func newWire(t testing.TB, p *program) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, target: p.addr, open: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		listener.Close()
		w.speak()
		for _, silent := range w.old {
			close(silent)
		}
		w.cut()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

func (w *wire) carry(browser net.Conn) {
	defer browser.Close()
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	down := w.down
	w.open[browser], w.open[server] = true, true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.open, browser)
		delete(w.open, server)
		w.mu.Unlock()
	}()
	if down {
		return
	}
	w.mu.Lock()
	since := len(w.old)
	w.mu.Unlock()
	pass := func(to, from net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			w.mu.Lock()
			silent := w.silent
			if since < len(w.old) { // a silence fell since the connection began
				silent = w.old[since]
			}
			w.mu.Unlock()
			if silent != nil {
				<-silent
				err = io.EOF // what a silent network held is lost
				n = 0
			}
			if n > 0 {
				_, _ = to.Write(buf[:n])
			}
			if err != nil {
				to.Close()
				return
			}
		}
	}
	done := make(chan struct{})
	go func() { pass(server, browser); close(done) }()
	pass(browser, server)
	<-done
}

// cut ends all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for conn := range w.open {
		conn.Close()
	}
}

// join lets connections through again.
func (w *wire) join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

// hush makes the connections that are open now, and all others, silent
// without closing them.
func (w *wire) hush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent == nil {
		w.silent = make(chan struct{})
	}
}

// speak lets new connections through again; those that fell silent end.
func (w *wire) speak() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent != nil {
		close(w.silent)
		w.silent = nil
	}
}

// wake lets new connections through again; those that fell silent stay so.
func (w *wire) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.old = append(w.old, w.silent)
	w.silent = nil
}

// desk passes requests on to the program and can hold answers back.
type desk struct {
	addr string
	mu   sync.Mutex
	hold func(*http.Request) bool
	held chan struct{} // told when an answer is held
	free chan struct{} // closed to let it go
}

func newDesk(t testing.TB, p *program) *desk {
	t.Helper()
	d := &desk{}
	target := &url.URL{Scheme: "http", Host: p.addr}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(resp *http.Response) error {
			d.mu.Lock()
			hold, held, free := d.hold, d.held, d.free
			d.mu.Unlock()
			if hold != nil && hold(resp.Request) {
				// The answer is made already; only its way is long.
				raw, err := io.ReadAll(resp.Body)
				if err != nil {
					return err
				}
				resp.Body.Close()
				resp.Body = io.NopCloser(strings.NewReader(string(raw)))
				held <- struct{}{}
				<-free
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.addr = listener.Addr().String()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return d
}

// holdNext holds back answers that match, until release is called.
func (d *desk) holdNext(match func(*http.Request) bool) (held <-chan struct{}, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold, d.held, d.free = match, make(chan struct{}, 16), make(chan struct{})
	free := d.free
	return d.held, func() {
		d.mu.Lock()
		d.hold = nil
		d.mu.Unlock()
		close(free)
	}
}
