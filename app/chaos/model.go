package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// model is what a room's page shows of the room: what is left of the browser's
// document when everything but the log is taken away. Patches do to it what
// the Datastar client does to the document.
type model struct {
	tail   bool // #log has the class "tail": it shows the newest end
	log    []shown
	seen   []sight
	pages  int
	errors []string // patches that this model does not understand
}

// mostShown is how many messages a page holds (static/log.js).
const mostShown = 300

// article is a message in a piece of HTML.
type article struct {
	shown
	author string
}

var (
	tailSelector    = regexp.MustCompile(`^#log(?:\.tail|:is\(\.tail, \.of-\d+\))(:not\(:has\(> #m-(\d+)\)\))?$`)
	nameSelector    = regexp.MustCompile(`^\[data-name="(\d+)"\]$`)
	quoteSelector   = regexp.MustCompile(`^\[data-quote="(\d+)"\]$`)
	sealSelector    = regexp.MustCompile(`^:is\(#log, #dialogs\) \[data-author="\d+"\] > \.seal$`) // not checked
	messageSelector = regexp.MustCompile(`^#m-\d+$`)
)

// load takes a whole page.
func (m *model) load(page string) error {
	log, articles, err := parse(page)
	if err != nil {
		return err
	}
	if log == nil {
		return fmt.Errorf("no #log in a page of %d bytes", len(page))
	}
	m.whole(log, articles)
	return nil
}

// whole shows the log afresh.
func (m *model) whole(log *html.Node, articles []article) {
	m.tail = hasClass(log, "tail")
	m.log = m.log[:0]
	for _, a := range articles {
		m.log = append(m.log, a.shown)
		m.seen = append(m.seen, sight{Seq: a.Seq, Page: m.pages, Whole: true})
	}
	m.pages++
}

// patch applies a datastar-patch-elements event.
func (m *model) patch(selector, mode, elements string) {
	switch {
	case mode == "append" && tailSelector.MatchString(selector):
		if !m.tail {
			return
		}
		if not := tailSelector.FindStringSubmatch(selector)[2]; not != "" {
			if seq, _ := strconv.ParseInt(not, 10, 64); m.find(seq) >= 0 {
				return
			}
		}
		for _, a := range m.articles(elements) {
			m.log = append(m.log, a.shown)
			m.seen = append(m.seen, sight{Seq: a.Seq, Page: m.pages})
		}
		m.log = m.log[max(0, len(m.log)-mostShown):]
	case (mode == "" || mode == "outer") && (selector == "" || messageSelector.MatchString(selector)):
		for _, a := range m.articles(elements) {
			for i := range m.log { // a doubled id is patched in the first place only
				if m.log[i].Seq == a.Seq {
					m.log[i] = a.shown
					break
				}
			}
		}
	case mode == "replace" && (selector == "#history" || strings.HasSuffix(selector, "#history:has(> #log.tail)")):
		if selector != "#history" && !m.tail {
			return
		}
		if log, articles, err := parse(elements); err == nil && log != nil {
			m.whole(log, articles)
			return
		}
		m.complain("no log in what replaces %s", selector)
	case mode == "inner" && nameSelector.MatchString(selector):
		person := nameSelector.FindStringSubmatch(selector)[1]
		for i := range m.log {
			if m.log[i].author == person {
				m.log[i].Nickname = tidy(html.UnescapeString(elements))
			}
			m.fill(m.log[i].said, "data-name", person, elements)
		}
	case mode == "inner" && quoteSelector.MatchString(selector):
		for i := range m.log {
			m.fill(m.log[i].said, "data-quote", quoteSelector.FindStringSubmatch(selector)[1], elements)
		}
	case mode == "inner" && sealSelector.MatchString(selector):
	case selector != "" && !strings.Contains(selector, "#log") && !strings.Contains(selector, "#history") && !strings.Contains(elements, `id="m-`):
		// Some other part of the page.
	default:
		m.complain("a patch of %q with mode %q", selector, mode)
	}
}

// fill puts HTML into the elements in which an attribute has the value.
func (m *model) fill(root *html.Node, name, value, inner string) {
	if root == nil {
		return
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || attr(n, name) != value {
			continue
		}
		nodes, err := html.ParseFragment(strings.NewReader(inner), n)
		if err != nil {
			m.complain("HTML that can't be read: %v", err)
			return
		}
		for n.FirstChild != nil {
			n.RemoveChild(n.FirstChild)
		}
		for _, node := range nodes {
			n.AppendChild(node)
		}
	}
}

// wholes are each message of the log with all that belongs to it.
func (m *model) wholes() map[int64]string {
	all := make(map[int64]string)
	for _, s := range m.log {
		var b strings.Builder
		if s.said != nil && html.Render(&b, s.said) == nil {
			all[s.Seq] = tidy(b.String())
		}
	}
	return all
}

func (m *model) find(seq int64) int {
	for i := len(m.log) - 1; i >= 0; i-- {
		if m.log[i].Seq == seq {
			return i
		}
	}
	return -1
}

func (m *model) articles(elements string) []article {
	if !strings.Contains(elements, "<article") {
		return nil
	}
	_, articles, err := parse(elements)
	if err != nil {
		m.complain("HTML that can't be read: %v", err)
	}
	return articles
}

func (m *model) complain(format string, args ...any) {
	if len(m.errors) < 10 {
		m.errors = append(m.errors, "did not understand "+fmt.Sprintf(format, args...))
	}
}

// parse finds the log, if it is there, and the messages of a piece of HTML.
func parse(text string) (log *html.Node, articles []article, err error) {
	body := &html.Node{Type: html.ElementNode, DataAtom: atom.Body, Data: "body"}
	nodes, err := html.ParseFragment(strings.NewReader(text), body)
	if err != nil {
		return nil, nil, err
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if attr(n, "id") == "log" {
			log = n
		}
		if n.DataAtom == atom.Article {
			articles = append(articles, toArticle(n))
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	for _, n := range nodes {
		walk(n)
	}
	return log, articles, nil
}

func toArticle(n *html.Node) article {
	var a article
	a.Seq, _ = strconv.ParseInt(attr(n, "data-seq"), 10, 64)
	a.author = attr(n, "data-author")
	a.shown.author = a.author
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if hasClass(n, "said") {
			a.said = n
		}
		switch {
		case hasClass(n, "body"):
			a.Text = text(n)
		case hasClass(n, "tombstone"):
			a.Deleted = true
		case hasClass(n, "edited"):
			a.Edited = true
		case hasClass(n, "nickname"):
			a.Nickname = text(n)
		default:
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				walk(c)
			}
		}
	}
	walk(n)
	return a
}

// text is what is written in an element, white space made even.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return tidy(b.String())
}

func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasClass(n *html.Node, class string) bool {
	for field := range strings.FieldsSeq(attr(n, "class")) {
		if field == class {
			return true
		}
	}
	return false
}
