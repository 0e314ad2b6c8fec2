package markup

import (
	"regexp"

	"github.com/microcosm-cc/bluemonday"
)

// policy is the second fence: writer writes nothing else, and should it ever,
// this takes it away. In particular there are no data-* attributes (in our
// pages they are code), no style, no id, and no class but these.
var policy = func() *bluemonday.Policy {
	exactly := func(s string) *regexp.Regexp { return regexp.MustCompile("^(?:" + s + ")$") }
	p := bluemonday.NewPolicy()
	p.AllowElements("br", "strong", "em", "del", "pre", "code", "blockquote", "ul", "ol", "li", "hr",
		"h3", "h4", "h5", "table", "thead", "tbody", "tr", "th", "td", "p")
	p.AllowElements("a", "span", "div", "input")
	p.AllowNoAttrs().OnElements("label")
	p.AllowAttrs("class").Matching(exactly("source|big-emoji")).OnElements("p")
	p.AllowAttrs("class").Matching(exactly("kw|ty|fn|st|nu|co|at|in|de")).OnElements("span")
	p.AllowAttrs("class").Matching(exactly("table")).OnElements("div")
	p.AllowAttrs("tabindex").Matching(exactly("0")).OnElements("div")
	p.AllowAttrs("class").Matching(exactly("center|end")).OnElements("th", "td")
	p.AllowAttrs("class").Matching(exactly("task")).OnElements("li")
	p.AllowAttrs("start").Matching(exactly("[0-9]{1,9}")).OnElements("ol")
	p.AllowAttrs("type").Matching(exactly("checkbox")).OnElements("input")
	p.AllowAttrs("checked", "disabled").Matching(exactly("")).OnElements("input")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("rel").Matching(exactly("noopener noreferrer nofollow")).OnElements("a")
	p.AllowAttrs("target").Matching(exactly("_blank")).OnElements("a")
	p.RequireParseableURLs(true)
	p.AllowURLSchemes("http", "https", "mailto")
	return p
}()
