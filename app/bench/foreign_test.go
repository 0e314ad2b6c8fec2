package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// radio is a small server of another kind: lines end with \r\n, messages are
// JSON, and it wants a cookie. What becomes of a message is up to send.
type radio struct {
	mu     sync.Mutex
	nonces map[string]bool
	tuned  map[chan string]bool
	send   func(tuned chan string, event string)
}

func (r *radio) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if c, err := req.Cookie("licence"); err != nil || c.Value != "paid" {
		http.Error(w, "no licence", http.StatusPaymentRequired)
		return
	}
	if req.Method == http.MethodPost {
		r.mu.Lock()
		defer r.mu.Unlock()
		if nonce := req.PostFormValue("n"); len(nonce) != 36 || r.nonces[nonce] {
			http.Error(w, "not a fresh nonce", http.StatusConflict)
			return
		} else {
			r.nonces[nonce] = true
		}
		for tuned := range r.tuned {
			r.send(tuned, fmt.Sprintf("event: said\r\ndata: {\"text\":%q}\r\n\r\n", req.PostFormValue("say")))
		}
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.Flush() // before it is subscribed, as many do
	time.Sleep(time.Millisecond)
	tuned := make(chan string, 1000)
	r.mu.Lock()
	r.tuned[tuned] = true
	r.mu.Unlock()
	for {
		select {
		case event := <-tuned:
			if _, err := io.WriteString(w, event); err != nil || out.Flush() != nil {
				return
			}
		case <-req.Context().Done():
			return
		}
	}
}

// measureRadio points the load program at a radio.
func measureRadio(t *testing.T, send func(tuned chan string, event string)) ([]row, error) {
	server := httptest.NewServer(&radio{nonces: make(map[string]bool), tuned: make(map[chan string]bool), send: send})
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	at, err := elsewhere(server.URL+"/live", server.URL+"/say", "say={text}&n={uuid}", "licence=paid", "", false)
	if err != nil {
		t.Fatal(err)
	}
	_, rows, err := run(t.Context(), options{plan: tiny, place: &at, progress: io.Discard})
	return rows, err
}

func TestAnyServerCanBeMeasured(t *testing.T) {
	rows, err := measureRadio(t, func(tuned chan string, event string) { tuned <- event })
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if !(r.parlor > 0) || !(r.ceiling > 0) {
			t.Errorf("%s: %v, ceiling %v", r.what, r.parlor, r.ceiling)
		}
	}
}

func TestAMissingMessageEndsTheRun(t *testing.T) {
	defer func(was time.Duration) { lastDelivery = was }(lastDelivery)
	lastDelivery = time.Second
	_, err := measureRadio(t, func(tuned chan string, event string) {
		if !strings.Contains(event, " 000003 ") {
			tuned <- event
		}
	})
	if err == nil || !strings.Contains(err.Error(), "are missing") {
		t.Errorf("got %v", err)
	}
}

func TestADoubledMessageEndsTheRun(t *testing.T) {
	_, err := measureRadio(t, func(tuned chan string, event string) {
		tuned <- event
		if strings.Contains(event, " 000003 ") {
			tuned <- event
		}
	})
	if err == nil || !strings.Contains(err.Error(), "came twice") {
		t.Errorf("got %v", err)
	}
}

// The bytes of a stream come in whatever pieces the network makes of them.
func TestAStreamMayBeCutAnywhere(t *testing.T) {
	events := []string{"data: one\n\n", "event: x\ndata: two\nid: 7\n\n", "data: " + strings.Repeat("long ", 2000) + "\n\n"}
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	plain, chunked, packed := head+"\r\n", head+"Transfer-Encoding: chunked\r\n\r\n", head+"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
	packed += string(chunk(gzipHeader))
	for _, event := range events {
		plain += event
		chunked += string(chunk([]byte(event)))
		packed += string(chunk(deflate([]byte(event))))
	}
	for name, wire := range map[string]string{"plain": plain, "chunked": chunked, "packed": packed} {
		for _, size := range []int{1, 2, 7, 100, len(wire)} {
			var s stream
			var got []string
			var known pieces
			for part := range slices.Chunk([]byte(wire), size) {
				err := s.feed(bytes.Clone(part), &known, func(event []byte) error {
					got = append(got, string(event))
					return nil
				})
				if err != nil {
					t.Fatalf("%s in pieces of %d: %v", name, size, err)
				}
			}
			if !slices.Equal(got, events) {
				t.Errorf("%s in pieces of %d: got %.100q", name, size, got)
			}
		}
	}
}
