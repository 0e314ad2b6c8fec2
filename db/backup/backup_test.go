package backup_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
	"parlor/db/backup"
	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// house is a database with a Store, as of a program that runs.
type house struct {
	*db.Store
	backup.Place
	t *testing.T
}

func newHouse(t *testing.T) *house {
	t.Helper()
	url := dbtest.New(t)
	store, err := db.Open(t.Context(), url, db.Options{Connections: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &house{store, backup.Place{Database: url, Files: filepath.Join(t.TempDir(), "files"), Bin: os.Getenv("PARLOR_POSTGRES_BIN")}, t}
}

func (h *house) enter(nickname string) chat.Person {
	h.t.Helper()
	nick, err := chat.ParseNickname(nickname, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := h.Enter(h.t.Context(), nick, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) say(room int64, by chat.Person, body string) int64 {
	h.t.Helper()
	said, err := h.Say(h.t.Context(), room, db.Post{AuthorID: by.ID, Nonce: db.NewNonce(), Text: db.Text{Body: body}})
	if err != nil {
		h.t.Fatal(err)
	}
	return said.Seq
}

// history is all messages of all rooms up to the given numbers, or all of them.
func (h *house) history(upTo map[int64]int64) (lines []string) {
	h.t.Helper()
	var rows []struct {
		Room, Seq, Rev int64
		Line           string
	}
	if err := h.DB.Select(&rows, `select room_id as room, seq, rev, concat_ws(' ', room_id, seq, rev, ordinal, author_id, nonce,
		said_sum, body, first, said_at, edited_at, deleted_at) as line from messages order by room_id, seq`); err != nil {
		h.t.Fatal(err)
	}
	for _, r := range rows {
		if upTo == nil || r.Seq <= upTo[r.Room] {
			lines = append(lines, r.Line)
		}
	}
	return lines
}

func (h *house) save() string {
	h.t.Helper()
	name := filepath.Join(h.t.TempDir(), "backup.zip")
	if _, err := backup.WriteFile(h.t.Context(), h.Place, name); err != nil {
		h.t.Fatal(err)
	}
	if !backup.Begins(name) {
		h.t.Error("a backup is not known by its beginning")
	}
	return name
}

// A backup that is made while people talk holds of each room everything up to
// some number, and can be talked in.
func TestABackupWhilePeopleTalkHoldsEachRoomUpToANumber(t *testing.T) {
	h := newHouse(t)
	if err := os.MkdirAll(filepath.Join(h.Files, "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.Files, ".incoming"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Files, ".incoming", "half"), []byte("half a pict"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Files, "ab", "picture"), []byte("pixels"), 0o600); err != nil {
		t.Fatal(err)
	}
	ann := h.enter("Ann")
	for i := range 3 {
		if _, err := h.MakeRoom(t.Context(), ann.ID, fmt.Sprint("Room ", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var said atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		p := h.enter(fmt.Sprint("Person ", i))
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if _, err := h.Say(context.Background(), int64(1+i%4), db.Post{AuthorID: p.ID, Nonce: db.NewNonce(), Text: db.Text{Body: strings.Repeat(fmt.Sprint(n, " "), 50)}}); err != nil {
					t.Error(err)
					return
				}
				said.Add(1)
			}
		})
	}
	for said.Load() < 500 {
		time.Sleep(time.Millisecond)
	}
	before := said.Load()
	name := h.save()
	after := said.Load()
	stop.Store(true)
	wg.Wait()

	other := newHouse(t)
	m, err := backup.RestoreFile(t.Context(), other.Place, name, false)
	if err != nil {
		t.Fatal(err)
	}
	if m.Messages < before || after == before {
		t.Errorf("%d messages of those before (%d) and after (%d)", m.Messages, before, after)
	}
	upTo := make(map[int64]int64)
	for id := range int64(4) {
		c, err := other.RoomsByID(t.Context(), []int64{id + 1})
		if err != nil || len(c) != 1 {
			t.Fatal(err)
		}
		upTo[id+1] = c[0].Rev
		if c[0].Said != c[0].Rev || c[0].LastSeq != c[0].Rev {
			t.Errorf("room %d is at %d, and %d were said", id+1, c[0].Rev, c[0].Said)
		}
	}
	got, want := other.history(nil), h.history(upTo)
	if int64(len(got)) != m.Messages || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d messages restored, %d were said up to there", len(got), len(want))
	}
	if _, err := os.Stat(filepath.Join(other.Files, ".incoming")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was on its way in is in the backup: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(other.Files, "ab", "picture")); err != nil || string(text) != "pixels" {
		t.Errorf("the file is %q, %v", text, err)
	}
	room, err := other.Room(t.Context(), "parlor")
	if err != nil || room.Epoch == m.Epoch || other.Epoch() != room.Epoch {
		t.Errorf("epoch %s, was %s, %v", room.Epoch, m.Epoch, err)
	}
	if seq := other.say(1, other.enter("New"), "and on"); seq != upTo[1]+1 {
		t.Errorf("the next message is %d after %d", seq, upTo[1])
	}
}

// A restore that is refused, or fails half-way, leaves everything as it is.
func TestAFailedRestoreLeavesTheDatabaseWhole(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	for i := range 200 {
		h.say(1, ann, fmt.Sprint("old ", i))
	}
	name := h.save()
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	h.say(1, ann, "newer")
	before, epoch := h.history(nil), h.Epoch()
	bad := func(data []byte) string {
		name := filepath.Join(t.TempDir(), "bad.zip")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x10
	var notEmpty *backup.NotEmptyError
	for what, c := range map[string]struct {
		file  string
		force bool
		want  string
	}{
		"without -force":            {name, false, "holds 201 messages"},
		"cut off":                   {bad(whole[:len(whole)*2/3]), true, "not all of one"},
		"a bit flipped":             {bad(flipped), true, "damaged"},
		"something else":            {bad([]byte("hello")), true, "is no backup"},
		"of a newer version":        {bad(change(t, whole, `"migration": `, `"migration": 9`)), true, "newer version of Parlor"},
		"of a newer Postgres":       {bad(change(t, whole, `"postgres": `, `"postgres": 9`)), true, "was made with Postgres 9"},
		"fails at its very end":     {bad(change(t, whole, `"messages": `, `"messages": 1`)), true, "does not hold the messages"},
		"missing":                   {filepath.Join(t.TempDir(), "none"), true, "no such file"},
		"into what leads elsewhere": {bad(change(t, whole, "", "../outside")), true, "leads out of it"},
		"in place of the folder":    {bad(change(t, whole, "", "files/..")), true, "leads out of it"},
		"beside the folder":         {bad(change(t, whole, "", "files/../beside")), true, "leads out of it"},
	} {
		_, err := backup.RestoreFile(t.Context(), h.Place, c.file, c.force)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &notEmpty) == c.force {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := h.history(nil); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("%d messages, were %d", len(after), len(before))
	}
	if room, err := h.Room(t.Context(), "parlor"); err != nil || room.Epoch != epoch {
		t.Errorf("epoch %s, was %s, %v", room.Epoch, epoch, err)
	}

	// And one that succeeds, under a program that runs and a schema that has
	// more in it than the backup.
	if _, err := h.DB.Exec(`create table later (id int primary key); create view newer as select * from later;
		create function later() returns int language sql as 'select 1'; create sequence others`); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int64
	h.OnNewEpoch(func() { told.Add(1) })
	if _, err := backup.RestoreFile(t.Context(), h.Place, name, true); err != nil {
		t.Fatal(err)
	}
	room, err := h.Room(t.Context(), "parlor")
	if err != nil || room.Rev != 200 || room.Epoch == epoch || h.Epoch() != room.Epoch || told.Load() != 1 {
		t.Errorf("at %d in epoch %s, was %s; told %d times; %v", room.Rev, room.Epoch, epoch, told.Load(), err)
	}
	if seq := h.say(1, ann, "on"); seq != 201 {
		t.Errorf("the next message is %d", seq)
	}
	var left int
	if err := h.DB.Get(&left, `select count(*) from pg_class where relname in ('later', 'newer', 'others')`); err != nil || left != 0 {
		t.Errorf("%d things are left that the backup does not know, %v", left, err)
	}
}

// change writes an archive again with another manifest; without old, with an
// entry more that has the changed name.
func change(t *testing.T, archive []byte, old, changed string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	for _, entry := range in.File {
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if entry.Name == "manifest.json" && old != "" {
			data = bytes.Replace(data, []byte(old), []byte(changed), 1)
		}
		w, err := out.Create(entry.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if old == "" {
		if _, err := out.Create(changed); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
