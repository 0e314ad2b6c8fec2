package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Part is a piece of a snippet. A hit is what was looked for.
type Part struct {
	Text string `json:"text"`
	Hit  bool   `json:"hit,omitempty"`
}

// How much of a text a snippet shows, in characters.
const (
	snippetLength = 240
	snippetBefore = 60 // in front of the first hit
)

const ellipsis = "…"

// Snippet is the piece around the first hit of the first of the texts that has
// one, on one line, with all hits in it marked. Without a hit it is the beginning
// of the first text that there is. It never cuts through a character and what
// belongs to it, nor through a word that is not very long.
func Snippet(q Query, texts ...string) []Part {
	for _, text := range texts {
		text = bounded(text)
		toks := tokens(text)
		if hits := q.hits(toks); len(hits) > 0 {
			return snippet(text, toks, hits)
		}
	}
	for _, text := range texts {
		if text = bounded(text); strings.TrimSpace(text) != "" {
			return snippet(text, tokens(text), nil)
		}
	}
	return nil
}

func snippet(text string, toks []token, hits []span) []Part {
	first := 0
	if len(hits) > 0 {
		first = hits[0].from
	}
	from, to := window(text, toks, first)
	var out []Part
	if from > 0 {
		out = append(out, Part{Text: ellipsis})
	}
	at := from
	for _, h := range hits {
		if h.from >= to {
			break
		}
		if h.to <= from || h.to <= at {
			continue
		}
		out = appendPart(out, text[at:max(at, h.from)], false)
		out = appendPart(out, text[max(at, h.from):min(h.to, to)], true)
		at = min(h.to, to)
	}
	out = appendPart(out, text[at:to], false)
	if to < len(text) {
		out = appendPart(out, ellipsis, false)
	}
	return out
}

// span is a piece of a text, in bytes.
type span struct{ from, to int }

// hits are where the wanted phrases stand, in order and without overlaps.
func (q Query) hits(toks []token) []span {
	var found []span
	for _, p := range q.Wanted {
		for i := p.find(toks, 0); i >= 0; i = p.find(toks, i+1) {
			found = append(found, span{toks[i].start, toks[i+len(p.tokens)-1].end})
		}
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	merged := found[:0]
	for _, h := range found {
		if n := len(merged); n > 0 && h.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, h.to)
			continue
		}
		merged = append(merged, h)
	}
	return merged
}

// window is what of the text is shown when the byte at first must be.
func window(text string, toks []token, first int) (from, to int) {
	from = back(text, first, snippetBefore)
	if from > 0 {
		// Not inside a word, where one ends near.
		for _, t := range toks {
			if t.start >= from {
				if t.start <= first {
					from = t.start
				}
				break
			}
		}
	}
	from = whole(text, from)
	to = from
	for n := 0; n < snippetLength && to < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[to:])
		to += size
	}
	if to < len(text) {
		end := to
		for i := len(toks) - 1; i >= 0; i-- {
			if toks[i].end <= to {
				end = toks[i].end
				break
			}
		}
		if end > first && to-end < snippetBefore*utf8.UTFMax {
			to = end
		}
		to = whole(text, to)
	}
	return from, to
}

// back goes n characters back from a place.
func back(text string, at, n int) int {
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return at
}

// whole moves a place back to where a character begins that does not belong to
// the one before: no mark, no part of a joined emoji or of a flag.
func whole(text string, at int) int {
	for at > 0 && at < len(text) {
		r, _ := utf8.DecodeRuneInString(text[at:])
		before, size := utf8.DecodeLastRuneInString(text[:at])
		if !clings(r) && before != zeroWidthJoiner && !(isFlag(r) && flagsBefore(text[:at])%2 == 1) {
			break
		}
		at -= size
	}
	return at
}

const zeroWidthJoiner = 0x200d

func clings(r rune) bool {
	return r == zeroWidthJoiner || unicode.IsMark(r) || r >= 0x1f3fb && r <= 0x1f3ff
}

// flagsBefore counts the halves of flags at the end: two of them make one.
func flagsBefore(text string) (n int) {
	for r, size := utf8.DecodeLastRuneInString(text); isFlag(r); r, size = utf8.DecodeLastRuneInString(text) {
		text = text[:len(text)-size]
		n++
	}
	return n
}

func isFlag(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

// appendPart puts text on one line and joins equal neighbours.
func appendPart(out []Part, text string, hit bool) []Part {
	text = oneLine(text)
	if text == "" {
		return out
	}
	if n := len(out); n > 0 && out[n-1].Hit == hit {
		out[n-1].Text += text
		return out
	}
	return append(out, Part{Text: text, Hit: hit})
}

// oneLine makes one space of each run of white space.
func oneLine(text string) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}
