package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"parlor/app/certs"
)

// Listeners are the addresses at which the program is reached, open but not
// yet answering.
type Listeners struct {
	cfg    Config
	log    *slog.Logger
	certs  *certs.Source // nil: plain HTTP
	public net.Listener
	plain  net.Listener // beside TLS; may be nil
	inside net.Listener // for the operator; may be nil

	servers []*http.Server
}

// Listen opens the addresses of the settings. It comes before everything
// slow, so that an address in use or a bad certificate is told at once.
func Listen(cfg Config, log *slog.Logger) (_ *Listeners, err error) {
	l := &Listeners{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	for _, open := range []struct {
		addr string
		into *net.Listener
	}{{cfg.Addr, &l.public}, {cfg.HTTPAddr, &l.plain}, {cfg.PrivateAddr, &l.inside}} {
		if open.addr == "" {
			continue
		}
		if *open.into, err = net.Listen("tcp", open.addr); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", open.addr, err)
		}
	}
	if cfg.TLS.Enabled() {
		var names []string
		if cfg.PublicURL != nil {
			names = append(names, cfg.PublicURL.Hostname())
		}
		if l.certs, err = certs.Open(cfg.TLS, log, names...); err != nil {
			return nil, err
		}
	}
	l.public = boundConnections(l.public, log)
	return l, nil
}

// Close closes what is open. Serving ends with an error by that; see Shutdown.
func (l *Listeners) Close() {
	for _, listener := range []net.Listener{l.public, l.plain, l.inside} {
		if listener != nil {
			listener.Close()
		}
	}
}

// Serve begins to answer. The channel gets the error that ends it before its
// time.
func (l *Listeners) Serve(s *Server) <-chan error {
	failed := make(chan error, 3)
	serve := func(web *http.Server, listener net.Listener) {
		l.servers = append(l.servers, web)
		go func() {
			var err error
			if web.TLSConfig != nil {
				err = web.ServeTLS(listener, "", "")
			} else {
				err = web.Serve(listener)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve on %s: %w", listener.Addr(), err)
			}
		}()
	}
	web, scheme := newHTTPServer(s, l.log), "http"
	if l.certs != nil {
		web.TLSConfig, scheme = l.certs.TLS, "https"
	}
	serve(web, l.public)
	l.log.Info("Parlor is open", "scheme", scheme, "address", l.public.Addr().String())
	if l.certs != nil && l.certs.SelfSignedFile != "" {
		l.log.Warn("the certificate is self-signed: browsers will say that the connection is not private "+
			"(NET::ERR_CERT_AUTHORITY_INVALID, SEC_ERROR_UNKNOWN_ISSUER), and go on after Advanced; a browser that is given the file trusts it",
			"file", l.certs.SelfSignedFile)
	}
	if l.plain != nil {
		serve(newHTTPServer(l.certs.Plain(l.public.Addr().String()), l.log), l.plain)
	}
	if l.inside != nil {
		private := newHTTPServer(s.private(), l.log)
		private.WriteTimeout = 5 * time.Minute // a profile takes its time
		serve(private, l.inside)
		l.log.Info("metrics, profiles and health are served", "address", l.inside.Addr().String())
	}
	return failed
}

// Shutdown ends serving: no new connections, and requests under way are
// finished until the context ends.
func (l *Listeners) Shutdown(ctx context.Context) error {
	errs := make([]error, len(l.servers))
	var all sync.WaitGroup
	for i, web := range l.servers {
		all.Go(func() { errs[i] = web.Shutdown(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// newHTTPServer has a limit for everything that a client can take its time
// over.
func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second, // of the TLS handshake, too
		ReadTimeout:       15 * time.Second, // headers and body; a page gives a post up at about that time
		WriteTimeout:      time.Minute,      // streams set their own before each write
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250, // a proxy may bring many people over one connection
			// A peer that says nothing is asked whether it is there; one that
			// does not answer, or does not read, is gone.
			SendPingTimeout:  20 * time.Second,
			PingTimeout:      10 * time.Second,
			WriteByteTimeout: writeFor,
			// Nobody sends much to a chat: a form at a time, seldom a file, which
			// may take a little longer. Small windows and tables are less memory
			// for each connection.
			MaxReceiveBufferPerConnection: 256 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			MaxDecoderHeaderTableSize:     4 << 10,
			MaxEncoderHeaderTableSize:     4 << 10,
			MaxReadFrameSize:              16 << 10,
		},
	}
}

// private is what the operator gets, and nobody else.
func (s *Server) private() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.Handle("GET /healthz", s.answer(s.getHealth))
	mux.Handle("GET /readyz", s.answer(s.getReady))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// filesKept is how many open files are kept back from connections: for the
// database, the private Postgres, other nodes and the program's own files.
const filesKept = 200

// bounded is a listener that leaves new connections waiting in the kernel
// while there are as many as the machine lets the program have open. Without
// it they would take the files that the database's connections need.
type bounded struct {
	*net.TCPListener
	places chan struct{} // one for each connection
	log    *slog.Logger
	told   time.Time
}

func boundConnections(l net.Listener, log *slog.Logger) net.Listener {
	tcp, ok := l.(*net.TCPListener)
	files := openFiles()
	if !ok || files > 1<<30 { // as good as no limit
		return l
	}
	if files < 4096 {
		log.Warn("the program may open few files here, so few people can be connected at a time; raise the limit (ulimit -n, LimitNOFILE)", "files", files)
	}
	return &bounded{TCPListener: tcp, places: make(chan struct{}, max(files-filesKept, files/2)), log: log}
}

// openFiles is how many files the program may have open. Go has raised it to
// the most that may be asked for.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<40 {
		return 1 << 40
	}
	return int(limit.Cur)
}

// Accept waits for a place first.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	default:
		if time.Since(b.told) > time.Minute {
			b.told = time.Now()
			b.log.Warn("there are as many connections as files may be open: new ones wait; raise the limit (ulimit -n, LimitNOFILE)", "connections", cap(b.places))
		}
		b.places <- struct{}{}
	}
	conn, err := b.AcceptTCP()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placedConn{TCPConn: conn, listener: b}, nil
}

// placedConn gives its place back when it is closed.
type placedConn struct {
	*net.TCPConn
	listener *bounded
	closed   atomic.Bool
}

func (c *placedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		<-c.listener.places
	}
	return c.TCPConn.Close()
}
