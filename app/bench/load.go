package main

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// load is what many clients did.
type load struct {
	took   []time.Duration // sorted
	lasted time.Duration
}

// drive has clients repeat something for a while, each on its own.
func drive(ctx context.Context, clients int, lasts time.Duration, do func(ctx context.Context, client int) error) (load, error) {
	took := make([][]time.Duration, clients)
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			for time.Since(began) < lasts {
				at := time.Now()
				if err := do(ctx, client); err != nil {
					return err
				}
				took[client] = append(took[client], time.Since(at))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return load{}, err
	}
	l := load{slices.Concat(took...), time.Since(began)}
	slices.Sort(l.took)
	return l, nil
}

// share has clients do something a number of times together.
func share(ctx context.Context, clients, times int, do func(ctx context.Context, client int) error) error {
	var begun atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for client := range min(clients, times) {
		group.Go(func() error {
			for begun.Add(1) <= int64(times) {
				if err := do(ctx, client); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// steadily begins something every so often, whether what was begun before has
// ended or not, and tells each when it was to begin: a server that is late
// makes nobody wait with the next request, and all that wait count.
func steadily(ctx context.Context, times int, every time.Duration, do func(ctx context.Context, i int, at time.Time) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(1000)
	began := time.Now()
	for i := range times {
		at := began.Add(time.Duration(i) * every)
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return group.Wait()
		}
		group.Go(func() error { return do(ctx, i, at) })
	}
	return group.Wait()
}

func (l load) perSecond() float64 { return float64(len(l.took)) / l.lasted.Seconds() }

// each is a part of a whole, for each time it was done.
func (l load) each(whole time.Duration) time.Duration {
	return whole / time.Duration(max(len(l.took), 1))
}

// quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(math.Ceil(q*float64(len(sorted))))-1]
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
func microseconds(d time.Duration) float64 { return float64(d) / 1e3 }

// sample is what one round measured, always in the same order.
type sample []float64

// alternate measures several things in turn, so that a noisy moment meets all
// of them, and returns the median of each figure of each.
func alternate(rounds int, measures ...func() (sample, error)) ([]sample, error) {
	all := make([][]sample, len(measures))
	for range rounds {
		for i, measure := range measures {
			s, err := measure()
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], s)
		}
	}
	medians := make([]sample, len(measures))
	for i, samples := range all {
		for figure := range samples[0] {
			var values []float64
			for _, s := range samples {
				values = append(values, s[figure])
			}
			slices.Sort(values)
			medians[i] = append(medians[i], values[len(values)/2])
		}
	}
	return medians, nil
}
