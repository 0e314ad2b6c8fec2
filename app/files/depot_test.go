package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func newDepot(t *testing.T) *Depot {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "files"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// keep receives and keeps content.
func keep(t *testing.T, d *Depot, content []byte) *Arrival {
	t.Helper()
	a, err := d.Receive(t.Context(), bytes.NewReader(content), 10<<20)
	if err == nil {
		err = a.Keep()
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// all lists the files in the depot.
func all(t *testing.T, d *Depot) (names []string) {
	t.Helper()
	err := filepath.WalkDir(d.Dir(), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, f *os.File, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestContentIsKeptOnceUnderItsDigest(t *testing.T) {
	d := newDepot(t)
	content := []byte("two cups of tea")
	sum := sha256.Sum256(content)
	for range 2 {
		a := keep(t, d, content)
		if a.Digest != hex.EncodeToString(sum[:]) || a.Size != int64(len(content)) || a.Type != "text/plain" {
			t.Errorf("%+v", a)
		}
	}
	if names := all(t, d); len(names) != 1 {
		t.Errorf("in the depot: %v", names)
	}
	digest := hex.EncodeToString(sum[:])
	f, err := d.Content(digest)
	if got := read(t, f, err); !bytes.Equal(got, content) {
		t.Errorf("read %q", got)
	}
	for range 2 { // a second time there is nothing left to do
		if err := d.Remove(digest); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Content(digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed content: %v", err)
	}
}

func TestWhatIsNotKeptLeavesNothing(t *testing.T) {
	d := newDepot(t)
	ended, end := context.WithCancel(t.Context())
	end()
	broken := errors.New("the line is cut")
	for name, test := range map[string]struct {
		ctx  context.Context
		from io.Reader
		want error
	}{
		"too large":      {t.Context(), strings.NewReader(strings.Repeat("x", 101)), ErrTooLarge},
		"endless":        {t.Context(), endless{}, ErrTooLarge},
		"empty":          {t.Context(), strings.NewReader(""), ErrEmpty},
		"aborted":        {t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), broken},
		"nobody waits":   {ended, strings.NewReader("x"), context.Canceled},
		"ends too early": {t.Context(), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
	} {
		if a, err := d.Receive(test.ctx, test.from, 100); !errors.Is(err, test.want) || a != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	a, err := d.Receive(t.Context(), strings.NewReader(strings.Repeat("x", 100)), 100)
	if err != nil {
		t.Fatal(err)
	}
	a.Discard()
	if names := all(t, d); len(names) != 0 {
		t.Errorf("left in the depot: %v", names)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestOnlyADigestLeadsToAFile(t *testing.T) {
	d := newDepot(t)
	if err := d.Mark("secret"); err != nil {
		t.Fatal(err)
	}
	digest := keep(t, d, []byte("x")).Digest
	for _, name := range []string{
		"", "depot", "../files/depot", digest[:63], digest + "0", strings.ToUpper(digest), strings.Repeat("../", 21) + "x",
		strings.Repeat("0", 64), digest[:60] + "/../",
	} {
		if f, err := d.Content(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, %v", name, f, err)
		}
	}
}

func TestMarker(t *testing.T) {
	d := newDepot(t)
	if marker, err := d.Marker(); marker != "" || err != nil {
		t.Errorf("a new folder: %q, %v", marker, err)
	}
	if err := d.Mark("abc"); err != nil {
		t.Fatal(err)
	}
	if err := d.Mark("def"); err == nil {
		t.Error("marked twice")
	}
	again, err := Open(d.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if marker, err := again.Marker(); marker != "abc" || err != nil {
		t.Errorf("%q, %v", marker, err)
	}
}

func TestFolderThatCantBeWrittenIsSaidAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil {
		t.Error("opened a file as a folder")
	}
}

func TestSweepTakesWhatWasGivenUp(t *testing.T) {
	d := newDepot(t)
	arrive := func(content string) *Arrival {
		a, err := d.Receive(t.Context(), strings.NewReader(content), 100)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	old, fresh := arrive("old"), arrive("fresh")
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old.content.Name(), hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	if err := d.Sweep(hourAgo.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if names := all(t, d); len(names) != 1 || names[0] != fresh.content.Name() {
		t.Errorf("left: %v", names)
	}
	if err := fresh.Keep(); err != nil {
		t.Error(err)
	}
	if err := old.Keep(); err == nil {
		t.Error("kept what was swept")
	}
}

func TestTypeIsReadFromTheContent(t *testing.T) {
	d := newDepot(t)
	for want, content := range map[string]string{
		"text/html":       "<!doctype html><script>alert(1)</script>",
		"image/svg+xml":   `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"application/pdf": "%PDF-1.7\n",
		"application/zip": "PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00\x21\x00" + strings.Repeat("\x00", 12) + "\x05\x00\x00\x00notes",
		"application/vnd.microsoft.portable-executable": "MZ" + strings.Repeat("\x00", 200),
		"audio/mpeg": "ID3\x04\x00\x00\x00\x00\x00\x20\xFF\xFB\x90\x64" + strings.Repeat("\x00", 100),
		"audio/ogg":  "OggS\x00\x02" + strings.Repeat("\x00", 20) + "\x01\x1eOpusHead" + strings.Repeat("\x00", 40),
		"audio/wav":  "RIFF\x24\x00\x00\x00WAVEfmt " + strings.Repeat("\x00", 40),
		"video/mp4":  "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + strings.Repeat("\x00", 40),
		"video/webm": "\x1A\x45\xDF\xA3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm" + strings.Repeat("\x00", 40),
		// Pictures by their first bytes only.
		unknownType: "\xFF\xD8\xFF\xE0 this is no picture",
	} {
		if a := keep(t, d, []byte(content)); a.Type != want || a.Width != 0 || a.ThumbWidth != 0 {
			t.Errorf("%.30q: %+v, want %s", content, a, want)
		}
	}
}
