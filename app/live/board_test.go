package live

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func shown(text string) Variants { return Variants{[]byte(text)} }

// taken is what waits for the subscriber.
func taken(s *Subscriber) string {
	frames, _ := s.Take(nil)
	return string(bytes.Join(frames, nil))
}

func TestBoardSaysWhatChangedAndNothingElse(t *testing.T) {
	h := NewHub(nil, slog.New(slog.DiscardHandler))
	h.Put("room", "here", shown("Ann;"))
	h.Put("room", "typing", shown("nobody;"))
	s := NewSubscriber(0, false, 1<<20)
	h.Open(s, "room")
	if got := taken(s); got != "Ann;nobody;" {
		t.Errorf("at first %q", got)
	}
	h.Put("room", "here", shown("Ann;"))
	h.Put("room", "typing", shown("Bob;"))
	if got := taken(s); got != "Bob;" {
		t.Errorf("then %q", got)
	}
	h.Drop("room", "here")
	h.Drop("room", "never there")
	late := NewSubscriber(0, false, 1<<20)
	h.Open(late, "room")
	if got := taken(late); got != "Bob;" {
		t.Errorf("without what was dropped %q", got)
	}
}

func TestBoardsThatNobodyReadsAreForgotten(t *testing.T) {
	h := NewHub(nil, slog.New(slog.DiscardHandler))
	s := NewSubscriber(0, false, 1<<20)
	for _, name := range []string{"read", "unread", "kept"} {
		h.Put(name, "part", shown(name))
	}
	h.Open(s, "read")
	h.SweepBoards("kept")
	if !h.Has("unread") {
		t.Error("forgotten at once, before anybody could read it")
	}
	h.SweepBoards("kept")
	var left []string
	for _, name := range []string{"read", "unread", "kept"} {
		if h.Has(name) {
			left = append(left, name)
		}
	}
	if got := strings.Join(left, " "); got != "read kept" {
		t.Errorf("left: %s", got)
	}
	s.Leave()
	for range 2 {
		h.SweepBoards("kept")
	}
	if h.Has("read") {
		t.Error("its last reader left, and it is still there")
	}
	h.Put("read", "part", shown("afresh"))
	again := NewSubscriber(0, false, 1<<20)
	h.Open(again, "read")
	if got := taken(again); got != "afresh" {
		t.Errorf("afresh: %q", got)
	}
}
