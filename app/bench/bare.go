package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// bareVariable, in the environment, makes this program the bare server, at the
// address that it holds.
const bareVariable = "PARLOR_BENCH_BARE"

// textMark stands in a remembered event where the message's text goes.
const textMark = "{text}"

// bare is what Parlor is measured against: the same bytes over net/http, and
// nothing behind them. No session, no rights, no database, no template, no
// cursor, nobody who is too slow.
type bare struct {
	mu      sync.RWMutex
	kept    map[string][]byte // by path, as they were put
	streams map[chan []byte]<-chan struct{}
	said    atomic.Int64
}

func serveBare(addr string) error {
	b := &bare{kept: make(map[string][]byte), streams: make(map[chan []byte]<-chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSeeOther) })
	mux.HandleFunc("PUT /", b.keep)
	mux.HandleFunc("GET "+roomPath, b.page)
	mux.HandleFunc("POST "+messagesPath, b.say)
	mux.HandleFunc("GET "+streamPath, b.stream)
	return http.ListenAndServe(addr, mux)
}

// keep remembers what it is to serve.
func (b *bare) keep(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.kept[r.URL.Path] = body
	b.mu.Unlock()
}

// page serves a page that was compressed elsewhere.
func (b *bare) page(w http.ResponseWriter, r *http.Request) {
	b.mu.RLock()
	body := b.kept[r.URL.Path]
	b.mu.RUnlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(body)
}

// say acknowledges a message and passes it on.
func (b *bare) say(w http.ResponseWriter, r *http.Request) {
	text := r.PostFormValue("body")
	n := b.said.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"seq":%d,"rev":%d}`+"\n", n, n)
	_ = http.NewResponseController(w).Flush()
	b.mu.RLock()
	defer b.mu.RUnlock()
	event := bytes.ReplaceAll(b.kept[streamPath], []byte(textMark), []byte(text))
	for stream, gone := range b.streams {
		select {
		case stream <- event:
		case <-gone:
		}
	}
}

// stream is the whole of a bare event stream.
func (b *bare) stream(w http.ResponseWriter, r *http.Request) {
	events, gone := make(chan []byte, 16), r.Context().Done()
	b.mu.Lock()
	b.streams[events] = gone
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.streams, events)
		b.mu.Unlock()
	}()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	event := []byte("data: open\nid: 0\n\n")
	for {
		if _, err := w.Write(event); err != nil || out.Flush() != nil {
			return
		}
		select {
		case event = <-events:
		case <-gone:
			return
		}
	}
}
