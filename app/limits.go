package app

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits slow down floods, by person or by address: a bucket of each kind for
// everybody who did something lately.
type limits struct {
	mu        sync.Mutex
	posts     buckets[int64]      // see mayPost
	addrPosts buckets[netip.Addr] // the same, of all people at an address
	names     buckets[netip.Addr] // new nicknames
	rooms     buckets[netip.Addr] // new rooms
	typing    buckets[int64]
	searches  buckets[netip.Addr]
	files     buckets[int64]
	notes     buckets[int64] // see mayNote
}

// buckets holds a token bucket per key, for keys that were seen lately.
type buckets[K comparable] struct {
	perSecond rate.Limit
	burst     int
	of        map[K]*rate.Limiter
}

func newBuckets[K comparable](perSecond float64, burst int) buckets[K] {
	return buckets[K]{rate.Limit(perSecond), burst, make(map[K]*rate.Limiter)}
}

// allow takes a token; without a rate there is always one.
func (b *buckets[K]) allow(key K, now time.Time) bool {
	if b.perSecond == 0 {
		return true
	}
	l := b.of[key]
	if l == nil {
		l = rate.NewLimiter(b.perSecond, b.burst)
		b.of[key] = l
	}
	return l.AllowN(now, 1)
}

// sweep forgets full buckets: a new one is as good.
func (b *buckets[K]) sweep(now time.Time) {
	for key, l := range b.of {
		if l.TokensAt(now) >= float64(b.burst) {
			delete(b.of, key)
		}
	}
}

func newLimits(cfg Config) *limits {
	return &limits{
		posts:     newBuckets[int64](cfg.PostsPerSecond, cfg.PostsBurst),
		addrPosts: newBuckets[netip.Addr](cfg.PostsPerSecond*10, cfg.PostsBurst*10),
		names:     newBuckets[netip.Addr](float64(cfg.NicknamesPerHour)/3600, max(cfg.NicknamesPerHour, 1)),
		typing:    newBuckets[int64](1, 3),
		rooms:     newBuckets[netip.Addr](unlessOff(cfg, roomsPerHour/3600.), roomsPerHour),
		searches:  newBuckets[netip.Addr](unlessOff(cfg, 5), 30), // enough for several who search as they type
		files:     newBuckets[int64](cfg.PostsPerSecond, 2*cfg.FilesPerMessage),
		notes:     newBuckets[int64](10, 40), // by the pages of one person, several at once
	}
}

// mayPost counts messages, and all else that others are told of: edits,
// deletions, reactions, pins, rooms and their names, status lines, and new
// nicknames of those who have one.
func (l *limits) mayPost(personID int64, addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.posts.allow(personID, now) && l.addrPosts.allow(addr, now)
}

// mayAttach bounds how many files come in, however small.
func (l *limits) mayAttach(personID int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files.allow(personID, now)
}

func (l *limits) mayTakeNickname(addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.names.allow(addr, now)
}

// mayType bounds how often one person's typing is passed on.
func (l *limits) mayType(personID int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.typing.allow(personID, now)
}

// roomsPerHour is how many new rooms may come from one address. The lists hold
// the latest hundred: a few minutes of new ones would push all others off them.
const roomsPerHour = 20

// unlessOff is the rate where there is flood control at all.
func unlessOff(cfg Config, perSecond float64) float64 {
	if cfg.PostsPerSecond == 0 {
		return 0
	}
	return perSecond
}

func (l *limits) mayMakeRoom(addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rooms.allow(addr, now)
}

func (l *limits) maySearch(addr netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.searches.allow(addr, now)
}

// mayNote bounds read marks, drafts and other things that only the person sees.
func (l *limits) mayNote(personID int64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notes.allow(personID, now)
}

func (l *limits) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts.sweep(now)
	l.addrPosts.sweep(now)
	l.names.sweep(now)
	l.rooms.sweep(now)
	l.typing.sweep(now)
	l.searches.sweep(now)
	l.files.sweep(now)
	l.notes.sweep(now)
}
