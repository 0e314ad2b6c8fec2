package markup

import (
	"bytes"
	"html"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"

	"parlor/app/emoji"
)

// mostDepth is how deep elements may nest: browsers stop at 512, and people
// long before.
const mostDepth = 48

// mostBigEmoji is how many emoji alone are shown large.
const mostBigEmoji = 6

// tooMuch is what writer panics with when a bound is reached.
type tooMuch struct{}

// writer writes a parsed body as HTML.
type writer struct {
	strings.Builder
	source []byte
	people map[int64]string
	most   int  // bytes
	depth  int  // of elements now
	inLink bool // links don't nest
	shows  bool // something is to be seen
	code   int  // bytes of code that were coloured
}

func (w *writer) document(doc ast.Node) {
	if big, ok := bigEmoji(doc, w.source); ok {
		w.shows = true
		w.WriteString(`<p class="big-emoji">` + html.EscapeString(big) + `</p>`)
		return
	}
	w.children(doc)
}

// bigEmoji is the text of a message of nothing but a few emoji.
func bigEmoji(doc ast.Node, source []byte) (string, bool) {
	p := doc.FirstChild()
	if p == nil || p.Kind() != ast.KindParagraph || p.NextSibling() != nil || p.Lines().Len() > 1 {
		return "", false
	}
	var b strings.Builder
	for c := p.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(c.Segment.Value(source))
		case *ast.String:
			b.Write(c.Value)
		default:
			return "", false
		}
		if b.Len() > 400 {
			return "", false
		}
	}
	n, only := emoji.Only(b.String())
	return b.String(), only && n <= mostBigEmoji
}

func (w *writer) children(n ast.Node) {
	if w.depth++; w.depth > mostDepth || w.Len() > w.most {
		panic(tooMuch{})
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		w.node(c)
	}
	w.depth--
}

// element writes n's children between tags.
func (w *writer) element(name, attributes string, n ast.Node) {
	w.WriteString("<" + name + attributes + ">")
	w.children(n)
	w.WriteString("</" + name + ">")
}

// line writes a paragraph's text. That of a task says what its box is for.
func (w *writer) line(n ast.Node) {
	if isTask(n) {
		w.element("label", "", n)
	} else {
		w.children(n)
	}
}

func isTask(n ast.Node) bool {
	return n.FirstChild() != nil && n.FirstChild().Kind() == extast.KindTaskCheckBox
}

func (w *writer) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.Paragraph:
		w.WriteString("<p>")
		w.line(n)
		w.WriteString("</p>")
	case *ast.TextBlock: // the text of an item in a tight list
		w.line(n)
	case *ast.Heading: // under those of the page
		w.element("h"+strconv.Itoa(min(n.Level+2, 5)), "", n)
	case *ast.Blockquote:
		w.element("blockquote", "", n)
	case *ast.List:
		w.list(n)
	case *ast.ListItem:
		class := ""
		if first := n.FirstChild(); first != nil && isTask(first) {
			class = ` class="task"`
		}
		w.element("li", class, n)
	case *ast.ThematicBreak:
		w.shows = true
		w.WriteString("<hr>")
	case *ast.LinkReferenceDefinition: // says where links lead, shows nothing
	case *ast.FencedCodeBlock:
		w.codeBlock(n, string(n.Language(w.source)))
	case *ast.CodeBlock:
		w.codeBlock(n, "")
	case *extast.Table:
		w.table(n)

	case *ast.Text:
		w.text(n.Segment.Value(w.source))
		if n.SoftLineBreak() || n.HardLineBreak() {
			w.WriteString("<br>")
		}
	case *ast.String: // emoji
		w.verbatim(string(n.Value))
	case *ast.Emphasis:
		name := "em"
		if n.Level == 2 {
			name = "strong"
		}
		w.element(name, "", n)
	case *extast.Strikethrough:
		w.element("del", "", n)
	case *ast.CodeSpan:
		w.WriteString("<code>")
		w.verbatim(w.plain(codeSpan(n, w.source)))
		w.WriteString("</code>")
	case *ast.Link:
		w.link(n, n.Destination, "[")
	case *ast.Image:
		w.link(n, n.Destination, "![")
	case *ast.AutoLink:
		w.autoLink(n)
	case *extast.TaskCheckBox:
		w.shows = true
		w.WriteString(`<input type="checkbox" disabled=""`)
		if n.IsChecked {
			w.WriteString(` checked=""`)
		}
		w.WriteString("> ")
	default:
		panic(tooMuch{}) // a node that nothing here asks for
	}
}

// text writes prose: with its mentions, without the backslashes of escapes.
// Entities like &lt; are what was typed.
func (w *writer) text(s []byte) { w.prose(string(unescaped(s))) }

func (w *writer) prose(s string) {
	w.shows = w.shows || strings.TrimSpace(s) != ""
	w.WriteString(html.EscapeString(s))
}

// verbatim writes a text in which nothing is a mention.
func (w *writer) verbatim(s string) { w.prose(noTokens.Replace(s)) }

var noTokens = strings.NewReplacer(begins, "", ends, "")

// plain is a piece of the body with nicknames as text.
func (w *writer) plain(s string) string { return Text(s, w.people) }

// unescaped takes backslashes away that escape (CommonMark 2.4).
func unescaped(s []byte) []byte {
	var out []byte
	from := 0
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '\\' && util.IsPunct(s[i+1]) {
			out = append(out, s[from:i]...)
			from = i + 1
			i++
		}
	}
	if from == 0 {
		return s
	}
	return append(out, s[from:]...)
}

// codeSpan is the text between backticks; a line end in it is a space
// (CommonMark 6.1).
func codeSpan(n *ast.CodeSpan, source []byte) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Segment.Value(source))
		}
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

func (w *writer) list(n *ast.List) {
	switch {
	case !n.IsOrdered():
		w.element("ul", "", n)
	case n.Start == 1:
		w.element("ol", "", n)
	default:
		w.element("ol", ` start="`+strconv.Itoa(n.Start)+`"`, n)
	}
}

// table stands in a box that scrolls where the page is narrow; the keyboard
// reaches it there.
func (w *writer) table(n *extast.Table) {
	w.WriteString(`<div class="table" tabindex="0"><table><thead>`)
	inBody := false
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		cell := "td"
		if row.Kind() == extast.KindTableHeader {
			cell = "th"
		} else if !inBody {
			inBody = true
			w.WriteString("</thead><tbody>")
		}
		w.WriteString("<tr>")
		for c := row.FirstChild(); c != nil; c = c.NextSibling() {
			class := ""
			switch c.(*extast.TableCell).Alignment {
			case extast.AlignCenter:
				class = ` class="center"`
			case extast.AlignRight:
				class = ` class="end"`
			}
			w.element(cell, class, c)
		}
		w.WriteString("</tr>")
	}
	if inBody {
		w.WriteString("</tbody></table></div>")
	} else {
		w.WriteString("</thead></table></div>")
	}
	w.shows = true
}

const toOtherPage = `" rel="noopener noreferrer nofollow" target="_blank">`

// link writes a link, or a picture as one. One that leads where nobody should
// follow, or nowhere, shows how it was typed.
func (w *writer) link(n ast.Node, destination []byte, opening string) {
	if w.inLink {
		w.children(n)
		return
	}
	to, ok := href(destination)
	if !ok {
		w.prose(opening)
		w.children(n)
		w.prose("](" + string(destination) + ")")
		return
	}
	w.inLink = true
	w.WriteString(`<a href="` + html.EscapeString(to) + toOtherPage)
	if n.HasChildren() {
		w.children(n)
	} else {
		w.verbatim(string(destination))
	}
	w.WriteString("</a>")
	w.inLink = false
}

// autoLink writes an address that was typed as one.
func (w *writer) autoLink(n *ast.AutoLink) {
	label := string(n.Label(w.source))
	to := string(n.URL(w.source)) // with the scheme that www. goes without
	if n.AutoLinkType == ast.AutoLinkEmail {
		to = "mailto:" + label
	}
	to, ok := href([]byte(to))
	switch {
	case !ok:
		w.prose("<" + label + ">")
	case w.inLink:
		w.verbatim(label)
	default:
		w.WriteString(`<a href="` + html.EscapeString(to) + toOtherPage)
		w.verbatim(label)
		w.WriteString("</a>")
	}
}

// liner writes a parsed body as plain text: its first line, or the whole.
type liner struct {
	strings.Builder
	source []byte
	put    func(string) string // what becomes of a text with tokens
	whole  bool                // all lines are wanted
	done   bool                // the line is full
	depth  int
}

// lineEnds begins another line, if it is wanted.
func (w *liner) lineEnds() {
	if w.whole {
		w.WriteByte('\n')
		return
	}
	w.done = w.done || strings.TrimSpace(w.String()) != ""
}

// block writes the lines in a block.
func (w *liner) block(n ast.Node) {
	if w.depth++; w.depth > mostDepth {
		panic(tooMuch{})
	}
	defer func() { w.depth-- }()
	for c := n.FirstChild(); c != nil && !w.done; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range c.Lines().Len() {
				line := c.Lines().At(i)
				w.add(bytes.TrimSuffix(line.Value(w.source), []byte("\n")))
				if w.lineEnds(); w.done {
					return
				}
			}
		case *extast.Table:
			for row := c.FirstChild(); row != nil && !w.done; row = row.NextSibling() {
				begins := w.Len()
				for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
					if w.Len() > begins {
						w.WriteString(" · ")
					}
					w.inline(cell)
				}
				w.lineEnds()
			}
		case *ast.Paragraph, *ast.TextBlock, *ast.Heading:
			w.inline(c)
			w.lineEnds()
		default:
			w.block(c)
		}
	}
}

func (w *liner) inline(n ast.Node) {
	if w.depth++; w.depth > mostDepth {
		panic(tooMuch{})
	}
	defer func() { w.depth-- }()
	for c := n.FirstChild(); c != nil && !w.done; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			w.add(unescaped(c.Segment.Value(w.source)))
			if c.SoftLineBreak() || c.HardLineBreak() {
				w.lineEnds()
			}
			w.done = w.done || !w.whole && w.Len() > 16*mostLine
		case *ast.String:
			w.Write(c.Value)
		case *ast.CodeSpan:
			w.add([]byte(codeSpan(c, w.source)))
		case *ast.AutoLink:
			w.add(c.Label(w.source))
		case *extast.TaskCheckBox:
			if c.IsChecked {
				w.WriteString("☑ ")
			} else {
				w.WriteString("☐ ")
			}
		case *ast.Image:
			if !c.HasChildren() {
				w.add(c.Destination)
			}
			w.inline(c)
		default:
			w.inline(c)
		}
	}
}

func (w *liner) add(s []byte) { w.WriteString(w.put(string(s))) }
