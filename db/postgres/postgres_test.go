package postgres

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"
)

// TestMain lets the test binary play the program that owns a cluster, so that
// tests can kill it.
func TestMain(m *testing.M) {
	dir := os.Getenv("PARLOR_TEST_OWN")
	if dir == "" {
		os.Exit(m.Run())
	}
	c, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("pid", c.Pid())
	<-c.Done()
}

// owner starts a second program that owns the cluster in dir. At the test's end
// nothing of it writes to the folder any more.
func owner(t *testing.T, dir string) (program *exec.Cmd, postmaster int) {
	t.Helper()
	program = exec.Command(os.Args[0])
	program.Env = append(os.Environ(), "PARLOR_TEST_OWN="+dir)
	program.Stderr = os.Stderr
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		program.Process.Kill()
		program.Wait()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			left := serversIn(filepath.Join(dir, "postgres"))
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("the server of a killed program still runs: %v", left)
				return
			}
		}
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscanf(line, "pid %d", &postmaster); err != nil {
		t.Fatalf("the program says %q", line)
	}
	return program, postmaster
}

// start starts a cluster in dir until the test ends. The data is synced as in
// production: these tests are about what survives.
func start(t *testing.T, dir string) *Cluster {
	t.Helper()
	began := time.Now()
	c, err := Start(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func open(t *testing.T, c *Cluster) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", c.URL("parlor"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exe(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func wantRows(t *testing.T, db *sql.DB, want int) {
	t.Helper()
	var rows int
	if err := db.QueryRow("select count(*) from said").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if rows != want {
		t.Fatalf("%d rows, want %d", rows, want)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain waited until " + what)
		}
	}
}

func TestRowsAreThereOnTheNextStart(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	db := open(t, c)
	exe(t, db, "create table said (body text)")
	exe(t, db, "insert into said values ('hello')")
	var sync, encoding, lower string
	if err := db.QueryRow("select current_setting('fsync'), current_setting('server_encoding'), lower('ÄÉ')").Scan(&sync, &encoding, &lower); err != nil {
		t.Fatal(err)
	}
	if sync != "on" || encoding != "UTF8" || lower != "äé" {
		t.Errorf("fsync %s, encoding %s, lower('ÄÉ') = %s", sync, encoding, lower)
	}
	pid := c.Pid()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("after Stop the postmaster still is there: %v", err)
	}
	wantRows(t, open(t, start(t, dir)), 1)
}

// Root's folders are often closed to the user who runs the server.
func TestFolderThatOnlyItsOwnerMayEnter(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	c := start(t, filepath.Join(closed, "data"))
	exe(t, open(t, c), "create table said (body text)")
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(status), "Uid:\t0\t") {
		t.Error("the server runs as root")
	}
}

func TestNoTCPPortIsOpen(t *testing.T) {
	c := start(t, t.TempDir())
	var listen string
	if err := open(t, c).QueryRow("show listen_addresses").Scan(&listen); err != nil || listen != "" {
		t.Errorf("listens on %q, %v", listen, err)
	}
	tcp := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" { // listening
				tcp["socket:["+f[9]+"]"] = true
			}
		}
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.Pid()))
	if err != nil || len(fds) == 0 {
		t.Fatalf("no open files seen: %v", err)
	}
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); tcp[target] {
			t.Errorf("the postmaster listens on TCP: %s", target)
		}
	}
}

func TestSecondProgramIsToldWhoUsesTheFolder(t *testing.T) {
	dir := t.TempDir()
	program, _ := owner(t, dir)
	_, err := Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d,", program.Process.Pid)) {
		t.Errorf("want an error that names process %d, got: %v", program.Process.Pid, err)
	}
}

func TestKilledPostmasterComesBackWithAllThatWasCommitted(t *testing.T) {
	c := start(t, t.TempDir())
	db := open(t, c)
	exe(t, db, "create table said (body text)")
	exe(t, db, "insert into said select 'hello' from generate_series(1, 1000)")
	// A busy server process outlives its postmaster and must not be in the way.
	const busy = "select sum(a::numeric * b) from generate_series(1, 100000) a, generate_series(1, 100000) b"
	go db.Exec(busy)
	eventually(t, "the query runs", func() bool {
		var n int
		db.QueryRow("select count(*) from pg_stat_activity where query = $1", busy).Scan(&n)
		return n == 1
	})
	for range 2 {
		old := c.Pid()
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another postmaster is there", func() bool { return c.Pid() != old })
		eventually(t, "it answers", func() bool { return db.Ping() == nil })
		wantRows(t, db, 1000)
	}
}

func TestKilledProgramLosesNothingAndNeedsNobody(t *testing.T) {
	dir := t.TempDir()
	program, postmaster := owner(t, dir)
	c := &Cluster{dir: filepath.Join(dir, "postgres"), host: filepath.Join(dir, "postgres")}
	db := open(t, c)
	exe(t, db, "create table said (body text)")
	exe(t, db, "insert into said values ('hello')")
	program.Process.Kill()
	program.Wait()
	eventually(t, "the server has ended with its program", func() bool { return !slices.Contains(serversIn(c.dir), postmaster) })
	wantRows(t, open(t, start(t, dir)), 1)
}

// Where the kernel does not stop the server with the program, the next start
// does. Nobody reaps the server either, as in a container without an init.
func TestServerLeftByAnEarlierRunIsEnded(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	folder, err := os.Open(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	left := c.command(t.Context(), folder, "postgres", "--listen_addresses=", "--unix_socket_directories=.")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the left server is ready", func() bool {
		pid, ready := readPidFile(c.dir)
		return ready && pid == left.Process.Pid
	})
	exe(t, open(t, start(t, dir)), "create table said (body text)")
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", left.Process.Pid)); err != nil || !strings.Contains(string(status), ") Z ") {
		t.Errorf("the left server has not ended: %s %v", status, err)
	}
	left.Wait()
}

// A pid file that names a living process of somebody else does not hinder.
func TestStalePidFileIsNoHindrance(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "60")
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stranger.Process.Kill(); stranger.Wait() }()
	stale := strconv.Itoa(stranger.Process.Pid) + "\n/somewhere\n"
	if err := os.WriteFile(filepath.Join(dir, "postgres", "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.owner != nil {
		if err := os.Chown(filepath.Join(dir, "postgres", "postmaster.pid"), int(c.owner.Uid), int(c.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	start(t, dir)
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was ended: %v", err)
	}
}

func TestUnfinishedClusterIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "postgres.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestDataOfAnotherVersionStaysUntouched(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"another version": {"PG_VERSION": "9\n", "base": "precious"},
		"no cluster":      {"letters.txt": "precious"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cluster := filepath.Join(dir, "postgres")
			if err := os.Mkdir(cluster, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(cluster, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Start(t.Context(), Config{Dir: dir})
			t.Log(err)
			if err == nil {
				t.Fatal("started")
			}
			var missing *NotInstalledError
			if name == "another version" && (!errors.As(err, &missing) || missing.Major != 9 || len(missing.Found) == 0) {
				t.Errorf("the error does not tell the versions: %v", err)
			}
			entries, err := os.ReadDir(cluster)
			if err != nil || len(entries) != len(files) {
				t.Errorf("the folder has changed: %v, %v", entries, err)
			}
			for name, text := range files {
				if got, err := os.ReadFile(filepath.Join(cluster, name)); err != nil || string(got) != text {
					t.Errorf("%s has changed: %q, %v", name, got, err)
				}
			}
		})
	}
}

func TestWithoutPostgresTheErrorTellsWhatToType(t *testing.T) {
	tools := t.TempDir()
	t.Setenv("PATH", tools)
	defer func(all []string) { places = all }(places)
	places = nil
	for _, manager := range []string{"apt-get", "dnf", "apk", "pacman", "brew"} {
		path := filepath.Join(tools, manager)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Config{Dir: t.TempDir()})
		var missing *NotInstalledError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), manager+" ") || !strings.Contains(err.Error(), "postgresql") {
			t.Errorf("with %s the error is: %v", manager, err)
		}
		t.Log(err)
		os.Remove(path)
	}
	dir := t.TempDir()
	_, err := Start(t.Context(), Config{Dir: dir, Bin: tools})
	if err == nil || !strings.Contains(err.Error(), tools) {
		t.Errorf("the error does not name the folder that was given: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("a vain start left %v", entries)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	c := start(t, dir)
	exe(t, open(t, c), "create table said (body text)")
	link := c.alias
	if link == "" {
		t.Fatal("no short link to the folder")
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the short link is still there: %v", err)
	}
	// The next program clears away the link of one that was killed.
	program, _ := owner(t, dir)
	lock, err := os.ReadFile(filepath.Join(dir, "postgres.lock"))
	if err != nil {
		t.Fatal(err)
	}
	link = strings.Split(string(lock), "\n")[1]
	if _, err := os.Lstat(link); err != nil {
		t.Fatal(err)
	}
	program.Process.Kill()
	program.Wait()
	start(t, dir)
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the killed program's short link is still there: %v", err)
	}
}

func TestCancelledStartLeavesTheFolderFree(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Config{Dir: dir}); err == nil {
		t.Fatal("started in no time")
	}
	start(t, dir)
}

func TestAnotherProgramFindsTheRunningCluster(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "short")
	if url, ok, err := Running(dir); ok || err != nil || Exists(dir) {
		t.Fatalf("before the first start: %q %v %v", url, ok, err)
	}
	long := filepath.Join(parent, strings.Repeat("long", 30))
	for _, moved := range []string{dir, long} { // the second path is too long for a socket
		if moved != dir {
			if err := os.Rename(dir, moved); err != nil {
				t.Fatal(err)
			}
		}
		program, _ := owner(t, moved)
		url, ok, err := Running(moved)
		if err != nil || !ok || !Exists(moved) {
			t.Fatalf("while it runs: %v %v", ok, err)
		}
		db, err := sql.Open("postgres", url)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(); err != nil {
			t.Error(err)
		}
		db.Close()
		program.Process.Kill()
		program.Wait()
		if _, ok, err := Running(moved); ok || err != nil || !Exists(moved) {
			t.Fatalf("after its end: %v %v", ok, err)
		}
	}
}

func TestClientProgramFitsTheServer(t *testing.T) {
	dir := t.TempDir()
	for name, version := range map[string]string{"old": "13.2", "same": "15.1 (Debian 15.1-1)", "new": "17beta1"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\necho 'pg_dump (PostgreSQL) " + version + "'\n"
		if err := os.WriteFile(filepath.Join(dir, name, "pg_dump"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	usual := places
	places = []string{filepath.Join(dir, "*")}
	t.Cleanup(func() { places = usual })
	t.Setenv("PATH", "/nowhere")
	for major, want := range map[int]string{15: "same", 16: "new", 14: "same"} {
		if got, err := Client("pg_dump", "", major); err != nil || got != filepath.Join(dir, want, "pg_dump") {
			t.Errorf("for a server of version %d: %s %v", major, got, err)
		}
	}
	if _, err := Client("pg_dump", "", 18); err == nil || !strings.Contains(err.Error(), "Postgres 18 or newer") || !strings.Contains(err.Error(), "15 in ") {
		t.Errorf("no fitting one: %v", err)
	}
	if _, err := Client("pg_dump", filepath.Join(dir, "old"), 15); err == nil {
		t.Error("a folder that was given holds an older one")
	}
}
