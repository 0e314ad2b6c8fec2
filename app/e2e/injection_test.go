package e2e

import (
	"testing"
	"time"
)

// attacks try to run script or to forge events in somebody's page.
var attacks = []string{
	`<script>window.pwned = 1</script>`,
	`<img src=x onerror="window.pwned = 1">`,
	`<div data-on:load="window.pwned = 1" data-init="window.pwned = 1">x</div>`,
	`<b data-effect="window.pwned = 1" data-on-intersect="window.pwned = 1">x</b>`,
	`<form id="composer" data-on-interval="window.pwned = 1"></form><i id="m-1">x</i>`,
	"x\r\revent: datastar-patch-signals\rdata: signals {a:(window.pwned=1)}\r\rx",
	"x\r\n\r\nevent: datastar-patch-elements\r\ndata: elements <i data-init=\"window.pwned=1\"></i>\r\n\r\n",
	"x\n\nevent: datastar-patch-signals\ndata: signals {a:(window.pwned=1)}\n\nid: 999999\nretry: 1\n",
	"x\u2028\u2028event: datastar-patch-signals\u2028data: signals {a:(window.pwned=1)}\u2028\u2028",
	`javascript:window.pwned=1 and [link](javascript:window.pwned=1) and <javascript:window.pwned=1>`,
	`https://example.org/"onmouseover="window.pwned=1 https://example.org/<script>window.pwned=1</script>`,
	"```\"><script>window.pwned = 1</script>\n</code></pre><script>window.pwned=1</script>\n```",
	"`</code><i data-init=\"window.pwned=1\">`",
	`*<i data-init="window.pwned=1">*_<i data-init="window.pwned=1">_`,
	`${window.pwned=1} $pwned @get('/x') {{window.pwned=1}}`,
}

func TestNothingThatIsWrittenRuns(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, `Bob"`)
	ann := guest(t, p, "Ann")
	chinese := guest(t, p, "Carol")
	pages := map[string]*person{"Ann's": ann, "Carol's": chinese}
	var last int64
	for _, attack := range attacks {
		last = bob.say("parlor", attack)
	}
	for i, attack := range attacks { // and by an edit
		bob.edit("parlor", last-int64(len(attacks)-1-i), attack+" again")
	}
	bob.expect(303, "/rooms", map[string][]string{"name": {`<script>window.pwned=1</script>`}, "topic": {`<i data-init="window.pwned=1">`}})
	bob.say("parlor", "the end")
	for whose, v := range pages {
		v.sees("the end")
		for _, path := range []string{"", "/rooms/parlor", "/", "/rooms/parlor/messages/" + formatInt(last)} {
			if path != "" {
				v.goTo(path)
			}
			v.click("body")
			v.frames()
			if v.number(`() => window.pwned ?? 0`) != 0 {
				t.Errorf("something ran on %s page %s", whose, path)
			}
			if got := v.eval(`() => [...document.querySelectorAll('#log script, #log img, #log [onerror], #log form, #log .body [id], #log .body [style], #log a[href^="javascript:" i]')].map(e => e.outerHTML).join('\n')
				+ [...document.querySelectorAll('#log .body *')].filter(e => [...e.attributes].some(a => a.name.startsWith('data-'))).map(e => e.outerHTML).join('\n')`); got != "" {
				t.Errorf("%s page %s has %s", whose, path, got)
			}
		}
	}
	// Opened for editing, the text is a text.
	for _, attack := range attacks[:6] {
		ann.goTo("/rooms/parlor")
		_, err := ann.page.Eval(`attack => { const t = document.querySelector('#composer textarea'); t.value = attack; t.form.requestSubmit() }`, attack)
		ann.must(err)
		ann.until("said", outboxEmpty)
		ann.point("#log > article:last-child")
		ann.click(`#log > article:last-child .tools a[href$="/edit"]`)
		ann.until("the form", `() => document.querySelector('#editing textarea')`)
		ann.frames()
	}
	time.Sleep(300 * time.Millisecond) // data-on-interval
	for whose, v := range pages {
		if v.number(`() => window.pwned ?? 0`) != 0 {
			t.Errorf("something ran on %s page", whose)
		}
	}
}
