package live_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"parlor/app/live"
)

var head = []byte("head\n")

func newWriters() *live.Writers {
	return live.NewWriters(func() []byte { return []byte("beat\n") }, func(int, int, time.Duration) {})
}

// peers returns both ends of a TCP connection; little fits into it.
func peers(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, client = s.(*net.TCPConn), c.(*net.TCPConn)
	_, _ = server.SetWriteBuffer(16<<10), client.SetReadBuffer(16<<10)
	t.Cleanup(func() { client.Close() })
	return server, client
}

// connect gives a follower of the room a connection and returns its far end.
func connect(t testing.TB, w *live.Writers, h *live.Hub, packed bool, limit int, after int64) (*net.TCPConn, *live.Subscriber, chan error) {
	t.Helper()
	server, client := peers(t)
	s := live.NewSubscriber(0, packed, limit)
	if err := h.Follow(t.Context(), s, 7, after); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if err := w.Add(server, s, head, func(err error) { ended <- err }); err != nil {
		t.Fatal(err)
	}
	return client, s, ended
}

// readUntil reads a stream until the page is at a number.
func readUntil(t testing.TB, r io.Reader, p *page, rev int64) {
	t.Helper()
	var all []byte
	for buf := make([]byte, 4096); p.cursor < rev; {
		n, err := r.Read(buf)
		all = append(all, buf[:n]...)
		if whole := bytes.LastIndexByte(all, '\n'); whole >= 0 {
			p.apply(t, all[:whole+1])
			all = all[whole+1:]
		}
		if err != nil && p.cursor < rev {
			t.Fatalf("the page is at %d, wanted %d: %v", p.cursor, rev, err)
		}
	}
}

func TestConnectionsGetEverythingInOrder(t *testing.T) {
	r := newRoom()
	h, w := newHub(r), newWriters()
	const readers, messages = 50, 300
	pages := make([]*page, readers)
	done := make(chan int, readers)
	for i := range readers {
		client, _, _ := connect(t, w, h, i%2 == 0, 1<<20, 0)
		pages[i] = newPage()
		go func() {
			defer func() { done <- i }()
			got := make([]byte, len(head))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, head) {
				t.Errorf("began with %q, %v", got, err)
			}
			if i%2 == 0 {
				z, err := gzip.NewReader(io.MultiReader(bytes.NewReader(live.PackedHead), client))
				if err != nil {
					t.Error(err)
					return
				}
				readUntil(t, z, pages[i], messages)
			} else {
				readUntil(t, client, pages[i], messages)
			}
		}()
	}
	for i := range messages {
		h.Wake(7, r.say(fmt.Sprint(i, strings.Repeat(" more than fits", i%90))))
	}
	for range readers {
		<-done
	}
	for _, p := range pages {
		p.check(t, r)
	}
}

// A reader that stops reading holds up nobody, and is cut when too much waits
// for it; one that is slow for a while gets everything.
func TestReaderThatStopsHoldsUpNobody(t *testing.T) {
	r := newRoom()
	r.mostRows = 1 << 20
	h, w := newHub(r), newWriters()
	stuck, _, stuckEnded := connect(t, w, h, false, 256<<10, 0)
	slow, slowSub, slowEnded := connect(t, w, h, false, 64<<20, 0)
	var fast []*net.TCPConn
	for range 2 * runtime.GOMAXPROCS(0) { // some share a goroutine with them
		client, _, _ := connect(t, w, h, false, 1<<20, 0)
		fast = append(fast, client)
	}
	before := runtime.NumGoroutine()
	pages := make([]*page, len(fast))
	for i := range fast {
		pages[i] = newPage()
	}
	const messages = 100
	for rev := int64(1); rev <= messages; rev++ {
		r.say(strings.Repeat("x", 32<<10))
		h.Wake(7, rev)
		for i, client := range fast {
			readUntil(t, client, pages[i], rev)
		}
	}
	select {
	case err := <-stuckEnded:
		if !errors.Is(err, live.ErrSlow) {
			t.Errorf("the stuck one ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the stuck one is still there")
	}
	if _, err := io.Copy(io.Discard, stuck); err == nil {
		t.Log("the stuck one's connection was closed quietly")
	}
	select {
	case err := <-slowEnded:
		t.Fatalf("the slow one was cut: %v", err)
	default:
	}
	p := newPage()
	readUntil(t, slow, p, messages)
	p.check(t, r)
	// It went back to its shard, without a goroutine of its own.
	rev := r.say("after it had caught up")
	h.Wake(7, rev)
	readUntil(t, slow, p, rev)
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after", before, now)
	}
	slowSub.Close([]byte("goodbye\n"))
	last, err := io.ReadAll(slow)
	if err != nil || !strings.HasSuffix(string(last), "goodbye\n") {
		t.Errorf("closed with %q, %v", last, err)
	}
}

func TestPeerThatGoesIsNoticed(t *testing.T) {
	r := newRoom()
	h, w := newHub(r), newWriters()
	r.say("before")
	var clients []*net.TCPConn
	var ended []chan error
	for range 20 {
		client, _, e := connect(t, w, h, false, 1<<20, 0)
		readUntil(t, client, newPage(), 1) // else closing would be an error on the way
		clients, ended = append(clients, client), append(ended, e)
	}
	for i, client := range clients {
		if i%2 == 0 {
			client.Close()
		}
	}
	for i, e := range ended {
		if i%2 != 0 {
			continue
		}
		select {
		case <-e:
		case <-time.After(5 * time.Second):
			t.Fatalf("connection %d is still there", i)
		}
	}
	if n := h.Readers(7); n != 10 {
		t.Errorf("%d readers are left of 10", n)
	}
	rev := r.say("to those who stayed")
	h.Wake(7, rev)
	for i, client := range clients {
		if i%2 == 1 {
			readUntil(t, client, newPage(), rev)
		}
	}
}

// Readers that are slow now and then go to a goroutine of their own and back,
// many times. What goes out in one write belongs to them alone.
func TestReadersThatAreSlowNowAndThen(t *testing.T) {
	r := newRoom()
	r.mostRows = 1 << 20
	h, w := newHub(r), newWriters()
	const readers, bursts, burst = 8, 60, 5
	done := make(chan *page, readers)
	for i := range readers {
		client, s, _ := connect(t, w, h, false, 64<<20, 0)
		h.Open(s, "board")
		go func() {
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			p := newPage()
			readUntil(t, readerFunc(func(b []byte) (int, error) {
				if rng.IntN(10) == 0 {
					time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
				}
				_ = client.SetReadDeadline(time.Now().Add(5 * time.Second))
				return client.Read(b)
			}), p, bursts*burst)
			done <- p
		}()
	}
	for i := range bursts {
		for range burst {
			h.Put("board", "part", frame("part %d %s", i, strings.Repeat("y", 300)))
			h.Wake(7, r.say(fmt.Sprint(i, strings.Repeat("x", 1000+i))))
		}
		time.Sleep(time.Duration(i%7) * time.Millisecond)
	}
	for range readers {
		(<-done).check(t, r)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A subscriber that was told to go before it had a connection still says its
// last word in an answer that has a head.
func TestLastWordBeforeTheConnection(t *testing.T) {
	h, w := newHub(newRoom()), newWriters()
	server, client := peers(t)
	s := live.NewSubscriber(0, false, 1<<20)
	h.Open(s, "lobby")
	s.Close([]byte("parked\n"))
	ended := make(chan error, 1)
	if err := w.Add(server, s, head, func(err error) { ended <- err }); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); string(got) != "head\nparked\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-ended; !errors.Is(err, live.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}
