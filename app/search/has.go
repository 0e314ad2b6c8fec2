package search

import (
	"regexp"
	"strings"
)

var links = regexp.MustCompile(`(?i)\b(?:https?://[^\s<>]|www\.[0-9a-z-]+\.[0-9a-z])`)

// hasLink tells whether a text shows an address of the web, as package markup
// finds it; one of mail is none.
func hasLink(text string) bool { return links.MatchString(bounded(text)) }

var inlineCode = regexp.MustCompile("`[^`\n]+`")

// hasCode tells whether a text shows code: a fenced block or a piece in
// backquotes.
func hasCode(text string) bool {
	text = bounded(text)
	return strings.Contains(text, "```") || strings.Contains(text, "~~~") || inlineCode.MatchString(text)
}
