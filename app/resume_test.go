package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
