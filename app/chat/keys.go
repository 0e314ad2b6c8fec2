package chat

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-pinyin"
	"golang.org/x/text/unicode/norm"
)

// mostKeys bounds Keys, mostStarts the places in a nickname at which one may
// begin to type it, mostReadings the ways in which a run of Han is read.
const (
	mostKeys     = 32
	mostStarts   = 8
	mostReadings = 4
)

// Keys are what one may begin to type to find the nickname, in the form of
// KeyOf, the likelier ones first: the nickname, any word in it, any rest of a
// Chinese one, and these in pinyin, written out or as initials. So 张三 is
// found by 张, 三, zhang, zhangsan, zs and san, and Zoë Bell by zoe, bell, zb.
func (n Nickname) Keys() []string { return KeysOf(n.Shown) }

// KeysOf are the Keys of a nickname as it is shown. There is at least one, and
// not more than 32.
func KeysOf(nickname string) []string {
	text := []rune(KeyOf(nickname))
	keys := []string{string(text)}
	add := func(key string) {
		if key != "" && len(keys) < mostKeys && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	starts := 0
	for i, r := range text {
		begins := isHan(r) || isWord(r) && (i == 0 || !isWord(text[i-1]) || isHan(text[i-1]))
		if !begins {
			continue
		}
		if starts++; starts > mostStarts {
			break
		}
		add(string(text[i:]))
		for _, read := range readings(text[i:]) {
			add(read.full)
			if read.units > 1 {
				add(read.initials)
			}
		}
	}
	return keys
}

// KeyOf is what was typed in the form of Keys: folded as nicknames are, and
// without the marks on Latin, Greek and Cyrillic letters.
func KeyOf(typed string) string {
	var b strings.Builder
	base := rune(0)
	for _, r := range norm.NFD.String(fold(typed)) {
		if unicode.Is(unicode.Mn, r) && unicode.In(base, unicode.Latin, unicode.Greek, unicode.Cyrillic) {
			continue
		}
		base = r
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String())
}

// FoldName is what Nickname.Folded would be, of a text that need not be a
// nickname.
func FoldName(s string) string { return fold(s) }

// reading is one way to write a text in pinyin; its units are syllables and
// words.
type reading struct {
	full, initials string
	units          int
}

// readings writes Han in pinyin without tones (ü is v) and leaves other words
// as they are, without what stands between. Where a character is read in
// several ways there are several.
func readings(text []rune) []reading {
	all := []reading{{}}
	for i := 0; i < len(text); {
		var ways []string
		if isHan(text[i]) {
			ways = syllables(text[i])
			i++
		} else if isWord(text[i]) {
			end := i
			for end < len(text) && isWord(text[end]) && !isHan(text[end]) {
				end++
			}
			ways, i = []string{string(text[i:end])}, end
		} else {
			i++
			continue
		}
		var next []reading
		for _, before := range all {
			for _, way := range ways {
				if len(next) < mostReadings {
					first, _ := utf8.DecodeRuneInString(way)
					next = append(next, reading{before.full + way, before.initials + string(first), before.units + 1})
				}
			}
		}
		all = next
	}
	return all
}

var everyReading = pinyin.Args{Style: pinyin.Normal, Heteronym: true}

// syllables are the ways in which one character is read, the usual one first,
// or the character itself.
func syllables(han rune) (ways []string) {
	for _, way := range pinyin.SinglePinyin(han, everyReading) {
		if !slices.Contains(ways, way) { // they differ in tone
			ways = append(ways, way)
		}
	}
	if ways == nil {
		ways = []string{string(han)}
	}
	return ways
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

// isWord tells whether words are made of the character.
func isWord(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.M) }
