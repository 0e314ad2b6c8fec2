package unfurl

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// One or more of each kind of address that leads to somewhere else than the
// open web, and the neighbours of each range that are open.
func TestOnlyPublicAddressesAreSafe(t *testing.T) {
	refused := map[string][]string{
		"this network":           {"0.0.0.0", "0.1.2.3", "0.255.255.255"},
		"private":                {"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"},
		"CGNAT":                  {"100.64.0.1", "100.127.255.255"},
		"loopback":               {"127.0.0.1", "127.255.255.254", "::1"},
		"link-local":             {"169.254.0.1", "169.254.169.254", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"},
		"protocol assignments":   {"192.0.0.1", "192.0.0.170", "192.0.0.192"},
		"documentation":          {"192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1", "3fff:fff:ffff::1"},
		"relays":                 {"192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "2620:4f:8000::1"},
		"benchmarking":           {"198.18.0.1", "198.19.255.255", "2001:2::1"},
		"multicast":              {"224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"},
		"reserved":               {"240.0.0.1", "255.255.255.254"},
		"broadcast":              {"255.255.255.255"},
		"unspecified":            {"::"},
		"mapped":                 {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:93.184.215.14"},
		"compatible, translated": {"::127.0.0.1", "::ffff:0:127.0.0.1"},
		"NAT64":                  {"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::5db8:d70e", "64:ff9b:1::1", "64:ff9b:1:ffff::a00:1"},
		"6to4":                   {"2002:7f00:1::", "2002:a00:1::1", "2002:ffff:ffff::"},
		"Teredo":                 {"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
		"ORCHID":                 {"2001:10::1", "2001:20::1", "2001:2f:ffff::1"},
		"AMT, AS112":             {"2001:3::1", "2001:4:112::1"},
		"unique local":           {"fc00::1", "fd00:ec2::254", "fdff::1"},
		"site-local":             {"fec0::1"},
		"discard only":           {"100::1", "100:0:0:1::1"},
		"segment routing":        {"5f00::1"},
		"outside of all":         {"1::1", "4000::1", "8000::1", "e000::1"},
	}
	guard := newGuard(nil)
	for kind, addresses := range refused {
		for _, a := range addresses {
			for _, port := range []uint16{80, 443} {
				if err := guard.Safe("tcp", "", nil); err == nil {
					t.Fatal("a guard that lets an unreadable address through")
				}
				if err := guard.SafeAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), port)); err == nil {
					t.Errorf("%s (%s) is let through", a, kind)
				}
			}
		}
	}
	for _, a := range []string{
		"1.1.1.1", "9.255.255.255", "11.0.0.0", "93.184.215.14", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255",
		"198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00:1450::1", "3ffe::1",
	} {
		if err := guard.SafeAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), 443)); err != nil {
			t.Errorf("%s is public: %v", a, err)
		}
		for _, port := range []uint16{0, 22, 25, 5432, 8080, 65535} {
			if err := guard.SafeAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), port)); err == nil {
				t.Errorf("port %d of %s is let through", port, a)
			}
		}
	}
	for _, network := range []string{"udp4", "udp6", "unix", "ip4"} {
		if err := guard.Safe(network, "1.1.1.1:80", nil); err == nil {
			t.Errorf("network %s is let through", network)
		}
	}
}

func TestReachOpensNothingElse(t *testing.T) {
	guard := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	if err := guard.SafeAddr(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Error(err)
	}
	for _, a := range []string{"127.0.0.2", "10.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"} {
		if err := guard.SafeAddr(netip.MustParseAddr(a)); err == nil {
			t.Errorf("%s is let through", a)
		}
	}
}

func TestTarget(t *testing.T) {
	f := New(Options{})
	for typed, want := range map[string]string{
		"http://example.org":                              "http://example.org/",
		"HTTPS://Example.ORG:443/Path?q=1#part":           "https://example.org/Path?q=1",
		"http://example.org:80/":                          "http://example.org/",
		"http://example.org:443/":                         "http://example.org:443/",
		"http://[2606:4700::1111]:80/x":                   "http://[2606:4700::1111]/x",
		"  http://example.org/a%2Fb ":                     "http://example.org/a%2Fb",
		"http://例子.测试/页":                                  "http://%E4%BE%8B%E5%AD%90.%E6%B5%8B%E8%AF%95/%E9%A1%B5",
		"http://example.org/?":                            "http://example.org/?",
		"ftp://example.org/":                              "",
		"file:///etc/passwd":                              "",
		"gopher://example.org/":                           "",
		"javascript:alert(1)":                             "",
		"//example.org/":                                  "",
		"/rooms/x":                                        "",
		"":                                                "",
		"http://":                                         "",
		"http:///x":                                       "",
		"http://:80/":                                     "",
		"http://user@example.org/":                        "",
		"http://user:secret@example.org/":                 "",
		"http://@example.org/":                            "",
		"http://example.org:22/":                          "",
		"http://example.org:8080/":                        "",
		"http://example.org:0/":                           "",
		"http://example.org:http/":                        "",
		"http://exa\x00mple.org/":                         "",
		"http://example.org/\r\nX: y":                     "",
		"http://example.org/" + strings.Repeat("a", 2048): "",
	} {
		u, err := f.Target(typed)
		got := ""
		if u != nil {
			got = u.String()
		}
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%.60q: %q, %v, not %q", typed, got, err, want)
		}
		if err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%.60q: %v is no ErrRefused", typed, err)
		}
	}
}
