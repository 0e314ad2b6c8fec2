// Package emoji knows what an emoji is (UTS 51), and the short names that
// people write for them between colons, in English, and for the well-known
// ones in Chinese. It knows nothing of messages.
//
// The list in shortcodes.txt is data of github.com/github/gemoji (MIT), as
// github.com/yuin/goldmark-emoji v1.0.6 (MIT) has it: a line per emoji, fully
// qualified, with its names. Its invariant: every one of them is Valid, and
// no name belongs to two.
package emoji

import (
	"cmp"
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Emoji is one emoji with the first of its names.
type Emoji struct {
	Code    string // the name, without colons
	Text    string
	Chinese string // its name in Chinese, or ""
}

// MostCode is at least as many bytes as the longest name has.
const MostCode = 40

// Characters that are emoji by themselves (Emoji_Presentation), and those
// that are emoji only before U+FE0F. Where new emoji are added every year the
// whole block counts, so that next year's work too.
const (
	picture = `\x{231A}\x{231B}\x{23E9}-\x{23EC}\x{23F0}\x{23F3}\x{25FD}\x{25FE}\x{2614}\x{2615}\x{2648}-\x{2653}\x{267F}` +
		`\x{2693}\x{26A1}\x{26AA}\x{26AB}\x{26BD}\x{26BE}\x{26C4}\x{26C5}\x{26CE}\x{26D4}\x{26EA}\x{26F2}\x{26F3}\x{26F5}\x{26FA}\x{26FD}` +
		`\x{2705}\x{270A}\x{270B}\x{2728}\x{274C}\x{274E}\x{2753}-\x{2755}\x{2757}\x{2795}-\x{2797}\x{27B0}\x{27BF}\x{2B1B}\x{2B1C}\x{2B50}\x{2B55}` +
		`\x{1F004}\x{1F0CF}\x{1F18E}\x{1F191}-\x{1F19A}\x{1F201}\x{1F21A}\x{1F22F}\x{1F232}-\x{1F236}\x{1F238}-\x{1F23A}\x{1F250}\x{1F251}` +
		`\x{1F300}-\x{1F320}\x{1F32D}-\x{1F335}\x{1F337}-\x{1F37C}\x{1F37E}-\x{1F393}\x{1F3A0}-\x{1F3CA}\x{1F3CF}-\x{1F3D3}\x{1F3E0}-\x{1F3F0}` +
		`\x{1F3F4}\x{1F3F8}-\x{1F3FA}\x{1F400}-\x{1F43E}\x{1F440}\x{1F442}-\x{1F4FC}\x{1F4FF}-\x{1F53D}\x{1F54B}-\x{1F54E}\x{1F550}-\x{1F567}\x{1F57A}` +
		`\x{1F595}\x{1F596}\x{1F5A4}\x{1F5FB}-\x{1F64F}\x{1F680}-\x{1F6C5}\x{1F6CC}\x{1F6D0}-\x{1F6D2}\x{1F6D5}-\x{1F6DF}\x{1F6EB}\x{1F6EC}` +
		`\x{1F6F4}-\x{1F6FF}\x{1F7E0}-\x{1F7EB}\x{1F7F0}\x{1F90C}-\x{1F93A}\x{1F93C}-\x{1F945}\x{1F947}-\x{1F9FF}\x{1FA70}-\x{1FAFF}`
	sign = `\x{A9}\x{AE}\x{203C}\x{2049}\x{2122}\x{2139}\x{2194}-\x{2199}\x{21A9}\x{21AA}\x{2328}\x{23CF}\x{23ED}-\x{23EF}\x{23F1}\x{23F2}\x{23F8}-\x{23FA}` +
		`\x{24C2}\x{25AA}\x{25AB}\x{25B6}\x{25C0}\x{25FB}\x{25FC}\x{2600}-\x{2604}\x{260E}\x{2611}\x{2618}\x{261D}\x{2620}\x{2622}\x{2623}\x{2626}\x{262A}` +
		`\x{262E}\x{262F}\x{2638}-\x{263A}\x{2640}\x{2642}\x{265F}\x{2660}\x{2663}\x{2665}\x{2666}\x{2668}\x{267B}\x{267E}\x{2692}\x{2694}-\x{2697}` +
		`\x{2699}\x{269B}\x{269C}\x{26A0}\x{26A7}\x{26B0}\x{26B1}\x{26C8}\x{26CF}\x{26D1}\x{26D3}\x{26E9}\x{26F0}\x{26F1}\x{26F4}\x{26F7}-\x{26F9}` +
		`\x{2702}\x{2708}\x{2709}\x{270C}\x{270D}\x{270F}\x{2712}\x{2714}\x{2716}\x{271D}\x{2721}\x{2733}\x{2734}\x{2744}\x{2747}\x{2763}\x{2764}\x{27A1}` +
		`\x{2934}\x{2935}\x{2B05}-\x{2B07}\x{3030}\x{303D}\x{3297}\x{3299}\x{1F170}\x{1F171}\x{1F17E}\x{1F17F}\x{1F202}\x{1F237}` +
		`\x{1F321}\x{1F324}-\x{1F32C}\x{1F336}\x{1F37D}\x{1F396}\x{1F397}\x{1F399}-\x{1F39B}\x{1F39E}\x{1F39F}\x{1F3CB}-\x{1F3CE}\x{1F3D4}-\x{1F3DF}` +
		`\x{1F3F3}\x{1F3F5}\x{1F3F7}\x{1F43F}\x{1F441}\x{1F4FD}\x{1F549}\x{1F54A}\x{1F56F}\x{1F570}\x{1F573}-\x{1F579}\x{1F587}\x{1F58A}-\x{1F58D}\x{1F590}` +
		`\x{1F5A5}\x{1F5A8}\x{1F5B1}\x{1F5B2}\x{1F5BC}\x{1F5C2}-\x{1F5C4}\x{1F5D1}-\x{1F5D3}\x{1F5DC}-\x{1F5DE}\x{1F5E1}\x{1F5E3}\x{1F5E8}\x{1F5EF}` +
		`\x{1F5F3}\x{1F5FA}\x{1F6CB}\x{1F6CD}-\x{1F6CF}\x{1F6E0}-\x{1F6E5}\x{1F6E9}\x{1F6F0}\x{1F6F3}`
	// body is what has a skin (Emoji_Modifier_Base), tone its colour.
	body = `\x{261D}\x{26F9}\x{270A}-\x{270D}\x{1F385}\x{1F3C2}-\x{1F3C4}\x{1F3C7}\x{1F3CA}-\x{1F3CC}\x{1F442}\x{1F443}\x{1F446}-\x{1F450}` +
		`\x{1F466}-\x{1F478}\x{1F47C}\x{1F481}-\x{1F483}\x{1F485}-\x{1F487}\x{1F48F}\x{1F491}\x{1F4AA}\x{1F574}\x{1F575}\x{1F57A}\x{1F590}\x{1F595}\x{1F596}` +
		`\x{1F645}-\x{1F647}\x{1F64B}-\x{1F64F}\x{1F6A3}\x{1F6B4}-\x{1F6B6}\x{1F6C0}\x{1F6CC}\x{1F90C}\x{1F90F}\x{1F918}-\x{1F91F}\x{1F926}` +
		`\x{1F930}-\x{1F939}\x{1F93C}-\x{1F93E}\x{1F977}\x{1F9B5}\x{1F9B6}\x{1F9B8}\x{1F9B9}\x{1F9BB}\x{1F9CD}-\x{1F9CF}\x{1F9D1}-\x{1F9DD}` +
		`\x{1FAC3}-\x{1FAC5}\x{1FAF0}-\x{1FAF8}`
	tone = `[\x{1F3FB}-\x{1F3FF}]`
	// Of tag sequences only the three flags in use are known: England,
	// Scotland, Wales.
	nation = `\x{1F3F4}\x{E0067}\x{E0062}(?:\x{E0065}\x{E006E}\x{E0067}|\x{E0073}\x{E0063}\x{E0074}|\x{E0077}\x{E006C}\x{E0073})\x{E007F}`
	flag   = `[\x{1F1E6}-\x{1F1FF}]{2}|` + nation

	strictOne = `(?:[` + body + `]` + tone + `|[` + sign + `]\x{FE0F}|[` + picture + `])`
	strict    = `(?:[0-9#*]\x{FE0F}\x{20E3}|` + flag + `|` + strictOne + `(?:\x{200D}` + strictOne + `){0,4})`

	anyOne = `(?:[0-9#*]\x{FE0F}?\x{20E3}|` + flag + `|[` + picture + sign + `\x{1F3FB}-\x{1F3FF}](?:` + tone + `|[\x{FE0E}\x{FE0F}])?)`
)

// Sequence is the source of a regular expression for what a reader takes for
// one emoji, however it was written: also without the selector that asks for
// a picture, or with the one that asks for none.
const Sequence = anyOne + `(?:\x{200D}` + anyOne + `)*`

var (
	one  = regexp.MustCompile(`^` + strict + `$`)
	each = regexp.MustCompile(strict)
)

// Valid tells whether s is one emoji as UTS 51 writes it fully qualified, so
// that one emoji has one spelling: a picture, one with a skin tone, a flag, a
// keycap, or several joined.
func Valid(s string) bool {
	if len(s) > 64 || !one.MatchString(s) {
		return false
	}
	if first := []rune(s)[0]; 0x1F1E6 <= first && first <= 0x1F1FF {
		return list().flags[s]
	}
	return true
}

// Only counts the emoji of a text that has nothing but emoji and white space
// between them; ok is false for another text, or one without emoji.
func Only(s string) (n int, ok bool) {
	rest := each.ReplaceAllStringFunc(s, func(string) string { n++; return "" })
	if n == 0 || strings.TrimSpace(rest) != "" {
		return 0, false
	}
	return n, true
}

// Lookup finds the emoji with a name: "smile", without colons.
func Lookup(code string) (string, bool) {
	e := list().byCode[code]
	if e == nil {
		return "", false
	}
	return e.Text, true
}

// Find lists at most so many emoji whose names match what somebody began to
// type: those with that name first, then those with a name that begins so,
// then those with a name that holds it, and among these the well-known ones
// first. With "" it lists the well-known ones.
func Find(typed string, most int) []Emoji {
	typed = strings.ToLower(typed)
	type match struct {
		Emoji
		how, place int
	}
	var found []match
	for _, e := range list().all {
		how, code := noMatch, ""
		for _, name := range e.names {
			if m := matches(name, typed); m < how {
				how, code = m, name
			}
		}
		for _, name := range e.chinese {
			if m := matches(name, typed); m < how {
				how, code = m, e.Code
			}
		}
		if how == noMatch {
			continue
		}
		m := match{Emoji: e.Emoji, how: how, place: e.place}
		m.Code = code
		found = append(found, m)
	}
	slices.SortStableFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.how, b.how), cmp.Compare(a.place, b.place))
	})
	out := make([]Emoji, min(most, len(found)))
	for i := range out {
		out[i] = found[i].Emoji
	}
	return out
}

// How a name matches, the best first.
const (
	same = iota
	begins
	wordBegins
	holds
	noMatch
)

func matches(name, typed string) int {
	at := strings.Index(name, typed)
	switch {
	case at < 0:
		return noMatch
	case name == typed:
		return same
	case at == 0:
		return begins
	case strings.Contains(name, "_"+typed):
		return wordBegins
	}
	return holds
}

type entry struct {
	Emoji
	names   []string
	chinese []string
	place   int // among all, the well-known ones first
}

type catalogue struct {
	all    []*entry
	byCode map[string]*entry
	flags  map[string]bool
}

//go:embed shortcodes.txt
var shortcodes string

var list = sync.OnceValue(func() *catalogue {
	c := &catalogue{byCode: map[string]*entry{}, flags: map[string]bool{}}
	for line := range strings.Lines(shortcodes) {
		names := strings.Fields(line)
		e := &entry{Emoji: Emoji{Text: names[0], Code: names[1]}, names: names[1:], place: len(wellKnown) + len(c.all)}
		c.all = append(c.all, e)
		for _, name := range e.names {
			c.byCode[name] = e
		}
		if strings.HasPrefix(e.Text, "\U0001F1E6") || len([]rune(e.Text)) == 2 && []rune(e.Text)[0] >= 0x1F1E6 && []rune(e.Text)[0] <= 0x1F1FF {
			c.flags[e.Text] = true
		}
	}
	for i, known := range wellKnown {
		e := c.byCode[known.code]
		if e == nil {
			panic("emoji: no " + known.code)
		}
		e.place = i
		e.chinese = strings.Fields(known.chinese)
		e.Code = known.code
		e.Chinese = e.chinese[0]
	}
	return c
})
