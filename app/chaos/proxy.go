package main

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy passes connections on to the first of its targets that takes them, in
// turn, and does to them what networks do: it cuts them at a byte, resets
// them, slows them down, or carries nothing any more without a close.
type proxy struct {
	listener net.Listener
	targets  func() []func() (net.Conn, error)
	next     atomic.Uint64

	// budget, if set, says how many bytes a new connection may carry to its
	// client before it is cut; 0: any number.
	budget atomic.Pointer[func() int64]

	mu    sync.Mutex
	wires map[*wire]bool
}

// wire is one connection through a proxy.
type wire struct {
	client, server net.Conn
	began          time.Time
	listens        atomic.Bool  // said LISTEN to Postgres
	left           atomic.Int64 // bytes to the client until it is cut; below 0: any number
	slow           atomic.Int64 // bytes per second to the client; 0: as fast as it goes
	silent         chan struct{}
	hush           sync.Once
	closed         chan struct{}
	close          sync.Once
}

// newProxy serves a listener until it is closed.
func newProxy(l net.Listener, targets func() []func() (net.Conn, error)) *proxy {
	p := &proxy{listener: l, targets: targets, wires: make(map[*wire]bool)}
	go func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			go p.carry(conn)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// end closes the proxy and all that it carries.
func (p *proxy) end() {
	p.listener.Close()
	for _, w := range p.all() {
		w.cut()
	}
}

// all are the wires at this moment, the silent ones left out: for their
// clients they are gone already.
func (p *proxy) all() []*wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*wire
	for w := range p.wires {
		if !w.isSilent() {
			all = append(all, w)
		}
	}
	return all
}

// silenced are the addresses of clients whose connections fell silent.
func (p *proxy) silenced() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := make(map[string]bool)
	for w := range p.wires {
		if w.isSilent() {
			addrs[w.client.RemoteAddr().String()] = true
		}
	}
	return addrs
}

func (p *proxy) carry(client net.Conn) {
	targets := p.targets()
	first := p.next.Add(1)
	var server net.Conn
	for i := range targets {
		conn, err := targets[(first+uint64(i))%uint64(len(targets))]()
		if err == nil {
			server = conn
			break
		}
	}
	if server == nil {
		reset(client)
		return
	}
	w := &wire{client: client, server: server, began: time.Now(), silent: make(chan struct{}), closed: make(chan struct{})}
	w.left.Store(-1)
	if budget := p.budget.Load(); budget != nil {
		if n := (*budget)(); n > 0 {
			w.left.Store(n)
		}
	}
	p.mu.Lock()
	p.wires[w] = true
	p.mu.Unlock()
	go w.up()
	w.down()
	w.cut()
	p.mu.Lock()
	delete(p.wires, w)
	p.mu.Unlock()
}

// up carries what the client sends.
func (w *wire) up() {
	defer w.cut()
	b := make([]byte, 16<<10)
	for {
		n, err := w.client.Read(b)
		if w.isSilent() {
			if err != nil {
				return
			}
			continue // nothing arrives
		}
		if bytes.Contains(b[:n], []byte("LISTEN")) {
			w.listens.Store(true)
		}
		if n > 0 {
			if _, err := w.server.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// down carries what the server answers.
func (w *wire) down() {
	b := make([]byte, 16<<10)
	for {
		n, err := w.server.Read(b)
		if w.isSilent() {
			<-w.closed
			return
		}
		for part := b[:n]; len(part) > 0; {
			step := len(part)
			if slow := w.slow.Load(); slow > 0 {
				step = min(step, max(1, int(slow/50)))
				time.Sleep(20 * time.Millisecond)
			}
			left := w.left.Load()
			if left >= 0 {
				step = min(step, int(left))
				w.left.CompareAndSwap(left, left-int64(step))
			}
			if step > 0 {
				if _, err := w.client.Write(part[:step]); err != nil {
					return
				}
			}
			if left >= 0 && left == int64(step) {
				return
			}
			part = part[step:]
		}
		if err != nil {
			return
		}
	}
}

func (w *wire) isSilent() bool {
	select {
	case <-w.silent:
		return true
	default:
		return false
	}
}

// cut closes both ends. The server of a silent wire learns of it only later, as
// if by TCP's keep-alives.
func (w *wire) cut() {
	w.close.Do(func() {
		close(w.closed)
		w.client.Close()
		if w.isSilent() {
			time.AfterFunc(20*time.Second, func() { w.server.Close() })
			return
		}
		w.server.Close()
	})
}

// reset ends the wire as a crash does: both sides get an RST.
func (w *wire) reset() {
	reset(w.client)
	reset(w.server)
	w.cut()
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// fallSilent stops carrying, in both directions and for good, without a close.
func (w *wire) fallSilent() { w.hush.Do(func() { close(w.silent) }) }
