package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// natsTransport is the transport by NATS.
type natsTransport struct {
	url     string
	log     *slog.Logger
	conn    *nats.Conn
	healthy atomic.Bool
}

// subject is what all nodes publish to and subscribe.
const subject = "parlor"

// NATS connects to the server at the URL, or to one of several, separated by
// commas. User, password, token and TLS (tls://) belong into the URL.
func NATS(url string, log *slog.Logger) Transport { return &natsTransport{url: url, log: log} }

func (n *natsTransport) Healthy() bool { return n.healthy.Load() }

// Listen also succeeds while no server can be reached: the nodes are one chat
// without it, only slower.
func (n *natsTransport) Listen(ctx context.Context, arrived func([]byte)) error {
	resumed := func(conn *nats.Conn) {
		// The subscription is in force before anything is looked after.
		if err := conn.FlushTimeout(sendFor); err != nil {
			return // lost again
		}
		n.healthy.Store(true)
		arrived(nil)
	}
	conn, err := nats.Connect(n.url,
		nats.Name("parlor"), nats.NoEcho(), nats.Timeout(2*time.Second),
		// For ever, whatever the reason.
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(200*time.Millisecond), nats.ReconnectJitter(300*time.Millisecond, 300*time.Millisecond),
		// A dead connection is found within silence.
		nats.PingInterval(silence/3), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(sendFor),
		// What waits for a connection waits in the Bus, where newer replaces older.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(conn *nats.Conn) {
			if conn.Stats().Reconnects > 0 { // not at the first try
				resumed(conn)
			}
		}),
		nats.ReconnectHandler(resumed),
		nats.DisconnectErrHandler(func(conn *nats.Conn, err error) {
			if n.healthy.Swap(false) && !conn.IsClosed() {
				n.log.Warn("lost the connection to NATS; reconnecting", "err", err)
			}
		}),
		nats.ErrorHandler(func(conn *nats.Conn, _ *nats.Subscription, err error) {
			n.log.Warn("NATS", "err", err)
			if errors.Is(err, nats.ErrSlowConsumer) { // messages were dropped
				arrived(nil)
			}
		}),
	)
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	n.conn = conn
	if _, err := conn.Subscribe(subject, func(m *nats.Msg) { arrived(m.Data) }); err != nil {
		conn.Close()
		return fmt.Errorf("subscribe to other nodes: %w", err)
	}
	if !conn.IsConnected() || conn.FlushTimeout(sendFor) != nil {
		n.log.Warn("NATS can't be reached; trying again", "err", conn.LastError())
	} else {
		n.healthy.Store(true)
	}
	context.AfterFunc(ctx, conn.Close)
	return nil
}

// Send returns when the server has the message.
func (n *natsTransport) Send(ctx context.Context, message []byte) error {
	if err := n.conn.Publish(subject, message); err != nil {
		return err
	}
	return n.conn.FlushWithContext(ctx)
}
