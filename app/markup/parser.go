package markup

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"parlor/app/emoji"
)

// What a message may hold of what a parser takes more than linear time or
// space for. What goes beyond is plain text, as it was typed.
const (
	mostMarks   = 400  // runs of *, _ and ~~
	mostLinks   = 200  // opening brackets
	mostNested  = 12   // lists and quotations inside each other
	mostColumns = 40   // of a table
	mostCells   = 2000 // of a table
)

// commonMark is CommonMark 0.31 with tables, task lists and strikethrough as
// GitHub writes them, without HTML, which is text like any other.
var commonMark = parser.NewParser(
	parser.WithBlockParsers(
		util.Prioritized(parser.NewSetextHeadingParser(), 100),
		util.Prioritized(parser.NewThematicBreakParser(), 200),
		util.Prioritized(shallow{parser.NewListParser()}, 300),
		util.Prioritized(parser.NewListItemParser(), 400),
		util.Prioritized(parser.NewCodeBlockParser(), 500),
		util.Prioritized(parser.NewATXHeadingParser(), 600),
		util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
		util.Prioritized(shallow{parser.NewBlockquoteParser()}, 800),
		util.Prioritized(parser.NewParagraphParser(), 1000),
	),
	parser.WithParagraphTransformers(
		util.Prioritized(parser.LinkReferenceParagraphTransformer, 100),
		util.Prioritized(smallTables{extension.NewTableParagraphTransformer()}, 200),
	),
	parser.WithASTTransformers(
		util.Prioritized(extension.NewTableASTTransformer(), 0),
	),
	parser.WithInlineParsers(
		util.Prioritized(extension.NewTaskCheckBoxParser(), 0),
		util.Prioritized(parser.NewCodeSpanParser(), 100),
		util.Prioritized(fewLinks{parser.NewLinkParser().(linkParser)}, 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300),
		util.Prioritized(colon{}, 400),
		util.Prioritized(www{}, 400),
		util.Prioritized(mail{}, 400),
		util.Prioritized(marks{}, 500),
	),
)

func parse(source string) ast.Node { return commonMark.Parse(text.NewReader([]byte(source))) }

// count tells whether one more of its kind may be had in a message.
func count(pc parser.Context, key parser.ContextKey, most int) bool {
	n, _ := pc.Get(key).(int)
	pc.Set(key, n+1)
	return n < most
}

// shallow is a list or a quotation that does not nest without end.
type shallow struct{ parser.BlockParser }

func (s shallow) Open(parent ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for n := parent; n != nil; n = n.Parent() {
		if n.Kind() != ast.KindListItem {
			depth++
		}
	}
	if depth > mostNested {
		return nil, parser.NoChildren
	}
	return s.BlockParser.Open(parent, reader, pc)
}

// smallTables are tables of a size that a page can show. Every row has as
// many cells as the first, however short it was typed.
type smallTables struct{ parser.ParagraphTransformer }

func (t smallTables) Transform(p *ast.Paragraph, reader text.Reader, pc parser.Context) {
	lines, columns := p.Lines(), 0
	for i := range lines.Len() {
		line := lines.At(i)
		columns = max(columns, 1+bytes.Count(line.Value(reader.Source()), []byte{'|'}))
	}
	if columns <= mostColumns+2 && columns*lines.Len() <= mostCells {
		t.ParagraphTransformer.Transform(p, reader, pc)
	}
}

type linkParser interface {
	parser.InlineParser
	parser.CloseBlocker
}

var linksKey = parser.NewContextKey()

// fewLinks bounds links and images.
type fewLinks struct{ linkParser }

func (l fewLinks) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	if line, _ := block.PeekLine(); line[0] == '[' && !count(pc, linksKey, mostLinks) ||
		bytes.HasPrefix(line, []byte("![")) && !count(pc, linksKey, mostLinks) {
		return nil
	}
	return l.linkParser.Parse(parent, block, pc)
}

// marks are *emphasis*, _emphasis_, **strong** and ~~struck out~~. Differing
// from CommonMark (6.2), a mark between punctuation and a Chinese, Japanese
// or Korean letter may open or close, since these put no space between words:
// **重要。**其他 is strong. Differing from GitHub, one ~ is a ~, as in 好的~.
type marks struct{}

var marksKey = parser.NewContextKey()

func (marks) Trigger() []byte { return []byte("*_~") }

func (marks) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	before := block.PrecendingCharacter()
	line, segment := block.PeekLine()
	mark := line[0]
	length := len(line) - len(bytes.TrimLeft(line, string(mark)))
	after := ' '
	if length < len(line) {
		after, _ = utf8.DecodeRune(line[length:])
	}
	if mark == '~' && (length != 2 || before == '~') || !count(pc, marksKey, mostMarks) {
		return nil
	}
	between := func(r rune) bool { return isSpace(r) || util.IsPunctRune(r) }
	left := !isSpace(after) && (!util.IsPunctRune(after) || between(before) || isCJK(before))
	right := !isSpace(before) && (!util.IsPunctRune(before) || between(after) || isCJK(after))
	opens, closes := left, right
	if mark == '_' { // not inside of words
		opens = left && (!right || util.IsPunctRune(before))
		closes = right && (!left || util.IsPunctRune(after))
		if length == 1 && !opens && !closes { // text like any other: first_last@example.org
			return nil
		}
	}
	d := parser.NewDelimiter(opens, closes, length, mark, markProcessor(mark))
	d.Segment = segment.WithStop(segment.Start + length)
	block.Advance(length)
	pc.PushDelimiter(d)
	return d
}

func isSpace(r rune) bool { return util.IsSpaceRune(r) }

func isCJK(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo)
}

// markProcessor makes of two marks what stands between them.
type markProcessor byte

func (m markProcessor) IsDelimiter(b byte) bool { return b == byte(m) }

func (m markProcessor) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}

func (m markProcessor) OnMatch(consumed int) ast.Node {
	if m == '~' {
		return extast.NewStrikethrough()
	}
	return ast.NewEmphasis(consumed)
}

// colon finds bare addresses, whose scheme then stands before it, and emoji
// written as :name:. An inline parser is called at punctuation only, and so
// not at the h of https in 看https://go.dev。
type colon struct{}

func (colon) Trigger() []byte { return []byte{':'} }

func (colon) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	line, segment := block.PeekLine()
	if bytes.HasPrefix(line, []byte("://")) {
		return parseAddress(parent, block, line, segment)
	}
	end := bytes.IndexByte(line[1:min(len(line), emoji.MostCode+2)], ':') + 1
	if end <= 1 {
		return nil
	}
	_, joined := parent.LastChild().(*ast.String) // :one::two:
	before := block.PrecendingCharacter()
	if isWord(before) || before == ':' && !joined || end+1 < len(line) && isWord(rune(line[end+1])) {
		return nil
	}
	shown, known := emoji.Lookup(string(line[1:end]))
	if !known {
		return nil
	}
	block.Advance(end + 1)
	return ast.NewString([]byte(shown))
}

// parseAddress takes the scheme back that is text already.
func parseAddress(parent ast.Node, block text.Reader, line []byte, segment text.Segment) ast.Node {
	before, _ := parent.LastChild().(*ast.Text)
	if before == nil || before.Segment.Stop != segment.Start {
		return nil
	}
	typed := string(before.Segment.Value(block.Source()))
	scheme := 0
	for _, s := range []string{"https", "http"} {
		if len(typed) >= len(s) && strings.EqualFold(typed[len(typed)-len(s):], s) {
			scheme = len(s)
			break
		}
	}
	last, _ := utf8.DecodeLastRuneInString(typed[:len(typed)-scheme])
	if scheme == 0 || isWord(last) {
		return nil
	}
	begin := segment.Start - scheme
	length, seen := bareAddress(string(block.Source()[begin : segment.Start+len(bytes.TrimRight(line, "\n"))]))
	if length == 0 {
		seen = max(seen, scheme+len("://"))
		block.Advance(seen - scheme)
		return ast.NewTextSegment(text.NewSegment(segment.Start, begin+seen))
	}
	before.Segment = before.Segment.WithStop(begin)
	block.Advance(length - scheme)
	return ast.NewAutoLink(ast.AutoLinkURL, ast.NewTextSegment(text.NewSegment(begin, begin+length)))
}

// www finds addresses of the web without their scheme, as GitHub does, at the
// dot in www. (see colon). They lead to https, where GitHub still says http:
// who types no scheme asks for none, and what has no https is rare by now.
type www struct{}

func (www) Trigger() []byte { return []byte{'.'} }

func (www) Parse(parent ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, segment := block.PeekLine()
	begin := segment.Start - len("www")
	before := textBefore(parent, segment, begin)
	if before == nil || !mayPrecede(block.Source()[:begin]) {
		return nil
	}
	// No more than is looked at is copied, or many dots would cost the square.
	length, seen := wwwAddress(string(block.Source()[begin : segment.Start+min(len(line), mostAddress)]))
	if seen <= len("www") {
		return nil
	}
	block.Advance(seen - len("www"))
	if length == 0 {
		return ast.NewTextSegment(text.NewSegment(segment.Start, begin+seen))
	}
	before.Segment = before.Segment.WithStop(begin)
	link := ast.NewAutoLink(ast.AutoLinkURL, ast.NewTextSegment(text.NewSegment(begin, begin+length)))
	link.Protocol = []byte("https")
	return link
}

// mail finds addresses of mail, at their @.
type mail struct{}

func (mail) Trigger() []byte { return []byte{'@'} }

func (mail) Parse(parent ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, segment := block.PeekLine()
	box, host := mailbox(block.Source()[:segment.Start]), mailHost(string(line[:min(len(line), 2*mostHost)]))
	begin := segment.Start - box
	before := textBefore(parent, segment, begin)
	if box == 0 || host == 0 || before == nil || !mayPrecede(block.Source()[:begin]) {
		return nil
	}
	before.Segment = before.Segment.WithStop(begin)
	block.Advance(host)
	return ast.NewAutoLink(ast.AutoLinkEmail, ast.NewTextSegment(text.NewSegment(begin, segment.Start+host)))
}

// textBefore is the text that stands right before a segment, if it reaches back
// to where something begins.
func textBefore(parent ast.Node, segment text.Segment, begin int) *ast.Text {
	t, _ := parent.LastChild().(*ast.Text)
	if t == nil || t.Segment.Stop != segment.Start || begin < t.Segment.Start {
		return nil
	}
	return t
}

// isWord tells whether a letter or digit of ASCII, or _, goes on.
func isWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
