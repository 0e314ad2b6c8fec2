package markup

import (
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/net/html"

	"parlor/app/chat"
)

var people = map[int64]string{42: "张三", 7: `<b onclick="x">*Z*`, 8: "a"}

func to(address, label string) string {
	return `<a href="` + address + `" rel="noopener noreferrer nofollow" target="_blank">` + label + `</a>`
}

func link(s string) string { return to(s, s) }

// ofWWW is a link of an address without its scheme.
func ofWWW(s string) string { return to("https://"+s, s) }

const (
	open = `<label><input type="checkbox" disabled=""> `
	done = `<label><input type="checkbox" disabled="" checked=""> `
	zhan = `<span class="mention" data-mention="42">@<bdi data-name="42">张三</bdi></span>`
)

func TestHTML(t *testing.T) {
	for body, want := range map[string]string{
		"":                                "",
		"hi":                              "<p>hi</p>",
		"It's so, \"really\" (yes)!\n好。":  "<p>It&#39;s so, &#34;really&#34; (yes)!<br>好。</p>",
		"a\nb\n\nc":                       "<p>a<br>b</p><p>c</p>",
		"a\n \n\n\nb":                     "<p>a</p><p>b</p>",
		"a  \nb\\\nc":                     "<p>a<br>b<br>c</p>",
		"a\r\nb\rc\x00\x1b\u0085":         "<p>a<br>b<br>c</p>",
		"a  b\tc":                         "<p>a  b\tc</p>",
		"\xFFa":                           "<p>\uFFFDa</p>",
		"<script>alert(1)</script> & \"'": "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;&#39;</p>",
		"<div data-x>\n*a*\n</div>":       "<p>&lt;div data-x&gt;<br><em>a</em><br>&lt;/div&gt;</p>",
		"<!-- a --><br/>":                 "<p>&lt;!-- a --&gt;&lt;br/&gt;</p>",
		"&lt; &copy; &#33;":               "<p>&amp;lt; &amp;copy; &amp;#33;</p>",
		"*a* _b_ **c** __d__ ***e***":     "<p><em>a</em> <em>b</em> <strong>c</strong> <strong>d</strong> <em><strong>e</strong></em></p>",
		"snake_case_name 2*3*4 * a *":     "<p>snake_case_name 2<em>3</em>4 * a *</p>",
		"~~a~~ b~c~d ~~~e~~~":             "<p><del>a</del> b~c~d ~~~e~~~</p>",
		"好的~ 在吗~":                         "<p>好的~ 在吗~</p>",
		"**重要。**其他":                       "<p><strong>重要。</strong>其他</p>",
		"请看**“引用”**吧":                     "<p>请看<strong>“引用”</strong>吧</p>",
		`\*a\* \_b\_ \<i\> c:\dir \\`:     `<p>*a* _b_ &lt;i&gt; c:\dir \</p>`,
		"# a\n## b\n###### c\n#d":         "<h3>a</h3><h4>b</h4><h5>c</h5><p>#d</p>",
		"a\n===":                          "<h3>a</h3>",
		"- a\n- b\n  1. c\n  2. d":        "<ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li></ul>",
		"- a\n\n- b":                      "<ul><li><p>a</p></li><li><p>b</p></li></ul>",
		"3. a\n4. b":                      `<ol start="3"><li>a</li><li>b</li></ol>`,
		"- [ ] a\n- [x] *b*\n- [y] c":     `<ul><li class="task">` + open + `a</label></li><li class="task">` + done + `<em>b</em></label></li><li>[y] c</li></ul>`,
		"[x] a":                           "<p>[x] a</p>",
		"> a\nb\n>\n> c":                  "<blockquote><p>a<br>b</p><p>c</p></blockquote>",
		"a\n\n***":                        "<p>a</p><hr>",
		"|a|b|c|\n|-|:-:|-:|\n|1|*2*|\n|`x\\|y`|<|3|4|": `<div class="table" tabindex="0"><table><thead><tr><th>a</th><th class="center">b</th><th class="end">c</th></tr></thead>` +
			`<tbody><tr><td>1</td><td class="center"><em>2</em></td><td></td></tr><tr><td><code>x|y</code></td><td class="center">&lt;</td><td class="end">3</td></tr></tbody></table></div>`,

		// Code.
		"use `a<b` and `c`":                "<p>use <code>a&lt;b</code> and <code>c</code></p>",
		"a ` b":                            "<p>a ` b</p>",
		"``":                               "<p>``</p>",
		"`` a ` b ``":                      "<p><code>a ` b</code></p>",
		"`https://go.dev` `:smile:` `*a*`": "<p><code>https://go.dev</code> <code>:smile:</code> <code>*a*</code></p>",
		"`a\nb`":                           "<p><code>a b</code></p>",
		"```\na < b\n\n  c\n```":           "<pre><code>a &lt; b\n\n  c</code></pre>",
		"see\n```nosuch\nx := 1\n```\nok":  "<p>see</p><pre><code>x := 1</code></pre><p>ok</p>",
		"```\nx":                           "<pre><code>x</code></pre>",
		"```\n\nx\n```":                    "<pre><code>\n\nx</code></pre>",
		"```one line```":                   "<p><code>one line</code></p>",
		"```\n`x` https://go.dev <b>\n```": "<pre><code>`x` https://go.dev &lt;b&gt;</code></pre>",
		"    a\n\tb":                       "<pre><code>a\nb</code></pre>",
		"```go\nx := 1 // <y>\n```":        `<pre><code>x := <span class="nu">1 </span><span class="co">// &lt;y&gt;</span></code></pre>`,
		"``` JSON \n{\"a\": true}\n```":    `<pre><code>{<span class="kw">&#34;a&#34;</span>: <span class="kw">true</span>}</code></pre>`,
		"~~~diff\n+a\n-b\n~~~":             "<pre><code><span class=\"in\">+a\n</span><span class=\"de\">-b</span></code></pre>",

		// Addresses and links.
		"https://go.dev":                                       "<p>" + link("https://go.dev") + "</p>",
		"HTTP://Go.dev/x":                                      "<p>" + to("http://Go.dev/x", "HTTP://Go.dev/x") + "</p>",
		"(see https://go.dev/a_(b)).":                          "<p>(see " + link("https://go.dev/a_(b)") + ").</p>",
		"https://go.dev, or https://x.org!":                    "<p>" + link("https://go.dev") + ", or " + link("https://x.org") + "!</p>",
		"看https://go.dev/doc。然后":                               "<p>看" + link("https://go.dev/doc") + "。然后</p>",
		"（https://go.dev），好":                                   "<p>（" + link("https://go.dev") + "），好</p>",
		"“https://go.dev”":                                     "<p>“" + link("https://go.dev") + "”</p>",
		"https://zh.wikipedia.org/wiki/张三":                     "<p>" + to("https://zh.wikipedia.org/wiki/%E5%BC%A0%E4%B8%89", "https://zh.wikipedia.org/wiki/张三") + "</p>",
		"https://x.org/?a=1&b=\"c":                             "<p>" + link("https://x.org/?a=1&amp;b=") + "&#34;c</p>",
		"http://localhost:8080/x#y":                            "<p>" + link("http://localhost:8080/x#y") + "</p>",
		"https://x.org/__init__.py":                            "<p>" + link("https://x.org/__init__.py") + "</p>",
		"**https://x.org/a_b_c**":                              "<p><strong>" + link("https://x.org/a_b_c") + "</strong></p>",
		"a https://x.org\nhttps://y.org":                       "<p>a " + link("https://x.org") + "<br>" + link("https://y.org") + "</p>",
		"<https://go.dev> <a@b.c> <x:y>":                       "<p>" + link("https://go.dev") + " " + to("mailto:a@b.c", "a@b.c") + " &lt;x:y&gt;</p>",
		"[a](https://go.dev)和[b](https://x.org \"t\")":         "<p>" + to("https://go.dev", "a") + "和" + to("https://x.org", "b") + "</p>",
		"[*a* `b`](<https://go.dev/x y>)":                      "<p>" + to("https://go.dev/x%20y", "<em>a</em> <code>b</code>") + "</p>",
		"[m](mailto:a@b.c)":                                    "<p>" + to("mailto:a@b.c", "m") + "</p>",
		"[https://a.b](https://c.d)":                           "<p>" + to("https://c.d", "https://a.b") + "</p>",
		"[x]: https://go.dev\n\n[a][x] [x]":                    "<p>" + to("https://go.dev", "a") + " " + to("https://go.dev", "x") + "</p>",
		"![pic](https://x.org/p.png)":                          "<p>" + to("https://x.org/p.png", "pic") + "</p>",
		"![](https://x.org/p.png)":                             "<p>" + link("https://x.org/p.png") + "</p>",
		"[![pic](https://x.org/p.png)](https://y.org)":         "<p>" + to("https://y.org", "pic") + "</p>",
		"[a](javascript:alert(1)) [b](/c) d[i](x) [e]()":       "<p>[a](javascript:alert(1)) [b](/c) d[i](x) [e]()</p>",
		"[a](JavaScript&colon;alert(1)) [b](data:x,y)":         "<p>[a](JavaScript&amp;colon;alert(1)) [b](data:x,y)</p>",
		"[a](//evil.org) [b](https:evil) <ftp://x.y>":          "<p>[a](//evil.org) [b](https:evil) &lt;ftp://x.y&gt;</p>",
		"[a](https://x.org/\"onclick=\"y)":                     "<p>" + to("https://x.org/%22onclick=%22y", "a") + "</p>",
		"javascript:alert(1) mailto:a@b.c file:///etc":         "<p>javascript:alert(1) mailto:a@b.c file:///etc</p>",
		"https:// http://. xhttp://go.dev 1https://a.b":        "<p>https:// http://. xhttp://go.dev 1https://a.b</p>",
		"http://[::1]/x y":                                     "<p>http://[::1]/x y</p>",
		"http:///x http://:80/":                                "<p>http:///x http://:80/</p>",
		"[a](https://x.org/" + strings.Repeat("b", 2100) + ")": "<p>[a](https://x.org/" + strings.Repeat("b", 2100) + ")</p>",

		// Addresses without their scheme.
		"www.example.org":                                                 "<p>" + ofWWW("www.example.org") + "</p>",
		"see WWW.Example.org/A_b?c=d#e, now":                              "<p>see " + ofWWW("WWW.Example.org/A_b?c=d#e") + ", now</p>",
		"(www.example.org/a_(b)). www.x.co.uk:80!":                        "<p>(" + ofWWW("www.example.org/a_(b)") + "). " + ofWWW("www.x.co.uk:80") + "!</p>",
		"看www.example.org。好，www.example.org，":                             "<p>看" + ofWWW("www.example.org") + "。好，" + ofWWW("www.example.org") + "，</p>",
		"www.example.org看看 www.example.org、www.a.cn/b。":                   "<p>" + ofWWW("www.example.org") + "看看 " + ofWWW("www.example.org") + "、" + ofWWW("www.a.cn/b") + "。</p>",
		"**www.example.org** _www.example.org_":                           "<p><strong>" + ofWWW("www.example.org") + "</strong> <em>" + ofWWW("www.example.org") + "</em></p>",
		"[www.a.org](https://c.de) `www.a.org`":                           "<p>" + to("https://c.de", "www.a.org") + " <code>www.a.org</code></p>",
		"www. www.example www..com www.a.c0m www.-a.org":                  "<p>www. www.example www..com www.a.c0m www.-a.org</p>",
		"awww.a.org /www.a.org a.www.b.org ftp://www.a.org":               "<p>awww.a.org /www.a.org a.www.b.org ftp://www.a.org</p>",
		"https://www.a.org/www.b.org":                                     "<p>" + link("https://www.a.org/www.b.org") + "</p>",
		"www.a.org/\"onclick=\"x":                                         "<p>" + ofWWW("www.a.org/") + "&#34;onclick=&#34;x</p>",
		"me@example.org":                                                  "<p>" + to("mailto:me@example.org", "me@example.org") + "</p>",
		"mail first_last+x.y-z@a-b.example.org.":                          "<p>mail " + to("mailto:first_last+x.y-z@a-b.example.org", "first_last+x.y-z@a-b.example.org") + ".</p>",
		"写信给me@example.org。或(you@example.org)看看":                          "<p>写信给" + to("mailto:me@example.org", "me@example.org") + "。或(" + to("mailto:you@example.org", "you@example.org") + ")看看</p>",
		"me@example.org看看，you@example.org、":                               "<p>" + to("mailto:me@example.org", "me@example.org") + "看看，" + to("mailto:you@example.org", "you@example.org") + "、</p>",
		"[me@a.org](https://c.de) `me@a.org`":                             "<p>" + to("https://c.de", "me@a.org") + " <code>me@a.org</code></p>",
		"react@18.2.0 a@b @a.org .a@b.org a.@b.org a@b.org@c.org é@a.org": "<p>react@18.2.0 a@b @a.org .a@b.org a.@b.org a@b.org@c.org é@a.org</p>",
		"https://a.org/@me@b.org user:pw@a.org":                           "<p>" + link("https://a.org/@me@b.org") + " user:pw@a.org</p>",
		"me@example.org_x me@example.org-x a@www.b.org":                   "<p>me@example.org_x me@example.org-x " + to("mailto:a@www.b.org", "a@www.b.org") + "</p>",
		"a_b _c_ d_e": "<p>a_b <em>c</em> d_e</p>",

		// Emoji.
		":tada: x :+1: :heart::fire:":                  "<p>🎉 x 👍 ❤️🔥</p>",
		"好:smile:好":                                    "<p>好😄好</p>",
		"12:30:45 a:x:b x:o: ::a:b :no_such: :smile :": "<p>12:30:45 a:x:b x:o: ::a:b :no_such: :smile :</p>",
		"fe80::a:b":                                    "<p>fe80::a:b</p>",
		`\:smile:`:                                     "<p>:smile:</p>",
		"😀":                                            `<p class="big-emoji">😀</p>`,
		" 😀 👍🏽 :tada:":                                 `<p class="big-emoji">😀 👍🏽 🎉</p>`,
		"🇩🇪🇫🇷1️⃣👩‍🚀😀😀": `<p class="big-emoji">🇩🇪🇫🇷1️⃣👩‍🚀😀😀</p>`,
		"😀😀😀😀😀😀😀":      "<p>😀😀😀😀😀😀😀</p>",
		"😀!":           "<p>😀!</p>",
		"😀\n😀":         "<p>😀<br>😀</p>",
		"*😀*":          "<p><em>😀</em></p>",
		"1":            "<p>1</p>",
		"- 😀":          "<ul><li>😀</li></ul>",

		// Mentions.
		chat.Mention(42) + " hi": "<p>" + zhan + " hi</p>",
		"**" + chat.Mention(42) + "**,[" + chat.Mention(42) + "](https://a.b)": "<p><strong>" + zhan + "</strong>," + to("https://a.b", zhan) + "</p>",
		chat.Mention(0):                                    `<p><span class="mention" data-mention="here">@here</span></p>`,
		chat.Mention(7):                                    `<p><span class="mention" data-mention="7">@<bdi data-name="7">&lt;b onclick=&#34;x&#34;&gt;*Z*</bdi></span></p>`,
		chat.Mention(9):                                    "<p>@?</p>",
		"`" + chat.Mention(7) + "`":                        "<p><code>@&lt;b onclick=&#34;x&#34;&gt;*Z*</code></p>",
		"```\n" + chat.Mention(42) + "\n```":               "<pre><code>@张三</code></pre>",
		"```go\n// " + chat.Mention(42) + "\n```":          `<pre><code><span class="co">// @张三</span></code></pre>`,
		"https://a.b/" + chat.Mention(42):                  "<p>" + link("https://a.b/") + zhan + "</p>",
		"|" + chat.Mention(42) + "|\n|-|":                  `<div class="table" tabindex="0"><table><thead><tr><th>` + zhan + `</th></tr></thead></table></div>`,
		"[x](https://a.b/" + chat.Mention(42) + ")":        "<p>" + to("https://a.b/%0E42%0F", "x") + "</p>",
		"\x0E\x0F \x0Ex\x0F \x0E-1\x0F \x0E042\x0F \x0E42": "<p>x -1 042 42</p>",
		"\x0E99999999999999999999\x0F":                     "<p>99999999999999999999</p>",
		"@" + "张三":                                         "<p>@张三</p>",
		`<span class="mention" data-mention="42">`:         "<p>&lt;span class=&#34;mention&#34; data-mention=&#34;42&#34;&gt;</p>",

		// What would show nothing shows its source.
		"[1]: https://go.dev": `<p class="source">[1]: https://go.dev</p>`,
		"```\n```":            `<p class="source">` + "```<br>```</p>",
		"#":                   `<p class="source">#</p>`,
		"-":                   `<p class="source">-</p>`,
		">":                   `<p class="source">&gt;</p>`,
	} {
		if got := HTML(body, people); got != want {
			t.Errorf("HTML(%q)\n got %s\nwant %s", body, got, want)
		}
		if quick, ok := prose(clean(body)); ok && mentioned(quick, people) != want {
			t.Errorf("HTML(%q) without a parser is %s", body, quick)
		}
		check(t, body, HTML(body, people))
	}
}

func TestText(t *testing.T) {
	for body, want := range map[string]string{
		"*a*\n\n`b` :smile:":                     "*a*\n\n`b` :smile:",
		chat.Mention(42) + chat.Mention(0) + "!": "@张三@here!",
		"`" + chat.Mention(9) + "`":              "`@?`",
		"\x0Ex":                                  "x",
	} {
		if got := Text(body, people); got != want {
			t.Errorf("Text(%q) = %q, want %q", body, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	family := "👨‍👩‍👧‍👦"
	for body, want := range map[string]string{
		"":                        "",
		"a\nb":                    "a",
		"\n\n  a *b* **c** `d`":   "a b c d",
		"# Head\ntext":            "Head",
		"> quoted\n\nanswer":      "quoted",
		"- [x] done\n- [ ] open":  "☑ done",
		"1. one":                  "one",
		"***\n\nafter":            "after",
		"```go\n\nx := 1\ny\n```": "x := 1",
		"    code\n    more":      "code",
		"|a|*b*|\n|-|-|\n|1|2|":   "a · b",
		"see [it](https://x.org) and https://go.dev":            "see it and https://go.dev",
		"![](https://x.org/p.png)":                              "https://x.org/p.png",
		"![p](https://x.org/p.png) :tada: <b>":                  "p 🎉 <b>",
		"hi " + chat.Mention(42) + " `" + chat.Mention(8) + "`": "hi @张三 @a",
		"[1]: https://go.dev":                                   "[1]: https://go.dev",
		"a \t  b":                                               "a b",
		strings.Repeat("好", 120):                                strings.Repeat("好", 120),
		strings.Repeat("好", 121):                                strings.Repeat("好", 119) + "…",
		strings.Repeat(family, 200):                             strings.Repeat(family, 119) + "…",
		"e\u0301" + strings.Repeat("e\u0301", 300):              strings.Repeat("e\u0301", 119) + "…",
	} {
		if got := Line(body, people); got != want {
			t.Errorf("Line(%q)\n got %q\nwant %q", body, got, want)
		}
	}
}

// A line that stays on a page has its nicknames where a rename finds them, and
// ends at the same place whatever people are called.
func TestLineHTML(t *testing.T) {
	zhang := `@<bdi data-name="42">张三</bdi>`
	for body, want := range map[string]string{
		"":                                "",
		"a <b>&*c*\nd":                    "a &lt;b&gt;&amp;c",
		"hi " + chat.Mention(42) + "!":    "hi " + zhang + "!",
		"`" + chat.Mention(8) + "`":       `@<bdi data-name="8">a</bdi>`,
		"***\n" + chat.Mention(42):        zhang,
		chat.Mention(0):                   "@here",
		chat.Mention(4711):                "@?",
		strings.Repeat("x\x0E42\x0F", 60): strings.Repeat("x"+zhang, 60),
		strings.Repeat("x\x0E42\x0F", 61): strings.Repeat("x"+zhang, 59) + "x…",
	} {
		if got := LineHTML(body, people); got != want {
			t.Errorf("LineHTML(%q)\n got %q\nwant %q", body, got, want)
		}
	}
	long := map[int64]string{42: strings.Repeat("长", 400)}
	body := strings.Repeat("\x0E42\x0F ", 100)
	if got, want := LineHTML(body, long), strings.ReplaceAll(LineHTML(body, people), people[42], long[42]); got != want {
		t.Errorf("under a long name\n%q\nunder a short one\n%q", got, want)
	}
}

// attributes are what each element may have, by a pattern that is told here
// once more, independently of the policy.
var attributes = map[string]string{
	"p": `|class=(source|big-emoji)`, "br": ``, "strong": ``, "em": ``, "del": ``, "pre": ``, "code": ``, "blockquote": ``, "ul": ``, "hr": ``,
	"ol": `|start=\d{1,9}`, "li": `|class=task`, "h3": ``, "h4": ``, "h5": ``, "table": ``, "thead": ``, "tbody": ``, "tr": ``,
	"th": `|class=(center|end)`, "td": `|class=(center|end)`, "div": `class=table tabindex=0`,
	"label": ``, "bdi": `data-name=\d+`, "span": `class=(kw|ty|fn|st|nu|co|at|in|de)|class=mention data-mention=(here|\d+)`,
	"input": `type=checkbox disabled=( checked=)?`,
	"a":     `href=(https?://[^/ ]|mailto:)[^ ]* rel=noopener noreferrer nofollow target=_blank`,
}

// check fails unless the HTML is safe and well formed.
func check(t *testing.T, body, got string) {
	t.Helper()
	if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		t.Errorf("HTML(%q) has control characters: %q", body, got)
	}
	var open []string
	for z := html.NewTokenizer(strings.NewReader(got)); ; {
		kind := z.Next()
		token := z.Token()
		switch kind {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("HTML(%q): %v, open: %v", body, z.Err(), open)
			}
			return
		case html.TextToken:
		case html.StartTagToken:
			pattern, known := attributes[token.Data]
			var all []string
			for _, a := range token.Attr {
				all = append(all, a.Key+"="+a.Val)
			}
			if !known || !regexp.MustCompile(`^(`+pattern+`)$`).MatchString(strings.Join(all, " ")) {
				t.Errorf("HTML(%q) has %v", body, token)
			}
			if token.Data == "a" && slices.Contains(open, "a") {
				t.Errorf("HTML(%q) has a link in a link", body)
			}
			if token.Data != "br" && token.Data != "hr" && token.Data != "input" {
				open = append(open, token.Data)
			}
			if len(open) > 4*mostDepth {
				t.Errorf("HTML(%q) nests deeply", body)
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

func checkLine(t *testing.T, body string) {
	t.Helper()
	line := Line(body, people)
	n := 0
	for g := graphemes.FromString(line); g.Next(); {
		n++
	}
	if n > mostLine || strings.ContainsFunc(line, unicode.IsControl) || strings.TrimSpace(line) != line {
		t.Errorf("Line(%q) = %q", body, line)
	}
}

func FuzzHTML(f *testing.F) {
	for _, s := range []string{
		"", "a\nb", "<b>", "`x`", "```go\nx\n```", "```\n```\n```", "https://a.b/(c)\"d", "http://<>", "\r", "\x00`\x00`",
		"https://a.b\" onclick=\"x", "`` ` `", "```a b\n```js\nx", " ```\n\n```x\ny```z", "http://[::1]:x/", "http://a&#34;",
		"|a|b|\n|-|-|\n|`\\|`|", "- [x] a\n  > b\n    1. c", "[a]: b 'c\nd'\n[a]", "![[a](b)](https://c.d)", "~~*a~~*", "\x0E42\x0F\x0E0\x0F",
		"[\x0E42\x0F](\x0E42\x0F)", "<a@b.c>", "a\\\nb\\*", ":smile::x:", "```html\n<p data-x=\"\x0E7\x0F\">\n```", "```diff\n+\n-", "```php\n<?php 'a",
		"# a\n===\n***", "\t- a\n\n\t  b", "**重要。**其他_a_", "[a](https://x.org/&#x0a;)", "- 😀", "```c\n\u2028\x0c",
	} {
		f.Add(s)
	}
	for _, s := range hostile(512) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		check(t, body, HTML(body, people))
		check(t, body, LineHTML(body, people))
		checkLine(t, body)
		if quick, ok := prose(clean(body)); ok {
			if slow, _ := rendered(clean(body), people); quick != slow {
				t.Errorf("HTML(%q)\nwithout a parser %s\nwith one         %s", body, quick, slow)
			}
		}
		if text := Text(body, people); strings.ContainsAny(text, "\r\x00\x0E\x0F") {
			t.Errorf("Text(%q) = %q", body, text)
		}
	})
}

// hostile is text that a careless parser takes quadratic time or space for.
func hostile(size int) map[string]string {
	out := map[string]string{}
	for name, unit := range map[string]string{
		"prose": "The quick brown fox. ", "spaces": " ", "lines": "\n", "letters": "a", "backtick": "`", "backticks": "` `` ``` ",
		"fences": "```\n", "fences with space": "```\n\n", "open fences": "```\n```js\n", "code": "`a`", "one backtick": "a` ",
		"addresses": "http://a.b ", "joined": "http://a", "schemes": "http://", "parens": "http://a(", "brackets": "http://a[http://b(",
		"dots": "http://a.......", "paths": "http://a.b/c", "open": "(((((((", "quotes": "\"'<>&", "chinese": "看https://go.dev。",
		"www": "www.", "www, closed": "www.a.bc ", "www, quoted": "'www.a.bc/", "www, open": "(www.a.bc/(", "at": "@", "mail": "a@b.co ", "mail joined": "a@b.co", "mail long": "a-a-", "boxes": "a_b@",
		"invalid": "\xFF", "carriage returns": "\r",
		"quotations": "> ", "quotations in a row": ">", "items": "- ", "numbers": "1. ", "mixed": "> - 1. ", "stars": "*", "star and space": "* ",
		"openers": "*a ", "openers, double": "**a ", "closers": "a* ", "both": "*a_", "emphasis": "*a* ", "nested": "*a **a ", "bomb": "a**b", "rule of three": "***a* ",
		"underscores": "_a", "strikes": "~~a ", "tildes": "~", "square": "[", "square closed": "[]", "links": "[a](b", "link": "[a](http://b) ", "links, angle": "[a](<b", "titles": `[a](b "c`,
		"images": "![", "images closed": "![a](http://b)", "references": "[a][b", "definitions": "[a]: b\n", "definitions of many": "[a]: b\n[c]: d\n", "labels": "[a\\", "closing": "]", "closing paren": "](", "angle": "<", "angle address": "<a:", "angle mail": "<a@b", "angles": "<a:b>",
		"pipes": "|", "pipes and lines": "|\n", "dashes": "|-", "headings": "# a\n", "setext": "a\n===\n", "rules": "***\n", "tabs": "\t", "indented": "    a\n", "entities": "&amp;", "hash": "&#1", "escapes": "\\*", "backslash": "\\",
		"colons": ":", "codes": ":smile:", "colon words": ":a", "emoji": "😀", "family": "👨‍👩‍👧‍👦", "joiners": "\u200D", "tones": "🏽", "flags": "🇩", "marks": "\u0301",
		"tokens": chat.Mention(42), "open tokens": "\x0E", "token in code": "`" + chat.Mention(7) + "`", "task": "- [ ] a\n", "lazy": "> a\nb\n", "html": "<b>", "comment": "<!--", "empty items": "-\n", "items with blanks": "- a\n\n",
	} {
		out[name] = strings.Repeat(unit, size/len(unit))
	}
	for name, unit := range map[string]string{
		"parens": "http://a(", "no host": "http://:80", "only parens": "http://(", "mixed": "http://(http://[a", "dots": "http://.", "schemes": "http://",
	} {
		word := strings.Repeat(unit, min(size/2, mostAddress)/len(unit)-1) + " "
		out["words of "+name] = strings.Repeat(word, size/len(word))
	}
	half, quarter := size/2, size/4
	out["blank, then code"] = "```\n" + strings.Repeat("\n", half) + strings.Repeat("a\n", quarter)
	out["one link"] = "http://a/" + strings.Repeat("(", size)
	out["long link"] = "http://a/" + strings.Repeat("b", size)
	out["long tail"] = "http://a" + strings.Repeat(".", size)
	out["wide table"] = strings.Repeat("|", quarter) + "\n" + strings.Repeat("-|", quarter) + "\n" + strings.Repeat("|\n", quarter/2)
	out["long table"] = strings.Repeat("|a", 30) + "\n" + strings.Repeat("|-", 30) + "\n" + strings.Repeat("|\n", half)
	out["many tables"] = strings.Repeat("a|b\n-|-\n", size/8)
	out["reference bomb"] = "[a]: http://b/" + strings.Repeat("c", half) + "\n\n" + strings.Repeat("[a]", size/6)
	out["small reference bomb"] = "[a]: http://b/" + strings.Repeat("c", 1500) + "\n\n" + strings.Repeat("[a]", size/6)
	out["many references"] = manyReferences(size)
	out["deep, then lines"] = strings.Repeat("> ", quarter) + strings.Repeat("a\n", quarter)
	out["deep list"] = deepList(size)
	out["backticks of many lengths"] = backtickLengths(size)
	out["nested links"] = strings.Repeat("[", half) + strings.Repeat("](http://a)", half/11)
	out["nested strong"] = strings.Repeat("**a ", size/8) + strings.Repeat("a** ", size/8)
	out["nested images"] = strings.Repeat("![", quarter) + strings.Repeat("](http://a)", size/22)
	for language, unit := range map[string]string{
		"js": "a=/[", "python": "f\"{f'{", "go": "`\"'", "html": "<a b=\"<", "xml": "<![CDATA[", "php": "<?php \"$a[", "bash": "$(\"${`", "ruby": "%w[#{", "perl": "s/qq{",
		"c": "/*\\\n#if 0\n", "c++": "R\"(R\"(", "rust": "r##\"/*/*", "sql": "'a''\"", "yaml": "a: - [{", "json": "{\"a\":[", "css": "a{b:c(", "diff": "+-\n", "docker": "RUN \\\n", "haskell": "{-{-", "kotlin": "\"${\"${",
		"swift": "\"\\(\"\\(", "scala": "s\"${s\"", "lua": "[==[", "toml": "'''\"\"\"", "ts": "a<b<(", "elixir": "~r/#{", "erlang": "\"~", "java": "@A(<", "nginx": "a {b ", "ocaml": "(*(*", "powershell": "$(@\"\n", "r": "`\"", "scss": "#{&{",
		"ini": "[a\n=", "zig": "\\\\\n", "cs": "$@\"{$\"",
	} {
		for kind, unit := range map[string]string{"": unit, " letters": "a", " backslashes": "\\", " spaces": " ", " quotes": "\"", " open": "(", " slashes": "/", " less": "<"} {
			{
				lines := strings.Repeat(strings.Repeat(unit, mostColouredLine/len(unit)-1)+"\n", mostColoured/mostColouredLine-1)
				out["code in "+language+kind] = "```" + language + "\n" + lines[:min(len(lines), size)]
			}
		}
	}
	return out
}

func manyReferences(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size/2; i++ {
		b.WriteString("[" + strings.Repeat("x", i%40) + string(rune('a'+i%26)) + "]: http://b\n")
	}
	return b.String() + "\n" + strings.Repeat("[xa]", size/8)
}

func deepList(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-2*i-4; i++ {
		b.WriteString(strings.Repeat("  ", i) + "- a\n")
	}
	return b.String()
}

func backtickLengths(size int) string {
	var b strings.Builder
	for i := 1; b.Len() < size-i; i++ {
		b.WriteString(strings.Repeat("`", i) + "a")
	}
	return b.String()
}

// Work is measured by allocations and size, which don't depend on how busy
// the machine is.
func TestHostileTextIsBounded(t *testing.T) {
	const size = 16 << 10
	all := hostile(size)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		body, got := all[name], ""
		if n := testing.AllocsPerRun(1, func() { got = HTML(body, people) }); n > 24*size {
			t.Errorf("%s: %v allocations", name, n)
		}
		check(t, name, got)
		checkLine(t, body)
		if most := 4096 + 17*size; len(got) > most {
			t.Errorf("%s: %d bytes of HTML from 16 KiB", name, len(got))
		}
	}
}

func TestManyRenderAtOnce(t *testing.T) {
	want := HTML(everything, people)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := HTML(everything, people); got != want {
				t.Errorf("at once with others: %s", got)
			}
			Line(everything, people)
		})
	}
	all.Wait()
}

const everything = "# a :tada:\n\n*b* [c](https://d.e) https://f.g\n\n- [ ] h\n\n```go\nfunc i() {}\n```\n```js\nlet j\n```\n\n|k|\n|-|\n|l|"

func TestWhatCantBeRenderedShowsItsSource(t *testing.T) {
	deep := strings.Repeat("*a **a ", 100) + strings.Repeat("a** a* ", 100)
	if got := HTML(deep, people); !strings.HasPrefix(got, `<p class="source">*a **a `) {
		t.Errorf("deep text: %.80s", got)
	}
	if got, ok := rendered("a", nil); !ok || got != "<p>a</p>" {
		t.Error(got, ok)
	}
}

// A sanitiser that lets everything through would not be noticed otherwise:
// writer never writes what it must take away.
func TestThePolicyTakesAwayWhatIsOurs(t *testing.T) {
	for typed, want := range map[string]string{
		`<p data-on:click="x" id="log" style="a" onclick="b">a</p>`: `<p>a</p>`,
		`<span class="mention" data-mention="42">a</span>`:          `<span>a</span>`,
		`<span class="kw">a</span>`:                                 `<span class="kw">a</span>`,
		`<p class="seal">a</p><b>c</b><i>d</i>`:                     `<p>a</p>cd`,
		`<a href="javascript:x" target="_top">a</a>`:                `a`,
		`<a href="/rooms">a</a><img src="x"><svg></svg>`:            `a`,
		`<script>a</script><iframe></iframe><form></form>`:          ``,
		`<input type="text" value="a" name="b">`:                    ``,
	} {
		if got := policy.Sanitize(typed); got != want {
			t.Errorf("%s\n got %s\nwant %s", typed, got, want)
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
	all := hostile(16 << 10)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				HTML(all[name], people)
			}
		})
	}
}

// BenchmarkTypical is what messages of people cost.
func BenchmarkTypical(b *testing.B) {
	for name, body := range map[string]string{
		"short": "I did, on the train.",
		"prose": "I did, on the train. It holds the place where I was reading, see https://example.org/notes/reading-place?page=2#cursor, " +
			"even through the tunnels.\nThen `go test ./...` and home. 明天见！",
		"marked": "**Done:** the *reading place*, see [notes](https://example.org/notes) :tada:\n\n- [x] write\n- [ ] test\n\n> as you said",
		"code":   "```go\nfunc main() {\n\tfmt.Println(\"hi\") // greet\n\tfor i := range 10 {\n\t\tgo run(i)\n\t}\n}\n```",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				HTML(body, people)
			}
		})
	}
}

func BenchmarkLine(b *testing.B) {
	for b.Loop() {
		Line("**Done:** the *reading place*, see [notes](https://example.org/notes) :tada:\n\n- [x] write", people)
	}
}
