package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// settings of a run. A run with the same seed, phases, faults and longest
// plans the same faults in the same order; how long each recovery takes, and
// therefore what happens at which second, is the machine's.
type settings struct {
	seed        uint64
	lasts       time.Duration
	phases      []phase
	faults      string
	longest     time.Duration // of any fault
	watchdog    time.Duration // of the readers, in place of the page's 25 s
	readerCount int
	posterCount int
	pageCount   int
	rate        float64 // things said, edited and deleted per second
	dir         string
}

// run is a chaos run.
type run struct {
	settings
	ctx   context.Context
	log   *slog.Logger
	world *world

	subscribers []*subscriber
	posters     []*poster
	pages       *browser

	every   atomic.Int64 // nanoseconds between two things a poster does
	highest atomic.Int64 // acknowledged number
	cutAt   atomic.Int64 // see cutInEvents
	sweptTo atomic.Int64 // see sweepBytes

	mu        sync.Mutex
	probe     time.Time // the first acknowledgement of what was tried after this
	probed    int64     // has this number
	busy      int       // faults under way
	quietFrom time.Time // end of the last fault,
	lastKind  string    // which was of this kind
	report    *report
}

// do is the whole run: it starts the world, lets faults strike it, and
// compares what is left.
func (r *run) do() (*report, error) {
	r.report = &report{settings: r.settings, begun: time.Now()}
	for _, p := range r.phases {
		if !slices.ContainsFunc(r.chosen(), p.permits) {
			return nil, fmt.Errorf("no fault of %q can strike %d nodes; -list names all", r.faults, p.nodes)
		}
	}
	w, err := newWorld(r.ctx, r.log, r.dir)
	if err != nil {
		return nil, err
	}
	r.world = w
	defer w.end()
	if w.nats == nil { // this version of the program has no NATS
		if r.phases = slices.DeleteFunc(r.phases, func(p phase) bool { return p.bus == byNATS }); len(r.phases) == 0 {
			return nil, errors.New("the program knows nothing of NATS")
		}
		r.report.notRun("NATS restarted")
	}
	if err := w.enter(r.ctx, r.phases[0]); err != nil {
		return nil, err
	}
	r.every.Store(int64(float64(time.Second) * float64(r.posterCount) / r.rate))
	r.sweptTo.Store(r.sweepsFrom())

	stopReading := r.startReaders()
	defer stopReading()
	if r.pageCount > 0 {
		if r.pages, err = openBrowser(r.ctx, r.pageCount, "http://"+w.pages.addr()+room); err != nil {
			return nil, err
		}
		defer r.pages.end()
	}
	stopPosting := r.startPosters()
	defer stopPosting()
	if err := r.complete(time.Now(), 30*time.Second); err != nil {
		return nil, fmt.Errorf("before any fault: %w", err)
	}

	began, plan := time.Now(), newPlanner(r.seed, r.chosen(), r.longest)
	for i, p := range r.phases {
		if err := w.enter(r.ctx, p); err != nil {
			return nil, err
		}
		r.log.Info("phase", "nodes", p.nodes, "bus", p.bus)
		r.strike(plan, p, began.Add(r.lasts*time.Duration(i+1)/time.Duration(len(r.phases))))
	}

	// Everything works again. Whoever posts finishes, whoever reads gets what
	// is left.
	stopPosting()
	history, rev, err := r.history()
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	for deadline := time.Now().Add(r.watchdog*6/5 + 15*time.Second); len(r.behind(rev, nil)) > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	var records []record
	if r.pages != nil {
		records = r.pages.records(history)
	}
	stopReading()
	return r.conclude(history, rev, records), r.ctx.Err()
}

// sweepers is how many readers are there to be cut at each byte.
const sweepers = 8

// sweepsFrom is the byte at which sweepBytes begins. No run reaches all of
// them, so each begins elsewhere.
func (r *run) sweepsFrom() int64 { return int64(r.seed % sweepLength) }

// startReaders lets readers read until stop.
func (r *run) startReaders() (stop func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	var reading sync.WaitGroup
	for i := range r.readerCount {
		way, name, hurry := r.world.readers, fmt.Sprintf("reader %d", i+1), 1
		if i < sweepers {
			way, name, hurry = r.world.knife, fmt.Sprintf("hasty reader %d", i+1), 100
		}
		s := newSubscriber(name, "http://"+way.addr()+room, r.watchdog)
		s.gzip, s.hurry = i%3 == 2, hurry
		r.subscribers = append(r.subscribers, s)
		reading.Go(func() { s.run(ctx) })
	}
	reading.Go(func() { r.watchSilent(ctx) })
	return func() {
		cancel()
		reading.Wait()
	}
}

// startPosters lets posters post until stop, which waits for a minute at most
// until all they have begun is acknowledged.
func (r *run) startPosters() (stop func()) {
	begin, cancel := context.WithCancel(r.ctx)
	insist, giveUp := context.WithCancel(r.ctx)
	var posting sync.WaitGroup
	for i := range r.posterCount {
		p := newPoster(fmt.Sprintf("poster %d", i+1), "http://"+r.world.posters.addr(), room, r.seed+uint64(i), i%2 == 0)
		p.every, p.acked = &r.every, r.acked
		if i == 0 { // one who is never content, so that changes of one message overtake each other
			p.edits, p.latest = 80, 1
		}
		r.posters = append(r.posters, p)
		posting.Go(func() { p.run(begin, insist) })
	}
	return func() {
		cancel()
		late := time.AfterFunc(time.Minute, giveUp)
		defer late.Stop()
		posting.Wait()
		giveUp()
	}
}

// history reads the room as soon as Postgres lets it.
func (r *run) history() (rows []row, rev int64, err error) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		if rows, rev, err = r.world.history(r.ctx); err == nil || time.Now().After(deadline) {
			return rows, rev, err
		}
		if !sleep(r.ctx, 100*time.Millisecond) {
			return nil, 0, r.ctx.Err()
		}
	}
}

// conclude puts all records together and has them checked. Nobody reads or
// posts any more.
func (r *run) conclude(history []row, rev int64, records []record) *report {
	afresh := newSubscriber("afresh", "http://"+r.world.readers.addr()+room, r.watchdog)
	problem := afresh.load(r.ctx)
	for _, s := range r.subscribers {
		rec := s.record()
		if rec.Fresh = afresh.model.wholes(); problem != nil {
			rec.Problems = append(rec.Problems, fmt.Sprintf("no page to compare with: %v", problem))
		}
		if got := s.rev.Load(); got != rev {
			rec.Problems = append(rec.Problems, fmt.Sprintf("ended at number %d, the room is at %d", got, rev))
		}
		records = append(records, rec)
		r.report.streams += s.answers.Load()
	}
	var posts []*post
	renames := make(map[string][]*change)
	for _, p := range r.posters {
		renames[p.name] = p.renames
		posts = append(posts, p.posts...)
		r.report.tries += p.tries
		r.report.refused = append(r.report.refused, p.problems...)
	}
	for _, n := range r.world.nodes {
		r.report.fell += n.fell.Load()
	}
	r.report.swept = r.sweptTo.Load() - r.sweepsFrom()
	r.report.verdict = check(posts, renames, history, records)
	r.report.history = len(history)
	r.report.took = time.Since(r.report.begun)
	return r.report
}

// chosen are the kinds of fault that the settings name.
func (r *run) chosen() []*kind {
	var chosen []*kind
	for _, k := range kinds {
		for part := range strings.SplitSeq(r.faults, ",") {
			if strings.Contains(k.name, strings.TrimSpace(part)) {
				chosen = append(chosen, k)
				break
			}
		}
	}
	return chosen
}

// strike lets one episode follow the other.
func (r *run) strike(plan *planner, in phase, until time.Time) {
	for time.Now().Before(until) && r.ctx.Err() == nil {
		e := plan.next(in)
		var under sync.WaitGroup
		for _, f := range e {
			under.Go(func() { r.one(f) })
		}
		under.Wait()
		r.mu.Lock()
		ended, last := r.quietFrom, r.lastKind
		r.mu.Unlock()
		err := r.complete(ended, 30*time.Second)
		took := time.Since(ended)
		if err != nil {
			r.log.Error("not complete", "after", took.Round(time.Millisecond), "last", last, "err", err)
		}
		r.mu.Lock()
		r.report.recovered(last, took)
		r.mu.Unlock()
		r.log.Info("complete", "after", took.Round(time.Millisecond), "highest", r.highest.Load())
		sleep(r.ctx, 200*time.Millisecond)
	}
}

// one lets one fault strike, waits, and takes its cause away.
func (r *run) one(f fault) {
	if !sleep(r.ctx, f.after) {
		return
	}
	r.mu.Lock()
	r.busy++
	r.mu.Unlock()
	began := time.Now()
	heal, err := f.kind.strike(r, rand.New(rand.NewPCG(f.target, 1)))
	if errors.Is(err, errNotHere) {
		f.lasts = 0
	}
	sleep(r.ctx, f.lasts)
	if heal != nil {
		heal()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	r.quietFrom, r.lastKind = time.Now(), f.kind.name
	if errors.Is(err, errNotHere) {
		r.report.notRun(f.kind.name)
		return
	}
	if err != nil {
		r.log.Error("a fault did not strike as it should", "kind", f.kind.name, "err", err)
		r.report.odd = append(r.report.odd, fmt.Sprintf("%s: %v", f.kind.name, err))
	}
	r.report.struck = append(r.report.struck, f.kind.name)
	r.log.Info("fault", "kind", f.kind.name, "lasted", time.Since(began).Round(time.Millisecond))
}

// acked hears of everything that is acknowledged.
func (r *run) acked(rev int64, began time.Time) {
	for at := r.highest.Load(); rev > at && !r.highest.CompareAndSwap(at, rev); at = r.highest.Load() {
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rev > 0 && r.probed == 0 && !began.Before(r.probe) {
		r.probed = rev
	}
}

// complete waits until something that was first tried after the moment is
// acknowledged, and everybody shows the room up to there at least; but for
// those whose connections are silent.
func (r *run) complete(since time.Time, most time.Duration) error {
	r.mu.Lock()
	r.probe, r.probed = since, 0
	r.mu.Unlock()
	for deadline := time.Now().Add(most); ; {
		r.mu.Lock()
		rev := r.probed
		r.mu.Unlock()
		var behind []string
		if rev > 0 {
			if behind = r.behind(rev, r.world.readers.silenced()); len(behind) == 0 {
				return nil
			}
		}
		if !sleep(r.ctx, 5*time.Millisecond) || time.Now().After(deadline) {
			return fmt.Errorf("acknowledged since then: %d; behind it: %s", rev, strings.Join(behind[:min(len(behind), 5)], "; "))
		}
	}
}

// behind names the readers that do not show the room up to a number.
func (r *run) behind(rev int64, excused map[string]bool) []string {
	var names []string
	for _, s := range r.subscribers {
		if at := s.rev.Load(); at < rev && !excused[s.local.Load().(string)] {
			names = append(names, fmt.Sprintf("%s at %d", s.name, at))
		}
	}
	return names
}

// watchSilent measures how soon a reader whose watchdog went off has what was
// acknowledged by then, where no other fault is in the way.
func (r *run) watchSilent(ctx context.Context) {
	type wait struct {
		from time.Time
		rev  int64
	}
	waits, handled := make(map[*subscriber]wait), make(map[*subscriber]int64)
	for sleep(ctx, 5*time.Millisecond) {
		r.mu.Lock()
		busy, quiet := r.busy > 0, r.quietFrom
		r.mu.Unlock()
		for _, s := range r.subscribers {
			if at := s.stalled.Load(); at != handled[s] {
				handled[s] = at
				waits[s] = wait{time.Unix(0, at), r.highest.Load()}
			}
			switch w, ok := waits[s]; {
			case !ok:
			case busy || quiet.After(w.from):
				delete(waits, s)
			case s.rev.Load() >= w.rev:
				delete(waits, s)
				r.mu.Lock()
				r.report.recovered(silentKind, time.Since(w.from))
				r.mu.Unlock()
			}
		}
	}
}

const silentKind = "(silent: after the watchdog)"
