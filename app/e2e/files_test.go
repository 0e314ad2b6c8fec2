package e2e

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
)

// photo is a JPEG file of a colour that turns into another.
func photo(t testing.TB, name string, width, height int, c color.RGBA) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{c.R, byte(255 * x / width), byte(255 * y / height), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return file(t, name, b.String())
}

func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pick chooses files in the composer and does not wait for them.
func (v *person) pick(paths ...string) {
	v.t.Helper()
	v.must(v.find(".attach input").SetFiles(paths))
}

// pickPlain is pick in a browser without script.
func (v *person) pickPlain(paths ...string) {
	v.t.Helper()
	document, err := proto.DOMGetDocument{}.Call(v.page)
	v.must(err)
	field, err := proto.DOMQuerySelector{NodeID: document.Root.NodeID, Selector: ".attach input"}.Call(v.page)
	v.must(err)
	v.must(proto.DOMSetFileInputFiles{Files: paths, NodeID: field.NodeID}.Call(v.page))
}

// attached waits until so many files are above the composer, all there.
func (v *person) attached(n int) {
	v.t.Helper()
	v.until(fmt.Sprintf("%d files attached", n), `n => document.querySelectorAll('#composer .attachment').length === n && !document.querySelector('.up, .bad')`, n)
}

// hand gives files to the page as a drop or from the clipboard.
const hand = `(kind, name, type, text) => {
	const data = new DataTransfer(), at = document.querySelector('#log');
	data.items.add(new File([text], name, {type}));
	const to = (event) => at.dispatchEvent(Object.assign(event, {}));
	if (kind === 'paste') return '' + to(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
	to(new DragEvent('dragover', {dataTransfer: data, bubbles: true, cancelable: true}));
	if (kind === 'dragover') return '';
	return '' + to(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
}`

func TestFilesArePickedDroppedPastedAndSeenByBoth(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.pick(photo(t, "sunset.jpg", 1200, 800, color.RGBA{R: 240}), file(t, "notes.txt", "two cups"))
	ann.attached(2)
	ann.eval(hand, "dragover", "x.txt", "text/plain", "x")
	ann.until("says where to drop", `() => getComputedStyle(document.querySelector('main'), '::after').content.includes('Drop files')`)
	ann.eval(hand, "drop", "dropped.txt", "text/plain", "dropped here")
	ann.attached(3)
	ann.until("the hint is gone", `() => !document.querySelector('.dropping')`)
	if ann.eval(hand, "paste", "image.png", "image/png", "no real picture") != "false" {
		t.Error("the paste went on")
	}
	ann.attached(4)
	// One is taken back.
	ann.click("#composer .attachment:nth-child(3) .remove")
	ann.attached(3)
	if focused := ann.eval(`() => document.activeElement.id`); focused != "message" {
		t.Errorf("focus is at %q", focused)
	}
	ann.say("what a day")
	for _, v := range []*person{ann, bob} {
		v.sees("what a day")
		v.until("sees the files", `() => document.querySelectorAll('#log .files li').length === 3 && document.querySelector('#log img[alt="sunset.jpg"]').naturalWidth > 0`)
		if strings.Contains(v.log(), "dropped.txt") {
			t.Error("what was taken back was sent")
		}
	}
	ann.until("the composer is empty", `() => !document.querySelector('#composer .attachment') && document.querySelector('#message').value === ''`)
	// The picture's place was as large before it came.
	if size := bob.eval(`() => { const i = document.querySelector('#log img'), w = i.getBoundingClientRect(); i.removeAttribute('src'); const e = i.getBoundingClientRect(); return [w.width, w.height, e.width, e.height].map(Math.round).join(' ') }`); size != "360 240 360 240" {
		t.Errorf("with and without the picture: %s", size)
	}
	// A file alone is a message, too; and its deletion takes the file along.
	ann.pick(file(t, "alone.txt", "alone"))
	ann.attached(1)
	ann.click("#composer .send")
	bob.until("sees the file", `() => document.querySelector('#log a[download="alone.txt"]')`)
	link := bob.eval(`() => document.querySelector('#log a[download="alone.txt"]').href`)
	fetched := `async url => (await fetch(url, {cache: 'no-store'})).status + ''`
	if got := bob.eval(fetched, link); got != "200" {
		t.Errorf("the file: %s", got)
	}
	seq := ann.eval(`() => document.querySelector('#log article:last-child').dataset.seq`)
	resp := ann.eval(`async seq => (await fetch('/rooms/parlor/messages/' + seq + '/delete', {method: 'POST', headers: {Accept: 'application/json'}})).status + ''`, seq)
	bob.until("the file is gone ("+resp+")", `() => !document.querySelector('#log a[download="alone.txt"]')`)
	bob.allow("404")
	if got := bob.eval(fetched, link); got != "404" {
		t.Errorf("the file of a deleted message: %s", got)
	}
}

// upstream bounds how fast a page sends, in bytes per second.
func (v *person) upstream(bytes float64) {
	v.t.Helper()
	v.must(proto.NetworkEnable{}.Call(v.page))
	v.must(proto.NetworkEmulateNetworkConditions{UploadThroughput: bytes, DownloadThroughput: -1}.Call(v.page))
}

func TestMessageWaitsForItsFiles(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann, bob := guest(t, p, "Ann"), guest(t, p, "Bob")
	ann.upstream(200 << 10)
	ann.pick(file(t, "long.txt", strings.Repeat("all work and no play ", 30000)))
	ann.until("shows progress", `() => document.querySelector('.attachment.up progress').value > 0`)
	ann.say("here it comes") // typed and sent meanwhile
	ann.until("says that it waits", `() => document.querySelector('.holding').textContent !== ''`)
	if ann.eval(`() => document.querySelector('#message').value`) != "here it comes" {
		t.Error("the text left before its file")
	}
	bob.sees("here it comes")
	bob.until("with its file", `() => document.querySelector('#log article:last-child a[download="long.txt"]')`)
	ann.until("the composer is empty", `() => !document.querySelector('#composer .attachment') && document.querySelector('#message').value === ''`)
}

func TestFilesThatAreNotSentYetSurviveAReload(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.pick(photo(t, "tea.jpg", 400, 300, color.RGBA{R: 90}), file(t, "notes.txt", "two cups"))
	ann.attached(2)
	ann.reload()
	ann.attached(2)
	ann.click("#composer .attachment:first-child .remove")
	ann.attached(1)
	ann.say("one is left")
	ann.sees("one is left")
	ann.until("it has the other one", `() => document.querySelectorAll('#log .files li').length === 1 && document.querySelector('#log a[download="notes.txt"]')`)
}

func TestRefusedFileSaysWhyAndTheMessageGoesOn(t *testing.T) {
	t.Parallel()
	p := start(t, "PARLOR_FILE_BYTES=1048576", "PARLOR_FILE_BYTES_PER_DAY=1500000")
	ann := guest(t, p, "Ann")
	ann.allow("429", "422")
	ann.pick(file(t, "large.txt", strings.Repeat("x", 1048577)), file(t, "one.txt", strings.Repeat("x", 1000000)), file(t, "two.txt", strings.Repeat("y", 1000000)))
	ann.until("both are refused", `() => document.querySelectorAll('.attachment.bad').length === 2 && !document.querySelector('.up')`)
	if said := ann.eval(`() => [...document.querySelectorAll('.bad .error')].map(e => e.textContent).join('|')`); !strings.Contains(said, "1 MB at most") || !strings.Contains(said, "sent a lot today") {
		t.Errorf("it says %q", said)
	}
	ann.click(".bad:last-child .again")
	ann.until("refused again", `() => document.querySelectorAll('.attachment.bad').length === 2 && !document.querySelector('.up')`)
	ann.say("only one")
	ann.sees("only one")
	ann.until("with one file", `() => document.querySelectorAll('#log .files li').length === 1`)
	ann.pick(file(t, "empty.txt", ""))
	again := func(name string, offered bool) {
		t.Helper()
		ann.until(fmt.Sprintf("%s offers to be sent again: %v", name, offered), `(name, offered) => [...document.querySelectorAll('#composer .bad')].some(e =>
			e.querySelector('.name').textContent === name && e.querySelector('.again').checkVisibility() === offered)`, name, offered)
	}
	again("two.txt", true)
	again("large.txt", false)
	again("empty.txt", false) // it stays empty

	// A picture of extreme sides has a place that can be clicked on, also before it comes.
	ann.reload() // away with what was refused
	for _, c := range []struct{ paths, want []string }{
		{[]string{photo(t, "tall.jpg", 20, 3000, color.RGBA{R: 90})}, []string{"40 270 40 270"}},
		{[]string{photo(t, "broad.jpg", 3000, 20, color.RGBA{R: 90})}, []string{"360 40 360 40"}},
		{[]string{photo(t, "tall2.jpg", 20, 3000, color.RGBA{R: 90}), photo(t, "broad2.jpg", 3000, 20, color.RGBA{R: 90})}, []string{"150 150 150 150", "150 150 150 150"}},
	} {
		ann.pick(c.paths...)
		ann.attached(len(c.paths))
		ann.say("")
		for i, path := range c.paths {
			name := filepath.Base(path)
			ann.until(name+" is seen", `name => document.querySelector('#log img[alt="' + name + '"]')?.naturalWidth > 0`, name)
			if got := ann.eval(`name => {
				const i = document.querySelector('#log img[alt="' + name + '"]'), size = () => { const b = i.getBoundingClientRect(); return [b.width, b.height].map(Math.round) }
				const came = size(); i.removeAttribute('src'); return [...came, ...size()].join(' ') }`, name); got != c.want[i] {
				t.Errorf("%s with and without the picture: %s", name, got)
			}
		}
	}
}

func TestMessageWithFilesSurvivesAReloadWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.allow("net::ERR", "Failed to load", "422")
	ann.pick(photo(t, "tea.jpg", 400, 300, color.RGBA{R: 90}), file(t, "empty.txt", ""))
	ann.until("one is there, one is refused", `() => document.querySelectorAll('.attachment:not(.up, .bad)').length === 1 && document.querySelectorAll('.attachment.bad').length === 1`)
	p.end(9)
	ann.say("tea?")
	ann.until("it waits", `() => document.querySelector('#outbox .pending .attachment .name')?.textContent === 'tea.jpg'`)
	ann.until("without what was refused, which stays where it can be taken away", `() => document.querySelectorAll('#outbox .attachment').length === 1 &&
		document.querySelector('#composer .attachment .name').textContent === 'empty.txt'`)
	p.run()
	ann.sees("tea?")
	ann.until("with its picture", `() => document.querySelector('#log img[alt="tea.jpg"]')`)
}

func TestLightboxByKeyboard(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	ann.pick(photo(t, "first.jpg", 1600, 900, color.RGBA{R: 255}), photo(t, "second.jpg", 300, 400, color.RGBA{B: 255}))
	ann.attached(2)
	ann.click("#composer .send")
	ann.until("sees both", `() => document.querySelectorAll('#log .picture img').length === 2`)
	shows := func(name string) {
		t.Helper()
		ann.until("shows "+name, `name => document.querySelector('#lightbox[open] img')?.alt === name && document.querySelector('#lightbox img').naturalWidth > 0 && decodeURI(document.querySelector('#lightbox img').src).endsWith(name)`, name)
	}
	ann.eval(`() => document.querySelector('#log .picture').focus()`)
	ann.press(input.Enter)
	shows("first.jpg")
	ann.press(input.ArrowRight)
	shows("second.jpg")
	ann.press(input.ArrowRight) // the last one
	shows("second.jpg")
	ann.press(input.ArrowLeft)
	shows("first.jpg")
	ann.press(input.Escape)
	ann.until("closed, the focus back", `() => !document.querySelector('#lightbox[open]') && document.activeElement === document.querySelector('#log .picture')`)
	ann.click("#log li:nth-child(2) .picture")
	shows("second.jpg")
	ann.click("#lightbox button[autofocus]")
	ann.until("closed", `() => !document.querySelector('#lightbox[open]')`)
}

func TestFilesWithoutScript(t *testing.T) {
	t.Parallel()
	p := start(t, "PARLOR_FILE_BYTES=100000")
	v := without(t, p)
	v.write("input[name=nickname]", "Zoë", false)
	v.follow(".enter .send")
	v.visit("/rooms/parlor")
	v.until("there is room to write", `() => document.querySelector('#message').offsetWidth > 2 * document.querySelector('#composer .send').offsetWidth`)
	v.write("#message", "by the form alone", false)
	v.pickPlain(photo(t, "plain.jpg", 60, 40, color.RGBA{G: 200}), file(t, "big.txt", strings.Repeat("x", 100001)))
	v.allow("413")
	v.follow("#composer .send")
	v.until("refused, with everything kept", `() => document.querySelector('#body-error').textContent.includes('too large') &&
		document.querySelector('#message').value === 'by the form alone' && document.querySelector('.attachment .name').textContent === 'plain.jpg'`)
	v.follow("#composer .send")
	v.until("sent", `() => document.querySelector('#log .body').innerText === 'by the form alone' && document.querySelector('#log img[alt="plain.jpg"]')`)
	v.follow("#log .picture")
	v.until("the picture by itself", `() => document.images.length === 1 && document.images[0].naturalWidth === 60`)
}
