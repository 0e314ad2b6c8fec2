package main

import (
	"context"
	"fmt"
	"time"
)

// memory measures what an idle stream costs the server's process: what it has
// more after opening many than before, divided by their number, once after a
// rest and once at the highest point. Each server is a fresh process, so that
// nothing that was freed before hides what is needed.
//
// A Go program gives back what opening the streams took after its next garbage
// collection, which an idle one has every two minutes. So only a rest longer
// than that shows what a stream costs for good.
func (b *bench) memory(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	var out []row
	for _, streams := range b.idle {
		parlor, err := b.idleStreams(ctx, b.startParlor, streams)
		if err != nil {
			return nil, err
		}
		bare, err := b.idleStreams(ctx, func(ctx context.Context) (subject, error) {
			s, err := startBare(ctx, bareLoop)
			if err != nil {
				return s, err
			}
			at, err := b.place(ctx, b.parlor, false)
			if err != nil {
				return s, err
			}
			return s, teach(ctx, at, s)
		}, streams)
		if err != nil {
			return nil, fmt.Errorf("bare write loop: %w", err)
		}
		name := fmt.Sprintf("memory of %d idle streams; ceiling: a bare write loop", streams)
		out = append(out, rows(name, []string{
			fmt.Sprintf("KiB per stream after %v", b.rest), "KiB per stream at most", "MiB of the process without streams",
		}, []target{most(4), none, none}, parlor, bare)...)
	}
	return out, nil
}

func (b *bench) idleStreams(ctx context.Context, start func(context.Context) (subject, error), streams int) (sample, error) {
	s, err := start(ctx)
	if err != nil {
		return nil, err
	}
	defer s.process.end()
	at, err := b.place(ctx, s, false)
	if err != nil {
		return nil, err
	}
	before := s.resident()
	c, err := gather(ctx, at, streams)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	select {
	case <-time.After(b.rest):
	case err := <-c.failed:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	each := func(bytes int64) float64 { return float64(bytes-before) / 1024 / float64(streams) }
	return sample{each(s.resident()), each(s.highest()), float64(before) / (1 << 20)}, nil
}
