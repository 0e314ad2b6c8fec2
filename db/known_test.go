package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

func TestNewIsWhatOthersSaidAndIsStillThere(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.read(bob, 0, -1)
	seqs := map[string]int64{}
	say := func(by chat.Person, body string) func() error {
		return func() error { seqs[body] = h.say(1, by, body).Seq; return nil }
	}
	remove := func(by chat.Person, body string) func() error {
		return func() error { _, err := h.Delete(ctx, 1, seqs[body], by.ID); return err }
	}
	back := func(who chat.Person, body string) func() error {
		return func() error { return h.Unread(ctx, 1, who.ID, seqs[body]) }
	}
	for i, step := range []struct {
		what     string
		do       func() error
		ann, bob int64
	}{
		{"Ann speaks", say(ann, "a1"), 0, 1},
		{"again", say(ann, "a2"), 0, 2},
		{"Bob answers, and has read nothing", say(bob, "b1"), 1, 2},
		{"Ann takes back what Bob did not read", remove(ann, "a1"), 1, 1},
		{"and does so twice", remove(ann, "a1"), 1, 1},
		{"Bob takes back his own", remove(bob, "b1"), 0, 1},
		{"Bob reads", func() error { h.read(bob, 1<<40, -1); return nil }, 0, 0},
		{"Ann takes back what Bob has read", remove(ann, "a2"), 0, 0},
		{"Ann speaks", say(ann, "a3"), 0, 1},
		{"Bob speaks", say(bob, "b2"), 1, 1},
		{"Ann speaks", say(ann, "a4"), 1, 2},
		{"Bob reads one", func() error { h.read(bob, seqs["a3"], -1); return nil }, 1, 1},
		{"Bob sets it back to the first message of all", back(bob, "a1"), 1, 2},
		{"to his own", back(bob, "b2"), 1, 1},
		{"Bob speaks on", say(bob, "b3"), 2, 1},
		{"Ann sets it back", back(ann, "a1"), 2, 1},
		{"Bob takes back one of his", remove(bob, "b2"), 1, 1},
		{"Ann takes back what Bob did not read", remove(ann, "a4"), 1, 0},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%d, %s: %v", i, step.what, err)
		}
		if a, b := h.unread(ann), h.unread(bob); a != step.ann || b != step.bob {
			t.Fatalf("%d, %s: Ann has %d new ones and Bob %d, not %d and %d", i, step.what, a, b, step.ann, step.bob)
		}
	}
}

// Whatever people on two nodes do at the same moment, the numbers are those
// that counting would give.
func TestNewIsExactWhateverHappensAtOnce(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	other, err := db.Open(ctx, h.url, db.Options{Connections: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	nodes := []*db.Store{h.Store, other}
	var people []chat.Person
	for i := range 4 {
		people = append(people, h.enter(fmt.Sprint("Person ", i)))
	}
	var mu sync.Mutex
	var said []struct{ seq, by int64 }
	act := func(node *db.Store, me int64, dice *rand.Rand) error {
		mu.Lock()
		at := struct{ seq, by int64 }{1, 0}
		if len(said) > 0 {
			at = said[max(0, len(said)-1-dice.IntN(6))]
		}
		mu.Unlock()
		var err error
		switch dice.IntN(7) {
		case 0, 1, 2:
			var got db.Said
			got, err = node.Say(ctx, 1, db.Post{AuthorID: me, Nonce: db.NewNonce(), Text: db.Text{Body: "x"}})
			mu.Lock()
			said = append(said, struct{ seq, by int64 }{got.Seq, me})
			mu.Unlock()
		case 3:
			if at.by != 0 {
				_, err = node.Delete(ctx, 1, at.seq, at.by)
			}
		case 4, 5:
			_, err = node.Read(ctx, 1, me, at.seq, -1)
		case 6:
			if err = node.Unread(ctx, 1, me, at.seq); chat.IsReason(err, chat.NoSuchMessage) {
				err = nil
			}
		}
		return err
	}
	for round := range uint64(40) {
		var all sync.WaitGroup
		for i, p := range people {
			for j, node := range nodes {
				all.Go(func() {
					dice := rand.New(rand.NewPCG(round, uint64(2*i+j)))
					for range 4 {
						if err := act(node, p.ID, dice); err != nil {
							t.Errorf("round %d: %v", round, err)
						}
					}
				})
			}
		}
		all.Wait()
		var wrong []struct {
			Person  int64         `db:"person_id"`
			Known   sql.NullInt64 `db:"known"`
			ReadSeq int64         `db:"read_seq"`
			New     int64         `db:"new"`
			Counted int64         `db:"counted"`
		}
		if err := h.DB.Select(&wrong, `
			select * from (
			    select b.person_id, b.known, b.read_seq, r.said - b.known as new, (
			        select count(*) from messages m
			        where m.room_id = b.room_id and m.seq > b.read_seq and m.author_id <> b.person_id and m.deleted_at is null) as counted
			    from memberships b join rooms r on r.id = b.room_id where b.room_id = 1) as each
			where new <> counted`); err != nil {
			t.Fatal(err)
		}
		if len(wrong) > 0 || t.Failed() {
			t.Fatalf("round %d: %+v", round, wrong)
		}
	}
}

func TestGapBeginsWithWhatOthersSaid(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.read(bob, 0, -1)
	h.say(1, bob, "my own")
	gone := h.say(1, ann, "a slip of the tongue").Seq
	if _, err := h.Delete(ctx, 1, gone, ann.ID); err != nil {
		t.Fatal(err)
	}
	if g, err := h.Gap(ctx, 1, bob.ID); err != nil || g != (chat.Gap{}) {
		t.Fatalf("%+v %v", g, err)
	}
	h.now = h.now.Add(time.Hour)
	since := h.now
	h.say(1, ann, "what she meant")
	if g, err := h.Gap(ctx, 1, bob.ID); err != nil || g.New != 1 || !g.Since.Equal(since) {
		t.Fatalf("%+v %v", g, err)
	}
}

func TestDraftsAreReadOfOpenRoomsOnly(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	room, err := h.MakeRoom(ctx, ann.ID, "Garden", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, room.ID} {
		if err := h.SaveDraft(ctx, id, ann.ID, "typed", "tab", 1); err != nil {
			t.Fatal(err)
		}
	}
	all, err := h.Memberships(ctx, []int64{ann.ID}, []db.DraftPlace{{RoomID: room.ID, PersonID: ann.ID}, {RoomID: 1, PersonID: ann.ID + 1}})
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, m := range all {
		if (m.Draft == "typed") != (m.RoomID == room.ID) || (m.DraftTab == "tab") != (m.RoomID == room.ID) {
			t.Errorf("%+v", m)
		}
	}
}

// A room that is open is followed however quiet it is.
func TestOpenRoomsAreAmongThoseThatAreFollowed(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	h.say(1, ann, "long ago")
	if _, err := h.DB.Exec(`
		insert into rooms (slug, name, last_said_at, created_at)
		select 'r' || i, 'Room ' || i, $1::timestamptz + i * interval '1 second', $1 from generate_series(1, 205) i`, h.now); err != nil {
		t.Fatal(err)
	}
	if _, err := h.DB.Exec(`insert into memberships (room_id, person_id) select id, $1 from rooms where id <> 1`, ann.ID); err != nil {
		t.Fatal(err)
	}
	if m := h.member(ann); m.RoomID != 1 {
		t.Fatal("the open room is not there")
	}
	if all, err := h.Memberships(ctx, []int64{ann.ID}, nil); err != nil || len(all) != 200 {
		t.Fatal(len(all), err)
	}
}
