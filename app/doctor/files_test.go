package doctor

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestTheFolderOfFiles(t *testing.T) {
	url := dbtest.New(t)
	conn, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	look := func(folder string) string {
		var got strings.Builder
		d := &doctor{Options: Options{Files: folder, Database: url, FilesTotal: 1}, ctx: context.Background(), tell: func(f Finding) {
			fmt.Fprintf(&got, "%s: %s\n", f.Level, f.What)
			if f.Level != OK && f.Remedy == "" {
				t.Errorf("no remedy for: %s", f.What)
			}
		}}
		d.files()
		return got.String()
	}
	want := func(got, text string) {
		t.Helper()
		if !strings.Contains(got, text) {
			t.Errorf("not found: %s\n%s", text, got)
		}
	}
	do := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nowhere := filepath.Join(folder, "nowhere")
	want(look(nowhere), "ok: There is no folder of files yet")
	do(`update house set files_marker = 'ours'`)
	want(look(nowhere), "problem: The folder of files "+nowhere+" can't be looked at")
	want(look(folder), "is not the one that this database's files are in")
	write("depot", "another\n")
	want(look(folder), "is not the one that this database's files are in")
	want(look(filepath.Join(folder, "depot")), "is none")
	write("depot", "ours\n")
	want(look(folder), "ok: The folder of files belongs to the database, and has the 0 files")

	do(`insert into people (nickname, folded, skeleton, name_keys, hue, held_until, created_at) values ('Ann', 'ann', 'ann', '{}', 1, now(), now())`)
	var digests []string
	for i := range 3 {
		sum := sha256.Sum256(fmt.Append(nil, i))
		digest := hex.EncodeToString(sum[:])
		digests = append(digests, digest)
		write(filepath.Join(digest[:2], digest[2:4], digest), "x")
		do(`insert into files (room_id, owner_id, digest, name, type, size, width, height, uploaded_at, kept)
			select 1, id, $1, 'x', 'text/plain', 1, 0, 0, now(), true from people where nickname = 'Ann'`, digest)
	}
	want(look(folder), "has the 3 files that were looked for")
	if err := os.Remove(filepath.Join(folder, digests[1][:2], digests[1][2:4], digests[1])); err != nil {
		t.Fatal(err)
	}
	want(look(folder), "problem: Of 3 files that were looked for, 1 are missing in the folder "+folder)
	if os.Getuid() != 0 { // who may write anywhere
		if err := os.Chmod(folder, 0o500); err != nil {
			t.Fatal(err)
		}
		want(look(folder), "problem: The folder of files "+folder+" can't be written to")
		if err := os.Chmod(folder, 0o700); err != nil { // or it can't be removed
			t.Fatal(err)
		}
	}
}

func TestRoomForFiles(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		free        uint64
		total, used int64
		want        string
	}{
		{100 * mib, 20 * gib, 0, "problem: The disk of the folder of files is full: 100 MiB"},
		{10 * gib, 20 * gib, 0, "warning: People may send 20480 MiB more, and the disk of the folder of files has 10240"},
		{10 * gib, 20 * gib, 15 * gib, "ok: The disk of the folder of files has 10240 MiB left, and people may send 5120"},
		{10 * gib, 20 * gib, 20*gib - 1, "warning: Files have 20479 of the 20480 MiB"},
		{10 * gib, 20 * gib, 30 * gib, "warning: Files have 30720 of the 20480 MiB"},
		{10 * gib, 0, 15 * gib, "warning: Nothing limits all files together"},
	} {
		var got string
		d := &doctor{Options: Options{FilesTotal: c.total}, tell: func(f Finding) { got += fmt.Sprintf("%s: %s\n", f.Level, f.What) }}
		d.leftForFiles(c.free, &filesKnown{bytes: c.used})
		if !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") != 1 {
			t.Errorf("want %s, got %s", c.want, got)
		}
	}
}
