package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/app"
	"parlor/app/chat"
	"parlor/db"
)

// openPage is what a browser with the Datastar client makes of a stream, byte
// by byte: it takes an id as soon as it has read its line, and applies an
// event at the empty line behind it.
type openPage struct {
	log    []string          // ids of the messages, in order
	texts  map[string]string // their HTML
	cursor string            // the signal
	lastID string            // what Last-Event-ID will say

	line  []byte
	event map[string][]string
}

func newOpenPage(cursor string) *openPage {
	return &openPage{texts: make(map[string]string), cursor: cursor, event: make(map[string][]string)}
}

var (
	appendTo  = regexp.MustCompile(`^#log(?:\.tail|:is\(\.tail, \.of-\d+\))(:not\(:has\(> #(m-\d+)\)\))?$`)
	messageID = regexp.MustCompile(`<article id="(m-\d+)"`)
	quotesOf  = regexp.MustCompile(`^\[data-quote="(\d+)"\]`)
	quoteIn   = regexp.MustCompile(`(?s)<blockquote [^>]*data-quote="(\d+)">(.*?)</blockquote>`)
	nameOf    = regexp.MustCompile(`^\[data-name="(\d+)"\]`)
	sealOf    = regexp.MustCompile(`\[data-author="(\d+)"\] > \.seal`)
	article   = regexp.MustCompile(`(?s)<article id="(m-\d+)".*?</article>`)
	cursorSet = regexp.MustCompile(`"cursor":"([^"]*)"`)
)

func (p *openPage) read(stream []byte) {
	for _, c := range stream {
		if c != '\n' && c != '\r' {
			p.line = append(p.line, c)
			continue
		}
		line := string(p.line)
		p.line = nil
		if line == "" {
			p.apply()
			p.event = make(map[string][]string)
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		if name == "id" {
			p.lastID = value
		}
		p.event[name] = append(p.event[name], value)
	}
}

func (p *openPage) apply() {
	data := make(map[string]string)
	for _, line := range p.event["data"] {
		key, value, _ := strings.Cut(line, " ")
		data[key] += value + "\n"
	}
	if m := cursorSet.FindStringSubmatch(data["signals"]); m != nil {
		p.cursor = m[1]
	}
	if of := quotesOf.FindStringSubmatch(data["selector"]); of != nil {
		inside := regexp.MustCompile(`(?s)(<blockquote [^>]*data-quote="` + of[1] + `">).*?(</blockquote>)`)
		for id, text := range p.texts {
			p.texts[id] = inside.ReplaceAllStringFunc(text, func(quote string) string {
				parts := inside.FindStringSubmatch(quote)
				return parts[1] + data["elements"] + parts[2]
			})
		}
		return
	}
	if of := nameOf.FindStringSubmatch(data["selector"]); of != nil {
		inside := regexp.MustCompile(`(<\w+ [^>]*data-name="` + of[1] + `"[^>]*>)[^<]*(</)`)
		for id, text := range p.texts {
			p.texts[id] = inside.ReplaceAllString(text, "${1}"+strings.TrimSpace(data["elements"])+"${2}")
		}
		return
	}
	if of := sealOf.FindStringSubmatch(data["selector"]); of != nil {
		inside := regexp.MustCompile(`(<article [^>]*data-author="` + of[1] + `"[^>]*>\s*<span class="seal[^>]*>)[^<]*(</)`)
		for id, text := range p.texts {
			p.texts[id] = inside.ReplaceAllString(text, "${1}"+strings.TrimSpace(data["elements"])+"${2}")
		}
		return
	}
	id := messageID.FindStringSubmatch(data["elements"])
	if id == nil {
		return
	}
	selector := strings.TrimSpace(data["selector"])
	switch at := appendTo.FindStringSubmatch(selector); {
	case at != nil && strings.TrimSpace(data["mode"]) == "append":
		if at[2] != "" && p.texts[at[2]] != "" {
			return // :not(:has(…)): it is there
		}
		p.log = append(p.log, id[1])
		p.texts[id[1]] = data["elements"]
	case selector == "#"+id[1] && p.texts[id[1]] != "":
		p.texts[id[1]] = data["elements"]
	}
}

// check compares the page with the history in the database.
func (p *openPage) check(t *testing.T, s *site, what string) {
	t.Helper()
	page, err := s.store.Page(context.Background(), 1, db.Place{})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range page.Messages {
		id := fmt.Sprintf("m-%d", m.Seq)
		want = append(want, id)
		if q := m.Parent; q != nil && !m.Deleted() {
			shown := quoteIn.FindStringSubmatch(p.texts[id])
			if shown == nil || shown[1] != fmt.Sprint(q.Seq) || !strings.Contains(shown[2], q.Body) ||
				!strings.Contains(shown[2], ">"+q.Author.Nickname+"<") || q.Deleted != strings.Contains(shown[2], "was deleted") {
				t.Fatalf("%s: %s quotes %q, the history says %+v", what, id, shown, *q)
			}
		}
		if !strings.Contains(p.texts[id], m.Body) || m.Deleted() != strings.Contains(p.texts[id], "tombstone") {
			t.Fatalf("%s: %s is %q on the page, %q in the history", what, id, p.texts[id], m.Body)
		}
	}
	if !slices.Equal(p.log, want) {
		t.Fatalf("%s: the page shows %v, the history is %v", what, p.log, want)
	}
}

// resume opens the stream as the page would and reads until it is at the
// wanted cursor. It returns the bytes of the log's batches.
func (v *visitor) resume(p *openPage, until string) []byte {
	v.s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req := v.request(http.MethodGet, "/rooms/parlor/stream?datastar="+url.QueryEscape(fmt.Sprintf(`{"cursor":%q}`, p.cursor)), "").WithContext(ctx)
	if p.lastID != "" {
		req.Header.Set("Last-Event-ID", p.lastID)
	}
	resp, err := v.Do(req)
	if err != nil {
		v.s.t.Fatal(err)
	}
	defer resp.Body.Close()
	p.line, p.event = nil, make(map[string][]string)
	var all bytes.Buffer
	buf := make([]byte, 4096)
	for p.cursor != until || p.lastID != until {
		n, err := resp.Body.Read(buf)
		all.Write(buf[:n])
		p.read(buf[:n])
		if err == io.EOF || err != nil {
			v.s.t.Fatalf("the stream ended at %q, wanted %q: %v", p.cursor, until, err)
		}
	}
	return all.Bytes()
}

// Say, say, edit the first, delete a third; the connection is cut at every
// byte of what the server sends, and the page comes back with what it has. What
// it has changes with whole events only; the server is asked once for each.
func TestConnectionCutAtEveryByte(t *testing.T) {
	// A connection that was cut is noticed within a second, and counts till then.
	s := newSite(t)
	ann := s.guest("Ann")
	ann.say("parlor", "said before")
	before := newOpenPage("")
	start := s.store.Epoch() + ".0"
	before.cursor = start
	ann.resume(before, s.store.Epoch()+".1")
	ann.say("parlor", "one hundred and one")
	ann.say("parlor", "one hundred and two")
	ann.say("parlor", "to be deleted")
	ann.post("/rooms/parlor/messages/2", "body", "one hundred and one, edited")
	ann.post("/rooms/parlor/messages/4/delete")
	end := s.store.Epoch() + ".6"

	// Message 2 arrived before it was edited, but its cursor did not.
	early := newOpenPage(start)
	early.log, early.texts = []string{"m-1", "m-2"}, map[string]string{"m-1": "said before", "m-2": "one hundred and one"}
	ann.resume(early, end)
	early.check(t, s, "text replaced before the cursor came")

	whole := ann.resume(newOpenPage(start), end)
	var asked []string
	for cut := range whole {
		p := newOpenPage(start)
		p.read(whole[:cut])
		has := fmt.Sprintf("%q %v %v %v", p.log, p.texts, p.cursor, p.lastID)
		if slices.Contains(asked, has) {
			continue
		}
		asked = append(asked, has)
		ann.resume(p, end)
		p.check(t, s, fmt.Sprintf("cut after byte %d of %d", cut, len(whole)))
	}
	if len(asked) < 6 { // nothing, each of four messages, the cursor
		t.Errorf("only %d different pages were cut from %d bytes", len(asked), len(whole))
	}
}

// follow opens the stream as the page would, for as long as the test runs. The
// function it returns reads until the page is at a cursor.
func (v *visitor) follow(p *openPage) (until func(cursor string)) {
	v.s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v.s.t.Cleanup(cancel)
	resp, err := v.Do(v.request(http.MethodGet, "/rooms/parlor/stream?after="+p.cursor, "").WithContext(ctx))
	if err != nil {
		v.s.t.Fatal(err)
	}
	v.s.t.Cleanup(func() { resp.Body.Close() })
	buf := make([]byte, 4096)
	return func(cursor string) {
		v.s.t.Helper()
		late := time.AfterFunc(20*time.Second, cancel)
		defer late.Stop()
		for p.lastID != cursor {
			n, err := resp.Body.Read(buf)
			if p.read(buf[:n]); err != nil {
				v.s.t.Fatalf("the stream ended at %q, wanted %q: %v", p.cursor, cursor, err)
			}
		}
	}
}

// opened is a page as it is opened now.
func (v *visitor) opened(path string) *openPage {
	v.s.t.Helper()
	p := newOpenPage("")
	for _, m := range article.FindAllStringSubmatch(v.get(path).body, -1) {
		p.log = append(p.log, m[1])
		p.texts[m[1]] = m[0]
	}
	return p
}

// Changes of all kinds come to a page in four ways: live, from this node's
// memory after a gap, from the database after a gap, and with the page as it is
// opened, which is kept in memory or read. They must all lead to the same.
func TestAllWaysLeadToTheSamePage(t *testing.T) {
	s := newSite(t, func(c *app.Config) { c.StreamsPerAddress = 10000 })
	other := newNode(t, s.database, func(c *app.Config) { c.StreamsPerAddress = 10000 })
	people := []*visitor{s.guest("Ann"), s.guest("Bob"), s.guest("Carl")}
	names := []string{"Ann", "Bob", "Carl"}
	for _, v := range people {
		v.say("parlor", "I belong here")
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))

	authors := map[int64]int{1: 0, 2: 1, 3: 2} // of the messages that are not deleted
	text := func(step int) string {
		// The name is looked for in lower case; the link is longer than a quote.
		return fmt.Sprintf([]string{"step %[1]d", "step %[1]d, @%[2]s!", "[@%[2]s](https://example.org/%[3]s) in step %[1]d"}[r.IntN(3)],
			step, names[r.IntN(3)], strings.Repeat("x", chat.MostQuoted))
	}
	change := func(step int) {
		who := r.IntN(3)
		seqs := slices.Sorted(maps.Keys(authors))
		seq := seqs[r.IntN(len(seqs))]
		at := fmt.Sprintf("/rooms/parlor/messages/%d", seq)
		switch r.IntN(9) {
		case 0:
			authors[people[who].say("parlor", text(step))] = who
		case 1, 2:
			authors[people[who].reply("parlor", seq, text(step))] = who
		case 3, 4:
			people[authors[seq]].post(at, "body", text(step))
		case 5:
			people[who].react(seq, []string{"👍", "🎉"}[r.IntN(2)])
		case 6:
			people[who].post(at + []string{"/pin", "/unpin"}[r.IntN(2)])
		case 7:
			if len(authors) > 3 {
				people[authors[seq]].post(at + "/delete")
				delete(authors, seq)
			}
		case 8:
			names[who] = fmt.Sprintf("%c%d", 'A'+rune(r.IntN(26)), 10*step+who)
			people[who].post("/session", "nickname", names[who])
		}
	}
	looker := s.visitor()
	live := looker.opened("/rooms/parlor")
	live.cursor = s.store.Epoch() + ".3"
	until := looker.follow(live)
	memory, database := looker.opened("/rooms/parlor"), looker.opened("/rooms/parlor")
	memory.cursor, database.cursor = live.cursor, live.cursor
	for step := range 60 {
		change(step)
		room, err := s.store.Room(t.Context(), "parlor")
		if err != nil {
			t.Fatal(err)
		}
		cursor := fmt.Sprintf("%s.%d", room.Epoch, room.Rev)
		until(cursor)
		want := looker.opened("/rooms/parlor?after=0")
		check := func(way string, p *openPage) {
			t.Helper()
			if !slices.Equal(p.log, want.log) {
				t.Fatalf("step %d, %s: the page shows %v, the history is %v", step, way, p.log, want.log)
			}
			for id, text := range want.texts {
				if got := strings.ReplaceAll(p.texts[id], "\n", ""); got != strings.ReplaceAll(text, "\n", "") {
					t.Fatalf("step %d, %s: the page shows\n%s\nthe history is\n%s", step, way, got, text)
				}
			}
		}
		check("live", live)
		check("as it is opened", looker.opened("/rooms/parlor"))
		if r.IntN(3) == 0 {
			looker.resume(memory, cursor)
			check("from memory", memory)
		}
		if r.IntN(6) == 0 {
			other.visitor().resume(database, cursor)
			check("from the database", database)
		}
	}
}

// A restored backup has another epoch: numbers of before mean nothing in it,
// though it may have reached them again.
func TestOpenPagesBeginAfreshInARestoredDatabase(t *testing.T) {
	s := newSite(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	ann.say("parlor", "kept")
	ann.say("parlor", "lost for ever")
	ann.post("/rooms", "name", "Lost room")
	room := bob.stream("/rooms/parlor/stream?after=0")
	old := cursorIn(t, room.until(`"cursor":"`))
	gone := bob.stream("/rooms/lost-room/stream?after=0")
	gone.until("cursor")
	lobby := bob.stream("/stream")
	lobby.until("card-2")

	if _, err := s.store.DB.Exec(`
		delete from messages where seq = 2; delete from room_slugs where room_id = 2; delete from rooms where id = 2;
		update rooms set rev = 1, said = 1, last_seq = 1; update house set epoch = 'restored'`); err != nil {
		t.Fatal(err)
	}
	ann.say("parlor", "said again")
	ann.say("parlor", "and more")
	room.ends()
	lobby.until("selector #cards > :not(#card-1)\ndata: mode remove") // the lost room
	gone.ends()
	bob.stream("/rooms/lost-room/stream?after="+old, "Datastar-Request", "true").until("no such room")
	again := bob.stream("/rooms/parlor/stream?after=" + old)
	page := again.until("selector #history\n")
	if strings.Contains(page, "lost for ever") {
		t.Errorf("still shown: %s", page)
	}
	for _, want := range []string{"kept", "said again", "and more"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page: %s", want, page)
		}
	}
	if cursor := cursorIn(t, again.until(`"cursor":"`)); cursor != "restored.3" {
		t.Errorf("goes on at %s", cursor)
	}
	ann.say("parlor", "live")
	again.until("live")
}
