package e2e

import (
	"net/http"
	"testing"

	"github.com/go-rod/rod/lib/proto"
)

func TestPagingThroughALongHistory(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 700, "number %d")
	ann := guest(t, p, "Ann")
	articles := `() => document.querySelectorAll('#log > article').length`
	all := stored(t, p, "parlor")
	check := func() {
		t.Helper()
		if wrong := window(ann.shown(), stored(t, p, "parlor")); wrong != "" {
			t.Fatalf("the page is not a piece of the history: %s", wrong)
		}
		if n := ann.number(articles); n > 300 {
			t.Fatalf("%v messages on the page", n)
		}
	}
	check()
	for pages := 0; ; pages++ {
		ann.goUp()
		check()
		if pages == 2 { // while the page still holds the end
			bob.say("parlor", "meanwhile 1")
			ann.until("the pill counts", `() => (`+pillText+`)() === '1 new below ↓'`)
		}
		if pages == 7 { // and when it does not
			bob.say("parlor", "meanwhile 2")
			ann.until("the pill counts", `() => (`+pillText+`)() === '2 new below ↓'`)
			check()
		}
		if ann.shown()[0] == all[0] {
			break
		}
		if pages > 20 {
			t.Fatal("the beginning is never reached")
		}
	}
	ann.until("the beginning says so", `() => document.querySelector('#older.none .beginning')?.offsetHeight > 0`)
	if ann.number(articles) != 300 {
		t.Errorf("%v messages on the page", ann.number(articles))
	}

	// And down again, to the end.
	for pages := 0; ; pages++ {
		last := ann.number(`() => Number(document.querySelector('#log > article:last-child').dataset.seq)`)
		_, err := ann.page.Eval(`() => { document.getElementById('scroll').scrollTop = 0 }`)
		ann.must(err)
		bottom := ann.bottom()
		ann.until("newer messages", `last => Number(document.querySelector('#log > article:last-child').dataset.seq) > last`, last)
		check()
		if ann.number(`() => document.querySelectorAll('#log.tail').length`) == 1 {
			break // in sight of the end, where there is no place to keep
		}
		ann.stays(bottom)
		if pages > 20 {
			t.Fatal("the end is never reached")
		}
	}
	_, err := ann.page.Eval(`() => { document.getElementById('scroll').scrollTop = 0 }`)
	ann.must(err)
	ann.until("the pill goes away", `() => (`+pillText+`)() === ''`)
	ann.isEnd("parlor", 250)
	bob.say("parlor", "live")
	ann.sees("live")
}

// bottom is the last message in sight.
func (v *person) bottom() place {
	v.t.Helper()
	seq := v.number(`() => {
		const end = document.getElementById('scroll').getBoundingClientRect().bottom;
		return Number([...document.querySelectorAll('#log > article')].findLast(a => a.getBoundingClientRect().bottom < end + 1).dataset.seq) }`)
	return place{Seq: int64(seq), Y: v.number(`seq => document.querySelector('#m-' + seq + ' :is(.body, .tombstone)').getBoundingClientRect().top`, seq)}
}

func TestTheWheelLeadsThroughHistory(t *testing.T) {
	t.Parallel()
	p := start(t)
	newClient(t, p, "Bob").fillRoom("parlor", 180, "number %d")
	ann := guest(t, p, "Ann")
	ann.must(ann.page.Mouse.MoveTo(proto.NewPoint(500, 300)))
	for turns := 0; ann.texts()[0] != "number 1"; turns++ {
		if turns > 100 {
			t.Fatal("the beginning is never reached")
		}
		ann.must(ann.page.Mouse.Scroll(0, -900, 3))
		ann.frames()
	}
	ann.isWindow("parlor")
	if n := len(ann.shown()); n != 180 {
		t.Errorf("%d messages on the page", n)
	}
}

func TestAPermalinkShowsTheMessageInItsContext(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 300, "number %d")
	seq := stored(t, p, "parlor")[149].Seq
	ann := guest(t, p, "Ann")
	ann.must(proto.BrowserGrantPermissions{
		Permissions:      []proto.BrowserPermissionType{proto.BrowserPermissionTypeClipboardReadWrite, proto.BrowserPermissionTypeClipboardSanitizedWrite},
		BrowserContextID: ann.browser.BrowserContextID,
	}.Call(ann.browser))
	ann.goTo("/rooms/parlor/messages/" + formatInt(seq))
	inSight := `seq => {
		const r = document.querySelector('#m-' + seq + ':target')?.getBoundingClientRect(), s = document.getElementById('scroll').getBoundingClientRect();
		return r && r.top >= s.top - 1 && r.bottom <= s.bottom + 1 }`
	ann.until("the message is highlighted and in sight", inSight, seq)
	ann.isWindow("parlor")
	if shown := ann.shown(); shown[0].Seq >= seq || shown[len(shown)-1].Seq <= seq {
		t.Errorf("no context: %d to %d", shown[0].Seq, shown[len(shown)-1].Seq)
	}
	bob.say("parlor", "new at the end")
	ann.until("the pill counts", `() => (`+pillText+`)() === '1 new below ↓'`)
	ann.isWindow("parlor")

	// Its link can be copied, and leads here again.
	ann.menu(seq, ".copy")
	ann.until("copied", `() => document.querySelector('#announce').innerText === 'Link copied'`)
	link := ann.eval(`() => navigator.clipboard.readText()`)
	if want := p.url("/rooms/parlor/messages/" + formatInt(seq) + "#m-" + formatInt(seq)); link != want {
		t.Errorf("copied %q, want %q", link, want)
	}
	ann.click(".foot .pill")
	ann.isEnd("parlor", 50)
	ann.until("the page is at the end", `() => document.querySelector('.scroll.at-end #log.tail')`)

	ann.allow("status of 404")
	ann.goTo("/rooms/parlor/messages/999999")
	ann.until("what there is not has a page that says so", `() => document.body.innerText.includes('There is no such message')`)
}

// The clipboard may be forbidden; the link is followed then.
func TestALinkThatCannotBeCopiedIsFollowed(t *testing.T) {
	t.Parallel()
	p := start(t)
	seq := newClient(t, p, "Bob").say("parlor", "here")
	ann := guest(t, p, "Ann")
	_, err := ann.page.Eval(`() => { navigator.clipboard.writeText = () => Promise.reject(new Error('forbidden')) }`)
	ann.must(err)
	ann.menu(seq, ".copy")
	ann.until("the address has it", `seq => location.pathname.endsWith('/messages/' + seq)`, seq)
}

// An edit that falls between the reading of a page of history and its arrival
// is on the page all the same.
func TestAnEditDuringPagingIsNotLost(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 120, "number %d")
	all := stored(t, p, "parlor")
	d := newDesk(t, p)
	ann := guest(t, p.through(d.addr), "Ann")
	held, release := d.holdNext(func(r *http.Request) bool { return r.URL.Query().Has("before") })
	ann.toTop()
	<-held
	edited, deleted := all[40].Seq, all[41].Seq // on the page that is on its way
	bob.edit("parlor", edited, "edited in between")
	bob.delete("parlor", deleted)
	bob.say("parlor", "said in between")
	ann.sees("said in between") // so the stream is beyond the edit
	release()
	ann.until("the page arrived", `seq => document.getElementById('m-' + seq)`, edited)
	ann.until("with the edit", `seq => document.querySelector('#m-' + seq + ' .body').innerText.trim() === 'edited in between'`, edited)
	ann.until("and the deletion", `seq => document.querySelector('#m-' + seq + ' .tombstone')`, deleted)
	ann.isWindow("parlor")
}

// The way back to the end, with a message that is said while it is on its way.
func TestAMessageDuringTheWayBackIsNotLost(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	bob.fillRoom("parlor", 150, "number %d")
	all := stored(t, p, "parlor")
	d := newDesk(t, p)
	ann := guest(t, p.through(d.addr), "Ann")
	ann.goTo("/rooms/parlor/messages/" + formatInt(all[30].Seq))
	ann.until("not the end", `() => !document.querySelector('#log.tail')`)
	held, release := d.holdNext(func(r *http.Request) bool {
		return r.URL.Path == "/rooms/parlor" && r.Header.Get("Datastar-Request") != ""
	})
	ann.click(".foot .pill")
	<-held
	bob.say("parlor", "said in between")
	bob.edit("parlor", all[149].Seq, "edited in between")
	ann.until("the stream is beyond it", `() => (`+pillText+`)() === '1 new below ↓'`)
	release()
	ann.isEnd("parlor", 50)
	ann.sees("said in between")
	ann.sees("edited in between")
	bob.say("parlor", "live")
	ann.sees("live")
	ann.isEnd("parlor", 50)
}
