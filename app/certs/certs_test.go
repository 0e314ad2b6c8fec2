package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// serve answers over TLS with what the source has.
func serve(t *testing.T, s *Source) (addr string) {
	t.Helper()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Proto))
	}))
	web.Listener = tls.NewListener(web.Listener, s.TLS)
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	web.Start()
	t.Cleanup(web.Close)
	return web.Listener.Addr().String()
}

// shake shakes hands and returns the state of the connection.
func shake(t *testing.T, addr string, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

func trusting(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in " + file)
	}
	return pool
}

func TestSelfSignedNamesTheMachineAndStaysOverARestart(t *testing.T) {
	t.Parallel()
	c := Config{SelfSigned: true, Folder: filepath.Join(t.TempDir(), "tls")}
	one, err := Open(c, quiet, "chat.test")
	if err != nil {
		t.Fatal(err)
	}
	pool := trusting(t, one.SelfSignedFile)
	host, _ := os.Hostname()
	var first []byte
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "chat.test", host} {
		state, err := shake(t, serve(t, one), &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
			t.Errorf("%s: %q, %x", name, state.NegotiatedProtocol, state.Version)
		}
		first = state.PeerCertificates[0].Raw
	}
	again, err := Open(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	state, err := shake(t, serve(t, again), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil || string(state.PeerCertificates[0].Raw) != string(first) {
		t.Errorf("after a restart it was another certificate: %v", err)
	}
	if info, err := os.Stat(filepath.Join(c.Folder, "self-signed.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key can be read by others: %v %v", info.Mode(), err)
	}
}

func TestSelfSignedIsMadeAnewBeforeItEnds(t *testing.T) {
	t.Parallel()
	c := Config{SelfSigned: true, Folder: t.TempDir()}
	write(t, c.Folder, "self-signed", time.Now().Add(selfSignedLeft-selfSignedFor-time.Hour))
	s, err := Open(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := s.TLS.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || time.Until(pair.Leaf.NotAfter) < selfSignedLeft {
		t.Errorf("it ends %v, %v", pair.Leaf.NotAfter, err)
	}
}

// write puts a certificate for localhost into two files.
func write(t *testing.T, folder, name string, from time.Time) (certFile, keyFile string) {
	t.Helper()
	cert, key, err := makeSelfSigned([]string{"localhost"}, from)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(folder, name+".crt"), filepath.Join(folder, name+".key")
	for file, text := range map[string][]byte{certFile: cert, keyFile: key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestChangedFilesAreReadWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := write(t, dir, "site", time.Now())
	s, err := Open(Config{CertFile: cert, KeyFile: key}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, s)
	serves := func(what, file string) {
		t.Helper()
		if _, err := shake(t, addr, &tls.Config{RootCAs: trusting(t, file), ServerName: "localhost"}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	old := filepath.Join(dir, "old.crt")
	copyFile(t, cert, old)
	serves("at first", old)

	// Whoever renews writes one file after the other.
	newCert, newKey := write(t, dir, "new", time.Now().Add(time.Minute))
	copyFile(t, newCert, cert)
	serves("with the certificate new and the key old", old)
	copyFile(t, newKey, key)
	serves("with both new", newCert)

	if err := os.WriteFile(cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	serves("with a broken file", newCert)
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	serves("without the file", newCert)
	if _, err := Open(Config{CertFile: cert, KeyFile: key}, quiet); err == nil {
		t.Error("a start without the file was no error")
	}
}

// copyFile writes the text, with a date of its own whatever the clock's steps.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
	copies++
	if err := os.Chtimes(to, time.Time{}, time.Now().Add(time.Duration(copies)*time.Second)); err != nil {
		t.Fatal(err)
	}
}

var copies int

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{SelfSigned: true, Folder: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shake(t, serve(t, s), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

func TestPlainHTTPIsSentToHTTPS(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{SelfSigned: true, Folder: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, host, https, code, location string }{
		{"GET", "chat.test", ":443", "302", "https://chat.test/rooms/parlor?after=1"},
		{"GET", "chat.test:80", "[::]:443", "302", "https://chat.test/rooms/parlor?after=1"},
		{"HEAD", "chat.test:8081", "127.0.0.1:8443", "302", "https://chat.test:8443/rooms/parlor?after=1"},
		{"GET", "[::1]:8081", ":8443", "302", "https://[::1]:8443/rooms/parlor?after=1"},
		{"POST", "chat.test", ":443", "400", ""},
	} {
		r := httptest.NewRequest(c.method, "http://"+c.host+"/rooms/parlor?after=1", nil)
		w := httptest.NewRecorder()
		s.Plain(c.https).ServeHTTP(w, r)
		if got := w.Result(); !strings.HasPrefix(got.Status, c.code) || got.Header.Get("Location") != c.location {
			t.Errorf("%s %s: %s %s", c.method, c.host, got.Status, got.Header.Get("Location"))
		}
	}
}

func TestMistakesInSettingsAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config Config
		want   string // "": it is right
	}{
		{Config{}, ""},
		{Config{CertFile: "a", KeyFile: "b"}, ""},
		{Config{Hosts: []string{"chat.example.org", "xn--mnchen-3ya.example"}, Email: "a@b.example"}, ""},
		{Config{CertFile: "a"}, "tls-key"},
		{Config{CertFile: "a", KeyFile: "b", SelfSigned: true}, "exclude"},
		{Config{Hosts: []string{"192.0.2.1"}}, "host name"},
		{Config{Hosts: []string{"https://chat.example.org"}}, "host name"},
		{Config{Email: "a@b.example"}, "without acme"},
	} {
		err := c.config.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestACMEGetsACertificateAndKeepsIt(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	c := Config{Hosts: []string{"chat.example.org"}, Directory: authority.web.URL + "/directory", Folder: t.TempDir()}
	s, err := Open(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(s.Plain(":443"))
	defer plain.Close()
	authority.asks = plain.Listener.Addr().String()

	addr := serve(t, s)
	client := &tls.Config{RootCAs: authority.pool, ServerName: "chat.example.org", NextProtos: []string{"h2"}}
	state, err := shake(t, addr, client)
	if err != nil {
		t.Fatal(err)
	}
	if state.NegotiatedProtocol != "h2" {
		t.Errorf("protocol %q", state.NegotiatedProtocol)
	}
	if authority.answered == "" || authority.issued != 1 {
		t.Errorf("the authority was answered %q and issued %d", authority.answered, authority.issued)
	}
	// Nobody can have it ask for other names.
	if _, err := shake(t, addr, &tls.Config{InsecureSkipVerify: true, ServerName: "other.example.org"}); err == nil {
		t.Error("a name that is not ours got a certificate")
	}
	// A restart does not ask again: authorities allow few certificates a week.
	again, err := Open(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, serve(t, again), client); err != nil || authority.issued != 1 {
		t.Errorf("after a restart: %v, %d certificates issued", err, authority.issued)
	}
}

// The other kind of challenge comes over TLS with a protocol of its own.
func TestACMEOffersItsProtocol(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{Hosts: []string{"chat.example.org"}, Folder: t.TempDir()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(s.TLS.NextProtos, " "), "acme-tls/1") {
		t.Errorf("%v", s.TLS.NextProtos)
	}
	if s.acme.HostPolicy(context.Background(), "other.example.org") == nil {
		t.Error("any name would be asked for")
	}
}
