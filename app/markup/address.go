package markup

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/util"
	"mvdan.cc/xurls/v2"
)

// mostAddress is how many bytes a link's address may have. It bounds the time
// that text which looks like many long addresses takes.
const mostAddress = 2048

// address knows where an address ends: punctuation at its end is not part of
// it, balanced brackets are. Bound to the beginning, it never searches the
// rest of the text again and again.
var address = func() *regexp.Regexp {
	re, err := xurls.StrictMatchingScheme(`https?://`)
	if err != nil {
		panic(err)
	}
	re = regexp.MustCompile("^(?:" + re.String() + ")")
	re.Longest()
	return re
}()

// bareAddress looks at text that begins with http:// or https:// and tells
// how many bytes of it are an address, and how many can't begin another one:
// those need not be looked at again.
func bareAddress(text string) (length, seen int) {
	seen = reach(text)
	if seen > mostAddress {
		return 0, seen
	}
	match := address.FindString(text[:seen])
	if _, ok := href([]byte(match)); !ok {
		return 0, len(match)
	}
	return len(match), len(match)
}

// reach is how far an address at the beginning of text could go: to a
// character that ends it, or where brackets are closed that were not opened
// or nest deeper than xurls follows.
func reach(text string) int {
	depth := 0
	for i, r := range text {
		switch r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		if depth < 0 || depth > 2 || endsAddress(r) {
			return i
		}
	}
	return len(text)
}

// endsAddress tells whether no address goes on over this character: white
// space and controls, quotation marks, and the punctuation of Chinese and
// Japanese, which put no space behind an address.
func endsAddress(r rune) bool {
	switch {
	case r <= ' ', r == '"', r == '<', r == '>', r == '`', r == 0xA0,
		0x2000 <= r && r <= 0x200B, 0x2018 <= r && r <= 0x201F, 0x2026 <= r && r <= 0x202F,
		0x3000 <= r && r <= 0x3003, 0x3008 <= r && r <= 0x301F,
		0xFF01 <= r && r <= 0xFF0F, 0xFF1A <= r && r <= 0xFF20, 0xFF3B <= r && r <= 0xFF40, 0xFF5B <= r && r <= 0xFF65:
		return true
	}
	return false
}

// domain is a name of a host (RFC 1035, 2.3.1) that ends as those of the public
// net do, by letters: react@18.2.0 is no address.
const domain = `(?:[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?\.)+[A-Za-z]{2,63}`

var (
	wwwHost  = regexp.MustCompile(`^(?i:www)\.` + domain)
	mailName = regexp.MustCompile(`^@` + domain)
)

const mostHost = 254 // bytes (RFC 1035, 2.3.4)

// wwwAddress is bareAddress for text that may begin with www. It does not if
// nothing was seen.
func wwwAddress(text string) (length, seen int) {
	const scheme = "https://"
	host := len(wwwHost.FindString(text[:min(len(text), mostHost)]))
	if host == 0 {
		return 0, 0
	}
	if rest := text[host:]; rest != "" && strings.ContainsRune("/?#:", rune(rest[0])) {
		length, seen = bareAddress(scheme + text)
		return max(0, length-len(scheme)), max(host, seen-len(scheme))
	}
	if goesOn(text[host:]) {
		return 0, host
	}
	return host, host
}

// mailbox is how many bytes at the end of text may be what stands before the @
// of an address of mail. Differing from RFC 5321, it is plain as GitHub has it.
func mailbox(text []byte) int {
	const most = 64 // RFC 5321, 4.5.3.1.1
	text = text[max(0, len(text)-most-1):]
	name := text[len(bytes.TrimRightFunc(text, isMailbox)):]
	if len(name) > most || len(name) > 0 && (name[0] == '.' || name[len(name)-1] == '.') {
		return 0
	}
	return len(name)
}

func isMailbox(r rune) bool { return isWord(r) || r == '.' || r == '+' || r == '-' }

// mailHost is how many bytes at the beginning of text, which begins with @, are
// the rest of an address of mail.
func mailHost(text string) int {
	name := mailName.FindString(text[:min(len(text), mostHost)])
	if goesOn(text[len(name):]) {
		return 0
	}
	return len(name)
}

// goesOn tells whether a text can't stand right behind a host.
func goesOn(text string) bool {
	text = strings.TrimLeft(text, "._")
	return text != "" && (isWord(rune(text[0])) || text[0] == '-' || text[0] == '@')
}

// mayPrecede tells whether an address without a scheme may begin where text
// ends: not inside of a word, of a path or of another address.
func mayPrecede(text []byte) bool {
	r, size := utf8.DecodeLastRune(text)
	if r < utf8.RuneSelf {
		return size == 0 || strings.ContainsRune(" \t\n*_~([{<>|\"'`,;!", r)
	}
	return isCJK(r) || !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// href is the address that a link written in Markdown leads to, if it is one
// that we let people follow: web pages and mail, nothing that runs or that is
// relative to the page it stands in.
func href(destination []byte) (string, bool) {
	if len(destination) > mostAddress {
		return "", false
	}
	s := string(util.URLEscape(destination, true))
	u, err := url.Parse(s)
	if err != nil {
		return "", false
	}
	switch u.Scheme { // in small letters
	case "http", "https":
		return s, u.Hostname() != ""
	case "mailto":
		return s, u.Opaque != ""
	}
	return "", false
}
