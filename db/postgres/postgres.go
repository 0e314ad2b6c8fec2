// Package postgres runs a private Postgres of Parlor's own, for everyone who
// starts the program without naming a database server. It finds the machine's
// Postgres programs, makes a cluster in the data folder on first use, keeps the
// server running, and stops it with the program.
//
// It is not a way to administer Postgres: it neither upgrades nor backs up, and
// it never touches a cluster that it did not make or does not understand.
//
// Its one invariant: at most one postmaster works on the folder, and it belongs
// to the program that holds the lock file. A folder named postgres is therefore
// always a whole cluster, whatever was killed at whatever moment.
package postgres

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config says where the cluster lives and how large it may grow.
type Config struct {
	Dir            string // the data folder; the cluster is Dir/postgres
	Bin            string // folder of initdb and postgres; empty: look in the usual places
	MaxConnections int    // default 40

	// NoSync trades safety against a power cut for speed. For tests only.
	NoSync bool
}

const (
	superuser = "parlor"
	database  = "parlor"

	// A Unix socket's path holds 103 bytes on macOS and 107 on Linux, of which
	// "/.s.PGSQL.5432" takes 14.
	longestSocketDir = 103 - 14

	patience   = 20 * time.Second // for a server to stop politely
	firstPause = 100 * time.Millisecond
	longPause  = time.Second // a vain start costs little, and people wait
)

// Cluster is a running private cluster. Its methods may be used concurrently.
type Cluster struct {
	cfg    Config
	dir    string              // absolute path of the cluster
	bin    string              // folder of initdb and postgres
	owner  *syscall.Credential // who runs the server; nil: who runs the program
	folder *os.File            // the cluster's folder, open
	lock   *os.File            // holds the flock; line 1 our pid, line 2 the alias
	host   string              // folder in which clients find the socket
	alias  string              // short symbolic link to dir, when dir is too long for a socket

	pid  atomic.Int64
	stop context.CancelFunc
	done chan struct{}
	err  error // how the last stop went; valid when done is closed
}

// Start makes the cluster if there is none yet, starts its server and returns
// when it accepts connections. The context bounds the start alone; afterwards
// the server runs, and is started again if it dies, until Stop.
//
// A *NotInstalledError says that this machine lacks the Postgres it takes. If
// another program uses the same folder, the error names that program's pid.
func Start(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 40
	}
	root, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("private Postgres: %w", err)
	}
	c := &Cluster{cfg: cfg, dir: filepath.Join(root, "postgres"), done: make(chan struct{})}
	defer func() {
		if err != nil {
			c.release()
			err = fmt.Errorf("private Postgres in %s: %w", c.dir, err)
		}
	}()

	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	major, err := madeWith(c.dir)
	if err != nil {
		return nil, err
	}
	if c.bin, err = findBinaries(cfg.Bin, major); err != nil {
		return nil, err
	}
	if c.owner, err = ownerOf(c.dir); err != nil {
		return nil, err
	}
	if err := c.acquire(); err != nil {
		return nil, err
	}
	// Whoever held the lock until now may have made the cluster meanwhile.
	if major, err = madeWith(c.dir); err != nil {
		return nil, err
	}
	if major == 0 {
		if err := c.create(ctx); err != nil {
			return nil, err
		}
	}
	if c.folder, err = os.Open(c.dir); err != nil {
		return nil, err
	}
	if err := c.choosePath(); err != nil {
		return nil, err
	}
	srv, err := c.launch(ctx)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go c.supervise(life, srv)
	return c, nil
}

// URL returns the connection string of a database of the cluster. The database
// "parlor" is always there.
func (c *Cluster) URL(database string) string {
	query := url.Values{"host": {c.host}, "port": {"5432"}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// Pid is the process id of the postmaster, or of the last one while a new one
// is being started.
func (c *Cluster) Pid() int { return int(c.pid.Load()) }

// Done is closed when the cluster has stopped for good and its folder is free.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Stop ends open transactions, stops the server and frees the folder. A server
// that has not stopped after 20 seconds is stopped harder, which loses nothing
// that was committed. Stop may be called more than once.
func (c *Cluster) Stop() error {
	c.stop()
	<-c.done
	return c.err
}

// supervise keeps a server running until the context ends.
func (c *Cluster) supervise(ctx context.Context, srv *server) {
	defer close(c.done)
	defer c.release()
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			c.err = srv.end()
			return
		case <-srv.ended:
		}
		srv.loud.Store(false)
		slog.Error("Postgres ended by itself, starting it again", "pid", srv.cmd.Process.Pid, "how", srv.how())
		if time.Since(srv.began) > time.Minute {
			pause = firstPause
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, longPause)
			next, err := c.launch(ctx)
			switch {
			case err == nil:
				slog.Info("Postgres runs again", "pid", next.cmd.Process.Pid)
				srv, again = next, false
			case ctx.Err() == nil:
				slog.Error("Postgres did not start, trying again", "err", err, "in", pause)
			}
		}
	}
}

// launch starts a server and returns when it accepts connections. What an
// earlier one left is cleared away first.
func (c *Cluster) launch(ctx context.Context) (*server, error) {
	if err := c.evict(ctx); err != nil {
		return nil, err
	}

	settings := []string{
		"--listen_addresses=", // no TCP
		"--port=5432",
		"--unix_socket_directories=.", // its own folder, so the length of the path does not matter to it
		"--unix_socket_permissions=0700",
		"--shared_buffers=64MB",
		"--max_connections=" + strconv.Itoa(c.cfg.MaxConnections),
		"--wal_level=minimal",
		"--max_wal_senders=0",
		"--jit=off",
		// A plan that was made while a table was small is made anew when its
		// statistics are. A young database grows fast.
		"--autovacuum_naptime=10s",
		"--log_min_messages=fatal",
		"--log_line_prefix=",
	}
	if c.cfg.NoSync {
		settings = append(settings, "--fsync=off", "--full_page_writes=off")
	}
	srv := &server{cmd: c.command(context.Background(), c.folder, "postgres", settings...), ended: make(chan struct{}), began: time.Now()}
	srv.cmd.Stderr = srv
	// Orphans of a killed postmaster hold standard error open; do not wait for them.
	srv.cmd.WaitDelay = time.Second

	started := make(chan error)
	go func() {
		// The kernel sends the signal "your parent died" when the thread that
		// started the child ends: this one stays as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := srv.cmd.Start()
		started <- err
		if err == nil {
			srv.cmd.Wait()
			close(srv.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	if err := c.awaitReady(ctx, srv); err != nil {
		srv.end()
		return nil, err
	}
	srv.loud.Store(true)
	c.pid.Store(int64(srv.cmd.Process.Pid))
	return srv, nil
}

// awaitReady reads the server's own status file, which costs it nothing,
// unlike connections that are turned away.
func (c *Cluster) awaitReady(ctx context.Context, srv *server) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-srv.ended:
			return fmt.Errorf("postgres ended while starting (%s)", srv.how())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if pid, ready := readPidFile(c.dir); ready && pid == srv.cmd.Process.Pid {
				return nil
			}
		}
	}
}

// evict ends server processes that an earlier program or a killed postmaster
// left in the folder. We hold the lock, so nobody has a right to them.
func (c *Cluster) evict(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	for round := 0; ; round++ {
		left := serversIn(c.dir)
		if len(left) == 0 {
			break
		}
		postmaster, _ := readPidFile(c.dir)
		late := time.Now().After(deadline)
		frozen := late && time.Since(deadline) > patience/2
		if late && time.Since(deadline) > patience {
			return fmt.Errorf("processes %v of an earlier server do not end", left)
		}
		if round == 0 {
			slog.Info("Ending the server that an earlier run left", "pids", left)
		}
		if round == 0 || late {
			for _, pid := range left {
				switch {
				case frozen:
					// Stopped processes hear nothing else. What they committed
					// is in the log, which the next server reads.
					syscall.Kill(pid, syscall.SIGKILL)
				case late:
					syscall.Kill(pid, syscall.SIGQUIT)
				case pid == postmaster:
					syscall.Kill(pid, syscall.SIGINT)
				case !slices.Contains(left, postmaster):
					// A busy orphan would notice the loss of its postmaster only
					// at the end of its query.
					syscall.Kill(pid, syscall.SIGTERM)
				}
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	if !seesEveryServer {
		return nil
	}
	// Postgres believes its status file when the pid in it lives, though it be a
	// zombie or a stranger that got the number. We have just looked ourselves.
	if err := os.Remove(filepath.Join(c.dir, "postmaster.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// command prepares a Postgres program that works on the cluster's folder, as
// the owner of the folder and apart from the terminal's Ctrl-C.
func (c *Cluster) command(ctx context.Context, folder *os.File, name string, args ...string) *exec.Cmd {
	dir := folder.Name()
	var inherit []*os.File
	if c.owner != nil && runtime.GOOS == "linux" {
		// Root's data often lies where the owner of the folder may not go, as in
		// /root (mode 0700). But an open folder that a process inherits is its
		// own to enter, whatever lies above it.
		dir, inherit = "/proc/self/fd/3", []*os.File{folder}
	}
	args = slices.Insert(args, 1, "-D", dir) // "--single" must be the first
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.ExtraFiles = inherit
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.owner}
	endWithParent(cmd.SysProcAttr)
	// Variables like PGPORT are meant for other servers than this one.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") }), "LC_ALL=C")
	return cmd
}

// choosePath finds the path by which clients reach the socket: the cluster's
// folder itself or, when that is too long for a socket, a short link to it.
func (c *Cluster) choosePath() error {
	c.host = c.dir
	if len(c.dir) > longestSocketDir {
		c.host = "/tmp/parlor-" + rand.Text()
		if err := os.Symlink(c.dir, c.host); err != nil {
			return fmt.Errorf("the path is too long for a socket, and a short link to it failed: %w", err)
		}
		c.alias = c.host
	}
	return c.sign()
}

// release gives the folder free. The lock file stays: removing it would let two
// programs hold locks on two files of the same name.
func (c *Cluster) release() {
	if c.alias != "" {
		os.Remove(c.alias)
	}
	if c.folder != nil {
		c.folder.Close()
	}
	if c.lock != nil {
		c.lock.Close()
	}
}

// server is one run of the postmaster.
type server struct {
	cmd   *exec.Cmd
	began time.Time
	ended chan struct{}
	loud  atomic.Bool // pass on what it says: not while starting or stopping

	mu   sync.Mutex
	said []byte // the last of what it said
}

// Write takes what the server says on standard error: only fatal things, by its
// settings.
func (s *server) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, b...)
	s.said = s.said[max(0, len(s.said)-2000):]
	// That a client was sent away, because its database was dropped for example,
	// is the client's concern, and it has been told.
	if s.loud.Load() && !bytes.Contains(b, []byte("terminating connection")) {
		slog.Warn("Postgres says", "text", string(bytes.TrimSpace(b)))
	}
	return len(b), nil
}

// how tells how an ended server ended.
func (s *server) how() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	how := s.cmd.ProcessState.String()
	if said := strings.Join(strings.Fields(string(s.said)), " "); said != "" {
		how += ": " + said
	}
	return how
}

// end stops the server, and returns an error if that took more than asking.
func (s *server) end() error {
	s.loud.Store(false)
	s.cmd.Process.Signal(syscall.SIGINT) // "fast": SIGTERM would wait for every client
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
	}
	s.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		<-s.ended
	}
	return fmt.Errorf("postgres did not stop within %s and was forced", patience)
}

// readPidFile reads the postmaster's status file: its pid in line 1, and in
// line 8 whether it accepts connections.
func readPidFile(dir string) (pid int, ready bool) {
	f, err := os.Open(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 4096))
	for n := 1; lines.Scan(); n++ {
		switch text := strings.TrimSpace(lines.Text()); n {
		case 1:
			pid, _ = strconv.Atoi(text)
		case 8:
			ready = text == "ready"
		}
	}
	return pid, ready
}
