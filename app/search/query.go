package search

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a query. What is beyond them is not looked for.
const (
	MostQuery   = 500 // bytes, about
	mostPhrases = 16
	mostTokens  = 64
	mostFilters = 16
)

// Has is something besides words that a message can have.
type Has string

const (
	HasLink    Has = "link"
	HasCode    Has = "code"
	HasFile    Has = "file"
	HasImage   Has = "image"
	HasMention Has = "mention"
	HasReply   Has = "reply"

	HasReaction Has = "reaction"
	HasPin      Has = "pin"
)

// shown are those that what is said shows, so that Terms has them. The others
// come later, and the database knows them.
var shown = []Has{HasLink, HasCode, HasFile, HasImage, HasMention, HasReply}

func (h Has) inTerms() bool { return slices.Contains(shown, h) }

// Query is what somebody looks for: messages that have all wanted phrases and
// none of the excluded, and that pass each kind of filter.
type Query struct {
	Wanted   []Phrase
	Excluded []Phrase
	From     []string // nicknames, any of them, as typed; Me for oneself
	In       []string // rooms by slug or name, any of them, as typed
	Has      []Has    // all of them
	// The same with a minus in front: none of them.
	NotFrom, NotIn []string
	HasNot         []Has
	// The time is at or after After and before Before; zero: whenever.
	After, Before time.Time
}

// Me stands in From for the person who asks.
const Me = "me"

// Phrase is a sequence of words; mostly it is one.
type Phrase struct {
	typed  string
	tokens []token
	// people are, for each token, those whose nickname may have it in a place
	// where the phrase stands; nil: nobody's. within are those whose nickname has
	// the whole phrase (Query.Call).
	people [][]int64
	within []int64
	// prefix: words that begin with the last one are meant, too. That takes the
	// place of stemming: it knows no language, it finds deployed and deploys for
	// deploy, and who does not want it writes quotes.
	prefix bool
}

// prefixFrom is the least letters of a word that stands for its longer ones.
const prefixFrom = 3

// Empty tells whether nothing is looked for.
func (q Query) Empty() bool {
	return len(q.Wanted)+len(q.Excluded)+len(q.From)+len(q.In)+len(q.Has)+len(q.NotFrom)+len(q.NotIn)+len(q.HasNot) == 0 &&
		q.After.IsZero() && q.Before.IsZero()
}

// Parse reads what was typed into a search field:
//
//	deploy               a word, or the beginning of one
//	"exactly this"       words that follow one another
//	-word -"a phrase"    without it, also -from: -in: -has:
//	from:name in:room has:link before:2026-11-03 after:2026-11 on:today
//
// A value with spaces takes quotes. Colon, minus and quotes may be full-width,
// the names of filters Chinese, and dates are days, months or years in the time
// zone of now. Everything is a query: what can't be read as a filter is text.
func Parse(typed string, now time.Time) Query {
	var q Query
	words, filters := 0, 0
	for rest := bound(typed, MostQuery); ; {
		part, more := nextPart(&rest)
		if !more {
			return q
		}
		if part.key != "" && filters < mostFilters && q.filter(part, now) {
			filters++
			continue
		}
		p := Phrase{typed: part.text(), tokens: tokens(part.text())}
		room := mostTokens - words
		if len(p.tokens) == 0 || room == 0 || len(q.Wanted)+len(q.Excluded) == mostPhrases {
			continue
		}
		p.tokens = p.tokens[:min(len(p.tokens), room)]
		words += len(p.tokens)
		p.tokens[0].joined = false
		if part.excluded {
			q.Excluded = append(q.Excluded, p)
			continue
		}
		p.prefix = !part.quoted && len(p.tokens) > 0 && beginsMore(p.tokens[len(p.tokens)-1])
		q.Wanted = append(q.Wanted, p)
	}
}

// beginsMore tells whether a word may stand for longer ones: one of enough
// letters, no number.
func beginsMore(t token) bool {
	return !t.dense && utf8.RuneCountInString(t.text) >= prefixFrom && strings.IndexFunc(t.text, unicode.IsLetter) >= 0
}

// bound cuts at so many bytes, before a character.
func bound(s string, most int) string {
	s = strings.ToValidUTF8(s, " ")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// part is a piece of a query between spaces.
type part struct {
	key      string // lower case, "" for text
	value    string
	excluded bool
	quoted   bool
}

// text is the part as text.
func (p part) text() string {
	if p.key != "" {
		return p.key + " " + p.value
	}
	return p.value
}

const (
	openQuotes  = "\"“”„«「『＂"
	closeQuotes = "\"”“»」』＂"
)

// nextPart takes the next part off the rest.
func nextPart(rest *string) (p part, more bool) {
	s := strings.TrimLeftFunc(*rest, unicode.IsSpace)
	if s == "" {
		return p, false
	}
	r, n := utf8.DecodeRuneInString(s)
	if (r == '-' || r == '－' || r == '−') && len(s) > n {
		if next, _ := utf8.DecodeRuneInString(s[n:]); !unicode.IsSpace(next) && next != r {
			p.excluded, s = true, s[n:]
		}
	}
	if value, after, ok := cutQuoted(s); ok {
		p.value, p.quoted, *rest = value, true, after
		return p, true
	}
	// Up to a space, or to a quote that begins a filter's value.
	end := strings.IndexFunc(s, unicode.IsSpace)
	if end < 0 {
		end = len(s)
	}
	if key, value, found := cutColon(s[:end]); found && filterKeys[strings.ToLower(key)] != "" {
		p.key = strings.ToLower(key)
		if quoted, after, ok := cutQuoted(s[end-len(value):]); ok {
			p.value, *rest = quoted, after
			return p, true
		}
		p.value, *rest = value, s[end:]
		return p, true
	}
	p.value, *rest = s[:end], s[end:]
	return p, true
}

// cutColon parts a filter's name from its value.
func cutColon(s string) (key, value string, found bool) {
	i := strings.IndexAny(s, ":：")
	if i <= 0 {
		return s, "", false
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return s[:i], s[i+n:], true
}

// cutQuoted takes a quoted piece off the beginning. One that is never closed
// reaches to the end, as it does while one types.
func cutQuoted(s string) (inside, rest string, ok bool) {
	r, n := utf8.DecodeRuneInString(s)
	if !strings.ContainsRune(openQuotes, r) || r == utf8.RuneError {
		return "", s, false
	}
	s = s[n:]
	end := strings.IndexAny(s, closeQuotes)
	if end < 0 {
		return s, "", true
	}
	_, n = utf8.DecodeRuneInString(s[end:])
	return s[:end], s[end+n:], true
}

// filterKeys are the names of filters.
var filterKeys = map[string]string{
	"from": "from", "来自": "from", "作者": "from",
	"in": "in", "房间": "in", "在": "in",
	"has": "has", "含": "has", "包含": "has",
	"before": "before", "之前": "before",
	"after": "after", "之后": "after", "since": "after",
	"on": "on", "日期": "on",
}

var hasNames = map[string]Has{
	"link": HasLink, "links": HasLink, "url": HasLink, "链接": HasLink,
	"code": HasCode, "代码": HasCode,
	"mention": HasMention, "mentions": HasMention, "提及": HasMention,
	"file": HasFile, "files": HasFile, "文件": HasFile,
	"image": HasImage, "images": HasImage, "picture": HasImage, "图片": HasImage,
	"reply": HasReply, "回复": HasReply,
	"reaction": HasReaction, "reactions": HasReaction, "回应": HasReaction,
	"pin": HasPin, "pinned": HasPin, "置顶": HasPin,
}

// filter takes a filter into the query; false: it is none.
func (q *Query) filter(p part, now time.Time) bool {
	value, key := strings.TrimSpace(p.value), filterKeys[p.key]
	from, in, has := &q.From, &q.In, &q.Has
	if p.excluded {
		from, in, has = &q.NotFrom, &q.NotIn, &q.HasNot
	}
	switch key {
	case "from":
		name := strings.TrimLeft(value, "@＠")
		if folded := strings.ToLower(name); folded == Me || folded == "我" {
			name = Me
		}
		return addName(from, name)
	case "in":
		return addName(in, strings.TrimLeft(value, "#＃"))
	case "has":
		h, known := hasNames[strings.ToLower(value)]
		if known && !slices.Contains(*has, h) {
			*has = append(*has, h)
		}
		return known
	}
	begins, ends, ok := Days(value, now)
	if !ok || p.excluded {
		return false
	}
	switch key {
	case "before":
		q.notAfter(begins)
	case "after":
		q.notBefore(begins)
	default:
		q.notBefore(begins)
		q.notAfter(ends)
	}
	return true
}

func addName(to *[]string, name string) bool {
	if name == "" {
		return false
	}
	if !slices.Contains(*to, name) {
		*to = append(*to, name)
	}
	return true
}

func (q *Query) notBefore(t time.Time) {
	if q.After.IsZero() || t.After(q.After) {
		q.After = t
	}
}

func (q *Query) notAfter(t time.Time) {
	if q.Before.IsZero() || t.Before(q.Before) {
		q.Before = t
	}
}

// Days reads a day, month or year (2026-11-03, 2026-11, 2026, also with /, .
// or 年月日 between), today or yesterday, and returns where it begins and ends
// in the time zone of now.
func Days(text string, now time.Time) (from, to time.Time, ok bool) {
	year, month, day := now.Date()
	switch strings.ToLower(text) {
	case "today", "今天":
		return date(now, year, month, day), date(now, year, month, day+1), true
	case "yesterday", "昨天":
		return date(now, year, month, day-1), date(now, year, month, day), true
	}
	text = strings.TrimRight(text, "年月日号")
	var n [3]int
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("-/.年月", r) })
	if len(fields) == 0 || len(fields) > 3 || len(text) > 20 {
		return from, to, false
	}
	for i, f := range fields {
		for _, r := range f {
			if r < '0' || r > '9' || len(f) > 4 {
				return from, to, false
			}
			n[i] = 10*n[i] + int(r-'0')
		}
	}
	switch {
	case n[0] < 1000 || n[0] > 9000:
		return from, to, false
	case len(fields) == 1:
		return date(now, n[0], 1, 1), date(now, n[0]+1, 1, 1), true
	case n[1] < 1 || n[1] > 12:
		return from, to, false
	case len(fields) == 2:
		return date(now, n[0], time.Month(n[1]), 1), date(now, n[0], time.Month(n[1])+1, 1), true
	case n[2] < 1 || n[2] > 31 || time.Date(n[0], time.Month(n[1]), n[2], 12, 0, 0, 0, time.UTC).Day() != n[2]:
		return from, to, false
	}
	return date(now, n[0], time.Month(n[1]), n[2]), date(now, n[0], time.Month(n[1]), n[2]+1), true
}

// date is when a day begins. Where clocks change at midnight that is later, or
// the first of two midnights.
func date(now time.Time, year int, month time.Month, day int) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, now.Location())
	if t.Hour() > 12 { // there is no midnight: it is 23:00 for 1:00
		return t.Add(time.Hour)
	}
	if before := t.Add(-time.Hour); before.Day() == t.Day() {
		return before
	}
	return t
}
