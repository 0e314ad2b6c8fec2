package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A checker that never complains proves nothing. Here are servers with the
// faults that such servers have, and one without; a reader's connection to
// each is cut at every byte.

// said is a message of the room in these servers.
type said struct {
	seq, rev int64 // its place, and the number of its latest change
	text     string
	edited   bool
}

func (m said) html() string {
	edited := ""
	if m.edited {
		edited = `<i class="edited"></i>`
	}
	return fmt.Sprintf(`<article id="m-%d" data-seq="%d"><b class="nickname">A</b><p class="body">%s</p>%s</article>`, m.seq, m.seq, m.text, edited)
}

// faultyServer sends its messages in some way.
type faultyServer struct {
	// replay is the stream of a reader at a number; again tells that it is not
	// the reader's first.
	replay func(after int64, again bool) string
	cut    int // length of the first stream; below 0: it is not cut
	opened atomic.Int32
}

func (f *faultyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/room" {
		fmt.Fprint(w, `<main data-signals="{&#34;cursor&#34;:&#34;e.0&#34;}"><div id="history"><div id="log" class="log tail"></div></div></main>`)
		return
	}
	var signals struct{ Cursor string }
	_ = json.Unmarshal([]byte(r.URL.Query().Get("datastar")), &signals)
	var after int64
	fmt.Sscanf(cmp.Or(r.Header.Get("Last-Event-ID"), signals.Cursor), "e.%d", &after)
	opened := f.opened.Add(1)
	if opened > 3 {
		w.WriteHeader(http.StatusNoContent) // ends the retries
		return
	}
	stream := f.replay(after, opened > 1)
	if opened == 1 && f.cut >= 0 {
		stream = stream[:min(f.cut, len(stream))]
	}
	fmt.Fprint(w, stream)
}

// The room: two messages are said, then the first is edited.
var finalRoom = []said{{1, 3, "one, edited", true}, {2, 2, "two", false}}

func appended(m said, selector, id string) string {
	return fmt.Sprintf("event: datastar-patch-elements\n%sdata: selector %s\ndata: mode append\ndata: elements %s\n\n", id, selector, m.html())
}

func replaced(m said) string {
	return fmt.Sprintf("event: datastar-patch-elements\ndata: selector #m-%d\ndata: elements %s\n\n", m.seq, m.html())
}

func cursor(rev int64) string {
	return fmt.Sprintf("event: datastar-patch-signals\ndata: signals {\"cursor\":\"e.%d\"}\nid: e.%d\n\n", rev, rev)
}

func ifAbsent(seq int64) string { return fmt.Sprintf("#log.tail:not(:has(> #m-%d))", seq) }

// replays are the ways to send it. Each but the first loses or doubles.
var replays = map[string]func(after int64, again bool) string{
	"right": func(after int64, _ bool) (out string) {
		for _, m := range finalRoom {
			if m.seq > after {
				out += appended(m, ifAbsent(m.seq), "")
			}
			if m.rev > after && m.rev > m.seq {
				out += replaced(m)
			}
		}
		return out + cursor(3)
	},
	"id before data": func(after int64, _ bool) (out string) {
		for _, m := range finalRoom {
			if m.seq > after {
				out += appended(m, ifAbsent(m.seq), fmt.Sprintf("id: e.%d\n", m.seq))
			}
		}
		return out + cursor(3)
	},
	"plain append": func(after int64, _ bool) (out string) {
		for _, m := range finalRoom {
			if m.seq > after {
				out += appended(m, "#log.tail", "")
			}
		}
		return out + cursor(3)
	},
	"timestamp cursor with late commits": func(after int64, again bool) (out string) {
		// The first message carries time 1 and is committed when the reader
		// has already been told that it is at time 3.
		if again && after < 1 {
			out += appended(finalRoom[0], ifAbsent(1), "")
		}
		if after < 2 {
			out += appended(finalRoom[1], ifAbsent(2), "")
		}
		return out + cursor(3)
	},
	"order by rev and a number behind each row": func(after int64, _ bool) (out string) {
		rows := slices.Clone(finalRoom)
		slices.SortFunc(rows, func(a, b said) int { return cmp.Compare(a.rev, b.rev) })
		for _, m := range rows {
			switch {
			case m.rev <= after:
				continue
			case m.seq > after:
				out += appended(m, ifAbsent(m.seq), "")
			default:
				out += replaced(m)
			}
			out += cursor(m.rev)
		}
		return out
	},
}

func TestTheCheckerFindsEachWayToLoseMessages(t *testing.T) {
	for name, want := range map[string]func(*verdict) []string{
		"right":                              nil,
		"id before data":                     func(v *verdict) []string { return v.Lost },
		"plain append":                       func(v *verdict) []string { return v.Doubled },
		"timestamp cursor with late commits": func(v *verdict) []string { return v.Lost },
		"order by rev and a number behind each row": func(v *verdict) []string { return v.Lost },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := len(replays[name](0, false))
			found := 0
			f := &faultyServer{replay: replays[name]}
			server := httptest.NewServer(f)
			defer server.Close()
			for cut := -1; cut <= length; cut++ {
				f.cut = cut
				f.opened.Store(0)
				v := &verdict{}
				v.checkReader(readThrough(t, f, server), stored(finalRoom))
				if want == nil && v.broken() {
					t.Fatalf("cut at %d of %d: it complains of a server that is right:\n%s", cut, length, v)
				}
				if want != nil && len(want(v)) > 0 {
					found++
				}
			}
			if want != nil && found == 0 {
				t.Errorf("it did not complain, wherever the stream of %d bytes was cut", length)
			}
		})
	}
}

// readThrough reads the server's room by three streams: one that is cut, one
// that goes on from there, and one more. The reader asks for a fourth when it
// has read the third to its end.
func readThrough(t *testing.T, f *faultyServer, server *httptest.Server) record {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newSubscriber("reader", server.URL+"/room", time.Minute)
	s.hurry, s.http = 50_000, server.Client()
	done := make(chan struct{})
	go func() { s.run(ctx); close(done) }()
	for deadline := time.Now().Add(20 * time.Second); f.opened.Load() < 4; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("the reader does not come back")
		}
	}
	cancel()
	<-done
	return s.record()
}

func stored(room []said) (rows []row) {
	for _, m := range room {
		rows = append(rows, row{Seq: m.seq, Nonce: fmt.Sprint(m.seq), Text: m.text, Edited: m.edited, Nickname: "A"})
	}
	return rows
}

// What the checker says of records made by hand.
func TestTheCheckerComparesPostsHistoryAndReaders(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(1000+int64(second), 0) }
	acked := func(n int, then ...*change) *post {
		return &post{Nonce: fmt.Sprint(n), Text: fmt.Sprintf("text %d", n), Tried: []time.Time{at(2 * n)}, Acked: at(2*n + 1), Seq: int64(n), Rev: int64(n), Then: then}
	}
	pending := func(n int) *post {
		return &post{Nonce: fmt.Sprint(n), Text: fmt.Sprintf("text %d", n), Tried: []time.Time{at(2 * n)}}
	}
	edit := func(text string, acked bool) *change {
		c := &change{Text: text, Tried: []time.Time{at(50)}}
		if acked {
			c.Acked = at(51)
		}
		return c
	}
	deletion := func(acked bool) *change { c := edit("", acked); c.Delete = true; return c }
	is := func(n int) row { return row{Seq: int64(n), Nonce: fmt.Sprint(n), Text: fmt.Sprintf("text %d", n)} }
	edited := func(n int, text string) row { r := is(n); r.Text, r.Edited = text, true; return r }
	deleted := func(n int) row { r := is(n); r.Text, r.Deleted = "", true; return r }
	reader := func(seqs ...int64) record {
		r := record{Reader: "reader"}
		for _, seq := range seqs {
			r.Shown = append(r.Shown, shown{Seq: seq, Text: fmt.Sprintf("text %d", seq)})
			r.Seen = append(r.Seen, sight{Seq: seq})
		}
		return r
	}
	seen := func(sights ...sight) record { r := reader(1, 2, 3); r.Seen = sights; return r }
	ended := func(change func(*shown)) record { r := reader(1, 2, 3); change(&r.Shown[1]); return r }
	three := []row{is(1), is(2), is(3)}
	threeSaid := []*post{acked(1), acked(2), acked(3)}

	for _, c := range []struct {
		name    string
		posts   []*post
		history []row
		readers []record
		want    string // the beginning of a complaint; "": there is none
	}{
		{"all is well", threeSaid, three, []record{reader(1, 2, 3)}, ""},
		{"not acknowledged and stored", []*post{acked(1), pending(2)}, []row{is(1), is(2)}, nil, ""},
		{"not acknowledged and not stored", []*post{acked(1), pending(2)}, []row{is(1)}, nil, ""},
		{"an edit that was not acknowledged", []*post{acked(1, edit("new", false))}, []row{is(1)}, nil, ""},
		{"the same, stored", []*post{acked(1, edit("new", false))}, []row{edited(1, "new")}, nil, ""},
		{"a page afresh after a long gap", threeSaid, three, []record{seen(sight{Seq: 1}, sight{2, 1, true}, sight{3, 1, true})}, ""},

		{"acknowledged and not stored", threeSaid, three[:2], nil, "lost"},
		{"stored twice", threeSaid, append(slices.Clone(three), row{Seq: 4, Nonce: "3", Text: "text 3"}), nil, "doubled"},
		{"nobody sent it", threeSaid[:2], three, nil, "wrong"},
		{"stored under another number", []*post{acked(1)}, []row{{Seq: 5, Nonce: "1", Text: "text 1"}}, nil, "wrong"},
		{"an earlier number than one acknowledged before", []*post{acked(2), {Nonce: "1", Text: "late", Tried: []time.Time{at(9)}, Acked: at(10), Seq: 1, Rev: 1}},
			[]row{{Seq: 1, Nonce: "1", Text: "late"}, is(2)}, nil, "misordered"},
		{"an edit was undone", []*post{acked(1, edit("new", true))}, []row{is(1)}, nil, "lost"},
		{"a second edit was undone by the first", []*post{acked(1, edit("new", true), edit("newer", true))}, []row{edited(1, "new")}, nil, "lost"},
		{"a deletion does not hold", []*post{acked(1, deletion(true))}, []row{is(1)}, nil, "lost"},
		{"deleted by nobody", []*post{acked(1)}, []row{deleted(1)}, nil, "lost"},
		{"shown in the wrong order", threeSaid, three, []record{reader(1, 3, 2)}, "misordered"},
		{"shown twice", threeSaid, three, []record{reader(1, 2, 2, 3)}, "doubled"},
		{"not shown", threeSaid, three, []record{reader(1, 3)}, "lost"},
		{"the end is not shown", threeSaid, three, []record{reader(1, 2)}, "lost"},
		{"nothing is shown", threeSaid, three, []record{reader()}, "lost"},
		{"an old text is shown", threeSaid, three, []record{ended(func(s *shown) { s.Text = "old" })}, "lost"},
		{"a deleted message is shown", threeSaid, []row{is(1), deleted(2), is(3)}, []record{reader(1, 2, 3)}, "lost"},
		{"an old nickname is shown", threeSaid, three, []record{ended(func(s *shown) { s.Nickname = "old" })}, "lost"},
		{"shown and not stored", threeSaid[:2], three[:2], []record{reader(1, 2, 3)}, "wrong"},
		{"came twice and was repaired", threeSaid, three, []record{seen(sight{Seq: 1}, sight{Seq: 2}, sight{Seq: 2}, sight{Seq: 3})}, "doubled"},
		{"came out of order and was repaired", threeSaid, three, []record{seen(sight{Seq: 1}, sight{Seq: 3}, sight{Seq: 2}, sight{2, 1, true}, sight{3, 1, true})}, "misordered"},
		{"was left out and came with a page afresh", threeSaid, three, []record{seen(sight{Seq: 1}, sight{Seq: 3}, sight{2, 1, true}, sight{3, 1, true})}, "lost"},
		{"a page afresh that is older", threeSaid, three, []record{seen(sight{Seq: 1}, sight{Seq: 2}, sight{Seq: 3}, sight{1, 1, true}, sight{2, 1, true}, sight{Seq: 3, Page: 2})}, "misordered"},
		{"a rename that does not hold", []*post{{Poster: "B", Nonce: "1", Text: "text 1", Tried: []time.Time{at(1)}, Acked: at(2), Seq: 1}},
			[]row{{Seq: 1, Nonce: "1", Text: "text 1", Nickname: "B"}}, nil, "lost"},
		{"a rename that holds", []*post{{Poster: "B", Nonce: "1", Text: "text 1", Tried: []time.Time{at(1)}, Acked: at(2), Seq: 1}},
			[]row{{Seq: 1, Nonce: "1", Text: "text 1", Nickname: "C"}}, nil, ""},
		{"something that belongs to a message is not shown", threeSaid, three, []record{{
			Reader: "page", Shown: reader(1, 2, 3).Shown, Whole: map[int64]string{1: "a", 2: "b"}, Fresh: map[int64]string{2: "b 👍", 3: "c"},
		}}, "lost"},
		{"the reader has a problem", threeSaid, three, []record{{Reader: "page", Shown: reader(1, 2, 3).Shown, Problems: []string{"was loaded afresh"}}}, "wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := check(c.posts, map[string][]*change{"B": {{Text: "C", Acked: at(1)}}}, c.history, c.readers).String()
			switch {
			case c.want == "" && said != "":
				t.Errorf("it complains:\n%s", said)
			case c.want != "" && !strings.Contains("\n"+said, "\n"+c.want+": "):
				t.Errorf("wanted a complaint of %q, got %q", c.want, said)
			}
		})
	}
}

// The same seed plans the same faults.
func TestASeedPlansTheSameFaults(t *testing.T) {
	plan := func(seed uint64) string {
		var b strings.Builder
		p := newPlanner(seed, kinds, 20*time.Second)
		for _, in := range []phase{{1, byPostgres}, {3, byPostgres}, {3, byNATS}} {
			for range 50 {
				for _, f := range p.next(in) {
					fmt.Fprintln(&b, f.kind.name, f.after, f.lasts, f.target)
				}
			}
		}
		return b.String()
	}
	first := plan(1)
	if first != plan(1) {
		t.Error("the same seed planned other faults")
	}
	if first == plan(2) {
		t.Error("another seed planned the same faults")
	}
	for _, k := range kinds {
		if !strings.Contains(first, k.name) {
			t.Errorf("%q is never planned", k.name)
		}
	}
}
