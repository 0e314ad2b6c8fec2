package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"parlor/app"
	"parlor/app/demo"
	"parlor/db"
)

// runDemo is `parlor demo`: it serves a conversation that shows what there is,
// from a data folder of its own, which it fills the first time.
func runDemo(args []string) error {
	cfg, err := app.ReadConfig(args, os.Getenv, os.Stderr)
	if err != nil {
		return err
	}
	if cfg.DatabaseURL != "" {
		return errors.New("the demo has a database of its own; leave DATABASE_URL out")
	}
	if cfg.Data == app.DefaultConfig().Data {
		cfg.Data = "data-demo"
	}
	return run(cfg, func(ctx context.Context, url string) (front, error) {
		people, err := demoPeople(ctx, cfg, url)
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(cfg.Addr)
		if err != nil {
			return nil, fmt.Errorf("the address %q: %w", cfg.Addr, err)
		}
		here := "http://localhost:" + port
		fmt.Fprintf(os.Stderr, "\nThis is the demo, kept in %s. Look at it as a stranger at %s/\nor become one of these, each in a browser (or private window) of its own:\n", cfg.Data, here)
		for _, name := range slices.Sorted(maps.Keys(people)) {
			fmt.Fprintf(os.Stderr, "  %s\t%s%s\n", name, here, demo.DoorPath(name))
		}
		fmt.Fprintln(os.Stderr)
		return func(store *db.Store, server http.Handler) http.Handler { return demo.Door(server, store, people) }, nil
	})
}

// demoPeople fills the demo's database, unless that was done, and returns the
// cookies of its people.
func demoPeople(ctx context.Context, cfg app.Config, url string) (people map[string]*http.Cookie, err error) {
	file := filepath.Join(cfg.Data, "people.json")
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &people)
		return people, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	people, err = demo.Fill(ctx, cfg, url, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%w\nIf an earlier start was interrupted, remove the folder %s and start again", err, cfg.Data)
	}
	if text, err = json.Marshal(people); err != nil {
		return nil, err
	}
	return people, os.WriteFile(file, text, 0o600)
}
