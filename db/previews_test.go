package db_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

// previewTitles are what a message shows.
func (h *house) previewTitles(room, seq int64) string {
	h.t.Helper()
	m, err := h.Message(context.Background(), room, seq)
	if err != nil {
		h.t.Fatal(err)
	}
	var titles []string
	for _, v := range m.Previews {
		titles = append(titles, v.Title)
	}
	return strings.Join(titles, " ")
}

// want says a message with links and returns the previews it waits for.
func (h *house) want(by chat.Person, links ...string) (seq int64, ids []int64) {
	h.t.Helper()
	seq = h.say(1, by, strings.Join(links, " ")).Seq
	ids, err := h.WantPreviews(context.Background(), 1, seq, links)
	if err != nil || len(ids) != len(links) {
		h.t.Fatal(ids, err)
	}
	return seq, ids
}

// find looks an address up as a node does, and shows it.
func (h *house) find(id int64, title string) (revs []int64) {
	h.t.Helper()
	ctx := context.Background()
	if url, known, err := h.ClaimPreview(ctx, id, time.Minute); err != nil || url == "" || known {
		h.t.Fatalf("%q, %v, %v", url, known, err)
	}
	if err := h.FinishPreview(ctx, id, title != "", db.Looked{Title: title, Image: []byte("picture of " + title), ImageType: "image/png", ImageWidth: 40, ImageHeight: 30}); err != nil {
		h.t.Fatal(err)
	}
	return h.show(id)
}

func (h *house) show(id int64) (revs []int64) {
	h.t.Helper()
	waiting, err := h.WaitingFor(context.Background(), id, 10)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, w := range waiting {
		rev, err := h.ShowPreview(context.Background(), w.RoomID, w.Seq, id)
		if err != nil {
			h.t.Fatal(err)
		}
		revs = append(revs, rev)
	}
	return revs
}

func TestPreviewIsLookedUpOnceAndTakesANumberInEachMessage(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	a, ids := h.want(ann, "http://a.test/")
	b, same := h.want(bob, "http://a.test/")
	if !slices.Equal(ids, same) {
		t.Fatal(ids, same)
	}
	if url, known, err := h.ClaimPreview(ctx, ids[0], time.Minute); err != nil || url != "http://a.test/" || known {
		t.Fatal(url, known, err)
	}
	if url, known, err := h.ClaimPreview(ctx, ids[0], time.Minute); err != nil || url != "" || known { // another node
		t.Fatal(url, known, err)
	}
	h.now = h.now.Add(2 * time.Minute) // the first one never came back
	revs := h.find(ids[0], "A")
	if len(revs) != 2 || revs[0] != b+1 || revs[1] != b+2 {
		t.Fatal(revs)
	}
	if h.previewTitles(1, a) != "A" || h.previewTitles(1, b) != "A" {
		t.Fatal(h.previewTitles(1, a), h.previewTitles(1, b))
	}
	c, err := h.Changes(ctx, 1, b)
	if err != nil || len(c.Messages) != 2 || c.Messages[0].Seq != a || c.Messages[0].EditedAt != nil {
		t.Fatalf("%+v %v", c, err)
	}
	if again, err := h.ShowPreview(ctx, 1, a, ids[0]); err != nil || again != 0 {
		t.Fatal(again, err)
	}
	// It is known for the next message.
	third, ids3 := h.want(ann, "http://a.test/")
	if url, known, err := h.ClaimPreview(ctx, ids3[0], time.Minute); err != nil || url != "" || !known || ids3[0] != ids[0] {
		t.Fatal(url, known, err)
	}
	if revs := h.show(ids3[0]); len(revs) != 1 || h.previewTitles(1, third) != "A" {
		t.Fatal(revs)
	}
	// After a day it is looked up again; what is shown stays as it is.
	h.now = h.now.Add(25 * time.Hour)
	fourth, ids4 := h.want(ann, "http://a.test/")
	if ids4[0] == ids[0] {
		t.Fatal("a stale preview is taken for fresh")
	}
	h.find(ids4[0], "A2")
	if h.previewTitles(1, fourth) != "A2" || h.previewTitles(1, a) != "A" {
		t.Fatal(h.previewTitles(1, fourth), h.previewTitles(1, a))
	}
}

func TestFailedPreviewIsTriedAgainAfterAnHour(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	seq, ids := h.want(ann, "http://a.test/")
	if revs := h.find(ids[0], ""); len(revs) != 0 || h.previewTitles(1, seq) != "" {
		t.Fatal(revs)
	}
	seq, again := h.want(ann, "http://a.test/")
	if _, known, err := h.ClaimPreview(context.Background(), again[0], time.Minute); err != nil || !known {
		t.Fatal(known, err)
	}
	if revs := h.show(again[0]); len(revs) != 0 {
		t.Fatal(revs)
	}
	if left, err := h.WantedOf(context.Background(), 1, seq); err != nil || len(left) != 0 {
		t.Fatal("it still waits for nothing:", left, err)
	}
	h.now = h.now.Add(61 * time.Minute)
	seq, ids = h.want(ann, "http://a.test/")
	h.find(ids[0], "A")
	if h.previewTitles(1, seq) != "A" {
		t.Fatal(h.previewTitles(1, seq))
	}
}

func TestPreviewsFollowEditsRemovalAndDeletion(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	seq, ids := h.want(ann, "http://a.test/", "http://b.test/")
	h.find(ids[0], "A")
	h.find(ids[1], "B")
	edit := func(links ...string) int64 {
		t.Helper()
		rev, err := h.Edit(ctx, 1, seq, ann.ID, 0, db.Text{Body: fmt.Sprint("edited ", h.now, links), Links: links})
		if err != nil || rev == 0 {
			t.Fatal(rev, err)
		}
		h.now = h.now.Add(time.Second)
		return rev
	}
	rev := edit("http://c.test/", "http://a.test/")
	if got := h.previewTitles(1, seq); got != "A" {
		t.Fatalf("after an edit that took a link away: %q", got)
	}
	if m, err := h.Message(ctx, 1, seq); err != nil || m.Rev != rev {
		t.Fatal(m.Rev, rev, err)
	}
	wanted, err := h.WantedOf(ctx, 1, seq)
	if err != nil || len(wanted) != 1 {
		t.Fatal(wanted, err)
	}
	h.find(wanted[0], "C")
	if got := h.previewTitles(1, seq); got != "C A" {
		t.Fatalf("in the order of the links: %q", got)
	}
	// The links of the first text come too late.
	if late, err := h.WantPreviews(ctx, 1, seq, []string{"http://late.test/"}); err != nil || len(late) != 0 {
		t.Fatal(late, err)
	}

	if _, err := h.RemovePreview(ctx, 1, seq, ids[0], bob.ID); reason(err) != chat.NotYours {
		t.Fatal(err)
	}
	if rev, err := h.RemovePreview(ctx, 1, seq, ids[0], ann.ID); err != nil || rev == 0 || h.previewTitles(1, seq) != "C" {
		t.Fatal(rev, err, h.previewTitles(1, seq))
	}
	if rev, err := h.RemovePreview(ctx, 1, seq, ids[0], ann.ID); err != nil || rev != 0 {
		t.Fatal(rev, err)
	}
	edit("http://a.test/", "http://c.test/")
	if got := h.previewTitles(1, seq); got != "C" {
		t.Fatalf("what the author removed came back: %q", got)
	}
	if wanted, err := h.WantedOf(ctx, 1, seq); err != nil || len(wanted) != 0 {
		t.Fatal(wanted, err)
	}
	edit()
	if got := h.previewTitles(1, seq); got != "" {
		t.Fatal(got)
	}
	edit("http://a.test/")
	wanted, _ = h.WantedOf(ctx, 1, seq)
	if _, err := h.Delete(ctx, 1, seq, ann.ID); err != nil {
		t.Fatal(err)
	}
	if rev, err := h.ShowPreview(ctx, 1, seq, wanted[0]); err != nil || rev != 0 {
		t.Fatal("a deleted message got a preview:", rev, err)
	}
	if _, err := h.WantPreviews(ctx, 1, seq, []string{"http://a.test/"}); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := h.DB.Get(&rows, `select count(*) from message_previews`); err != nil || rows != 0 {
		t.Fatal(rows, err)
	}
}

func TestWhatANodeLeftIsFoundAndWhatNobodyShowsIsForgotten(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	_, ids := h.want(ann, "http://a.test/", "http://b.test/")
	if _, _, err := h.ClaimPreview(ctx, ids[0], time.Minute); err != nil {
		t.Fatal(err)
	}
	if left, err := h.LeftPreviews(ctx, 10); err != nil || !slices.Equal(left, ids[1:]) {
		t.Fatal(left, err)
	}
	h.now = h.now.Add(2 * time.Minute)
	if left, err := h.LeftPreviews(ctx, 10); err != nil || !slices.Equal(left, slices.Sorted(slices.Values(ids))) {
		t.Fatal(left, err)
	}
	h.find(ids[0], "A")
	h.now = h.now.Add(2 * time.Hour)
	if left, err := h.LeftPreviews(ctx, 10); err != nil || len(left) != 0 {
		t.Fatal("it is too late for that:", left, err)
	}
	sweep := func() (n int) {
		t.Helper()
		for at := int64(0); ; {
			var err error
			if at, err = h.SweepPreviews(ctx, at, 1); err != nil {
				t.Fatal(err)
			}
			if at == 0 {
				break
			}
		}
		if err := h.DB.Get(&n, `select count(*) from previews`); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(); n != 1 { // the other was given up
		t.Fatal(n)
	}
	if _, err := h.Delete(ctx, 1, 1, ann.ID); err != nil {
		t.Fatal(err)
	}
	if n := sweep(); n != 1 {
		t.Fatal("what is fresh is forgotten")
	}
	h.now = h.now.Add(25 * time.Hour)
	if n := sweep(); n != 0 {
		t.Fatal(n)
	}
}

func TestPreviewImageOpensByItsKeyOnly(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	seq, ids := h.want(h.enter("Ann"), "http://a.test/")
	h.find(ids[0], "A")
	m, err := h.Message(ctx, 1, seq)
	if err != nil || len(m.Previews) != 1 || m.Previews[0].ImageKey == "" {
		t.Fatalf("%+v %v", m.Previews, err)
	}
	if image, kind, err := h.PreviewImage(ctx, ids[0], m.Previews[0].ImageKey); err != nil || kind != "image/png" || string(image) != "picture of A" {
		t.Fatalf("%q %s %v", image, kind, err)
	}
	for _, key := range []string{"", "0123456789abcdef", "\x00"} {
		if _, _, err := h.PreviewImage(ctx, ids[0], key); err == nil {
			t.Errorf("key %q opens it", key)
		}
	}
}
