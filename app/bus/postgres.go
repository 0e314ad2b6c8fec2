package bus

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// channel is the Postgres channel all nodes listen on. Databases of one server
// do not hear each other.
const channel = "parlor"

// silence is how long a listening connection may bring nothing. A node is
// heard by itself every beatEvery, so a longer silence means that the
// connection is dead, whatever the operating system thinks of it.
const silence = 15 * time.Second

// postgres is the transport by LISTEN and NOTIFY.
type postgres struct {
	url     string
	db      *sqlx.DB
	log     *slog.Logger
	silence time.Duration
	notify  *sqlx.Stmt
	healthy atomic.Bool
}

// Postgres listens on a connection of its own to the database at the URL, and
// sends over db.
func Postgres(url string, db *sqlx.DB, log *slog.Logger) Transport {
	return &postgres{url: url, db: db, log: log, silence: silence}
}

func (p *postgres) Healthy() bool { return p.healthy.Load() }

func (p *postgres) Listen(ctx context.Context, arrived func([]byte)) (err error) {
	if p.notify, err = p.db.PreparexContext(ctx, `select pg_notify($1, $2)`); err != nil {
		return fmt.Errorf("prepare to notify other nodes: %w", err)
	}
	listener := pq.NewDialListener(listenDialer(p.silence), p.url, shortestPause, longestPause, func(event pq.ListenerEventType, err error) {
		p.healthy.Store(event == pq.ListenerEventConnected || event == pq.ListenerEventReconnected)
		if event == pq.ListenerEventDisconnected {
			p.log.Warn("lost the connection that listens to other nodes; reconnecting", "err", err)
		}
	})
	context.AfterFunc(ctx, func() { listener.Close() })
	if err := listener.Listen(channel); err != nil {
		listener.Close()
		return fmt.Errorf("listen to other nodes: %w", err)
	}
	go func() {
		for n := range listener.Notify {
			if n == nil { // reconnected
				arrived(nil)
			} else {
				arrived([]byte(n.Extra))
			}
		}
	}()
	return nil
}

// Send notifies in a statement of its own: inside the transaction of a change
// it would take a lock that puts all commits of the cluster in one queue.
func (p *postgres) Send(ctx context.Context, message []byte) error {
	_, err := p.notify.ExecContext(ctx, channel, string(message))
	return err
}

// listenDialer connects to Postgres with itself as the limit of each read.
type listenDialer time.Duration

func (d listenDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, time.Duration(d))
}

func (d listenDialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return nil, err
	}
	return listening{conn, time.Duration(d)}, nil
}

// listening is a connection on which every read has a limit.
type listening struct {
	net.Conn
	silence time.Duration
}

func (c listening) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}
