package unfurl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// How many characters are kept of what a page says.
const (
	mostTitle       = 200
	mostDescription = 400
	mostSiteName    = 80
)

// head is what the head of a page says: the text of title under "title", and
// the content of each meta element under its property or name. Of several,
// the first counts.
type head map[string]string

func (h head) title() string {
	return oneLine(h.first("og:title", "twitter:title", "title"), mostTitle)
}

func (h head) description() string {
	return oneLine(h.first("og:description", "twitter:description", "description"), mostDescription)
}

func (h head) siteName() string { return oneLine(h["og:site_name"], mostSiteName) }

func (h head) image() string {
	return strings.TrimSpace(h.first("og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src"))
}

func (h head) first(names ...string) string {
	for _, name := range names {
		if strings.TrimSpace(h[name]) != "" {
			return h[name]
		}
	}
	return ""
}

// wanted are the names under which head keeps something: those of Open Graph
// (ogp.me), of Twitter's cards, and HTML's own.
var wanted = map[string]bool{
	"og:title": true, "og:description": true, "og:site_name": true,
	"og:image": true, "og:image:url": true, "og:image:secure_url": true,
	"twitter:title": true, "twitter:description": true, "twitter:image": true, "twitter:image:src": true,
	"description": true,
}

// readHead reads a page up to the end of its head, or of page, whichever
// comes first, in the character set that it declares.
func readHead(page io.Reader, contentType string) (head, error) {
	text, err := decoded(page, contentType)
	if err != nil {
		return nil, err
	}
	found := head{}
	for z := html.NewTokenizer(text); ; {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read its head: %w", err)
			}
			return found, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			switch t := z.Token(); t.Data {
			case "body":
				return found, nil
			case "meta":
				found.meta(t.Attr)
			case "title":
				if _, ok := found["title"]; !ok && z.Next() == html.TextToken {
					found["title"] = z.Token().Data
				}
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "head" {
				return found, nil
			}
		}
	}
}

func (h head) meta(attributes []html.Attribute) {
	var names []string
	content := ""
	for _, a := range attributes {
		switch a.Key {
		case "property", "name":
			names = append(names, strings.ToLower(strings.TrimSpace(a.Val)))
		case "content":
			content = a.Val
		}
	}
	for _, name := range names {
		if wanted[name] && h[name] == "" {
			h[name] = content
		}
	}
}

// decoded is page in UTF-8. Where neither page nor server says what it is,
// and nothing at its beginning contradicts it, it is UTF-8 already: the WHATWG
// says windows-1252, but the pages without a word on it that have anything
// else than ASCII are UTF-8 today.
func decoded(page io.Reader, contentType string) (io.Reader, error) {
	const examined = 1024 // as far as the HTML standard looks for a declaration
	r := bufio.NewReaderSize(page, examined)
	start, err := r.Peek(examined)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read its head: %w", err)
	}
	e, name, certain := charset.DetermineEncoding(start, contentType)
	if !certain && name == "windows-1252" && !strings.ContainsFunc(string(start), func(r rune) bool { return r >= utf8.RuneSelf }) {
		return r, nil
	}
	if e == encoding.Nop {
		return r, nil
	}
	return transform.NewReader(r, e.NewDecoder()), nil
}

// oneLine makes one line of text, cleaned as messages are: white space of any
// kind and length becomes one blank, controls and the bidi characters that
// could reorder what stands beside it (UAX 9, section 2) vanish, and what is
// no UTF-8 becomes U+FFFD. What is longer than so many characters ends with an
// ellipsis. A text that shows nothing is "".
func oneLine(text string, most int) string {
	text = strings.TrimSpace(text)
	text = text[:min(len(text), 16*most)] // do not clean megabytes
	shows := false
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r): // also \r, U+0085, U+2028 and U+2029
			return ' '
		case unicode.IsControl(r), '\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069', r == '\uFEFF':
			return -1
		}
		shows = shows || unicode.IsGraphic(r) && !unicode.IsMark(r) && r != utf8.RuneError
		return r
	}, text)
	if !shows {
		return ""
	}
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return strings.TrimRight(string(runes[:most-1]), " ") + "…"
}
