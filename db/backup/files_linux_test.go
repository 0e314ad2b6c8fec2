package backup_test

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parlor/db/backup"
)

// put makes the folder hold files, as of an hour ago.
func put(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ago := time.Now().Add(-time.Hour)
		if err := os.Chtimes(at, ago, ago); err != nil {
			t.Fatal(err)
		}
	}
}

// holds are all files in the folder, with their text.
func holds(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(at)
		name, _ := filepath.Rel(root, at)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func check(t *testing.T, what, folder string, want map[string]string) {
	t.Helper()
	if got := holds(t, folder); !maps.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// mount makes the folder a mount point, as Linux does it.
func mount(t *testing.T, folder string) {
	t.Helper()
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(t.TempDir(), folder, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Error(err)
		}
	})
}

var past = map[string]string{"depot": "mark", "aa/bb/aabb": "kept", "aa/bb/aabb.thumb": "small", "cc/dd/ccdd": "removed since"}

// future makes the folder what it has become since.
func future(t *testing.T, folder string) map[string]string {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(folder, "cc")); err != nil {
		t.Fatal(err)
	}
	put(t, folder, map[string]string{"ee/ff/eeff": "sent since", "depot": "another mark", ".incoming/1": "under way", "lost+found/1": "the disk's"})
	return holds(t, folder)
}

func TestARestoreBringsTheFolderOfFilesBack(t *testing.T) {
	for what, make := range map[string]func(t *testing.T, folder string){
		"a folder":      func(*testing.T, string) {},
		"a mount point": mount,
		"a link": func(t *testing.T, folder string) {
			if err := os.Symlink(t.TempDir(), folder); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			make(t, h.Files)
			put(t, h.Files, past)
			name := h.save()
			future(t, h.Files)
			if _, err := backup.RestoreFile(t.Context(), h.Place, name, true); err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(past)
			want[".incoming/1"], want["lost+found/1"] = "under way", "the disk's"
			check(t, "restored", h.Files, want)
			if beside, _ := filepath.Glob(h.Files + ".*"); len(beside) > 0 {
				t.Errorf("left beside it: %v", beside)
			}
			// Into nothing, too.
			h.Files = filepath.Join(t.TempDir(), "new", "folder")
			if _, err := backup.RestoreFile(t.Context(), h.Place, name, true); err != nil {
				t.Fatal(err)
			}
			check(t, "restored into nothing", h.Files, past)
		})
	}
}

func TestAFailedRestoreLeavesTheFolderOfFilesAsItWas(t *testing.T) {
	h := newHouse(t)
	put(t, h.Files, past)
	whole, err := os.ReadFile(h.save())
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.zip")
	if err := os.WriteFile(bad, change(t, whole, `"messages": `, `"messages": 1`), 0o600); err != nil {
		t.Fatal(err)
	}
	before := future(t, h.Files)
	if _, err := backup.RestoreFile(t.Context(), h.Place, bad, true); err == nil || !strings.Contains(err.Error(), "does not hold the messages") {
		t.Fatal(err)
	}
	check(t, "after a restore that failed at its very end", h.Files, before)
}

// However far a restore has come when it is killed: all files are there, of the
// database that was and of the one that comes.
func TestWhileARestoreIsUnderWayAllFilesAreThere(t *testing.T) {
	h := newHouse(t)
	put(t, h.Files, past)
	name := h.save()
	before := future(t, h.Files)
	// Somebody holds the rooms, so that it does not come to its end.
	tx, err := h.DB.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`set local idle_in_transaction_session_timeout = 0; lock table rooms`); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := backup.RestoreFile(ctx, h.Place, name, true)
		ended <- err
	}()
	for waiting := 0; waiting == 0; time.Sleep(10 * time.Millisecond) {
		if err := tx.Get(&waiting, `select count(*) from pg_locks where not granted and relation = 'rooms'::regclass`); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			t.Fatalf("it has not waited: %v", err)
		default:
		}
	}
	now := holds(t, h.Files)
	for _, names := range []map[string]string{past, before} {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if text, there := now[name]; !there || name == "depot" && text != "another mark" {
				t.Errorf("%s is %q, there %v", name, text, there)
			}
		}
	}
	put(t, h.Files, map[string]string{"late": "sent meanwhile"})
	stop()
	if err := <-ended; err == nil {
		t.Fatal("it did not stop")
	}
	before["late"] = "sent meanwhile"
	check(t, "stopped", h.Files, before)
}
