package db_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

func TestDraftsOfThreadsAreKeptApartAndBounded(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	root := h.say(1, ann, "root")
	at := db.DraftPlace{RoomID: 1, PersonID: ann.ID, ThreadSeq: root.Seq}
	save := func(at db.DraftPlace, draft, tab string, n int64) {
		t.Helper()
		if err := h.SaveThreadDraft(ctx, at, draft, tab, n); err != nil {
			t.Fatal(err)
		}
	}
	is := func(at db.DraftPlace, want db.Draft) {
		t.Helper()
		drafts, err := h.ThreadDrafts(ctx, []db.DraftPlace{at})
		if err != nil || drafts[at] != want {
			t.Fatalf("%+v: %+v, %v; want %+v", at, drafts[at], err, want)
		}
	}
	rows := func() (n int) {
		t.Helper()
		if err := h.DB.Get(&n, `select count(*) from thread_drafts where person_id = $1`, ann.ID); err != nil {
			t.Fatal(err)
		}
		return n
	}
	is(at, db.Draft{})
	save(at, "", "a", 1)
	if n := rows(); n != 0 {
		t.Errorf("nothing typed, and %d rows", n)
	}
	save(at, "second", "a", 2)
	save(at, "first, late", "a", 1)
	is(at, db.Draft{Text: "second", Tab: "a"})
	save(at, " typed \n", "b", 1)
	if m := h.member(ann); m.Draft != "" {
		t.Errorf("the room's draft is %q", m.Draft)
	}
	other := at
	other.PersonID = bob.ID
	is(other, db.Draft{})

	// In a reply, in a room, and where nothing is, nothing is kept.
	reply, err := h.Say(ctx, 1, db.Post{AuthorID: bob.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "reply"}, ParentSeq: root.Seq})
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int64{reply.Seq, 0, reply.Seq + 99} {
		save(db.DraftPlace{RoomID: 1, PersonID: ann.ID, ThreadSeq: seq}, "nowhere", "a", 1)
	}
	if n := rows(); n != 1 {
		t.Errorf("%d rows", n)
	}

	// Said in the room it stays; another text, too.
	clear := func(at db.DraftPlace, text string) {
		t.Helper()
		if err := h.ClearDrafts(ctx, []db.Spoken{{DraftPlace: at, Text: text}}); err != nil {
			t.Fatal(err)
		}
	}
	clear(db.DraftPlace{RoomID: 1, PersonID: ann.ID}, "typed")
	clear(at, "other")
	clear(other, "typed")
	is(at, db.Draft{Text: " typed \n", Tab: "b"})
	if err := h.SaveDraft(ctx, 1, ann.ID, "typed", "c", 1); err != nil {
		t.Fatal(err)
	}
	clear(at, "typed")
	is(at, db.Draft{Tab: "said"})
	if m := h.member(ann); m.Draft != "typed" {
		t.Errorf("the room's draft is %q", m.Draft)
	}

	// The oldest go, what is empty first.
	var places []db.DraftPlace
	for i := range db.MostThreadDrafts + 2 {
		places = append(places, db.DraftPlace{RoomID: 1, PersonID: ann.ID, ThreadSeq: h.say(1, bob, fmt.Sprint("thread ", i)).Seq})
	}
	for i, at := range places {
		h.now = h.now.Add(time.Second)
		save(at, fmt.Sprint("draft ", i), "a", 1)
	}
	if n := rows(); n != db.MostThreadDrafts {
		t.Errorf("%d rows", n)
	}
	is(at, db.Draft{})
	is(places[0], db.Draft{})
	is(places[1], db.Draft{})
	is(places[2], db.Draft{Text: "draft 2", Tab: "a"})
	save(places[2], "late", "a", 0)
	if n := rows(); n != db.MostThreadDrafts {
		t.Errorf("what came late took %d rows away", db.MostThreadDrafts-n)
	}
}

func TestLastOwnOfAThread(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	root, other := h.say(1, ann, "root"), h.say(1, bob, "other")
	reply := func(who chat.Person, to int64) int64 {
		t.Helper()
		said, err := h.Say(ctx, 1, db.Post{AuthorID: who.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "reply"}, ParentSeq: to})
		if err != nil {
			t.Fatal(err)
		}
		return said.Seq
	}
	last := func(who chat.Person, thread int64) int64 {
		seq, err := h.LastOwn(ctx, 1, who.ID, thread, time.Time{}, 300)
		if err != nil && reason(err) != chat.NoSuchMessage {
			t.Fatal(err)
		}
		return seq
	}
	if got := last(ann, root.Seq); got != root.Seq {
		t.Errorf("of a thread without replies: %d", got)
	}
	if got := last(bob, root.Seq); got != 0 {
		t.Errorf("of somebody who said nothing in it: %d", got)
	}
	first := reply(ann, root.Seq)
	elsewhere := reply(ann, other.Seq)
	if got := last(ann, root.Seq); got != first {
		t.Errorf("in the thread: %d, want %d", got, first)
	}
	if got := last(ann, 0); got != elsewhere {
		t.Errorf("in the room: %d, want %d", got, elsewhere)
	}
}

func TestWantingAReactionTwiceChangesNothing(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	said := h.say(1, ann, "hello")
	for _, step := range []struct {
		want    db.Want
		changes bool
		given   bool
	}{{db.Take, false, false}, {db.Give, true, true}, {db.Give, false, true}, {db.Take, true, false}, {db.Take, false, false}, {db.Toggle, true, true}} {
		done, err := h.React(ctx, 1, said.Seq, ann.ID, "👍", step.want)
		if err != nil || done.Given != step.given || (done.Rev > 0) != step.changes {
			t.Errorf("%+v: %+v, %v", step, done, err)
		}
	}
	if got := h.given(said.Seq); got != "👍 1: Ann" {
		t.Error(got)
	}
	if own, err := h.OwnReactions(ctx, 1, said.Seq, ann.ID); err != nil || fmt.Sprint(own) != "[👍]" {
		t.Errorf("own: %v, %v", own, err)
	}
	if own, err := h.OwnReactions(ctx, 1, said.Seq, ann.ID+1); err != nil || len(own) != 0 {
		t.Errorf("another's: %v, %v", own, err)
	}
}

// Names that differ by spaces only are the same from now on. Who had such a name
// keeps it.
func TestNicknamesWithSpacesAreTheSameAfterTheMigration(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	nick := func(typed string) chat.Nickname {
		n, err := chat.ParseNickname(typed, 32)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// As the release before stored them.
	var ids []int64
	for _, name := range []string{"To m", "Tom", "T om", "An na", "A nna"} {
		p := h.enter(fmt.Sprint("person ", len(ids)))
		ids = append(ids, p.ID)
		old := strings.ReplaceAll(strings.ToLower(name), "m", "rn")
		if _, err := h.DB.Exec(`update people set nickname = $2, folded = $3, skeleton = $4 where id = $1`, p.ID, name, strings.ToLower(name), old); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("migrations/00014_threads.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, update, _ := strings.Cut(string(text), "any more.")
	update = update[strings.Index(update, "update people"):strings.Index(update, "-- +goose Down")]
	if _, err := h.DB.Exec(update); err != nil {
		t.Fatal(err)
	}
	var skeletons []string
	if err := h.DB.Select(&skeletons, `select skeleton from people where id = any($1) order by id`, ids); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(skeletons, ", "); got != "to rn, torn, t orn, anna, a nna" {
		t.Errorf("the skeletons are %s", got)
	}
	for _, typed := range []string{"TOM", "T o m", "t ｏ M", "Ann a"} {
		if _, err := h.Enter(ctx, nick(typed), 32); reason(err) != chat.NicknameLookAlike && reason(err) != chat.NicknameTaken {
			t.Errorf("%q: %v", typed, err)
		}
	}
	if _, err := h.Enter(ctx, nick("Tom 2"), 32); err != nil {
		t.Error(err)
	}
}
