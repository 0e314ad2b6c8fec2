package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An idle stream says that it is alive, soon enough for the page's watchdog.
func TestIdleStreamHasAHeartbeat(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	st := s.visitor().stream("/stream")
	st.until("_online")
	began := time.Now()
	for deadline := time.After(24 * time.Second); ; {
		select {
		case event, ok := <-st.events:
			if !ok {
				t.Fatalf("the stream ended after %s", time.Since(began))
			}
			if strings.Contains(event, "_beat") {
				return
			}
		case <-deadline:
			t.Fatal("no heartbeat before the watchdog would ask afresh")
		}
	}
}

// A reader that stops reading is cut; memory does not grow for it, and others
// get everything. It comes back with its cursor and has missed nothing.
func TestReaderThatStopsReadingIsCut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.guest("Ann")
	conn, err := net.Dial("tcp", s.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	fmt.Fprintf(conn, "GET /rooms/parlor/stream?after=0 HTTP/1.1\r\nHost: parlor.test\r\n\r\n")
	fast := s.visitor().stream("/rooms/parlor/stream?after=0")
	fast.until("cursor")
	const posts = 500 // of 16 KiB: far more than may wait for a reader
	for i := range posts {
		ann.say("parlor", fmt.Sprintf("%d %s", i, strings.Repeat("x", 16000)))
	}
	fast.until(fmt.Sprintf("%d xxx", posts-1))
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	late, err := io.ReadAll(resp.Body)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the slow reader's stream is still open")
	}
	if strings.Contains(string(late), fmt.Sprintf("%d xxx", posts-1)) {
		t.Fatal("the slow reader was served to the end")
	}
}

// Whoever asks for the headers only is not kept as a reader.
func TestHeadOfAStreamEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.visitor()
	v.Timeout = 10 * time.Second
	a := v.do(v.request(http.MethodHead, "/rooms/parlor/stream", ""))
	if got := a.header.Get("Content-Type"); a.code != http.StatusOK || got != "text/event-stream" {
		t.Errorf("%d %q", a.code, got)
	}
}
