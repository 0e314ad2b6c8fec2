package i18n_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"parlor/app/i18n"
)

// The reasons are read from the source, so that none can be forgotten. What
// stands behind one says which argument belongs to it: "most ..." is a
// number, "the ..." a text.
func TestEveryReasonHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../chat/errors.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		found++
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		var args []any
		shown := ""
		switch about := spec.Comment.Text(); {
		case strings.HasPrefix(about, "most "):
			args, shown = []any{12345}, "12345"
		case strings.HasPrefix(about, "the "):
			args, shown = []any{"Zoë"}, "Zoë"
		}
		for _, l := range i18n.Langs {
			sentence, ok := i18n.Reason(l, reason, args...)
			end := []rune(sentence)
			if !ok || strings.Contains(sentence, "%") || !strings.Contains(sentence, shown) || !strings.ContainsRune(".。", end[len(end)-1]) {
				t.Errorf("%s in %s: %q, %v", reason, l.Tag(), sentence, ok)
			}
		}
		return true
	})
	if found < 30 {
		t.Errorf("only %d reasons found", found)
	}
	if s, ok := i18n.Reason(i18n.English, "no-such-reason"); ok || s != "" {
		t.Errorf("a sentence for no reason: %q", s)
	}
}
