package db_test

import (
	"context"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

func TestPinsAreCountedListedAndTakeNumbers(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	one, two := h.say(1, ann, "one").Seq, h.say(1, ann, "two").Seq
	for i, seq := range []int64{two, one} {
		rev, err := h.Pin(ctx, 1, seq, bob.ID)
		if err != nil || rev != two+1+int64(i) {
			t.Fatal(rev, err)
		}
		h.now = h.now.Add(time.Minute)
	}
	if rev, err := h.Pin(ctx, 1, one, ann.ID); err != nil || rev != 0 {
		t.Fatal("pinned twice:", rev, err)
	}
	c, err := h.Changes(ctx, 1, two)
	if err != nil || !c.About || c.Room.Pins != 2 || len(c.Messages) != 2 || c.Messages[0].PinnedBy.Nickname != "Bob" {
		t.Fatalf("%+v %v", c, err)
	}
	seqs := func() (out []int64) {
		t.Helper()
		pins, err := h.Pins(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pins {
			out = append(out, m.Seq)
		}
		return out
	}
	if got := seqs(); len(got) != 2 || got[0] != one || got[1] != two { // the latest pinned first
		t.Fatal(got)
	}
	if v, err := h.Visit(ctx, "parlor", ""); err != nil || v.Room.Pins != 2 {
		t.Fatal(v.Room.Pins, err)
	}
	if rev, err := h.Unpin(ctx, 1, two); err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	if rev, err := h.Unpin(ctx, 1, two); err != nil || rev != 0 {
		t.Fatal(rev, err)
	}
	if _, err := h.Delete(ctx, 1, one, ann.ID); err != nil {
		t.Fatal(err)
	}
	room, err := h.Room(ctx, "parlor")
	if err != nil || room.Pins != 0 || room.AboutRev != room.Rev || len(seqs()) != 0 {
		t.Fatal(room.Pins, room.AboutRev, room.Rev, err)
	}
	if _, err := h.Pin(ctx, 1, one, ann.ID); reason(err) != chat.MessageDeleted {
		t.Fatal(err)
	}
	if _, err := h.Pin(ctx, 1, 999, ann.ID); reason(err) != chat.NoSuchMessage {
		t.Fatal(err)
	}
}

func TestARoomHasAHundredPins(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	for range db.MostPins + 1 {
		h.say(1, ann, "x")
	}
	var last int64
	for seq := int64(1); seq <= db.MostPins; seq++ {
		rev, err := h.Pin(ctx, 1, seq, ann.ID)
		if err != nil {
			t.Fatal(err)
		}
		last = rev
	}
	if _, err := h.Pin(ctx, 1, db.MostPins+1, ann.ID); reason(err) != chat.TooManyPins {
		t.Fatal(err)
	}
	if room, err := h.Room(ctx, "parlor"); err != nil || room.Pins != db.MostPins || room.Rev != last {
		t.Fatal(room.Pins, room.Rev, last, err)
	}
}

func TestSavedIsOnesOwnAndPaged(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	other, err := h.MakeRoom(ctx, ann.ID, "Garden", "")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2*db.SavedPageSize + 3
	for i := range n {
		room := int64(1)
		if i%3 == 0 {
			room = other.ID
		}
		seq := h.say(room, ann, "x").Seq
		if i%5 == 0 { // several in one moment
			h.now = h.now.Add(time.Second)
		}
		if err := h.Save(ctx, bob.ID, room, seq); err != nil {
			t.Fatal(err)
		}
		if err := h.Save(ctx, bob.ID, room, seq); err != nil {
			t.Fatal(err)
		}
	}
	type key struct{ room, seq int64 }
	seen := make(map[key]bool)
	var at db.SavedPlace
	var before time.Time
	for pages := 0; ; pages++ {
		list, more, err := h.SavedBy(ctx, bob.ID, at)
		if err != nil || pages > 2 {
			t.Fatal(pages, err)
		}
		for _, s := range list {
			k := key{s.Message.RoomID, s.Message.Seq}
			if seen[k] || !before.IsZero() && s.At.After(before) || s.Room.Slug == "" {
				t.Fatalf("%+v at %v after %v, seen %v", k, s.At, before, seen[k])
			}
			seen[k], before, at = true, s.At, s.Place()
		}
		if !more {
			break
		}
	}
	if len(seen) != n {
		t.Fatal(len(seen))
	}
	if list, _, err := h.SavedBy(ctx, ann.ID, db.SavedPlace{}); err != nil || len(list) != 0 {
		t.Fatal("somebody else's:", list, err)
	}
	is := func(seq int64) bool {
		t.Helper()
		yes, err := h.IsSaved(ctx, bob.ID, 1, seq)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if !is(1) || !is(2) {
		t.Fatal("not saved")
	}
	if err := h.Unsave(ctx, bob.ID, 1, 1); err != nil || is(1) {
		t.Fatal(err)
	}
	if _, err := h.Delete(ctx, 1, 2, ann.ID); err != nil || is(2) {
		t.Fatal("a deleted message is kept:", err)
	}
	if err := h.Save(ctx, bob.ID, 1, 2); reason(err) != chat.MessageDeleted {
		t.Fatal(err)
	}
	if err := h.Save(ctx, bob.ID, 1, 9999); reason(err) != chat.NoSuchMessage {
		t.Fatal(err)
	}
}

func TestSavingHasALimit(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	seq := h.say(1, ann, "x").Seq
	if _, err := h.DB.Exec(`insert into saved select $1, 1, 1000 + g, now() from generate_series(1, $2) g`, ann.ID, db.MostSaved); err != nil {
		t.Fatal(err)
	}
	if err := h.Save(ctx, ann.ID, 1, seq); reason(err) != chat.TooManySaved {
		t.Fatal(err)
	}
	// The last one that there is room for may be saved again: its answer was lost.
	if err := h.Unsave(ctx, ann.ID, 1, 1001); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Save(ctx, ann.ID, 1, seq); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyTheMakerTurnsPreviewsOff(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	room, err := h.MakeRoom(ctx, ann.ID, "Garden", "")
	if err != nil || !room.Previews {
		t.Fatal(room.Previews, err)
	}
	if _, err := h.SetPreviews(ctx, room.ID, bob.ID, false); reason(err) != chat.NotYourRoom {
		t.Fatal(err)
	}
	if room, err = h.SetPreviews(ctx, room.ID, ann.ID, false); err != nil || room.Previews {
		t.Fatal(room.Previews, err)
	}
	if v, err := h.Visit(ctx, room.Slug, ""); err != nil || v.Room.Previews {
		t.Fatal(v.Room.Previews, err)
	}
}
