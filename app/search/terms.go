package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of Postgres' type tsvector
// (https://www.postgresql.org/docs/current/textsearch-limitations.html).
const (
	mostPosition  = 16383 // the highest position
	mostPositions = 255   // of one lexeme; it keeps the first ones only
)

func hasLexeme(h Has) string { return "?" + string(h) }

func personLexeme(id int64) string { return "&" + strconv.FormatInt(id, 10) }

// mostOfWord is how many characters of a word make its lexeme. Words that
// begin alike so far are told apart by Query.Matches.
const mostOfWord = 64

// crowded marks a tsvector in which some positions had no place, so that
// phrases may be missed in it by their positions.
const crowded = "!crowded"

// Stretch begins every lexeme in what Terms and TSQuery make. It stands for the
// name of a stretch of time, which the database puts in its place: so what was
// said in one stretch can be looked up alone. No text has it.
const Stretch = "\x01"

// Said is what a message can be found by.
type Said struct {
	// Text is as it is stored: mentions stand in it as chat.Mention writes them.
	Text string
	// Names are the present nicknames of those who are mentioned, by id. Terms
	// does not know them, since they change: there a mention is a person.
	Names  map[int64]string
	Emoji  []string // that the text has by their names, as :tada:
	Files  []string // their names
	Images bool     // one of the files is a picture
	Titles []string // of the pages behind its links
	Reply  bool     // to another message
}

// and are tokens of the text, and those of what comes with it. No phrase goes
// from one into the next.
func (s Said) and(text []token) [][]token {
	out := [][]token{text}
	for _, other := range slices.Concat(s.Emoji, s.Files, s.Titles) {
		out = append(out, tokens(other))
	}
	return out
}

// has tells whether it has something that shows in what is said.
func (s Said) has(h Has) bool {
	switch h {
	case HasLink:
		return hasLink(s.Text)
	case HasCode:
		return hasCode(s.Text)
	case HasFile:
		return len(s.Files) > 0
	case HasImage:
		return s.Images
	case HasMention:
		return mention.MatchString(s.Text)
	case HasReply:
		return s.Reply
	}
	return false
}

// Terms is what a message is found by, as the text of a Postgres tsvector:
// its words in their positions, the overlapping pairs of characters of scripts
// without spaces (bigrams). The last character of such a run stands alone, so
// that every character begins a lexeme and is found by its prefix.
//
// Whom it mentions, and what it has besides words, are lexemes that no word is
// equal to: each begins with a character that words don't have. Package db marks
// author and room in the same way.
func Terms(s Said) string {
	all := s.and(mentioning(s.Text))
	v := vector{at: make(map[string]int, len(all[0]))}
	position := 0
	for _, toks := range all {
		for i, t := range toks {
			position++
			v.add(lexeme(toks, i, t), position)
		}
		position++ // a gap
	}
	for _, h := range shown {
		if s.has(h) {
			v.mark(hasLexeme(h))
		}
	}
	if v.crowded {
		v.mark(crowded)
	}
	return v.String()
}

// lexeme is what the i-th token is indexed as.
func lexeme(toks []token, i int, t token) string {
	if t.person != 0 {
		return personLexeme(t.person)
	}
	if !t.dense {
		return cutWord(t.text)
	}
	if i+1 < len(toks) && toks[i+1].joined {
		return t.text + toks[i+1].text
	}
	return t.text
}

// cutWord keeps the first mostOfWord characters.
func cutWord(word string) string {
	if len(word) <= mostOfWord {
		return word
	}
	n := 0
	for i := range word {
		if n == mostOfWord {
			return word[:i]
		}
		n++
	}
	return word
}

// vector gathers lexemes with their positions.
type vector struct {
	at      map[string]int // index in entries
	entries []entry
	crowded bool
}

type entry struct {
	lexeme    string
	positions []int
}

func (v *vector) entry(lexeme string) *entry {
	i, known := v.at[lexeme]
	if !known {
		i = len(v.entries)
		v.at[lexeme] = i
		v.entries = append(v.entries, entry{lexeme: lexeme})
	}
	return &v.entries[i]
}

func (v *vector) mark(lexeme string) { v.entry(lexeme) }

func (v *vector) add(lexeme string, position int) {
	e := v.entry(lexeme)
	if position > mostPosition || len(e.positions) == mostPositions {
		v.crowded = true
		return
	}
	e.positions = append(e.positions, position)
}

// String writes the vector as Postgres reads it.
func (v *vector) String() string {
	var b strings.Builder
	for _, e := range v.entries {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quote(e.lexeme))
		for i, p := range e.positions {
			b.WriteByte(",:"[b2i(i == 0)])
			b.WriteString(strconv.Itoa(p))
		}
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quote writes a lexeme for a tsvector or a tsquery, in its stretch. What is no text for
// Postgres can't come from tokens, and is a mistake in this package.
func quote(lexeme string) string {
	if lexeme == "" || !utf8.ValidString(lexeme) || strings.ContainsAny(lexeme, "\x00"+Stretch) {
		panic(fmt.Sprintf("search: %q is no lexeme", lexeme))
	}
	return "'" + Stretch + quoted.Replace(lexeme) + "'"
}

var quoted = strings.NewReplacer("'", "''", `\`, `\\`)
