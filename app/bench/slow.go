package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stuck is a room in which some stop reading but stay connected, as a browser
// does on a train in a tunnel.
type stuck struct {
	readers, stuck int
	bytes          int // that everybody is sent, more than may wait for one reader
}

// slow measures how long messages take to those who read, with and without
// others who have stopped, and what these cost in memory.
func (b *bench) slow(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	s, err := b.startParlor(ctx)
	if err != nil {
		return nil, err
	}
	defer s.process.end()
	var highest atomic.Int64
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for watching.Err() == nil {
			highest.Store(max(highest.Load(), s.resident()))
			time.Sleep(50 * time.Millisecond)
		}
	}()

	before := s.resident()
	var peaks [2]int64 // without, with
	measured, err := alternate(b.rounds,
		func() (sample, error) {
			highest.Store(0)
			defer func() { peaks[0] = max(peaks[0], highest.Load()) }()
			return b.tunnel(ctx, s, 0)
		},
		func() (sample, error) {
			highest.Store(0)
			defer func() { peaks[1] = max(peaks[1], highest.Load()) }()
			return b.tunnel(ctx, s, b.stuck.stuck)
		})
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(b.rest):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after := s.resident()
	name := fmt.Sprintf("%d readers and %d stuck ones; ceiling: without these", b.stuck.readers-b.stuck.stuck, b.stuck.stuck)
	mib := func(bytes int64) float64 { return float64(bytes) / (1 << 20) }
	return append(
		rows(name, []string{"p50 ms", "p99 ms"}, []target{ratioMost(1.2), ratioMost(1.2)}, measured[1], measured[0]),
		alone(name, "stuck ones cut", least(float64(b.stuck.stuck)), measured[1][2]),
		row{group: name, what: "MiB at most", parlor: mib(peaks[1]), ceiling: mib(peaks[0])},
		row{group: name, what: fmt.Sprintf("MiB %v after all have left, beside before", b.rest), parlor: mib(after), ceiling: mib(before)},
		alone(name, "KiB per stuck reader at most", most(float64(mostWaiting)/1024), float64(peaks[1]-peaks[0])/1024/float64(b.stuck.stuck)),
	), nil
}

// mostWaiting is how many bytes may wait in Parlor for a reader before it is
// cut, by default (PARLOR_STREAM_BYTES).
const mostWaiting = 1 << 20

// tunnel is one round: all are sent so much that those who do not read are
// stuck for good; then the latency of the others counts.
func (b *bench) tunnel(ctx context.Context, s subject, stuck int) (sample, error) {
	at, err := b.place(ctx, s, false)
	if err != nil {
		return nil, err
	}
	readers := b.stuck.readers - b.stuck.stuck
	c, err := gather(ctx, at, readers)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	// A small window, or the kernel would hold some megabytes for each.
	dialer := &net.Dialer{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		controlErr := conn.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	conns := make([]net.Conn, 0, stuck)
	for range stuck {
		conn, err := c.dial(ctx, dialer, 0)
		if err != nil {
			return nil, fmt.Errorf("open a stream that is not read: %w", err)
		}
		defer conn.Close()
		if err := begins(conn); err != nil {
			return nil, err
		}
		conns = append(conns, conn)
	}
	for sent := 0; sent < b.stuck.bytes; sent += longMessage {
		c.expect(1)
		if err := c.sayLong(ctx, 0, time.Now(), longMessage); err != nil {
			return nil, err
		}
		if err := c.wait(ctx); err != nil {
			return nil, err
		}
	}
	every := b.every(readers)
	latency, err := c.paced(ctx, max(1, int(b.lasts/every)), every)
	if err != nil {
		return nil, err
	}
	var cut atomic.Int64
	var reading sync.WaitGroup
	for _, conn := range conns {
		reading.Go(func() {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.Copy(io.Discard, conn); !errors.Is(err, os.ErrDeadlineExceeded) {
				cut.Add(1)
			}
		})
	}
	reading.Wait()
	return sample{milliseconds(quantile(latency, 0.5)), milliseconds(quantile(latency, 0.99)), float64(cut.Load())}, nil
}

// longMessage is nearly the longest that Parlor takes, in bytes.
const longMessage = 12000

// begins reads the first bytes of a stream and no more.
func begins(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 64)
	if n, err := conn.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), "HTTP/1.1 200 ") {
		return fmt.Errorf("a stream does not begin: %q, %w", b[:n], err)
	}
	return nil
}
