package main

import (
	"math"
	"math/rand/v2"
	"time"
)

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
// strike in the phase.
func (p *planner) next(in phase) episode {
	f := p.draw(in, false)
	for f.kind == nil { // a new round
		for _, k := range p.kinds {
			for range max(1, k.rounds) {
				p.waiting = append(p.waiting, k)
			}
		}
		p.random.Shuffle(len(p.waiting), func(i, j int) { p.waiting[i], p.waiting[j] = p.waiting[j], p.waiting[i] })
		f = p.draw(in, false)
	}
	e := episode{f}
	for p.random.IntN(2) == 0 && len(e) < 4 {
		if f := p.draw(in, true); f.kind != nil {
			f.after = time.Duration(p.random.Float64() * float64(e[0].lasts+300*time.Millisecond))
			e = append(e, f)
		}
	}
	return e
}

// draw takes the first that fits; a fault without a kind when none does.
func (p *planner) draw(in phase, light bool) fault {
	for i, k := range p.waiting {
		if light && !k.light || !in.permits(k) {
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

// phase is a part of a run: so many nodes, connected by a bus.
type phase struct {
	nodes int
	bus   string
}

const (
	byPostgres = "Postgres"
	byNATS     = "NATS"
)

func (p phase) permits(k *kind) bool { return p.nodes >= k.nodes && (k.bus == "" || k.bus == p.bus) }
