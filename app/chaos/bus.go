package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsServer runs in this process, on a port of its own.
type natsServer struct {
	addr   string
	server atomic.Pointer[server.Server]
}

func startNATS() (*natsServer, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s := &natsServer{addr: addr}
	return s, s.start()
}

func (s *natsServer) start() error {
	addr, err := net.ResolveTCPAddr("tcp", s.addr)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(&server.Options{Host: addr.IP.String(), Port: addr.Port, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	go srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		return errors.New("the NATS server does not start")
	}
	s.server.Store(srv)
	return nil
}

func (s *natsServer) stop() {
	srv := s.server.Load()
	srv.Shutdown()
	srv.WaitForShutdown()
}

// wiretap hears and says things on the nodes' bus: hints of the form
// {"n": node, "s": count, "r": {room: number}}.
type wiretap struct {
	say   func(payload []byte) error
	close func()
}

// tap taps the bus that the nodes use at present.
func (w *world) tap(heard func(payload []byte)) (*wiretap, error) {
	db, err := w.openSQL()
	if err != nil {
		return nil, err
	}
	if !w.byNATS.Load() {
		l := pq.NewListener(w.postgres().URL(database), 50*time.Millisecond, time.Second, nil)
		if err := l.Listen("parlor"); err != nil {
			return nil, errors.Join(err, l.Close(), db.Close())
		}
		go func() {
			for n := range l.Notify {
				if n != nil {
					heard([]byte(n.Extra))
				}
			}
		}()
		return &wiretap{
			say: func(payload []byte) error {
				_, err := db.Exec(`select pg_notify('parlor', $1)`, string(payload))
				return err
			},
			close: func() { l.Close(); db.Close() },
		}, nil
	}
	defer db.Close()
	var epoch string
	if err := db.QueryRow(`select epoch from house`).Scan(&epoch); err != nil {
		return nil, err
	}
	conn, err := nats.Connect("nats://" + w.nats.addr)
	if err != nil {
		return nil, err
	}
	subject := "parlor." + epoch
	if _, err := conn.Subscribe(subject, func(m *nats.Msg) { heard(m.Data) }); err != nil {
		conn.Close()
		return nil, err
	}
	return &wiretap{say: func(payload []byte) error { return conn.Publish(subject, payload) }, close: conn.Close}, nil
}

// repeatHints repeats what nodes tell each other: twice, late, and with
// numbers of long ago, of never, and no sense.
func repeatHints(r *run, pick *rand.Rand) (func(), error) {
	ctx, cancel := context.WithCancel(r.ctx)
	var tap *wiretap
	ready := make(chan struct{})
	say := func(payload []byte) {
		if err := tap.say(payload); err != nil && ctx.Err() == nil {
			r.log.Warn("could not repeat a hint", "err", err)
		}
	}
	tap, err := r.world.tap(func(payload []byte) {
		<-ready
		var hint map[string]any
		if json.Unmarshal(payload, &hint) != nil || hint["n"] == ownName || hint["again"] != nil {
			return
		}
		hint["again"] = true // else the repetition would be repeated
		late := func(hint any) {
			again, _ := json.Marshal(hint)
			time.AfterFunc(time.Duration(rand.IntN(800))*time.Millisecond, func() {
				if ctx.Err() == nil {
					say(again)
				}
			})
		}
		late(hint)
		if hint["r"] != nil { // and from a stranger, so that its own node takes it too
			late(map[string]any{"n": ownName, "s": time.Now().UnixNano(), "r": hint["r"]})
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	close(ready)
	rev := r.highest.Load()
	for _, hint := range []string{
		`"r":{"1":1}`, fmt.Sprintf(`"r":{"1":%d}`, pick.Int64N(rev+1)), fmt.Sprintf(`"r":{"1":%d}`, rev+1000),
		`"r":{"1":9223372036854775807}`, `"r":{"1":-1}`, `"r":{"99":7}`, `"k":"unknown","d":{}`, `"t":[{"k":"unknown","d":{}}]`, `"t":{}`,
	} {
		say(fmt.Appendf(nil, `{"n":"%s","s":%d,%s}`, ownName, time.Now().UnixNano(), hint))
	}
	say([]byte("not JSON"))
	return func() {
		cancel()
		tap.close()
	}, nil
}

// loseHints lets what nodes tell each other vanish.
func loseHints(r *run, _ *rand.Rand) (func(), error) {
	var silent []*wire
	for _, w := range r.world.busWires() {
		w.fallSilent()
		silent = append(silent, w)
	}
	if len(silent) == 0 {
		return nil, errors.New("no connection to be silenced")
	}
	return func() {
		for _, w := range silent {
			w.cut()
		}
	}, nil
}

// busWires are the connections by which nodes hear each other.
func (w *world) busWires() []*wire {
	if w.byNATS.Load() {
		return w.toNATS.all()
	}
	var wires []*wire
	for _, wire := range w.toPostgres.all() {
		if wire.listens.Load() {
			wires = append(wires, wire)
		}
	}
	return wires
}

// cutBus ends the connections by which nodes hear each other.
func cutBus(r *run, _ *rand.Rand) (func(), error) {
	for _, w := range r.world.busWires() {
		w.reset()
	}
	return nil, nil
}

func restartNATS(r *run, _ *rand.Rand) (func(), error) {
	r.world.nats.stop()
	return func() {
		if err := r.world.nats.start(); err != nil {
			r.log.Error("NATS does not start", "err", err)
		}
	}, nil
}
