// Package search decides what a message can be found by. It cuts text into
// words, makes a Postgres tsvector of a message (Terms) and a tsquery of what
// somebody looks for (Parse, Query.TSQuery), tells whether a message really is
// what was looked for (Query.Matches), and shows where (Snippet). It knows no
// database and no language: what Postgres does with its text search parsers and
// dictionaries is done here, so that Chinese, Japanese and Korean work on any
// server. Nor does it know that traditional and simplified characters, or
// hiragana and katakana, write the same word.
//
// Its invariant: whatever Query.Matches accepts is also found by the tsquery
// in the tsvector. The index may find too much, never too little.
package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MostText is how many bytes of a text can be found at most. What comes after
// is not looked at. It is well above what a message may have, and keeps every
// tsvector far below Postgres' megabyte.
const MostText = 64 << 10

// token is what a text consists of for somebody who looks for something: a
// word of a script with spaces, one character of a script without, or one
// symbol. Its text is folded.
type token struct {
	text       string
	start, end int  // bytes in the text as it was written
	dense      bool // a character of a script without spaces
	joined     bool // follows a dense one directly, being dense too
	// person is who is mentioned, of a token that is a mention and has no text.
	person int64
}

// dense are the scripts that are written without spaces, or, as Korean, with
// spaces that are not where one looks for something.
var dense = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// The long vowel mark belongs to both syllabaries, and so to no script.
const longVowel = 'ー'

const (
	zeroWidthSpace = '\u200b'
	tatweel        = '\u0640'
)

func isDense(r rune) bool {
	return isCommonHan(r) || r >= 0x0e00 && (r == longVowel || unicode.In(r, dense...))
}

// tokens cuts a text. Everything that is no letter, digit or symbol only
// separates: so foo_bar, v1.2.3, foo.go and an address are sequences of words,
// and are found by each word and by the whole.
func tokens(text string) []token {
	text = bounded(text)
	out := make([]token, 0, len(text)/5+1)
	var word strings.Builder
	wordStart, wordEnd := 0, 0
	endWord := func() {
		if word.Len() > 0 {
			out = append(out, token{text: word.String(), start: wordStart, end: wordEnd})
			word.Reset()
		}
	}
	afterDense := false // the character before is a dense one
	f := newFolder(text)
	for f.next() {
		for _, r := range f.folded {
			switch {
			case isDense(r):
				endWord()
				out = append(out, token{text: string(r), start: f.start, end: f.end, dense: true, joined: afterDense})
				afterDense = true
			case r == zeroWidthSpace, r == '*', r == '~', r == '`':
				// They end a word and show nothing, or mark what 讨**论** makes bold.
				endWord()
			case r == tatweel: // only stretches an Arabic word
			case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Me, r), unicode.Is(unicode.Sk, r) && r > 0xffff:
				// Joiners and soft hyphens show nothing, and neither keycaps nor
				// skin tones make another character.
			case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
				if word.Len() == 0 {
					wordStart = f.start
				}
				word.WriteRune(r)
				wordEnd, afterDense = f.end, false
			case unicode.Is(unicode.So, r): // emoji above all
				endWord()
				out = append(out, token{text: string(r), start: f.start, end: f.end})
				afterDense = false
			default:
				endWord()
				afterDense = false
			}
		}
	}
	endWord()
	return out
}

// bounded cuts a text at MostText, before a character.
func bounded(text string) string {
	if len(text) <= MostText {
		return text
	}
	end := MostText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// folder goes through a text character by character, each with the marks that
// belong to it, and folds it: compatibility forms (NFKC), case, diacritics.
type folder struct {
	text       string
	fold       cases.Caser
	folded     string
	start, end int // of the character in the text
}

func newFolder(text string) *folder { return &folder{text: text, fold: cases.Fold()} }

func (f *folder) next() bool {
	f.start = f.end
	rest := f.text[f.start:]
	if rest == "" {
		return false
	}
	// Most of what is said needs no tables: ASCII and Chinese, where no mark
	// follows.
	r, n := utf8.DecodeRuneInString(rest)
	if r < utf8.RuneSelf && (len(rest) == 1 || rest[1] < utf8.RuneSelf) {
		f.folded, f.end = asciiFolded[r:r+1], f.start+1
		return true
	}
	if isCommonHan(r) {
		if after, _ := utf8.DecodeRuneInString(rest[n:]); len(rest) == n || after < 0x300 || isCommonHan(after) {
			f.folded, f.end = rest[:n], f.start+n
			return true
		}
	}
	n = norm.NFKC.NextBoundaryInString(rest, true)
	f.end = f.start + n
	f.folded = withoutDiacritics(f.fold.String(norm.NFKC.String(rest[:n])))
	return true
}

// isCommonHan is true for the block of characters that Chinese is written
// with; they have neither case nor other forms.
func isCommonHan(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }

var asciiFolded = func() string {
	var b [utf8.RuneSelf]byte
	for i := range b {
		b[i] = byte(unicode.ToLower(rune(i)))
	}
	return string(b[:])
}()

// plainLetters are letters with a stroke and the like, which Unicode does not
// take apart.
var plainLetters = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ħ", "h", "ŧ", "t", "ı", "i", "æ", "ae", "œ", "oe", "þ", "th", "ð", "d")

// withoutDiacritics removes the marks that people leave out: accents, and the
// vowel points of Hebrew and Arabic. Marks without which a word is another one
// (the vowel signs of Indic scripts, the voicing of kana) stay.
func withoutDiacritics(folded string) string {
	apart := norm.NFD.String(folded)
	kept := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) && unicode.In(r, unicode.Inherited, unicode.Hebrew) && r != 0x3099 && r != 0x309a {
			return -1
		}
		return r
	}, apart)
	return plainLetters.Replace(norm.NFC.String(kept))
}
