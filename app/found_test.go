package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Results show what one reads, not how it was typed; where only that has what
// was looked for, it is shown.
func TestResultsShowReadableText(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "the **bold <i>plan</i>** is [written down](https://docs.example.org/plans)\n\n```go\nfunc main()\n```\n- [x] 讨论过 :tada:")
	const snippet = `the bold &lt;i&gt;<mark>plan</mark>&lt;/i&gt; is written down func main() ☑ 讨论过 🎉`
	a := zoe.search(`"plan"`)
	contains(t, a, 200, snippet)
	lacks(t, a, "**", "```", "docs.example.org")
	contains(t, zoe.search("讨论"), 200, `<mark>讨论</mark>过 🎉`)
	contains(t, zoe.search("docs.example.org"), 200, `[written down](https://<mark>docs.example.org</mark>/plans)`)
	contains(t, zoe.search("from:me"), 200, strings.NewReplacer("<mark>", "", "</mark>", "").Replace(snippet))
	for _, body := range []string{
		strings.Repeat("> ", 2000) + "deep", strings.Repeat("[", 3000) + "brackets", "***", "[](javascript:alert(1)) odd", "<script>alert(1)</script> odd", "| a | b |\n|---|---|\n| table | cell |",
	} {
		zoe.say("parlor", body)
	}
	for _, typed := range []string{"deep", "brackets", "odd", "cell"} {
		a := zoe.search(typed)
		contains(t, a, 200, "<mark>"+typed+"</mark>")
		lacks(t, a, "<script>alert", `href="javascript`)
	}
	contains(t, zoe.search("table"), 200, "a · b <mark>table</mark> · cell")
}

func TestFilesAreFoundByTheirNames(t *testing.T) {
	s := newSite(t)
	zoe, bob := s.guest("Zoe"), s.guest("Bob")
	seq := zoe.send("", zoe.upload("Quarterly-Report_2026.txt", "numbers"), zoe.upload("会议纪要.txt", "words"))
	picture := zoe.send("look", zoe.upload("sunset.png", pngOf(t, 2, 2)))
	link := func(seq int64) string { return fmt.Sprintf(`href="/rooms/parlor/messages/%d#m-%d"`, seq, seq) }
	contains(t, bob.search("quarterly"), 200, link(seq), `<mark>Quarterly</mark>-Report_2026.txt`, "会议纪要.txt")
	contains(t, bob.search("纪要 report"), 200, link(seq), `会议<mark>纪要</mark>.txt`)
	contains(t, bob.search("has:file"), 200, link(seq), link(picture))
	contains(t, bob.search("has:image"), 200, link(picture))
	lacks(t, bob.search("has:image"), link(seq))
	contains(t, bob.search("look sunset"), 200, link(picture))
	contains(t, bob.get("/search?q=sunset", "Accept", "application/json"), 200, `"with":[[{"text":"sunset","hit":true},{"text":".png"}]]`, `"snippet":[{"text":"look"}]`)
	path := fmt.Sprintf("/rooms/parlor/messages/%d", picture)
	if a := zoe.post(path, "body", "see"); a.code != http.StatusSeeOther {
		t.Fatal(a.code, a.body)
	}
	contains(t, bob.search("see sunset"), 200, link(picture))
	zoe.post(path + "/delete")
	lacks(t, bob.search("sunset"), link(picture))
}

func TestTitlesBehindLinksAreFound(t *testing.T) {
	s, web := newSite(t, reachLoopback), newWeb(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	st := bob.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	seq := ann.say("parlor", "look: "+web.URL+"/gardening")
	st.until("Title of gardening")
	contains(t, bob.search(`"title of" look`), 200, "<mark>Title of</mark> gardening", "<mark>look</mark>")
	lacks(t, bob.search("look"), "Title of")
	message, err := s.store.Message(t.Context(), 1, seq)
	if err != nil || len(message.Previews) != 1 {
		t.Fatal(message.Previews, err)
	}
	if a := ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/previews/%d/remove", seq, message.Previews[0].ID)); a.code != http.StatusSeeOther {
		t.Fatal(a.code, a.body)
	}
	lacks(t, bob.search(`"title of"`), `class="results"`)
	contains(t, bob.search("look"), 200, "<mark>look</mark>")
}

// Whoever is mentioned is found by the nickname that one reads there now.
func TestAMentionIsFoundByThePresentNickname(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	bob.say("parlor", "hello")
	ann.say("parlor", "thanks @Bob for it")
	if a := bob.post("/session", "nickname", "Van Gogh"); a.code != http.StatusSeeOther {
		t.Fatal(a.code, a.body)
	}
	for _, typed := range []string{`"van gogh"`, `"@Van Gogh" thanks`} {
		contains(t, ann.search(typed), 200, "@<mark>Van Gogh</mark> for it")
	}
	lacks(t, ann.search(`"van gogh" hello`), `class="results"`) // he is not mentioned there
	lacks(t, ann.search(`-thanks "van gogh"`), `class="results"`)
	for _, typed := range []string{"gogh", "gog", `"thanks van"`, `"gogh for it"`, `"@van gogh"`, `"thanks @van gogh for"`, "-bob thanks", `-"thanks for" it`, "has:mention gogh"} {
		contains(t, ann.search(typed), 200, "thanks", `class="results"`)
	}
	for _, typed := range []string{"bob thanks", "thanks @bob", `"thanks bob"`, `"thanks for"`, "-gogh thanks", `-"van gogh" thanks`, `-"thanks van" it`, `"van for"`} {
		lacks(t, ann.search(typed), `class="results"`)
	}

	// Where a nickname ends, so does a word, also if the text goes on at once.
	han := s.guest("李四")
	han.say("parlor", "来了")
	ann.say("parlor", "请问@李四hello在吗 @here")
	for _, typed := range []string{"李四", "四", "hello", `"李四hello"`, "李四hello在", "here has:mention"} {
		contains(t, ann.search(typed), 200, "请问", `class="results"`)
	}
	han.post("/session", "nickname", "Wang")
	for _, typed := range []string{"wang", "hello", `"wang hello 在吗"`, "-李四 在吗"} {
		contains(t, ann.search(typed), 200, "请问", `class="results"`)
	}
	for _, typed := range []string{"李四", "四", "wanghello", "-wang 在吗"} {
		lacks(t, ann.search(typed), `class="results"`)
	}
	han.post("/session", "nickname", "王五")
	ann.say("parlor", "@王五说得对")
	for _, typed := range []string{"五说", "王五说得对", `"五说得"`, "说得", "对"} {
		contains(t, ann.search(typed), 200, "得", `class="results"`)
	}
}

// An emoji is found as one sees it, however it was typed.
func TestEmojiAreFoundAsTheyAreShown(t *testing.T) {
	s := newSite(t)
	zoe := s.guest("Zoe")
	zoe.say("parlor", "done :tada:, at 10:30: see :nothing:")
	contains(t, zoe.search("🎉 done"), 200, "<mark>done</mark> <mark>🎉</mark>")
	contains(t, zoe.search("nothing"), 200, ":<mark>nothing</mark>:")
	lacks(t, zoe.search("-🎉 done"), `class="results"`)
}
