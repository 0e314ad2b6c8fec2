package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/lib/pq"

	"parlor/db/postgres"
)

// world is everything that faults can strike: a Postgres, nodes of the built
// program, and the networks between them and their clients.
type world struct {
	dir    string
	binary string
	log    *slog.Logger // of the run, on a file
	nodes  []*node

	toPostgres       *proxy // between the nodes and Postgres
	posters, readers *proxy // between clients and nodes
	pages, knife     *proxy // of the browser; of the readers that are cut at each byte

	nats   *natsServer // nil: the program knows nothing of NATS
	toNATS *proxy
	byNATS atomic.Bool // nodes that start now use it

	mu      sync.Mutex
	cluster *postgres.Cluster
	config  postgres.Config
	tmpfs   bool // the cluster is on a small file system of its own
}

const (
	room     = "/rooms/parlor"
	database = "parlor"
	// mostConnections is what Postgres takes. Three nodes need 30 of them, and
	// those that fell silent are still there for a while.
	mostConnections = 75
	nodeConnections = 8
	// diskBytes is how large the small file system is.
	diskBytes = 400 << 20
)

// newWorld starts Postgres and one node in a fresh folder.
func newWorld(ctx context.Context, log *slog.Logger, dir string) (w *world, err error) {
	w = &world{dir: dir, log: log, binary: filepath.Join(dir, "parlor")}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", w.binary, "parlor").CombinedOutput(); err != nil {
		return w, fmt.Errorf("build the program: %w\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return w, err
	}
	w.tmpfs = mountSmall(data, diskBytes) == nil
	w.config = postgres.Config{Dir: data, Bin: os.Getenv("PARLOR_POSTGRES_BIN"), MaxConnections: mostConnections, NoSync: true}
	if err := w.startPostgres(ctx); err != nil {
		return w, err
	}
	admin, err := w.openSQL()
	if err != nil {
		return w, err
	}
	defer admin.Close()
	// The log of changes must not fill the small file system by itself.
	for _, setting := range []string{"max_wal_size = '96MB'", "min_wal_size = '32MB'"} {
		if _, err := admin.ExecContext(ctx, "alter system set "+setting); err != nil {
			return w, err
		}
	}
	if _, err := admin.ExecContext(ctx, "select pg_reload_conf()"); err != nil {
		return w, err
	}

	socket, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		return w, err
	}
	w.toPostgres = newProxy(socket, func() []func() (net.Conn, error) {
		return []func() (net.Conn, error){func() (net.Conn, error) {
			return net.DialTimeout("unix", filepath.Join(w.socketDir(), ".s.PGSQL.5432"), 5*time.Second)
		}}
	})
	for _, p := range []**proxy{&w.posters, &w.readers, &w.pages, &w.knife} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return w, err
		}
		*p = newProxy(l, w.nodeDialers)
	}
	if help, _ := exec.CommandContext(ctx, w.binary, "-h").CombinedOutput(); strings.Contains(string(help), "NATS_URL") {
		if w.nats, err = startNATS(); err != nil {
			return w, err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return w, err
		}
		w.toNATS = newProxy(l, func() []func() (net.Conn, error) {
			return []func() (net.Conn, error){func() (net.Conn, error) { return net.DialTimeout("tcp", w.nats.addr, 2*time.Second) }}
		})
	}
	return w, nil
}

// enter brings the world into a phase: more nodes, or all of them with another
// bus, one after the other.
func (w *world) enter(ctx context.Context, p phase) error {
	change := w.byNATS.Swap(p.bus == byNATS) != (p.bus == byNATS)
	for _, n := range w.nodes {
		if change {
			if err := n.restart(ctx); err != nil {
				return err
			}
		}
	}
	for len(w.nodes) < p.nodes {
		if err := w.addNode(ctx); err != nil {
			return err
		}
	}
	return nil
}

// end stops everything and clears the folder away.
func (w *world) end() {
	for _, n := range w.nodes {
		n.end()
	}
	for _, p := range []*proxy{w.toPostgres, w.toNATS, w.posters, w.readers, w.pages, w.knife} {
		if p != nil {
			p.end()
		}
	}
	if w.nats != nil {
		w.nats.stop()
	}
	if c := w.postgres(); c != nil {
		signalAll(c.Pid(), syscall.SIGCONT)
		if err := c.Stop(); err != nil {
			w.log.Error("Postgres", "err", err)
		}
	}
	if w.tmpfs {
		unmount(filepath.Join(w.dir, "data"))
	}
}

func (w *world) nodeDialers() []func() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var dialers []func() (net.Conn, error)
	for _, n := range w.nodes {
		dialers = append(dialers, func() (net.Conn, error) { return net.DialTimeout("tcp", n.addr, 2*time.Second) })
	}
	return dialers
}

func (w *world) startPostgres(ctx context.Context) error {
	cluster, err := postgres.Start(ctx, w.config)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.cluster = cluster
	w.mu.Unlock()
	return nil
}

func (w *world) postgres() *postgres.Cluster {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cluster
}

// socketDir is where the cluster has its socket.
func (w *world) socketDir() string {
	u, err := url.Parse(w.postgres().URL(database))
	if err != nil {
		panic(err) // it made the URL itself
	}
	return u.Query().Get("host")
}

// ownName tells this program's connections from the nodes'.
const ownName = "chaos"

// openSQL opens the database, past all proxies.
func (w *world) openSQL() (*sql.DB, error) {
	return sql.Open("postgres", w.postgres().URL(database)+"&application_name="+ownName)
}

// databaseURL is how nodes reach the database: through the proxy.
func (w *world) databaseURL() string {
	u, err := url.Parse(w.postgres().URL(database))
	if err != nil {
		panic(err) // it made the URL itself
	}
	q := u.Query()
	q.Set("host", w.dir)
	u.RawQuery = q.Encode()
	return u.String()
}

// addNode starts one more node and waits until it is ready.
func (w *world) addNode(ctx context.Context) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(w.dir, fmt.Sprintf("node-%d.log", len(w.nodes)+1)))
	if err != nil {
		return err
	}
	n := &node{name: fmt.Sprintf("node %d", len(w.nodes)+1), addr: addr, binary: w.binary, log: w.log, out: logFile}
	if len(w.nodes)%3 == 1 { // the second one has a clock that can be set
		if n.binary, err = os.Executable(); err != nil {
			return err
		}
		n.clock = filepath.Join(w.dir, n.name+" clock")
	}
	n.env = func() []string {
		env := []string{
			"PARLOR_ADDR=" + addr, "DATABASE_URL=" + w.databaseURL(), "PARLOR_FILES=" + filepath.Join(w.dir, "files"), clockVariable + "=" + n.clock,
			"PARLOR_DATABASE_CONNECTIONS=" + strconv.Itoa(nodeConnections),
			"PARLOR_POSTS_PER_SECOND=0", "PARLOR_NICKNAMES_PER_HOUR=0", "PARLOR_STREAMS_PER_SESSION=0",
		}
		if w.byNATS.Load() {
			env = append(env, "NATS_URL=nats://"+w.toNATS.addr())
		}
		return env
	}
	n.start()
	go n.keep()
	for !n.ready() {
		if !sleep(ctx, 20*time.Millisecond) {
			n.end()
			return ctx.Err()
		}
	}
	w.mu.Lock()
	w.nodes = append(w.nodes, n)
	w.mu.Unlock()
	return nil
}

// freeAddr finds a port below those that the kernel gives to outgoing
// connections, so that nobody has it while its node is down.
func freeAddr() (string, error) {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no free port")
}

// node is a process of the program, started again whenever it ends by itself,
// as a service manager does.
type node struct {
	name, addr, binary string
	clock              string // file that says by how much its clock is wrong; "": the program itself
	env                func() []string
	log                *slog.Logger
	out                *os.File

	down  atomic.Bool  // it must stay down for now
	ended atomic.Bool  // for good
	fell  atomic.Int64 // how often it ended by itself

	mu    sync.Mutex
	cmd   *exec.Cmd
	asked bool // to end
}

func (n *node) start() {
	cmd := exec.Command(n.binary)
	cmd.Env = append(os.Environ(), n.env()...)
	cmd.Stdout, cmd.Stderr = n.out, n.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := cmd.Start(); err != nil {
		n.log.Error("a node can't be started", "node", n.name, "err", err)
	}
	n.cmd, n.asked = cmd, false
}

// keep starts the process again whenever it has ended, until end.
func (n *node) keep() {
	for {
		n.mu.Lock()
		cmd := n.cmd
		n.mu.Unlock()
		err := cmd.Wait()
		n.mu.Lock()
		asked := n.asked
		n.mu.Unlock()
		if !asked && !n.ended.Load() {
			n.fell.Add(1)
			n.log.Warn("a node ended by itself", "node", n.name, "err", err)
			time.Sleep(100 * time.Millisecond)
		}
		for n.down.Load() && !n.ended.Load() {
			time.Sleep(2 * time.Millisecond)
		}
		if n.ended.Load() {
			return
		}
		n.start()
	}
}

// stop asks the process to end, by a signal, and keeps it down until resume.
func (n *node) stop(signal os.Signal) {
	n.mu.Lock()
	n.asked = true
	n.mu.Unlock()
	n.down.Store(true)
	n.signal(signal)
}

// resume starts the process again, as soon as it has ended.
func (n *node) resume() { n.down.Store(false) }

// restart stops the process and waits until another one is ready.
func (n *node) restart(ctx context.Context) error {
	before := n.pid()
	n.stop(syscall.SIGTERM)
	n.resume()
	for deadline := time.Now().Add(30 * time.Second); n.pid() == before || !n.ready(); {
		if !sleep(ctx, 20*time.Millisecond) || time.Now().After(deadline) {
			return fmt.Errorf("%s did not come back", n.name)
		}
	}
	return nil
}

func (n *node) signal(signal os.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(signal); err != nil {
		n.log.Warn("a node takes no signal", "node", n.name, "signal", signal, "err", err)
	}
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Pid
}

func (n *node) ready() bool {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + n.addr + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (n *node) end() {
	n.ended.Store(true)
	n.stop(syscall.SIGKILL)
	n.out.Close()
}

// signalAll sends a signal to a process and its children.
func signalAll(pid int, signal syscall.Signal) {
	pids := append([]int{pid}, children(pid)...)
	for _, pid := range pids {
		_ = syscall.Kill(pid, signal)
	}
}

// history reads the room as it is stored, past the program, together with the
// room's number.
func (w *world) history(ctx context.Context) (rows []row, rev int64, err error) {
	conn, err := w.openSQL()
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	list, err := conn.QueryContext(ctx, `select m.seq, m.nonce, m.body, m.edited_at is not null, m.deleted_at is not null, p.nickname
		from messages m join people p on p.id = m.author_id join rooms r on r.id = m.room_id where r.slug = 'parlor' order by m.seq`)
	if err != nil {
		return nil, 0, err
	}
	defer list.Close()
	for list.Next() {
		var r row
		if err := list.Scan(&r.Seq, &r.Nonce, &r.Text, &r.Edited, &r.Deleted, &r.Nickname); err != nil {
			return nil, 0, err
		}
		rows = append(rows, r)
	}
	if err := list.Err(); err != nil {
		return nil, 0, err
	}
	return rows, rev, conn.QueryRowContext(ctx, `select rev from rooms where slug = 'parlor'`).Scan(&rev)
}

// endBackends ends the connections to the database whose last query is like
// the pattern.
func (w *world) endBackends(like string) error {
	conn, err := w.openSQL()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Exec(`select pg_terminate_backend(pid) from pg_stat_activity
		where datname = $1 and application_name <> $2 and query ilike $3`, database, ownName, like)
	return err
}
