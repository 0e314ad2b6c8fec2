// Command chaos lets Parlor be hit by everything that breaks in practice, and
// checks its promise afterwards: every message that was acknowledged is stored
// exactly once, and every page shows it exactly once, in the room's order, with
// its later edits and deletions.
//
// It starts a Postgres and nodes of the program, posters that repeat
// everything until it is acknowledged, readers that speak the page's own
// protocol and a few real pages in Chromium. Faults come from a seed, which is
// printed; with the same seed the same faults come in the same order. The
// checker in the end shares nothing with the program.
//
// It measures too how soon everybody is complete again, but asserts nothing
// on times.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	asNode() // does not return in a process that is to be one
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("chaos", flag.ExitOnError)
	s := settings{phases: []phase{{1, byPostgres}, {3, byPostgres}, {3, byNATS}}}
	flags.Uint64Var(&s.seed, "seed", uint64(rand.Uint32()), "`number` that the faults follow from")
	flags.DurationVar(&s.lasts, "for", 10*time.Minute, "how `long` faults strike")
	flags.DurationVar(&s.longest, "longest", 20*time.Second, "how `long` one fault may last")
	flags.DurationVar(&s.watchdog, "watchdog", pageWatchdog, "`silence` after which a reader asks afresh")
	flags.StringVar(&s.faults, "faults", "", "only kinds whose names contain one of these `words`, separated by commas")
	flags.IntVar(&s.readerCount, "readers", 60, "`number` of readers without a browser")
	flags.IntVar(&s.posterCount, "posters", 8, "`number` of posters")
	flags.IntVar(&s.pageCount, "pages", 3, "`number` of real pages in Chromium")
	flags.Float64Var(&s.rate, "rate", 20, "`number` of things said, edited and deleted per second, altogether")
	flags.Func("nodes", "`numbers` of nodes, one phase after the other; with +nats connected by NATS (default 1,3,3+nats)", func(text string) error {
		s.phases = nil
		for part := range strings.SplitSeq(text, ",") {
			number, nats := strings.CutSuffix(part, "+nats")
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 {
				return fmt.Errorf("not a number of nodes: %q", part)
			}
			bus := byPostgres
			if nats {
				bus = byNATS
			}
			s.phases = append(s.phases, phase{n, bus})
		}
		return nil
	})
	list := flags.Bool("list", false, "list the kinds of fault")
	keep := flags.Bool("keep", false, "keep the folder with the logs")
	_ = flags.Parse(args) // exits by itself
	if *list {
		for _, k := range kinds {
			fmt.Println(k.name)
		}
		return nil
	}
	fmt.Printf("seed %d, %s\n", s.seed, s.lasts)
	return s.execute(ctx, *keep)
}

// execute makes a folder, runs, and prints the report. The folder stays when
// a promise was broken.
func (s settings) execute(ctx context.Context, keep bool) (err error) {
	if s.dir, err = os.MkdirTemp("", "chaos-"); err != nil {
		return err
	}
	defer func() {
		if keep || err != nil {
			fmt.Fprintln(os.Stderr, "logs are in", s.dir)
			return
		}
		os.RemoveAll(s.dir)
	}()
	if err := os.Chmod(s.dir, 0o755); err != nil { // Postgres may be another user
		return err
	}
	file, err := os.Create(s.dir + "/run.log")
	if err != nil {
		return err
	}
	defer file.Close()
	log := slog.New(slog.NewTextHandler(file, nil))
	slog.SetDefault(log) // what runs Postgres writes there
	r := &run{settings: s, ctx: ctx, log: log}
	report, err := r.do()
	if err != nil {
		return err
	}
	report.print(os.Stdout)
	if report.broken() {
		return fmt.Errorf("the promise is broken; go run ./app/chaos -seed %d repeats the faults", s.seed)
	}
	return nil
}
