package e2e

import (
	"fmt"
	"testing"
)

// Whoever comes back to the end, however, stays at the end.
func TestTheEndIsKeptHoweverOneCameThere(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	bob := newClient(t, p, "Bob")
	for i := range 40 {
		bob.say("parlor", fmt.Sprint("message ", i))
	}
	ann.sees("message 39")
	for i, way := range []string{
		`() => { document.querySelector('#scroll').scrollTop = 99 }`,
		`() => { const s = document.querySelector('#scroll'); s.scrollTop = -200; s.scrollBy(0, 5000) }`,
		`() => document.querySelector('#end').scrollIntoView({block: 'end'})`,
	} {
		if _, err := ann.page.Eval(way); err != nil {
			t.Fatal(err)
		}
		ann.until("at the end", `() => document.querySelector('.scroll.at-end')?.scrollTop === 0`)
		text := fmt.Sprint("after way ", i)
		bob.say("parlor", text)
		ann.sees(text)
		ann.until("still at the end", `() => { const s = document.querySelector('#scroll'); return s.scrollTop === 0 && s.classList.contains('at-end') }`)
	}
}

// A long evening at the end: the page keeps its bound and stays the tail, also
// for somebody who writes.
func TestMoreThanAPageHoldsAtTheEnd(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	bob := newClient(t, p, "Bob")
	for i := range 297 {
		bob.say("parlor", fmt.Sprint("message ", i))
	}
	for i := range 8 {
		ann.say(fmt.Sprint("mine ", i))
		bob.say("parlor", fmt.Sprint("answer ", i))
	}
	ann.sees("answer 7")
	ann.sees("mine 7")
	ann.until("300 messages, the newest of them", `() => {
		const seqs = [...document.querySelectorAll('#log.tail > article')].map(a => +a.dataset.seq)
		return seqs.length === 300 && seqs[0] === 14 && seqs.every((seq, i) => seq === 14 + i)
	}`)
}
