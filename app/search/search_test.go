package search

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var now = time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)

// bare is without the stretch that every lexeme has in front.
func bare(terms string) string { return strings.ReplaceAll(terms, Stretch, "") }

func TestTerms(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ``},
		{"Hello hello, WORLD!", `'hello':1,2 'world':3`},
		{"今天开会", `'今天':1 '天开':2 '开会':3 '会':4`},
		{"讨，论", `'讨':1 '论':2`},
		{"用Go写bug", `'用':1 'go':2 '写':3 'bug':4`},
		{"カラオケ ｶﾗ", `'カラ':1,5 'ラオ':2 'オケ':3 'ケ':4 'ラ':6`},
		{"サーバー", `'サー':1 'ーバ':2 'バー':3 'ー':4`},
		{"한국어 말", `'한국':1 '국어':2 '어':3 '말':4`},
		{"foo_bar v1.2.3 foo.go", `'foo':1,6 'bar':2 'v1':3 '2':4 '3':5 'go':7`},
		{"https://example.com/Some-Path?q=1", `'https':1 'example':2 'com':3 'some':4 'path':5 'q':6 '1':7 '?link'`},
		{"看WWW.a.org me@b.org", `'看':1 'www':2 'a':3 'org':4,7 'me':5 'b':6 '?link'`},
		{"www.a me@b.org", `'www':1 'a':2 'me':3 'b':4 'org':5`}, // an address of mail is no link
		{"Crème BRÛLÉE straße Œuvre øl", `'creme':1 'brulee':2 'strasse':3 'oeuvre':4 'ol':5`},
		{"ＦＵＬＬ ﬁn ①", `'full':1 'fin':2 '1':3`},
		{"ΣΟΦΟΣ σοφος", `'σοφοσ':1,2`},
		{"don't", `'don':1 't':2`},
		{"हिन्दी", `'हिन्दी':1`},
		{"ab\u00adcd e\u200df", `'abcd':1 'ef':2`},
		{"👍🏽 ❤️ 1️⃣", `'👍':1 '❤':2 '1':3`},
		{"a `b` c", `'a':1 'b':2 'c':3 '?code'`},
		{`'; drop \ table`, `'drop':1 'table':2`},
		{"が が", `'が':1,2`}, // the first one in two characters
	} {
		if got := bare(Terms(Said{Text: test.text})); got != test.want {
			t.Errorf("Terms(%q) is\n%s, not\n%s", test.text, got, test.want)
		}
	}
}

func TestWhatIsTypedNeverMakesAMark(t *testing.T) {
	got := bare(Terms(Said{Text: "@42 #7 ?file !crowded '@42' ?link \x01?file"}))
	for _, mark := range []string{"'@", "'#", "'?", "'!"} {
		if strings.Contains(got, mark) {
			t.Errorf("%s has a mark", got)
		}
	}
}

func TestTermsStayWithinPostgresLimits(t *testing.T) {
	for name, text := range map[string]string{
		"one word for ever":  strings.Repeat("a", 1<<20),
		"one word in 4 byte": strings.Repeat("𝒳", 1<<18),
		"many words":         strings.Repeat("a b ", 1<<18),
		"Chinese":            strings.Repeat("的了", 1<<18),
		"expanding":          strings.Repeat("\ufdfa", 1<<18),
		"marks":              "e" + strings.Repeat("\u0301", 1<<18),
		"not text":           strings.Repeat("\xff\x00'\\", 1<<18),
	} {
		v := Terms(Said{Text: text})
		if len(v) > 1<<20 {
			t.Errorf("%s: %d bytes", name, len(v))
		}
		for _, field := range strings.Fields(v) {
			lexeme, positions, _ := strings.Cut(bare(field), ":")
			if len(lexeme) > 2046 {
				t.Errorf("%s: a lexeme of %d bytes", name, len(lexeme))
			}
			if n := strings.Count(positions, ",") + 1; n > mostPositions {
				t.Errorf("%s: a lexeme in %d positions", name, n)
			}
		}
		if strings.Contains(v, ":16384") {
			t.Errorf("%s: a position is too high", name)
		}
		if !utf8.ValidString(v) || strings.Contains(v, "\x00") {
			t.Errorf("%s: no text", name)
		}
	}
}

func TestMatches(t *testing.T) {
	const talk = "今天我们开会讨论聊天应用"
	for _, test := range []struct {
		query, text string
		want        bool
	}{
		{"讨论", talk, true},
		{"聊天应用", talk, true},
		{"会", talk, true},
		{"用", talk, true}, // the last one
		{"今", talk, true},
		{"论文", talk, false},
		{"讨天", talk, false},
		{"会讨 天应", talk, true},
		{"会讨天应", talk, false},        // all its bigrams but one
		{"聊天聊", "天聊聊天", false},       // all its bigrams, not the word
		{"ABAB", "BABA ABAA", false}, // not by parts
		{"讨论", "讨，论", false},
		{"讨 论", talk, true}, // two words of one character
		{"用Go写", "我们用 Go 写服务", true},
		{"go写", "我们用Go写服务", true},
		{"会议room", "会议 Rooms", true}, // the last word may be longer
		{"deploy", "we deployed it", true},
		{"deploy", "redeploy", false},
		{`"deploy"`, "we deployed it", false},
		{`"deploy it"`, "please Deploy: it!", true},
		{`"deploy it"`, "it: deploy", false},
		{"de", "we deployed it", false}, // too short to stand for longer ones
		{"12", "123", false},
		{"foo_bar", "func foo_bar()", true},
		{"foo_bar", "foo and bar", false},
		{"v1.2", "since v1.2.3", true},
		{"foo.go", "see foo.go:12", true},
		{"example.com/path", "https://example.com/path/to", true},
		{"cafe", "Café", true},
		{"CAFÉ", "cafe", true},
		{"strasse", "Straße", true},
		{"ｈｅｌｌｏ", "hello", true},
		{"👍", "ok 👍🏽", true},
		{"今天讨论", "今天**讨论**聊天", true}, // as it reads
		{"code today", "~~code~~ `today`", true},
		{"foo", "bar*foo", true},
		{"سلام", "ســـلام", true},
		{"السلام", "السَّلامُ", true},
		{"don't", "I don’t", true},
		{"istanbul", "İSTANBUL", true},
		{"ısparta", "ISPARTA", true},
		{"naïve@example.org", "mail naive@example.org", true},
		{"1,000.50", "costs 1,000.50", true},
		{"1,000", "costs 1,000.50", true},
		{"1000", "costs 1,000.50", false},
		{"well-known", "well-known", true},
		{"foo_bar.baz", "foo_bar.baz()", true},
		{"สวัสดี", "คำว่าสวัสดีครับ", true},
		{"ｶﾞ", "ガ", true},
		{"かが", "かか", false},
		{"한국", "한국어를", true},
		{"한", "\u1112\u1161\u11ab", true}, // the same in three characters
		{"𠮷野", "𠮷野家", true},
		{"討論", "讨论", false}, // other characters, as in README.md
		{"React组件", "React 组件", true},
		{"می\u200cخواهم", "می\u200cخواهم", true},
		{"👨‍👩‍👧", "the 👨‍👩‍👧 is here", true},
		{"👩‍👧", "the 👨‍👩‍👧 is here", true}, // by its parts
		{"🇨🇳", "🇨🇳!", true},
		{"-redis cache", "the cache", true},
		{"-redis cache", "the redis cache", false},
		{"－讨论 今天", talk, false},
		{`-"the cache" cache`, "a cache", true},
		{`-"the cache" cache`, "the cache", false},
		{"-deploy it", "deployed it", true}, // excluded words are exact
		{"", "anything", true},
	} {
		if got := Parse(test.query, now).Matches(Said{Text: test.text}); got != test.want {
			t.Errorf("%q in %q: %v", test.query, test.text, got)
		}
	}
}

func TestParseFilters(t *testing.T) {
	day := func(year, month, day int) time.Time {
		return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	}
	for _, test := range []struct {
		typed string
		want  Query
	}{
		{"from:Zoe in:general", Query{From: []string{"Zoe"}, In: []string{"general"}}},
		{"from:@Zoe FROM:me in:#一般", Query{From: []string{"Zoe", Me}, In: []string{"一般"}}},
		{`from:"Zhang San" from:“张 三” 来自：我`, Query{From: []string{"Zhang San", "张 三", Me}}},
		{"-from:@Zoe －来自：“张 三” -in:#general -has:links -has:pin a -from:me", Query{
			NotFrom: []string{"Zoe", "张 三", Me}, NotIn: []string{"general"}, HasNot: []Has{HasLink, HasPin},
		}},
		{"before:2026-11-03", Query{Before: day(2026, 11, 3)}},
		{"after:2026-11", Query{After: day(2026, 11, 1)}},
		{"on:2025", Query{After: day(2025, 1, 1), Before: day(2026, 1, 1)}},
		{"on:today", Query{After: day(2026, 11, 28), Before: day(2026, 11, 29)}},
		{"on:昨天", Query{After: day(2026, 11, 27), Before: day(2026, 11, 28)}},
		{"日期：2026年2月28日", Query{After: day(2026, 2, 28), Before: day(2026, 3, 1)}},
		{"after:2026-12 before:2027/1/5", Query{After: day(2026, 12, 1), Before: day(2027, 1, 5)}},
		{"on:2026-12", Query{After: day(2026, 12, 1), Before: day(2027, 1, 1)}},
		{"after:2026 after:2025 before:2028 before:2027", Query{After: day(2026, 1, 1), Before: day(2027, 1, 1)}},
		{"has:link has:图片 has:link has:pins", Query{Has: []Has{HasLink, HasImage}}},
	} {
		q := Parse(test.typed, now)
		q.Wanted = nil
		if !reflect.DeepEqual(q, test.want) {
			t.Errorf("%q is %+v", test.typed, q)
		}
	}
}

// In some places clocks change at midnight.
func TestDaysWithoutAMidnightOrWithTwo(t *testing.T) {
	for _, test := range []struct{ zone, day, from, to string }{
		{"Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"},
		{"America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"},
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"Africa/Cairo", "2026-10-30", "2026-10-29T22:00:00Z", "2026-10-30T22:00:00Z"},
		{"Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15:00Z", "2026-01-01T18:15:00Z"},
		{"Pacific/Kiritimati", "2026-01-01", "2025-12-31T10:00:00Z", "2026-01-01T10:00:00Z"},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		from, to, ok := Days(test.day, now.In(zone))
		if got := from.UTC().Format(time.RFC3339) + " " + to.UTC().Format(time.RFC3339); !ok || got != test.from+" "+test.to {
			t.Errorf("%s in %s is %s", test.day, test.zone, got)
		}
	}
}

func TestWhatIsNoFilterIsText(t *testing.T) {
	for typed, want := range map[string]string{
		"from:":                 `'from'`,
		"from: zoe":             `'from':* & 'zoe':*`,
		"before:tomorrow":       `('before' <-> 'tomorrow':* | '!crowded' & 'before' & 'tomorrow':*)`,
		"on:2026-02-30":         `('on' <-> '2026' <-> '02' <-> '30' | '!crowded' & 'on' & '2026' & '02' & '30')`,
		"on:99999":              `('on' <-> '99999' | '!crowded' & 'on' & '99999')`,
		"has:everything":        `('has' <-> 'everything':* | '!crowded' & 'has' & 'everything':*)`,
		"http://x.org":          `('http' <-> 'x' <-> 'org':* | '!crowded' & 'http' & 'x' & 'org':*)`,
		"-on:2026":              `!('on' <-> '2026')`,
		"note:this":             `('note' <-> 'this':* | '!crowded' & 'note' & 'this':*)`,
		`"never closed`:         `('never' <-> 'closed' | '!crowded' & 'never' & 'closed')`,
		`"" "" - -- -" ":`:      ``,
		"()&|!<->:*":            ``,
		`it's \ 'quoted' a:*&b`: `('it' <-> 's' | '!crowded' & 'it' & 's') & 'quoted':* & ('a' <-> 'b' | '!crowded' & 'a' & 'b')`,
		"\xff\xfe\x00zoe":       `'zoe':*`,
		"讨论 会":                  `'讨论' & '会':*`,
		"聊天应用":                  `('聊天' <-> '天应' <-> '应用' | '!crowded' & '聊天' & '天应' & '应用')`,
	} {
		if typed == "from:" {
			want = `'from':*`
		}
		if got := bare(Parse(typed, now).TSQuery()); got != want {
			t.Errorf("%q is %s, not %s", typed, got, want)
		}
	}
}

func TestTSQueryHasWhatTheTextShows(t *testing.T) {
	q := Parse("cache -redis from:zoe has:link has:file has:reaction", now)
	if got, want := bare(q.TSQuery()), `'cache':* & '?link' & '?file' & !('redis')`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if got, want := Beside(q.Has), []string{"reaction"}; !slices.Equal(got, want) {
		t.Errorf("beside: %v, not %v", got, want)
	}
	if got, want := bare(Parse("-has:code a -has:pin", now).TSQuery()), `'a' & !'?code'`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	for typed, want := range map[string]bool{"a": true, "-a": false, "has:link": true, "has:file": true, "has:pin": false, "from:zoe": false, "": false} {
		if got := Parse(typed, now).Wants(); got != want {
			t.Errorf("%q wants something: %v", typed, got)
		}
	}
}

func TestQueriesAreBounded(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("a ", 1<<20), strings.Repeat("讨论", 1<<20), strings.Repeat(`"`, 1<<20),
		strings.Repeat("-a ", 1<<20), strings.Repeat("from:x ", 1<<20), strings.Repeat("a_", 1<<20),
		strings.Repeat("a", 1<<20), strings.Repeat("\ufdfa ", 1<<20),
	} {
		q := Parse(typed, now)
		n := 0
		for _, p := range slices.Concat(q.Wanted, q.Excluded) {
			n += len(p.tokens)
		}
		if n > mostTokens || len(q.Wanted)+len(q.Excluded) > mostPhrases || len(q.From) > mostFilters {
			t.Errorf("%.10q: %d tokens in %d phrases", typed, n, len(q.Wanted))
		}
		if s := q.TSQuery(); len(s) > 16<<10 {
			t.Errorf("%.10q: a query of %d bytes", typed, len(s))
		}
	}
}

func marked(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Hit {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

func TestSnippet(t *testing.T) {
	long := strings.Repeat("filler ", 100)
	for _, test := range []struct{ query, text, want string }{
		{"讨论", "今天我们开会讨论聊天应用", "今天我们开会[讨论]聊天应用"},
		{"cafe", "one Café, two\n\n cafés", "one [Café], two [cafés]"},
		{"聊天 天应", "聊天应用", "[聊天应]用"},
		{"-two one", "one three", "[one] three"},
		{"from:zoe", "all of it", "all of it"},
		{"absent", "all of it", "all of it"},
		{"strasse", "die Straße hier", "die [Straße] hier"},
		{"needle", long + "needle " + long, "…" + strings.Repeat("filler ", 8) + "[needle] " + strings.Repeat("filler ", 24) + "filler…"},
		{"<b>", "<b>bold</b> & b", "<[b]>bold</[b]> & [b]"},
	} {
		if got := marked(Snippet(Parse(test.query, now), test.text)); got != test.want {
			t.Errorf("%q in %.40q:\n%s, not\n%s", test.query, test.text, got, test.want)
		}
	}
}

func TestSnippetsCutWholeCharacters(t *testing.T) {
	family, flag, accented := "👨‍👩‍👧", "🇨🇳", "e\u0301\u0323"
	for _, unit := range []string{family, flag, accented, "字", "𝒳", strings.Repeat("long", 80)} {
		for pad := range 8 {
			many := strings.Repeat(unit, 12000/len(unit))
			text := strings.Repeat("x", pad) + many + " needle " + many
			got := marked(Snippet(Parse("needle", now), text))
			if !utf8.ValidString(got) || !strings.Contains(got, "[needle]") {
				t.Fatalf("%q: %q", unit, got)
			}
			if utf8.RuneCountInString(got) > snippetLength+4 {
				t.Errorf("%q: %d characters", unit, utf8.RuneCountInString(got))
			}
			if unit[0] == 'l' {
				continue // there is no whole word to show
			}
			inside := strings.Trim(strings.ReplaceAll(got, "[needle]", ""), "… x")
			if rest := strings.TrimSpace(strings.ReplaceAll(inside, unit, "")); rest != "" {
				t.Errorf("%q is cut: %q remains of %q", unit, rest, got)
			}
		}
	}
}

// What a message brings along is found like its text, and nothing is found that
// goes from one into the other.
func TestWhatComesWithAMessageIsFound(t *testing.T) {
	m := Said{Text: "see the plan", Files: []string{"Quarterly-Report_2026.pdf", "会议纪要.docx"}, Images: true, Titles: []string{"Gärtnern für alle – Übersicht"}}
	if got, want := bare(Terms(m)), `'see':1 'the':2 'plan':3 'quarterly':5 'report':6 '2026':7 'pdf':8 '会议':10 '议纪':11 '纪要':12 '要':13 'docx':14 `+
		`'gartnern':16 'fur':17 'alle':18 'ubersicht':19 '?file' '?image'`; got != want {
		t.Errorf("%s, not\n%s", got, want)
	}
	for typed, want := range map[string]bool{
		"quarter": true, "report_2026.pdf": true, `"plan quarterly"`: false, "纪要": true, "议要": false, "要": true, "plan 会议 gärtnern": true,
		`"pdf 会议"`: false, "-report plan": false, "-ubersicht plan": false, "has:file": true, "-has:file": false, "-has:link plan": true, "has:image plan": true, "has:link plan": false, "has:code": false, "has:reply": false, "has:mention": false,
	} {
		if got := Parse(typed, now).Matches(m); got != want {
			t.Errorf("%s: %v", typed, got)
		}
	}
	if got := bare(Terms(Said{Text: "yes", Reply: true})); got != `'yes':1 '?reply'` {
		t.Error(got)
	}
	if got := bare(Terms(Said{Text: "?file"})); got != `'file':1` {
		t.Error(got)
	}
	if Parse("has:image", now).Matches(Said{Files: []string{"a.txt"}}) || Parse("has:file", now).Matches(Said{Titles: []string{"a"}}) {
		t.Error("it has not what is found in it")
	}
	long := Said{Text: strings.Repeat("a ", MostText/2), Files: []string{strings.Repeat("b ", 2000)}}
	if v := Terms(long); len(v) > 1<<20 || strings.Contains(v, ":16384") || !strings.Contains(v, crowded) {
		t.Error("a long message has terms without bounds")
	}
}

func TestSnippetTakesTheTextThatHasIt(t *testing.T) {
	for typed, want := range map[string]string{"bold": "[bold] words", "words": "bold [words]", "address": "**bold** words at [address]", "else": "bold words", "": "bold words"} {
		if got := marked(Snippet(Parse(typed, now), "bold words", "**bold** words at address")); got != want {
			t.Errorf("%s: %s, not %s", typed, got, want)
		}
	}
	if got := Snippet(Parse("x", now), "", " "); got != nil {
		t.Errorf("%v of nothing", got)
	}
	if got := marked(Snippet(Parse("x", now), " ", "a name")); got != "a name" {
		t.Error(got)
	}
}

// What is random here shows what nobody thought of: nothing may panic, and a
// piece of a text must be found in it.
func TestAnyPieceOfATextIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("ab讨论天用 ,.-'\"\\:éßカー\u0301한👍\u200d\n_１9")
	for range 3000 {
		text := make([]rune, 1+r.IntN(40))
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		s := string(text)
		toks := tokens(s)
		if len(toks) == 0 {
			continue
		}
		from := r.IntN(len(toks))
		to := from + 1 + r.IntN(len(toks)-from)
		piece := s[toks[from].start:toks[to-1].end]
		q := Parse(`"`+strings.ReplaceAll(piece, `"`, " ")+`"`, now)
		if len(q.Wanted) > 0 && !q.Matches(Said{Text: s}) {
			t.Errorf("%q is not found in %q", piece, s)
		}
		for _, p := range Snippet(q, s) {
			if !utf8.ValidString(p.Text) {
				t.Errorf("a snippet of %q is no text: %q", s, p.Text)
			}
		}
		Terms(Said{Text: s})
		Parse(s, now).TSQuery()
	}
}

func BenchmarkTerms(b *testing.B) {
	text := strings.Repeat("今天我们开会讨论聊天应用 and then we deployed v1.2 of it. ", 4)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Terms(Said{Text: text})
	}
}
