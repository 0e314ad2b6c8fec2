package doctor

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// beatEvery is the pace of these tests' servers, in place of 10 s.
const beatEvery = 100 * time.Millisecond

// parlor answers as Parlor does, in all that is looked at.
func parlor() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Parlor-Client", "127.0.0.1")
		_, _ = io.WriteString(w, "alive\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready\n") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "browser", Value: "x", Secure: true, HttpOnly: true})
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, "<h1>Lobby</h1>")
		_ = zip.Close()
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		zip, out := gzip.NewWriter(w), http.NewResponseController(w)
		say := func(signal string) {
			fmt.Fprintf(zip, "event: datastar-patch-signals\ndata: signals {%q:1}\n\n", signal)
			_ = zip.Flush()
			_ = out.Flush()
		}
		say("_online")
		for r.Context().Err() == nil {
			time.Sleep(beatEvery)
			say("_beat")
		}
	})
	return mux
}

// with answers one path differently.
func with(path string, h http.HandlerFunc) http.Handler {
	whole := parlor()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			h(w, r)
			return
		}
		whole.ServeHTTP(w, r)
	})
}

// authority signs the certificates of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-1e4 * time.Hour), NotAfter: time.Now().Add(1e4 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	return a
}

// sign makes a certificate for 127.0.0.1 or for a name, that ended or will
// end after the given time.
func (a *authority) sign(t *testing.T, name string, end time.Duration, self bool) tls.Certificate {
	t.Helper()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a server"},
		NotBefore: time.Now().Add(end - 90*24*time.Hour), NotAfter: time.Now().Add(end),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" {
		leaf.IPAddresses = append(leaf.IPAddresses, []byte{127, 0, 0, 1})
	} else {
		leaf.DNSNames = []string{name}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if self {
		parent, signer = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// examine looks at a server and returns the findings, a line each.
func examine(t *testing.T, address string, o Options) string {
	t.Helper()
	var err error
	if o.URL, err = url.Parse(address); err != nil {
		t.Fatal(err)
	}
	o.beat = 5 * beatEvery
	if o.atOnce == 0 {
		o.atOnce = atOnce
	}
	var out strings.Builder
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	Check(ctx, o, func(f Finding) {
		fmt.Fprintf(&out, "%s: %s → %s\n", f.Level, f.What, f.Remedy)
		if f.Level != OK && f.Remedy == "" {
			t.Errorf("no remedy for: %s", f.What)
		}
	})
	return out.String()
}

const day = 24 * time.Hour

func TestEachFaultIsFoundAndAGoodServerHasNone(t *testing.T) {
	authority := newAuthority(t)
	good := authority.sign(t, "", 60*day, false)
	toHTTPS := http.RedirectHandler("https://chat.test/", http.StatusFound)
	for _, c := range []struct {
		name    string
		handler http.Handler
		cert    *tls.Certificate // nil: good
		noHTTP2 bool
		noTLS   bool
		plain   http.Handler // what answers without TLS; nil: a redirect
		atOnce  time.Duration
		want    []string // findings; empty: all must be ok
	}{
		{name: "good", handler: parlor()},
		{name: "ended certificate", cert: ptr(authority.sign(t, "", -3*day-time.Hour, false)), want: []string{"problem: The certificate has ended 3 days ago"}},
		{name: "certificate about to end", cert: ptr(authority.sign(t, "", 3*day+time.Hour, false)), want: []string{"problem: The certificate ends in 3 days"}},
		{name: "certificate not renewed", cert: ptr(authority.sign(t, "", 15*day+time.Hour, false)), want: []string{"warning: The certificate ends in 15 days"}},
		{name: "certificate of another name", cert: ptr(authority.sign(t, "chat.example.org", 60*day, false)), want: []string{"problem: The certificate is for chat.example.org, not for 127.0.0.1"}},
		{name: "self-signed", cert: ptr(authority.sign(t, "", 60*day, true)), want: []string{"warning: The certificate is self-signed"}},
		{name: "chain not whole", cert: ptr(newAuthority(t).sign(t, "", 60*day, false)), want: []string{"problem: Nobody whom browsers trust", "fullchain"}},
		{name: "no HTTP/2", noHTTP2: true, want: []string{"warning: It is reached by HTTP/1.1"}},
		{name: "no TLS", noTLS: true, want: []string{"warning: It is reached without TLS"}},
		{name: "pages without TLS, too", plain: parlor(), want: []string{"problem: Pages are served without TLS, too"}},
		{name: "no redirect", plain: http.NotFoundHandler(), want: []string{"warning: Who comes by http gets 404 Not Found"}},
		{name: "bad gateway", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }),
			want: []string{"problem: A proxy answers, but does not reach Parlor behind it (502"}},
		{name: "another program", handler: http.NotFoundHandler(), want: []string{"problem: What answers there is not Parlor"}},
		{name: "clock a little wrong", handler: clock(30 * time.Second), want: []string{"warning: The server's clock and the one here differ by 30s"}},
		{name: "clock wrong", handler: clock(-time.Hour), want: []string{"problem: The server's clock and the one here differ by -1h"}},
		{name: "proxy not trusted", handler: with("/healthz", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Parlor-Client", "10.0.0.5; X-Forwarded-For is not believed")
			_, _ = io.WriteString(w, "alive\n")
		}), want: []string{"problem: The server does not trust the proxy at 10.0.0.5", "PARLOR_TRUSTED_PROXIES=10.0.0.5"}},
		{name: "uncompressed, loose cookies", handler: with("/", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "browser", Value: "x"})
		}), want: []string{"warning: Pages come uncompressed", "problem: Cookies are not marked Secure", "PARLOR_PUBLIC_URL=https://127.0.0.1"}},
		{name: "no strict transport", handler: with("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
		}), want: []string{"warning: Browsers are not told to come by https only"}},
		{name: "lobby broken", handler: with("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }), want: []string{"problem: The lobby is 500"}},
		{name: "database away", handler: with("/readyz", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, "not ready: the database does not answer\n")
		}), want: []string{"problem: The server says: not ready: the database does not answer."}},
		{name: "stream collected for ever", handler: with("/stream", collected(0)), want: []string{"problem: The stream did not begin", "proxy_buffering off"}},
		{name: "stream collected for a while", handler: with("/stream", collected(3*beatEvery)), atOnce: beatEvery, want: []string{"problem: The stream's beginning arrived only after"}},
		{name: "stream's rest collected", handler: with("/stream", onlyHello), want: []string{"problem: The stream's beginning arrived after", "but no heartbeat within"}},
		{name: "stream cut", handler: with("/stream", cutAfter(2*beatEvery)), want: []string{"problem: The stream was cut after", "proxy_read_timeout"}},
		{name: "no stream", handler: with("/stream", http.NotFound), want: []string{"problem: The stream is 404 Not Found"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.handler == nil {
				c.handler = parlor()
			}
			if c.plain == nil {
				c.plain = toHTTPS
			}
			web := httptest.NewUnstartedServer(c.handler)
			web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			if c.noTLS {
				web.Start()
			} else {
				web.EnableHTTP2 = !c.noHTTP2
				web.TLS = &tls.Config{Certificates: []tls.Certificate{good}}
				if c.cert != nil {
					web.TLS.Certificates[0] = *c.cert
				}
				web.StartTLS()
			}
			plain := httptest.NewServer(c.plain)
			t.Cleanup(func() {
				plain.Close()
				web.CloseClientConnections()
				web.Close()
			})
			got := examine(t, web.URL, Options{roots: authority.pool, plain: plain.Listener.Addr().String(), atOnce: c.atOnce})
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("not found: %s\n%s", want, got)
				}
			}
			if len(c.want) == 0 && (strings.Contains(got, "problem:") || strings.Contains(got, "warning:") || strings.Count(got, "ok:") < 9) {
				t.Errorf("a good server:\n%s", got)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// clock is a server whose clock is off.
func clock(by time.Duration) http.Handler {
	return with("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		_, _ = io.WriteString(w, "alive\n")
	})
}

// collected is a stream behind a proxy that collects what is sent, and passes
// it on after a while, or never.
func collected(after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if after == 0 {
			<-r.Context().Done()
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(after)
		_, _ = io.WriteString(w, "data: {_online}\n\ndata: {_beat}\n\n")
	}
}

func onlyHello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: {_online}\n\n")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func cutAfter(after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {_online}\n\n")
		w.(http.Flusher).Flush()
		time.Sleep(after)
	}
}

func cutAfterABeat(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: {_online}\n\ndata: {_beat}\n\n")
	w.(http.Flusher).Flush()
	time.Sleep(2 * beatEvery)
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(nil)
	web.Close()
	if got := examine(t, web.URL, Options{}); !strings.Contains(got, "problem: "+web.Listener.Addr().String()+" can't be reached") {
		t.Error(got)
	}
}

func TestALongLookFindsWhatEndsStreams(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(with("/stream", cutAfterABeat))
	defer web.Close()
	if got := examine(t, web.URL, Options{Idle: 20 * beatEvery}); !strings.Contains(got, "ok: The stream arrives unbuffered") || !strings.Contains(got, "problem: The stream was cut after") {
		t.Error(got)
	}
	whole := httptest.NewServer(parlor())
	defer func() { whole.CloseClientConnections(); whole.Close() }()
	if got := examine(t, whole.URL, Options{Idle: 8 * beatEvery}); !strings.Contains(got, "ok: A stream stayed open for 800ms") {
		t.Error(got)
	}
}

func TestOnTheMachineItself(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(parlor())
	t.Cleanup(func() { web.CloseClientConnections(); web.Close() })
	inside := func(open, most int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "# HELP x y\ngo_goroutines 12\nprocess_open_fds %d\nprocess_max_fds %d\n", open, most)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	backup := func(age time.Duration) string {
		dir, names := t.TempDir(), []string{"old.tar", "new.tar", ".unfinished", "out.txt", "photo.zip"}
		if age < 0 {
			names = []string{"out.txt"}
		}
		var whole bytes.Buffer
		archive := zip.NewWriter(&whole)
		if _, err := archive.Create("manifest.json"); err != nil {
			t.Fatal(err)
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			path, content := filepath.Join(dir, name), whole.Bytes()
			switch name {
			case "out.txt":
				content = []byte("what the last backup had to say about itself, at some length")
			case "photo.zip":
				content = bytes.Replace(content, []byte("manifest.json"), []byte("manifest.jpeg"), 1)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age - time.Duration(1-i)*time.Hour)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	postgres := func(version string) string {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "postgres"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "postgres", "PG_VERSION"), []byte(version+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Private: inside(900, 1000)}, "problem: The server has 900 of at most 1000 files open"},
		{Options{Private: inside(10, 1000)}, "warning: The server may have 1000 files open"},
		{Options{Private: inside(10, 1048576)}, "ok: The server has 10 of at most 1048576"},
		{Options{Private: web.Listener.Addr().String()}, "has no metrics (404"},
		{Options{Backups: backup(time.Hour)}, "ok: The newest backup, new.tar, is 1 hours old"},
		{Options{Backups: backup(30 * time.Hour)}, "warning: The newest backup, new.tar, is 30 hours old"},
		{Options{Backups: backup(10 * day)}, "problem: The newest backup, new.tar, is 10 days old"},
		{Options{Backups: backup(-1)}, "problem: There is no backup"},
		{Options{Data: postgres("15")}, "ok: Postgres is version 15, private"},
		{Options{Data: postgres("13")}, "problem: Postgres is version 13"},
		{Options{Data: t.TempDir()}, "The disk of the data folder"},
		{Options{Data: "/nowhere/at/all"}, "problem: The data folder /nowhere/at/all can't be looked at"},
		{Options{Database: "postgres://127.0.0.1:1/x?sslmode=disable"}, "problem: The Postgres server does not answer"},
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			d := &doctor{Options: c.o, ctx: context.Background(), client: http.DefaultClient, tell: func(f Finding) {
				fmt.Fprintf(&got, "%s: %s\n", f.Level, f.What)
			}}
			if d.machine(); !strings.Contains(got.String(), c.want) {
				t.Errorf("not found: %s\n%s", c.want, &got)
			}
		})
	}
}

func TestDisk(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct {
		free, size uint64
		want       Level
	}{{gib / 8, 100 * gib, Problem}, {gib, 100 * gib, Warning}, {4 * gib, 100 * gib, Warning}, {20 * gib, 100 * gib, OK}} {
		d := &doctor{tell: func(f Finding) {
			if f.Level != c.want {
				t.Errorf("%d of %d: %s", c.free, c.size, f.Level)
			}
		}}
		d.room(c.free, c.size)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for _, c := range []struct {
		args []string
		env  string
		code int
		want string
	}{
		{[]string{"-h"}, "", 0, "-idle"},
		{nil, "", 2, "must look like"},
		{[]string{"chat.example.org"}, "", 2, "must look like"},
		{[]string{"-nonsense", web.URL}, "", 2, "-nonsense"},
		{[]string{web.URL, "-idle", "1s"}, "", 1, "1 problems"},
		{nil, web.URL, 1, "→ "},
	} {
		var out bytes.Buffer
		code := Run(c.args, func(name string) string {
			if name == "PARLOR_PUBLIC_URL" {
				return c.env
			}
			return ""
		}, &out)
		if code != c.code || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v %s: %d\n%s", c.args, c.env, code, &out)
		}
	}
}
