package search

import (
	"slices"
	"strings"
)

// TSQuery is the query as a Postgres tsquery for what Terms made, or "". It may
// let through what Matches does not; never the other way round. Filters that
// the text does not show are left to the database.
func (q Query) TSQuery() string {
	var and []string
	for _, p := range q.Wanted {
		and = append(and, p.wanted())
	}
	for _, h := range q.Has {
		if h.inTerms() {
			and = append(and, quote(hasLexeme(h)))
		}
	}
	for _, h := range q.HasNot {
		if h.inTerms() {
			and = append(and, "!"+quote(hasLexeme(h)))
		}
	}
	for _, p := range q.Excluded {
		if s := p.excluded(); s != "" {
			and = append(and, s)
		}
	}
	return strings.Join(and, " & ")
}

// Wants tells whether the TSQuery has something that must be there, which an
// index can look up. A query of exclusions alone has to be tried out.
func (q Query) Wants() bool {
	return len(q.Wanted) > 0 || slices.ContainsFunc(q.Has, Has.inTerms)
}

// Beside are those of the things that are not in the terms, by their names.
func Beside(has []Has) (out []string) {
	for _, h := range has {
		if !h.inTerms() {
			out = append(out, string(h))
		}
	}
	return out
}

// lexemes are what a phrase is in the index, with the position of each.
func (p Phrase) lexemes() (out []string) {
	last := len(p.tokens) - 1
	for i, t := range p.tokens {
		switch {
		case t.dense && i == last && t.joined:
			// The pair before ends with it.
		case t.dense && i == last:
			out = append(out, quote(t.text)+":*") // whatever follows it
		case i == last && p.prefix:
			out = append(out, quote(cutWord(t.text))+":*")
		default:
			out = append(out, quote(lexeme(p.tokens, i, t)))
		}
	}
	return out
}

// wanted has the phrase by its positions. By its lexemes alone it has it in what
// is crowded, and where a mention may stand for some of them.
func (p Phrase) wanted() string {
	l := p.lexemes()
	each, loose := slices.Clone(l), []string{quote(crowded)}
	for i, people := range p.people {
		if len(people) == 0 || i == len(each) { // the last character of a pair
			continue
		}
		named := make([]string, len(people))
		for j, id := range people {
			named[j] = quote(personLexeme(id))
		}
		each[i] = anyOf(append([]string{l[i]}, named...))
		loose = append(loose, named...)
	}
	if len(l) == 1 {
		return each[0]
	}
	slices.Sort(loose)
	return "(" + strings.Join(l, " <-> ") + " | " + anyOf(slices.Compact(loose)) + " & " + strings.Join(each, " & ") + ")"
}

func anyOf(or []string) string {
	if len(or) == 1 {
		return or[0]
	}
	return "(" + strings.Join(or, " | ") + ")"
}

// excluded is "" where the index is not exact enough to exclude by it.
func (p Phrase) excluded() string {
	for _, t := range p.tokens {
		if cutWord(t.text) != t.text || len(t.text) >= mostOfWord {
			return ""
		}
	}
	out := strings.Join(p.lexemes(), " <-> ")
	for _, id := range p.within {
		out += " | " + quote(personLexeme(id))
	}
	return "!(" + out + ")"
}

// Matches tells whether a message has all that is wanted of its words, and of
// what shows in it, and nothing that is excluded. It is exact where the index is
// not.
func (q Query) Matches(s Said) bool {
	for _, h := range q.Has {
		if h.inTerms() && !s.has(h) {
			return false
		}
	}
	for _, h := range q.HasNot {
		if h.inTerms() && s.has(h) {
			return false
		}
	}
	if len(q.Wanted) == 0 && len(q.Excluded) == 0 {
		return true
	}
	all := s.and(tokens(named(s.Text, s.Names)))
	for _, p := range q.Wanted {
		if !p.in(all) {
			return false
		}
	}
	for _, p := range q.Excluded {
		if p.in(all) {
			return false
		}
	}
	return true
}

// in tells whether the phrase stands in one of the texts.
func (p Phrase) in(all [][]token) bool {
	return slices.ContainsFunc(all, func(toks []token) bool { return p.find(toks, 0) >= 0 })
}

// find returns the first token at or after from at which the phrase stands, or
// -1.
func (p Phrase) find(toks []token, from int) int {
	for i := from; i+len(p.tokens) <= len(toks); i++ {
		if p.at(toks[i:]) {
			return i
		}
	}
	return -1
}

// at tells whether tokens begin with the phrase.
func (p Phrase) at(toks []token) bool {
	for i := range p.tokens {
		if !p.means(i, toks[i]) {
			return false
		}
	}
	return true
}

// means tells whether a token is what the phrase wants in this place.
func (p Phrase) means(i int, t token) bool {
	want := p.tokens[i]
	if i > 0 && want.joined != t.joined {
		return false
	}
	if p.prefix && i == len(p.tokens)-1 {
		return strings.HasPrefix(t.text, want.text)
	}
	return t.text == want.text
}
