package backup

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// unfinishedName is where the files of an archive are unpacked, in the folder
// where they belong: that may be a mount point, and nothing beside it on the
// same disk. It is hidden, and so in no backup.
const unfinishedName = ".restored"

// eachFile calls do with each file in the folder, and its name from there. What
// is hidden is not there to stay, and lost+found belongs to the disk.
func eachFile(folder string, do func(name string, entry fs.DirEntry) error) error {
	folder, err := filepath.EvalSymlinks(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(at string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || at == folder && err == nil {
			return nil
		}
		if entry != nil && entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "lost+found") {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(folder, at)
		if err != nil {
			return err
		}
		return do(name, entry)
	})
}

// addFiles adds what is in the folder. What vanishes meanwhile was deleted.
func addFiles(archive *zip.Writer, folder string) error {
	if folder == "" {
		return nil
	}
	err := eachFile(folder, func(name string, _ fs.DirEntry) error {
		f, err := os.Open(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		w, err := archive.CreateHeader(&zip.FileHeader{
			Name: filesPrefix + filepath.ToSlash(name), Method: zip.Deflate, Modified: info.ModTime(),
		})
		if err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("add the files: %w", err)
	}
	return nil
}

// placement brings the files of an archive into their folder, so that whenever
// it is interrupted the database has all of its files, the old one and the
// restored one: what is missing is added before the database is restored, and
// only after that anything is replaced or removed. A file's name is a digest of
// its content, so that the same name means the same.
type placement struct {
	folder     string // "": the archive has no files
	unfinished string
	began      time.Time              // by the clock of the disk
	names      map[string]bool        // of all files in the archive
	added      map[string]fs.FileInfo // those that were missing
}

// unpackFiles unpacks the files of an archive and adds to the folder what is
// missing there. Afterwards either finish or giveUp is called.
func unpackFiles(archive *zip.Reader, folder string) (p *placement, err error) {
	p = &placement{names: make(map[string]bool), added: make(map[string]fs.FileInfo)}
	defer func() {
		if err != nil {
			p.giveUp()
		}
	}()
	for _, entry := range archive.File {
		if !strings.HasPrefix(entry.Name, filesPrefix) || strings.HasSuffix(entry.Name, "/") {
			continue
		}
		if folder == "" {
			return p, errors.New("the backup holds files, and there is no folder for them")
		}
		if p.folder == "" {
			if err := p.begin(folder); err != nil {
				return p, err
			}
		}
		name := filepath.FromSlash(strings.TrimPrefix(path.Clean(entry.Name), filesPrefix))
		if err := unpack(entry, filepath.Join(p.unfinished, name)); err != nil {
			return p, err
		}
		p.names[name] = true
	}
	for name := range p.names {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			continue // it may be removed meanwhile: finish replaces it
		} else if !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
		if err := p.move(name); err != nil {
			return p, err
		}
		if p.added[name], err = os.Lstat(filepath.Join(folder, name)); err != nil {
			return p, err
		}
	}
	syscall.Sync()
	return p, nil
}

func (p *placement) begin(folder string) error {
	p.folder, p.unfinished = folder, filepath.Join(folder, unfinishedName)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.RemoveAll(p.unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(p.unfinished, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(p.unfinished)
	if err == nil {
		p.began = info.ModTime()
	}
	return err
}

func (p *placement) move(name string) error {
	to := filepath.Join(p.folder, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(filepath.Join(p.unfinished, name), to)
}

// finish makes the folder what it was when the backup was made, but for what
// came in since the restore began: a program may run.
func (p *placement) finish() error {
	if p.folder == "" {
		return nil
	}
	added := p.added
	p.added = nil // whatever happens, they stay
	for name := range p.names {
		if added[name] == nil {
			if err := p.move(name); err != nil {
				return err
			}
		}
	}
	syscall.Sync()
	return eachFile(p.folder, func(name string, entry fs.DirEntry) error {
		info, err := entry.Info()
		if err == nil && !p.names[name] && info.ModTime().Before(p.began) {
			err = os.Remove(filepath.Join(p.folder, name))
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// giveUp clears away what was unpacked, and takes back what was added, unless
// somebody sent the same meanwhile.
func (p *placement) giveUp() {
	if p.folder == "" {
		return
	}
	for name, info := range p.added {
		at := filepath.Join(p.folder, name)
		if now, err := os.Lstat(at); err == nil && os.SameFile(now, info) {
			_ = os.Remove(at)
		}
	}
	_ = os.RemoveAll(p.unfinished)
}

func unpack(entry *zip.File, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	r, err := entry.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close(), os.Chtimes(name, entry.Modified, entry.Modified))
}
