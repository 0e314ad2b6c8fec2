package main

import (
	"context"
	"fmt"
	"net/http"
)

// foreign measures any server that sends server-sent events and takes what is
// to be sent as a form: how long it takes from a post to its arrival at each
// reader, and how many arrive per second. The ceiling is the write loop with
// events of the same bytes.
func (b *bench) foreign(ctx context.Context, at place, readers int) ([]row, error) {
	if err := teach(ctx, at, b.loop); err != nil {
		return nil, err
	}
	measured, err := alternate(b.rounds,
		func() (sample, error) { return b.talk(ctx, at, readers) },
		func() (sample, error) {
			loop, err := b.place(ctx, b.loop, at.gzip)
			loop.mark = at.mark
			if err != nil {
				return nil, err
			}
			return b.talk(ctx, loop, readers)
		})
	if err != nil {
		return nil, err
	}
	return rows(fmt.Sprintf("fan-out to %d; ceiling: a bare write loop", readers), b.figures(readers)[:3], nil, measured[0], measured[1]), nil
}

// elsewhere is a place as the flags describe it.
func elsewhere(stream, post, template, cookie, mark string, gzip bool) (place, error) {
	at := place{stream: stream, mark: mark, gzip: gzip}
	if cookie != "" {
		at.cookies = []string{cookie}
	}
	client := subject{}.stranger(talkers).client
	client.Transport.(*http.Transport).Proxy = nil
	talk, err := form(client, post, template, cookie)
	if err != nil {
		return at, err
	}
	for range talkers {
		at.talkers = append(at.talkers, talk)
	}
	return at, nil
}
