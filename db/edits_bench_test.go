package db_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
	"parlor/db/postgres"
)

// BenchmarkDelete measures the deletion of messages that nobody else in the room
// has read, during which everybody's posts wait, by how many members it has; and
// what it costs a member to learn what is new, with all of them behind the mark.
func BenchmarkDelete(b *testing.B) {
	cluster, err := postgres.Start(b.Context(), postgres.Config{Dir: b.TempDir()}) // it syncs its commits
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	store, err := db.Open(b.Context(), cluster.URL("parlor"), db.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	nick, _ := chat.ParseNickname("Ann", 32)
	ann, err := store.Enter(ctx, nick, 32)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.DB.Exec(`
		insert into people (nickname, folded, skeleton, hue, held_until, created_at)
		select 'Member ' || i, 'member ' || i, 'member' || i, i % 36, now(), now() from generate_series(1, 10000) i`); err != nil {
		b.Fatal(err)
	}
	for _, members := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			room, err := store.MakeRoom(ctx, ann.ID, db.NewNonce(), "")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := store.DB.Exec(`insert into memberships (room_id, person_id, known)
				select $1, id, 0 from people where nickname like 'Member %' order by id limit $2`, room.ID, members); err != nil {
				b.Fatal(err)
			}
			var looker int64
			if err := store.DB.Get(&looker, `select min(person_id) from memberships where room_id = $1 and person_id <> $2`, room.ID, ann.ID); err != nil {
				b.Fatal(err)
			}
			seqs := make([]int64, b.N)
			for i := range seqs {
				said, err := store.Say(ctx, room.ID, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: typical}})
				if err != nil {
					b.Fatal(err)
				}
				seqs[i] = said.Seq
			}
			var deletions, looks []time.Duration
			b.ResetTimer()
			for _, seq := range seqs {
				at := time.Now()
				if _, err := store.Delete(ctx, room.ID, seq, ann.ID); err != nil {
					b.Fatal(err)
				}
				deletions = append(deletions, time.Since(at))
				at = time.Now()
				if _, err := store.Memberships(ctx, []int64{looker}, nil); err != nil {
					b.Fatal(err)
				}
				looks = append(looks, time.Since(at))
			}
			b.StopTimer()
			for name, took := range map[string][]time.Duration{"p50-µs": deletions, "look-p50-µs": looks} {
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), name)
			}
			b.ReportMetric(float64(deletions[len(deletions)-1].Microseconds()), "worst-µs")
		})
	}
}
