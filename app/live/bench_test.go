package live_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"

	"parlor/app/live"
)

// BenchmarkDeliver brings one message to a thousand live subscribers, each
// with a goroutine that takes what comes, as a stream's does, and writes it
// nowhere. An operation is one delivery to one subscriber.
func BenchmarkDeliver(b *testing.B) {
	const subscribers = 1000
	added := live.Variants{bytes.Repeat([]byte("x"), 1500)}
	wanted := make(chan int64, 1) // the number that the source may tell of
	hub := live.NewHub(func(_ context.Context, _, after int64) (live.Batch, error) {
		if after < 0 {
			return live.Batch{To: 0, Cursor: frame("cursor 0")}, nil
		}
		to := <-wanted
		return live.Batch{To: to, Cursor: frame("cursor %d", to), Pieces: []live.Piece{
			{Key: fmt.Sprint(to), Seq: to, Rev: to, Added: added, Changed: added},
		}}, nil
	}, slog.New(slog.DiscardHandler))

	got := make(chan struct{}, subscribers)
	for range subscribers {
		s := live.NewSubscriber(0, false, 1<<20)
		if err := hub.Follow(b.Context(), s, 1, -1); err != nil {
			b.Fatal(err)
		}
		<-s.Ready()
		s.Take(nil) // where it stands
		defer s.Leave()
		defer s.Close(nil)
		go func() {
			for range s.Ready() {
				frames, err := s.Take(nil)
				if err != nil {
					return
				}
				for range frames {
					got <- struct{}{}
				}
			}
		}()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for rev, n := int64(1), 0; n < b.N; rev++ {
		wanted <- rev
		hub.Wake(1, rev)
		for range subscribers {
			<-got
			n++
		}
	}
}

// BenchmarkReplay answers one who returns and missed the last fifty messages,
// from memory.
func BenchmarkReplay(b *testing.B) {
	r := newRoom()
	hub := newHub(r)
	stays := live.NewSubscriber(0, false, 1<<20)
	if err := hub.Follow(b.Context(), stays, 1, 0); err != nil {
		b.Fatal(err)
	}
	defer stays.Leave()
	text := string(bytes.Repeat([]byte("x"), 1500))
	for range 50 {
		r.say(text)
	}
	first := live.NewSubscriber(0, false, 1<<20) // takes them into memory
	if err := hub.Follow(b.Context(), first, 1, 0); err != nil {
		b.Fatal(err)
	}
	defer first.Leave()
	hub.Wake(1, r.rev)
	for got := 0; got < 50; {
		<-stays.Ready()
		frames, _ := stays.Take(nil)
		for _, f := range frames {
			got += bytes.Count(f, []byte("add "))
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		s := live.NewSubscriber(0, false, 1<<20)
		if err := hub.Follow(b.Context(), s, 1, 0); err != nil {
			b.Fatal(err)
		}
		if frames, _ := s.Take(nil); len(frames) == 0 {
			b.Fatal("nothing was replayed")
		}
		s.Leave()
	}
}
