package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// kind is a kind of fault. strike makes it happen and returns what takes its
// cause away.
type kind struct {
	name        string
	least, most time.Duration // how long it lasts
	nodes       int           // it takes this many nodes at least
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
	{name: "Postgres connections ended", rounds: 2, strike: endConnections("%")},
	{name: "Postgres stopped", least: 100 * time.Millisecond, most: 4 * time.Second, strike: stopPostgres},
	{name: "Postgres frozen", least: time.Second, most: 20 * time.Second, strike: freezePostgres},
	{name: "Postgres out of connections", least: time.Second, most: 4 * time.Second, strike: hogConnections},
	{name: "Postgres disk full", least: time.Second, most: 4 * time.Second, strike: fillDisk},
	{name: "Postgres unreachable without a close", least: time.Second, most: 4 * time.Second, strike: silencePostgres},

	{name: "listener's connection ended", rounds: 2, strike: endConnections("listen%")},
	{name: "bus messages lost", least: time.Second, most: 4 * time.Second, strike: loseHints},
	{name: "bus messages doubled, late and forged", least: time.Second, most: 3 * time.Second, strike: repeatHints},

	{name: "connections cut in the middle of an event", light: true, rounds: 3, strike: cutInEvents},
	{name: "connections cut at each byte of a stream", least: 2 * time.Second, most: 4 * time.Second, strike: sweepBytes},
	{name: "connections reset", light: true, rounds: 3, strike: resetConnections},
	{name: "connections slow", light: true, rounds: 2, least: time.Second, most: 4 * time.Second, strike: slowConnections},
	{name: "connections silent without a close", light: true, rounds: 2, strike: silenceConnections},
	{name: "half of all connections at once", rounds: 2, strike: halfAtOnce},
}

// fault is one planned fault.
type fault struct {
	kind   *kind
	after  time.Duration // from the beginning of its episode
	lasts  time.Duration
	target uint64 // seed of whatever it must pick
}

// episode is a fault, or several that overlap, with calm before and after.
type episode []fault

// planner makes the endless sequence of episodes that a seed stands for.
type planner struct {
	random  *rand.Rand
	kinds   []*kind
	longest time.Duration // of any fault
	waiting []*kind       // what is left of the round
}

func newPlanner(seed uint64, chosen []*kind, longest time.Duration) *planner {
	return &planner{random: rand.New(rand.NewPCG(seed, 0)), kinds: chosen, longest: longest}
}

// next draws, from a round of all kinds so that each comes its turn, what can
// strike so many nodes.
func (p *planner) next(nodes int) episode {
	f := p.draw(nodes, false)
	for f.kind == nil { // a new round
		for _, k := range p.kinds {
			for range max(1, k.rounds) {
				p.waiting = append(p.waiting, k)
			}
		}
		p.random.Shuffle(len(p.waiting), func(i, j int) { p.waiting[i], p.waiting[j] = p.waiting[j], p.waiting[i] })
		f = p.draw(nodes, false)
	}
	e := episode{f}
	for p.random.IntN(3) == 0 && len(e) < 3 {
		if f := p.draw(nodes, true); f.kind != nil {
			f.after = time.Duration(p.random.Float64() * float64(e[0].lasts+300*time.Millisecond))
			e = append(e, f)
		}
	}
	return e
}

// draw takes the first that fits; a fault without a kind when none does.
func (p *planner) draw(nodes int, light bool) fault {
	for i, k := range p.waiting {
		if light && !k.light || k.nodes > nodes {
			continue
		}
		p.waiting = append(p.waiting[:i:i], p.waiting[i+1:]...)
		f := fault{kind: k, target: p.random.Uint64()}
		if most := min(k.most, p.longest); most > 0 { // short ones more often than long ones
			least := min(k.least, most)
			f.lasts = time.Duration(float64(least) * math.Pow(float64(most)/float64(least), p.random.Float64()))
		}
		return f
	}
	return fault{}
}

func (r *run) pickNode(pick *rand.Rand) *node { return r.world.nodes[pick.IntN(len(r.world.nodes))] }

func killNode(signal syscall.Signal) func(*run, *rand.Rand) (func(), error) {
	return func(r *run, pick *rand.Rand) (func(), error) {
		n := r.pickNode(pick)
		n.stop(signal)
		return n.resume, nil
	}
}

func freezeNode(r *run, pick *rand.Rand) (func(), error) {
	n := r.pickNode(pick)
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
		before := n.pid()
		n.stop(syscall.SIGTERM)
		n.resume()
		for deadline := time.Now().Add(30 * time.Second); n.pid() == before || !n.ready(); {
			if !sleep(r.ctx, 20*time.Millisecond) || time.Now().After(deadline) {
				return nil, fmt.Errorf("%s did not come back", n.name)
			}
		}
	}
	return nil, nil
}

// exhaustFiles leaves a node no file descriptors and takes the few that are
// left by connections that say nothing.
func exhaustFiles(r *run, pick *rand.Rand) (func(), error) {
	n := r.pickNode(pick)
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
	err = db.QueryRow(`select pid from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()
		order by md5(pid::text || $2) limit 1`, database, fmt.Sprint(pick.Uint32())).Scan(&pid)
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
	take := func(n int) (taken int) {
		for range n {
			db, err := r.world.openSQL()
			if err != nil {
				continue
			}
			db.SetMaxOpenConns(1)
			if db.Ping() != nil {
				db.Close()
				continue
			}
			hogs = append(hogs, db)
			taken++
		}
		return taken
	}
	take(mostConnections)
	if len(hogs) > 0 {
		if _, err := hogs[0].Exec(`select pg_terminate_backend(pid) from pg_stat_activity
			where datname = $1 and query not ilike '%pg_terminate%' and query <> ''`, database); err != nil {
			r.log.Warn("the nodes keep their connections", "err", err)
		}
	}
	take(mostConnections)
	r.log.Info("connections taken", "n", len(hogs))
	return func() {
		for _, db := range hogs {
			db.Close()
		}
	}, nil
}

// fillDisk leaves Postgres no place to write.
func fillDisk(r *run, _ *rand.Rand) (func(), error) {
	if !r.world.tmpfs {
		return nil, errNotHere
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
	return func() { os.Remove(path) }, nil
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

// loseHints lets what nodes tell each other vanish.
func loseHints(r *run, _ *rand.Rand) (func(), error) {
	var silent []*wire
	for _, w := range r.world.toPostgres.all() {
		if w.listens.Load() {
			w.fallSilent()
			silent = append(silent, w)
		}
	}
	if len(silent) == 0 {
		return nil, errNotHere
	}
	return func() {
		for _, w := range silent {
			w.cut()
		}
	}, nil
}

// repeatHints repeats what nodes tell each other: twice, late, and with
// numbers of long ago, of never, and no sense.
func repeatHints(r *run, pick *rand.Rand) (func(), error) {
	ctx, cancel := context.WithCancel(r.ctx)
	say := func(payload string) {
		if err := r.world.notify(payload); err != nil && ctx.Err() == nil {
			r.log.Warn("could not repeat a hint", "err", err)
		}
	}
	err := r.world.overhear(ctx, func(payload string) {
		var e map[string]any
		if json.Unmarshal([]byte(payload), &e) != nil || strings.HasPrefix(fmt.Sprint(e["n"]), "chaos") {
			return
		}
		e["n"] = "chaos" // from a stranger, so that every node takes it
		again, _ := json.Marshal(e)
		time.AfterFunc(time.Duration(rand.IntN(800))*time.Millisecond, func() {
			if ctx.Err() == nil {
				say(string(again))
			}
		})
	})
	if err != nil {
		cancel()
		return nil, err
	}
	rev := r.highest.Load()
	for _, payload := range []string{
		`{"n":"chaos","r":{"1":1}}`, fmt.Sprintf(`{"n":"chaos","r":{"1":%d}}`, pick.Int64N(rev+1)),
		fmt.Sprintf(`{"n":"chaos","r":{"1":%d}}`, rev+1000), `{"n":"chaos","r":{"1":9223372036854775807}}`,
		`{"n":"chaos","r":{"99":7}}`, `{"n":"chaos","k":"never heard of","d":{}}`, `not JSON`, `{}`,
	} {
		say(payload)
	}
	return cancel, nil
}

// some are a few of the connections of readers and of the browser.
func (r *run) some(pick *rand.Rand, part float64) []*wire {
	wires := append(r.world.readers.all(), r.world.pages.all()...)
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
// the watchdog of their pages can find out.
func silenceConnections(r *run, pick *rand.Rand) (func(), error) {
	for _, w := range r.some(pick, 0.1) {
		w.fallSilent()
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
