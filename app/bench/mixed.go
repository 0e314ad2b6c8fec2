package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// mix is everything at once: readers in some rooms, people who post, type,
// come and go there, and others who look at the pages.
type mix struct {
	readers, rooms int
	posts, views   int // per second
	lasts          time.Duration
}

// Shares of a mix.
const (
	mixedPeople = 200 // with nicknames, who have the streams, or fewer if there are fewer streams
	mixedTyping = 10  // signs of typing per second
	mixedVisits = 5   // comings and goings per second
)

// mixed measures how long it takes from a post to the screens while all of
// that goes on, and whether memory grows by it.
func (b *bench) mixed(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	var out []row
	for _, m := range b.mixes {
		more, err := b.mix(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("with %d rooms: %w", m.rooms, err)
		}
		out = append(out, more...)
	}
	return out, nil
}

func (b *bench) mix(ctx context.Context, m mix) ([]row, error) {
	s, err := b.startParlor(ctx)
	if err != nil {
		return nil, err
	}
	defer s.process.end()
	people, err := s.guests(ctx, min(mixedPeople, m.readers))
	if err != nil {
		return nil, err
	}
	var cookies []string
	for _, p := range people {
		cookies = append(cookies, p.cookies())
	}
	before := s.resident()
	var paths []string
	var crowds []*crowd
	defer func() {
		for _, c := range crowds {
			c.leave()
		}
	}()
	messages := int(m.lasts.Seconds()*float64(m.posts)) / m.rooms * m.rooms
	for i := range m.rooms {
		path, err := people[i%len(people)].makeRoom(ctx, "Mixed "+rand.Text()[:8])
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
		at := s.room(path, 0, people)
		at.cookies = cookies
		c, err := gather(ctx, at, m.readers/m.rooms)
		if err != nil {
			return nil, err
		}
		crowds = append(crowds, c)
		c.expect(messages / m.rooms)
	}

	var took struct {
		sync.Mutex
		views, posts []time.Duration
	}
	note := func(into *[]time.Duration, at time.Time) {
		took.Lock()
		*into = append(*into, time.Since(at))
		took.Unlock()
	}
	some := func(perSecond int, do func(ctx context.Context, i int, at time.Time) error) func() error {
		n := int(m.lasts.Seconds() * float64(perSecond))
		return func() error { return steadily(ctx, n, time.Second/time.Duration(perSecond), do) }
	}
	begin := s.resident()
	var middle int64
	stranger := s.stranger(16)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return steadily(ctx, messages, time.Second/time.Duration(m.posts), func(ctx context.Context, i int, at time.Time) error {
			err := crowds[i%len(crowds)].sayLong(ctx, i%len(people), at, 0)
			note(&took.posts, at)
			return err
		})
	})
	group.Go(some(m.views, func(ctx context.Context, i int, at time.Time) error {
		who := stranger
		if i%2 == 0 {
			who = people[mrand.IntN(len(people))]
		}
		_, err := who.get(ctx, paths[mrand.IntN(len(paths))])
		note(&took.views, at)
		return err
	}))
	group.Go(some(mixedTyping, func(ctx context.Context, _ int, _ time.Time) error {
		_, _, err := people[mrand.IntN(len(people))].post(ctx, paths[mrand.IntN(len(paths))]+"/typing", nil, http.StatusNoContent)
		return err
	}))
	group.Go(some(mixedVisits, func(ctx context.Context, i int, _ time.Time) error {
		return people[i%len(people)].lookIn(ctx, paths[mrand.IntN(len(paths))])
	}))
	group.Go(func() error {
		select {
		case <-time.After(m.lasts / 2):
			middle = s.resident()
		case <-ctx.Done():
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var latency []time.Duration
	for _, c := range crowds {
		if err := c.wait(context.WithoutCancel(ctx)); err != nil {
			return nil, err
		}
		latency = append(latency, c.latencies()...)
	}
	end := s.resident()
	slices.Sort(latency)
	slices.Sort(took.views)
	slices.Sort(took.posts)

	growth := none
	if m.lasts >= 5*time.Minute { // before, memory has not found its size
		growth = ratioMost(1.1)
	}
	name := fmt.Sprintf("all at once for %v: %d streams, %d posts/s, %d views/s, typing, presence; in %d rooms", m.lasts, m.readers, m.posts, m.views, m.rooms)
	if m.rooms == 1 {
		name = strings.TrimSuffix(name, "1 rooms") + "one room"
	}
	mib := func(bytes int64) float64 { return float64(bytes) / (1 << 20) }
	return []row{
		alone(name, "post to screen, p50 ms", none, milliseconds(quantile(latency, 0.5))),
		alone(name, "post to screen, p99 ms", most(100), milliseconds(quantile(latency, 0.99))),
		alone(name, "post acknowledged, p99 ms", none, milliseconds(quantile(took.posts, 0.99))),
		alone(name, "page, p99 ms", none, milliseconds(quantile(took.views, 0.99))),
		alone(name, "MiB before the streams", none, mib(before)),
		alone(name, "MiB at the beginning", none, mib(begin)),
		{group: name, what: "MiB at the end, beside in the middle", target: growth, parlor: mib(end), ceiling: mib(middle)},
	}, nil
}

// lookIn opens a room's stream for a moment.
func (v *visitor) lookIn(ctx context.Context, room string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+room+"/stream", nil)
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return fmt.Errorf("no stream but %s, %q", resp.Status, kind)
	}
	_, err = io.CopyN(io.Discard, resp.Body, 1)
	return err
}
