package app

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/pieces"
	"parlor/db"
	"parlor/views"
)

const (
	// mostKept is how many rooms' newest pages are in memory.
	mostKept = 256
	// trustFor is how long a page is shown to lookers without a look at the
	// database: hints of the bus (Server.Woken) may be lost. While the listener
	// has no connection they surely are.
	trustFor     = 15 * time.Second
	trustDeafFor = time.Second
	// sideFor is how long a page is served although who is here, who types, or
	// the list of rooms changed. The page's stream brings these at once.
	sideFor = time.Second
	// forgetRoom and forgetPage are how long what nobody looks at is kept.
	forgetRoom = 10 * time.Minute
	forgetPage = time.Minute
)

// newest keeps the newest page of rooms that people look at, brings them up to
// date by what changed, and renders and compresses each once per change for
// all who look at it in the same way.
type newest struct {
	s *Server

	mu     sync.Mutex
	rooms  map[int64]*keptRoom
	bySlug map[string]*keptRoom // those that were read
}

// keptRoom is a room with its newest page.
type keptRoom struct {
	id     int64
	used   atomic.Int64       // when somebody looked, Unix nanoseconds
	asking singleflight.Group // one question to the database at a time

	mu      sync.Mutex
	read    bool // the fields below hold something
	page    db.Page
	html    [][]string // of the messages, by language; "": not rendered yet
	checked time.Time  // the database was asked; what it said is in page
	hinted  int64      // the bus says that the room is at this number, or higher
	looks   map[look]*composed
}

// look is a way of looking at a room. All who share it get the same page but
// for the texts at its marks.
type look struct {
	lang           i18n.Lang
	theme          string
	signedIn, away bool
}

// composed is a page ready to be sent, and what it is made of.
type composed struct {
	page *pieces.Page
	rev  int64 // of the room
	side int64 // of what stands beside it (hall.version)
	made time.Time
	used time.Time
}

func newNewest(s *Server) *newest {
	return &newest{s: s, rooms: make(map[int64]*keptRoom), bySlug: make(map[string]*keptRoom)}
}

// woken notes that a room is at a number.
func (n *newest) woken(roomID, rev int64) {
	n.mu.Lock()
	k := n.rooms[roomID]
	n.mu.Unlock()
	if k != nil {
		k.mu.Lock()
		k.hinted = max(k.hinted, rev)
		k.mu.Unlock()
	}
}

// restart forgets everything: the database is another one.
func (n *newest) restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rooms, n.bySlug = make(map[int64]*keptRoom), make(map[string]*keptRoom)
}

// distrust has every page compared with the database before it is shown again.
func (n *newest) distrust() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.rooms {
		k.mu.Lock()
		k.checked = time.Time{}
		k.mu.Unlock()
	}
}

// sweep forgets what nobody looks at. While the database is away nothing is
// forgotten: it could not be read again.
func (n *newest) sweep(now time.Time) {
	if n.s.store.Away() {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.rooms {
		if now.Sub(time.Unix(0, k.used.Load())) > forgetRoom {
			n.forget(k)
			continue
		}
		k.mu.Lock()
		for l, c := range k.looks {
			if now.Sub(c.used) > forgetPage {
				delete(k.looks, l)
			}
		}
		k.mu.Unlock()
	}
}

// forget needs n.mu.
func (n *newest) forget(k *keptRoom) {
	delete(n.rooms, k.id)
	for slug, other := range n.bySlug {
		if other == k {
			delete(n.bySlug, slug)
		}
	}
}

// at is the room's newest page, at the number of the room that was just read
// or further.
func (n *newest) at(ctx context.Context, room chat.Room) (*keptRoom, error) {
	k := n.keep(room.ID)
	return k, n.reach(ctx, k, room.Rev, true)
}

// bySlugNow is the newest page of the room with the slug, as far as this node
// knows without asking; nil when it is not in memory.
func (n *newest) bySlugNow(ctx context.Context, slug string) (*keptRoom, error) {
	k := n.kept(slug)
	if k == nil {
		return nil, nil
	}
	return k, n.reach(ctx, k, 0, false)
}

// kept is what is in memory under a slug, however old, or nil.
func (n *newest) kept(slug string) *keptRoom {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bySlug[slug]
}

// keep finds or makes a room's place. It is there before anything is read, so
// that no hint is missed meanwhile.
func (n *newest) keep(roomID int64) *keptRoom {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := n.rooms[roomID]
	if k != nil {
		return k
	}
	if len(n.rooms) >= mostKept {
		var oldest *keptRoom
		for _, other := range n.rooms {
			if oldest == nil || other.used.Load() < oldest.used.Load() {
				oldest = other
			}
		}
		n.forget(oldest)
	}
	k = &keptRoom{id: roomID, looks: make(map[look]*composed)}
	k.used.Store(n.s.now().UnixNano())
	n.rooms[roomID] = k
	return k
}

// reach sees to it that a page is at a number, and at what the bus hinted at.
// confirmed says that the number was just read from the database.
func (n *newest) reach(ctx context.Context, k *keptRoom, rev int64, confirmed bool) error {
	now := n.s.now()
	k.used.Store(now.UnixNano())
	trust := trustFor
	if !n.s.bus.Healthy() {
		trust = trustDeafFor
	}
	k.mu.Lock()
	rev = max(rev, k.hinted)
	k.mu.Unlock()
	// What another request asked for may have been read before the number
	// that is wanted now was there; so once more.
	for try := 0; ; try++ {
		k.mu.Lock()
		there := k.read && k.page.Room.Rev >= rev
		if there && confirmed && k.page.Room.Rev == rev {
			k.checked = now
		}
		there = there && (confirmed || now.Sub(k.checked) < trust)
		k.mu.Unlock()
		if there || try == 3 { // a hint that no number in the database follows is none
			return nil
		}
		answer := k.asking.DoChan("", func() (any, error) { return nil, n.bring(k) })
		select {
		case a := <-answer:
			if a.Err != nil {
				return a.Err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-n.s.store.Gone():
			return errAway()
		}
	}
}

// bring brings a page up to date. Nobody else does so for the same room.
func (n *newest) bring(k *keptRoom) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	began := n.s.now()
	k.mu.Lock()
	read, after, epoch, hinted, slug := k.read, k.page.Room.Rev, k.page.Room.Epoch, k.hinted, k.page.Room.Slug
	k.mu.Unlock()
	var page db.Page
	var changes db.Changes
	var err error
	fresh := !read
	if read {
		if changes, err = n.s.store.Changes(ctx, k.id, after); err != nil {
			return err
		}
		// Another epoch is another past: a restored backup.
		fresh = changes.TooMany || changes.Room.Epoch != epoch
	}
	if fresh {
		if page, err = n.s.store.Page(ctx, k.id, db.Place{}); err != nil {
			return err
		}
	}
	k.mu.Lock()
	if fresh {
		k.page, k.html, k.read = page, make([][]string, len(i18n.Langs)), true
		clear(k.looks) // the same number may mean something else in a restored backup
		for l := range k.html {
			k.html[l] = make([]string, len(page.Messages))
		}
	} else {
		k.apply(changes, after)
	}
	k.checked = began
	if k.hinted == hinted {
		k.hinted = min(hinted, k.page.Room.Rev)
	}
	now := k.page.Room.Slug
	k.mu.Unlock()
	if slug != now {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.rooms[k.id] != k {
			return nil // forgotten meanwhile
		}
		if slug != "" && n.bySlug[slug] == k {
			delete(n.bySlug, slug)
		}
		n.bySlug[now] = k
	}
	return nil
}

// apply changes the page by what happened after a number. Whoever holds the
// page's old messages keeps them.
func (k *keptRoom) apply(c db.Changes, after int64) {
	messages := slices.Clone(k.page.Messages)
	for l := range k.html {
		k.html[l] = slices.Clone(k.html[l])
	}
	unrender := func(i int) {
		for l := range k.html {
			k.html[l][i] = ""
		}
	}
	for _, m := range c.Messages {
		i, found := slices.BinarySearchFunc(messages, m.Seq, func(m chat.Message, seq int64) int { return cmp.Compare(m.Seq, seq) })
		switch {
		case found:
			messages[i] = m
			unrender(i)
		case m.Seq > after:
			messages = append(messages, m)
			for l := range k.html {
				k.html[l] = append(k.html[l], "")
			}
		} // else it is above the page
		for i := range messages {
			if parent := messages[i].Parent; m.Quotes > 0 && parent != nil && parent.Seq == m.Seq {
				messages[i].Parent = chat.QuoteOf(m)
				for _, p := range m.Mentioned {
					if !slices.ContainsFunc(messages[i].Mentioned, func(known chat.Person) bool { return known.ID == p.ID }) {
						messages[i].Mentioned = append(slices.Clip(messages[i].Mentioned), p)
					}
				}
				unrender(i)
			}
		}
	}
	for _, p := range c.People {
		for i := range messages {
			if messages[i].Names(p.ID) {
				messages[i] = messages[i].Renamed(p)
				unrender(i)
			}
		}
	}
	if c.Room.Slug != k.page.Room.Slug { // it is in every message's links
		for i := range messages {
			unrender(i)
		}
	}
	if extra := len(messages) - db.PageSize; extra > 0 {
		messages = slices.Clone(messages[extra:])
		for l := range k.html {
			k.html[l] = slices.Clone(k.html[l][extra:])
		}
		k.page.Older = true
	}
	k.page.Room, k.page.Messages = c.Room, messages
}

// history is the page as views show it.
func (n *newest) history(k *keptRoom, l i18n.Lang) views.History {
	k.mu.Lock()
	defer k.mu.Unlock()
	return n.historyLocked(k, l)
}

func (n *newest) historyLocked(k *keptRoom, l i18n.Lang) views.History {
	h := n.s.history(k.page)
	for i, m := range k.page.Messages {
		if k.html[l][i] == "" {
			k.html[l][i] = n.s.html(views.Message(l, k.page.Room, m))
		}
	}
	h.Rendered = slices.Clone(k.html[l])
	return h
}
