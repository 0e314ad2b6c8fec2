package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parlor/app"
	"parlor/db/dbtest"
)

// natsURL starts a NATS server in this process.
func natsURL(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

// repeatLate repeats whatever the nodes tell each other, several times, late
// and in no order.
func repeatLate(t *testing.T, address string) {
	t.Helper()
	conn, err := nats.Connect(address, nats.NoEcho())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if _, err := conn.Subscribe("parlor", func(m *nats.Msg) {
		for range 3 {
			time.AfterFunc(rand.N(2*time.Second), func() { _ = conn.Publish(m.Subject, m.Data) })
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// at is the same visitor, with the same cookies, at another node.
func (v *visitor) at(node *site) *visitor {
	moved := node.visitor()
	from, _ := url.Parse(v.s.web.URL)
	to, _ := url.Parse(node.web.URL)
	moved.Jar.SetCookies(to, v.Jar.Cookies(from))
	return moved
}

// hereUntil waits for exactly these people in the room.
func (s *site) hereUntil(within time.Duration, names ...string) {
	s.t.Helper()
	began := time.Now()
	var here []string
	for time.Since(began) < within {
		here = nil
		body := s.visitor().get("/rooms/parlor").body
		if _, list, ok := strings.Cut(body, `id="people"`); ok {
			list, _, _ = strings.Cut(list, "</ul>")
			for _, item := range strings.Split(list, `<span dir="auto">`)[1:] {
				name, _, _ := strings.Cut(item, "<")
				here = append(here, name)
			}
		}
		if slices.Equal(here, names) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("here are %q, not %q, after %s", here, names, time.Since(began))
}

// Three nodes on one database are one chat, whatever connects them. NATS
// repeats everything late here.
func TestThreeNodes(t *testing.T) {
	for name, connect := range map[string]func(t *testing.T) func(*app.Config){
		"Postgres": func(*testing.T) func(*app.Config) { return func(*app.Config) {} },
		"NATS": func(t *testing.T) func(*app.Config) {
			address := natsURL(t)
			repeatLate(t, address)
			return func(c *app.Config) { c.NATS = address }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change, database := connect(t), dbtest.New(t)
			var nodes []*site
			for range 3 {
				nodes = append(nodes, newNode(t, database, change))
			}
			threeNodes(t, nodes[0], nodes[1], nodes[2])
		})
	}
}

func threeNodes(t *testing.T, a, b, c *site) {
	ann, bob, carol := a.guest("Ann"), b.guest("Bob"), c.guest("Carol")
	atA, atB, atC := ann.stream("/rooms/parlor/stream?after=0"), bob.stream("/rooms/parlor/stream?after=0"), carol.stream("/rooms/parlor/stream?after=0")
	for _, node := range []*site{a, b, c} {
		node.hereUntil(5*time.Second, "Ann", "Bob", "Carol")
	}

	// Said at any node, shown at all, once and in order.
	for i := range 30 {
		ann.at([]*site{a, b, c}[i%3]).say("parlor", fmt.Sprintf("number %d.", i))
	}
	for _, st := range []*stream{atA, atB, atC} {
		for i := range 30 {
			event := st.until("number ")
			if !strings.Contains(event, fmt.Sprintf("number %d.", i)) {
				t.Fatalf("instead of number %d came %s", i, event)
			}
		}
	}
	contains(t, bob.post("/rooms/parlor/typing"), 204)
	for _, st := range []*stream{atA, atB, atC} {
		st.until("typing …")
	}

	// A room is made at one node, and given another name at another.
	lobby := c.visitor().stream("/stream")
	contains(t, ann.post("/rooms", "name", "Garden"), http.StatusSeeOther)
	lobby.until("Garden")
	inGarden := c.visitor().stream("/rooms/garden/stream?after=0")
	inGarden.until("cursor")
	contains(t, ann.at(b).post("/rooms/garden", "name", "Orchard"), http.StatusSeeOther)
	inGarden.until("Orchard")
	lobby.until("Orchard")

	// So is a person; streams that were opened under the old nickname, and
	// late words of it, do not bring it back.
	contains(t, ann.at(c).post("/session", "nickname", "Zoë"), http.StatusSeeOther)
	for _, node := range []*site{a, b, c} {
		node.hereUntil(5*time.Second, "Bob", "Carol", "Zoë")
	}

	// Who signs out at one node has no stream at another.
	contains(t, bob.at(a).post("/session/end"), http.StatusSeeOther)
	atB.ends()

	// A node that is killed says nothing more; one that stops says goodbye, and
	// its people have the time to come back.
	c.kill()
	killed := time.Now()
	b.server.Close()
	a.hereUntil(15*time.Second, "Zoë")
	t.Logf("the people of a dead node are gone after %s", time.Since(killed))
	ann.say("parlor", "one node alone")
	atA.until("one node alone")
}

// Nodes that do not hear each other at all are one chat nevertheless: they
// find out by looking.
func TestNodesThatDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	a := newNode(t, database, func(c *app.Config) { c.NATS = natsURL(t) })
	b := newNode(t, database, func(c *app.Config) { c.NATS = natsURL(t) })
	ann, bob := a.guest("Ann"), a.guest("Bob")
	annAtB, bobAtB := ann.at(b).stream("/rooms/parlor/stream?after=0"), bob.at(b).stream("/rooms/parlor/stream?after=0")
	annAtB.until("cursor")
	bobAtB.until("cursor")
	contains(t, ann.post("/session/end"), http.StatusSeeOther)
	annAtB.ends()
	bob.say("parlor", "by looking")
	for deadline := time.Now().Add(25 * time.Second); ; {
		select {
		case event, ok := <-bobAtB.events:
			if !ok {
				t.Fatal("the stream of somebody who did not sign out ended")
			}
			if strings.Contains(event, "by looking") {
				return
			}
		case <-time.After(time.Until(deadline)):
			t.Fatal("nobody looked")
		}
	}
}

// A stream with a cookie that is no session (any more) is a spectator's, and
// stays open.
func TestStreamWithAnOldCookieStaysOpen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	v := s.guest("Ann")
	old := v.at(s)
	contains(t, v.post("/session/end"), http.StatusSeeOther)
	st := old.stream("/rooms/parlor/stream?after=0")
	st.until("cursor")
	deadline := time.After(6 * time.Second) // longer than a sweep takes to come
	for {
		select {
		case _, ok := <-st.events:
			if !ok {
				t.Fatal("the stream ended")
			}
		case <-deadline:
			return
		}
	}
}

// More rooms than are listed: who falls off the list is gone from open pages,
// from those that come back, and from those that come new; but the sidebar
// keeps the room that one is in.
func TestQuietRoomsFallOffTheLists(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.guest("Ann")
	lobby := ann.stream("/stream")
	room := ann.stream("/rooms/parlor/stream?after=0")
	for i := range 100 {
		if _, err := s.store.DB.ExecContext(context.Background(), `insert into rooms (slug, name, last_said_at, created_at)
			values ($1, $1, now() + interval '1 hour', now())`, fmt.Sprint("room-", i)); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, ann.get("/"), 200, `id="card-1"`)
	contains(t, ann.post("/rooms", "name", "One too many"), http.StatusSeeOther)
	s.server.Resumed()
	isOff := func(event, keep string) {
		t.Helper()
		if strings.Contains(event, "#card-1,") || strings.Contains(event, "#card-1)") || strings.Contains(event, "#hall-1,") ||
			!strings.Contains(event, "#"+keep+"-2") || !strings.Contains(event, "mode remove") {
			t.Errorf("not taken off by: %s", event)
		}
	}
	isOff(untilOff(lobby, "#cards > :not("), "card")
	isOff(untilOff(room, "#hall > :not(:has(> [aria-current]),"), "hall")
	if strings.Contains(ann.get("/").body, `id="card-1"`) {
		t.Error("a new lobby page shows the room")
	}
	again := ann.stream("/stream?datastar=" + url.QueryEscape(`{"tab":"x"}`))
	isOff(untilOff(again, "#cards > :not("), "card")
	// Somebody speaks there: it is back, and another one is off.
	ann.say("parlor", "hello")
	if _, err := s.store.DB.ExecContext(context.Background(), `update rooms set last_said_at = now() + interval '2 hours' where id = 1`); err != nil {
		t.Fatal(err)
	}
	s.server.Woken(map[int64]int64{1: 1})
	again.until("#card-1,")
	again.until(`id="card-1"`)
	contains(t, ann.get("/"), 200, `id="card-1"`)
}

// untilOff waits for the list in which the first room is missing.
func untilOff(st *stream, selector string) string {
	st.t.Helper()
	for {
		event := st.until(selector)
		if !strings.Contains(event, "-1,") && !strings.Contains(event, "-1)") {
			return event
		}
	}
}
