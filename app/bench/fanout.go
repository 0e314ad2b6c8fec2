package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// fanOut measures a room in which everybody reads what one person writes at a
// steady pace, and then what many write as fast as they can. A message counts
// as delivered when a reader has the whole event that shows it.
func (b *bench) fanOut(ctx context.Context) ([]row, error) {
	at, err := b.place(ctx, b.parlor, false)
	if err != nil {
		return nil, err
	}
	if err := teach(ctx, at, b.bare, b.loop); err != nil {
		return nil, err
	}
	var out []row
	for _, readers := range b.readers {
		more, err := b.fanOutTo(ctx, readers)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// teach shows bare servers what a message is at a place.
func teach(ctx context.Context, at place, bare ...subject) error {
	event, err := at.event(ctx)
	if err != nil {
		return fmt.Errorf("see an event of %s: %w", at.stream, err)
	}
	for _, s := range bare {
		if err := s.keep(ctx, streamPath, event); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fanOutTo(ctx context.Context, readers int) ([]row, error) {
	kinds := []struct {
		at   subject
		gzip bool
	}{{b.parlor, false}, {b.loop, false}, {b.bare, false}, {b.loop, true}, {b.parlor, true}}
	var measures []func() (sample, error)
	for _, kind := range kinds {
		measures = append(measures, func() (sample, error) {
			at, err := b.place(ctx, kind.at, kind.gzip)
			if err != nil {
				return nil, err
			}
			return b.talk(ctx, at, readers)
		})
	}
	packed := true
	if at, err := b.place(ctx, b.parlor, true); err != nil {
		return nil, err
	} else if c, err := gather(ctx, at, 1); errors.Is(err, errNotCompressed) {
		packed, measures = false, measures[:3]
	} else if err != nil {
		return nil, err
	} else {
		c.leave()
	}
	measured, err := alternate(b.rounds, measures...)
	if err != nil {
		return nil, err
	}
	names := b.figures(readers)
	targets := []target{none, ratioMost(1.5), ratioLeast(0.8), ratioMost(1.4), ratioMost(1.4), ratioMost(1.4), ratioMost(1.4)}
	if !b.own() {
		names, targets = names[:3], targets[:3]
	}
	name := fmt.Sprintf("fan-out to %d", readers)
	out := rows(name+"; ceiling: a bare write loop", names, targets, measured[0], measured[1])
	out = append(out, rows(name+"; ceiling: a Go handler with channel and flush", names, nil, measured[0], measured[2])...)
	if !packed {
		return append(out, notMeasured(name+", compressed", names[3], ratioMost(1.4), errNotCompressed.Error())), nil
	}
	out = append(out, rows(name+", compressed; ceiling: a write loop, compressed", names, targets, measured[4], measured[3])...)
	noWorse := []target{none, ratioMost(1.05), ratioLeast(0.95), ratioMost(1.05), none, ratioMost(1.05), none}
	return append(out, rows(name+", compressed; ceiling: Parlor, not compressed", names, noWorse[:len(names)], measured[4], measured[0])...), nil
}

// figures are the names of what talk measures.
func (b *bench) figures(readers int) []string {
	pace := fmt.Sprintf("%.3g msg/s: ", 1/b.every(readers).Seconds())
	return []string{
		pace + "p50 ms", pace + "p99 ms", "full speed: deliveries/s",
		pace + "CPU µs per delivery", pace + "… without the posts' own",
		"full speed: CPU µs per delivery", "full speed: … without the posts' own",
	}
}

// every is how often a message is posted to so many readers at a steady pace:
// always as many deliveries per second.
func (b *bench) every(readers int) time.Duration {
	return time.Duration(readers) * time.Second / time.Duration(b.pace)
}

// talk is one round: some messages at a steady pace, for the latency, and some
// at full speed, for the rate; before, the same to an empty room, for what the
// posts alone take.
func (b *bench) talk(ctx context.Context, at place, readers int) (sample, error) {
	empty, err := gather(ctx, at, 0)
	if err != nil {
		return nil, err
	}
	paced := max(1, min(int(b.lasts/b.every(readers)), mostPaced))
	burst := max(1, b.burst/readers)
	costs := func(do func() error) (time.Duration, error) {
		before := at.cpu()
		err := do()
		return (at.cpu() - before), err
	}
	const between = 10 * time.Millisecond
	postPaced, err := costs(func() error { _, err := empty.paced(ctx, b.ownPosts, between); return err })
	if err != nil {
		return nil, err
	}
	postBurst, err := costs(func() error { _, err := empty.burst(ctx, b.ownPosts); return err })
	if err != nil {
		return nil, err
	}
	empty.leave()

	c, err := gather(ctx, at, readers)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	before := at.cpu()
	latency, err := c.paced(ctx, paced, b.every(readers))
	if err != nil {
		return nil, err
	}
	pacedCPU := at.cpu() - before
	before = at.cpu()
	took, err := c.burst(ctx, burst)
	if err != nil {
		return nil, err
	}
	burstCPU := at.cpu() - before
	each := func(whole, posts time.Duration, messages int) (with, without float64) {
		n := float64(messages * readers)
		return microseconds(whole) / n, (microseconds(whole) - microseconds(posts)*float64(messages)/float64(b.ownPosts)) / n
	}
	pacedWith, pacedWithout := each(pacedCPU, postPaced, paced)
	burstWith, burstWithout := each(burstCPU, postBurst, burst)
	return sample{
		milliseconds(quantile(latency, 0.5)), milliseconds(quantile(latency, 0.99)),
		float64(burst*readers) / took.Seconds(),
		pacedWith, pacedWithout, burstWith, burstWithout,
	}, nil
}

// mostPaced bounds the messages of a round at a steady pace.
const mostPaced = 1000

// place is the room of a server, from its present number on.
func (b *bench) place(ctx context.Context, s subject, gzip bool) (place, error) {
	people, err := b.people(ctx, s)
	if err != nil {
		return place{}, err
	}
	rev, err := people[0].say(ctx, "Here we go.")
	if err != nil {
		return place{}, err
	}
	at := s.room(roomPath, rev, people)
	at.gzip = gzip
	if s == b.loop {
		at.left = func() {
			req, err := http.NewRequest(http.MethodDelete, s.base+streamPath, nil)
			if err == nil {
				_, _, _ = s.stranger(1).do(req, http.StatusOK)
			}
		}
	}
	return at, nil
}

// room is a room from a number on, with people who talk in it.
func (s subject) room(path string, rev int64, people []*visitor) place {
	at := place{subject: s, stream: fmt.Sprintf("%s%s/stream?after=%d", s.base, path, rev), mark: articleMark, end: "\nid: "}
	for _, p := range people {
		at.talkers = append(at.talkers, func(ctx context.Context, text string) error {
			_, err := p.sayIn(ctx, path, text)
			return err
		})
	}
	return at
}

// people are those who talk in the room of a server.
func (b *bench) people(ctx context.Context, s subject) ([]*visitor, error) {
	if b.talkers == nil {
		b.talkers = make(map[subject][]*visitor)
	}
	if b.talkers[s] == nil {
		people, err := s.guests(ctx, talkers)
		if err != nil {
			return nil, err
		}
		b.talkers[s] = people
	}
	return b.talkers[s], nil
}

// talkers is how many people talk where many do.
const talkers = 16

const articleMark = `<article id="m-` // a message is shown

// event reads off a place what one message is on its stream, for the bare
// servers to send the same bytes.
func (at place) event(ctx context.Context) ([]byte, error) {
	c := &crowd{place: at}
	conn, err := c.dial(ctx, &net.Dialer{}, 0)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	text := message("abcdefgh", 0, 0)
	var seen []byte
	var s stream
	errSeen := errors.New("seen") // ends the reading
	buffer := make([]byte, 64<<10)
	for began := time.Now(); time.Since(began) < patience; {
		// It is said again where the stream had begun but was not subscribed.
		if s.begun && seen == nil {
			if err := at.talkers[0](ctx, text); err != nil {
				return nil, err
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			n, err := conn.Read(buffer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			before := s.begun
			err = s.feed(buffer[:n], new(pieces), func(event []byte) error {
				if seen != nil || bytes.Contains(event, []byte(text)) {
					seen = append(seen, event...)
				}
				if seen != nil && bytes.Contains(event, []byte(at.end)) {
					return errSeen
				}
				return nil
			})
			if errors.Is(err, errSeen) {
				return bytes.ReplaceAll(seen, []byte(text), []byte(textMark)), nil
			}
			if err != nil {
				return nil, err
			}
			if s.begun && !before {
				break
			}
		}
	}
	return nil, errors.New("no event shows what was posted")
}
