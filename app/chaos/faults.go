package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// kind is a kind of fault. strike makes it happen and returns what takes its
// cause away.
type kind struct {
	name        string
	least, most time.Duration // how long it lasts
	nodes       int           // it takes this many nodes at least
	bus         string        // it takes this one: byPostgres, byNATS, or "" for any
	rounds      int           // how often it comes in each round of all kinds
	light       bool          // it may come together with another one
	strike      func(r *run, pick *rand.Rand) (heal func(), err error)
}

// errNotHere says that the machine does not permit a fault.
var errNotHere = errors.New("this machine does not permit it")

// kinds are all faults. The order is part of what a seed means.
var kinds = []*kind{
	{name: "node killed with -9", least: 50 * time.Millisecond, most: 2 * time.Second, strike: killNode(syscall.SIGKILL)},
	{name: "node stopped with SIGTERM", least: 50 * time.Millisecond, most: 2 * time.Second, strike: killNode(syscall.SIGTERM)},
	{name: "node killed and restarted at once", rounds: 2, strike: killNode(syscall.SIGKILL)},
	{name: "node frozen", least: time.Second, most: 20 * time.Second, strike: freezeNode},
	{name: "all nodes killed at once", least: 50 * time.Millisecond, most: 2 * time.Second, strike: killAll},
	{name: "rolling restart", nodes: 2, strike: rollingRestart},
	{name: "node out of file descriptors", least: time.Second, most: 4 * time.Second, strike: exhaustFiles},
	{name: "10 x load", least: 10 * time.Second, most: 10 * time.Second, strike: tenfoldLoad},

	{name: "Postgres killed with -9", strike: killPostgres},
	{name: "Postgres backend killed with -9", strike: killBackend},
	{name: "Postgres connections ended", light: true, rounds: 3, strike: endConnections("%")},
	{name: "Postgres stopped", least: 100 * time.Millisecond, most: 4 * time.Second, strike: stopPostgres},
	{name: "Postgres frozen", least: time.Second, most: 20 * time.Second, strike: freezePostgres},
	{name: "Postgres out of connections", least: time.Second, most: 4 * time.Second, strike: hogConnections},
	{name: "Postgres disk full", least: 2 * time.Second, most: 4 * time.Second, strike: fillDisk},
	{name: "Postgres unreachable without a close", least: time.Second, most: 4 * time.Second, strike: silencePostgres},

	{name: "bus connections ended", light: true, rounds: 3, strike: cutBus},
	{name: "listener's backend ended", bus: byPostgres, strike: endConnections("listen%")},
	{name: "bus messages lost", least: time.Second, most: 4 * time.Second, strike: loseHints},
	{name: "bus messages doubled, late and forged", least: time.Second, most: 3 * time.Second, strike: repeatHints},
	{name: "NATS restarted", bus: byNATS, least: 50 * time.Millisecond, most: 4 * time.Second, strike: restartNATS},
	{name: "a node's clock set back and forth", nodes: 2, least: time.Second, most: 4 * time.Second, strike: setClock},

	{name: "connections cut in the middle of an event", light: true, rounds: 5, strike: cutInEvents},
	{name: "connections cut at each byte of a stream", least: 2 * time.Second, most: 4 * time.Second, strike: sweepBytes},
	{name: "answers to posters cut at some byte", least: time.Second, most: 3 * time.Second, strike: cutAnswers},
	{name: "connections reset", light: true, rounds: 4, strike: resetConnections},
	{name: "connections slow", light: true, rounds: 3, least: time.Second, most: 4 * time.Second, strike: slowConnections},
	{name: "connections silent without a close", light: true, rounds: 3, strike: silenceConnections},
	{name: "half of all connections at once", light: true, rounds: 4, strike: halfAtOnce},
}

// pickNode picks one of those that are suitable; nil: there is none.
func (r *run) pickNode(pick *rand.Rand, suitable func(*node) bool) *node {
	var nodes []*node
	for _, n := range r.world.nodes {
		if suitable(n) {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	return nodes[pick.IntN(len(nodes))]
}

func anyNode(*node) bool { return true }

func killNode(signal syscall.Signal) func(*run, *rand.Rand) (func(), error) {
	return func(r *run, pick *rand.Rand) (func(), error) {
		n := r.pickNode(pick, anyNode)
		before := n.pid()
		n.stop(signal)
		return func() {
			n.resume()
			if err := r.await(n.name, func() bool { return n.pid() != before }); err != nil { // it may take its time to end
				r.log.Error("a node does not end", "err", err)
			}
		}, nil
	}
}

func freezeNode(r *run, pick *rand.Rand) (func(), error) {
	n := r.pickNode(pick, anyNode)
	n.signal(syscall.SIGSTOP)
	return func() { n.signal(syscall.SIGCONT) }, nil
}

func killAll(r *run, _ *rand.Rand) (func(), error) {
	for _, n := range r.world.nodes {
		n.stop(syscall.SIGKILL)
	}
	return func() {
		for _, n := range r.world.nodes {
			n.resume()
		}
	}, nil
}

// rollingRestart restarts one node after the other, each when the one before
// is ready, as one does to bring a new version.
func rollingRestart(r *run, _ *rand.Rand) (func(), error) {
	for _, n := range r.world.nodes {
		if err := n.restart(r.ctx); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// exhaustFiles leaves a node no file descriptors and takes the few that are
// left by connections that say nothing.
func exhaustFiles(r *run, pick *rand.Rand) (func(), error) {
	n := r.pickNode(pick, anyNode)
	undo, err := limitFiles(n.pid(), 10)
	if err != nil {
		return nil, errNotHere
	}
	var idle []net.Conn
	for range 30 {
		if conn, err := net.DialTimeout("tcp", n.addr, time.Second); err == nil {
			idle = append(idle, conn)
		}
	}
	return func() {
		undo()
		for _, conn := range idle {
			conn.Close()
		}
	}, nil
}

func tenfoldLoad(r *run, _ *rand.Rand) (func(), error) {
	before := r.every.Load()
	r.every.Store(before / 10)
	return func() { r.every.Store(before) }, nil
}

// killPostgres kills the postmaster. Its supervisor starts another one; the
// fault ends when that takes connections.
func killPostgres(r *run, _ *rand.Rand) (func(), error) {
	c := r.world.postgres()
	before := c.Pid()
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		return nil, err
	}
	return nil, r.await("another postmaster", func() bool { return c.Pid() != before })
}

// killBackend kills a server process at work. The postmaster then ends all
// others and recovers the database.
func killBackend(r *run, pick *rand.Rand) (func(), error) {
	db, err := r.world.openSQL()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var pid int
	err = db.QueryRow(`select pid from pg_stat_activity where datname = $1 and application_name <> $2
		order by md5(pid::text || $3) limit 1`, database, ownName, fmt.Sprint(pick.Uint32())).Scan(&pid)
	if err != nil {
		return nil, err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return nil, err
	}
	return nil, r.await("recovery", func() bool { return r.postgresAnswers() })
}

func (r *run) postgresAnswers() bool {
	db, err := r.world.openSQL()
	if err != nil {
		return false
	}
	defer db.Close()
	return db.Ping() == nil
}

func (r *run) await(what string, done func() bool) error {
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if !sleep(r.ctx, 10*time.Millisecond) || time.Now().After(deadline) {
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
	return nil
}

func endConnections(like string) func(*run, *rand.Rand) (func(), error) {
	return func(r *run, _ *rand.Rand) (func(), error) { return nil, r.world.endBackends(like) }
}

func stopPostgres(r *run, _ *rand.Rand) (func(), error) {
	if err := r.world.postgres().Stop(); err != nil {
		r.log.Error("Postgres did not stop as it should", "err", err)
	}
	return func() {
		if err := r.world.startPostgres(r.ctx); err != nil {
			r.log.Error("Postgres does not start", "err", err)
		}
	}, nil
}

func freezePostgres(r *run, _ *rand.Rand) (func(), error) {
	pid := r.world.postgres().Pid()
	signalAll(pid, syscall.SIGSTOP)
	return func() { signalAll(pid, syscall.SIGCONT) }, nil
}

// hogConnections takes every connection that Postgres has, also those that the
// nodes had.
func hogConnections(r *run, _ *rand.Rand) (func(), error) {
	var hogs []*sql.DB
	free := func() {
		for _, db := range hogs {
			db.Close()
		}
	}
	for range 20 {
		for { // until Postgres refuses
			db, err := r.world.openSQL()
			if err != nil {
				free()
				return nil, err
			}
			db.SetMaxOpenConns(1)
			if db.Ping() != nil {
				db.Close()
				break
			}
			hogs = append(hogs, db)
		}
		if len(hogs) == 0 {
			return nil, errors.New("not even one connection")
		}
		var ended int
		err := hogs[0].QueryRow(`select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = $1 and application_name <> $2`, database, ownName).Scan(&ended)
		if err != nil || ended == 0 { // nobody else has one
			return free, err
		}
	}
	return free, errors.New("the nodes were faster each time")
}

// fillDisk leaves Postgres no place to write, and then has it write more than
// it had set aside.
func fillDisk(r *run, _ *rand.Rand) (func(), error) {
	if !r.world.tmpfs {
		return nil, errNotHere
	}
	db, err := r.world.openSQL()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.world.dir, "data", "ballast")
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(block)
	}
	f.Close()
	go func() {
		for range diskBytes >> 23 {
			if _, err := db.Exec(`select pg_logical_emit_message(false, 'chaos', repeat('x', 8 * 1024 * 1024))`); err != nil {
				r.log.Info("the disk is full", "err", err)
				return
			}
		}
	}()
	return func() {
		db.Close()
		os.Remove(path)
	}, nil
}

// silencePostgres lets everything between the nodes and Postgres vanish. In
// the end the connections are reset: what would find them dead by itself takes
// minutes, and is the kernel's.
func silencePostgres(r *run, _ *rand.Rand) (func(), error) {
	wires := r.world.toPostgres.all()
	for _, w := range wires {
		w.fallSilent()
	}
	return func() {
		for _, w := range wires {
			w.cut()
		}
	}, nil
}

// setClock sets a node's clock back and forth.
func setClock(r *run, pick *rand.Rand) (func(), error) {
	n := r.pickNode(pick, func(n *node) bool { return n.clock != "" })
	if n == nil {
		return nil, errors.New("no node has a clock to be set")
	}
	set := func(by time.Duration) {
		if err := os.WriteFile(n.clock, []byte(by.String()), 0o644); err != nil {
			r.log.Error("can't set a clock", "err", err)
		}
	}
	jumps, stop := context.WithCancel(r.ctx)
	go func() {
		for {
			by := time.Duration(math.Pow(10, 9+5*pick.Float64())) // a second to a day
			if pick.IntN(2) == 0 {
				by = -by
			}
			set(by)
			if !sleep(jumps, 200*time.Millisecond) {
				set(0)
				return
			}
		}
	}()
	return stop, nil
}

// some are a few of the connections of readers and of the browser.
func (r *run) some(pick *rand.Rand, part float64) []*wire {
	return choose(pick, part, append(r.world.readers.all(), r.world.pages.all()...))
}

// choose picks a part of some connections, one at least.
func choose(pick *rand.Rand, part float64, wires []*wire) []*wire {
	pick.Shuffle(len(wires), func(i, j int) { wires[i], wires[j] = wires[j], wires[i] })
	return wires[:int(math.Ceil(part*float64(len(wires))))]
}

// cutInEvents cuts each of some connections one byte further on in what comes
// next, which is an event that all of them get.
func cutInEvents(r *run, pick *rand.Rand) (func(), error) {
	for _, w := range r.some(pick, 0.3) {
		w.left.Store(r.cutAt.Add(1) % 2500)
	}
	return nil, nil
}

// cutAnswers cuts what posters are told, so that they do not know whether what
// they sent is stored.
func cutAnswers(r *run, pick *rand.Rand) (func(), error) {
	var next atomic.Int64
	next.Store(int64(pick.IntN(answerLength)))
	budget := func() int64 { return next.Add(7)%answerLength + 1 }
	r.world.posters.budget.Store(&budget)
	for _, w := range r.world.posters.all() {
		w.left.Store(budget())
	}
	return func() { r.world.posters.budget.Store(nil) }, nil
}

// answerLength is about that of the answer to a post, head included.
const answerLength = 600

// sweepBytes cuts every stream of a few hasty readers one byte later than the
// one before.
func sweepBytes(r *run, _ *rand.Rand) (func(), error) {
	budget := func() int64 { return r.sweptTo.Add(1)%sweepLength + 1 }
	r.world.knife.budget.Store(&budget)
	for _, w := range r.world.knife.all() {
		w.left.Store(budget())
	}
	return func() { r.world.knife.budget.Store(nil) }, nil
}

// sweepLength is about the length of an answer with a few messages.
const sweepLength = 6000

func resetConnections(r *run, pick *rand.Rand) (func(), error) {
	for _, w := range r.some(pick, 0.2) {
		w.reset()
	}
	return nil, nil
}

func slowConnections(r *run, pick *rand.Rand) (func(), error) {
	wires := r.some(pick, 0.2)
	for _, w := range wires {
		w.slow.Store(100 << pick.IntN(8))
	}
	return func() {
		for _, w := range wires {
			w.slow.Store(0)
		}
	}, nil
}

// silenceConnections lets connections carry nothing any more, for good. Only
// the watchdog of their pages can find out; a run whose readers have a shorter
// one does not wait for those in the browser.
func silenceConnections(r *run, pick *rand.Rand) (func(), error) {
	wires := r.world.readers.all()
	if r.watchdog >= pageWatchdog {
		wires = append(wires, r.world.pages.all()...)
	}
	for _, w := range choose(pick, 0.1, wires) {
		w.fallSilent()
	}
	if posters := r.world.posters.all(); len(posters) > 0 {
		posters[pick.IntN(len(posters))].fallSilent()
	}
	return nil, nil
}

func halfAtOnce(r *run, pick *rand.Rand) (func(), error) {
	for i, w := range r.some(pick, 0.5) {
		if i%2 == 0 {
			w.reset()
		} else {
			w.cut()
		}
	}
	for i, w := range r.world.posters.all() {
		if i%2 == 0 {
			w.reset()
		}
	}
	return nil, nil
}
