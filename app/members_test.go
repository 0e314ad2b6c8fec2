package app

import (
	"bytes"
	"context"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/live"
	"parlor/db"
)

// What is stored is told, also when the one who stored it went away before the
// answer was there.
func TestWhoIsCalledIsToldThoughTheCallerIsGone(t *testing.T) {
	t.Parallel()
	s, people := newHouse(t, "Ann", "Bob")
	ann, bob := people[0], people[1]
	sub := live.NewSubscriber(0, false, 1<<20)
	defer s.members.follow(sub, db.DraftPlace{PersonID: bob.ID})()
	until := func(text string) {
		t.Helper()
		for late := time.After(10 * time.Second); ; {
			select {
			case <-sub.Ready():
				frames, err := sub.Take(nil)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(bytes.Join(frames, nil), []byte(text)) {
					return
				}
			case <-late:
				t.Fatalf("nobody said %s", text)
			}
		}
	}
	until(`"_calls":0`)
	gone, leave := context.WithCancel(t.Context())
	said, err := s.store.Say(gone, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{
		Body: chat.Mention(bob.ID), Mentions: []db.Mention{{PersonID: bob.ID}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	leave()
	s.tellCalled(gone, 1, said.Seq)
	until(`"_calls":1`)
}
