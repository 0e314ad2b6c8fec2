// Package i18n is everything that Parlor says to people, in every language.
// The sentences stand in catalogue.go. Its invariant, kept by tests: each is
// there in every language, with the same arguments.
package i18n

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Lang is a language that Parlor speaks.
type Lang int

const (
	English Lang = iota
	Chinese      // simplified
)

// Langs are all of them.
var Langs = []Lang{English, Chinese}

// Tag is the language for HTML's lang (BCP 47).
func (l Lang) Tag() string {
	if l == Chinese {
		return "zh-Hans"
	}
	return "en"
}

// Code is the language's short name, in a cookie or a form.
func (l Lang) Code() string {
	if l == Chinese {
		return "zh"
	}
	return "en"
}

// In the order of Langs. Who reads traditional Chinese gets simplified, too:
// it is nearer than English (CLDR language matching).
var matcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// Match finds the language: the one chosen before, if the cookie holds its
// Code, or the best for the browser's Accept-Language (RFC 9110, 12.5.4).
// Whatever makes no sense is English.
func Match(cookie, acceptLanguage string) Lang {
	for _, l := range Langs {
		if cookie == l.Code() {
			return l
		}
	}
	if acceptLanguage == "" {
		return English
	}
	known.RLock()
	l, ok := known.langs[acceptLanguage]
	known.RUnlock()
	if ok {
		return l
	}
	if tags, _, err := language.ParseAcceptLanguage(acceptLanguage); err == nil {
		_, index, _ := matcher.Match(tags...)
		l = Langs[index]
	}
	known.Lock()
	defer known.Unlock()
	if len(known.langs) >= mostKnown || known.langs == nil {
		known.langs = make(map[string]Lang)
	}
	if len(acceptLanguage) <= longestKnown {
		known.langs[acceptLanguage] = l
	}
	return l
}

// known are languages by header. Browsers send few different ones, and to read
// one takes a good part of the time of a page from memory (5 of 40 µs).
var known struct {
	sync.RWMutex
	langs map[string]Lang
}

const (
	mostKnown    = 1000
	longestKnown = 100 // bytes
)

// Text is one sentence or label.
type Text struct {
	in [2]string // by Lang
}

// In is the text in a language. Its verbs are filled as by fmt.Sprintf;
// without arguments it comes as it is, for a page that fills them itself.
func (t Text) In(l Lang, args ...any) string {
	if len(args) == 0 {
		return t.in[l]
	}
	return fmt.Sprintf(t.in[l], args...)
}

// Plural is a sentence about a number of things.
type Plural struct {
	one, many Text
}

// In is the text for n things. Its first %d is n, its digits in groups; the
// other verbs are filled as by fmt.Sprintf.
func (p Plural) In(l Lang, n int64, args ...any) string {
	t := p.many
	if n == 1 {
		t = p.one
	}
	s := strings.Replace(t.in[l], "%d", grouped(n), 1)
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// grouped writes 1240 as 1,240, which both languages do.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// texts are all that were made, for the tests.
var texts []Text

func text(en, zh string) Text {
	t := Text{in: [2]string{English: en, Chinese: zh}}
	texts = append(texts, t)
	return t
}

// list makes what stands between the parts of a sentence; it may end with
// space.
func list(en, zh string) Text { return Text{in: [2]string{English: en, Chinese: zh}} }

// count makes a Plural; Chinese does not tell one from many.
func count(one, many, zh string) Plural {
	return Plural{one: text(one, zh), many: text(many, zh)}
}
