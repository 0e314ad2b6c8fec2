package unfurl

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"code.dny.dev/ssrf"
)

// mostURL is as long as an address may be, in bytes.
const mostURL = 2048

// Target is an address in the form in which it is asked for, and by which
// previews are told apart: scheme and host in small letters, without the
// default port and without a fragment. The error wraps ErrRefused. It looks
// at the address only, not at where its name leads.
func (f *Fetcher) Target(address string) (*url.URL, error) {
	if len(address) > mostURL {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrRefused, mostURL)
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: its scheme is %.20q", ErrRefused, u.Scheme)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: it has a password", ErrRefused)
	}
	name, port := u.Hostname(), u.Port()
	if name == "" {
		return nil, fmt.Errorf("%w: it has no host", ErrRefused)
	}
	if !f.anyPort && port != "" && port != "80" && port != "443" {
		return nil, fmt.Errorf("%w: its port is %s", ErrRefused, port)
	}
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		if u.Host = name; strings.Contains(name, ":") {
			u.Host = "[" + name + "]"
		}
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// host is the name of a site where it gives itself none.
func host(u *url.URL) string { return strings.TrimPrefix(u.Hostname(), "www.") }

// newGuard judges sockets. It refuses every IPv4 address of IANA's registry
// of special purposes (RFC 6890: private, loopback, link-local, shared, and so
// on), multicast and reserved ones; every IPv6 address that is not global
// unicast (2000::/3), which leaves out loopback, mapped and NAT64 addresses,
// unique local, link-local and multicast ones; and what is special in
// 2000::/3: Teredo and its neighbours, 6to4, documentation.
func newGuard(reach []netip.Prefix) *ssrf.Guardian {
	if len(reach) == 0 {
		return ssrf.New()
	}
	var v4, v6 []netip.Prefix
	for _, p := range reach {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// boundedConn is a connection that gives no more than so many bytes.
type boundedConn struct {
	net.Conn
	left int
}

var errTooMuch = errors.New("more bytes than a preview is worth")

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
