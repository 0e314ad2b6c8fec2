package presence_test

import (
	"cmp"
	"fmt"
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
	c.Elsewhere("two", 7, ann, 0)
	c.pass(presence.Silence - time.Second)
	expect(t, c.Here(7), "Ann")
	c.Elsewhere("two", 7, ann, 0)
	c.pass(presence.Silence - time.Second)
	expect(t, c.Here(7), "Ann")
	c.pass(time.Second)
	expect(t, c.Here(7))
	came, left := c.Moved()
	if local := c.Local(); len(local)+len(came)+len(left) != 0 {
		t.Fatalf("another node's people are announced as ours: %v %v %v", local, came, left)
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

// Nicknames come late: with a stream that was on its way, from a node that has
// not heard, out of order. The newest stays.
func TestOldNicknameDoesNotComeBack(t *testing.T) {
	anna := chat.Person{ID: ann.ID, Nickname: "Anna", Renames: 1}
	hanna := chat.Person{ID: ann.ID, Nickname: "Hanna", Renames: 2}
	c := newClocked()
	c.Arrive(7, ann)
	c.Renamed(anna)
	c.Elsewhere("two", 7, ann, 0)
	c.Arrive(7, ann)
	c.Types(7, ann)
	expect(t, c.Here(7), "Anna")
	expect(t, c.Typing(7), "Anna")
	c.Arrive(8, ann) // a room in which nothing was known yet
	expect(t, c.Here(8), "Anna")
	c.Renamed(hanna)
	c.Renamed(anna)
	c.Elsewhere("two", 7, anna, 0)
	expect(t, c.Here(7), "Hanna")
	// A node that missed the word of it learns it from those that did not.
	d := newClocked()
	d.Arrive(7, ann)
	before := d.changes
	d.Elsewhere("one", 7, hanna, 0)
	expect(t, d.Here(7), "Hanna")
	if d.changes == before {
		t.Error("nobody was told")
	}
	if came, _ := d.Moved(); len(came) != 1 || came[0].Person != hanna {
		t.Errorf("the node says %v", came)
	}
}

// In a backup somebody has the nickname of then, with fewer renamings, or is
// somebody else.
func TestNicknamesOfARestoredDatabaseHold(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	c.Arrive(7, bob)
	c.Renamed(chat.Person{ID: ann.ID, Nickname: "Lost", Renames: 3})
	c.Renamed(chat.Person{ID: bob.ID, Nickname: "lost, too", Renames: 1})
	expect(t, c.Here(7), "Lost", "lost, too")
	c.Restored()
	c.Arrive(7, chat.Person{ID: ann.ID, Nickname: "Anna", Renames: 2})
	c.Depart(7, ann.ID)
	c.Arrive(7, chat.Person{ID: bob.ID, Nickname: "carl"})
	c.Arrive(8, chat.Person{ID: bob.ID, Nickname: "carl"})
	expect(t, c.Here(7), "Anna", "carl")
	expect(t, c.Here(8), "carl")
}

func TestWhoLeavesOneNodeMayBeOnAnother(t *testing.T) {
	c := newClocked()
	c.Elsewhere("two", 7, ann, 0)
	c.Elsewhere("three", 7, ann, 0)
	c.Elsewhere("two", 7, bob, 0)
	c.Left("two", 7, ann.ID)
	c.Left("two", 7, bob.ID)
	c.Left("two", 7, 99)
	c.Left("two", 99, ann.ID)
	c.pass(presence.Grace)
	expect(t, c.Here(7), "Ann")
	c.Left("three", 7, ann.ID)
	c.Arrive(7, ann)
	c.pass(time.Minute)
	expect(t, c.Here(7), "Ann")
}

func TestPeopleOfAStoppedNodeHaveTheGrace(t *testing.T) {
	c := newClocked()
	c.Elsewhere("two", 7, ann, 0)
	c.Elsewhere("two", 7, bob, 0)
	before := c.changes
	c.Gone("two")
	expect(t, c.Here(7), "Ann", "bob")
	c.pass(presence.Grace - time.Second)
	c.Elsewhere("three", 7, ann, 0) // she is back
	c.pass(time.Second)
	expect(t, c.Here(7), "Ann")
	if c.changes != before+1 {
		t.Errorf("told %d times", c.changes-before)
	}
}

func TestMovesAreToldOnceAndTheLatestOnly(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	c.Arrive(7, ann)
	c.Arrive(7, bob)
	c.Depart(7, bob.ID)
	came, left := c.Moved()
	if len(came) != 1 || came[0] != (presence.In{Room: 7, Person: ann}) || len(left) != 1 || left[0].Person.ID != bob.ID {
		t.Errorf("came %v, left %v", came, left)
	}
	c.Depart(7, ann.ID)
	if came, left := c.Moved(); len(came)+len(left) != 0 {
		t.Errorf("one of two tabs: came %v, left %v", came, left)
	}
	c.Depart(7, ann.ID)
	c.pass(time.Minute)
	if came, left := c.Moved(); len(came) != 0 || len(left) != 1 {
		t.Errorf("the last tab: came %v, left %v", came, left)
	}
}

// Whatever happens, who is here is listed once and in order.
func TestListStaysInOrder(t *testing.T) {
	c := newClocked()
	for i := range 2000 {
		id := int64(i * 7919 % 97)
		person := chat.Person{ID: id, Nickname: string(rune('a'+(id+int64(i/500))%26)) + "x", Renames: i / 500}
		switch i % 5 {
		case 0, 1:
			c.Arrive(7, person)
		case 2:
			c.Elsewhere("two", 7, person, 0)
		case 3:
			c.Renamed(person)
		default:
			c.Left("two", 7, id)
		}
		if i%50 == 0 {
			c.pass(2 * time.Second)
		}
		here, seen := c.Here(7), make(map[int64]bool)
		for _, p := range here {
			if seen[p.ID] {
				t.Fatalf("step %d: %d is listed twice", i, p.ID)
			}
			seen[p.ID] = true
		}
		if !slices.IsSortedFunc(here, func(a, b chat.Person) int {
			return cmp.Or(cmp.Compare(a.Nickname, b.Nickname), cmp.Compare(a.ID, b.ID))
		}) {
			t.Fatalf("step %d: %v", i, names(here))
		}
	}
}

// One of 2,000 people in a room comes and goes.
func BenchmarkComingAndGoing(b *testing.B) {
	p := crowd()
	b.ReportAllocs()
	for i := range int64(b.N) {
		p.Arrive(7, chat.Person{ID: 5000 + i%10, Nickname: "Zoë"})
		p.Depart(7, 5000+i%10)
		p.Moved()
	}
}

// The room is listed after a change, as every showPeopleEvery.
func BenchmarkListing(b *testing.B) {
	p := crowd()
	b.ReportAllocs()
	for i := range int64(b.N) {
		p.Renamed(chat.Person{ID: i % 2000, Nickname: fmt.Sprint("nobody ", i), Renames: int(i)})
		if len(p.Here(7)) != 2000 {
			b.Fatal("not all are here")
		}
	}
}

func crowd() *presence.Presence {
	p := presence.New(time.Now, func(int64) {})
	for i := range int64(2000) {
		p.Arrive(7, chat.Person{ID: i, Nickname: fmt.Sprint("somebody ", i*7919%2000)})
	}
	return p
}

// away lists those of who is here that are away.
func (c *clocked) away(room int64) []string {
	var away []string
	for _, p := range c.Here(room) {
		if p.Away {
			away = append(away, p.Nickname)
		}
	}
	return away
}

func TestWhoGivesNoSignIsAway(t *testing.T) {
	c := newClocked()
	c.Arrive(7, ann)
	c.Arrive(8, ann)
	c.Arrive(7, bob)
	c.pass(presence.AwayAfter - time.Second)
	if !c.Seen(bob.ID) || c.Seen(bob.ID) {
		t.Error("a sign is news once")
	}
	if got := c.away(7); got != nil {
		t.Fatal(got)
	}
	c.changes = 0
	c.pass(2 * time.Second)
	if got := c.away(7); !slices.Equal(got, []string{"Ann"}) || len(c.away(8)) != 1 || c.changes != 2 {
		t.Fatal(got, c.changes)
	}
	expect(t, c.Here(7), "Ann", "bob")

	// Another tab, or a stream that comes back, is no sign.
	c.Arrive(7, ann)
	c.Depart(7, ann.ID)
	if got := c.away(7); !slices.Equal(got, []string{"Ann"}) {
		t.Fatal(got)
	}
	// A sign is one in every room.
	c.changes = 0
	c.Seen(ann.ID)
	if len(c.away(7)) != 0 || len(c.away(8)) != 0 || c.changes != 2 {
		t.Fatal(c.away(7), c.away(8), c.changes)
	}
	// The longer away, the less there is to remember.
	c.pass(3 * presence.AwayAfter)
	if got := c.away(7); !slices.Equal(got, []string{"Ann", "bob"}) {
		t.Fatal(got)
	}
	c.Seen(ann.ID)
	if got := c.away(7); !slices.Equal(got, []string{"bob"}) {
		t.Fatal(got)
	}
}

func TestNodesTellHowLongAgoTheLastSignWas(t *testing.T) {
	c := newClocked()
	c.Elsewhere("two", 7, ann, 3*time.Minute)
	c.Elsewhere("two", 7, bob, 0)
	c.pass(2*time.Minute + time.Second)
	c.Elsewhere("two", 7, ann, 5*time.Minute+time.Second)
	c.Elsewhere("two", 7, bob, 2*time.Minute+time.Second)
	if got := c.away(7); !slices.Equal(got, []string{"Ann"}) {
		t.Fatal(got)
	}
	// One node heard a sign that the other did not.
	c.Elsewhere("three", 7, ann, time.Second)
	c.Elsewhere("two", 7, ann, 5*time.Minute+2*time.Second)
	if got := c.away(7); got != nil {
		t.Fatal(got)
	}
	c.Arrive(9, ann)
	for _, in := range c.Local() {
		if in.Person.ID != ann.ID || in.Idle != time.Second {
			t.Fatalf("%+v", in)
		}
	}
}

// Another node repeats that its 2,000 people are here.
func BenchmarkAnnouncement(b *testing.B) {
	p := presence.New(time.Now, func(int64) {})
	b.ReportAllocs()
	for i := range int64(b.N) {
		p.Elsewhere("two", 7, chat.Person{ID: i % 2000, Nickname: "somebody"}, 0)
	}
}
