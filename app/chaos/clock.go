package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"parlor/app"
	"parlor/db"
)

// One of the nodes is the program with another clock: this binary, started
// with a file that says by how much its clock is wrong. Everything else in it
// is what main.go composes, but for the private Postgres, TLS and a gentle end.

// clockVariable names the environment variable with the file's path.
const clockVariable = "CHAOS_CLOCK"

// asNode runs a node, if this process was started to be one, and ends it.
func asNode() {
	path := os.Getenv(clockVariable)
	if path == "" {
		return
	}
	if err := runNode(path); err != nil {
		fmt.Fprintln(os.Stderr, "chaos node:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runNode(path string) error {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	cfg, err := app.ReadConfig(nil, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	var wrong atomic.Int64
	readClock := func() {
		if text, err := os.ReadFile(path); err == nil {
			if by, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
				wrong.Store(int64(by))
			}
		}
	}
	readClock()
	go func() {
		for sleep(stop, 20*time.Millisecond) {
			readClock()
		}
	}()
	store, err := db.Open(stop, cfg.DatabaseURL, db.Options{
		Connections: cfg.DatabaseConnections,
		Now:         func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) },
	})
	if err != nil {
		return err
	}
	defer store.Close()
	life, end := context.WithCancel(context.Background())
	defer end()
	server, err := app.New(life, cfg, cfg.DatabaseURL, store, slog.Default())
	if err != nil {
		return err
	}
	web := &http.Server{Addr: cfg.Addr, Handler: server, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	ctx, cancelWait := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancelWait()
	return web.Shutdown(ctx) // open streams are just cut
}
