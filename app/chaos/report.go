package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is what a run says in the end.
type report struct {
	settings
	begun   time.Time
	took    time.Duration
	struck  []string // kinds, in the order of their ends
	times   map[string][]time.Duration
	omitted []string // kinds that the machine does not permit
	odd     []string // faults that did not strike as they should
	refused []string // answers that no poster should get
	verdict *verdict
	history int
	tries   int
	streams int64
	swept   int64
	fell    int64
}

func (r *report) recovered(kind string, took time.Duration) {
	if r.times == nil {
		r.times = make(map[string][]time.Duration)
	}
	r.times[kind] = append(r.times[kind], took)
}

func (r *report) notRun(kind string) {
	if !slices.Contains(r.omitted, kind) {
		r.omitted = append(r.omitted, kind)
	}
}

// broken tells whether a promise is.
func (r *report) broken() bool { return r.verdict.broken() || len(r.refused) > 0 }

func (r *report) print(out io.Writer) {
	struck := make(map[string]int)
	for _, kind := range r.struck {
		struck[kind]++
	}
	fmt.Fprintf(out, "\n%-45s %6s %9s %8s %8s %8s\n", "fault", "struck", "measured", "p50", "p99", "max")
	line := func(name, times string, took []time.Duration) {
		slices.Sort(took)
		fmt.Fprintf(out, "%-45s %6s %9d", name, times, len(took))
		if len(took) > 0 {
			fmt.Fprintf(out, " %7.2fs %7.2fs %7.2fs", quantile(took, 0.5).Seconds(), quantile(took, 0.99).Seconds(), took[len(took)-1].Seconds())
		}
		fmt.Fprintln(out)
	}
	var all []time.Duration
	for _, k := range kinds {
		if slices.Contains(r.omitted, k.name) {
			line(k.name, "not run", nil)
			continue
		}
		if struck[k.name] > 0 {
			line(k.name, fmt.Sprint(struck[k.name]), r.times[k.name])
			all = append(all, r.times[k.name]...)
		}
	}
	line("all", fmt.Sprint(len(r.struck)), all)
	line(silentKind, "", r.times[silentKind])
	v := r.verdict
	fmt.Fprintf(out, `
%d messages and %d changes acknowledged in %d attempts; %d messages stored
%d readers, %d streams opened, %d of them cut at the next byte, %d pages given afresh
lost %d, doubled %d, misordered %d, otherwise wrong %d; answers that should not be: %d; nodes that ended by themselves: %d
seed %d, %s
`, v.Acknowledged, v.Changes, r.tries, r.history, v.Readers, r.streams, r.swept, v.Afresh,
		len(v.Lost), len(v.Doubled), len(v.Misordered), len(v.Wrong), len(r.refused), r.fell, r.seed, r.took.Round(time.Second))
	for _, list := range [][]string{r.odd, r.refused, {v.String()}} {
		if text := strings.Join(list[:min(len(list), 10)], "\n"); text != "" {
			fmt.Fprintln(out, text)
		}
	}
}

// quantile of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
