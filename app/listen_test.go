package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parlor/app"
	"parlor/app/certs"
)

// listening is a site that is reached through its own listeners instead of a
// test server. It returns their addresses: for people, for plain HTTP beside
// TLS, and for the operator.
func listening(t *testing.T, change func(*app.Config)) (s *site, plain, private string) {
	t.Helper()
	cfg := app.DefaultConfig()
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	cfg.Addr, cfg.PrivateAddr = free(), free()
	cfg.TLS.Folder = t.TempDir()
	change(&cfg)
	if cfg.TLS.Enabled() {
		cfg.HTTPAddr = free()
	}
	listeners, err := app.Listen(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s = newSite(t, func(c *app.Config) {
		cfg.PostsPerSecond, cfg.NicknamesPerHour, cfg.DatabaseConnections = c.PostsPerSecond, c.NicknamesPerHour, c.DatabaseConnections
		*c = cfg
	})
	s.web.URL = "http://" + cfg.Addr
	if cfg.TLS.Enabled() {
		s.web.URL = "https://" + cfg.Addr
	}
	listeners.Serve(s.server, s.server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.server.Drain(ctx)
		_ = listeners.Shutdown(ctx)
	})
	return s, cfg.HTTPAddr, cfg.PrivateAddr
}

// trust has the visitor's browser know the site's own certificate.
func (v *visitor) trust(folder string, http2 bool) *visitor {
	v.s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(folder, "self-signed.crt"))
	if err != nil {
		v.s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}
	v.s.t.Cleanup(transport.CloseIdleConnections)
	v.Transport = transport
	return v
}

func selfSigned(c *app.Config) { c.TLS.SelfSigned = true }

func TestOverTLSEverythingWorksByHTTP2(t *testing.T) {
	t.Parallel()
	var folder string
	s, plain, _ := listening(t, func(c *app.Config) { selfSigned(c); folder = c.TLS.Folder })
	ann := s.visitor().trust(folder, true)
	entered := ann.post("/session", "nickname", "Ann")
	cookie := strings.Join(entered.header.Values("Set-Cookie"), "\n")
	for _, want := range []string{"__Host-parlor=", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("no %s in %q", want, cookie)
		}
	}
	resp, err := ann.Get(s.web.URL + "/rooms/parlor")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the room came by %s", resp.Proto)
	}
	if got := resp.Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("a browser is told for good (%s) to come by https, for trying it out", got)
	}

	// More streams of one browser than HTTP/1.1 would have, all live. Those
	// of the two protocols carry the same.
	var open []*stream
	for range 8 {
		open = append(open, ann.stream("/rooms/parlor/stream?after=0"))
	}
	old := s.visitor().trust(folder, false)
	open = append(open, old.stream("/rooms/parlor/stream?after=0"), old.stream("/rooms/parlor/stream?after=0", "Accept-Encoding", "identity"))
	for i := range 3 {
		ann.say("parlor", fmt.Sprintf("over TLS %d", i))
	}
	for _, st := range open {
		for i := range 3 {
			st.until(fmt.Sprintf("over TLS %d", i))
		}
	}

	// Who comes without TLS is told so, at either port.
	v := s.visitor()
	s.web.URL = "http://" + plain
	contains(t, v.get("/rooms/parlor?after=1"), 302)
	if got := v.get("/rooms/parlor?after=1").header.Get("Location"); !strings.HasPrefix(got, "https://127.0.0.1:") || !strings.HasSuffix(got, "/rooms/parlor?after=1") {
		t.Errorf("plain HTTP is sent to %q", got)
	}
	s.web.URL = "http://" + resp.Request.URL.Host
	contains(t, v.get("/"), 400, "HTTPS")
}

func TestWithARealCertificateBrowsersStayWithHTTPS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := certs.Open(certs.Config{SelfSigned: true, Folder: dir}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s, _, _ := listening(t, func(c *app.Config) {
		c.TLS.CertFile, c.TLS.KeyFile = filepath.Join(dir, "self-signed.crt"), filepath.Join(dir, "self-signed.key")
	})
	if got := s.visitor().trust(dir, true).get("/").header.Get("Strict-Transport-Security"); got == "" {
		t.Error("no Strict-Transport-Security")
	}
}

// What takes its time over a request is cut; the rest of the site is not.
func TestSlowClientsAreCut(t *testing.T) {
	t.Parallel()
	s, _, _ := listening(t, func(*app.Config) {})
	u, _ := url.Parse(s.web.URL)
	for _, c := range []struct{ what, begin, drip string }{
		{"a header that comes byte by byte", "GET / HTTP/1.1\r\nHost: parlor.test\r\nX-Slow: ", "x"},
		{"a body that comes byte by byte", "POST /session HTTP/1.1\r\nHost: parlor.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n", "x"},
		{"a body that never comes", "POST /session HTTP/1.1\r\nHost: parlor.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n", ""},
		{"nothing at all", "", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, c.begin)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, conn)
			}()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for deadline := time.After(25 * time.Second); ; {
				select {
				case <-ended:
					return
				case <-tick.C:
					fmt.Fprint(conn, c.drip)
				case <-deadline:
					t.Fatal("it is still connected")
				}
			}
		})
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s, _, _ := listening(t, func(*app.Config) {})
	contains(t, s.visitor().get("/", "X-Huge", strings.Repeat("x", 64<<10)), 431)
}

// A stream over TLS outlives the time in which a request must have been read.
func TestStreamOverTLSOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	var folder string
	s, _, _ := listening(t, func(c *app.Config) { selfSigned(c); folder = c.TLS.Folder })
	streams := []*stream{s.visitor().trust(folder, false).stream("/stream"), s.visitor().trust(folder, true).stream("/stream")}
	over, cancel := context.WithTimeout(context.Background(), 16500*time.Millisecond) // it is 15 s
	defer cancel()
	for _, st := range streams {
		for alive := true; alive; {
			select {
			case _, open := <-st.events:
				if !open {
					t.Fatal("a stream ended")
				}
			case <-over.Done():
				alive = false
			}
		}
	}
}

func TestTheOperatorsAddressShowsTheInsideAndThePublicOneDoesNot(t *testing.T) {
	t.Parallel()
	s, _, private := listening(t, func(*app.Config) {})
	v := s.visitor()
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		contains(t, v.get(path), 404)
	}
	s.web.URL = "http://" + private
	contains(t, v.get("/metrics"), 200, "parlor_streams_open", "go_goroutines", "go_sql_open_connections", "parlor_database_up 1", "parlor_bus_up 1", "parlor_ready 1")
	contains(t, v.get("/debug/pprof/"), 200, "heap")
	contains(t, v.get("/debug/pprof/goroutine?debug=1"), 200, "goroutine profile")
	contains(t, v.get("/readyz"), 200, "ready")
	contains(t, v.get("/healthz"), 200, "alive")
}

func TestAScrapeShowsRequestsByRouteAndStreams(t *testing.T) {
	t.Parallel()
	s, _, private := listening(t, func(*app.Config) {})
	ann := s.guest("Ann")
	ann.say("parlor", "one")
	ann.say("parlor", "two")
	ann.get("/rooms/parlor")
	ann.get("/rooms/nowhere")
	ann.get("/nowhere/at/all")
	st := ann.stream("/rooms/parlor/stream?after=0")
	st.until("two")
	ann.say("parlor", "three")
	st.until("three")
	s.web.URL = "http://" + private
	contains(t, s.visitor().get("/metrics"), 200,
		`parlor_http_request_seconds_count{code="201",route="POST /rooms/{slug}/messages"} 3`,
		`parlor_streams_open{protocol="http1"} 1`,
		`parlor_streams_opened_total{protocol="http2"} 0`,
		`parlor_fan_out_seconds_bucket`,
		`parlor_http_request_seconds_count{code="200",route="GET /rooms/{slug}"} 1`,
		`parlor_http_request_seconds_count{code="404",route="GET /rooms/{slug}"} 1`,
		`parlor_http_request_seconds_count{code="404",route="/"} 1`,
		`parlor_http_request_seconds_count{code="200",route="GET /rooms/{slug}/stream"} 1`,
		`parlor_bus_received_total{kind="wake"}`)
}
