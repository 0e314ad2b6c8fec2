package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// madeWith returns the major version of Postgres that made the cluster in dir,
// or 0 if there is none and one may be made.
func madeWith(dir string) (int, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case errors.Is(err, os.ErrPermission):
		return 0, errors.New("the folder belongs to another user, who used it first, perhaps root. Start Parlor as that user, or give it a data folder of its own")
	case err != nil:
		return 0, err
	case len(entries) == 0:
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, errors.New("the folder holds something that is no Postgres cluster, and it stays as it is. Move it away, or give Parlor another data folder")
	} else if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("PG_VERSION says %q, which is no version; nothing has been changed", text)
	}
	return major, nil
}

// ownerOf returns who must run the server: for anyone but root themselves, as
// nil. Postgres refuses to run as root, so there it is the user to whom the
// cluster belongs, or for a new one the user postgres or else nobody.
func ownerOf(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	info, err := os.Stat(dir)
	if err == nil {
		stat := info.Sys().(*syscall.Stat_t)
		if stat.Uid != 0 {
			return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}, nil
		}
		if major, err := madeWith(dir); err != nil || major != 0 {
			return nil, errors.New("the cluster belongs to root, but Postgres refuses to run as root. Give it to another user: chown -R postgres " + dir)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("Postgres refuses to run as root, and there is no user postgres or nobody to run it as")
}

// acquire takes the lock beside the cluster. The kernel frees it with the
// process that holds it, however that ends.
func (c *Cluster) acquire() error {
	f, err := os.OpenFile(c.dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	text, _ := io.ReadAll(f)
	pid, alias, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("another Parlor, process %s, uses this data folder. Stop that one, or give this one a data folder of its own", pid)
		}
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	c.lock = f
	// A killed program could not remove its short link.
	if target, err := os.Readlink(alias); err == nil && target == c.dir {
		os.Remove(alias)
	}
	return c.sign()
}

// Running returns the connection string of the cluster in the data folder if
// another program runs it now.
func Running(dir string) (url string, ok bool, err error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return "", false, err
	}
	c := &Cluster{dir: filepath.Join(root, "postgres")}
	f, err := os.Open(c.dir + ".lock")
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	} else if err != nil {
		return "", false, fmt.Errorf("look for the private Postgres in %s: %w", c.dir, err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
		return "", false, nil
	} else if !errors.Is(err, syscall.EWOULDBLOCK) {
		return "", false, fmt.Errorf("look at the lock %s: %w", f.Name(), err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return "", false, err
	}
	_, c.host, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
	if c.host == "" {
		c.host = c.dir
	}
	return c.URL(database), true, nil
}

// Exists tells whether there is a cluster in the data folder.
func Exists(dir string) bool {
	major, err := madeWith(filepath.Join(dir, "postgres"))
	return err == nil && major != 0
}

// sign writes into the lock file who holds it, for the second program to tell,
// and what to clear away if we are killed.
func (c *Cluster) sign() error {
	text := fmt.Sprintf("%d\n%s\n", os.Getpid(), c.alias)
	if _, err := c.lock.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write %s: %w", c.lock.Name(), err)
	}
	return c.lock.Truncate(int64(len(text)))
}

// create makes the cluster and its database under another name, and renames the
// whole when it is safely on disk.
func (c *Cluster) create(ctx context.Context) error {
	unfinished := c.dir + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	if c.owner != nil {
		if err := os.Chown(unfinished, int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			return err
		}
	}
	folder, err := os.Open(unfinished)
	if err != nil {
		return err
	}
	defer folder.Close()
	locale := []string{"--locale=C.UTF-8"}
	if runtime.GOOS == "darwin" { // has no C.UTF-8
		locale = []string{"--locale=en_US.UTF-8", "--lc-collate=C"}
	}
	initdb := append(locale, "-U", superuser, "-E", "UTF8", "--auth-local=trust", "--auth-host=reject", "--data-checksums")
	single := []string{"--single", "--exit_on_error=on", "--log_min_messages=fatal"}
	if c.cfg.NoSync {
		initdb, single = append(initdb, "--no-sync"), append(single, "--fsync=off")
	}
	if err := c.run(ctx, folder, "", "initdb", initdb...); err != nil {
		return err
	}
	// A single-user server: it needs no socket and ends with its input.
	if err := c.run(ctx, folder, "CREATE DATABASE "+database+"\n", "postgres", append(single, "postgres")...); err != nil {
		return err
	}
	if err := os.Remove(c.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // an empty folder would be in the way
	}
	if err := os.Rename(unfinished, c.dir); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(c.dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// run runs a Postgres program on the folder to its end.
func (c *Cluster) run(ctx context.Context, folder *os.File, input, name string, args ...string) error {
	runtime.LockOSThread() // as in launch
	defer runtime.UnlockOSThread()
	cmd := c.command(ctx, folder, name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}
