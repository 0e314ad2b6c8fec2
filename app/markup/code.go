package markup

import (
	"html"
	"strings"
	"time"

	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"
	"github.com/yuin/goldmark/ast"
)

// What is coloured: so many bytes of code in a message, in lines of so many
// bytes. A lexer is a set of regular expressions with backtracking; on common
// code they take about a microsecond for each byte, and on long lines made for
// it a hundred times that. A block that goes beyond is plain, and so is one
// that takes longer than any we could make within these bounds: that clock is
// a last resort, so that a busy machine shows the same as an idle one.
const (
	mostColoured     = 3072
	mostColouredLine = 240
	mostColouring    = time.Second
)

// languages are those whose code is coloured, by the names that people write
// behind the fence, with the name of chroma's lexer. Others are plain.
var languages = func() map[string]string {
	all := map[string]string{}
	for lexer, names := range map[string]string{
		"bash": "bash sh shell zsh", "c": "c h", "c++": "c++ cpp cc hpp cxx", "c#": "c# cs csharp", "css": "css", "diff": "diff patch",
		"docker": "docker dockerfile", "elixir": "elixir ex exs", "erlang": "erlang erl", "go": "go golang", "haskell": "haskell hs",
		"html": "html", "ini": "ini", "java": "java", "javascript": "javascript js jsx mjs", "json": "json", "kotlin": "kotlin kt",
		"lua": "lua", "nginx": "nginx", "ocaml": "ocaml ml", "perl": "perl pl", "php": "php",
		"powershell": "powershell ps1", "python": "python py python3", "r": "r", "ruby": "ruby rb", "rust": "rust rs", "scala": "scala",
		"scss": "scss", "sql": "sql postgres postgresql", "swift": "swift", "toml": "toml", "typescript": "typescript ts tsx",
		"xml": "xml svg", "yaml": "yaml yml", "zig": "zig",
	} {
		for _, name := range strings.Fields(names) {
			all[name] = lexer
		}
	}
	return all
}()

func (w *writer) codeBlock(n ast.Node, language string) {
	var b strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		b.Write(line.Value(w.source))
	}
	code := strings.TrimRight(w.plain(b.String()), "\n")
	w.shows = w.shows || strings.TrimSpace(code) != ""
	w.WriteString("<pre><code>")
	if strings.HasPrefix(code, "\n") {
		w.WriteString("\n") // a browser drops the first line end in a pre
	}
	tokens, ok := w.coloured(code, language)
	if !ok {
		w.WriteString(html.EscapeString(code))
	}
	open := ""
	for _, t := range tokens {
		class := classOf(t.Type)
		if strings.TrimSpace(t.Value) == "" {
			class = open // white space has no colour: one element less
		}
		if class != open {
			if open != "" {
				w.WriteString("</span>")
			}
			if class != "" {
				w.WriteString(`<span class="` + class + `">`)
			}
			open = class
		}
		w.WriteString(html.EscapeString(t.Value))
	}
	if open != "" {
		w.WriteString("</span>")
	}
	w.WriteString("</code></pre>")
}

// coloured takes code apart into what has a colour.
func (w *writer) coloured(code, language string) ([]chroma.Token, bool) {
	name, known := languages[strings.ToLower(language)]
	if w.code += len(code); !known || w.code > mostColoured {
		return nil, false
	}
	for line := range strings.Lines(code) {
		if len(line) > mostColouredLine {
			return nil, false
		}
	}
	next, err := lexers.Get(name).Tokenise(&chroma.TokeniseOptions{State: "root"}, code)
	if err != nil {
		return nil, false
	}
	var tokens []chroma.Token
	until := time.Now().Add(mostColouring)
	rest := code
	for t := next(); t != chroma.EOF; t = next() {
		same := strings.HasPrefix(rest, t.Value)
		if !same && rest+"\n" == t.Value || rest == "" && t.Value == "\n" { // some lexers add a line end
			t.Value, same = rest, true
		}
		if !same || time.Now().After(until) {
			return nil, false // a lexer must not change what was said
		}
		rest = rest[len(t.Value):]
		tokens = append(tokens, t)
	}
	return tokens, rest == ""
}

// classOf is the class that gives a kind of token its colour
// (static/styles/code.css): few, for code is easier to read in few colours.
func classOf(t chroma.TokenType) string {
	switch {
	case t == chroma.GenericInserted:
		return "in"
	case t == chroma.GenericDeleted:
		return "de"
	case t == chroma.GenericHeading || t == chroma.GenericSubheading:
		return "ty"
	case t == chroma.KeywordType || t == chroma.NameClass || t == chroma.NameNamespace || t == chroma.NameException:
		return "ty"
	case t == chroma.OperatorWord || t == chroma.NameTag || t.InCategory(chroma.Keyword):
		return "kw"
	case t == chroma.NameFunction || t == chroma.NameFunctionMagic || t == chroma.NameBuiltin:
		return "fn"
	case t == chroma.NameAttribute || t == chroma.NameDecorator || t == chroma.NameProperty:
		return "at"
	case t.InSubCategory(chroma.LiteralString):
		return "st"
	case t.InSubCategory(chroma.LiteralNumber):
		return "nu"
	case t.InCategory(chroma.Comment):
		return "co"
	}
	return ""
}
