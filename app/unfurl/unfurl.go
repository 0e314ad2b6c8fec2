// Package unfurl looks at a web page for others and says what it is about:
// its title, a description, and the address of a picture; and it fetches such
// a picture as a small copy of its own making. It is no crawler and no
// browser: it makes one request (and up to five redirects), reads the page's
// head, and runs nothing of it. It keeps nothing.
//
// Its invariant: whatever address it is given, and wherever that leads, it
// speaks only to public addresses on ports 80 and 443. That is checked on the
// address of the socket that is about to connect, so that no name, redirect or
// change of an answer of the DNS gets around it. No fetch takes more than
// five seconds or five megabytes, as sent or as unpacked. What it returns is
// text of one line, and pictures that it drew itself.
package unfurl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"time"

	"code.dny.dev/ssrf"
)

// Limits of one fetch, redirects included.
const (
	mostTime      = 5 * time.Second
	mostBytes     = 5 << 20           // of a body, as unpacked
	mostWire      = mostBytes + 1<<20 // of a connection: a packed body, headers and TLS
	mostHeader    = 64 << 10
	mostRedirects = 5
)

// ErrRefused is for addresses that are not to be asked: other schemes than
// http and https, other ports, names with a password, and every place that is
// not public.
var ErrRefused = errors.New("not a public web address")

// ErrNothing is for pages that say nothing about themselves: other types
// than HTML and pictures, any status but 200, no title.
var ErrNothing = errors.New("nothing to show")

// Preview is what a page says of itself. All texts are of one line, cleaned
// and bounded; none of them is HTML.
type Preview struct {
	URL         string // as it was asked for, in the form of Target
	Title       string // never ""
	Description string // or ""
	SiteName    string // what the page says, or its host
	ImageURL    string // a valid Target, or ""
}

// Options change what a Fetcher does. The zero value is for the open web.
type Options struct {
	// UserAgent says who asks; "" is "Parlor (link preview bot)".
	UserAgent string
	// Reach are networks that may be asked though they are not public, on any
	// port. It is there for tests with servers of their own, and must never
	// be filled from a setting: it is what keeps the inside of a network from
	// people who send links.
	Reach []netip.Prefix
	// Resolver finds hosts; nil is the system's.
	Resolver *net.Resolver
}

// Fetcher fetches. It may be used by many at once.
type Fetcher struct {
	client    *http.Client
	userAgent string
	anyPort   bool
	drawing   chan struct{} // one picture at a time is unpacked: it may take 150 MB
}

// New makes a Fetcher.
func New(o Options) *Fetcher {
	f := &Fetcher{userAgent: o.UserAgent, anyPort: len(o.Reach) > 0, drawing: make(chan struct{}, 1)}
	if f.userAgent == "" {
		f.userAgent = "Parlor (link preview bot)"
	}
	dialer := &net.Dialer{Control: newGuard(o.Reach).Safe, Resolver: o.Resolver, KeepAlive: -1}
	f.client = &http.Client{ // with no Jar: nobody's cookies
		CheckRedirect: f.followed,
		Transport: &http.Transport{ // with no Proxy: it would connect in our place
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &boundedConn{Conn: conn, left: mostWire}, nil
			},
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: mostHeader,
		},
	}
	return f
}

// Fetch looks at a page. An error wraps ErrRefused, ErrNothing, or what the
// network said.
func (f *Fetcher) Fetch(ctx context.Context, address string) (Preview, error) {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	target, err := f.Target(address)
	if err != nil {
		return Preview{}, err
	}
	res, err := f.get(ctx, target, "text/html, application/xhtml+xml, image/*;q=0.5")
	if err != nil {
		return Preview{}, fmt.Errorf("look at %s: %w", target.Host, err)
	}
	defer res.Body.Close()
	p := Preview{URL: target.String(), SiteName: oneLine(host(res.Request.URL), mostSiteName)}
	contentType := res.Header.Get("Content-Type")
	switch kind, _, _ := mime.ParseMediaType(contentType); {
	case kind == "text/html" || kind == "application/xhtml+xml":
		about, err := readHead(io.LimitReader(res.Body, mostBytes), contentType)
		if err != nil {
			return Preview{}, fmt.Errorf("look at %s: %w", target.Host, err)
		}
		p.Title, p.Description = about.title(), about.description()
		if name := about.siteName(); name != "" {
			p.SiteName = name
		}
		p.ImageURL = f.imageURL(res.Request.URL, about.image())
	case pictureTypes[kind]:
		p.Title = oneLine(path.Base(res.Request.URL.Path), mostTitle)
		p.ImageURL = f.imageURL(res.Request.URL, res.Request.URL.String())
	default:
		return Preview{}, fmt.Errorf("look at %s: %w: its type is %.80q", target.Host, ErrNothing, contentType)
	}
	if p.Title == "" {
		return Preview{}, fmt.Errorf("look at %s: %w: it has no title", target.Host, ErrNothing)
	}
	return p, nil
}

// get makes a request. The body it returns is to be closed, and ends with
// ctx.
func (f *Fetcher) get(ctx context.Context, target *url.URL, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header.Set("User-Agent", f.userAgent)
	req.Header.Set("Accept", accept)
	res, err := f.client.Do(req)
	if err != nil {
		if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil, err
	}
	if packing := res.Header.Get("Content-Encoding"); res.StatusCode != http.StatusOK || packing != "" {
		res.Body.Close() // gzip, which alone is asked for, is unpacked already and no longer in the header
		return nil, fmt.Errorf("%w: its status is %d, its encoding %.20q", ErrNothing, res.StatusCode, packing)
	}
	return res, nil
}

// followed judges a redirect. Where it leads is looked at again when it
// connects.
func (f *Fetcher) followed(req *http.Request, via []*http.Request) error {
	if len(via) > mostRedirects {
		return fmt.Errorf("%w: more than %d redirects", ErrNothing, mostRedirects)
	}
	if _, err := f.Target(req.URL.String()); err != nil {
		return err
	}
	req.Header.Del("Referer") // nobody learns from us where a link came from
	return nil
}

// imageURL is where a page's picture is, given as a page gives it: relative to
// where it is itself.
func (f *Fetcher) imageURL(page *url.URL, given string) string {
	if given == "" {
		return ""
	}
	at, err := page.Parse(given)
	if err != nil {
		return ""
	}
	target, err := f.Target(at.String())
	if err != nil {
		return ""
	}
	return target.String()
}
