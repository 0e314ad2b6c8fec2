package bus

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/nats-io/nats-server/v2/server"

	"parlor/db/dbtest"
)

// postgresNodes makes nodes on one database.
func postgresNodes(t *testing.T) (node func() Transport, db *sqlx.DB) {
	t.Helper()
	database := dbtest.New(t)
	conn, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	db = sqlx.NewDb(conn, "postgres")
	return func() Transport { return Postgres(database, db, slog.New(slog.DiscardHandler)) }, db
}

// natsServer runs in this process; port -1 takes a free one.
func natsServer(t *testing.T, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

func port(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// talk checks that both nodes hear each other.
func talk(t *testing.T, one, two *Bus, atOne, atTwo *ear, topic int64) {
	t.Helper()
	one.Wake(topic, 4180)
	one.Wake(topic, 4183)
	two.Wake(topic+1, 9)
	one.Tell("typing", "", "Ann")
	atTwo.until(t, "two", func() bool { return atTwo.revs[topic] == 4183 && len(atTwo.told) > 0 })
	atOne.until(t, "one", func() bool { return atOne.revs[topic+1] == 9 && len(atOne.told) == 0 })
	if told := atTwo.told[len(atTwo.told)-1]; told != `typing "Ann"` {
		t.Errorf("told %s", told)
	}
	if !one.Healthy() || !two.Healthy() {
		t.Error("they talk, but say that they are not healthy")
	}
}

func TestPostgresListenerIsCut(t *testing.T) {
	t.Parallel()
	node, db := postgresNodes(t)
	one, atOne := start(t, node())
	two, atTwo := start(t, node())
	talk(t, one, two, atOne, atTwo, 7)
	if _, err := db.Exec(`select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	atOne.until(t, "one after the break", func() bool { return atOne.resumed > 0 })
	atTwo.until(t, "two after the break", func() bool { return atTwo.resumed > 0 })
	talk(t, one, two, atOne, atTwo, 17)
}

// A connection over which nothing comes any more, although nobody closed it.
func TestPostgresListenerGoesSilent(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	deaf := newDeafProxy(t, q.Get("host")+"/.s.PGSQL."+q.Get("port"), u)
	conn, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := &postgres{url: deaf.url, db: sqlx.NewDb(conn, "postgres"), log: quiet(), silence: time.Second}
	b, e := start(t, p)
	deaf.swallow.Store(true)
	e.until(t, "the silence", func() bool { return e.resumed > 0 || !b.Healthy() })
	deaf.swallow.Store(false)
	e.until(t, "after the silence", func() bool { return e.resumed > 0 && b.Healthy() })
}

// deafProxy passes bytes on until it swallows them.
type deafProxy struct {
	url     string
	swallow atomic.Bool
}

func newDeafProxy(t *testing.T, socket string, database *url.URL) *deafProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	to := *database
	q := to.Query()
	q.Del("host")
	q.Del("port")
	to.Host, to.RawQuery = l.Addr().String(), q.Encode()
	p := &deafProxy{url: to.String()}
	pass := func(dst, src net.Conn) {
		defer dst.Close()
		buf := make([]byte, 4096)
		for {
			n, err := src.Read(buf)
			if err == nil && !p.swallow.Load() {
				_, err = dst.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				continue
			}
			go pass(out, in)
			go pass(in, out)
		}
	}()
	return p
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	s := natsServer(t, -1)
	address, again := s.ClientURL(), port(s)
	one, atOne := start(t, NATS(address, quiet()))
	two, atTwo := start(t, NATS(address, quiet()))
	_, elsewhere := startAt(t, NATS(address, quiet()), "elsewhere")
	talk(t, one, two, atOne, atTwo, 7)
	stop(s)
	for deadline := time.Now().Add(10 * time.Second); one.Healthy() || two.Healthy(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("healthy without a server")
		}
	}
	one.Wake(27, 3) // nobody hears it; they look once they are back
	natsServer(t, again)
	atOne.until(t, "one after the restart", func() bool { return atOne.resumed > 0 })
	atTwo.until(t, "two after the restart", func() bool { return atTwo.resumed > 0 })
	talk(t, one, two, atOne, atTwo, 17)
	elsewhere.mu.Lock()
	defer elsewhere.mu.Unlock()
	if len(elsewhere.revs) > 0 || len(elsewhere.told) > 0 {
		t.Errorf("another installation heard %v %q", elsewhere.revs, elsewhere.told)
	}
}

func TestNATSComesLater(t *testing.T) {
	t.Parallel()
	s := natsServer(t, -1)
	address, later := s.ClientURL(), port(s)
	stop(s)
	one, atOne := start(t, NATS(address, quiet()))
	two, atTwo := start(t, NATS(address, quiet()))
	if one.Healthy() {
		t.Error("healthy without a server")
	}
	natsServer(t, later)
	atOne.until(t, "one", func() bool { return atOne.resumed > 0 })
	atTwo.until(t, "two", func() bool { return atTwo.resumed > 0 })
	talk(t, one, two, atOne, atTwo, 7)
	if _, err := Start(context.Background(), NATS("nats://\x00", quiet()), func() string { return "" }, &ear{}, quiet()); err == nil {
		t.Error("an address that is none was taken")
	}
}
