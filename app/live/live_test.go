package live_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parlor/app/live"
)

// room is a stand-in for the database: messages with texts, each change with
// the next number.
type room struct {
	mu       sync.Mutex
	rev      int64
	texts    map[int64]string // by seq
	revs     map[int64]int64
	reads    int
	mostRows int
	block    chan struct{} // if not nil, reads wait for it after they read
}

func newRoom() *room {
	return &room{texts: make(map[int64]string), revs: make(map[int64]int64), mostRows: 200}
}

func (r *room) say(text string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rev++
	r.texts[r.rev], r.revs[r.rev] = text, r.rev
	return r.rev
}

func (r *room) edit(seq int64, text string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rev++
	r.texts[seq], r.revs[seq] = text, r.rev
	return r.rev
}

func (r *room) readCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads
}

func frame(format string, args ...any) live.Variants {
	return live.Variants{[]byte(fmt.Sprintf(format+"\n", args...))}
}

func (r *room) changes(_ context.Context, _, after int64) (live.Batch, error) {
	r.mu.Lock()
	r.reads++
	block := r.block
	batch := live.Batch{To: r.rev, Cursor: frame("cursor %d", r.rev)}
	for seq := int64(1); seq <= r.rev; seq++ {
		if text, ok := r.texts[seq]; ok && r.revs[seq] > after {
			batch.Pieces = append(batch.Pieces, live.Piece{
				Key: fmt.Sprint(seq), Seq: seq, Rev: r.revs[seq],
				Added: frame("add %d %s", seq, text), Changed: frame("change %d %s", seq, text),
			})
		}
	}
	if len(batch.Pieces) > r.mostRows {
		batch.TooMany, batch.Pieces = true, nil
		var all []string
		for seq := int64(1); seq <= r.rev; seq++ {
			if text, ok := r.texts[seq]; ok {
				all = append(all, fmt.Sprintf("%d %s", seq, text))
			}
		}
		batch.Restart = frame("page %s\ncursor %d", strings.Join(all, "|"), r.rev)
	}
	r.mu.Unlock()
	if block != nil {
		<-block
	}
	return batch, nil
}

// page is what a browser makes of frames: it applies whole lines only, adds a
// message once, and takes the cursor as its place to come back to.
type page struct {
	order  []int64
	texts  map[int64]string
	cursor int64
}

func newPage() *page { return &page{texts: make(map[int64]string)} }

func (p *page) apply(t testing.TB, stream []byte) {
	t.Helper()
	for line := range bytes.Lines(stream) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return // the connection was cut inside an event
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch verb {
		case "cursor":
			p.cursor, _ = strconv.ParseInt(rest, 10, 64)
			continue
		case "page":
			p.order, p.texts = nil, make(map[int64]string)
			for item := range strings.SplitSeq(rest, "|") {
				p.put(item)
			}
			continue
		}
		number, text, _ := strings.Cut(rest, " ")
		seq, _ := strconv.ParseInt(number, 10, 64)
		_, has := p.texts[seq]
		switch {
		case verb == "add" && !has:
			p.put(rest)
		case verb == "change" && has:
			p.texts[seq] = text
		}
	}
}

func (p *page) put(item string) {
	number, text, _ := strings.Cut(item, " ")
	seq, _ := strconv.ParseInt(number, 10, 64)
	p.order = append(p.order, seq)
	p.texts[seq] = text
}

func (p *page) check(t testing.TB, r *room) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.IsSorted(p.order) || len(p.order) != len(r.texts) {
		t.Fatalf("page shows %v, the room has %d messages", p.order, len(r.texts))
	}
	for seq, text := range r.texts {
		if p.texts[seq] != text {
			t.Fatalf("message %d: page shows %q, room has %q", seq, p.texts[seq], text)
		}
	}
}

func newHub(r *room) *live.Hub { return live.NewHub(r.changes, slog.New(slog.DiscardHandler)) }

// drain takes what waits until the page's cursor reaches rev.
func drain(t testing.TB, s *live.Subscriber, p *page, rev int64) {
	t.Helper()
	for deadline := time.After(10 * time.Second); p.cursor < rev; {
		select {
		case <-s.Ready():
			frames, err := s.Take(nil)
			if err != nil {
				t.Fatalf("subscriber ended: %v", err)
			}
			for _, f := range frames {
				p.apply(t, f)
			}
		case <-deadline:
			t.Fatalf("page is at %d, never came to %d", p.cursor, rev)
		}
	}
}

func follow(t testing.TB, h *live.Hub, after int64) *live.Subscriber {
	t.Helper()
	s := live.NewSubscriber(0, false, 1<<20)
	if err := h.Follow(context.Background(), s, 7, after); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Leave)
	return s
}

func TestEverySubscriberGetsTheSameBytes(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	a, b := follow(t, h, 0), follow(t, h, 0)
	for _, s := range []*live.Subscriber{a, b} {
		<-s.Ready()
		s.Take(nil)
	}
	h.Wake(7, r.say("hello"))
	<-a.Ready()
	<-b.Ready()
	fromA, _ := a.Take(nil)
	fromB, _ := b.Take(nil)
	if len(fromA) != 1 || len(fromB) != 1 || &fromA[0][0] != &fromB[0][0] {
		t.Fatalf("not the same memory: %q and %q", fromA, fromB)
	}
	if !strings.HasSuffix(string(fromA[0]), "cursor 1\n") {
		t.Fatalf("the cursor is not at the end of %q", fromA[0])
	}
}

// The batch "say 1, say 2, edit 1" is cut at every byte; the page comes back
// with the cursor that it has then.
func TestCutAtEveryByteLosesAndDoublesNothing(t *testing.T) {
	r := newRoom()
	r.say("one")
	r.say("two")
	r.edit(1, "one, edited")
	for _, memory := range []bool{false, true} {
		h := newHub(r)
		if memory {
			follow(t, h, 0)
		}
		whole := newPage()
		s := follow(t, h, 0)
		<-s.Ready()
		frames, _ := s.Take(nil)
		stream := bytes.Join(frames, nil)
		whole.apply(t, stream)
		whole.check(t, r)
		for cut := range stream {
			p := newPage()
			p.apply(t, stream[:cut])
			again := follow(t, h, p.cursor)
			drain(t, again, p, r.rev)
			p.check(t, r)
		}
	}
}

// A page that took message 1 before it was edited gets the edit, although the
// message is new to its cursor.
func TestNewMessageThatWasEditedReplacesTheOlderText(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	p := newPage()
	p.put("1 one") // applied, but the cursor behind it was lost
	r.say("one")
	r.edit(1, "uno")
	drain(t, follow(t, h, 0), p, 2)
	p.check(t, r)
}

func TestSubscriberThatReadsWhileAMessageIsSaidMissesNothing(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	r.say("before")
	r.block = make(chan struct{})
	s := live.NewSubscriber(0, false, 1<<20)
	done := make(chan error, 1)
	go func() { done <- h.Follow(context.Background(), s, 7, 0) }()
	for { // the read has seen "before" only
		if r.readCount() == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	rev := r.say("meanwhile")
	h.Wake(7, rev)
	close(r.block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p := newPage()
	drain(t, s, p, rev)
	p.check(t, r)
}

func TestMemoryAnswersThoseWhoReturn(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	keep := follow(t, h, 0)
	p := newPage()
	for i := range 100 {
		h.Wake(7, r.say(fmt.Sprint("message ", i)))
	}
	drain(t, keep, p, 100)
	before := r.readCount()
	back := newPage()
	for seq := int64(1); seq <= 50; seq++ {
		back.put(fmt.Sprintf("%d %s", seq, r.texts[seq]))
	}
	drain(t, follow(t, h, 50), back, 100)
	back.check(t, r)
	if reads := r.readCount() - before; reads > 0 {
		t.Fatalf("%d reads of the database for what memory holds", reads)
	}
}

// Memory is bounded, and does not claim to reach further back than it does.
func TestMemoryIsBoundedAndKnowsItsEdge(t *testing.T) {
	r := newRoom()
	r.mostRows = 100000
	h := newHub(r)
	keep, p := follow(t, h, 0), newPage()
	for i := range 1000 {
		h.Wake(7, r.say(fmt.Sprint("message ", i)))
		if i%7 == 0 {
			h.Wake(7, r.edit(int64(r.rev), "edited"))
		}
		if i%50 == 0 {
			drain(t, keep, p, r.rev)
		}
	}
	drain(t, keep, p, r.rev)
	p.check(t, r)
	for _, after := range []int64{0, 10, r.rev - 300, r.rev - 200, r.rev - 1, r.rev} {
		back := newPage()
		for seq, text := range r.texts {
			if seq <= after {
				back.texts[seq] = text + " old"
				if r.revs[seq] <= after {
					back.texts[seq] = text
				}
				back.order = append(back.order, seq)
			}
		}
		slices.Sort(back.order)
		back.cursor = after - 1
		before := r.readCount()
		drain(t, follow(t, h, after), back, r.rev)
		back.check(t, r)
		if after < r.rev-500 && r.readCount() == before {
			t.Fatalf("memory reaches back to %d of %d", after, r.rev)
		}
	}
}

func TestTooLongAGapGetsAPage(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	for i := range 500 {
		r.say(fmt.Sprint("message ", i))
	}
	p := newPage()
	p.put("1 message 0")
	drain(t, follow(t, h, 1), p, 500)
	p.check(t, r)
}

func TestSlowReaderIsCutAndOthersAreNot(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	slow := live.NewSubscriber(0, false, 200)
	if err := h.Follow(context.Background(), slow, 7, 0); err != nil {
		t.Fatal(err)
	}
	defer slow.Leave()
	fast, p := follow(t, h, 0), newPage()
	for range 50 {
		rev := r.say("a message that takes some bytes")
		h.Wake(7, rev)
		drain(t, fast, p, rev)
	}
	if _, err := slow.Take(nil); err != live.ErrSlow {
		t.Fatalf("the slow reader ended with %v", err)
	}
	p.check(t, r)
}

// Hints come late, twice, out of order or never; subscribers come, are cut
// inside frames and return. Everybody ends with what the room holds.
func TestManyReadersUnderChangesEndWithTheRoom(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	const readers = 20
	var wg sync.WaitGroup
	stop := make(chan struct{})
	pages := make([]*page, readers)
	for i := range readers {
		pages[i] = newPage()
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		wg.Go(func() {
			p := pages[i]
			for {
				s := live.NewSubscriber(0, false, 1<<20)
				if err := h.Follow(context.Background(), s, 7, p.cursor); err != nil {
					t.Error(err)
					return
				}
				for n := rng.IntN(30); ; n-- {
					select {
					case <-s.Ready():
						frames, _ := s.Take(nil)
						stream := bytes.Join(frames, nil)
						if n == 0 && len(stream) > 0 {
							p.apply(t, stream[:rng.IntN(len(stream))])
							s.Leave()
						} else {
							p.apply(t, stream)
						}
					case <-stop:
						s.Leave()
						return
					}
					if n == 0 {
						break
					}
				}
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		rev := r.say("text")
		if rng.IntN(3) == 0 {
			seq := rng.Int64N(rev) + 1
			if _, ok := r.texts[seq]; ok {
				rev = r.edit(seq, fmt.Sprint("edited ", rng.Int()))
			}
		}
		switch rng.IntN(4) {
		case 0: // lost
		case 1:
			h.Wake(7, rev)
			h.Wake(7, rev-5)
		default:
			h.Wake(7, rev)
		}
	}
	h.WakeAll()
	time.Sleep(100 * time.Millisecond)
	close(stop)
	wg.Wait()
	for _, p := range pages {
		drain(t, follow(t, h, p.cursor), p, r.rev)
		p.check(t, r)
	}
}

func TestBoardIsSentWholeThenOnChange(t *testing.T) {
	h := newHub(newRoom())
	h.Put("room/7", "here", frame("here Ann"))
	h.Put("room/7", "typing", frame("typing nobody"))
	h.Put("room/7", "here", frame("here Ann, Bob"))
	s := live.NewSubscriber(0, false, 1<<20)
	h.Open(s, "room/7")
	<-s.Ready()
	frames, _ := s.Take(nil)
	if got := string(bytes.Join(frames, nil)); got != "here Ann, Bob\ntyping nobody\n" {
		t.Fatalf("opened with %q", got)
	}
	h.Put("room/7", "typing", frame("typing Bob"))
	<-s.Ready()
	frames, _ = s.Take(nil)
	if got := string(bytes.Join(frames, nil)); got != "typing Bob\n" {
		t.Fatalf("then got %q", got)
	}
	s.Leave()
	h.Put("room/7", "typing", frame("typing Ann"))
	if frames, _ := s.Take(nil); len(frames) > 0 {
		t.Fatalf("after leaving got %q", frames)
	}
}

// Somebody may know a number before the node does: another node gave it.
func TestSubscriberAheadOfTheNodeIsToldWhereItStands(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	follow(t, h, 0)
	r.say("one")
	rev := r.say("two") // nobody woke this node
	p := newPage()
	s := follow(t, h, rev)
	drain(t, s, p, rev)
	p.put("1 one")
	p.put("2 two")
	rev = r.edit(1, "uno")
	h.Wake(7, rev)
	drain(t, s, p, rev)
	p.check(t, r)
}

// What was said long ago is not kept in memory, and not missed either.
func TestMemoryForgetsWhatIsOld(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	keep, p := follow(t, h, 0), newPage()
	now := time.Now()
	h.Sweep(now)
	for i := range 100 {
		h.Wake(7, r.say(fmt.Sprint("message ", i)))
	}
	drain(t, keep, p, 100)
	resume := func() (reads int) {
		before := r.readCount()
		back := newPage()
		for seq := int64(1); seq <= 50; seq++ {
			back.put(fmt.Sprintf("%d %s", seq, r.texts[seq]))
		}
		drain(t, follow(t, h, 50), back, r.rev)
		back.check(t, r)
		return r.readCount() - before
	}
	h.Sweep(now.Add(3 * time.Minute))
	if resume() != 0 {
		t.Error("forgotten at once")
	}
	rev := r.say("later")
	h.Wake(7, rev)
	drain(t, keep, p, rev)
	h.Sweep(now.Add(6 * time.Minute))
	if resume() == 0 {
		t.Error("memory still reaches back to the first messages")
	}
	h.Wake(7, r.edit(3, "edited after it was forgotten"))
	drain(t, keep, p, r.rev)
	p.check(t, r)
}

// A nickname is patched into messages and quotes, so it must come behind those
// that memory has with the old one, and before a quote that came later.
func TestWhatHasNoPlaceComesLast(t *testing.T) {
	r := newRoom()
	pieces := map[int64]live.Piece{
		3: {Key: "z", Rev: 3, Changed: frame("quote with the old name")},
		4: {Key: "p", Rev: 4, Changed: frame("rename")},
		5: {Key: "a", Rev: 5, Changed: frame("quote with the new name")},
	}
	h := live.NewHub(func(ctx context.Context, topic, after int64) (live.Batch, error) {
		batch, err := r.changes(ctx, topic, after)
		if p, ok := pieces[batch.To]; ok {
			batch.Pieces = append(batch.Pieces, p)
		}
		return batch, err
	}, slog.New(slog.DiscardHandler))
	keep, p := follow(t, h, 0), newPage()
	h.Wake(7, r.say("one"))
	h.Wake(7, r.say("two"))
	drain(t, keep, p, 2)
	for r.rev = 3; ; r.rev++ {
		h.Wake(7, r.rev)
		drain(t, keep, p, r.rev)
		if r.rev == 5 {
			break
		}
	}
	before := r.readCount()
	s := follow(t, h, 0)
	<-s.Ready()
	frames, _ := s.Take(nil)
	if got := string(bytes.Join(frames, nil)); got != "add 1 one\nadd 2 two\nquote with the old name\nrename\nquote with the new name\ncursor 5\n" {
		t.Errorf("from memory: %q", got)
	}
	if r.readCount() != before {
		t.Error("not from memory")
	}
}

// What a reader missed is as large as it is; only what comes beside it counts
// against its limit.
func TestLongReplayDoesNotMakeAReaderSlow(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	r.say(strings.Repeat("long", 1000))
	r.block = make(chan struct{})
	s := live.NewSubscriber(0, false, 1000)
	done := make(chan error, 1)
	go func() { done <- h.Follow(context.Background(), s, 7, 0) }()
	for r.readCount() == 0 {
		time.Sleep(time.Millisecond)
	}
	rev := r.say("meanwhile")
	h.Wake(7, rev)
	close(r.block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	defer s.Leave()
	drain(t, follow(t, h, 0), newPage(), rev)
	h.Readers(7) // everybody has been sent it by now, and s has taken nothing yet
	p := newPage()
	drain(t, s, p, rev)
	p.check(t, r)
}

// A look that began before something was said does not answer for the hint
// that came meanwhile, though both are about the same number.
func TestLookDoesNotSwallowAHint(t *testing.T) {
	r := newRoom()
	h := newHub(r)
	s, p := follow(t, h, 0), newPage()
	drain(t, s, p, 0)
	block := make(chan struct{})
	r.mu.Lock()
	r.block = block
	r.mu.Unlock()
	before := r.readCount()
	h.WakeAll()
	for r.readCount() == before { // it sees an empty room
		time.Sleep(time.Millisecond)
	}
	r.mu.Lock()
	r.block = nil
	r.mu.Unlock()
	rev := r.say("meanwhile")
	h.Wake(7, rev)
	close(block)
	drain(t, s, p, rev)
	p.check(t, r)
}
