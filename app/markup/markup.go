// Package markup makes safe HTML, and plain text, of what people typed.
//
// What is typed is CommonMark with tables, task lists, ~~struck out~~ text,
// bare addresses of the web and of mail as links and :emoji:. As people expect of a chat, a line end
// is a line end, and HTML is text: it is never parsed and never dropped.
// Pictures are links, for a page loads nothing from elsewhere. Code in a
// language we know is coloured, by classes.
//
// A body may hold mentions as chat.Mention writes them, tokens that nobody can
// type: the control character SO (U+000E), the person's id in decimal, SI
// (U+000F); id 0 is everybody here. Who has which nickname is the caller's to say.
//
// Its invariant: whatever the body, the HTML is well formed and balanced, its
// elements and attributes are those of policy (safe.go), no address is other
// than http, https or mailto, and there is no control character but \n and
// \t. Time, depth and size are bounded; what goes beyond the bounds is shown as
// its source.
package markup

import (
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

const (
	begins = "\x0E"
	ends   = "\x0F"
)

// HTML is a body as HTML. people are the nicknames of those who may be
// mentioned in it.
func HTML(body string, people map[int64]string) string {
	body = clean(body)
	out, ok := prose(body)
	if !ok {
		out, ok = rendered(body, people)
	}
	if !ok {
		out = source(body)
	}
	return mentioned(out, people)
}

// prose is a body in which nothing has a meaning to Markdown, as HTML: what
// most messages are, and not worth a parser. It is not ok for any other.
func prose(body string) (out string, ok bool) {
	if body == "" || strings.ContainsAny(body, "\\`*_[]<>#~|:=&@") || strings.Contains(strings.ToLower(body), "www.") {
		return "", false
	}
	lineBegins, letters, last := true, false, rune(0)
	for _, r := range body {
		if lineBegins && (r <= ' ' || '0' <= r && r <= '9' || r == '-' || r == '+') || r == '\n' && (last == ' ' || last == '\t') {
			return "", false
		}
		lineBegins, last = r == '\n', r
		letters = letters || unicode.IsLetter(r)
	}
	if !letters || unicode.IsSpace(last) { // emoji alone may be large
		return "", false
	}
	return "<p>" + strings.ReplaceAll(html.EscapeString(body), "\n", "<br>") + "</p>", true
}

// rendered is the body as HTML in which mentions are tokens still; not ok if
// it can't be shown within the bounds or would show nothing.
func rendered(body string, people map[int64]string) (out string, ok bool) {
	defer func() {
		if recover() != nil { // tooMuch, or a mistake in a parser: the page must not break
			out, ok = "", false
		}
	}()
	src := []byte(body)
	w := &writer{source: src, people: people, most: 4096 + 16*len(src)}
	w.Grow(len(src) + len(src)/4 + 16)
	w.document(parse(body))
	return policy.Sanitize(w.String()), w.shows
}

// source shows a body as it was typed.
func source(body string) string {
	if strings.TrimSpace(body) == "" {
		return ""
	}
	return `<p class="source">` + strings.ReplaceAll(html.EscapeString(body), "\n", "<br>") + `</p>`
}

// mostMentions is how many mentions of a message are shown as such.
const mostMentions = 200

// mentioned puts people in the place of tokens. It comes after the sanitiser,
// so that data-mention and data-name are never a user's: the policy knows no
// such attributes, and writer writes tokens into text alone.
func mentioned(out string, people map[int64]string) string {
	n := 0
	return replaceTokens(out, func(id int64) string {
		name, known := nickname(id, people)
		n++
		switch {
		case !known || n > mostMentions:
			return html.EscapeString(name)
		case id == 0:
			return `<span class="mention" data-mention="here">@here</span>`
		}
		return `<span class="mention" data-mention="` + strconv.FormatInt(id, 10) + `">` + named(id, name) + `</span>`
	})
}

// named is a mention under a name that a rename can reach.
func named(id int64, name string) string {
	return `@<bdi data-name="` + strconv.FormatInt(id, 10) + `">` + html.EscapeString(name[1:]) + `</bdi>`
}

// Text is a body as its author types it, for editing: with @Nickname where a
// mention is.
func Text(body string, people map[int64]string) string {
	return replaceTokens(clean(body), func(id int64) string {
		name, _ := nickname(id, people)
		return name
	})
}

// mostLine is how many characters a Line has.
const mostLine = 120

// Line is the first line of a body that shows something, as plain text
// without marks, for quotations, lists and titles: at most 120 characters as
// a reader counts them (UAX 29), the last of them an ellipsis where something
// was left out of the line.
func Line(body string, people map[int64]string) string {
	return line(body, func(s string) string { return Text(s, people) })
}

// LineHTML is Line as HTML, for what stays on a page and follows its people:
// each mention holds the nickname in an element with data-name, as in HTML, and
// counts as one character, so that nobody's rename ends the line elsewhere.
func LineHTML(body string, people map[int64]string) string {
	tokens := line(body, func(s string) string { return s })
	return replaceTokens(html.EscapeString(tokens), func(id int64) string {
		name, known := nickname(id, people)
		if !known || id == 0 {
			return html.EscapeString(name)
		}
		return named(id, name)
	})
}

// line is the Line of a body. put says what becomes of a text with tokens.
func line(body string, put func(string) string) string {
	body = clean(body)
	line := plain(body, put, false)
	if line == "" {
		line, _, _ = strings.Cut(strings.TrimSpace(put(body)), "\n")
	}
	return clip(strings.Join(strings.Fields(line), " "), mostLine)
}

// Plain is a body as its readers see it, as plain text without marks: one line
// for each that is shown. What can't be rendered, or shows nothing, is its Text.
func Plain(body string, people map[int64]string) string {
	body = clean(body)
	put := func(s string) string { return Text(s, people) }
	if text := strings.TrimSpace(plain(body, put, true)); text != "" {
		return text
	}
	return put(body)
}

// plain is "" for what can't be read within the bounds.
func plain(body string, put func(string) string, whole bool) (text string) {
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	w := &liner{source: []byte(body), put: put, whole: whole}
	w.block(parse(body))
	return w.String()
}

// clip shortens a text to so many characters. A token is one.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	kept, n, inToken := 0, 0, false
	for g := graphemes.FromString(s); g.Next(); {
		if inToken = g.Value() == begins || inToken && g.Value() != ends; inToken {
			continue // its end counts
		}
		if n == most {
			return strings.TrimSpace(s[:kept]) + "…"
		}
		if n < most-1 {
			kept = g.End()
		}
		n++
	}
	return s
}

// nickname is the person as text shows them, with the @.
func nickname(id int64, people map[int64]string) (name string, known bool) {
	if id == 0 {
		return "@here", true
	}
	name, known = people[id]
	if !known {
		return "@?", false
	}
	return "@" + name, true
}

// replaceTokens puts something in the place of each token.
func replaceTokens(s string, with func(id int64) string) string {
	if !strings.Contains(s, begins) {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, begins)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		id, n := token(rest)
		if n > 0 {
			b.WriteString(with(id))
		}
		s = rest[n:]
	}
}

// token reads a token after its beginning; n is 0 if it is none.
func token(s string) (id int64, n int) {
	digits, _, closed := strings.Cut(s[:min(len(s), 20)], ends)
	id, err := strconv.ParseInt(digits, 10, 64)
	if !closed || err != nil || digits != strconv.FormatInt(id, 10) || id < 0 {
		return 0, 0
	}
	return id, len(digits) + len(ends)
}

// clean makes a body that is valid UTF-8, with \n for every line end, and no
// other control characters but \t and those of tokens.
func clean(body string) string {
	if isClean(body) {
		return body
	}
	body = lineEnds.Replace(strings.ToValidUTF8(body, "\uFFFD"))
	var b strings.Builder
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRuneInString(body[i:])
		if r == '\x0E' {
			if _, n := token(body[i+1:]); n > 0 {
				size += n
				b.WriteString(body[i : i+size])
			}
		} else if r == '\n' || r == '\t' || !unicode.IsControl(r) {
			b.WriteString(body[i : i+size])
		}
		i += size
	}
	return b.String()
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func isClean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || r != '\n' && r != '\t' && unicode.IsControl(r) {
			return false
		}
	}
	return true
}
