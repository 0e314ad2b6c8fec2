package chat

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mtibben/confusables"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"parlor/app/emoji"
)

// Nickname is a name that a person may have, in three forms. Two nicknames
// with the same Folded or the same Skeleton can't be held at the same time.
type Nickname struct {
	// Shown is the name as it is shown: in NFC, white space tidied.
	Shown string
	// Folded is the same for every way to write the same name (Zoë, ZOË,
	// Ｚｏë): compatibility forms and case folded, as RFC 8266 (PRECIS
	// Nickname) compares, but with full case folding.
	Folded string
	// Skeleton is the same for names that look alike (admin, аdmin with a
	// Cyrillic а): the skeleton of UTS 39 section 4, made blind to case and
	// without spaces.
	Skeleton string
}

// ParseNickname checks what was typed as a nickname: 1 to most characters
// (code points after NFC; a family emoji counts as the people in it and what
// joins them). Letters, marks, digits, punctuation, symbols, single spaces
// and emoji sequences are fine, in any script. An *Error about the field
// "nickname" says what is wrong.
//
// What RFC 8264's FreeformClass forbids is refused: controls, unassigned and
// private characters, and everything that can't be seen (bidi controls, zero
// width, default ignorables) outside an emoji sequence of UTS 51. Its
// contextual rules are not applied: they would refuse 列夫·托尔斯泰.
func ParseNickname(typed string, most int) (Nickname, error) {
	refuse := func(reason Reason, args ...any) (Nickname, error) {
		return Nickname{}, RefuseField("nickname", reason, args...)
	}
	if !utf8.ValidString(typed) {
		return refuse(NicknameForbidden, "\uFFFD")
	}
	shown := norm.NFC.String(tidySpace(typed))
	if shown == "" {
		return refuse(NicknameEmpty)
	}
	if utf8.RuneCountInString(shown) > most {
		return refuse(NicknameTooLong, most)
	}
	if bad, found := badCharacter(shown); found && hidden(bad) {
		return refuse(NicknameInvisible)
	} else if found {
		return refuse(NicknameForbidden, printable(bad))
	}
	return Nickname{Shown: shown, Folded: fold(shown), Skeleton: skeleton(shown)}, nil
}

// HereNames call everybody who is here when they are typed behind an @.
var HereNames = []string{"here", "在座"}

// reserved mean somebody else each time: these, and what search takes for the
// one who asks.
var reserved = append([]string{"me", "我"}, HereNames...)

// Reserved tells whether the nickname, with or without @, is a word that means
// somebody else. It can't be taken; whoever has it keeps it.
func (n Nickname) Reserved() bool {
	looks := strings.ReplaceAll(n.Skeleton, "@", "")
	return slices.ContainsFunc(reserved, func(word string) bool { return skeleton(word) == looks })
}

// Suggestions are about twenty nicknames like this one, the nicest first,
// each valid and at most so many characters long. Some are drawn at random,
// so that a popular name does not run out of them.
func (n Nickname) Suggestions(most int) []string {
	var out []string
	seen := map[string]bool{n.Skeleton: true}
	for before, after := range alternatives(n.Shown) {
		room := most - utf8.RuneCountInString(before+after)
		other, err := ParseNickname(before+clip(n.Shown, room)+after, most)
		if err != nil || room < 1 || seen[other.Skeleton] {
			continue
		}
		seen[other.Skeleton] = true
		out = append(out, other.Shown)
	}
	return out
}

// alternatives yields what may be put before and after a nickname.
func alternatives(name string) iter.Seq2[string, string] {
	return func(yield func(before, after string) bool) {
		if !yield("", " 2") {
			return
		}
		if strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Han, r) }) &&
			(!yield("小", "") || !yield("阿", "")) {
			return
		}
		if !yield("", "_") {
			return
		}
		for i := 3; i < 10; i++ {
			if !yield("", fmt.Sprintf(" %d", i)) {
				return
			}
		}
		for range 10 {
			if !yield("", fmt.Sprintf(" %d", 10+rand.IntN(990))) {
				return
			}
		}
	}
}

// Initial is the character of the person's seal: the first of the nickname,
// as a capital. An emoji sequence is one character, and so is a letter with
// its marks.
func (p Person) Initial() string {
	return norm.NFC.String(strings.ToUpper(firstCharacter(p.Nickname)))
}

var (
	emojis    = regexp.MustCompile(emoji.Sequence)
	character = regexp.MustCompile(`^(?:` + emoji.Sequence + `|(?s:.)\p{M}*)`)
	// manyMarks is more than any orthography stacks on one letter.
	manyMarks = regexp.MustCompile(`^\p{M}|\p{M}{4}`)
)

// badCharacter finds a character that has no place in a name of one line.
func badCharacter(s string) (rune, bool) {
	rest := emojis.ReplaceAllString(s, "\u263A")
	for _, r := range rest {
		if hidden(r) || !unicode.IsGraphic(r) || r == '\uFFFC' || r == '\uFFFD' {
			return r, true
		}
	}
	if at := manyMarks.FindStringIndex(rest); at != nil {
		r, _ := utf8.DecodeLastRuneInString(rest[:at[1]])
		return r, true
	}
	return 0, false
}

// hidden tells whether a character shows nothing of its own: controls, line
// ends, formats, default ignorables (UAX 44) and the empty Braille pattern.
func hidden(r rune) bool {
	return r == '\u2800' || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// printable writes a character so that a sentence can show it.
func printable(r rune) string {
	switch {
	case unicode.IsMark(r):
		return "\u25CC" + string(r) // on a dotted circle
	case unicode.IsGraphic(r):
		return string(r)
	}
	return fmt.Sprintf("%U", r)
}

// tidySpace trims white space and makes every run of spaces and tabs one
// space. Line ends inside stay, to be judged.
func tidySpace(s string) string {
	isSpace := func(r rune) bool { return r == '\t' || unicode.Is(unicode.Zs, r) }
	return strings.Join(strings.FieldsFunc(strings.TrimSpace(s), isSpace), " ")
}

// fold makes equal what differs only in case or compatibility form:
// NFKC_Casefold of Unicode 3.13 without the removal of ignorables.
func fold(s string) string {
	for range 2 { // rarely, the second fold changes something (RFC 8266 2.1)
		s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	}
	return tidySpace(s)
}

// skeleton makes equal what looks alike in any case. UTS 39 compares names as
// they are written; folding case first would hide that a capital Greek Βob
// looks like Bob (β looks like ß, not like b), so capitals of other alphabets
// that look Latin become Latin before. And since l, 1 and the capital of i
// look alike, i and l are one here; so are 0 and o. Selectors and joiners
// between emoji don't count, nor do spaces.
func skeleton(s string) string {
	var latin strings.Builder
	for _, r := range norm.NFKC.String(s) {
		if unicode.IsUpper(r) && r >= utf8.RuneSelf {
			if like := confusables.Skeleton(string(r)); isASCII(like) {
				latin.WriteString(like)
				continue
			}
		}
		latin.WriteRune(r)
	}
	visible := strings.Map(func(r rune) rune {
		if r == '\u200D' || unicode.Is(unicode.Variation_Selector, r) {
			return -1
		}
		return r
	}, fold(latin.String()))
	return strings.NewReplacer("i", "l", " ", "").Replace(strings.ToLower(confusables.Skeleton(visible)))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// firstCharacter is what a reader would call the first character of s.
func firstCharacter(s string) string { return character.FindString(s) }

// clip keeps as many whole characters of s as fit into most code points.
func clip(s string, most int) string {
	kept, runes := 0, 0
	for kept < len(s) {
		c := firstCharacter(s[kept:])
		if runes += utf8.RuneCountInString(c); runes > most {
			break
		}
		kept += len(c)
	}
	return strings.TrimSpace(s[:kept])
}
