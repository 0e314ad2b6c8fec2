package search

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A text that mentions somebody holds an id, and shows the nickname that the
// person has now. The index follows no renaming: in it a mention is a lexeme of
// its own (mentioning). Instead a query is told who is called so now (NameQuery,
// Call), and lets their mentions stand for its words. Whether the phrase is there
// Matches sees in the text as it reads now (named).

// mention is a person in a stored text, as chat.Mention writes it; 0 is
// everybody who was here.
var mention = regexp.MustCompile("\x0e([0-9]{1,18})\x0f")

// cutMention parts a text at its first mention.
func cutMention(text string) (before string, person int64, after string, found bool) {
	at := mention.FindStringSubmatchIndex(text)
	if at == nil {
		return text, 0, "", false
	}
	person, _ = strconv.ParseInt(text[at[2]:at[3]], 10, 64) // so few digits are one
	return text[:at[0]], person, text[at[1]:], true
}

const here = "@here"

// mentioning are the tokens of a text, in which a mention is a token.
func mentioning(text string) (out []token) {
	for rest, more := bounded(text), true; more; {
		var before string
		var person int64
		before, person, rest, more = cutMention(rest)
		out = append(out, tokens(before)...)
		switch {
		case person != 0:
			out = append(out, token{person: person})
		case more:
			out = append(out, tokens(here)...)
		}
	}
	return out
}

// named is a text as it reads with these nicknames. Where one ends, so does a
// word.
func named(text string, names map[int64]string) string {
	var b strings.Builder
	before, person, rest, more := cutMention(bounded(text))
	for ; more; before, person, rest, more = cutMention(rest) {
		b.WriteString(before)
		if person == 0 {
			b.WriteString(here)
		} else {
			b.WriteString("@" + names[person])
		}
		b.WriteRune(zeroWidthSpace)
	}
	return b.String() + before
}

// Texts are the phrases as they were typed: each may be a whole nickname.
func (q Query) Texts() (out []string) {
	for _, p := range slices.Concat(q.Wanted, q.Excluded) {
		out = append(out, p.typed)
	}
	return out
}

// NameQuery is a tsquery, or "", for the Terms of nicknames: those of which a
// part may stand where a wanted phrase does. Who has one is told by Call.
//
// A nickname has an @ in front, so that its first character follows no other
// directly. Hence a nickname that has a part of a phrase has the first character
// of a run without spaces: with the next one, or as its own last.
func (q Query) NameQuery() string {
	var or []string
	for _, p := range q.Wanted {
		last := len(p.tokens) - 1
		for i, t := range p.tokens {
			switch {
			case t.joined:
			case t.dense && i < last && p.tokens[i+1].joined:
				or = append(or, quote(lexeme(p.tokens, i, t)), quote(t.text))
			case i == last && (t.dense || p.prefix):
				or = append(or, quote(cutWord(t.text))+":*")
			default:
				or = append(or, quote(lexeme(p.tokens, i, t)))
			}
		}
	}
	return strings.Join(or, " | ")
}

// Call says what a person is called now, so that the index gives what mentions
// them where the nickname has to do with a phrase.
func (q *Query) Call(person int64, nickname string) {
	name := tokens(nickname)
	for i := range q.Wanted {
		q.Wanted[i].call(person, name)
	}
	for i := range q.Excluded {
		if p := &q.Excluded[i]; p.find(name, 0) >= 0 {
			p.within = append(p.within, person)
		}
	}
}

// call tries the phrase in every place where it overlaps the name. Where all that
// overlaps is equal, a mention may stand for these tokens.
func (p *Phrase) call(person int64, name []token) {
	for shift := 1 - len(p.tokens); shift < len(name); shift++ {
		from, to := max(0, -shift), min(len(p.tokens), len(name)-shift)
		i := from
		for i < to && p.means(i, name[i+shift]) {
			i++
		}
		if i < to {
			continue
		}
		if p.people == nil {
			p.people = make([][]int64, len(p.tokens))
		}
		for i := from; i < to; i++ {
			if !slices.Contains(p.people[i], person) {
				p.people[i] = append(p.people[i], person)
			}
		}
	}
}
