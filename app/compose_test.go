package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

// BenchmarkCompose is what the first look at a room costs after something was
// said there: one message is rendered, and the page compressed.
func BenchmarkCompose(b *testing.B) {
	s, people := newHouse(b, "Ann", "Bob")
	room, _ := s.store.Room(b.Context(), "parlor")
	kept, err := s.newest.at(b.Context(), room)
	if err != nil {
		b.Fatal(err)
	}
	say := func(i int) {
		room.Rev++
		m := chat.Message{
			RoomID: room.ID, Seq: room.Rev, Rev: room.Rev, Author: people[i/3%2], SaidAt: time.Now().Add(time.Duration(i) * time.Second), First: i%3 == 0,
			Body: fmt.Sprintf("message %d, %s and so on %x", i, strings.Repeat("a few words more, ", i%7), i*i*7919),
		}
		kept.apply(db.Changes{Room: room, Messages: []chat.Message{m}}, room.Rev-1)
	}
	for i := range 50 {
		say(i)
	}
	b.ReportAllocs()
	for i := range b.N {
		say(i)
		s.newest.compose(kept, look{signedIn: true})
	}
}
