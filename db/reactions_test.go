package db_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"parlor/app/chat"
	"parlor/db"
)

// given is what is shown of a message's reactions: "👍 2: Ann, Bob".
func (h *house) given(seq int64) string {
	h.t.Helper()
	m, err := h.Message(context.Background(), 1, seq)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, r := range m.Reactions {
		var names []string
		for _, p := range r.People {
			names = append(names, p.Nickname)
		}
		all = append(all, fmt.Sprintf("%s %d: %s", r.Emoji, r.Count, strings.Join(names, ", ")))
	}
	var rows, counted int
	if err := h.DB.QueryRow(`select (select count(*) from reactions where room_id = 1 and seq = $1), (select reactions from messages where room_id = 1 and seq = $1)`,
		seq).Scan(&rows, &counted); err != nil || rows != counted {
		h.t.Errorf("message %d counts %d of %d reactions, %v", seq, counted, rows, err)
	}
	return strings.Join(all, "; ")
}

func TestAReactionIsGivenAndTakenBack(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	said := h.say(1, ann, "hello")
	react := func(by chat.Person, emoji string, given bool) {
		t.Helper()
		before, err := h.Room(ctx, "parlor")
		if err != nil {
			t.Fatal(err)
		}
		done, err := h.React(ctx, 1, said.Seq, by.ID, emoji, db.Toggle)
		if err != nil || done != (db.Reacted{Rev: before.Rev + 1, Given: given}) {
			t.Fatalf("%s by %s: %+v after %d, %v", emoji, by.Nickname, done, before.Rev, err)
		}
	}
	react(bob, "👍", true)
	react(ann, "👍", true)
	react(ann, "🎉", true)
	react(bob, "👍", false)
	react(bob, "👍", true)
	if got := h.given(said.Seq); got != "👍 2: Ann, Bob; 🎉 1: Ann" {
		t.Fatal(got)
	}
	react(ann, "🎉", false)
	if got := h.given(said.Seq); got != "👍 2: Ann, Bob" {
		t.Fatal(got)
	}
	c, err := h.Changes(ctx, 1, said.Rev)
	if err != nil || len(c.Messages) != 1 || c.Messages[0].Rev != c.Room.Rev || !slices.Equal(c.Messages[0].Reactions[0].Latest, []int64{bob.ID, ann.ID}) {
		t.Fatalf("%+v %v", c, err)
	}

	// Bob never spoke here, and yet a new nickname is a change of the room.
	nick, _ := chat.ParseNickname("Robert", 32)
	if _, revs, err := h.Rename(ctx, bob.ID, nick, 32); err != nil || len(revs) != 1 {
		t.Fatal(revs, err)
	}
	if got := h.given(said.Seq); got != "👍 2: Ann, Robert" {
		t.Fatal(got)
	}
}

func TestRefusedReactionsTakeNoNumber(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	gone, kept := h.say(1, ann, "gone"), h.say(1, ann, "kept")
	if _, err := h.React(ctx, 1, gone.Seq, bob.ID, "👍", db.Give); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Delete(ctx, 1, gone.Seq, ann.ID); err != nil {
		t.Fatal(err)
	}
	for i := range chat.MostEmoji {
		if _, err := h.React(ctx, 1, kept.Seq, ann.ID, string(rune('🐀'+i)), db.Give); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := h.Room(ctx, "parlor")
	for _, c := range []struct {
		seq    int64
		emoji  string
		reason chat.Reason
	}{
		{gone.Seq, "👍", chat.ReactionTooLate},
		{kept.Seq, "👍", chat.TooManyEmoji},
		{kept.Seq + 1000, "👍", chat.NoSuchMessage},
	} {
		if _, err := h.React(ctx, 1, c.seq, bob.ID, c.emoji, db.Give); reason(err) != c.reason {
			t.Errorf("%s to %d: %v", c.emoji, c.seq, err)
		}
	}
	if _, err := h.React(ctx, 99, 1, bob.ID, "👍", db.Give); reason(err) != chat.NoSuchRoom {
		t.Error(err)
	}
	if after, _ := h.Room(ctx, "parlor"); after.Rev != before.Rev {
		t.Errorf("%d, was %d", after.Rev, before.Rev)
	}
	if done, err := h.React(ctx, 1, kept.Seq, bob.ID, "🐀", db.Give); err != nil || !done.Given {
		t.Errorf("one of those that are there: %v", err)
	}
	if got := h.given(gone.Seq); got != "" {
		t.Error(got)
	}
}

func TestManyReactAtOnceAndLittleIsShown(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	said := h.say(1, h.enter("Ann"), "who comes?")
	other, err := db.Open(ctx, h.url, db.Options{Connections: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	const many = chat.LatestReactions + 30
	var people []chat.Person
	for i := range many {
		people = append(people, h.enter(fmt.Sprintf("Guest %d", i)))
	}
	revs := make([]int64, many)
	var all sync.WaitGroup
	for i, p := range people {
		all.Add(1)
		go func() {
			defer all.Done()
			store := []*db.Store{h.Store, other}[i%2]
			done, err := store.React(ctx, 1, said.Seq, p.ID, "🙋", db.Give)
			if err != nil {
				t.Error(err)
			}
			revs[i] = done.Rev
		}()
	}
	all.Wait()
	slices.Sort(revs)
	if revs[0] != said.Rev+1 || revs[many-1] != said.Rev+many || len(slices.Compact(revs)) != many {
		t.Errorf("numbers %v", revs)
	}
	h.given(said.Seq)
	m, err := h.Message(ctx, 1, said.Seq)
	if err != nil {
		t.Fatal(err)
	}
	r := m.Reactions[0]
	if r.Count != many || len(r.People) != chat.ReactionNames || len(r.Latest) != chat.LatestReactions || slices.Contains(r.Latest, r.People[0].ID) {
		t.Errorf("%d people, %d named, %d by number", r.Count, len(r.People), len(r.Latest))
	}
}
