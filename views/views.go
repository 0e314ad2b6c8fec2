// Package views turns what it is given into HTML: templ components, one file
// per piece of the page, and pure functions of their arguments. It asks
// nothing of anybody: no database, no request, no clock.
//
// What goes over a stream to many people (messages, rooms in a list, who is
// here) holds nothing that depends on who looks. What is mine follows from
// data-author and a small style sheet per person (see OwnCSS).
package views

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/markup"
)

// Page is what every whole page needs to know.
type Page struct {
	Lang  i18n.Lang
	Theme string  // "light", "dark" or "" for the system's choice
	Path  string  // of this page, to come back to
	Me    *Viewer // nil: somebody who only looks
	// Away says that the database can't be reached: there is something to read,
	// and nothing can be done.
	Away bool
	// NoPreviews says that links are looked up in no room.
	NoPreviews bool
}

// MyID is the person's id, or 0.
func (p Page) MyID() string {
	if p.Me == nil {
		return "0"
	}
	return p.Me.ID
}

// Viewer is the person who looks at a page, as texts. A page that is rendered
// for many has marks in their places, and the texts are filled in later; so
// views do nothing with them but write them down.
type Viewer struct {
	ID       string
	Nickname string
	Initial  string
	Hue      string // a class
	// What the viewer has to do with the room of the page: see MemberSignals.
	Member string
	Level  string
	Draft  string
}

// ViewerOf makes a Viewer of a person.
func ViewerOf(p chat.Person) *Viewer {
	v := &Viewer{ID: id(p.ID), Nickname: p.Nickname, Initial: p.Initial(), Hue: hue(p)}
	return v.In(chat.Membership{})
}

// In is the viewer in a room.
func (v *Viewer) In(m chat.Membership) *Viewer {
	v.Member, v.Level, v.Draft = signals(MemberSignals(m)), string(m.Level), m.Draft
	return v
}

// Field is a form field as it was filled in, with what is wrong about it.
type Field struct {
	Value       string
	Error       string
	Suggestions []string
}

// LobbyRoom is a room in a list, with the number of people who are there.
type LobbyRoom struct {
	chat.Glance
	Here   int           // and look at it
	Away   int           // and do not
	People []chat.Person // some of them, for their seals
	// Mine is what the one who looks has to do with the room; only a page that
	// is rendered for one person knows it.
	Mine chat.Membership
}

// History is a piece of a room's messages in the page.
type History struct {
	Room         chat.Room // as it was when the messages were read
	Cursor       string    // and the cursor of that moment
	Messages     []chat.Message
	Rendered     []string // the same as HTML in the page's language, where it is at hand
	Older, Newer bool
	// Missed, if not 0, is how many messages came while the reader was away,
	// and MissedFrom the seq before the first of them.
	Missed, MissedFrom int64
}

// Tail tells whether this is the newest end of the room.
func (h History) Tail() bool { return !h.Newer }

// RoomPage is everything a room's page shows.
type RoomPage struct {
	Page
	History
	Rooms     []LobbyRoom
	Here      []chat.Person
	Typing    []chat.Person
	Nonce     string      // for the plain form
	Body      Field       // what was typed, after a refusal
	Newest    string      // URL of the room's newest page
	TargetSeq int64       // a message to point at, or 0
	Waiting   []chat.File // of the message that is being written, after a refusal
	FileBytes int64       // of the largest file; 0: none are taken
	// Replying is the message that what was typed answers, or nil.
	Replying *chat.Message
	Thread   int64 // on the page of a thread: its first message
}

// roomURL is the address of a room.
func roomURL(r chat.Room) string { return "/rooms/" + url.PathEscape(r.Slug) }

func messageURL(r chat.Room, seq int64) string {
	return roomURL(r) + "/messages/" + id(seq)
}

// FileURL is where a file is shown or downloaded from.
func FileURL(r chat.Room, f chat.File) string {
	return roomURL(r) + "/files/" + id(f.ID) + "/" + url.PathEscape(f.Name)
}

// ThumbURL is where the small picture of a picture is.
func ThumbURL(r chat.Room, f chat.File) string { return roomURL(r) + "/thumbs/" + id(f.ID) }

func permalink(r chat.Room, seq int64) string {
	return messageURL(r, seq) + "#m-" + id(seq)
}

func id(n int64) string { return strconv.FormatInt(n, 10) }

func hue(p chat.Person) string { return "h" + strconv.Itoa(p.Hue) }

func messageClass(m chat.Message) string {
	class := "message"
	if m.First {
		class += " first"
	}
	if m.Deleted() {
		class += " deleted"
	}
	if m.Emote {
		class += " emote"
	}
	return class
}

// bodyHTML is what the message says.
func bodyHTML(m chat.Message) string { return markup.HTML(m.Body, m.MentionedNames()) }

// clock is the time of day in UTC; static/0-times.js writes the reader's own.
func clock(t time.Time) string { return t.UTC().Format("15:04") }

func machineTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func fullTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// day is the heading of a day in UTC, for readers without script.
func day(l i18n.Lang, m chat.Message) string {
	if !m.NewDay {
		return ""
	}
	if l == i18n.Chinese {
		return m.SaidAt.UTC().Format("2006年1月2日")
	}
	return m.SaidAt.UTC().Format("Monday, 2 January 2006")
}

// excerpt is the beginning of a message on one line.
func excerpt(body string, names map[int64]string) string { return markup.Line(body, names) }

// lastLine is a room's newest message on one line.
func lastLine(l i18n.Lang, g chat.Glance) string {
	if line := excerpt(g.LastBody, chat.NamesOf(g.LastNames)); line != "" || g.LastFiles == 0 {
		return line
	}
	return i18n.Files.In(l)
}

// signals writes the page's first signals. To Datastar they are an expression,
// in which it rewrites @name( and more, even inside strings: so nothing that
// people wrote may be in them, or in any other attribute that it reads.
func signals(s map[string]any) string {
	js, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("views: signals can't be written as JSON: %v", err)) // a mistake in our own types
	}
	return string(js)
}

// streamCall opens the page's stream. The text is the same each time, so that
// opening it afresh ends the one before.
//
// It tries for ever, soon and with a short limit, in hidden tabs too; what it
// sends is only what names the page and where it stands.
const streamCall = `@get(el.dataset.stream, {filterSignals: {include: /^(cursor|tab|opens)$/}, openWhenHidden: true, ` +
	`retry: 'always', retryInterval: 500, retryMaxWait: 2000, retryMaxCount: Infinity})`

// streamEffect opens the stream at once and whenever $opens is raised.
const streamEffect = `$opens; @peek(() => { $_last = Date.now(); ` + streamCall + ` })`

// rewind takes the page's cursor back to the moment at which a piece of
// history was read, when the stream is already beyond it, and opens the
// stream from there. Else a change of that history that came in between would
// be missed: its message was not on the page yet. Repeats are harmless.
//
// It is an attribute inside the patch itself, so nothing comes between.
func rewind(cursor string) string {
	epoch, rev, _ := strings.Cut(cursor, ".")
	return fmt.Sprintf("Number($cursor.split('.')[1]) > %s && ($cursor = '%s.%s', $opens++)", rev, epoch, rev)
}

// catchUp asks for the shown window afresh. It runs in pages that are not at
// the end when a gap was too long to be replayed.
const catchUp = `$_behind && @peek(() => {
	const log = document.getElementById('log'), seqs = log.querySelectorAll(':scope > article');
	if (document.querySelector('.scroll.at-end #log.tail')) return;
	log.classList.remove('tail');
	@get(el.dataset.catchup + '?from=' + (seqs[0]?.dataset.seq ?? 0) + '&to=' + (seqs[seqs.length - 1]?.dataset.seq ?? 0), ` + patiently + `) })`

// toEnd leads to the newest messages: there by scrolling when they are on the
// page, else by the newest page. Being there is a sign of who went (onReached).
const toEnd = `$_went = true; document.querySelector('#log.tail')
	? document.getElementById('scroll').scrollTop = 0
	: @get(el.href, {filterSignals: {include: /^$/}, retryMaxCount: 3})`

// readOut keeps a screen reader from reading old messages out: the log is a
// live region, but not while history is loaded, nor in the moment after, in
// which the browser still looks at what was added.
const readOut = `$_paging ? el.setAttribute('aria-live', 'off') : setTimeout(() => $_paging || el.setAttribute('aria-live', 'polite'), 500)`

// enterSends lets Enter send what is written and Shift+Enter break the line. Keyboards
// on touch screens have no Shift+Enter: there Enter breaks it, and a button sends.
// The Enter that ends an input method's composition does neither (Safari says
// so only by 229), nor one that something else took.
const enterSends = `evt.key === 'Enter' && !evt.shiftKey && !evt.isComposing && evt.keyCode !== 229 && !evt.defaultPrevented
	&& (evt.ctrlKey || !matchMedia('(hover: none) and (pointer: coarse)').matches)
	&& evt.target.matches('.composer textarea') && (evt.preventDefault(), evt.target.form.requestSubmit())`

// copyLink copies a message's link. Without the clipboard (plain http, or not
// allowed) the link is simply followed, and stands in the address bar.
const copyLink = `const link = evt.target.closest('a.copy'), words = document.getElementById('announce');
	link && navigator.clipboard && !evt.ctrlKey && !evt.metaKey && (evt.preventDefault(), navigator.clipboard.writeText(link.href).then(
		() => (link.classList.add('copied'), words.textContent = words.dataset.copied,
			setTimeout(() => (link.classList.remove('copied'), words.textContent = ''), 1500)),
		() => location.href = link.href))`

// moreCall loads history beyond one edge of what is shown.
func moreCall(param, edge string) string {
	return fmt.Sprintf(`@get(el.dataset.more + '?%s=' + (document.querySelector('#log > article:%s')?.dataset.seq ?? 1), `+
		`{filterSignals: {include: /^$/}, requestCancellation: 'disabled', retry: 'error'})`, param, edge)
}

// quietly are the options of a request that carries none of the page's signals;
// patiently those of one that is repeated until it is answered.
const (
	quietly   = `{filterSignals: {include: /^$/}}`
	patiently = `{filterSignals: {include: /^$/}, retry: 'error', retryInterval: 500, retryMaxWait: 2000, retryMaxCount: Infinity}`
)

// quietGet asks for what nobody waits for; address is an expression.
func quietGet(address string) string {
	return "@get(" + address + ", {filterSignals: {include: /^$/}, " + quietEnd
}

// overThePage shows what a link leads to over the page.
const overThePage = `evt.ctrlKey || evt.metaKey || (evt.preventDefault(), @get(el.href, ` + quietly + `))`

// ask shows what an address answers with, in a dialog: an outbox tells of one.
const ask = `@get(evt.detail, ` + quietly + `)`

// inPlace opens what belongs to a message over the page instead of leaving it,
// and shows a message that is quoted where it stands, if it is on the page.
const inPlace = `const a = evt.target.closest('.tools a, a.react, .edited, .quote > a');
	if (!a || evt.ctrlKey || evt.metaKey || evt.shiftKey) return;
	if (!a.matches('.quote > a')) { evt.preventDefault(); @get(a.href, ` + quietly + `) }
	else if (document.getElementById(a.hash.slice(1))) { evt.preventDefault(); location.hash = a.hash }`

// replyKey lets r answer the message that has the focus.
const replyKey = `evt.key === 'r' && !evt.ctrlKey && !evt.metaKey && !evt.altKey && evt.target.closest('#log > article')?.querySelector('.reply')?.click()`

// composerKey: Escape lets what is written answer nothing; the arrow up, in an
// empty composer below the newest message, opens what one said last.
const composerKey = `if (evt.isComposing) return;
	const t = el.querySelector('textarea');
	if (evt.key === 'Escape') { ` + endReply + ` }
	else if (evt.key === 'ArrowUp' && t.dataset.last && !t.value && $_tail && $_atEnd && !evt.shiftKey) { evt.preventDefault(); @get(t.dataset.last, ` + quietly + `) }`

// threadCatchUp asks for a thread afresh after a gap that was too long to be
// replayed.
const threadCatchUp = `$_behind && @peek(() => @get(el.dataset.thread, ` + patiently + `))`

// composerKeyOf names what is kept of a composer in the tab: of each thread by
// itself. It is there for whoever takes the next nickname in the tab, so that it
// outlasts a session, unless they signed out in this very tab (signOut).
func composerKeyOf(p RoomPage) string {
	return "composer/" + id(p.History.Room.ID) + "/" + id(p.Thread)
}

// epoch is the part of a cursor that names the database.
func epoch(cursor string) string {
	epoch, _, _ := strings.Cut(cursor, ".")
	return epoch
}

// ownCSS is OwnCSS for a person N. A palette that the reader forces has no
// grounds, and shows outlines that are transparent else.
const ownCSS = `.message[data-author="N"]:not(.deleted) .own,[data-maker="N"] .own,.message .react{display:inline-grid}` +
	`.typing [data-person="N"]{display:none}` +
	`.typing:not(:has([data-person]:not([data-person="N"]))){visibility:hidden}` +
	`:is([data-people~="N"],.given){border-color:var(--seal);background:var(--seal-wash);box-shadow:inset 0 0 0 1px var(--seal)}:is([data-people~="N"],.given):not(:focus-visible){outline:1px solid transparent}:is([data-people~="N"],.given) .mine{display:inline}` +
	`[data-mention="N"]{background:var(--seal);color:var(--seal-ink)}` +
	`.message:not([data-author="N"]):has([data-mention="N"],[data-mention="here"]){background:var(--called);box-shadow:inset 3px 0 0 var(--seal);outline:1px solid transparent}`

// OwnCSS is the style sheet that makes a person's own things theirs on pages
// that are the same for everyone. Hidden is not forbidden: the server checks.
func OwnCSS(personID int64) string { return strings.ReplaceAll(ownCSS, "N", id(personID)) }

// ownCSSURL is its address, another one when the rules change: browsers keep it
// for ever.
func ownCSSURL(me *Viewer) string { return "/people/" + me.ID + "/own.css?" + ownCSSVersion }

var ownCSSVersion = fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(ownCSS)))

// around is what stands before and after the one name in a text, for an
// element to hold the name.
func around(t i18n.Text, l i18n.Lang) (before, after string) {
	before, after, _ = strings.Cut(t.In(l), "%s")
	return before, after
}

func queryEscape(s string) string { return url.QueryEscape(s) }

// safeURL marks an address that this package built from escaped parts.
func safeURL(s string) templ.SafeURL { return templ.SafeURL(s) }
