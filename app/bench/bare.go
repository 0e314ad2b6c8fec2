package main

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// bareVariable, in the environment, makes this program a bare server: its kind
// and its address.
const bareVariable = "PARLOR_BENCH_BARE"

// Kinds of bare servers. They differ in how they serve streams.
const (
	bareHandler = "handler" // a net/http handler, a channel and a flush for each stream
	bareLoop    = "loop"    // one write to each socket, in a loop
	bareSecure  = "secure"  // the handler, over TLS and HTTP/2
)

// textMark stands in a remembered event where the message's text goes.
const textMark = "{text}"

// bare is what Parlor is measured against: the same bytes over HTTP, and
// nothing behind them. No session, no rights, no database, no template, no
// cursor, nobody who is too slow.
type bare struct {
	mu   sync.RWMutex
	kept map[string][]byte // by path, as they were put
	said atomic.Int64
	tell func(event []byte)
}

func serveBare(kindAndAddr string) error {
	kind, addr, _ := strings.Cut(kindAndAddr, " ")
	b := &bare{kept: make(map[string][]byte)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /session", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSeeOther) })
	mux.HandleFunc("PUT /", b.keep)
	mux.HandleFunc("GET "+roomPath, b.page)
	mux.HandleFunc("POST "+messagesPath, b.say)
	switch kind {
	case bareHandler, bareSecure:
		h := &handlers{streams: make(map[chan []byte]<-chan struct{})}
		b.tell = h.tell
		mux.HandleFunc("GET "+streamPath, h.stream)
	case bareLoop:
		l := newLoops()
		b.tell = l.tell
		mux.HandleFunc("GET "+streamPath, l.stream)
		mux.HandleFunc("DELETE "+streamPath, l.clear)
	default:
		return fmt.Errorf("no such kind of bare server: %q", kind)
	}
	server := &http.Server{Addr: addr, Handler: mux}
	if kind == bareSecure {
		certificate, err := selfSigned()
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
		return server.ListenAndServeTLS("", "")
	}
	return server.ListenAndServe()
}

// selfSigned makes a certificate that nobody checks.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
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
	event := bytes.ReplaceAll(b.kept[streamPath], []byte(textMark), []byte(text))
	b.mu.RUnlock()
	b.tell(event)
}

// handlers serve each stream as one writes it first in Go.
type handlers struct {
	mu      sync.RWMutex
	streams map[chan []byte]<-chan struct{}
}

func (h *handlers) tell(event []byte) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for stream, gone := range h.streams {
		select {
		case stream <- event:
		case <-gone:
		}
	}
}

func (h *handlers) stream(w http.ResponseWriter, r *http.Request) {
	events, gone := make(chan []byte, 16), r.Context().Done()
	h.mu.Lock()
	h.streams[events] = gone
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.streams, events)
		h.mu.Unlock()
	}()
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	event := []byte(opened)
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

// opened is the first event of a bare stream.
const opened = "data: open\nid: 0\n\n"

// loops write what is said to all sockets, one write(2) each, from as many
// goroutines as there are processors. Nothing that serves streams by sockets
// can do with less.
type loops struct {
	next   atomic.Int64
	packed atomic.Bool // there are compressed streams
	loops  []*loop
}

type loop struct {
	mu            sync.Mutex
	plain, packed []int // sockets, blocking
	todo          chan telling
}

// telling is one message as it goes over the wire.
type telling struct{ plain, packed []byte }

func newLoops() *loops {
	all := &loops{}
	for range runtime.GOMAXPROCS(0) {
		l := &loop{todo: make(chan telling, 1<<12)}
		all.loops = append(all.loops, l)
		go l.run()
	}
	return all
}

func (all *loops) tell(event []byte) {
	t := telling{plain: chunk(event)}
	if all.packed.Load() {
		t.packed = chunk(deflate(event))
	}
	for _, l := range all.loops {
		l.todo <- t
	}
}

func (l *loop) run() {
	for t := range l.todo {
		l.mu.Lock()
		l.plain = writeEach(l.plain, t.plain)
		l.packed = writeEach(l.packed, t.packed)
		l.mu.Unlock()
	}
}

// writeEach writes to each socket and returns those that are still there.
func writeEach(sockets []int, b []byte) []int {
	still := sockets[:0]
	for _, fd := range sockets {
		if n, err := syscall.Write(fd, b); err != nil || n < len(b) {
			syscall.Close(fd)
			continue
		}
		still = append(still, fd)
	}
	return still
}

// stream takes the socket out of net/http's hands.
func (all *loops) stream(w http.ResponseWriter, r *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fd, err := detach(conn.(*net.TCPConn))
	if err != nil {
		return
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
	packed := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	first := chunk([]byte(opened))
	if packed {
		head += "Content-Encoding: gzip\r\n"
		first = chunk(append(bytes.Clone(gzipHeader), deflate([]byte(opened))...))
	}
	l := all.loops[int(all.next.Add(1))%len(all.loops)]
	l.mu.Lock()
	defer l.mu.Unlock()
	sockets := &l.plain
	if packed {
		sockets = &l.packed
		all.packed.Store(true)
	}
	*sockets = append(*sockets, writeEach([]int{fd}, append([]byte(head+"\r\n"), first...))...)
}

// clear closes all streams: the loops themselves notice nothing but a write
// that fails.
func (all *loops) clear(http.ResponseWriter, *http.Request) {
	all.packed.Store(false)
	for _, l := range all.loops {
		l.mu.Lock()
		for _, fd := range append(l.plain, l.packed...) {
			syscall.Close(fd)
		}
		l.plain, l.packed = nil, nil
		l.mu.Unlock()
	}
}

// detach takes a connection's socket away from net, and makes it block.
func detach(conn *net.TCPConn) (fd int, err error) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	dupErr := raw.Control(func(old uintptr) {
		if fd, err = syscall.Dup(int(old)); err == nil {
			syscall.CloseOnExec(fd)
			err = syscall.SetNonblock(fd, false)
		}
	})
	if dupErr != nil {
		return 0, dupErr
	}
	return fd, err
}

// chunk frames bytes for an HTTP/1.1 response of unknown length.
func chunk(b []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(b), b) }

var deflaters = sync.Pool{New: func() any {
	z, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

// deflate compresses a piece that stands alone and ends on a byte boundary.
func deflate(b []byte) []byte {
	var out bytes.Buffer
	z := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(z)
	z.Reset(&out)
	_, _ = z.Write(b) // into memory
	_ = z.Flush()
	return out.Bytes()
}
