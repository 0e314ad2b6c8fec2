// Package markup makes safe HTML of text as it was typed: paragraphs, line
// breaks, links, and code between backticks. It is not a sanitiser: it never
// lets HTML through, it only writes its own.
//
// Its invariant: whatever is typed, the result holds no other tags than p,
// br, a, pre and code, no attributes but an a's href, rel and target (with an
// http or https address), no \r and no NUL. Time and size are linear in the
// input.
package markup

import (
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"mvdan.cc/xurls/v2"
)

// HTML is the body of a message as HTML.
//
// An empty line begins a paragraph, a line end inside one is a <br>. A line
// that begins with three backticks (a language may follow; it is not shown)
// begins a block of code, which a line that ends with three backticks, or
// the end of the text, ends: CommonMark's fenced code (section 4.5), but
// forgiving. Text between single backticks on one line is code. Addresses
// that begin with http:// or https:// are links.
//
// People in the text (chat.Mention) are shown under the names given.
func HTML(body string, people map[int64]string) string {
	body = clean.Replace(strings.ToValidUTF8(Text(body, people), "\uFFFD"))
	w := &writer{}
	w.Grow(len(body) + len(body)/4 + 16)
	for rest, more := body, true; more; {
		if code, after, ok := fence(rest); ok {
			w.endParagraph()
			w.WriteString("<pre><code>")
			w.WriteString(html.EscapeString(code))
			w.WriteString("</code></pre>")
			rest, more = after, after != ""
			continue
		}
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		if strings.TrimSpace(line) == "" {
			w.endParagraph()
			continue
		}
		w.beginLine()
		w.line(line)
	}
	w.endParagraph()
	return w.String()
}

var mention = regexp.MustCompile("\x0E([0-9]+)\x0F")

// Text is a stored text as one types it: people by their names.
func Text(body string, people map[int64]string) string {
	if !strings.Contains(body, "\x0E") {
		return body
	}
	return mention.ReplaceAllStringFunc(body, func(token string) string {
		id, _ := strconv.ParseInt(token[1:len(token)-1], 10, 64) // digits only; too many are nobody
		if id == 0 {
			return "@here"
		}
		if name, ok := people[id]; ok {
			return "@" + name
		}
		return "@?"
	})
}

var (
	clean = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "")
	// opening is the first line of a block of code: with nothing behind the
	// backticks but the name of a language, or with code.
	opening = regexp.MustCompile("^ {0,3}```(?:[ \t]*([0-9A-Za-z+#._-]*)[ \t]*\n|[^`\n]*\n)")
)

const fenceMark = "```"

// fence splits a block of code from the beginning of the text. A block
// without anything in it is no block.
func fence(text string) (code, rest string, ok bool) {
	if !strings.HasPrefix(strings.TrimLeft(text, " "), fenceMark) {
		return "", text, false
	}
	at := opening.FindStringSubmatchIndex(text)
	if at == nil {
		return "", text, false
	}
	begin := at[1]
	if at[2] < 0 { // no language: code on the first line
		begin = strings.Index(text, fenceMark) + len(fenceMark)
	}
	blank := begin == at[1] || strings.TrimSpace(text[begin:at[1]]) == ""
	for end := at[1]; end < len(text); {
		line, _, _ := strings.Cut(text[end:], "\n")
		next := min(end+len(line)+1, len(text))
		last, closed := strings.CutSuffix(strings.TrimRight(line, " \t"), fenceMark)
		if closed && !(blank && strings.TrimSpace(last) == "") {
			return strings.TrimSuffix(text[begin:end+len(last)], "\n"), text[next:], true
		}
		if blank && (closed || opening.MatchString(line+"\n")) {
			return "", text, false // it is empty, or that line is the one that begins it
		}
		blank = blank && strings.TrimSpace(line) == ""
		end = next
	}
	return strings.TrimSuffix(text[begin:], "\n"), "", !blank
}

// writer writes paragraphs.
type writer struct {
	strings.Builder
	inParagraph bool
}

func (w *writer) beginLine() {
	if w.inParagraph {
		w.WriteString("<br>")
	} else {
		w.WriteString("<p>")
		w.inParagraph = true
	}
}

func (w *writer) endParagraph() {
	if w.inParagraph {
		w.WriteString("</p>")
		w.inParagraph = false
	}
}

// line writes a line of prose: code between single backticks, links outside.
func (w *writer) line(line string) {
	for {
		before, rest, opened := strings.Cut(line, "`")
		code, after, closed := strings.Cut(rest, "`")
		if !opened || !closed {
			w.linked(line)
			return
		}
		if strings.TrimSpace(code) == "" { // two backticks in a row mean nothing
			run := len(rest) - len(strings.TrimLeft(rest, "` \t"))
			w.linked(before)
			w.WriteString(html.EscapeString(line[len(before) : len(before)+1+run]))
			line = rest[run:]
			continue
		}
		w.linked(before)
		w.WriteString("<code>")
		w.WriteString(html.EscapeString(code))
		w.WriteString("</code>")
		line = after
	}
}

// linked writes text with its addresses as links.
func (w *writer) linked(text string) {
	for {
		begin, end := findLink(text)
		if begin < 0 {
			break
		}
		w.WriteString(html.EscapeString(text[:begin]))
		address := html.EscapeString(text[begin:end])
		w.WriteString(`<a href="`)
		w.WriteString(address)
		w.WriteString(`" rel="noopener noreferrer nofollow" target="_blank">`)
		w.WriteString(address)
		w.WriteString(`</a>`)
		text = text[end:]
	}
	w.WriteString(html.EscapeString(text))
}

var (
	scheme = regexp.MustCompile(`(?i)\bhttps?://`)
	// xurls knows where an address ends: punctuation at its end is not part
	// of it, balanced brackets are. Bound to the beginning, it never searches
	// the rest of the text again and again.
	address = func() *regexp.Regexp {
		re, err := xurls.StrictMatchingScheme(`https?://`)
		if err != nil {
			panic(err)
		}
		re = regexp.MustCompile("^(?:" + re.String() + ")")
		re.Longest()
		return re
	}()
)

// mostAddress is as long as a link may be. It bounds the time that text which
// looks like many long addresses takes.
const mostAddress = 2048

// findLink finds the first address in text; begin is -1 without one.
func findLink(text string) (begin, end int) {
	if !strings.Contains(text, "://") { // most text has no address
		return -1, 0
	}
	for from := 0; ; {
		at := scheme.FindStringIndex(text[from:])
		if at == nil {
			return -1, 0
		}
		begin, end = from+at[0], from+at[1]
		word := text[begin : begin+reach(text[begin:])]
		if len(word) <= mostAddress {
			match := address.FindString(word)
			if hasHost(match) {
				return begin, begin + len(match)
			}
			from = max(end, begin+len(match))
		} else {
			from = begin + len(word)
		}
	}
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
// space, quotation marks, and the punctuation of Chinese and Japanese, which
// put no space behind an address.
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

func hasHost(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != ""
}
