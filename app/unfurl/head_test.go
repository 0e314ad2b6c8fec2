package unfurl

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	xunicode "golang.org/x/text/encoding/unicode"
)

func TestHead(t *testing.T) {
	for name, c := range map[string]struct {
		page                            string
		title, description, site, image string
	}{
		"plain": {
			page: `<!doctype html><html><head><title> A   small
 page </title><meta name="description" content="What it is about."></head><body>`,
			title: "A small page", description: "What it is about.",
		},
		"Open Graph before the rest": {
			page: `<title>Title</title><meta name=description content=d><meta property="og:title" content="Open title">
				<meta property="og:description" content="Open description"><meta property="og:site_name" content="The Site">
				<meta property="og:image" content="/a.png"><meta name="twitter:image" content="/b.png">`,
			title: "Open title", description: "Open description", site: "The Site", image: "/a.png",
		},
		"Twitter": {
			page:  `<title>Title</title><meta name="twitter:title" content="T"><meta name="twitter:description" content="D"><meta name="twitter:image" content="i">`,
			title: "T", description: "D", image: "i",
		},
		"first of several":         {page: `<meta property=og:image content=1><meta property=og:image content=2><title>a</title><title>b</title>`, title: "a", image: "1"},
		"empty one is none":        {page: `<meta property=og:title content="  "><title>a</title>`, title: "a"},
		"entities":                 {page: `<title>Tom &amp; Jerry &lt;b&gt; &#x202e;&#0;&#13;x</title>`, title: "Tom & Jerry <b> \uFFFD x"},
		"upper case":               {page: `<META NAME="OG:TITLE" CONTENT="a">`, title: "a"},
		"no head":                  {page: `<title>a</title><p>text`, title: "a"},
		"nothing of the body":      {page: `<head></head><title>a</title>`},
		"nothing behind body":      {page: `<body><title>a</title>`},
		"svg's title is not first": {page: `<title>a</title><svg><title>b</title></svg>`, title: "a"},
		"script holds no elements": {page: `<script>"<title>a</title>"</script><title>b</title>`, title: "b"},
		"comments hold none":       {page: `<!-- <title>a</title> --><title>b</title>`, title: "b"},
		"unclosed title":           {page: `<title>a <b>c`, title: "a <b>c"},
		"empty title":              {page: `<title></title><meta name=description content=d>`, description: "d"},
		"invisible title":          {page: "<title>\u200b\u2060\ufeff\u202e</title>"},
		"nothing":                  {page: ``},
		"no HTML":                  {page: "\x00\x01\x02<<<>>><"},
		"attributes only":          {page: "<meta " + strings.Repeat("a ", 10000) + ">"},
		"deep":                     {page: strings.Repeat("<div>", 100000) + "<title>a</title>", title: "a"},
	} {
		h, err := readHead(strings.NewReader(c.page), "text/html; charset=utf-8")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if h.title() != c.title || h.description() != c.description || h.siteName() != c.site || h.image() != c.image {
			t.Errorf("%s: %q, %q, %q, %q", name, h.title(), h.description(), h.siteName(), h.image())
		}
	}
}

func TestCharacterSets(t *testing.T) {
	const text = "今天我们开会讨论"
	with := func(e encoding.Encoding, page string) string {
		s, err := e.NewEncoder().String(page)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	big := strings.Repeat(" ", 2000)
	for name, c := range map[string]struct{ page, contentType, title string }{
		"GBK by the page":         {with(simplifiedchinese.GBK, `<meta charset=gb2312><title>`+text+`</title>`), "text/html", text},
		"GBK by the server":       {with(simplifiedchinese.GBK, `<title>`+text+`</title>`), "text/html; charset=GBK", text},
		"GB 18030":                {with(simplifiedchinese.GB18030, `<meta http-equiv=content-type content="text/html; charset=gb18030"><title>`+text+`𠀀</title>`), "text/html", text + "𠀀"},
		"Big5":                    {with(traditionalchinese.Big5, `<meta charset=big5><title>討論</title>`), "text/html", "討論"},
		"Shift-JIS":               {with(japanese.ShiftJIS, `<meta charset=Shift_JIS><title>表ソ予約</title>`), "text/html", "表ソ予約"},
		"EUC-JP":                  {with(japanese.EUCJP, `<meta charset=euc-jp><title>会議</title>`), "text/html", "会議"},
		"UTF-16":                  {with(xunicode.UTF16(xunicode.LittleEndian, xunicode.UseBOM), `<title>`+text+`</title>`), "text/html", text},
		"UTF-8 with a mark":       {"\uFEFF<title>" + text + "</title>", "text/html", text},
		"UTF-8 unsaid":            {"<title>" + text + "</title>", "text/html", text},
		"UTF-8 unsaid, later":     {big + "<title>" + text + "</title>", "text/html", text},
		"windows-1252 unsaid":     {"<title>caf\xe9</title>", "text/html", "café"},
		"unknown":                 {"<meta charset=nonsense><title>a</title>", "text/html; charset=nonsense", "a"},
		"the server's word first": {"<meta charset=gbk><title>" + text + "</title>", "text/html; charset=utf-8", text},
		"not what it says":        {"<title>\xff\xfeab\xff</title>", "text/html; charset=utf-8", "\uFFFD\uFFFDab\uFFFD"},
		"a set that hides script": {"<meta charset=iso-2022-cn><title>a</title>", "text/html; charset=hz-gb-2312", ""},
		"UTF-7 is not spoken":     {"+ADw-title+AD4-a+ADw-/title+AD4-", "text/html; charset=utf-7", ""},
	} {
		h, err := readHead(strings.NewReader(c.page), c.contentType)
		if err != nil || h.title() != c.title {
			t.Errorf("%s: %q, %v", name, h.title(), err)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\r\nb\tc\u0085d\u2028e":  "a b c d e",
		"\x00a\x1b[31mb\x7f\u009f": "a[31mb",
		"\u202eabc\u2066d\u2069":   "abcd",
		"a\xffb":                   "a\uFFFDb",
		"\u200b\u0301":             "",
		"   ":                      "",
		"👩‍👩‍👧 fam":                "👩‍👩‍👧 fam",
		"0123456789":               "0123456789",
		"0123456789a":              "012345678…",
		"12345678  9a b":           "12345678…",
		strings.Repeat("汉", 11):    strings.Repeat("汉", 9) + "…",
		strings.Repeat("汉", 10):    strings.Repeat("汉", 10),
		strings.Repeat("a", 5<<20): strings.Repeat("a", 9) + "…",
	} {
		got := oneLine(text, 10)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("%.40q: %q, not %q", text, got, want)
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add("<title>a</title>", "text/html")
	f.Add("<meta property=og:title content='x'>", "text/html; charset=gbk")
	f.Fuzz(func(t *testing.T, page, contentType string) {
		h, err := readHead(strings.NewReader(page), contentType)
		if err != nil {
			return // it can't be read, and says so
		}
		for _, s := range []string{h.title(), h.description(), h.siteName()} {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\u202e\u2028") || utf8.RuneCountInString(s) > mostDescription {
				t.Errorf("%q", s)
			}
		}
	})
}
