package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// The checker shares nothing with the program. It compares three records: what
// the posters sent and were told, what the database holds in the end, and what
// each reader saw on the way and shows in the end.

// post is one message as its poster knows it.
type post struct {
	Poster string // first nickname
	Nonce  string
	Text   string
	Tried  []time.Time // when each attempt began
	Acked  time.Time   // zero: nobody said that it is stored
	Seq    int64       // as acknowledged
	Rev    int64
	Then   []*change // edits and the deletion, one after the other
}

// change is an edit or the deletion of a message, or another nickname of a
// poster, tried until acknowledged.
type change struct {
	Text   string
	Delete bool
	Tried  []time.Time
	Acked  time.Time
}

// row is a message as the database holds it in the end, in the order of Seq.
type row struct {
	Seq      int64
	Nonce    string
	Text     string
	Edited   bool
	Deleted  bool
	Nickname string
}

// shown is a message as a page shows it.
type shown struct {
	Seq      int64
	Text     string
	Edited   bool
	Deleted  bool
	Nickname string
	author   string
	said     *html.Node // all that belongs to it, where it is at hand
}

// sight is the moment in which a message came on a page: appended, or (Whole)
// as part of a page that was given afresh, of which Page is the number.
type sight struct {
	Seq   int64
	Page  int
	Whole bool
}

// record is what one reader saw.
type record struct {
	Reader   string
	Seen     []sight
	Shown    []shown // in the end, from top to bottom
	Problems []string
	// Whole is each message that it shows in the end, with all that belongs to
	// it; Fresh the same of a page that was opened then.
	Whole, Fresh map[int64]string
}

// verdict is what the checker found.
type verdict struct {
	Acknowledged, Changes, Readers int

	Afresh int // pages that readers were given afresh, after gaps too long to be replayed

	Lost, Doubled, Misordered []string
	Wrong                     []string // anything else that breaks the promise
}

func (v *verdict) broken() bool {
	return len(v.Lost)+len(v.Doubled)+len(v.Misordered)+len(v.Wrong) > 0
}

func (v *verdict) String() string {
	var b strings.Builder
	for _, list := range []struct {
		name  string
		items []string
	}{{"lost", v.Lost}, {"doubled", v.Doubled}, {"misordered", v.Misordered}, {"wrong", v.Wrong}} {
		for i, item := range list.items {
			if i == 12 {
				fmt.Fprintf(&b, "%s: and %d more\n", list.name, len(list.items)-i)
				break
			}
			fmt.Fprintf(&b, "%s: %s\n", list.name, item)
		}
	}
	return b.String()
}

// check compares the records. renames are by the posters' first nicknames.
func check(posts []*post, renames map[string][]*change, history []row, readers []record) *verdict {
	v := &verdict{Readers: len(readers)}
	v.checkHistory(posts, history)
	v.checkNicknames(posts, renames, history)
	for _, r := range readers {
		v.checkReader(r, history)
	}
	return v
}

func note(list *[]string, format string, args ...any) {
	*list = append(*list, fmt.Sprintf(format, args...))
}

// checkHistory: every acknowledged message is stored exactly once, with the
// number its poster was told and its last acknowledged form; one that was not
// acknowledged is there once or not at all; and what was acknowledged before
// another was first sent stands before it.
func (v *verdict) checkHistory(posts []*post, history []row) {
	stored := make(map[string]row)
	for i, r := range history {
		if _, twice := stored[r.Nonce]; twice {
			note(&v.Doubled, "the history has %q twice (at %d)", r.Text, r.Seq)
		}
		stored[r.Nonce] = r
		if i > 0 && r.Seq <= history[i-1].Seq {
			note(&v.Misordered, "the history has %d behind %d", r.Seq, history[i-1].Seq)
		}
	}
	byAck := make([]*post, 0, len(posts))
	sent := make(map[string]bool)
	for _, p := range posts {
		sent[p.Nonce] = true
		r, there := stored[p.Nonce]
		if !p.Acked.IsZero() {
			v.Acknowledged++
			byAck = append(byAck, p)
			switch {
			case !there:
				note(&v.Lost, "%q was acknowledged as %d and is not stored", p.Text, p.Seq)
			case r.Seq != p.Seq:
				note(&v.Wrong, "%q was acknowledged as %d and is stored as %d", p.Text, p.Seq, r.Seq)
			}
		}
		if there {
			v.checkChanges(p, r)
		}
	}
	for _, r := range history {
		if !sent[r.Nonce] {
			note(&v.Wrong, "the history has %q at %d, which nobody sent", r.Text, r.Seq)
		}
	}
	slices.SortFunc(byAck, func(a, b *post) int { return a.Acked.Compare(b.Acked) })
	byStart := slices.Clone(byAck)
	slices.SortFunc(byStart, func(a, b *post) int { return a.Tried[0].Compare(b.Tried[0]) })
	highest, at := &post{}, 0
	for _, p := range byStart {
		for ; at < len(byAck) && byAck[at].Acked.Before(p.Tried[0]); at++ {
			if byAck[at].Seq > highest.Seq {
				highest = byAck[at]
			}
		}
		if p.Seq <= highest.Seq {
			note(&v.Misordered, "%q got %d although %q had been acknowledged as %d before it was sent", p.Text, p.Seq, highest.Text, highest.Seq)
		}
	}
}

// checkChanges: the message has its last acknowledged form, or that of a later
// change that was not acknowledged.
func (v *verdict) checkChanges(p *post, r row) {
	texts, edited, mayBeDeleted, mustBeDeleted := []string{p.Text}, false, false, false
	for _, c := range p.Then {
		acked := !c.Acked.IsZero()
		if acked {
			v.Changes++
		}
		switch {
		case c.Delete:
			mayBeDeleted, mustBeDeleted = true, mustBeDeleted || acked
		case acked:
			texts, edited = []string{c.Text}, true
		default:
			texts = append(texts, c.Text)
		}
	}
	switch {
	case r.Deleted && !mayBeDeleted:
		note(&v.Lost, "%q at %d is deleted, which nobody asked for", p.Text, r.Seq)
	case r.Deleted:
		if r.Text != "" {
			note(&v.Wrong, "%d is deleted and its text is still there", r.Seq)
		}
	case mustBeDeleted:
		note(&v.Lost, "the deletion of %q at %d was acknowledged and does not hold", p.Text, r.Seq)
	case !slices.Contains(texts, r.Text):
		note(&v.Lost, "%d holds %q, its last acknowledged text was %q", r.Seq, r.Text, texts[0])
	case edited && !r.Edited:
		note(&v.Lost, "the edit of %d is not marked", r.Seq)
	}
}

// checkNicknames: everything a poster said stands under the last acknowledged
// nickname, or a later one.
func (v *verdict) checkNicknames(posts []*post, renames map[string][]*change, history []row) {
	poster := make(map[string]string)
	for _, p := range posts {
		poster[p.Nonce] = p.Poster
	}
	for _, r := range history {
		name, known := poster[r.Nonce]
		if !known {
			continue
		}
		names := []string{name}
		for _, c := range renames[name] {
			if !c.Acked.IsZero() {
				names = nil
			}
			names = append(names, c.Text)
		}
		if !slices.Contains(names, r.Nickname) {
			note(&v.Lost, "%d stands under the nickname %q instead of %q", r.Seq, r.Nickname, names)
		}
	}
}

// checkReader: in the end the page shows the newest end of the history, and on
// the way each message came once, in the room's order, without a gap.
func (v *verdict) checkReader(r record, history []row) {
	for _, p := range r.Problems {
		note(&v.Wrong, "%s: %s", r.Reader, p)
	}
	place := make(map[int64]int, len(history)) // of each seq
	for i, h := range history {
		place[h.Seq] = i
	}

	// What it shows.
	count := make(map[int64]int)
	for i, s := range r.Shown {
		if count[s.Seq]++; count[s.Seq] == 2 {
			note(&v.Doubled, "%s shows %d twice", r.Reader, s.Seq)
		}
		if i > 0 && s.Seq < r.Shown[i-1].Seq {
			note(&v.Misordered, "%s shows %d below %d", r.Reader, s.Seq, r.Shown[i-1].Seq)
		}
		at, there := place[s.Seq]
		if !there {
			note(&v.Wrong, "%s shows %d (%q), which is not in the history", r.Reader, s.Seq, s.Text)
			continue
		}
		want := shown{history[at].Seq, tidy(history[at].Text), history[at].Edited, history[at].Deleted, history[at].Nickname, s.author, s.said}
		if s != want {
			note(&v.Lost, "%s shows %+v where the history has %+v", r.Reader, s, want)
		}
	}
	for seq, fresh := range r.Fresh {
		if whole, there := r.Whole[seq]; there && whole != fresh {
			note(&v.Lost, "%s shows %d as\n\t%s\nand a page that was opened in the end as\n\t%s", r.Reader, seq, whole, fresh)
		}
	}
	if len(r.Shown) < min(len(history), atLeastShown) {
		note(&v.Lost, "%s shows %d of %d messages", r.Reader, len(r.Shown), len(history))
	}
	if len(r.Shown) > 0 {
		for _, h := range history[place[r.Shown[0].Seq]:] {
			if count[h.Seq] == 0 {
				note(&v.Lost, "%s does not show %d (%q)", r.Reader, h.Seq, h.Text)
			}
		}
	}

	// What it saw on the way.
	seen := make(map[int64]bool)
	last, page := int64(0), -1
	for _, s := range r.Seen {
		if s.Whole && s.Page != page { // a page afresh: it may repeat and leave out, not go back
			if page = s.Page; page > 0 {
				v.Afresh++
			}
			newest := s.Seq
			for _, t := range r.Seen {
				if t.Whole && t.Page == page {
					newest = max(newest, t.Seq)
				}
			}
			if newest < last {
				note(&v.Misordered, "%s had seen %d and was given a page that ends with %d", r.Reader, last, newest)
			}
			last = 0
		}
		switch {
		case !s.Whole && seen[s.Seq]:
			note(&v.Doubled, "%s was given %d again", r.Reader, s.Seq)
		case s.Seq <= last:
			note(&v.Misordered, "%s got %d behind %d", r.Reader, s.Seq, last)
		case last > 0:
			from, ok := place[last]
			to, there := place[s.Seq]
			if ok && there && to != from+1 {
				note(&v.Lost, "%s got %d right behind %d, %d between them never came", r.Reader, s.Seq, last, to-from-1)
			}
		}
		if _, there := place[s.Seq]; !there {
			note(&v.Wrong, "%s was shown %d, which is not in the history", r.Reader, s.Seq)
		}
		seen[s.Seq] = true
		last = max(last, s.Seq)
	}
}

// atLeastShown is how many messages of a longer history a page always shows.
const atLeastShown = 50
