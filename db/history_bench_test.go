package db_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
	"parlor/db/dbtest"
	"parlor/db/postgres"
)

var historySize = flag.Int("history", 1_000_000, "messages of the long history in BenchmarkHistory, a thousandth of that many rooms; 10 million take some minutes")

// BenchmarkHistory measures what reading costs in a long history, beside the
// same in one of 10,000 messages, in turns: the ratio is what to compare.
func BenchmarkHistory(b *testing.B) {
	cluster, err := postgres.Start(b.Context(), postgres.Config{Dir: b.TempDir(), Bin: os.Getenv("PARLOR_POSTGRES_BIN")})
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	var stores []*db.Store
	for _, h := range []struct {
		name            string
		rooms, messages int
	}{{"short", 10, 10_000}, {"long", *historySize / 1000, *historySize}} {
		store, err := db.Open(b.Context(), cluster.URL("parlor"), db.Options{Connections: 2})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.DB.Exec("create database " + h.name); err != nil {
			b.Fatal(err)
		}
		store.Close()
		if store, err = db.Open(b.Context(), cluster.URL(h.name), db.Options{Connections: 2}); err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		if err := dbtest.Fill(b.Context(), store.DB.DB, h.rooms, h.messages); err != nil {
			b.Fatal(err)
		}
		stores = append(stores, store)
	}
	compareHistories(b, stores[0], stores[1])
}

func compareHistories(b *testing.B, short, long *db.Store) {
	ctx := context.Background()
	type place struct {
		*db.Store
		person int64
		rooms  int
		room   chat.Room // one of the many
		big    chat.Room // the one with an eighth of all
	}
	var places []place
	for _, s := range []*db.Store{short, long} {
		p := place{Store: s}
		var err error
		if p.big, err = s.Room(ctx, "filled-1"); err != nil {
			b.Fatal(err)
		}
		if err := s.DB.Get(&p.rooms, `select count(*) from rooms where slug like 'filled-%'`); err != nil {
			b.Fatal(err)
		}
		if err := s.DB.Get(&p.person, `select min(id) from people where nickname = 'Filler 1'`); err != nil {
			b.Fatal(err)
		}
		places = append(places, p)
	}
	for _, read := range []struct {
		what string
		do   func(p place) error
	}{
		{"room", func(p place) error { _, err := p.Room(ctx, p.room.Slug); return err }},
		{"newest page", func(p place) error { _, err := p.Page(ctx, p.room.ID, db.Place{}); return err }},
		{"a page back", func(p place) error {
			_, err := p.Page(ctx, p.big.ID, db.Place{Before: 1 + rand.Int64N(p.big.LastSeq)})
			return err
		}},
		{"a page on", func(p place) error {
			_, err := p.Page(ctx, p.big.ID, db.Place{After: 1 + rand.Int64N(p.big.LastSeq)})
			return err
		}},
		{"permalink", func(p place) error {
			_, err := p.Page(ctx, p.big.ID, db.Place{Around: 1 + rand.Int64N(p.big.LastSeq)})
			return err
		}},
		{"resume after 20", func(p place) error { _, err := p.Changes(ctx, p.big.ID, p.big.Rev-20); return err }},
		{"resume after half of all", func(p place) error { _, err := p.Changes(ctx, p.big.ID, p.big.Rev/2); return err }},
		{"count what was missed", func(p place) error { _, _, err := p.SaidAfter(ctx, p.big, p.big.Rev/2); return err }},
		{"rooms of the lobby", func(p place) error { _, err := p.Rooms(ctx, 100); return err }},
		{"say", func(p place) error {
			_, err := p.Say(ctx, p.room.ID, db.Post{AuthorID: p.person, Nonce: db.NewNonce(), Text: db.Text{Body: typical}})
			return err
		}},
	} {
		b.Run(read.what, func(b *testing.B) {
			took := make([][]time.Duration, len(places))
			for range max(b.N, 50) {
				for i, p := range places {
					room, err := p.Room(ctx, fmt.Sprint("filled-", 2+rand.IntN(p.rooms-1)))
					if err != nil {
						b.Fatal(err)
					}
					p.room = room
					began := time.Now()
					if err := read.do(p); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
			var medians [2]float64
			for i := range took {
				slices.Sort(took[i])
				medians[i] = float64(took[i][len(took[i])/2].Nanoseconds()) / 1000
			}
			b.ReportMetric(medians[0], "short-p50-µs")
			b.ReportMetric(medians[1], "long-p50-µs")
			b.ReportMetric(medians[1]/medians[0], "ratio")
		})
	}
}
