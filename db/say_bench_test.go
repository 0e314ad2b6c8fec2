package db_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
	"parlor/db/postgres"
)

// BenchmarkSay measures posts into one room that are on disk when they are
// acknowledged, beside the same posts with a transaction for each, in the same
// run: the ratio of the two is what to compare. The second are stores of one
// client each, which have nothing to gather.
func BenchmarkSay(b *testing.B) {
	// A cluster that syncs its commits; that of the tests does not.
	cluster, err := postgres.Start(b.Context(), postgres.Config{Dir: b.TempDir(), MaxConnections: 120})
	if err != nil {
		b.Fatal(err)
	}
	defer cluster.Stop()
	url := cluster.URL("parlor")
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			var commits atomic.Int64
			store, err := db.Open(b.Context(), url, db.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			store.OnCommit(func(int) { commits.Add(1) })
			stores := slices.Repeat([]*db.Store{store}, clients)
			singles := make([]*db.Store, clients)
			for i := range singles {
				if singles[i], err = db.Open(b.Context(), url, db.Options{Connections: 1}); err != nil {
					b.Fatal(err)
				}
				defer singles[i].Close()
			}
			people := make([]chat.Person, clients)
			for i := range people {
				nick, _ := chat.ParseNickname(fmt.Sprintf("p %s", db.NewNonce()[:12]), 32)
				if people[i], err = store.Enter(b.Context(), nick, 32); err != nil {
					b.Fatal(err)
				}
			}
			post := func(stores []*db.Store, posts int) (perSecond float64, median time.Duration) {
				room, err := store.MakeRoom(b.Context(), people[0].ID, db.NewNonce(), "")
				if err != nil {
					b.Fatal(err)
				}
				var left atomic.Int64
				left.Store(int64(posts))
				var mu sync.Mutex
				var took []time.Duration
				var wg sync.WaitGroup
				began := time.Now()
				for i, s := range stores {
					wg.Go(func() {
						var mine []time.Duration
						for left.Add(-1) >= 0 {
							at := time.Now()
							if _, err := s.Say(context.Background(), room.ID, db.Post{AuthorID: people[i].ID, Nonce: db.NewNonce(), Text: db.Text{Body: typical}}); err != nil {
								b.Error(err)
								return
							}
							mine = append(mine, time.Since(at))
						}
						mu.Lock()
						took = append(took, mine...)
						mu.Unlock()
					})
				}
				wg.Wait()
				perSecond = float64(posts) / time.Since(began).Seconds()
				slices.Sort(took)
				return perSecond, took[len(took)/2]
			}
			b.ResetTimer()
			commits.Store(0)
			together, median := post(stores, b.N)
			b.StopTimer()
			perCommit := float64(b.N) / float64(max(1, commits.Load()))
			alone, medianAlone := post(singles, min(b.N, 2000))
			b.ReportMetric(together, "posts/s")
			b.ReportMetric(float64(median.Microseconds()), "p50-µs")
			b.ReportMetric(perCommit, "posts/commit")
			b.ReportMetric(alone, "alone/s")
			b.ReportMetric(float64(medianAlone.Microseconds()), "alone-p50-µs")
			b.ReportMetric(together/alone, "ratio")
		})
	}
}

// typical is a message of about the length that people write.
const typical = "A message of the length that people write when they explain something to each other: two sentences or so, not more. 也有中文。"
