// Package files keeps what people send, in a folder. It knows no database and
// no browser, and not who sent what: a file is its content, named by a digest
// of it, so that the same content is kept once.
//
// What is kept is never held in memory as a whole, is on disk before it is
// told to be, and appears under its name in one step. What is in the folder is
// what people may get: pictures have lost their metadata (where and when they
// were taken, by whom, with what) before they are kept, and their type is read
// from their content, whatever they are called.
//
// In the folder, below two levels of two letters each so that no folder grows
// large: the content under its digest, and beside it, with the ending .thumb,
// a small picture of it where there is one. What is on the way in is in the
// folder ".incoming". The file "depot" says which database the folder belongs
// to (see Marker).
package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"
)

// Why something is not taken.
var (
	ErrTooLarge = errors.New("larger than allowed")
	ErrEmpty    = errors.New("nothing in it")
)

// MarkerName is the file that holds the folder's marker.
const MarkerName = "depot"

const (
	incomingName = ".incoming" // hidden: nothing that a backup needs
	thumbEnding  = ".thumb"
)

// Depot is a folder of files.
type Depot struct {
	dir      string
	decoding chan struct{} // a place for each picture that is decoded at a time
}

// Open makes the folder if there is none, and fails if nothing can be written
// into it.
func Open(dir string) (*Depot, error) {
	d := At(dir)
	probe, err := d.temporary()
	if err != nil {
		return nil, fmt.Errorf("open the folder of files: %w", err)
	}
	discard(probe)
	return d, nil
}

// At is a folder that is only looked at: it may be missing, or read-only.
func At(dir string) *Depot { return &Depot{dir: dir, decoding: make(chan struct{}, 1)} }

// Dir is the folder.
func (d *Depot) Dir() string { return d.dir }

// Marker is the text that says to which database the folder belongs, "" in a
// folder that belongs to none yet. A node whose folder has another marker than
// its database knows looks at another folder than the other nodes.
func (d *Depot) Marker() (string, error) {
	text, err := os.ReadFile(filepath.Join(d.dir, MarkerName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("read to which database the folder of files belongs: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Mark writes the marker of a folder that has none.
func (d *Depot) Mark(marker string) error {
	f, err := os.OpenFile(filepath.Join(d.dir, MarkerName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, marker)
		err = errors.Join(err, f.Sync(), f.Close(), syncFolder(d.dir))
	}
	if err != nil {
		return fmt.Errorf("mark the folder of files: %w", err)
	}
	return nil
}

// Arrival is content that came in whole and is not kept yet. Either Keep or
// Discard ends it.
type Arrival struct {
	Digest string // SHA-256 (FIPS 180-4) of what will be kept, in hex
	Size   int64  // of what will be kept, in bytes
	// Type is the media type by the content, without parameters, and
	// application/octet-stream for a picture that can't be shown: broken, too
	// large to be decoded here, or no picture behind its first bytes.
	Type string
	// Width and Height are those of a picture as it is to be shown, turned as
	// its orientation says; 0 for all else.
	Width, Height int
	// ThumbWidth and ThumbHeight are those of its small picture; 0: there is none.
	ThumbWidth, ThumbHeight int

	depot          *Depot
	content, thumb *os.File
}

// Receive takes in content until its end: at most limit bytes of it (else
// ErrTooLarge) and at least one (else ErrEmpty). It can take as long as the
// reader does.
func (d *Depot) Receive(ctx context.Context, r io.Reader, limit int64) (_ *Arrival, err error) {
	a := &Arrival{depot: d}
	defer func() {
		if err != nil {
			a.Discard()
			err = fmt.Errorf("receive a file: %w", err)
		}
	}()
	if a.content, err = d.temporary(); err != nil {
		return nil, err
	}
	n, err := io.Copy(a.content, io.LimitReader(untilDone{ctx, r}, limit+1))
	switch {
	case err != nil:
		return nil, err
	case n > limit:
		return nil, ErrTooLarge
	case n == 0:
		return nil, ErrEmpty
	}
	if _, err := a.content.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	kind, err := mimetype.DetectReader(a.content)
	if err != nil {
		return nil, err
	}
	a.Type = base(kind.String())
	for ; kind != nil; kind = kind.Parent() { // an animated PNG is a PNG
		if format, ok := formats[base(kind.String())]; ok {
			a.Type = base(kind.String())
			if err := a.picture(ctx, format); err != nil {
				return nil, err
			}
			break
		}
	}
	return a, a.seal()
}

// seal reads off what will be kept and brings it to disk.
func (a *Arrival) seal() error {
	if _, err := a.content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, a.content)
	if err != nil {
		return err
	}
	a.Digest, a.Size = hex.EncodeToString(sum.Sum(nil)), n
	if a.thumb != nil {
		err = a.thumb.Sync()
	}
	return errors.Join(err, a.content.Sync())
}

// Keep gives the content its name. From then on it is there for good, whatever
// happens to the machine. Content that is there already is replaced by the
// same; who reads it meanwhile goes on reading.
func (a *Arrival) Keep() (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep a file: %w", err)
		}
	}()
	defer a.Discard()
	name, err := a.depot.path(a.Digest)
	if err != nil {
		return err
	}
	folder := filepath.Dir(name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if a.thumb != nil { // first, so that it is there when the content is
		if err := os.Rename(a.thumb.Name(), name+thumbEnding); err != nil {
			return err
		}
	}
	if err := os.Rename(a.content.Name(), name); err != nil {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder)), syncFolder(a.depot.dir))
}

// Discard gives the content up, unless it was kept.
func (a *Arrival) Discard() {
	discard(a.content)
	discard(a.thumb)
	a.content, a.thumb = nil, nil
}

// Content opens what is kept under a digest; fs.ErrNotExist says that there is
// nothing.
func (d *Depot) Content(digest string) (*os.File, error) { return d.open(digest, "") }

// Thumb opens the small picture of what is kept under a digest: a JPEG, or a
// PNG where something shines through.
func (d *Depot) Thumb(digest string) (*os.File, error) { return d.open(digest, thumbEnding) }

func (d *Depot) open(digest, ending string) (*os.File, error) {
	name, err := d.path(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name + ending)
	if err != nil {
		return nil, fmt.Errorf("open a file: %w", err)
	}
	return f, nil
}

// Remove removes what is kept under a digest, if anything. The caller sees to
// it that nobody keeps the same content at this moment.
func (d *Depot) Remove(digest string) error {
	name, err := d.path(digest)
	if err != nil {
		return err
	}
	for _, ending := range []string{"", thumbEnding} {
		if err := os.Remove(name + ending); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a file: %w", err)
		}
	}
	return nil
}

// Sweep removes what was on the way in and is not any more, since whoever took
// it in died: what nobody has written to since the given time.
func (d *Depot) Sweep(since time.Time) error {
	incoming := filepath.Join(d.dir, incomingName)
	entries, err := os.ReadDir(incoming)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep the folder of files: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.ModTime().Before(since) {
			err = os.Remove(filepath.Join(incoming, entry.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep the folder of files: %w", err)
		}
	}
	return nil
}

// path is where the content of a digest is. Nothing else than a digest leads
// anywhere.
func (d *Depot) path(digest string) (string, error) {
	if len(digest) != 2*sha256.Size || strings.Trim(digest, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no digest: %w", digest, fs.ErrNotExist)
	}
	return filepath.Join(d.dir, digest[:2], digest[2:4], digest), nil
}

func (d *Depot) temporary() (*os.File, error) {
	incoming := filepath.Join(d.dir, incomingName)
	if err := os.MkdirAll(incoming, 0o700); err != nil { // a restored backup has none
		return nil, err
	}
	return os.CreateTemp(incoming, "")
}

// discard closes and removes a temporary file. One that was renamed is not
// found under its old name any more, and one that can't be removed is swept.
func discard(f *os.File) {
	if f != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
}

// base is a media type without its parameters.
func base(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return mediaType
}

// untilDone reads until its context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
