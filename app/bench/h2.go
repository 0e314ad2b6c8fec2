package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// http2 measures what an idle stream costs over HTTP/2 with TLS, each on a
// connection of its own.
func (b *bench) http2(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	name := fmt.Sprintf("memory of %d idle streams, HTTP/2 with TLS", b.http2Streams)
	first := fmt.Sprintf("KiB per stream after %v", b.rest)
	help, _ := exec.CommandContext(ctx, b.binary, "-h").CombinedOutput()
	if !strings.Contains(string(help), "PARLOR_TLS)") {
		return []row{notMeasured(name, first, most(40), "there is no PARLOR_TLS yet")}, nil
	}
	plain, err := b.place(ctx, b.parlor, false) // the same room
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, "https", b.binary, func(addr string) []string {
		return append(parlorEnv(addr), "DATABASE_URL="+b.database, "PARLOR_TLS=self-signed", "PARLOR_DATA="+filepath.Join(b.dir, "tls"))
	})
	if err != nil {
		return nil, fmt.Errorf("start Parlor with TLS: %w", err)
	}
	defer s.process.end()
	before := s.resident()
	stream := s.base + strings.TrimPrefix(plain.stream, b.parlor.base)

	streams, leave := context.WithCancel(ctx)
	var held sync.Mutex
	var bodies []io.Closer
	defer func() {
		leave()
		for _, body := range bodies {
			body.Close()
		}
	}()
	group, opening := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for range b.http2Streams {
		group.Go(func() error {
			if opening.Err() != nil {
				return nil
			}
			transport := anyCertificate()
			transport.ForceAttemptHTTP2 = true
			req, err := http.NewRequestWithContext(streams, http.MethodGet, stream, nil)
			if err != nil {
				return err
			}
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				return err
			}
			held.Lock()
			bodies = append(bodies, resp.Body)
			held.Unlock()
			if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("no stream over HTTP/2 but %s %s", resp.Proto, resp.Status)
			}
			go io.Copy(io.Discard, resp.Body)
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
	return []row{
		alone(name, first, most(40), each(s.resident())),
		alone(name, "KiB per stream at most", none, each(s.highest())),
	}, nil
}
