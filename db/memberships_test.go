package db_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

// member reads what a person has to do with the first room.
func (h *house) member(who chat.Person) chat.Membership {
	h.t.Helper()
	all, err := h.Memberships(context.Background(), []int64{who.ID}, []db.DraftPlace{{RoomID: 1, PersonID: who.ID}})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range all {
		if m.RoomID == 1 && m.PersonID == who.ID {
			return m
		}
	}
	return chat.Membership{}
}

func (h *house) unread(who chat.Person) int64 {
	h.t.Helper()
	room, err := h.Room(context.Background(), "parlor")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.member(who).Unread(room.Said)
}

func (h *house) read(who chat.Person, upTo int64, turn int) bool {
	h.t.Helper()
	moved, err := h.Read(context.Background(), 1, who.ID, upTo, turn)
	if err != nil {
		h.t.Fatal(err)
	}
	return moved
}

func TestReadMarkIsMonotoneButForWhatIsSetBack(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	if h.unread(bob) != 0 {
		t.Fatal("unread before the first look")
	}
	h.say(1, ann, "before Bob came")
	if moved := h.read(bob, 1<<40, -1); !moved || h.unread(bob) != 0 {
		t.Fatalf("the first look leaves %d unread", h.unread(bob))
	}
	var seqs []int64
	for i := range 5 {
		seqs = append(seqs, h.say(1, ann, fmt.Sprint(i)).Seq)
	}
	if got := h.unread(bob); got != 5 {
		t.Fatalf("%d unread", got)
	}
	if got := h.unread(ann); got != 0 {
		t.Fatalf("own messages count: %d", got)
	}
	h.read(bob, seqs[2], 0)
	if moved := h.read(bob, seqs[0], 0); moved || h.unread(bob) != 2 {
		t.Fatalf("%d unread after a late word of an earlier place", h.unread(bob))
	}
	// A number between messages is that of the one before.
	if _, err := h.Delete(ctx, 1, seqs[0], ann.ID); err != nil {
		t.Fatal(err)
	}
	if h.read(bob, seqs[4]+1, 0); h.unread(bob) != 0 || h.member(bob).ReadSeq != seqs[4] {
		t.Fatalf("%+v", h.member(bob))
	}
	if err := h.Unread(ctx, 1, bob.ID, seqs[1]); err != nil {
		t.Fatal(err)
	}
	if got := h.unread(bob); got != 4 {
		t.Fatalf("%d unread after setting back", got)
	}
	if h.read(bob, seqs[4], 0); h.unread(bob) != 4 {
		t.Fatal("what was read before it was set back counts")
	}
	if h.read(bob, seqs[4], 1); h.unread(bob) != 0 {
		t.Fatal("what was read after it was set back does not count")
	}
	if err := h.Unread(ctx, 1, bob.ID, seqs[4]+100); reason(err) != chat.NoSuchMessage {
		t.Fatal(err)
	}
	if err := h.Unread(ctx, 1, bob.ID, 1); err != nil || h.unread(bob) != 5 || !h.member(bob).Marked {
		t.Fatal("from the first message on, but for the one that is deleted", err, h.unread(bob))
	}
}

func TestMarkInAnEmptyRoomCounts(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.read(bob, 0, -1)
	h.say(1, ann, "the first word")
	if got := h.unread(bob); got != 1 {
		t.Fatalf("%d unread", got)
	}
}

func TestMentionedInARoomOneNeverReadIsOneCallAndNothingUnread(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.say(1, ann, "long ago")
	call := func() int64 {
		t.Helper()
		said, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{
			Body: "psst " + chat.Mention(bob.ID), Mentions: []db.Mention{{PersonID: bob.ID}}}})
		if err != nil {
			t.Fatal(err)
		}
		return said.Seq
	}
	seq := call()
	if m := h.member(bob); m.Calls != 1 || m.Marked || h.unread(bob) != 0 {
		t.Fatalf("%+v", m)
	}
	if who, err := h.Called(ctx, 1, seq); err != nil || !slices.Equal(who, []int64{bob.ID}) {
		t.Fatal(who, err)
	}
	newest, err := h.NewestCalls(ctx, []int64{ann.ID, bob.ID})
	if err != nil || len(newest) != 1 || newest[bob.ID].Seq != seq || !newest[bob.ID].Unread || newest[bob.ID].Names[0].Nickname != "Bob" {
		t.Fatalf("%+v %v", newest, err)
	}
	for level, want := range map[chat.Level]int{chat.LevelMentions: 1, chat.LevelNone: 0, chat.LevelHidden: 0, chat.LevelAll: 1} {
		if err := h.SetLevel(ctx, 1, bob.ID, level); err != nil {
			t.Fatal(err)
		}
		if m := h.member(bob); m.Calls != want || m.Level != level {
			t.Errorf("%s: %+v", level, m)
		}
	}
	h.read(bob, seq, -1)
	if m := h.member(bob); m.Calls != 0 || !m.Marked {
		t.Fatalf("%+v", m)
	}
}

func TestInboxPagesMeet(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	var want []int64
	for i := range 2*db.InboxSize + 3 {
		if i%4 == 0 {
			h.now = h.now.Add(time.Second) // several at the same time
		}
		said, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{
			Body: fmt.Sprint(i), Mentions: []db.Mention{{PersonID: bob.ID}}}})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, said.Seq)
	}
	h.read(bob, want[10], -1)
	var got []int64
	unread, pages := 0, 0
	place := db.InboxPlace{}
	for {
		calls, more, err := h.Inbox(ctx, bob.ID, place)
		if err != nil || len(calls) > db.InboxSize {
			t.Fatal(len(calls), err)
		}
		pages++
		for _, c := range calls {
			got = append(got, c.Seq)
			if c.Unread {
				unread++
			}
			if !place.SaidAt.IsZero() && c.SaidAt.After(place.SaidAt) {
				t.Fatal("not in the order of time")
			}
			place = db.InboxPlace{SaidAt: c.SaidAt, Room: c.Room.ID, Message: c.Seq}
		}
		if !more {
			break
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || pages != 3 || unread != len(want)-11 {
		t.Fatalf("%d pages, %d unread, %v", pages, unread, got)
	}
	if _, err := h.Delete(ctx, 1, want[len(want)-1], ann.ID); err != nil {
		t.Fatal(err)
	}
	if calls, _, err := h.Inbox(ctx, bob.ID, db.InboxPlace{}); err != nil || calls[0].Seq == want[len(want)-1] {
		t.Fatal("a deleted message is in the inbox", err)
	}
}

func TestGapCountsWhatCameAfterTheMark(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	var old []int64
	for i := range 5 {
		old = append(old, h.say(1, ann, fmt.Sprint("old ", i)).Seq)
	}
	gap := func() chat.Gap {
		t.Helper()
		g, err := h.Gap(ctx, 1, bob.ID)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	if gap() != (chat.Gap{}) {
		t.Fatal("a gap without a mark")
	}
	h.now = h.now.Add(time.Minute)
	if _, err := h.Edit(ctx, 1, old[0], ann.ID, 0, db.Text{Body: "seen by Bob"}); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Minute)
	h.read(bob, 1<<40, -1)
	if gap() != (chat.Gap{}) {
		t.Fatal("a gap at the end")
	}
	h.now = h.now.Add(time.Hour)
	since := h.now
	first := h.say(1, ann, "new").Seq
	h.now = h.now.Add(time.Hour)
	if _, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "x", Mentions: []db.Mention{{PersonID: bob.ID}}}}); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []int64{old[1], old[2], first} { // the last one Bob has not read yet
		if _, err := h.Edit(ctx, 1, seq, ann.ID, 0, db.Text{Body: "again"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Delete(ctx, 1, old[3], ann.ID); err != nil {
		t.Fatal(err)
	}
	g := gap()
	if g.New != 2 || !g.Since.Equal(since) || g.Calls != 1 || g.Edited != 2 || g.Deleted != 1 {
		t.Fatalf("%+v", g)
	}
}

func TestLateDraftsDoNotCount(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	save := func(draft, tab string, n int64) {
		t.Helper()
		if err := h.SaveDraft(ctx, 1, ann.ID, draft, tab, n); err != nil {
			t.Fatal(err)
		}
	}
	save("", "one", 1)
	if m := h.member(ann); m.RoomID != 0 {
		t.Fatalf("nothing typed made %+v", m)
	}
	save("hello", "one", 3)
	save("he", "one", 2)
	if m := h.member(ann); m.Draft != "hello" || m.Marked {
		t.Fatalf("%+v", m)
	}
	save("from the phone", "two", 1)
	if m := h.member(ann); m.Draft != "from the phone" || m.DraftTab != "two" {
		t.Fatalf("%+v", m)
	}
	save("from the phone\n", "two", 2)
	for i, text := range []string{"another message, sent meanwhile", "from the phone"} {
		left := []string{"from the phone\n", ""}[i]
		if err := h.ClearDrafts(ctx, []db.Spoken{{DraftPlace: db.DraftPlace{RoomID: 1, PersonID: ann.ID}, Text: text}, {DraftPlace: db.DraftPlace{RoomID: 1, PersonID: 999}, Text: "x"}}); err != nil {
			t.Fatal(err)
		}
		if m := h.member(ann); m.Draft != left {
			t.Fatalf("after %q: %+v", text, m)
		}
		save("from the phone\n", "two", int64(3+i))
	}
}

func TestVisitTellsOfTheMembership(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.session("token", bob, h.now.Add(time.Hour))
	seq := h.say(1, ann, "one").Seq
	h.read(bob, seq, -1)
	h.say(1, ann, "two")
	if err := h.SaveDraft(ctx, 1, bob.ID, "typed", "tab", 1); err != nil {
		t.Fatal(err)
	}
	v, err := h.Visit(ctx, "parlor", "token")
	if err != nil || v.Member.Unread(v.Room.Said) != 1 || v.Member.ReadSeq != seq || v.Member.Draft != "typed" || v.Member.Level != chat.LevelAll {
		t.Fatalf("%+v %v", v.Member, err)
	}
	if v, err = h.Visit(ctx, "parlor", ""); err != nil || v.Member.Marked {
		t.Fatalf("%+v %v", v.Member, err)
	}
}

func TestStatusIsNewerThanTheNicknameBefore(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	p, err := h.SetStatus(ctx, ann.ID, "at lunch")
	if err != nil || p.Status != "at lunch" || p.Renames <= ann.Renames || p.Nickname != "Ann" {
		t.Fatalf("%+v %v", p, err)
	}
}
