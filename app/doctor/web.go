package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"time"
)

// certificate shakes hands as a browser does.
func (d *doctor) certificate() {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	addr := d.URL.Host
	if d.URL.Port() == "" {
		addr = net.JoinHostPort(d.URL.Hostname(), "443")
	}
	dial := func(config *tls.Config) (*tls.Conn, error) {
		conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return conn.(*tls.Conn), nil
	}
	// Without checks first, to see what it is that may be refused.
	conn, err := dial(&tls.Config{InsecureSkipVerify: true, ServerName: d.URL.Hostname()})
	if err != nil {
		return // reach says why
	}
	state := conn.ConnectionState()
	conn.Close()
	leaf := state.PeerCertificates[0]
	left, lasts := time.Until(leaf.NotAfter), leaf.NotAfter.Sub(leaf.NotBefore)
	days := int(left / (24 * time.Hour))
	const renew = "Renew it: with PARLOR_ACME Parlor does so by itself; changed files are read without a restart."

	conn, err = dial(&tls.Config{RootCAs: d.roots, ServerName: d.URL.Hostname()})
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		conn.Close()
		switch {
		case left < min(7*24*time.Hour, lasts/10):
			d.problem(renew, "The certificate ends in %d days, on %s.", days, leaf.NotAfter.Format(time.DateOnly))
		case left < min(21*24*time.Hour, lasts/5):
			d.warn(renew, "The certificate ends in %d days, on %s, and was not renewed yet.", days, leaf.NotAfter.Format(time.DateOnly))
		default:
			d.ok("The certificate is good for %s, for %d more days (%s).", d.URL.Hostname(), days, tls.VersionName(state.Version))
		}
	case errors.As(err, &name):
		d.problem("Get a certificate for the name that people type, or give them the name that it has.",
			"The certificate is for %s, not for %s: browsers refuse it.", strings.Join(names(leaf), ", "), d.URL.Hostname())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && left < 0:
		d.problem(renew, "The certificate has ended %d days ago, on %s: browsers refuse it.", -days, leaf.NotAfter.Format(time.DateOnly))
	case errors.As(err, &unknown) && leaf.Issuer.String() == leaf.Subject.String():
		d.selfSigned = true
		d.warn("For others than yourself get a real certificate: PARLOR_ACME, or PARLOR_TLS_CERT and PARLOR_TLS_KEY.",
			"The certificate is self-signed: every browser warns of it.")
	case errors.As(err, &unknown):
		d.problem("Serve the whole chain: the certificate file must hold the intermediate certificates, too (often called fullchain.pem).",
			"Nobody whom browsers trust vouches for the certificate of %s.", leaf.Issuer)
	default:
		d.problem("", "Browsers refuse the certificate: %v.", err)
	}
}

func names(leaf *x509.Certificate) []string {
	all := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// reach asks whether Parlor is there, and how the answer came. When it is not
// there, nothing else is worth looking at.
func (d *doctor) reach() bool {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	var server net.Addr
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { server = info.Conn.RemoteAddr() },
	})
	began := time.Now()
	resp, err := d.get(ctx, "/healthz")
	if err != nil {
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns):
			d.problem("Add a DNS record for it.", "The name %s is not known: %v.", d.URL.Hostname(), dns)
		case ctx.Err() != nil:
			d.problem("Look whether a firewall swallows the connection, and whether the address is the right one.", "%s does not answer.", d.URL.Host)
		default:
			d.problem("Look whether Parlor, or the proxy before it, runs and listens there.", "%s can't be reached: %v.", d.URL.Host, err)
		}
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	took := time.Since(began)
	switch {
	case resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout:
		d.problem("Look whether Parlor runs, and whether the proxy has its right address.", "A proxy answers, but does not reach Parlor behind it (%s).", resp.Status)
		return false
	case err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "alive"):
		d.problem("Look at the address, and at what the proxy does with /healthz.", "What answers there is not Parlor: /healthz is %s.", resp.Status)
		return false
	}
	d.ok("Parlor answers, within %d ms.", took.Milliseconds())
	d.protocol(resp)
	d.clock(resp, began, took)
	d.origin(resp, server)
	return true
}

// protocol: browsers open six connections to a server by HTTP/1.1, and each
// live page takes one.
func (d *doctor) protocol(resp *http.Response) {
	switch {
	case resp.ProtoMajor >= 2:
		d.ok("It is reached by %s, so a browser may have many pages open.", resp.Proto)
	case d.URL.Scheme == "https":
		d.warn("Turn HTTP/2 on at the proxy (nginx: http2 on), or let Parlor do TLS by itself.",
			"It is reached by %s: of more than four open pages of a browser, the oldest ones rest.", resp.Proto)
	default:
		d.warn("Turn on TLS: PARLOR_ACME, PARLOR_TLS_CERT and PARLOR_TLS_KEY, or a proxy with a certificate.",
			"It is reached without TLS: everyone on the way can read along, and of more than four open pages of a browser the oldest ones rest.")
	}
}

// clock compares the two clocks. The header has whole seconds.
func (d *doctor) clock(resp *http.Response, began time.Time, took time.Duration) {
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	off := theirs.Add(500 * time.Millisecond).Sub(began.Add(took / 2)).Round(time.Second)
	const remedy = "Have both machines set their clocks by NTP (timedatectl set-ntp true)."
	switch {
	case off.Abs() > 5*time.Minute:
		d.problem(remedy, "The server's clock and the one here differ by %s: times in pages are wrong, and certificates may seem to be.", off)
	case off.Abs() > 5*time.Second:
		d.warn(remedy, "The server's clock and the one here differ by %s.", off)
	default:
		d.ok("The server's clock is right.")
	}
}

// origin looks at whom the server takes us for. Behind a proxy that it does
// not trust everybody is the proxy, and limits that are meant for one person
// hit all.
func (d *doctor) origin(resp *http.Response, server net.Addr) {
	seen, note, _ := strings.Cut(resp.Header.Get("Parlor-Client"), ";")
	addr, err := netip.ParseAddr(seen)
	if err != nil {
		return // an older version, or a proxy that takes the header away
	}
	inside := func(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }
	near := true // we are in the same network, so an inner address is what it should see
	if peer, err := netip.ParseAddrPort(server.String()); err == nil {
		near = inside(peer.Addr().Unmap())
	}
	switch {
	case note != "":
		d.problem("Set PARLOR_TRUSTED_PROXIES="+addr.String()+" if that is your proxy.",
			"The server does not trust the proxy at %s, and takes everybody behind it for one person.", addr)
	case inside(addr) && !near:
		d.problem("Have the proxy send X-Forwarded-For, and set PARLOR_TRUSTED_PROXIES="+addr.String()+".",
			"The server takes everybody for %s: the proxy does not say from where people come.", addr)
	default:
		d.ok("The server sees where people come from (you: %s).", addr)
	}
}

// redirect asks what happens to those who come without https.
func (d *doctor) redirect() {
	addr := d.plain
	if addr == "" {
		addr = d.URL.Hostname()
		if d.URL.Port() != "" && d.URL.Port() != "443" {
			return // whoever types a port types https, too
		}
	}
	if d.URL.Scheme != "https" {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	const remedy = "Have the proxy send plain HTTP on to https, or set PARLOR_HTTP_ADDR=:80."
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.warn(remedy, "Nobody answers at http://%s, where people end who type the name alone.", addr)
		return
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 == 3 && strings.HasPrefix(resp.Header.Get("Location"), "https://"):
		d.ok("Who comes by http is sent to https.")
	case resp.StatusCode == http.StatusOK:
		d.problem(remedy, "Pages are served without TLS, too.")
	default:
		d.warn(remedy, "Who comes by http gets %s, and is not sent to https.", resp.Status)
	}
}

// page looks at how the lobby comes.
func (d *doctor) page() {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	resp, err := d.get(ctx, "/")
	if err != nil {
		d.problem("Look at the server's log.", "The lobby does not come: %v.", err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		d.problem("Look at the server's log.", "The lobby is %s.", resp.Status)
		return
	}
	if resp.Header.Get("Content-Encoding") == "" {
		d.warn("Have the proxy pass Accept-Encoding on.", "Pages come uncompressed.")
	} else {
		d.ok("Pages come compressed (%s).", resp.Header.Get("Content-Encoding"))
	}
	if d.URL.Scheme != "https" {
		return
	}
	for _, c := range resp.Cookies() {
		if !c.Secure {
			d.problem("Set PARLOR_PUBLIC_URL="+d.URL.Scheme+"://"+d.URL.Host+", so that Parlor knows of the TLS before it.",
				"Cookies are not marked Secure: a browser gives them away without TLS.")
			return
		}
	}
	if len(resp.Cookies()) > 0 {
		d.ok("Cookies are marked Secure.")
	}
	switch {
	case d.selfSigned:
	case resp.Header.Get("Strict-Transport-Security") == "":
		d.warn("Set PARLOR_PUBLIC_URL="+d.URL.Scheme+"://"+d.URL.Host+", or have the proxy leave the header.",
			"Browsers are not told to come by https only (Strict-Transport-Security).")
	default:
		d.ok("Browsers are told to come by https only.")
	}
}

// ready asks the server about its database and the other nodes.
func (d *doctor) ready() {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	resp, err := d.get(ctx, "/readyz")
	if err != nil {
		d.problem("Look at the server's log.", "/readyz does not answer: %v.", err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if resp.StatusCode != http.StatusOK {
		d.problem("Look at the server's log, and whether Postgres runs.", "The server says: %s.", strings.TrimSpace(string(body)))
		return
	}
	d.ok("Database and listener to other nodes are there.")
}
