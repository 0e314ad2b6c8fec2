package demo_test

import (
	"context"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parlor/app"
	"parlor/app/chat"
	"parlor/app/demo"
	"parlor/db"
	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestTheDemoShowsEverything(t *testing.T) {
	url := dbtest.New(t)
	now := time.Date(2026, 5, 9, 11, 0, 0, 0, time.UTC)
	cfg := app.DefaultConfig()
	cfg.Files = t.TempDir()
	people, err := demo.Fill(context.Background(), cfg, url, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(people) != 8 {
		t.Errorf("%d people", len(people))
	}
	database, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	for _, want := range []struct {
		what  string
		least int
		query string
	}{
		{"rooms", 6, `select count(*) from rooms where said > 0`},
		{"messages", 140, `select count(*) from messages`},
		{"messages of one room, more than a page", 51, `select max(said) from rooms`},
		{"days", 4, `select count(distinct (said_at at time zone 'UTC')::date) from messages`},
		{"tables", 2, `select count(*) from messages where body like '%|:--%'`},
		{"task lists", 1, `select count(*) from messages where body like '%- [x] %'`},
		{"languages of code", 3, `select count(distinct substring(body from '` + "```([a-z]+)" + `')) from messages`},
		{"quotes", 2, `select count(*) from messages where body ~ '(^|\n)> '`},
		{"links", 1, `select count(*) from messages where body like '%https://%'`},
		{"Chinese", 40, `select count(*) from messages where body ~ '[一-龥]'`},
		{"edited messages", 3, `select count(*) from messages where edited_at is not null`},
		{"messages with two earlier texts", 1, `select count(*) from messages where version >= 3`},
		{"deleted messages", 1, `select count(*) from messages where deleted_at is not null`},
		{"answers", 10, `select count(*) from messages where parent_seq is not null`},
		{"people called by name", 3, `select count(*) from mentions where reason = 'mention'`},
		{"reactions", 10, `select count(*) from reactions`},
		{"different emoji", 4, `select count(distinct emoji) from reactions`},
		{"told by /me", 1, `select count(*) from messages where emote`},
		{"pinned messages", 1, `select count(*) from messages where pinned_at is not null`},
		{"saved messages", 1, `select count(*) from saved`},
		{"pictures", 1, `select count(*) from files where width > 0 and seq is not null`},
		{"messages that can be found", 140, `select count(*) from messages where terms is not null`},
		{"unread by Mara", 4, `select count(*) from messages m join memberships s using (room_id) join people p on p.id = s.person_id
			where p.nickname = 'Mara' and m.seq > s.read_seq`},
	} {
		var n int
		if err := database.QueryRow(want.query).Scan(&n); err != nil {
			t.Errorf("%s: %v", want.what, err)
		} else if n < want.least {
			t.Errorf("%s: %d, want at least %d", want.what, n, want.least)
		}
	}
	var first, last time.Time
	if err := database.QueryRow(`select min(said_at), max(said_at) from messages`).Scan(&first, &last); err != nil {
		t.Fatal(err)
	}
	if !last.Before(now) || now.Sub(first) < 3*24*time.Hour {
		t.Errorf("it is %v, and they talked from %v to %v", now, first, last)
	}
}

func TestTheDoorMakesOneOfThePeopleAgainAndAgain(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	url := dbtest.New(t)
	store, err := db.Open(ctx, url, db.Options{Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server, err := app.New(ctx, app.DefaultConfig(), url, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	nick, err := chat.ParseNickname("老何", 32)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.EnterWith(ctx, nick, 32, "his", 1, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	door := demo.Door(server, store, map[string]*http.Cookie{"老何": {Name: "parlor", Value: "his", Path: "/"}, "Ann": {Name: "parlor", Value: "ended"}})
	ask := func(method, path string, cookies ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Result()
	}
	is := func(cookie *http.Cookie) bool {
		page, _ := io.ReadAll(ask("GET", "/session", cookie).Body)
		return strings.Contains(string(page), "老何")
	}
	for range 2 {
		in := ask("GET", demo.DoorPath("老何"))
		if in.StatusCode != http.StatusSeeOther || len(in.Cookies()) != 1 {
			t.Fatalf("%d %v", in.StatusCode, in.Header)
		}
		mine := in.Cookies()[0]
		if mine.Value == "his" || !mine.Expires.After(time.Now().Add(24*time.Hour)) || !is(mine) {
			t.Errorf("%v", mine)
		}
		if out := ask("POST", "/session/end", mine); out.StatusCode != http.StatusSeeOther || is(mine) {
			t.Errorf("signed out: %d", out.StatusCode)
		}
	}
	for path, want := range map[string]int{demo.DoorPath("nobody"): 404, "/demo/": 404, demo.DoorPath("Ann"): 410} {
		if got := ask("GET", path); got.StatusCode != want || got.Header.Get("Set-Cookie") != "" && want == 410 {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Header)
		}
	}
}
