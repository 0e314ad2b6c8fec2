package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/go-rod/rod/lib/proto"
)

// newer says how many new messages the pill counts.
const pillText = `() => { const pill = document.querySelector('.foot .pill'); return getComputedStyle(pill).display === 'none' ? '' : pill.innerText }`

const olderLoaded = `first => Number(document.querySelector('#log > article')?.dataset.seq) < first`

// goUp scrolls to the upper edge and waits for what is before. It returns
// where the top message was.
func (v *person) goUp() {
	v.t.Helper()
	var first = v.number(`() => Number(document.querySelector('#log > article').dataset.seq)`)
	was := v.toTop()
	v.until("older messages", olderLoaded, first)
	v.stays(was)
}

func (v *person) toTop() place {
	v.t.Helper()
	_, err := v.page.Eval(`() => { document.getElementById('scroll').scrollTop = -1e7 }`)
	v.must(err)
	return v.top()
}

func TestFiveHundredMissedMessages(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 220, "early %d")
	w := newWire(t, p)
	ann := guest(t, p.through(w.addr()), "Ann")     // at the end
	carol := guest(t, p.through(w.addr()), "Carol") // in old history
	for _, v := range []*person{ann, carol} {
		_, err := v.page.Eval(`() => { window.marker = 'mine' }`)
		v.must(err)
	}
	carol.goUp()
	carol.goUp()
	_, err := carol.page.Eval(`() => { document.getElementById('scroll').scrollTop += 400 }`)
	carol.must(err)
	carol.frames()
	was, before := carol.top(), carol.shown()

	w.cut()
	bob.fillRoom("parlor", 500, "missed %d")
	changed, gone := before[len(before)/2].Seq, before[len(before)/2+3].Seq
	bob.edit("parlor", changed, "edited meanwhile")
	bob.edit("parlor", changed, "edited twice meanwhile")
	bob.delete("parlor", gone)
	w.join()

	// At the end: the newest page, and a word about the rest.
	ann.until("the divider", `() => document.querySelector('#history .missed')?.innerText.includes('500 messages while you were away')`)
	ann.isEnd("parlor", 50)
	if got := len(ann.shown()); got != 50 {
		t.Errorf("the newest page has %d messages", got)
	}
	bob.say("parlor", "live again")
	ann.sees("live again")
	if got := ann.number(`() => document.getElementById('scroll').scrollTop`); got < -2 {
		t.Errorf("a reader at the end is %v pixels away from it", got)
	}

	// In old history: the same page at the same place, only true again.
	carol.until("the edit", `seq => document.querySelector('#m-' + seq + ' .body')?.innerText.trim() === 'edited twice meanwhile'`, changed)
	carol.until("the deletion", `seq => document.querySelector('#m-' + seq + ' .tombstone')`, gone)
	carol.until("not the end any more", `() => !document.querySelector('#log.tail')`)
	carol.stays(was)
	carol.isWindow("parlor")
	if got, want := len(carol.shown()), len(before); got != want {
		t.Errorf("the old page shows %d messages, showed %d", got, want)
	}
	carol.until("the pill counts", `() => (`+pillText+`)() === '501 new below ↓'`)
	carol.click(".foot .pill")
	carol.isEnd("parlor", 50)
	carol.until("at the end", `() => document.querySelector('.scroll.at-end #log.tail') && (`+pillText+`)() === ''`)
	bob.say("parlor", "live for all")
	carol.sees("live for all")
	ann.sees("live for all")
	for _, v := range []*person{ann, carol} {
		if v.eval(`() => window.marker ?? ''`) != "mine" {
			t.Error("the page was loaded afresh")
		}
	}

	// The divider's link leads to the first of them, in sight.
	ann.click("#history .missed a")
	ann.until("the first missed message is in sight", `() => {
		const m = [...document.querySelectorAll('#log > article')].find(a => a.querySelector('.body').innerText.trim() === 'missed 1');
		const r = m?.getBoundingClientRect(), s = document.getElementById('scroll').getBoundingClientRect();
		return r && r.top >= s.top - 1 && r.bottom <= s.bottom }`)
	ann.live() // all of the page is there
	ann.isWindow("parlor")
}

// A reader in old history whose page still holds the newest end.
func TestWhoReadsAboveTheEndKeepsTheirPlace(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 60, "early %d")
	ann := guest(t, p, "Ann")
	_, err := ann.page.Eval(`() => { document.getElementById('scroll').scrollTop = -500 }`)
	ann.must(err)
	ann.until("away from the end", `() => !document.querySelector('.scroll.at-end')`)
	ann.frames()
	was := ann.top()
	for i := 1; i <= 30; i++ {
		bob.say("parlor", fmt.Sprintf("new %d\nof two lines", i))
	}
	ann.until("the pill counts", `() => (`+pillText+`)() === '30 new below ↓'`)
	ann.stays(was)
	bob.edit("parlor", ann.shown()[0].Seq, strings.Repeat("a much longer text above ", 40))
	ann.until("the edit", `() => document.querySelector('#log > article .edited')`)
	ann.stays(was)
	ann.click(".foot .pill")
	ann.until("at the end", `() => document.querySelector('.scroll.at-end') && (`+pillText+`)() === ''`)
	ann.isEnd("parlor", 80)
}

func TestAShortGapIsFilledInPlace(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 10, "early %d")
	w := newWire(t, p)
	ann := guest(t, p.through(w.addr()), "Ann")
	for round := range 3 {
		w.cut()
		bob.fillRoom("parlor", 40, "round "+strconv.Itoa(round)+" %d")
		bob.edit("parlor", ann.shown()[0].Seq, fmt.Sprint("edited ", round))
		w.join()
		ann.isEnd("parlor", 10+40*(round+1))
	}
	ann.until("the banner is gone", offlineGone)
	if got := ann.number(`() => document.querySelectorAll('.missed').length`); got != 0 {
		t.Error("a divider stands where nothing was left out")
	}
}

// After a gap changes may come that the page has already. What our modules wrote
// into messages (a time's title, the heading of a day, the divider) stays, and
// not only where the reader's time is another than what the server writes.
func TestWhatComesAgainChangesNothing(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob, ann := newClient(t, p, "Bob"), guest(t, p, "Ann")
	ann.must(proto.EmulationSetTimezoneOverride{TimezoneID: "UTC"}.Call(ann.page))
	ann.goTo("/rooms/parlor")
	bob.say("parlor", "the first of the day")
	ann.sees("the first of the day")
	ann.reads()
	ann.hide(true)
	bob.say("parlor", "new")
	ann.sees("new")
	ann.hide(false)
	ann.shows("the divider is above", mark, "new")
	is := ann.eval(`async () => {
		const log = () => document.querySelector('#log').innerHTML, before = log();
		for (const written of ['[data-day]', '[data-new]', 'time[title]'])
			if (!document.querySelector('#log ' + written)) return 'no ' + written;
		const page = new DOMParser().parseFromString(await (await fetch(location)).text(), 'text/html');
		for (const {outerHTML: elements} of page.querySelectorAll('#log > article'))
			document.dispatchEvent(new CustomEvent('datastar-fetch', {detail: {type: 'datastar-patch-elements', el: document.body, argsRaw: {elements}}}));
		if (log() === before) return 'the patches did nothing';
		await new Promise(requestAnimationFrame);
		return log() === before ? '' : log();
	}`)
	if is != "" {
		t.Errorf("after the patches: %s", is)
	}
}
