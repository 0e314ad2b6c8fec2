package markup

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
)

func link(s string) string {
	return `<a href="` + s + `" rel="noopener noreferrer nofollow" target="_blank">` + s + `</a>`
}

func TestHTML(t *testing.T) {
	for body, want := range map[string]string{
		"":                                  "",
		"hi":                                "<p>hi</p>",
		"a\nb\n\nc":                         "<p>a<br>b</p><p>c</p>",
		"a\n \n\n\nb":                       "<p>a</p><p>b</p>",
		"a\r\nb\rc\x00":                     "<p>a<br>b<br>c</p>",
		"<script>alert(1)</script> & \"'":   "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;&#39;</p>",
		"&lt;":                              "<p>&amp;lt;</p>",
		"a  b\tc":                           "<p>a  b\tc</p>",
		"use `a<b` and `c`":                 "<p>use <code>a&lt;b</code> and <code>c</code></p>",
		"a ` b":                             "<p>a ` b</p>",
		"``":                                "<p>``</p>",
		"`` a ` b `":                        "<p>`` a <code> b </code></p>",
		"`a\nb`":                            "<p>`a<br>b`</p>",
		"`https://go.dev`":                  "<p><code>https://go.dev</code></p>",
		"```\na < b\n\n  c\n```":            "<pre><code>a &lt; b\n\n  c</code></pre>",
		"see\n```go\nx := 1\n```\nok":       "<p>see</p><pre><code>x := 1</code></pre><p>ok</p>",
		"```\nx":                            "<pre><code>x</code></pre>",
		"```\nx```":                         "<pre><code>x</code></pre>",
		"```let x = 1\nx++```\nok":          "<pre><code>let x = 1\nx++</code></pre><p>ok</p>",
		"```":                               "<p>```</p>",
		"```\n```":                          "<p>```<br>```</p>",
		"```one line```":                    "<p>```one line```</p>",
		"```\n`x` https://go.dev <b>\n```":  "<pre><code>`x` https://go.dev &lt;b&gt;</code></pre>",
		"https://go.dev":                    "<p>" + link("https://go.dev") + "</p>",
		"HTTP://Go.dev/x":                   "<p>" + link("HTTP://Go.dev/x") + "</p>",
		"(see https://go.dev/a_(b)).":       "<p>(see " + link("https://go.dev/a_(b)") + ").</p>",
		"https://go.dev, or https://x.org!": "<p>" + link("https://go.dev") + ", or " + link("https://x.org") + "!</p>",
		"看https://go.dev/doc。然后":            "<p>看" + link("https://go.dev/doc") + "。然后</p>",
		"（https://go.dev），好":                "<p>（" + link("https://go.dev") + "），好</p>",
		"“https://go.dev”":                  "<p>“" + link("https://go.dev") + "”</p>",
		"https://zh.wikipedia.org/wiki/张三":  "<p>" + link("https://zh.wikipedia.org/wiki/张三") + "</p>",
		"https://x.org/?a=1&b=\"c":          "<p>" + link("https://x.org/?a=1&amp;b=") + "&#34;c</p>",
		"http://localhost:8080/x#y":         "<p>" + link("http://localhost:8080/x#y") + "</p>",
		"[a](https://go.dev)和[b](https://x.org)":                 "<p>[a](" + link("https://go.dev") + ")和[b](" + link("https://x.org") + ")</p>",
		"<https://go.dev>":                                       "<p>&lt;" + link("https://go.dev") + "&gt;</p>",
		"javascript:alert(1) mailto:a@b.c ftp://x.y file:///etc": "<p>javascript:alert(1) mailto:a@b.c ftp://x.y file:///etc</p>",
		"https:// http://. xhttp://go.dev":                       "<p>https:// http://. xhttp://go.dev</p>",
		"http:///x http://:80/":                                  "<p>http:///x http://:80/</p>",
		"\xFFa":                                                  "<p>\uFFFDa</p>",
	} {
		if got := HTML(body, nil); got != want {
			t.Errorf("HTML(%q)\n got %s\nwant %s", body, got, want)
		}
	}
}

var allowed = map[string]bool{"p": true, "br": true, "a": true, "pre": true, "code": true}

// check fails unless the HTML is safe, well formed and says what was typed.
func check(t *testing.T, body, got string) {
	t.Helper()
	if strings.ContainsAny(got, "\r\x00") {
		t.Errorf("HTML(%q) has a carriage return or NUL", body)
	}
	var open []string
	var text strings.Builder
	for z := html.NewTokenizer(strings.NewReader(got)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("HTML(%q): %v, open: %v", body, z.Err(), open)
			}
			if got, want := letters(text.String()), letters(typed(body)); got != want {
				t.Errorf("HTML(%q) says %q, want %q", body, got, want)
			}
			return
		case html.TextToken:
			text.WriteString(token.Data)
		case html.StartTagToken:
			if token.Data != "br" {
				open = append(open, token.Data)
			}
			if !allowed[token.Data] || (len(token.Attr) > 0) != (token.Data == "a") {
				t.Errorf("HTML(%q) has %v", body, token)
			}
			for _, a := range token.Attr {
				lower := strings.ToLower(a.Val)
				ok := a.Key == "href" && (strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")) ||
					a.Key == "rel" && a.Val == "noopener noreferrer nofollow" ||
					a.Key == "target" && a.Val == "_blank"
				if !ok {
					t.Errorf("HTML(%q) has the attribute %v", body, a)
				}
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("HTML(%q): </%s> while open: %v", body, token.Data, open)
			}
			open = open[:len(open)-1]
		default:
			t.Errorf("HTML(%q) has %v", body, token)
		}
	}
}

// typed is the body without the names of languages behind fences, found in
// another way than HTML does.
func typed(body string) string {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(strings.ToValidUTF8(body, "\uFFFD")), "\n")
	language := regexp.MustCompile("^ {0,3}```[ \t]*[0-9A-Za-z+#._-]*[ \t]*$")
	anyOpening := regexp.MustCompile("^ {0,3}```[^`]*$")
	closing := regexp.MustCompile("```[ \t]*$")
	for i := 0; i < len(lines)-1; i++ {
		if !anyOpening.MatchString(lines[i]) {
			continue
		}
		inside := ""
		if !language.MatchString(lines[i]) {
			inside = lines[i]
		}
		end := i + 1
		for end < len(lines) && !closing.MatchString(lines[end]) {
			if strings.Trim(inside, " \t\n`") == "" && anyOpening.MatchString(lines[end]) {
				break
			}
			inside += lines[end]
			end++
		}
		if end < len(lines) && closing.MatchString(lines[end]) {
			inside += closing.ReplaceAllString(lines[end], "")
		}
		if strings.TrimSpace(strings.ReplaceAll(inside, "```", "")) == "" {
			continue
		}
		if language.MatchString(lines[i]) {
			lines[i] = ""
		}
		i = end
	}
	return strings.Join(lines, "\n")
}

// letters is a text without white space, backticks, and what can't be kept or
// stands for it.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '`' || r == 0 || r == '\uFFFD' {
			return -1
		}
		return r
	}, s)
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		"", "a\nb", "<b>", "`x`", "```go\nx\n```", "```\n```\n```", "https://a.b/(c)\"d", "http://<>", "\r", "\x00`\x00`",
		"https://a.b\" onclick=\"x", "`` ` `", "```a b\n```js\nx", " ```\n\n```x\ny```z", "http://[::1]:x/", "http://a&#34;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		check(t, body, HTML(body, nil))
	})
}

// hostile is 16 KiB that a careless parser takes quadratic time for.
func hostile(size int) map[string]string {
	out := map[string]string{}
	for name, unit := range map[string]string{
		"prose": "The quick brown fox. ", "spaces": " ", "lines": "\n", "letters": "a", "backtick": "`", "backticks": "` `` ``` ",
		"fences": "```\n", "fences with space": "```\n\n", "open fences": "```\n```js\n", "code": "`a`", "one backtick": "a` ",
		"links": "http://a.b ", "joined": "http://a", "schemes": "http://", "parens": "http://a(", "brackets": "http://a[http://b(",
		"dots": "http://a.......", "paths": "http://a.b/c", "open": "(((((((", "quotes": "\"'<>&", "chinese": "看https://go.dev。",
		"invalid": "\xFF", "carriage returns": "\r",
	} {
		out[name] = strings.Repeat(unit, size/len(unit))
	}
	for name, unit := range map[string]string{
		"parens": "http://a(", "no host": "http://:80", "only parens": "http://(", "mixed": "http://(http://[a", "dots": "http://.", "schemes": "http://",
	} {
		word := strings.Repeat(unit, mostAddress/len(unit)-1) + " "
		out["words of "+name] = strings.Repeat(word, size/len(word))
	}
	out["blank, then code"] = "```\n" + strings.Repeat("\n", size/2) + strings.Repeat("a\n", size/4)
	out["one link"] = "http://a/" + strings.Repeat("(", size)
	out["long link"] = "http://a/" + strings.Repeat("b", size)
	out["long tail"] = "http://a" + strings.Repeat(".", size)
	return out
}

// Work is measured by allocations and size, which don't depend on how busy
// the machine is; twice the text may cost twice as much, no more.
func TestHostileTextCostsNoMoreThanItsLength(t *testing.T) {
	const size = 16 << 10
	twice := hostile(2 * size)
	for name, body := range hostile(size) {
		check(t, body, HTML(body, nil))
		one := testing.AllocsPerRun(3, func() { HTML(body, nil) })
		two := testing.AllocsPerRun(3, func() { HTML(twice[name], nil) })
		if one > size/2 || two > 2.2*one+50 {
			t.Errorf("%s: %v allocations for 16 KiB, %v for 32 KiB", name, one, two)
		}
		if got := len(HTML(body, nil)); got > 14*size {
			t.Errorf("%s: %d bytes of HTML from 16 KiB", name, got)
		}
	}
}

// Without this, every address in a text of open brackets would be looked for
// up to the text's end.
func TestReachEndsWhereBracketsCantMatch(t *testing.T) {
	for text, want := range map[string]string{
		"http://a(http://a(http://a(http://a(": "http://a(http://a(http://a",
		"http://a)http://b":                    "http://a",
		"http://a_(b_(c))d e":                  "http://a_(b_(c))d",
		"http://a。b":                           "http://a",
	} {
		if got := text[:reach(text)]; got != want {
			t.Errorf("%q reaches %q, want %q", text, got, want)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, body := range hostile(16 << 10) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				HTML(body, nil)
			}
		})
	}
}
