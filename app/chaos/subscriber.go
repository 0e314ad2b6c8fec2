package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// subscriber is a page without a browser: it loads a room and keeps it true by
// the same rules as the Datastar client in the page does (views.streamCall):
// it remembers an id as soon as it has read its line, sends it as
// Last-Event-ID on its own retries together with the signals of the time when
// it opened the stream, and opens the stream afresh, with fresh signals and
// without Last-Event-ID, after too long a silence.
type subscriber struct {
	name     string
	room     string        // URL of the room's page
	cookie   string        // of somebody signed in, or ""
	gzip     bool          // reads compressed streams
	watchdog time.Duration // of silence
	hurry    int           // how many times shorter than a page's its waits are
	http     *http.Client

	rev     atomic.Int64 // of its cursor
	opens   atomic.Int64 // of its stream, retries included
	answers atomic.Int64 // of its stream: with status 200
	stalled atomic.Int64 // when the watchdog last opened it afresh, in Unix nanoseconds
	local   atomic.Value // string: the address of its latest connection

	mu     sync.Mutex
	model  model
	cursor string
	said   error // why it could not be loaded
}

// newSubscriber makes a reader of the room whose page is at the URL.
func newSubscriber(name, room string, watchdog time.Duration) *subscriber {
	s := &subscriber{name: name, room: room, watchdog: watchdog, hurry: 1}
	s.local.Store("")
	s.http = &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				s.local.Store(conn.LocalAddr().String())
			}
			return conn, err
		},
	}}
	return s
}

// Settings of views.streamCall.
const (
	retryInterval = 500 * time.Millisecond
	retryMaxWait  = 2 * time.Second
)

// run reads until ctx ends.
func (s *subscriber) run(ctx context.Context) {
	tab := "chaos-" + s.name
	for err := s.load(ctx); err != nil; err = s.load(ctx) {
		s.mu.Lock()
		s.said = err
		s.mu.Unlock()
		if !sleep(ctx, retryInterval) {
			return
		}
	}
	for opens := 1; ctx.Err() == nil; opens++ {
		stream, giveUp := context.WithCancel(ctx)
		last := new(atomic.Int64) // when the page last heard a beat or a cursor
		last.Store(time.Now().UnixNano())
		go func() {
			tick := time.NewTicker(s.watchdog / 5)
			defer tick.Stop()
			for {
				select {
				case <-stream.Done():
					return
				case <-tick.C:
					if time.Since(time.Unix(0, last.Load())) > s.watchdog {
						s.stalled.Store(time.Now().UnixNano())
						giveUp()
						return
					}
				}
			}
		}()
		s.mu.Lock()
		signals, _ := json.Marshal(map[string]any{"cursor": s.cursor, "tab": tab, "opens": opens})
		s.mu.Unlock()
		s.follow(stream, s.room+"/stream?datastar="+url.QueryEscape(string(signals)), last)
		giveUp()
	}
}

var cursorSignal = regexp.MustCompile(`"cursor":"([^"]+)"`)

// load opens the page itself.
func (s *subscriber) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	resp, err := s.get(ctx, s.room, http.Header{"Accept": {"text/html"}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load the room: %s %v", resp.Status, err)
	}
	found := cursorSignal.FindStringSubmatch(strings.ReplaceAll(string(page), "&#34;", `"`))
	if found == nil {
		return fmt.Errorf("the room's page has no cursor")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.model.load(string(page)); err != nil {
		return err
	}
	s.setCursor(found[1])
	return nil
}

// setCursor notes the page's place. The caller holds s.mu.
func (s *subscriber) setCursor(cursor string) {
	s.cursor = cursor
	_, rev, _ := strings.Cut(cursor, ".")
	n, _ := strconv.ParseInt(rev, 10, 64)
	s.rev.Store(n)
}

func (s *subscriber) get(ctx context.Context, url string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if s.cookie != "" {
		req.Header.Set("Cookie", s.cookie)
	}
	return s.http.Do(req)
}

// follow is one @get: it opens the stream again and again until ctx ends.
func (s *subscriber) follow(ctx context.Context, url string, last *atomic.Int64) {
	header := http.Header{"Accept": {"text/event-stream, text/html, application/json"}, "Datastar-Request": {"true"}}
	if s.gzip {
		header.Set("Accept-Encoding", "gzip")
	}
	interval := retryInterval
	for wait := interval; ; {
		s.opens.Add(1)
		resp, err := s.get(ctx, url, header)
		if err == nil && resp.StatusCode == http.StatusNoContent {
			resp.Body.Close()
			<-ctx.Done() // no more retries
			return
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			s.answers.Add(1)
			wait = interval
			s.read(resp, event{
				id: func(id string) {
					header.Del("Last-Event-ID")
					if id != "" {
						header.Set("Last-Event-ID", id)
					}
				},
				retry:    func(ms int) { interval = time.Duration(ms) * time.Millisecond; wait = interval },
				dispatch: func(kind, data string) { s.apply(kind, data, last) },
			})
		}
		if err == nil {
			resp.Body.Close()
		}
		if !sleep(ctx, wait/time.Duration(s.hurry)) {
			return
		}
		wait = min(2*wait, retryMaxWait)
	}
}

// event is what a stream of server-sent events calls.
type event struct {
	id       func(string)
	retry    func(int)
	dispatch func(kind, data string)
}

// read parses a stream as the Datastar client does, until it ends.
func (s *subscriber) read(resp *http.Response, on event) {
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return
		}
		body = unzip
	}
	lines := bufio.NewReaderSize(body, 16<<10)
	var line []byte
	var kind string
	var data []string
	for afterCR := false; ; {
		c, err := lines.ReadByte()
		if err != nil {
			return // what is unfinished never was
		}
		if c == '\n' && afterCR {
			afterCR = false
			continue
		}
		afterCR = c == '\r'
		if c != '\n' && c != '\r' {
			line = append(line, c)
			continue
		}
		if len(line) == 0 {
			if kind != "" {
				on.dispatch(kind, strings.Join(data, "\n"))
			}
			kind, data = "", nil
			continue
		}
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		line = line[:0]
		switch name {
		case "event":
			kind = value
		case "data":
			data = append(data, value)
		case "id":
			on.id(value)
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil {
				on.retry(ms)
			}
		}
	}
}

// apply does to the page what an event says.
func (s *subscriber) apply(kind, data string, last *atomic.Int64) {
	args := make(map[string][]string)
	for line := range strings.SplitSeq(data, "\n") {
		name, value, _ := strings.Cut(line, " ")
		args[name] = append(args[name], value)
	}
	arg := func(name string) string { return strings.Join(args[name], "\n") }
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case "datastar-patch-elements":
		s.model.patch(arg("selector"), arg("mode"), arg("elements"))
	case "datastar-patch-signals":
		var signals map[string]any
		if err := json.Unmarshal([]byte(arg("signals")), &signals); err != nil {
			s.model.complain("signals %.100q: %v", arg("signals"), err)
			return
		}
		if cursor, ok := signals["cursor"].(string); ok {
			s.setCursor(cursor)
		}
		if signals["cursor"] != nil || signals["_beat"] != nil {
			last.Store(time.Now().UnixNano())
		}
	}
}

// record is what the page saw and shows.
func (s *subscriber) record() record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := record{Reader: s.name, Seen: s.model.seen, Shown: s.model.log, Problems: s.model.errors, Whole: s.model.wholes()}
	if s.model.pages == 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("never got the page: %v", s.said))
	}
	return r
}

// sleep waits, and tells whether ctx lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
