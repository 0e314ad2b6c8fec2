package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// http2 measures what an idle stream costs over HTTP/2 with TLS, each on a
// connection of its own.
func (b *bench) http2(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	name := fmt.Sprintf("memory of %d idle streams, HTTP/2 with TLS; ceiling: a Go handler with channel and flush", b.http2Streams)
	at, err := b.place(ctx, b.parlor, false) // the same room
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(at.stream, b.parlor.base)
	parlor, err := start(ctx, "https", b.binary, func(addr string) []string {
		return append(b.parlorEnv(addr), "DATABASE_URL="+b.database, "PARLOR_TLS=self-signed")
	})
	if err != nil {
		return nil, fmt.Errorf("start Parlor with TLS: %w", err)
	}
	defer parlor.process.end()
	bare, err := startBare(ctx, bareSecure)
	if err != nil {
		return nil, err
	}
	defer bare.process.end()
	var measured [2]sample
	for i, s := range []subject{parlor, bare} {
		if measured[i], err = b.secureStreams(ctx, s, path); err != nil {
			return nil, err
		}
	}
	return rows(name, []string{fmt.Sprintf("KiB per stream after %v", b.rest), "KiB per stream at most"},
		[]target{most(40), none}, measured[0], measured[1]), nil
}

func (b *bench) secureStreams(ctx context.Context, s subject, path string) (sample, error) {
	before := s.resident()
	streams, leave := context.WithCancel(ctx)
	defer leave()
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for range b.http2Streams {
		group.Go(func() error {
			if opening.Err() != nil {
				return nil
			}
			transport := anyCertificate()
			transport.ForceAttemptHTTP2 = true // and compressed if the server likes, as browsers do
			req, err := http.NewRequestWithContext(streams, http.MethodGet, s.base+path, nil)
			if err != nil {
				return err
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				return err
			}
			if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
				resp.Body.Close()
				return fmt.Errorf("no stream over HTTP/2 but %s %s", resp.Proto, resp.Status)
			}
			go func() {
				_, _ = io.Copy(io.Discard, resp.Body) // until leave
				resp.Body.Close()
				transport.CloseIdleConnections()
			}()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	select {
	case <-time.After(b.rest):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	each := func(bytes int64) float64 { return float64(bytes-before) / 1024 / float64(b.http2Streams) }
	return sample{each(s.resident()), each(s.highest())}, nil
}
