package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// warm measures a start: from the execution of the program, with a private
// cluster that is there already, to the first page.
func (b *bench) warm(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	data := filepath.Join(b.dir, "warm")
	cold, err := b.firstPage(ctx, data)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for range b.rounds {
		t, err := b.firstPage(ctx, data)
		if err != nil {
			return nil, err
		}
		took = append(took, t)
	}
	slices.Sort(took)
	const name = "start, to the first page"
	return []row{
		alone(name, "seconds, with a warm cluster", most(0.5), took[len(took)/2].Seconds()),
		alone(name, "seconds, making the cluster", none, cold.Seconds()),
	}, nil
}

// firstPage starts Parlor on its own cluster and stops it when it has answered.
func (b *bench) firstPage(ctx context.Context, data string) (time.Duration, error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	p, err := launch(ctx, b.binary, append(b.parlorEnv(addr), "DATABASE_URL=", "PARLOR_DATA="+data))
	if err != nil {
		return 0, err
	}
	var took time.Duration
	for ; took == 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience || ctx.Err() != nil {
			_ = p.end()
			return 0, fmt.Errorf("there is no page: %s", p.said())
		}
		conn, err := net.Dial("tcp", addr) // or net/http would wait longer and longer
		if err != nil {
			continue
		}
		conn.Close()
		resp, err := http.Get("http://" + addr + roomPath)
		if err != nil {
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			took = time.Since(began)
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		return 0, fmt.Errorf("stop: %w%s", err, p.said())
	}
	return took, nil
}
