// Command parlor is a chat that people open in a browser: one program, and
// Postgres for its history.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"parlor/app"
	"parlor/app/doctor"
	"parlor/db"
	"parlor/db/postgres"
	"parlor/static"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "doctor" {
		os.Exit(doctor.Run(os.Args[2:], os.Getenv, os.Stdout))
	}
	if len(os.Args) > 1 {
		if command, ok := commands[os.Args[1]]; ok {
			exit(command(os.Args[2:]))
		}
	}
	cfg, err := app.ReadConfig(os.Args[1:], os.Getenv, os.Stderr)
	if err == nil {
		err = run(cfg, nil)
	}
	exit(err)
}

// commands are what the program does besides serving.
var commands = map[string]func(args []string) error{"backup": runBackup, "restore": runRestore, "demo": runDemo}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "parlor:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// databaseWithin is how long a start waits for a Postgres that is not there yet.
const databaseWithin = time.Minute

// front puts something before the server.
type front func(store *db.Store, server http.Handler) http.Handler

// run composes the program, serves until it is told to stop, and takes it
// apart in the opposite order. prepare, if any, gets the database before it is
// served, and may put something before the server.
func run(cfg app.Config, prepare func(ctx context.Context, url string) (front, error)) error {
	log := slog.Default()
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := static.Check(); err != nil {
		return err
	}
	if cfg.DatabaseURL != "" { // before anybody can connect, who would wait, too
		if err := db.Wait(stop, cfg.DatabaseURL, databaseWithin, func(why error) {
			log.Warn("waiting for Postgres to take connections", "at most", databaseWithin, "why", why)
		}); err != nil {
			return err
		}
	}
	listeners, err := app.Listen(cfg, log)
	if err != nil {
		return err
	}
	defer listeners.Close()

	url := cfg.DatabaseURL
	if url == "" {
		cluster, err := postgres.Start(stop, postgres.Config{Dir: cfg.Data, Bin: os.Getenv("PARLOR_POSTGRES_BIN")})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		url = cluster.URL("parlor")
	}
	before := func(_ *db.Store, server http.Handler) http.Handler { return server }
	if prepare != nil {
		if before, err = prepare(stop, url); err != nil {
			return err
		}
	}
	store, err := db.Open(stop, url, db.Options{Connections: cfg.DatabaseConnections})
	if err != nil {
		return err
	}
	defer store.Close()
	life, end := context.WithCancel(context.Background()) // of what runs beside requests
	defer end()
	server, err := app.New(life, cfg, url, store, log)
	if err != nil {
		return err
	}

	failed := listeners.Serve(server, before(store, server))
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	cancel() // a second signal ends the program at once
	log.Info("stopping: open pages are sent away, then requests under way are finished")
	server.Drain(context.Background())
	ctx, cancelWait := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancelWait()
	if err := listeners.Shutdown(ctx); err != nil {
		log.Warn("some requests did not finish in time", "err", err)
	}
	server.Close()
	return nil
}
