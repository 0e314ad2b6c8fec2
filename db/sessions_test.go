package db_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/db"
)

func TestVisitsAtTheSameMomentEachGetTheirOwn(t *testing.T) {
	t.Parallel()
	s := newHouse(t)
	ctx := t.Context()
	expiry := s.now.Add(time.Hour)
	var people []chat.Person
	for i := range 10 {
		nick, err := chat.ParseNickname(fmt.Sprint("Person ", i), 32)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.EnterWith(ctx, nick, 32, fmt.Sprint("token", i), int64(i), expiry)
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, p)
	}
	garden, err := s.MakeRoom(ctx, people[0].ID, "Old garden", "a topic, {with} \"quotes\"")
	if err != nil {
		t.Fatal(err)
	}
	if garden, err = s.ChangeRoom(ctx, garden.ID, people[0].ID, "Garden", garden.Topic); err != nil {
		t.Fatal(err)
	}
	parlor, err := s.Room(ctx, "parlor")
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]chat.Room{"parlor": parlor, "garden": garden, "old-garden": garden, "": {}, `no"such,{room}`: {}, "bad\x00slug": {}}
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			slugs := []string{"parlor", "garden", "old-garden", "", `no"such,{room}`, "bad\x00slug"}
			slug, who := slugs[i%6], i%11 // the last has no session
			v, err := s.Visit(ctx, slug, fmt.Sprint("token", who))
			if i%6 >= 4 {
				var refusal *chat.Error
				if !errors.As(err, &refusal) || refusal.Reason != chat.NoSuchRoom {
					t.Errorf("%q: %v", slug, err)
				}
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			v.Room.Epoch = rooms[slug].Epoch // is told in any case
			if v.Room != rooms[slug] {
				t.Errorf("%q: %+v, want %+v", slug, v.Room, rooms[slug])
			}
			switch {
			case who == 10 && v.Person != nil:
				t.Errorf("somebody without a session is %+v", v.Person)
			case who < 10 && (v.Person == nil || *v.Person != people[who] || v.Day != int64(who)):
				t.Errorf("token %d: %+v on day %d, want %+v", who, v.Person, v.Day, people[who])
			}
		})
	}
	all.Wait()
	s.now = s.now.Add(2 * time.Hour)
	if v, err := s.Visit(ctx, "parlor", "token1"); err != nil || v.Person != nil {
		t.Errorf("an expired session: %+v, %v", v.Person, err)
	}
}

func TestSessionsAreKeptUntilTheyExpire(t *testing.T) {
	t.Parallel()
	s := newHouse(t)
	ctx := t.Context()
	nick, _ := chat.ParseNickname("Ann", 32)
	ann, err := s.Enter(ctx, nick, 32)
	if err != nil {
		t.Fatal(err)
	}
	keep, deadline := s.Sessions(), s.now.Add(time.Hour).Truncate(time.Microsecond)
	values := map[string]any{db.SessionPerson: ann.ID, db.SessionDay: int64(20_000)}
	data, err := db.SessionCodec{}.Encode(deadline, values)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep.Commit("secret", data, deadline); err == nil {
		t.Error("a session that nobody entered with was made")
	}
	s.session("secret", ann, s.now.Add(time.Minute))
	if err := keep.Commit("secret", data, deadline); err != nil {
		t.Fatal(err)
	}
	found, ok, err := keep.Find("secret")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	back, got, err := db.SessionCodec{}.Decode(found)
	if err != nil || !back.Equal(deadline) || fmt.Sprint(got) != fmt.Sprint(values) {
		t.Errorf("%v, %v, %v; want %v, %v", back, got, err, deadline, values)
	}
	var leaked int
	if err := s.DB.Get(&leaked, `select count(*) from sessions where token_hash = 'secret'::bytea`); err != nil || leaked > 0 {
		t.Errorf("the token itself is stored (%d), %v", leaked, err)
	}
	if err := keep.Delete("secret"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := keep.Find("secret"); ok || err != nil {
		t.Errorf("after its end: %v, %v", ok, err)
	}
	if err := keep.Commit("secret", data, deadline); err == nil {
		t.Error("a request that was under way signed somebody in again")
	}
	if there, err := s.NoteVisit(ctx, "secret", 20_001, deadline); there || err != nil {
		t.Errorf("the same by a note: %v, %v", there, err)
	}
	s.session("short", ann, s.now.Add(time.Minute))
	s.session("long", ann, deadline)
	s.now = s.now.Add(2 * time.Minute)
	if _, ok, err := keep.Find("short"); ok || err != nil {
		t.Errorf("expired: %v, %v", ok, err)
	}
	if err := s.SweepSessions(ctx); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := s.DB.Get(&left, `select count(*) from sessions`); err != nil || left != 1 {
		t.Errorf("%d sessions are left, %v", left, err)
	}
	if _, err := (db.SessionCodec{}).Encode(deadline, map[string]any{"other": 1}); err == nil {
		t.Error("a value without a place should be refused")
	}
	if _, _, err := (db.SessionCodec{}).Decode([]byte("short")); err == nil {
		t.Error("half a session should be refused")
	}
	if _, ok, err := keep.Find("\x00\xff\r\n"); ok || err != nil {
		t.Errorf("a malformed token: %v, %v", ok, err)
	}
}

// session signs a person in.
func (h *house) session(token string, who chat.Person, expiry time.Time) {
	h.t.Helper()
	if _, err := h.DB.Exec(`insert into sessions (token_hash, person_id, day, expiry) values (sha256(convert_to($1, 'UTF8')), $2, 1, $3)`,
		token, who.ID, expiry); err != nil {
		h.t.Fatal(err)
	}
}
