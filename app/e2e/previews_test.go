package e2e

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"testing"

	_ "github.com/lib/pq"
)

// menu opens a message's menu and clicks an entry.
func (v *person) menu(seq int64, entry string) {
	v.t.Helper()
	message := "#m-" + formatInt(seq)
	v.find(message + " .tools .more")
	_, err := v.page.Eval(`more => document.querySelector(more).click()`, message+" .tools .more")
	v.must(err)
	v.until("the menu opens", `() => document.querySelector('.menu:popover-open')`)
	v.click(".menu " + entry)
}

// known tells the program's database what is behind an address, as if it had
// been looked up: the program itself asks only public ones.
func (p *program) known(address, title string) {
	p.t.Helper()
	conn, err := sql.Open("postgres", p.database)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	picture := image.NewRGBA(image.Rect(0, 0, 400, 240))
	for i := range picture.Pix {
		picture.Pix[i] = uint8(255 - i%4*20 - i/6000)
	}
	picture.Set(0, 0, color.White)
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		p.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(address))
	if _, err := conn.Exec(`
		insert into previews (url_hash, url, site, title, description, image, image_type, image_width, image_height, image_key, fetched_at)
		values ($1, $2, 'Almanac', $3, $4, $5, 'image/png', 400, 240, 'key', now())`,
		sum[:], address, title, "When to sow beans, and what the old people knew of the moon: a table for every month, and the reasons, as far as there are any.", b.Bytes()); err != nil {
		p.t.Fatal(err)
	}
}

func TestTwoPeopleSeeAPreviewComeAndGo(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.known("https://almanac.example/beans", "Beans")
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.say("see https://almanac.example/beans")
	for _, who := range []*person{ann, bob} {
		who.until("the preview, with its picture", `() => { const img = document.querySelector('#m-1 .preview img');
			return img?.complete && img.naturalWidth === 400 && document.querySelector('#m-1 .preview .title').innerText === 'Beans' }`)
	}
	bob.reload()
	bob.until("it is there after a reload", `() => document.querySelector('#m-1 .preview')`)
	bob.point("#m-1")
	bob.click("#m-1 .tools .more")
	bob.until("Bob can't remove it", `() => document.querySelector('.menu:popover-open') && !document.querySelector('.menu [action*="/previews/"]')`)
	ann.fill("#composer textarea", "being written")
	ann.menu(1, `[action*="/previews/"] button`)
	for _, who := range []*person{ann, bob} {
		who.until("it is gone", `() => document.querySelector('#m-1') && !document.querySelector('.preview')`)
	}
	ann.until("what Ann writes is not touched", `() => document.querySelector('#composer textarea').value === 'being written'`)
	ann.until("and she is told", `() => document.querySelector('#announce').innerText === 'The preview is gone.'`)
	ann.until("for a moment", `() => document.querySelector('#announce').innerText === ''`)
}

func TestTwoPeoplePinAndSave(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Zoë")
	ann.say("the key is under the mat")
	bob.sees("the key is under the mat")
	ann.say("nothing else")
	bob.menu(1, `form[action$="/pin"] button`)
	for _, who := range []*person{ann, bob} {
		who.until("the mark, and the count", `() => document.querySelector('#m-1 .pinned')?.innerText === 'Pinned by Zoë' && document.querySelector('#about .pins > span').innerText === '1'`)
	}
	ann.click("#about .pins")
	ann.until("the list", `() => document.querySelector('dialog[open] .excerpt')?.innerText.includes('under the mat')`)
	ann.click(`dialog form[action$="/unpin"] button`)
	ann.until("off the list", `() => document.querySelector('dialog[open]') && !document.querySelector('dialog .excerpt')`)
	ann.click("dialog .buttons button")
	for _, who := range []*person{ann, bob} {
		who.until("no mark, no count", `() => document.querySelector('#m-1') && !document.querySelector('.pinned, #about .pins')`)
	}

	ann.menu(1, `form[action$="/save"] button`)
	ann.until("told", `() => document.querySelector('#announce').innerText.startsWith('Saved')`)
	ann.menu(1, `form[action$="/unsave"] button`)
	ann.until("told", `() => document.querySelector('#announce').innerText === 'Taken off your list.'`)
	ann.menu(2, `form[action$="/save"] button`)
	ann.until("told", `() => document.querySelector('#announce').innerText.startsWith('Saved')`)
	ann.click(`.hall a[href="/saved"]`)
	ann.until("the list", `() => document.querySelectorAll('.excerpt').length === 1 && document.querySelector('.excerpt').innerText.includes('nothing else')`)
	ann.click(".excerpt")
	ann.until("it leads to the message", `() => document.querySelector('#m-2:target')`)
	bob.goTo("/saved")
	bob.until("Zoë has a list of her own", `() => document.body.innerText.includes('Nothing saved yet')`)
}

func TestPinsAndSavedWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t)
	seq := newClient(t, p, "Bob").say("parlor", "without script")
	ann := without(t, p)
	ann.write("input[name=nickname]", "Ann", false)
	ann.follow(".enter button.send")
	at := fmt.Sprintf("/rooms/parlor/messages/%d", seq)
	ann.visit(at + "/menu")
	ann.follow(`form[action$="/pin"] button`)
	ann.until("pinned", `() => document.querySelector('.pinned')`)
	ann.follow("#about .pins")
	ann.until("the list", `() => document.querySelector('.excerpt')?.innerText.includes('without script')`)
	ann.follow(`form[action$="/unpin"] button`)
	ann.until("unpinned", `() => document.querySelector('#log') && !document.querySelector('.pinned')`)
	ann.visit(at + "/menu")
	ann.follow(`form[action$="/save"] button`)
	ann.visit("/saved")
	ann.follow(`form[action$="/unsave"] button`)
	ann.until("the list is empty", `() => location.pathname === '/saved' && !document.querySelector('.excerpt')`)
}

func TestPreviewsOfARoomAreHiddenWhileTheyAreTurnedOff(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.known("https://almanac.example/beans", "Beans")
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	post := func(path, previews string) {
		t.Helper()
		if answer := ann.eval(`async (path, previews) => (await fetch(path, {method: 'POST', body: new URLSearchParams({name: 'Garden', topic: '', previews})})).status + ''`,
			path, previews); answer != "200" {
			t.Fatal(answer)
		}
	}
	turn := func(previews string) { t.Helper(); post("/rooms/garden", previews) }
	post("/rooms", "on")
	ann.goTo("/rooms/garden")
	ann.say("see https://almanac.example/beans")
	bob.goTo("/rooms/garden")
	zoe := guest(t, p, "Zoe")
	bob.until("the message", `() => document.querySelector('#log > [data-seq]')`)
	zoe.goTo(bob.eval(`() => '/rooms/garden/messages/' + document.querySelector('#log > [data-seq]').dataset.seq + '/thread'`))
	all := []*person{ann, bob, zoe}
	shown := `shown => { const preview = document.querySelector('#log .preview'); return preview && preview.checkVisibility() === shown }`
	for _, who := range all {
		who.until("the preview", shown, true)
	}
	turn("off")
	for _, who := range all {
		who.until("hidden at once", shown, false)
		who.reload()
		who.until("and after a reload", shown, false)
	}
	late := guest(t, p, "Late")
	late.goTo("/rooms/garden")
	late.until("hidden for who comes", shown, false)
	picture := `() => performance.getEntriesByType('resource').some(e => e.name.includes('/previews/')) + ''`
	if late.eval(picture) != "false" {
		t.Error("its picture is loaded, and nobody sees it")
	}
	turn("on")
	for _, who := range append(all, late) {
		who.until("back again", shown, true)
	}
	late.until("with its picture", `() => document.querySelector('#log .preview img').naturalWidth === 400`)
}
