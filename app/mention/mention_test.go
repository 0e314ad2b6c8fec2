package mention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parlor/app/chat"
	"parlor/app/markup"
	"parlor/app/mention"
)

// The people of the room, by id.
var room = map[int64]string{
	1: "Ann", 2: "Anna", 3: "Zoë B", 4: "张三", 5: "张 三", 6: "Bob", 7: "🦊", 8: "Mr. Fox", 9: "@home", 10: "민수",
	11: "김", 12: "👍", 13: "O'Neil", 14: "张三丰", 15: "here we go", 16: "Ann_", 17: "Ångström", 18: "さくら", 19: "7", 20: "สมชาย",
}

func folded() map[string]int64 {
	people := make(map[string]int64)
	for id, nickname := range room {
		people[chat.FoldName(nickname)] = id
	}
	return people
}

func TestWhomATextCalls(t *testing.T) {
	for _, c := range []struct {
		typed string
		named string // ids in order; 0: everybody here
	}{
		{"hello", ""},
		{"@Ann", "1"},
		{"@ann and @ANN", "1"},
		{"＠Ann", "1"},
		{"hi @Ann, hi @Bob!", "1 6"},
		{"@Anna", "2"},
		{"@Annabel", ""},
		{"@Ann-Marie", "1"},
		{"@Ann's", "1"},
		{"@Ann2", ""},
		{"@Ann_", "16"},
		{"@Ann_smith", ""},
		{"_@Bob_ **@Ann** ~~@Anna~~", "6 1 2"},
		{"(@Ann)", "1"},
		{"@ Ann", ""},
		{"@\nAnn", ""},
		{"@", ""},
		{"@@Ann", "1"},
		{"@@home", "9"},
		{"@zoë b is here", "3"},
		{"@Zoe\u0308  B", "3"}, // decomposed, two spaces
		{"@Zoë", ""},
		{"@Zoë Bell", ""},
		{"@张三", "4"},
		{"你好@张三你在吗", "4"},
		{"你好＠张三，你在吗", "4"},
		{"@张三丰来了", "14"},
		{"@张 三", "5"},
		{"@张三@Ann@Bob", "4 1 6"},
		{"@Ann你好", "1"},
		{"问@Bob吧", "6"},
		{"@民", ""},
		{"@민수야 @김이", "10 11"},
		{"さっき@さくらさんが", "18"},
		{"@สมชายครับ", "20"},
		{"@🦊", "7"},
		{"@🦊🦊", "7"},
		{"@👍 yes", "12"},
		{"@👍🏽 is somebody else", ""},
		{"@Mr. Fox.", "8"},
		{"@O'Neil's", "13"},
		{"@ångström @A\u030Angstro\u0308m", "17"},
		{"@7", "19"},
		{"@7up", ""},
		{"@here", "0"},
		{"@Here!", "0"},
		{"@在座的各位", "0"},
		{"@herewith", ""},
		{"@here we go", "15"},
		{"@here we go again", "15"},

		// Addresses.
		{"ann@Bob", ""},
		{"write to ann@bob.example", ""},
		{"a.b+c@Bob", ""},
		{"https://social.example/@Ann/1", ""},
		{"see https://social.example/@Ann, @Bob", "6"},
		{"看https://social.example/@Ann，@张三", "4"},
		{"www.example.com/@Ann @Bob", "6"},
		{"ssh://me@Bob", ""},
		{"[@Ann](https://e.example/@Bob)", "1"},

		// Code, quotations, escapes.
		{"`@Ann`", ""},
		{"`@Ann` @Bob", "6"},
		{"`` ` @Ann `` @Bob", "6"},
		{"` @Ann", "1"},
		{"`one\n@Ann` @Bob", "6"},
		{"`one\n\n@Ann` @Bob", "1 6"},
		{"\\`@Ann`", "1"},
		{"```\n@Ann\n```\n@Bob", "6"},
		{"```go\n@Ann\n~~~\n@Bob", ""},
		{"~~~~\n@Ann\n~~~\n@Anna\n~~~~\n@Bob", "6"},
		{"```@Ann```", ""},
		{"    @Ann\n\n@Bob", "6"},
		{"text\n    @Ann", "1"},
		{"- item\n\n    @Ann", "1"},
		{"> @Ann said\n@Bob", "6"},
		{">@Ann", ""},
		{"   > @Ann", ""},
		{"a > @Ann", "1"},
		{"\\@Ann", ""},
		{"\\\\@Ann", "1"},
		{"# @Ann", "1"},
		{"| @Ann | @Bob |", "1 6"},
	} {
		text := mention.Find(c.typed, 32)
		body, ids, here := text.Put(folded())
		var named []string
		if here {
			named = append(named, "0")
		}
		for _, id := range ids {
			named = append(named, fmt.Sprint(id))
		}
		if got := strings.Join(named, " "); got != c.named {
			t.Errorf("%q calls %q, want %q", c.typed, got, c.named)
		}
		same := func(s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(chat.FoldName(s), "@在座", "@here"), "\n", " ")
		}
		if back := markup.Text(body, room); same(back) != same(c.typed) {
			t.Errorf("%q reads %q", c.typed, back)
		}
	}
}

func TestOnlyNamesThatOccurAreLookedFor(t *testing.T) {
	got := mention.Find("@Zoë B, and a@b.c; `@Ann` 你好@张三你", 4).Names()
	for _, want := range []string{"zoë", "zoë b", "zoë b,", "张三", "张三你", "张"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if slices.ContainsFunc(got, func(name string) bool { return strings.HasPrefix(name, "ann") || len([]rune(name)) > 8 || name == "zo" }) {
		t.Errorf("%q", got)
	}
	if names := mention.Find("nobody", 32).Names(); len(names) != 0 {
		t.Errorf("%q", names)
	}
}

func TestMentionsAreBounded(t *testing.T) {
	text := mention.Find(strings.Repeat("@Ann ", 3000), 32)
	body, _, _ := text.Put(folded())
	if n := strings.Count(body, chat.Mention(1)); n != mention.Most {
		t.Errorf("%d mentions", n)
	}
	for _, typed := range []string{
		strings.Repeat("@", 16<<10), strings.Repeat("@张", 4<<10), strings.Repeat("`@", 8<<10), strings.Repeat("a`b``c```@", 1600),
		strings.Repeat("> ", 8<<10), strings.Repeat("```\n", 4<<10), strings.Repeat("http://@", 2<<10), strings.Repeat("\\@", 8<<10),
		strings.Repeat("@\U0001F468\u200D", 2000), "@" + strings.Repeat("ﷺ", 5000), strings.Repeat("- \n", 5000), strings.Repeat("www.@", 3200),
	} {
		text := mention.Find(typed, 32)
		if names := text.Names(); len(names) > 64*mention.Most {
			t.Errorf("%d names in %.20q", len(names), typed)
		}
		if body, _, _ := text.Put(nil); body != typed {
			t.Errorf("%.20q changed to %.20q", typed, body)
		}
	}
}

// One character may stand for eighteen: what is too long for a name already is
// not made longer.
func TestLongNamesAreGivenUp(t *testing.T) {
	usual := testing.AllocsPerRun(1, func() { mention.Find(strings.Repeat("@ab-", 4<<10), 32) })
	long := testing.AllocsPerRun(1, func() { mention.Find(strings.Repeat("@ﷺ", 4<<10), 32) })
	if long > usual {
		t.Errorf("%.0f allocations, where a usual text takes %.0f", long, usual)
	}
}

func FuzzPut(f *testing.F) {
	for _, seed := range []string{"@Ann `@Ann` @张三你", "\\`@`\n\n```\n@Ann", "> @x\n    @Bob\n- @Ann", "a@Ann@Bob www.@x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		body, err := chat.ParseBody(typed, chat.DefaultLimits())
		if err != nil {
			return
		}
		text := mention.Find(body, 32)
		stored, _, _ := text.Put(folded())
		if back := chat.FoldName(markup.Text(stored, room)); back != chat.FoldName(strings.ReplaceAll(body, "＠", "@")) && !strings.Contains(body, "在座") {
			t.Errorf("%q is stored as %q and reads %q", body, stored, back)
		}
	})
}
