package app

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/live"
	"parlor/app/presence"
)

// newLists is a hall without a server around it.
func newLists() *hall {
	s := &Server{now: time.Now, log: slog.New(slog.DiscardHandler)}
	s.hub = live.NewHub(nil, s.log)
	s.hall = newHall(s)
	s.presence = presence.New(s.now, s.hall.peopleChanged)
	return s.hall
}

func glance(id, rev int64, name string, saidAt int64) chat.Glance {
	return chat.Glance{Room: chat.Room{ID: id, Rev: rev, Name: name, LastSaidAt: time.Unix(saidAt, 0)}}
}

func TestOlderReadDoesNotReplaceANewerOne(t *testing.T) {
	h := newLists()
	h.take([]chat.Glance{glance(7, 5, "new", 2)})
	h.take([]chat.Glance{glance(7, 4, "old", 1)})
	if name := h.list(true)[0].Name; name != "new" {
		t.Errorf("the list shows the %s name", name)
	}
	h.take([]chat.Glance{glance(7, 6, "newest", 3)})
	if name := h.list(true)[0].Name; name != "newest" {
		t.Errorf("the list shows the %s name", name)
	}
}

func TestTheRoomQuietForLongestGivesWay(t *testing.T) {
	h := newLists()
	for i := range int64(mostRooms + 20) {
		h.take([]chat.Glance{glance(i+1, 1, fmt.Sprint(i), 1000-i)})
	}
	if list := h.list(false); len(list) != mostRooms || list[mostRooms-1].ID != mostRooms {
		t.Errorf("%d rooms, the last is %d", len(list), list[len(list)-1].ID)
	}
	h.take([]chat.Glance{glance(mostRooms+1, 2, "spoke", 2000)})
	ids := make([]int64, 0, mostRooms)
	for _, r := range h.list(false) {
		ids = append(ids, r.ID)
	}
	if len(ids) != mostRooms || ids[0] != mostRooms+1 || slices.Contains(ids, mostRooms) {
		t.Errorf("listed: %v", ids)
	}
}

// A room with 2,000 people: what one tick costs in which somebody came.
func BenchmarkShowPeople(b *testing.B) {
	h := newLists()
	for i := range int64(2000) {
		h.s.presence.Arrive(7, chat.Person{ID: i, Nickname: fmt.Sprint("somebody ", i*7919%2000), Hue: int(i % 36)})
	}
	h.showRoom(7)
	b.ReportAllocs()
	for i := range int64(b.N) {
		h.s.presence.Renamed(chat.Person{ID: i % 2000, Nickname: fmt.Sprint("a", i), Renames: int(i) + 1})
		clear(h.shownAt)
		h.s.presence.Tick()
		h.showPeople()
	}
}
