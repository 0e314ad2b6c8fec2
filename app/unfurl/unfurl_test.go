package unfurl

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// site is a server on 127.0.0.1, and a Fetcher that may ask only that.
func site(t *testing.T, h http.HandlerFunc) (*Fetcher, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return New(Options{Reach: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}), server.URL
}

func page(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(text))
}

func TestFetch(t *testing.T) {
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("a request that says too much: %v", r.Header)
		}
		if !strings.Contains(r.UserAgent(), "Parlor") {
			t.Errorf("user agent %q", r.UserAgent())
		}
		switch r.URL.Path {
		case "/moved":
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, "/deep/page", http.StatusFound)
		case "/deep/page":
			page(w, `<title>A page</title><meta property=og:image content="../a.png"><meta name=description content="of mine">`)
		case "/image.png":
			w.Header().Set("Content-Type", "image/png")
		}
	})
	p, err := f.Fetch(t.Context(), at+"/moved#part")
	want := Preview{URL: at + "/moved", Title: "A page", Description: "of mine", SiteName: "127.0.0.1", ImageURL: at + "/a.png"}
	if err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = f.Fetch(t.Context(), at+"/image.png")
	if err != nil || p.Title != "image.png" || p.ImageURL != at+"/image.png" {
		t.Errorf("%+v, %v", p, err)
	}
}

// What a page gives as its picture is an address that may be asked, or none.
func TestImageURL(t *testing.T) {
	f := New(Options{})
	base, err := f.Target("https://example.org/a/b")
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"c.png":                        "https://example.org/a/c.png",
		"//other.example/c.png":        "https://other.example/c.png",
		"http://other.example/c.png":   "http://other.example/c.png",
		"":                             "",
		"data:image/png;base64,AAAA":   "",
		"file:///etc/passwd":           "",
		"http://a:b@example.org/c.png": "",
		"http://example.org:22/c.png":  "",
		"http://[":                     "",
	} {
		if got := f.imageURL(base, given); got != want {
			t.Errorf("%q: %q, not %q", given, got, want)
		}
	}
}

func TestNothingToShow(t *testing.T) {
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/status":
			w.WriteHeader(http.StatusNotFound)
			page(w, "<title>a</title>")
		case "/type":
			w.Header().Set("Content-Type", "application/pdf")
			_, _ = w.Write([]byte("<title>a</title>"))
		case "/no-type":
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte("<title>a</title>"))
		case "/svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = w.Write([]byte("<svg><title>a</title></svg>"))
		case "/untitled":
			page(w, "<p>text")
		case "/empty":
			page(w, "")
		case "/brotli":
			w.Header().Set("Content-Encoding", "br")
			page(w, "<title>a</title>")
		case "/not-gzip":
			w.Header().Set("Content-Encoding", "gzip")
			page(w, "<title>a</title>")
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("a", mostHeader+1))
			page(w, "<title>a</title>")
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		default: // /1 leads to /2, and so on
			var n int
			_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
			if n == 7 {
				page(w, "<title>Far away</title>")
				return
			}
			http.Redirect(w, r, fmt.Sprintf("/%d", n+1), http.StatusFound)
		}
	})
	for _, path := range []string{"/status", "/type", "/no-type", "/svg", "/untitled", "/empty", "/brotli", "/not-gzip", "/header", "/loop", "/1"} {
		if p, err := f.Fetch(t.Context(), at+path); err == nil {
			t.Errorf("%s: %+v", path, p)
		} else if errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if p, err := f.Fetch(t.Context(), at+"/2"); err != nil || p.Title != "Far away" {
		t.Errorf("behind five redirects: %+v, %v", p, err)
	}
}

// The same server is reached under an address that may be asked, and, by the
// redirect it sends, under one that may not.
func TestNoRedirectLeadsInside(t *testing.T) {
	var asked atomic.Int32
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		page(w, "<title>Secret</title>")
	}))
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address here: ", err)
	}
	inside.Listener = l
	inside.Start()
	defer inside.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			asked.Add(1)
			page(w, "<title>With a password</title>")
			return
		}
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusMovedPermanently)
	})
	for _, to := range []string{
		"http://127.0.0.2:" + port + "/", "http://[::ffff:127.0.0.2]:" + port + "/", "http://2130706434:" + port + "/",
		"http://0x7f.2:" + port + "/", "http://127.2:" + port + "/", "//127.0.0.2:" + port + "/",
		strings.Replace(at, "http://", "http://u:p@", 1) + "/there", "file:///etc/passwd", "ftp://127.0.0.2:" + port + "/", "http://169.254.169.254/latest/",
	} {
		for name, fetch := range map[string]func(context.Context, string) error{
			"page":    func(ctx context.Context, u string) error { _, err := f.Fetch(ctx, u); return err },
			"picture": func(ctx context.Context, u string) error { _, err := f.FetchImage(ctx, u); return err },
		} {
			if err := fetch(t.Context(), at+"/?to="+to); err == nil {
				t.Errorf("%s by a redirect to %s", name, to)
			}
		}
	}
	if _, err := f.Fetch(t.Context(), "http://127.0.0.2:"+port+"/"); !errors.Is(err, ErrRefused) {
		t.Errorf("asked at once: %v", err)
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the inside was asked %d times", n)
	}
}

// names is a DNS server that gives each name the addresses that answer says.
func names(t *testing.T, answer func(name string) []string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			for _, text := range answer(q.Name.String()) {
				a := netip.MustParseAddr(text)
				header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}
				switch {
				case a.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
				case a.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
				}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestNoNameLeadsInside(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		page(w, "<title>a</title>")
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	resolver := names(t, func(name string) []string {
		return map[string][]string{
			"loopback.test.": {"127.0.0.1"},
			"six.test.":      {"::1"},
			"mapped.test.":   {"::ffff:127.0.0.1"},
			"private.test.":  {"10.0.0.1", "192.168.0.1"},
			"cloud.test.":    {"169.254.169.254"},
			"nat64.test.":    {"64:ff9b::7f00:1"},
			"6to4.test.":     {"2002:7f00:1::"},
			"teredo.test.":   {"2001::1"},
			"cgnat.test.":    {"100.64.0.1"},
			"any.test.":      {"0.0.0.0", "::"},
		}[name]
	})
	// Any port, so that nothing but the address is in the way.
	f := New(Options{Resolver: resolver, Reach: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/32")}})
	for _, name := range []string{"loopback", "six", "mapped", "private", "cloud", "nat64", "6to4", "teredo", "cgnat", "any"} {
		if _, err := f.Fetch(t.Context(), "http://"+name+".test:"+port+"/"); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
}

// A name that leads to an allowed place when it is looked up first, and inside
// afterwards (DNS rebinding).
func TestANameThatChangesItsMind(t *testing.T) {
	var inside, outside atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address here: ", err)
	}
	secret := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		page(w, "<title>Secret</title>")
	})}}
	secret.Start()
	defer secret.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l, err = net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Skip("the port is taken on the other address: ", err)
	}
	open := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if outside.Add(1) == 1 {
			http.Redirect(w, r, "/again", http.StatusFound)
			return
		}
		page(w, "<title>Open</title>")
	})}}
	open.Start()
	defer open.Close()
	resolver := names(t, func(string) []string {
		if outside.Load() == 0 {
			return []string{"127.0.0.1"}
		}
		return []string{"127.0.0.2"}
	})
	f := New(Options{Resolver: resolver, Reach: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if _, err := f.Fetch(t.Context(), "http://two-faced.test:"+port+"/"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	if outside.Load() != 1 || inside.Load() != 0 {
		t.Errorf("asked %d times outside, %d inside", outside.Load(), inside.Load())
	}
}

func TestAPageThatNeverEnds(t *testing.T) {
	var sent atomic.Int64
	endless := func(w http.ResponseWriter, begin, more string) {
		page(w, begin)
		for {
			n, err := w.Write([]byte(more))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	more := strings.Repeat("a ", 16<<10)
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/body":
			endless(w, "<title>Endless</title></head>", more)
		case "/head":
			endless(w, "<title>Endless</title>", more)
		case "/title":
			endless(w, "<title>", more)
		case "/meta":
			endless(w, "<title>Endless</title><meta ", more)
		case "/comment":
			endless(w, "<title>Endless</title><!-- ", more)
		case "/nothing":
			endless(w, "", more)
		case "/image":
			w.Header().Set("Content-Type", "image/png")
			endless(w, "\x89PNG\r\n\x1a\n", more)
		}
	})
	for path, title := range map[string]string{"/body": "Endless", "/head": "Endless", "/meta": "Endless", "/comment": "Endless", "/title": "a a a", "/nothing": ""} {
		sent.Store(0)
		p, err := f.Fetch(t.Context(), at+path)
		if !strings.HasPrefix(p.Title, title) || (title == "") != (err != nil) {
			t.Errorf("%s: %.80q, %v", path, p.Title, err)
		}
		// What waits in the sockets of this machine comes on top.
		if n := sent.Load(); n > mostBytes+(16<<20) {
			t.Errorf("%s: %d bytes were taken", path, n)
		}
	}
	if p, err := f.FetchImage(t.Context(), at+"/image"); err == nil {
		t.Errorf("%+v", p)
	}
}

// A page that sends a byte now and then, and one that never answers, are
// given up together with the time of the fetch.
func TestASlowPageIsGivenUp(t *testing.T) {
	began := make(chan struct{}, 1)
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/drip" {
			page(w, "<title>a</title>")
			_ = http.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
	})
	for _, path := range []string{"/drip", "/silence"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := f.Fetch(ctx, at+path); done <- err }()
		<-began
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFetchHasFiveSeconds(t *testing.T) {
	var left time.Duration
	f := New(Options{})
	f.client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		deadline, ok := r.Context().Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left = time.Until(deadline)
		return nil, errors.New("enough")
	})}
	for name, fetch := range map[string]func(){
		"page":    func() { _, _ = f.Fetch(t.Context(), "http://example.org/") },
		"picture": func() { _, _ = f.FetchImage(t.Context(), "http://example.org/a.png") },
	} {
		left = 0
		if fetch(); left <= 0 || left > 5*time.Second {
			t.Errorf("%s: %v", name, left)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestABombIsNotUnpacked(t *testing.T) {
	packed := func(begin string, of byte, size int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(begin))
		_, _ = z.Write(bytes.Repeat([]byte{of}, size))
		_ = z.Close()
		return b.Bytes()
	}
	title := packed("<title>", 'a', 64<<20)
	// A whole gzip member of no bytes, over and over: it never unpacks to
	// anything.
	nothing := packed("", 0, 0)
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		if r.URL.Path == "/title" {
			_, _ = w.Write(title)
			return
		}
		for {
			if _, err := w.Write(bytes.Repeat(nothing, 1000)); err != nil {
				return
			}
		}
	})
	if p, err := f.Fetch(t.Context(), at+"/title"); err != nil || len(p.Title) > mostTitle+2 {
		t.Errorf("%.40q, %v", p.Title, err)
	}
	if p, err := f.Fetch(t.Context(), at+"/nothing"); !errors.Is(err, errTooMuch) {
		t.Errorf("%+v, %v", p, err)
	}
}

// The environment can't put another computer in our place.
func TestNoProxy(t *testing.T) {
	if f := New(Options{}); f.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("it uses a proxy")
	}
}
