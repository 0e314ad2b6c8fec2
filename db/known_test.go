package db_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

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
		var wrong []string
		for _, p := range people {
			var counted int64
			if err := h.DB.Get(&counted, `
				select count(*) from memberships b join messages m on m.room_id = b.room_id and m.seq > b.read_seq
				where b.room_id = 1 and b.person_id = $1 and b.known is not null and m.author_id <> b.person_id and m.deleted_at is null`, p.ID); err != nil {
				t.Fatal(err)
			}
			if got := h.unread(p); got != counted {
				wrong = append(wrong, fmt.Sprintf("%+v: %d, not %d", h.member(p), got, counted))
			}
		}
		if len(wrong) > 0 || t.Failed() {
			t.Fatalf("round %d: %q", round, wrong)
		}
	}
}

// A deletion is written for nobody: however many people did not read the
// message, and whatever they do just now, it does not wait for them.
func TestADeletionWaitsForNoMember(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.read(bob, 0, -1)
	seq := h.say(1, ann, "a slip").Seq
	busy, err := h.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Rollback()
	if _, err := busy.Exec(`select from memberships where person_id = $1 for update`, bob.ID); err != nil {
		t.Fatal(err)
	}
	// Postgres ends the transaction that holds the lock after two seconds (db.Open).
	if _, err := h.Delete(context.Background(), 1, seq, ann.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := busy.Exec(`select 1`); err != nil {
		t.Error("it waited until the lock was gone:", err)
	}
	if got := h.unread(bob); got != 0 {
		t.Errorf("%d new", got)
	}
}

// What was counted before migration 00016 is counted the same after it.
func TestWhatIsNewStaysThroughMigration16(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann, bob, carol, dave := h.enter("Ann"), h.enter("Bob"), h.enter("Carol"), h.enter("Dave")
	h.read(bob, 0, -1)
	var seqs []int64
	for _, by := range []chat.Person{ann, bob, ann, bob, ann, ann} {
		seqs = append(seqs, h.say(1, by, "x").Seq)
	}
	h.read(carol, seqs[3], -1)
	if err := h.SetLevel(ctx, 1, dave.ID, chat.LevelAll); err != nil { // a membership without a mark
		t.Fatal(err)
	}
	for i, by := range map[int]chat.Person{0: ann, 3: bob, 4: ann} {
		if _, err := h.Delete(ctx, 1, seqs[i], by.ID); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]int64{"Ann": 1, "Bob": 2, "Carol": 1, "Dave": 0}
	check := func(when string) {
		t.Helper()
		for _, p := range []chat.Person{ann, bob, carol, dave} {
			if got := h.unread(p); got != want[p.Nickname] {
				t.Errorf("%s: %s has %d new ones, not %d", when, p.Nickname, got, want[p.Nickname])
			}
		}
	}
	check("before")
	files, err := fs.Sub(db.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	migrations, err := goose.NewProvider(goose.DialectPostgres, h.DB.DB, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.DownTo(ctx, 15); err != nil {
		t.Fatal(err)
	}
	for name, known := range map[string]int64{"Ann": 5, "Bob": 4, "Carol": 5} { // as migration 00013 counts
		var got int64
		if err := h.DB.Get(&got, `select known from memberships b join people p on p.id = b.person_id where p.nickname = $1`, name); err != nil || got != known {
			t.Errorf("before migration 00016 %s knows %d messages, not %d (%v)", name, got, known, err)
		}
	}
	if _, err := migrations.Up(ctx); err != nil {
		t.Fatal(err)
	}
	check("after")
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

// Each number of the line that greets who comes back.
func TestGapNumbers(t *testing.T) {
	t.Parallel()
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	seqs := map[string]int64{}
	say := func(by chat.Person, body string, mentions ...chat.Person) {
		t.Helper()
		h.now = h.now.Add(time.Second)
		text := db.Text{Body: body}
		for _, p := range mentions {
			text.Mentions = append(text.Mentions, db.Mention{PersonID: p.ID})
		}
		said, err := h.Say(ctx, 1, db.Post{AuthorID: by.ID, Nonce: db.NewNonce(), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		seqs[body] = said.Seq
	}
	edit := func(by chat.Person, what string, mentions ...chat.Person) {
		t.Helper()
		h.now = h.now.Add(time.Second)
		text := db.Text{Body: fmt.Sprint("edited at ", h.now)}
		for _, p := range mentions {
			text.Mentions = append(text.Mentions, db.Mention{PersonID: p.ID})
		}
		if _, err := h.Edit(ctx, 1, seqs[what], by.ID, 0, text); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(by chat.Person, what string) {
		t.Helper()
		h.now = h.now.Add(time.Second)
		if _, err := h.Delete(ctx, 1, seqs[what], by.ID); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		say(ann, fmt.Sprint("old ", i))
		say(bob, fmt.Sprint("own ", i))
	}
	h.now = h.now.Add(time.Second)
	h.read(bob, 1<<40, -1)
	h.now = h.now.Add(time.Hour)
	say(bob, "my own, from a program")
	say(ann, "new 0")
	since := h.now
	for i, step := range []struct {
		what string
		do   func()
		want chat.Gap
	}{
		{"one message", func() {}, chat.Gap{New: 1}},
		{"own words", func() { say(bob, "another own") }, chat.Gap{New: 1}},
		{"a mention", func() { say(ann, "psst", bob) }, chat.Gap{New: 2, Calls: 1}},
		{"a mention edited in", func() { edit(ann, "new 0", bob) }, chat.Gap{New: 2, Calls: 2}},
		{"and away", func() { edit(ann, "psst") }, chat.Gap{New: 2, Calls: 1}},
		{"an edit of what was read", func() { edit(ann, "old 0") }, chat.Gap{New: 2, Calls: 1, Edited: 1}},
		{"and again", func() { edit(ann, "old 0") }, chat.Gap{New: 2, Calls: 1, Edited: 1}},
		{"an edit of one's own", func() { edit(bob, "own 0") }, chat.Gap{New: 2, Calls: 1, Edited: 1}},
		{"a deletion of what was read", func() { remove(ann, "old 1") }, chat.Gap{New: 2, Calls: 1, Edited: 1, Deleted: 1}},
		{"a deletion of one's own", func() { remove(bob, "own 1") }, chat.Gap{New: 2, Calls: 1, Edited: 1, Deleted: 1}},
		{"of one's own behind the mark", func() { remove(bob, "another own") }, chat.Gap{New: 2, Calls: 1, Edited: 1, Deleted: 1}},
		{"of what was edited", func() { remove(ann, "old 0") }, chat.Gap{New: 2, Calls: 1, Deleted: 2}},
		{"of what is new, and calls", func() { say(ann, "hey", bob); remove(ann, "hey") }, chat.Gap{New: 2, Calls: 1, Deleted: 2}},
		{"set back to what was deleted since", func() {
			if err := h.Unread(ctx, 1, bob.ID, seqs["old 1"]); err != nil {
				t.Fatal(err)
			}
			m, err := h.Message(ctx, 1, seqs["old 2"])
			if err != nil {
				t.Fatal(err)
			}
			since = m.SaidAt
		}, chat.Gap{New: 4, Calls: 1, Deleted: 1}},
		{"an edit of what is new again", func() { edit(ann, "old 2") }, chat.Gap{New: 4, Calls: 1, Deleted: 1}},
		{"read", func() { h.read(bob, 1<<40, -1) }, chat.Gap{}},
	} {
		step.do()
		if step.want != (chat.Gap{}) {
			step.want.Since = since
		}
		g, err := h.Gap(ctx, 1, bob.ID)
		g.Since = g.Since.In(step.want.Since.Location())
		if err != nil || g != step.want {
			t.Fatalf("%d, %s: %+v, not %+v (%v)", i, step.what, g, step.want, err)
		}
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
