package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/search"
	"parlor/db"
)

// all pages through the results of a search, in short pages.
func (h *house) all(want db.Search) (bodies []string) {
	h.t.Helper()
	for want.Most = 7; ; {
		found, err := h.Search(context.Background(), want)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, hit := range found.Hits {
			bodies = append(bodies, hit.Message.Body)
		}
		if found.Older == nil {
			return bodies
		}
		if len(found.Hits) != want.Most {
			h.t.Fatalf("a page of %d before the last one", len(found.Hits))
		}
		want.Older = *found.Older
	}
}

// fillStretches says much, in several stretches of time, and returns what was
// said, the latest first.
func (h *house) fillStretches(by chat.Person) []string {
	h.t.Helper()
	const messages, stretch = 1200, 100
	other, err := h.MakeRoom(context.Background(), by.ID, "Kitchen", "")
	if err != nil {
		h.t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	began := h.now
	var said []string
	for i := range messages {
		body := fmt.Sprintf("common n%d", i)
		if i == messages/3 || i == messages/3+1 {
			body += " rare 麒麟"
		}
		if i < 300 {
			body += " early"
		}
		if r.IntN(10) == 0 {
			body += " some 讨论"
		}
		h.now = began.Add(time.Duration(i/2) * time.Second) // two at the same moment
		if i > 0 && i%stretch == 0 {
			h.DB.MustExec(`insert into stretches (n, since) select max(n) + 1, $1 from stretches`, h.now)
		}
		h.DB.MustExec(`insert into messages (room_id, seq, rev, ordinal, author_id, nonce, body, first, new_day, said_at)
			values ($1, $2, $2, $2, $3, gen_random_uuid(), $4, true, false, $5)`, []int64{1, other.ID}[i%2], i+1, by.ID, body, h.now)
		said = append(said, body)
	}
	h.noteTerms()
	h.DB.MustExec(`vacuum analyze messages`)
	slices.Reverse(said) // of two at the same moment the other room's comes first
	return said
}

// However often something was said, and however long ago, a search finds all of
// it, the latest first.
func TestSearchGoesThroughAllStretches(t *testing.T) {
	h := newHouse(t)
	zoe := h.enter("Zoe")
	began := h.now
	said := h.fillStretches(zoe)
	for _, typed := range []string{
		"common", "rare", "麒麟", "early", "some", "论", "common -some", "n7", "n70", `"n399"`, "rare early", "absent", "early -absent", "-common", "-some", "-early -some",
	} {
		q := search.Parse(typed, h.now)
		var want []string
		for _, body := range said {
			if q.Matches(search.Said{Text: body}) {
				want = append(want, body)
			}
		}
		if got := h.all(wanted(typed)); !slices.Equal(got, want) {
			t.Errorf("%s: %d results, not %d", typed, len(got), len(want))
		}
		byZoe := wanted(typed)
		byZoe.Authors = []int64{zoe.ID}
		if got := h.all(byZoe); !slices.Equal(got, want) {
			t.Errorf("%s from Zoe: %d results, not %d", typed, len(got), len(want))
		}
	}
	// Of a time only: whole stretches, parts of them, single moments.
	for _, span := range [][2]int{{0, 600}, {0, 50}, {49, 51}, {120, 121}, {130, 370}, {599, 600}, {600, 700}, {-10, 1}} {
		want := wanted("common")
		want.After, want.Before = began.Add(time.Duration(span[0])*time.Second), began.Add(time.Duration(span[1])*time.Second)
		from, to := max(0, 2*span[0]), max(0, min(len(said), 2*span[1]))
		from = min(from, to)
		if got := h.all(want); !slices.Equal(got, said[len(said)-to:len(said)-from]) {
			t.Errorf("from %d to %d s: %d results, not %d", span[0], span[1], len(got), to-from)
		}
	}
}

// A message that is filed under another stretch than its time is in, since a
// node's clock was wrong, is found, once.
func TestAWrongClockLosesNothing(t *testing.T) {
	h := newHouse(t)
	zoe := h.enter("Zoe")
	said := h.fillStretches(zoe)
	h.DB.MustExec(`update messages set said_at = said_at + interval '100 seconds' where seq % 97 = 0`)
	h.DB.MustExec(`update messages set said_at = said_at - interval '300 seconds' where seq % 101 = 0`)
	h.DB.MustExec(`update messages set pinned_at = said_at`)
	for _, typed := range []string{"common", "-absent", "common has:pin"} {
		got := h.all(wanted(typed))
		slices.Sort(got)
		if len(slices.Compact(got)) != len(said) || len(got) != len(said) {
			t.Errorf("%s: %d results of %d", typed, len(got), len(said))
		}
	}
}

func TestAStretchBeginsWhenTheLatestIsFull(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	stretches := func() (n int) {
		t.Helper()
		if err := h.BeginStretch(ctx); err != nil {
			t.Fatal(err)
		}
		if err := h.DB.Get(&n, `select count(*) from stretches`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	fill := func(from, to int) {
		t.Helper()
		h.DB.MustExec(`insert into messages (room_id, seq, rev, ordinal, author_id, nonce, body, first, new_day, said_at)
			select 1, i, i, i, $1, gen_random_uuid(), 'filler', true, false, $2 from generate_series($3::int, $4::int) i`, zoe.ID, h.now, from, to)
	}
	fill(1, db.StretchSize-1)
	if n := stretches(); n != 1 {
		t.Errorf("%d stretches before the first is full", n)
	}
	fill(db.StretchSize, db.StretchSize)
	for range 2 { // the next one has not begun, so no third one comes
		if n := stretches(); n != 2 {
			t.Fatalf("%d stretches when the first is full", n)
		}
	}
	h.DB.MustExec(`update rooms set rev = $1, last_seq = $1, said = $1 where id = 1`, db.StretchSize)
	stretchOf := func(seq int64) (of string) {
		t.Helper()
		if err := h.DB.Get(&of, `select split_part((tsvector_to_array(terms))[1], ':', 1) from messages where room_id = 1 and seq = $1`, seq); err != nil {
			t.Fatal(err)
		}
		return of
	}
	before := h.tell(1, zoe, "still the first")
	h.now = h.now.Add(time.Minute)
	after := h.tell(1, zoe, "already the second")
	if stretchOf(before) != "0" || stretchOf(after) != "1" {
		t.Errorf("they are in %s and %s", stretchOf(before), stretchOf(after))
	}
	// It stays in its stretch when it is edited later.
	if _, err := h.Edit(ctx, 1, before, zoe.ID, 0, db.Text{Body: "the first, edited"}); err != nil {
		t.Fatal(err)
	}
	if stretchOf(before) != "0" {
		t.Errorf("edited, it is in %s", stretchOf(before))
	}
	if got := h.results(wanted("first")); !slices.Equal(got, []string{"the first, edited"}) {
		t.Errorf("found %q", got)
	}
	if n := stretches(); n != 2 {
		t.Errorf("%d stretches after two messages more", n)
	}
	// While a clock is behind, none begins before the latest.
	fill(db.StretchSize+10, 2*db.StretchSize+10)
	h.now = h.now.Add(-time.Hour)
	if n := stretches(); n != 2 {
		t.Errorf("%d stretches with the clock set back", n)
	}
	h.now = h.now.Add(time.Hour)
	if n := stretches(); n != 3 {
		t.Errorf("%d stretches when the second is full", n)
	}
}

// What comes with a message is found, and not any more when it is taken away.
func TestFilesAndTitlesAreFound(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	expect := func(typed string, want ...string) {
		t.Helper()
		if got := h.results(wanted(typed)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", typed, got, want)
		}
	}
	var ids []int64
	for _, f := range []chat.File{{Name: "季度报告 Q3.pdf", Type: "application/pdf"}, {Name: "sunset.jpg", Type: "image/jpeg"}} {
		f.Digest, f.Size = fmt.Sprintf("%064x", len(ids)), 1
		id, err := h.AddFile(ctx, 1, zoe.ID, f, chat.Limits{})
		if err == nil {
			err = h.KeepFile(ctx, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	files, err := h.WaitingFiles(ctx, 1, zoe.ID, "", ids)
	if err != nil {
		t.Fatal(err)
	}
	post := db.Post{AuthorID: zoe.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "look"}, Files: ids}
	post.Terms = search.Terms(said(chat.Message{Body: post.Body, Files: files}))
	with, err := h.Say(ctx, 1, post)
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"报告", "q3", "sunset", "look sunset", "has:file", "has:image", "has:file look -absent"} {
		expect(typed, "look")
	}
	expect("look -sunset")
	if _, err := h.Edit(ctx, 1, with.Seq, zoe.ID, 0, db.Text{Body: "see"}); err != nil {
		t.Fatal(err)
	}
	expect("sunset see has:image", "see")
	expect("look")
	if _, err := h.Delete(ctx, 1, with.Seq, zoe.ID); err != nil {
		t.Fatal(err)
	}
	expect("sunset")
	expect("has:file")

	const address = "https://example.org/a"
	linked := h.tell(1, zoe, "read this")
	wantedPreviews, err := h.WantPreviews(ctx, 1, linked, []string{address})
	if err != nil || len(wantedPreviews) != 1 {
		t.Fatal(wantedPreviews, err)
	}
	id := wantedPreviews[0]
	expect("gardening")
	if err := h.FinishPreview(ctx, id, true, db.Looked{Title: "Gardening 种花指南"}); err != nil {
		t.Fatal(err)
	}
	if rev, err := h.ShowPreview(ctx, 1, linked, id); err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	expect("gardening", "read this")
	expect("指南 this", "read this")
	if _, err := h.Edit(ctx, 1, linked, zoe.ID, 0, db.Text{Body: "read it", Links: []string{address}}); err != nil {
		t.Fatal(err)
	}
	expect("gardening", "read it")
	if rev, err := h.RemovePreview(ctx, 1, linked, id, zoe.ID); err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	expect("gardening")
	expect("read", "read it")
}
