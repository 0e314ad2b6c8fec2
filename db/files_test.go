package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

var freely = chat.Limits{FilesPerMessage: 10}

// digest is one for tests.
func digest(c string) string { return strings.Repeat(c, 64) }

// attach brings a file to a room.
func (h *house) attach(by chat.Person, f chat.File) int64 {
	h.t.Helper()
	id, err := h.AddFile(context.Background(), 1, by.ID, f, freely)
	if err == nil {
		err = h.KeepFile(context.Background(), id)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func TestFilesComeWithTheirMessageAndGoWithIt(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	picture := chat.File{Digest: digest("a"), Name: "tea.jpg", Type: "image/jpeg", Size: 1234, Width: 40, Height: 30}
	first, second := h.attach(ann, picture), h.attach(ann, chat.File{Digest: digest("b"), Name: "notes.txt", Type: "text/plain", Size: 5})
	nonce := db.NewNonce()
	files, err := h.WaitingFiles(ctx, 1, ann.ID, nonce, []int64{second, first})
	if err != nil || len(files) != 2 || files[0].ID != second || files[1].Name != "tea.jpg" {
		t.Fatalf("%+v, %v", files, err)
	}
	post := db.Post{AuthorID: ann.ID, Nonce: nonce, Files: []int64{second, first}}
	said, err := h.Say(ctx, 1, post)
	if err != nil {
		t.Fatal(err)
	}
	picture.ID = first
	m, err := h.Message(ctx, 1, said.Seq)
	if err != nil || len(m.Files) != 2 || m.Files[0].ID != second || m.Files[1] != picture {
		t.Fatalf("%+v, %v", m.Files, err)
	}
	// The same post again, since its answer was lost.
	if files, err := h.WaitingFiles(ctx, 1, ann.ID, nonce, post.Files); err != nil || len(files) != 2 {
		t.Error(files, err)
	}
	if again, err := h.Say(ctx, 1, post); err != nil || again.Seq != said.Seq {
		t.Errorf("%+v, %v", again, err)
	}
	// Another post can't have them.
	if files, err := h.WaitingFiles(ctx, 1, ann.ID, db.NewNonce(), post.Files); err != nil || len(files) != 0 {
		t.Error(files, err)
	}
	if err := h.RemoveFile(ctx, 1, ann.ID, first); reason(err) != chat.FileSent {
		t.Errorf("removing a file of a message: %v", err)
	}
	if f, err := h.File(ctx, 1, first); err != nil || f.Seq != said.Seq || f.OwnerID != ann.ID {
		t.Errorf("a file of a message was removed, or: %+v, %v", f, err)
	}
	if _, err := h.Delete(ctx, 1, said.Seq, ann.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.File(ctx, 1, first); reason(err) != chat.NoSuchFile {
		t.Errorf("file of a deleted message: %v", err)
	}
	if m, err := h.Message(ctx, 1, said.Seq); err != nil || len(m.Files) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if got := h.cleared(); !slices.Equal(got, []string{digest("a"), digest("b")}) {
		t.Errorf("removed: %q", got)
	}
	if got := h.cleared(); len(got) != 0 {
		t.Errorf("removed again: %q", got)
	}
}

// cleared are the digests whose bytes are removed now.
func (h *house) cleared() (digests []string) {
	h.t.Helper()
	_, err := h.ClearFiles(context.Background(), func(digest string) error {
		digests = append(digests, digest)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return digests
}

func TestBytesStayWhileAnotherFileHasTheSame(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	same := chat.File{Digest: digest("a"), Name: "x", Type: "text/plain", Size: 1}
	hers, his := h.attach(ann, same), h.attach(bob, same)
	if err := h.RemoveFile(ctx, 1, ann.ID, hers); err != nil {
		t.Fatal(err)
	}
	if got := h.cleared(); len(got) != 0 {
		t.Errorf("removed what another has: %q", got)
	}
	if err := h.RemoveFile(ctx, 1, bob.ID, his); err != nil {
		t.Fatal(err)
	}
	if got := h.cleared(); !slices.Equal(got, []string{digest("a")}) {
		t.Errorf("removed: %q", got)
	}
}

// What is entered while bytes are removed has to wait: else its bytes could be
// kept just before they are removed.
func TestNobodyEntersAFileWhileTheSameBytesAreRemoved(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	same := chat.File{Digest: digest("a"), Name: "x", Type: "text/plain", Size: 1}
	if err := h.RemoveFile(ctx, 1, ann.ID, h.attach(ann, same)); err != nil {
		t.Fatal(err)
	}
	entered := make(chan error, 1)
	waits := func() (waits bool) {
		t.Helper()
		if err := h.DB.Get(&waits, `select exists (select from pg_locks where locktype = 'advisory' and not granted
			and database = (select oid from pg_database where datname = current_database()))`); err != nil {
			t.Fatal(err)
		}
		return waits
	}
	_, err := h.ClearFiles(ctx, func(string) error {
		go func() {
			_, err := h.AddFile(ctx, 1, ann.ID, same, freely)
			entered <- err
		}()
		for deadline := time.Now().Add(time.Second); !waits(); { // Postgres ends an idle transaction after two
			if len(entered) > 0 || time.Now().After(deadline) {
				t.Error("entered in between")
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-entered; err != nil {
		t.Error(err)
	}
	if got := h.cleared(); len(got) != 0 {
		t.Errorf("removed what was entered after: %q", got)
	}
	var bytes, rows int64
	if err := h.DB.QueryRow(`select files_bytes, (select sum(size) from files) from house`).Scan(&bytes, &rows); err != nil || bytes != rows {
		t.Errorf("%d bytes are counted of %d, %v", bytes, rows, err)
	}
}

func TestBytesThatCantBeRemovedAreTriedAgain(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	if err := h.RemoveFile(ctx, 1, ann.ID, h.attach(ann, chat.File{Digest: digest("a"), Name: "x", Size: 1})); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the folder is away")
	if _, err := h.ClearFiles(ctx, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got := h.cleared(); len(got) != 1 {
		t.Errorf("removed: %q", got)
	}
}

func TestOnlyOnesOwnWaitingFilesOfTheRoomCanBeSent(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	tea, err := h.MakeRoom(ctx, ann.ID, "Tea", "")
	if err != nil {
		t.Fatal(err)
	}
	f := chat.File{Digest: digest("a"), Name: "x", Type: "text/plain", Size: 1}
	mine := h.attach(ann, f)
	arriving, err := h.AddFile(ctx, 1, ann.ID, f, freely)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		room, owner int64
		id          int64
	}{
		"another's":        {1, bob.ID, mine},
		"of another room":  {tea.ID, ann.ID, mine},
		"that never was":   {1, ann.ID, 1 << 40},
		"whose bytes lack": {1, ann.ID, arriving},
	} {
		if files, err := h.WaitingFiles(ctx, test.room, test.owner, db.NewNonce(), []int64{test.id}); err != nil || len(files) != 0 {
			t.Errorf("a file %s: %v, %v", name, files, err)
		}
		if test.id == arriving { // can't be known to anybody
			continue
		}
		// Nor does a post get them that did not ask.
		said, err := h.Say(ctx, test.room, db.Post{AuthorID: test.owner, Nonce: db.NewNonce(), Text: db.Text{Body: "x"}, Files: []int64{test.id}})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := h.Message(ctx, test.room, said.Seq); err != nil || len(m.Files) != 0 {
			t.Errorf("a message with a file %s: %+v, %v", name, m.Files, err)
		}
	}
	if err := h.RemoveFile(ctx, 1, bob.ID, mine); reason(err) != chat.NoSuchFile {
		t.Errorf("removed by another: %v", err)
	}
	for name, remove := range map[string]error{
		"in another room":  h.RemoveFile(ctx, tea.ID, ann.ID, mine),
		"before its bytes": h.RemoveFile(ctx, 1, ann.ID, arriving),
	} {
		if remove != nil {
			t.Errorf("removed %s: %v", name, remove)
		}
	}
	if _, err := h.File(ctx, 1, mine); err != nil {
		t.Error(err)
	}
	if _, err := h.File(ctx, tea.ID, mine); reason(err) != chat.NoSuchFile {
		t.Errorf("in another room: %v", err)
	}
	if _, err := h.File(ctx, 1, arriving); reason(err) != chat.NoSuchFile {
		t.Errorf("before its bytes are there: %v", err)
	}
	if err := h.DropFile(ctx, arriving); err != nil {
		t.Error(err)
	}
	if got := h.cleared(); len(got) != 0 { // others have the same bytes
		t.Errorf("removed: %q", got)
	}
}

func TestFilesAreLimitedByDayAndInAll(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	l := chat.Limits{FileBytesPerDay: 2 << 20, FilesTotal: 3 << 20}
	add := func(by chat.Person, size int64) (int64, error) {
		if err := h.MayAddFile(ctx, by.ID, size, l); err != nil {
			return 0, err
		}
		id, err := h.AddFile(ctx, 1, by.ID, chat.File{Digest: digest("a"), Name: "x", Size: size}, l)
		if err == nil {
			err = h.KeepFile(ctx, id)
		}
		return id, err
	}
	id, err := add(ann, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	_, err = add(ann, 1<<20+1)
	var refusal *chat.Error
	if !errors.As(err, &refusal) || refusal.Reason != chat.FilesOfDay || fmt.Sprint(refusal.Args) != "[2]" {
		t.Errorf("beyond the day: %v", err)
	}
	// What is removed again counts for the day, and no more for the total.
	if err := h.RemoveFile(ctx, 1, ann.ID, id); err != nil {
		t.Fatal(err)
	}
	if _, err := add(ann, 1<<20+1); reason(err) != chat.FilesOfDay {
		t.Errorf("beyond the day, having removed some: %v", err)
	}
	if _, err := add(ann, 1<<20); err != nil {
		t.Error(err)
	}
	if _, err := add(bob, 2<<20); err != nil {
		t.Error(err)
	}
	if _, err := h.AddFile(ctx, 1, h.enter("Cleo").ID, chat.File{Digest: digest("b"), Name: "x", Size: 1}, l); reason(err) != chat.FilesFull {
		t.Errorf("beyond the total: %v", err)
	}
	h.now = h.now.Add(24*time.Hour + time.Second)
	if err := h.SweepFiles(ctx); err != nil { // none of them was sent
		t.Fatal(err)
	}
	if _, err := add(ann, 2<<20); err != nil {
		t.Errorf("the day after: %v", err)
	}
}

func TestSimultaneousFilesKeepToTheLimits(t *testing.T) {
	for name, test := range map[string]struct {
		limits chat.Limits
		people int
		reason chat.Reason
	}{
		"of one person to the day": {chat.Limits{FileBytesPerDay: 3}, 1, chat.FilesOfDay},
		"of many to the total":     {chat.Limits{FilesTotal: 3}, 8, chat.FilesFull},
	} {
		t.Run(name, func(t *testing.T) {
			h, ctx := newHouse(t), context.Background()
			var owners []chat.Person
			for i := range test.people {
				owners = append(owners, h.enter(fmt.Sprint("Ann ", i)))
			}
			var all sync.WaitGroup
			var mu sync.Mutex
			added := 0
			for i := range 8 {
				all.Go(func() {
					_, err := h.AddFile(ctx, 1, owners[i%len(owners)].ID, chat.File{Digest: digest(fmt.Sprint(i)), Name: "x", Size: 1}, test.limits)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						added++
					} else if reason(err) != test.reason {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if added != 3 {
				t.Errorf("%d files of 3", added)
			}
		})
	}
}

func TestUnsentFilesAreRemovedAfterADay(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	unsent, sent := h.attach(ann, chat.File{Digest: digest("a"), Name: "x", Size: 1}), h.attach(ann, chat.File{Digest: digest("b"), Name: "x", Size: 1})
	if _, err := h.AddFile(ctx, 1, ann.ID, chat.File{Digest: digest("c"), Name: "x", Size: 1}, freely); err != nil { // its node died
		t.Fatal(err)
	}
	if _, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Files: []int64{sent}}); err != nil {
		t.Fatal(err)
	}
	sweep := func() {
		t.Helper()
		if err := h.SweepFiles(ctx); err != nil {
			t.Fatal(err)
		}
	}
	h.now = h.now.Add(db.UnsentFor - time.Second)
	sweep()
	if _, err := h.File(ctx, 1, unsent); err != nil {
		t.Errorf("too soon: %v", err)
	}
	h.now = h.now.Add(2 * time.Second)
	sweep()
	if _, err := h.File(ctx, 1, unsent); reason(err) != chat.NoSuchFile {
		t.Errorf("after a day: %v", err)
	}
	if _, err := h.File(ctx, 1, sent); err != nil {
		t.Errorf("one that was sent: %v", err)
	}
	if got := h.cleared(); !slices.Equal(got, []string{digest("a"), digest("c")}) {
		t.Errorf("removed: %q", got)
	}
	sweep()
	var gone int
	if err := h.DB.Get(&gone, `select count(*) from files_gone`); err != nil || gone != 0 {
		t.Errorf("%d are remembered, %v", gone, err)
	}
}

func TestAllNodesAgreeOnOneFolder(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	for _, proposed := range []string{"one", "two"} {
		if marker, err := h.FilesMarker(ctx, proposed); marker != "one" || err != nil {
			t.Errorf("%q, %v", marker, err)
		}
	}
}
