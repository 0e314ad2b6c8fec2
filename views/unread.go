package views

import (
	"fmt"
	"strings"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/markup"
)

// noMark is a read mark beyond everything: nothing is unread.
const noMark = 1 << 52

// MemberSignals is what a person's pages know of the person in a room, as
// $_me.r7: how many messages are known (o), the read mark (s), how often that
// was set back (t), unread mentions (c) and the level (l).
func MemberSignals(m chat.Membership) map[string]any {
	js := map[string]any{"o": m.Known, "s": m.ReadSeq, "t": m.Turn, "c": m.Calls, "l": m.Level}
	if !m.Marked {
		js["o"], js["s"] = int64(noMark), int64(noMark)
	}
	if m.Level == "" {
		js["l"] = chat.LevelAll
	}
	return js
}

// CallSignals is a call as pages tell of it.
func CallSignals(l i18n.Lang, c chat.Call) map[string]any {
	line := excerpt(c.Body, chat.NamesOf(c.Names))
	if line == "" && c.Files > 0 {
		line = i18n.Files.In(l)
	}
	return map[string]any{
		"key": id(c.Room.ID) + "/" + id(c.Seq), "room": c.Room.ID, "url": permalink(c.Room, c.Seq),
		"title": c.Author.Nickname + " · " + c.Room.Name, "body": line,
	}
}

// mySignals are what the expressions below begin with. They stand before
// everything that uses them. Every room that is listed has a place, since to
// read one that is missing makes it, and has all that read any read it again.
// The person's part of the room of the page is JSON already. Who has no name has
// the id 0. The stream tells in $_reader whose it is.
func mySignals(p Page, rooms []LobbyRoom, roomID int64) string {
	var me strings.Builder
	for _, r := range rooms {
		if r.ID != roomID {
			fmt.Fprintf(&me, `"r%d":"",`, r.ID)
		}
	}
	if roomID != 0 {
		mine := `""`
		if p.Me != nil {
			mine = p.Me.Member
		}
		fmt.Fprintf(&me, `"r%d":%s`, roomID, mine)
	}
	return `{"_me":{` + strings.TrimSuffix(me.String(), ",") + `},"_myID":` + p.MyID() + `,"_reader":` + p.MyID() + `,"_calls":0,"_call":{"key":""}}`
}

// unreadText is the number beside a room in a list: how many of its messages
// are not known (chat.Membership). %[1]d is the room, %[2]d how many it has.
func unreadText(r LobbyRoom) string {
	return fmt.Sprintf(`$_me.r%[1]d.l == 'all' && %[2]d > $_me.r%[1]d.o ? Math.min(%[2]d - $_me.r%[1]d.o, %[3]d) : ''`, r.ID, r.Said, mostUnread)
}

// anyCall asks for the inbox afresh when there was a call, or one was read. The
// page itself knows of those until it began.
const anyCall = `const call = $_call.key + ' ' + $_calls; call !== ' 0' && @peek(() => @get(el.dataset.inbox, ` + quietly + `))`

// mostUnread is the highest number that a list shows.
const mostUnread = 9999

func callsText(r LobbyRoom) string { return fmt.Sprintf(`$_me.r%d.c || ''`, r.ID) }

// levelClass dims a room in a list, or takes it off.
func levelClass(r chat.Room) string {
	return fmt.Sprintf(`{dim: $_me.r%[1]d.l == 'none', gone: $_me.r%[1]d.l == 'hidden'}`, r.ID)
}

func unreadNumber(r LobbyRoom) string {
	if n := r.Mine.Unread(r.Said); n > 0 && r.Mine.Counts() {
		return id(min(n, mostUnread))
	}
	return ""
}

func callsNumber(n int) string {
	if n > 0 {
		return id(int64(n))
	}
	return ""
}

func allCalls(rooms []LobbyRoom) (n int) {
	for _, r := range rooms {
		n += r.Mine.Calls
	}
	return n
}

// UnreadCSS shows beside the rooms of the hall, without script, what they show
// with it. The page itself is the same for all.
func UnreadCSS(rooms []LobbyRoom) string {
	var css strings.Builder
	show := func(of, number, before string) {
		if number != "" {
			fmt.Fprintf(&css, `%[1]s{display:block}%[1]s::before{content:"%[2]s%[3]s"}`, of, before, number)
		}
	}
	for _, r := range rooms {
		item := "#hall-" + id(r.ID)
		unread, calls := unreadNumber(r), callsNumber(r.Mine.Calls)
		if unread+calls != "" {
			fmt.Fprintf(&css, `%[1]s .news{display:inline-flex}`, item)
		}
		show(item+" .unread", unread, "")
		show(item+" .calls", calls, "@")
		switch r.Mine.Level {
		case chat.LevelHidden:
			fmt.Fprintf(&css, `%s:not(:has([aria-current])){display:none}`, item)
		case chat.LevelNone:
			fmt.Fprintf(&css, `%s{opacity:.6}`, item)
		}
	}
	show(".hall .inbox .calls", callsNumber(allCalls(rooms)), "")
	return css.String()
}

// hiddenRooms are those that the one who looks does not want listed.
func hiddenRooms(rooms []LobbyRoom) (hidden []LobbyRoom) {
	for _, r := range rooms {
		if r.Mine.Level == chat.LevelHidden {
			hidden = append(hidden, r)
		}
	}
	return hidden
}

// quietEnd is how a request ends that nobody waits for: it is not sent again.
const quietEnd = `retry: 'never', retryMaxCount: 0}).catch(() => {})`

// below is how many messages are new below what is shown: those that are unread,
// or, to one who has no read mark yet, those that came since the end was seen.
const below = `$_said - ($m.o <= $_said ? $m.o : $_seen)`

// The expressions of a room's page. In them m is the reader's part of the room
// ($_me.r7), and:
//
//	$_sign    counts signs of the person: moving, typing, scrolling, coming back
//	$_signed  when the last one was; after five minutes without, the next is an arrival
//	$_told    when the server was told of one
//	$_arrive  counts arrivals: the page was opened, or is looked at again
//	$_mark    the read mark at the last arrival, where the divider is; -1: nothing was unread
//	$_until   the room's number then: what came later is not under the divider
//	$_new     how many messages were unread then, but for those that were deleted since
//	$_turn    how often the mark was set back, as far as this page knows; -1: it does not
//	$_held    it was set back since the last arrival: looking at the page reads nothing
//	$_went    the person went to the end, and it is not reached yet
//	$_shown   the cursor up to which the server knows that the page was read
func of(expression string, r chat.Room) string {
	return strings.ReplaceAll(expression, "$m", "$_me.r"+id(r.ID))
}

const readingSignals = `{"_sign":0,"_signed":0,"_told":0,"_arrive":0,"_mark":-1,"_until":0,"_new":0,"_turn":0,"_held":false,"_went":false,"_shown":"","_n":0,"_draft":{"body":"","tab":""}}`

// onSign reads what is in sight, when the reader is at the end of the room, the
// page is visible, and so somebody looks: the sign came after the messages.
const onSign = `$_sign && @peek(() => {
	const now = Date.now();
	now - $_signed > 300000 && $_signed && $_arrive++;
	$_signed = now;
	now - $_told > 60000 && ($_told = now, @post('/presence', {payload: {}, ` + quietEnd + `);
	document.hidden || !el.dataset.read || !$_atEnd || !$_tail || $_held || !$_online || $_shown == $cursor ||
		($_shown = $cursor, @post(el.dataset.read, {payload: {cursor: $cursor, turn: $_turn}, ` + quietEnd + `) })`

// onReached takes reaching the end for a sign of who went there. What they did for
// it, saying something or following the pill, came before there was the end to see.
const onReached = `$_went && $_atEnd && $_tail && @peek(() => { $_went = false; $_sign++ })`

// onArrive fixes the divider, and asks what happened meanwhile if anything did.
// The page to which the catch-up line leads has divider and number in its
// address: on the way there everything may have been read.
const onArrive = `$_arrive; @peek(() => {
	const from = new URLSearchParams($_arrive ? '' : location.search), unread = Math.max(0, $_said - $m.o) || 0;
	$_held = false;
	$_new = unread || +from.get('new');
	$_mark = unread ? $m.s : $_new ? +from.get('after') : -1;
	$_until = $cursor.split('.')[1];
	unread && @get(el.dataset.since, {filterSignals: {include: /^$/}, requestCancellation: 'disabled', ` + quietEnd + ` })`

// onSetBack shows the divider where somebody set the mark back to, in any tab.
const onSetBack = `const turn = $m.t ?? 0, mark = $m.s, from = $m.o; @peek(() => {
	turn > $_turn && ($_held = $_turn >= 0, $_new = Math.max(0, $_said - from), $_mark = $_new ? mark : -1, $_until = $cursor.split('.')[1]);
	$_turn = Math.max(turn, $_turn) })`

// showCount writes how much is unread into title and icon. It waits for a
// moment, in which the page learns that a message is its reader's own.
const showCount = `$_about; const n = $m.l == 'all' && Math.max(0, $_said - $m.o) || $m.c, title = (n ? '(' + n + ') ' : '') + el.dataset.before + document.getElementById('about').dataset.title,
	icon = n || $_calls ? el.dataset.dot : el.dataset.icon;
	clearTimeout(el.wait);
	el.wait = setTimeout(() => { document.title = title; document.querySelector('link[rel=icon]').setAttribute('href', icon) }, 300)`

// onCall tells of a call by the system when no tab is looked at and the room's
// bell was set to it in this browser (see setBell). All tabs hear of it, and
// each that is the first as far as it knows writes its name down; of several
// the last one's stays, and that tab tells.
const onCall = `$_call.key && @peek(() => {
	const call = $_call, wish = localStorage['bell/' + call.room], mine = call.key + ' ' + $tab;
	if (localStorage.called?.startsWith(call.key + ' ')) return;
	localStorage.called = mine;
	if (!document.hidden || !wish) return;
	setTimeout(() => {
		if (localStorage.called !== mine) return;
		const note = new Notification(call.title, {body: call.body, tag: call.key, icon: el.dataset.icon, silent: true});
		note.onclick = () => { window.focus(); location.href = call.url; note.close() };
		wish === 'sound' && dispatchEvent(new Event('ring')) }, 500) })`

// ring is a short tone that fades (Web Audio API).
const ring = `const audio = new AudioContext(), tone = audio.createOscillator(), volume = audio.createGain();
	tone.frequency.value = 660;
	tone.connect(volume).connect(audio.destination);
	volume.gain.setValueAtTime(.2, 0);
	volume.gain.exponentialRampToValueAtTime(.001, .6);
	tone.start();
	tone.stop(.6)`

// saveDraft has the server keep what is in the composer. What was sent and is
// not stored yet stays the draft.
const saveDraft = `const text = document.getElementById('message');
	text && text.value !== $_draft.body && (text.value || !document.querySelector('#outbox > :not(.sent)')) &&
		@post(el.dataset.draft, {payload: {body: text.value, tab: $tab, n: ++$_n}, ` + quietEnd

// onDraft takes over what was typed on another device, where nothing else was
// typed here. What the server has the tab need not remember. A draft of no tab
// is from before a restored backup, and takes nothing away.
const onDraft = `const body = $_draft.body, tab = $_draft.tab; @peek(() => {
	const text = document.getElementById('message'), last = el.last ?? text.defaultValue;
	el.last = body;
	if (tab && tab !== $tab && text.value === last) text.value = body;
	if (text.value === body) text.form.dispatchEvent(new Event('kept'));
	else if (!body && last && tab !== $tab) text.form.dispatchEvent(new Event('input', {bubbles: true})) })`

// setBell remembers in this browser what a room's bell is set to, and asks
// whether the system may be used.
const setBell = `const key = 'bell/' + el.dataset.room, set = wish => wish ? localStorage[key] = wish : localStorage.removeItem(key);
	!el.value ? set('') : Notification.requestPermission().then(answer => {
		$_denied = answer !== 'granted';
		$_denied ? (el.form.reset(), set('')) : (set(el.value), el.value === 'sound' && dispatchEvent(new Event('ring'))) })`

// levelText is what a level is called.
func levelText(l i18n.Lang, level chat.Level) string {
	return map[chat.Level]i18n.Text{
		chat.LevelAll: i18n.LevelAll, chat.LevelMentions: i18n.LevelMentions,
		chat.LevelNone: i18n.LevelNone, chat.LevelHidden: i18n.LevelHidden,
	}[level].In(l)
}

// gapParts is what a Gap says: its first sentence around the time, and the rest.
func gapParts(l i18n.Lang, g chat.Gap) (before, after string) {
	const place = "\x00"
	before, after, _ = strings.Cut(i18n.SinceNew.In(l, g.New, place), place)
	for _, part := range []struct {
		n    int
		text i18n.Plural
	}{{g.Calls, i18n.SinceCalls}, {g.Edited, i18n.SinceEdited}, {g.Deleted, i18n.SinceDeleted}} {
		if part.n > 0 {
			after += i18n.ListComma.In(l) + part.text.In(l, int64(part.n))
		}
	}
	return before, after
}

// callLine is what a call says, on one line.
func callLine(l i18n.Lang, c chat.Call) string {
	names := chat.NamesOf(c.Names)
	if strings.TrimSpace(markup.Text(c.Body, names)) == "" && c.Files > 0 {
		return i18n.Files.In(l)
	}
	return excerpt(c.Body, names)
}

// reasonText says why a call is one.
func reasonText(l i18n.Lang, reason string) string {
	switch reason {
	case "reply":
		return i18n.CallReply.In(l)
	case "here":
		return i18n.CallHere.In(l)
	}
	return i18n.CallMention.In(l)
}

// textareaText keeps a first line break, which HTML takes away (WHATWG HTML,
// 13.2.6.4.7).
func textareaText(s string) string { return "\n" + s }

// typed is what stands in the composer: what was refused, or the draft.
func typed(p RoomPage) string {
	if p.Body.Value != "" || p.Body.Error != "" {
		return p.Body.Value
	}
	return p.Me.Draft
}

// hereText says how many are in a room, and how many of them look elsewhere.
func hereText(l i18n.Lang, r LobbyRoom) string {
	var parts []string
	if r.Here > 0 {
		parts = append(parts, i18n.HereNow.In(l, int64(r.Here)))
	}
	if r.Away > 0 {
		parts = append(parts, i18n.AwayCount.In(l, int64(r.Away)))
	}
	return strings.Join(parts, " · ")
}

func sealSize(p chat.Person) string {
	if p.Away {
		return "small off"
	}
	return "small"
}
