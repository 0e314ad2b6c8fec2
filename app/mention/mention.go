// Package mention finds the people whom a typed text calls: @Ann, @张三, @here.
// It knows texts and names; who bears a name it is told.
//
// Its invariant: what it makes of a text, read with the people under the names
// that it was given, is the text as it was typed, but for the way a name or @
// was written.
//
// A nickname has no marks around it and may hold spaces, so the text alone does
// not say where it ends. Hence two steps: Find lists every name that may be
// meant, and Put decides when it is known which of them people bear: the
// longest.
package mention

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parlor/app/chat"
)

// Most is how many mentions a text may hold. Further ones are text.
const Most = 50

// Text is a typed text with the places at which it may call somebody.
type Text struct {
	typed string
	calls []call
}

// call is an @ and the names that may follow it.
type call struct {
	at int // of the @ in the text
	// inWord says that a letter stands before the @: then it is a part of an
	// address, or of a word, unless another mention ends there.
	inWord bool
	names  []name // the longest first
}

type name struct {
	folded string // as chat.Nickname.Folded
	end    int    // in the text
}

// Find finds where the text may call somebody. Nicknames are at most longest
// characters long.
//
// An @ (or ＠, as Chinese input methods write it) calls nobody in code, in an
// address of the web or of e-mail, behind a backslash, or in a line that quotes
// (CommonMark 5.1): who is quoted was called before.
func Find(typed string, longest int) Text {
	t := Text{typed: typed}
	if !strings.ContainsAny(typed, "@＠") {
		return t
	}
	silent := silence(typed)
	for i, r := range typed {
		if r != '@' && r != '＠' {
			continue
		}
		for len(silent) > 0 && silent[0].end <= i {
			silent = silent[1:]
		}
		if len(silent) > 0 && silent[0].begin <= i || escaped(typed, i) {
			continue
		}
		names := namesAt(typed, i+utf8.RuneLen(r), longest)
		if len(names) == 0 {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(typed[:i])
		t.calls = append(t.calls, call{i, word(before) && !dense(before), names})
		if len(t.calls) == Most {
			break
		}
	}
	return t
}

// Names are all names that the text may call, folded, each once.
func (t Text) Names() []string {
	var all []string
	for _, c := range t.calls {
		for _, n := range c.names {
			all = append(all, n.folded)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Put makes of the text what is stored: people, given by their folded names,
// as chat.Mention writes them. It tells whom it names, each once and in order,
// and whether it calls everybody who is here.
func (t Text) Put(people map[string]int64) (body string, named []int64, here bool) {
	var b strings.Builder
	done := 0
	for _, c := range t.calls {
		if c.at < done || c.inWord && (c.at != done || done == 0) {
			continue
		}
		for _, n := range c.names {
			id, known := people[n.folded]
			everybody := slices.Contains(chat.HereNames, n.folded)
			if !known && !everybody {
				continue
			}
			if everybody {
				id, here = 0, true
			} else if !slices.Contains(named, id) {
				named = append(named, id)
			}
			b.WriteString(t.typed[done:c.at])
			b.WriteString(chat.Mention(id))
			done = n.end
			break
		}
	}
	b.WriteString(t.typed[done:])
	return b.String(), named, here
}

// Here are the names behind @ that call everybody who is here; nobody is called
// by such a nickname.
func Here() []string { return slices.Clone(chat.HereNames) }

// namesAt are the names that may begin at a place, the longest first.
func namesAt(typed string, at, longest int) (names []name) {
	rest := typed[at:]
	if first, _ := utf8.DecodeRuneInString(rest); first == utf8.RuneError || unicode.IsSpace(first) {
		return nil
	}
	// Typed in another form of Unicode a nickname may be longer.
	count, most := 0, 2*longest
	for i, r := range rest {
		if r == '\n' {
			break
		}
		end := i + utf8.RuneLen(r)
		if !unicode.IsSpace(r) && ends(r, rest[end:]) {
			folded := chat.FoldName(rest[:end])
			if utf8.RuneCountInString(folded) > 2*longest { // and so is all that goes on from here
				break
			}
			names = append(names, name{folded, at + end})
		}
		if count++; count == most {
			break
		}
	}
	slices.Reverse(names)
	return names
}

// ends tells whether a name may end between a character and the rest of the
// text: not within an emoji or a letter with its marks, and not within a word,
// except in scripts that put no space between words.
func ends(last rune, rest string) bool {
	if rest == "" {
		return true
	}
	next, size := utf8.DecodeRuneInString(rest)
	if next == '_' { // emphasis may end with it, a word goes on
		if next, _ = utf8.DecodeRuneInString(rest[size:]); next == '_' {
			return true
		}
	}
	switch {
	case unicode.In(next, unicode.M, unicode.Variation_Selector), next == '\u200D', last == '\u200D',
		0x1F3FB <= next && next <= 0x1F3FF, 0xE0020 <= next && next <= 0xE007F:
		return false
	}
	return last != '_' && !word(last) || !word(next) || dense(last) || dense(next)
}

// word tells whether words are made of the character.
func word(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.M) }

// dense tells whether the character is of a script in which a word may follow
// another, or a particle a name, without a space.
func dense(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan)
}

// escaped tells whether an odd number of backslashes stands before i.
func escaped(text string, i int) bool {
	before := text[:i]
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// span is a piece of a text, by bytes.
type span struct{ begin, end int }

// silence finds what calls nobody: code, quoted lines and addresses, in order,
// not overlapping. It reads the blocks of CommonMark so far as it must. Where
// it is wrong, a name is called or is not; nothing breaks.
func silence(text string) []span {
	var spans, prose []span // prose is the lines of the present paragraph
	paragraph := func() {
		spans = append(spans, codeAndAddresses(text, prose)...)
		prose = prose[:0]
	}
	fence, list := "", false
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := strings.TrimRight(text[at:end], " \t\n")
		inner := strings.TrimLeft(line, " ")
		deep := len(line)-len(inner) >= 4 || strings.HasPrefix(inner, "\t")
		mark := fenceOf(inner)
		if item.MatchString(inner) {
			list = true
		} else if len(prose) == 0 && len(inner) == len(line) && line != "" {
			list = false
		}
		switch {
		case fence != "":
			spans = append(spans, span{at, end})
			if !deep && mark != "" && strings.HasPrefix(mark, fence) && mark == inner {
				fence = ""
			}
		case deep && len(prose) == 0 && !list && line != "": // indented code
			spans = append(spans, span{at, end})
		case !deep && mark != "":
			paragraph()
			spans = append(spans, span{at, end})
			fence = mark
		case !deep && strings.HasPrefix(inner, ">"):
			paragraph()
			spans = append(spans, span{at, end})
		case line == "":
			paragraph()
		default:
			prose = append(prose, span{at, end})
		}
		at = end
	}
	paragraph()
	return spans
}

// item begins an item of a list, whose text may be indented.
var item = regexp.MustCompile(`^(?:[-*+]|[0-9]{1,9}[.)])(?:[ \t]|$)`)

// fenceOf is the run of backticks or tildes that begins a block of code with
// this line (CommonMark 4.5), or "".
func fenceOf(line string) string {
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(line, mark)
		if run := line[:len(line)-len(rest)]; len(run) >= 3 && (mark == "~" || !strings.Contains(rest, mark)) {
			return run
		}
	}
	return ""
}

// address is one of the web, or anything else with a scheme. Chinese
// punctuation ends it.
var address = regexp.MustCompile("(?i)(?:[a-z][a-z0-9+.-]{1,30}://|\\bwww\\.)[^\\s<>\"`、。，；：！？（）《》「」『』【】“”‘’]*")

// codeAndAddresses finds code between backticks (CommonMark 6.1) and addresses
// in a paragraph, given by its lines.
func codeAndAddresses(text string, lines []span) (spans []span) {
	if len(lines) == 0 {
		return nil
	}
	begin, end := lines[0].begin, lines[len(lines)-1].end
	var runs []span // of backticks
	for i := begin; i < end; i++ {
		if text[i] != '`' {
			continue
		}
		run := span{i, i + 1}
		for run.end < end && text[run.end] == '`' {
			run.end++
		}
		runs = append(runs, run)
		i = run.end
	}
	// The next run of the same length, for each.
	next, last := make([]int, len(runs)), map[int]int{}
	for i := len(runs) - 1; i >= 0; i-- {
		length := runs[i].end - runs[i].begin
		next[i] = -1
		if j, ok := last[length]; ok {
			next[i] = j
		}
		last[length] = i
	}
	at := begin
	addresses := func(to int) {
		for _, m := range address.FindAllStringIndex(text[at:to], -1) {
			spans = append(spans, span{at + m[0], at + m[1]})
		}
	}
	for i := 0; i < len(runs); i++ {
		if next[i] < 0 || escaped(text, runs[i].begin) {
			continue
		}
		addresses(runs[i].begin)
		at = runs[next[i]].end
		spans = append(spans, span{runs[i].begin, at})
		i = next[i]
	}
	addresses(end)
	return spans
}
