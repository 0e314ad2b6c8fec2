package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// ear notes what a node hears.
type ear struct {
	mu      sync.Mutex
	revs    map[int64]int64
	told    []string // kind and data
	resumed int
}

func (e *ear) Woken(revs map[int64]int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.revs == nil {
		e.revs = make(map[int64]int64)
	}
	for topic, rev := range revs {
		e.revs[topic] = max(e.revs[topic], rev)
	}
}

func (e *ear) Told(_, kind string, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, kind+" "+string(data))
}

func (e *ear) Resumed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resumed++
}

// until waits for what the ear shall have heard.
func (e *ear) until(t *testing.T, what string, heard func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		e.mu.Lock()
		ok := heard()
		e.mu.Unlock()
		if ok {
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t.Fatalf("%s: heard %v %q, resumed %d times", what, e.revs, e.told, e.resumed)
}

// wire is a transport in memory that does to messages what a test wants.
type wire struct {
	mu      sync.Mutex
	arrived func([]byte)
	send    func(ctx context.Context, message []byte) error
}

func (w *wire) Listen(_ context.Context, arrived func([]byte)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived = arrived
	return nil
}

func (w *wire) Send(ctx context.Context, message []byte) error {
	w.mu.Lock()
	send := w.send
	w.mu.Unlock()
	return send(ctx, message)
}

func (w *wire) Healthy() bool { return true }

func start(t *testing.T, transport Transport) (*Bus, *ear) {
	t.Helper()
	return startAt(t, transport, "here")
}

func startAt(t *testing.T, transport Transport, epoch string) (*Bus, *ear) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	e := &ear{}
	b, err := Start(ctx, transport, func() string { return epoch }, e, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b, e
}

func read(t *testing.T, message []byte) envelope {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(message, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// The transport stands still. Whoever wakes and tells is not held up, memory
// is bounded, and what goes out in the end is the newest.
func TestNobodyWaitsForAFrozenTransport(t *testing.T) {
	frozen, messages := make(chan struct{}), make(chan []byte, 1000)
	b, self := start(t, &wire{send: func(_ context.Context, message []byte) error {
		<-frozen
		messages <- message
		return nil
	}})
	for rev := range int64(50000) { // returns although nothing was sent
		b.Wake(7, rev)
		b.Tell("typing", fmt.Sprint(rev%10), rev)
	}
	b.Wake(8, 1)
	if self.revs[7] != 49999 {
		t.Fatalf("the own node heard %d", self.revs[7])
	}
	b.mu.Lock()
	waiting := len(b.revs) + len(b.tells)
	b.mu.Unlock()
	if waiting > 22 { // the first of them may be on its way
		t.Errorf("%d messages wait, of two topics and ten keys", waiting)
	}
	for i := range 3 * mostWaiting {
		b.Tell("note", "", i)
		b.Wake(int64(1000+5*i), 1)
	}
	for topic := range int64(2 * mostTopics) {
		b.Wake(topic+100000, 1)
	}
	b.mu.Lock()
	if len(b.tells) > mostWaiting || len(b.keyed) > len(b.tells) || len(b.revs) > mostTopics {
		t.Errorf("%d states and %d topics wait", len(b.tells), len(b.revs))
	}
	b.mu.Unlock()
	close(frozen)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	b.Close(ctx)
	close(messages)
	revs, notes := make(map[int64]int64), 0
	for message := range messages {
		if len(message) > MostBytes {
			t.Errorf("a message of %d bytes", len(message))
		}
		e := read(t, message)
		for topic, rev := range e.Revs {
			revs[topic] = max(revs[topic], rev)
		}
		for _, tell := range e.Tells {
			if tell.Kind == "note" {
				notes++
			}
		}
	}
	if revs[7] != 49999 || revs[8] != 1 || notes < mostWaiting-100 {
		t.Errorf("told in the end: topic 7 at %d, 8 at %d, %d notes", revs[7], revs[8], notes)
	}
	if s := b.Stats(); s.Dropped == 0 || s.Sent == 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatCouldNotBeSentIsTriedAgain(t *testing.T) {
	var mu sync.Mutex
	failing, messages := 3, make(chan envelope, 100)
	b, _ := start(t, &wire{send: func(_ context.Context, message []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if failing--; failing >= 0 {
			return errors.New("away")
		}
		messages <- read(t, message)
		return nil
	}})
	b.Wake(7, 10)
	b.Wake(8, 20)
	if e := <-messages; e.Revs[7] != 10 || e.Revs[8] != 20 {
		t.Errorf("sent after three failures: %v", e.Revs)
	}
	if s := b.Stats(); s.Failed != 3 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

func TestStatesThatWaitedTooLongAreNotTold(t *testing.T) {
	messages := make(chan envelope, 100)
	b := &Bus{epoch: func() string { return "here" }, transport: &wire{send: func(_ context.Context, message []byte) error {
		messages <- read(t, message)
		return nil
	}}, revs: map[int64]int64{}, keyed: map[string]*tell{}, ready: make(chan struct{}, 1), done: make(chan struct{})}
	b.Tell("typing", "a", 1)
	b.Tell("typing", "b", 2)
	b.tells[0].at = time.Now().Add(-passing)
	b.revs[7] = 1
	go b.run(t.Context())
	b.Close(t.Context())
	if e := <-messages; len(e.Tells) != 1 || string(e.Tells[0].Data) != "2" || e.Revs[7] != 1 {
		t.Errorf("told: %+v", e)
	}
}

// Messages that are as long as can be still fit.
func TestMessagesFit(t *testing.T) {
	messages := make(chan []byte, 100)
	b, _ := start(t, &wire{send: func(_ context.Context, message []byte) error {
		messages <- message
		return nil
	}})
	for i := range int64(1000) {
		b.Wake(math.MaxInt64-i, math.MaxInt64)
		if i%100 == 0 {
			b.Tell("a kind with a long name", "", strings.Repeat("<", MostData/6-1))
		}
	}
	b.Tell("too long", "", strings.Repeat("<", MostData))
	b.Close(t.Context())
	close(messages)
	topics, tells := 0, 0
	for m := range messages {
		e := read(t, m)
		topics, tells = topics+len(e.Revs), tells+len(e.Tells)
		if len(m) > MostBytes {
			t.Errorf("%d bytes", len(m))
		}
	}
	if topics < 1000 || tells != 10 {
		t.Errorf("%d topics and %d states arrived", topics, tells)
	}
}

// Messages are doubled, late, in the wrong order and garbled. States come
// once and in order or not at all; wake-ups always count.
func TestDoubledLateAndGarbledMessages(t *testing.T) {
	var sent [][]byte
	out := &wire{send: func(_ context.Context, message []byte) error { sent = append(sent, message); return nil }}
	b, _ := start(t, out)
	for i := range 5 {
		b.Tell("n", "", i)
		b.Wake(int64(i), 1)
		time.Sleep(2 * gather)
	}
	b.Close(t.Context())
	in := &wire{send: func(context.Context, []byte) error { return nil }}
	_, other := start(t, in)
	for _, i := range []int{0, 0, 2, 1, 2, 0, 4, 3, 4} {
		in.arrived(sent[min(i, len(sent)-1)])
	}
	for _, garbage := range []string{"", "{", "[]", "null", `{"n":1}`, `{"n":"x","t":[null]}`, `{"e":"here","n":"x","s":5,"t":[null,{"k":"x"}]}`, `{"e":"elsewhere","n":"y","s":5,"r":{"99":1}}`} {
		in.arrived([]byte(garbage))
	}
	last := -1
	for _, told := range other.told {
		var n int
		if _, err := fmt.Sscanf(told, "n %d", &n); err != nil {
			continue
		}
		if n <= last {
			t.Errorf("told %q", other.told)
		}
		last = n
	}
	if len(other.revs) != 5 {
		t.Errorf("woken: %v", other.revs)
	}
}
