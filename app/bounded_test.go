package app

import (
	"log/slog"
	"net"
	"testing"
	"time"
)

// As many connections as there are places; the next one waits in the kernel
// until one of them is closed, and is not refused.
func TestConnectionsBeyondTheFileLimitWait(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bounded{TCPListener: l.(*net.TCPListener), places: make(chan struct{}, 2), log: slog.New(slog.DiscardHandler)}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	var clients []net.Conn
	for range 4 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, conn)
	}
	next := func(want bool) (conn net.Conn) {
		t.Helper()
		wait := 10 * time.Second
		if !want {
			wait = 100 * time.Millisecond
		}
		select {
		case conn = <-accepted:
		case <-time.After(wait):
		}
		if (conn != nil) != want {
			t.Fatalf("the next connection: %v", conn)
		}
		return conn
	}
	first, second := next(true), next(true)
	next(false)
	first.Close()
	first.Close() // gives one place back, not two
	third := next(true)
	next(false)
	if _, err := clients[2].Write([]byte("x")); err != nil {
		t.Error(err)
	}
	var got [1]byte
	if _, err := third.Read(got[:]); err != nil || got[0] != 'x' {
		t.Errorf("the one that waited said %q, %v", got, err)
	}
	second.Close()
	fourth := next(true)
	third.Close()
	fourth.Close()
	l.Close()
}
