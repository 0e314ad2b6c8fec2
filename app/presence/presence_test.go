package presence_test

import (
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/presence"
)

var (
	ann = chat.Person{ID: 1, Nickname: "Ann"}
	bob = chat.Person{ID: 2, Nickname: "bob"}
)

// clocked is a Presence with a clock to set and a count of changes.
type clocked struct {
	*presence.Presence
	now     time.Time
	changes int
}

func newClocked() *clocked {
	c := &clocked{now: time.Unix(1000, 0)}
	c.Presence = presence.New(func() time.Time { return c.now }, func(int64) { c.changes++ })
	return c
}

func (c *clocked) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.Tick()
}

func names(people []chat.Person) []string {
	var out []string
	for _, p := range people {
		out = append(out, p.Nickname)
	}
	return out
}

func expect(t *testing.T, got []chat.Person, want ...string) {
	t.Helper()
	if !slices.Equal(names(got), want) {
		t.Fatalf("got %v, want %v", names(got), want)
	}
}

func TestPeopleAreCountedNotTabs(t *testing.T) {
	c := newClocked()
	c.Arrive(7, bob)
	c.Arrive(7, ann)
	c.Arrive(7, ann)
	expect(t, c.Here(7), "Ann", "bob")
	c.Depart(7, ann.ID)
	c.pass(time.Minute)
	expect(t, c.Here(7), "Ann", "bob")
}

func TestReloadDoesNotFlicker(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	before := c.changes
	c.Depart(7, ann.ID)
	c.pass(presence.Grace - time.Second)
	expect(t, c.Here(7), "Ann")
	c.Arrive(7, ann)
	c.pass(time.Minute)
	expect(t, c.Here(7), "Ann")
	if c.changes != before {
		t.Fatalf("%d changes told for a reload", c.changes-before)
	}
}

func TestWhoLeavesIsGoneAfterTheGrace(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	c.Depart(7, ann.ID)
	before := c.changes
	c.pass(presence.Grace)
	expect(t, c.Here(7))
	if c.changes == before {
		t.Fatal("nobody was told")
	}
}

func TestPeopleOfASilentNodeAreGone(t *testing.T) {
	c := newClocked()
	c.Elsewhere(7, ann)
	c.pass(presence.Silence - time.Second)
	expect(t, c.Here(7), "Ann")
	c.Elsewhere(7, ann)
	c.pass(presence.Silence - time.Second)
	expect(t, c.Here(7), "Ann")
	c.pass(time.Second)
	expect(t, c.Here(7))
	if local := c.AllLocal(); len(local) != 0 {
		t.Fatalf("another node's people are announced as ours: %v", local)
	}
}

func TestTypingEndsAfterAWhileOrWhenSent(t *testing.T) {
	c := newClocked()
	c.Types(7, ann)
	c.Types(7, bob)
	expect(t, c.Typing(7), "Ann", "bob")
	c.Typed(7, bob)
	expect(t, c.Typing(7), "Ann")
	before := c.changes
	c.pass(presence.TypingFor)
	expect(t, c.Typing(7))
	if c.changes == before {
		t.Fatal("nobody was told")
	}
}

func TestRenameIsSeenWhereThePersonIs(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	c.Arrive(7, ann)
	c.Renamed(chat.Person{ID: ann.ID, Nickname: "Anna"})
	expect(t, c.Here(7), "Anna")
	c.Depart(7, ann.ID) // a stream that was opened under the old name
	expect(t, c.Here(7), "Anna")
}
