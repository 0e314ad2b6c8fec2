package e2e

import (
	"database/sql"
	"net/http"
	"net/url"
	"testing"

	"parlor/db/dbtest"
)

// More rooms than the lists hold: the present one is in sight, and quiet ones
// leave the pages that are open.
func TestAHundredRooms(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	db, err := sql.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`insert into rooms (slug, name, last_said_at, created_at)
		select 'room-' || i, 'Room ' || i, now() + i * interval '1 second', now() from generate_series(100, 198) i;
		insert into room_slugs select slug, id from rooms on conflict do nothing`); err != nil {
		t.Fatal(err)
	}
	p := startOn(t, database)
	bob := newClient(t, p, "Bob")
	ann := guest(t, p, "Ann")
	ann.goTo("/")
	ann.until("a hundred rooms in the lobby", `() => document.querySelectorAll('#cards > a').length === 100`)
	mia := guest(t, p, "Mia")
	for _, room := range []string{"room-100", "room-198"} {
		mia.goTo("/rooms/" + room)
		mia.live()
		mia.until(room+" is in sight in the list of rooms", `() => {
			const list = document.querySelector('.hall nav').getBoundingClientRect(),
				item = document.querySelector('#hall [aria-current]').getBoundingClientRect()
			return item.top >= list.top && item.bottom <= list.bottom && document.querySelectorAll('#hall > li').length === 100 }`)
	}
	mia.goTo("/rooms/parlor")
	mia.live()
	lena := guest(t, p, "Lena")
	lena.goTo("/rooms/room-120")
	lena.live()
	// The quietest, where nothing was ever said, gives way.
	bob.expect(http.StatusSeeOther, "/rooms", url.Values{"name": {"One too many"}})
	gone := `(list, item) => document.querySelectorAll(list + ' > *').length === 100 && !document.querySelector(item)`
	ann.until("the quiet room left the lobby", gone, "#cards", "#card-1")
	lena.until("the quiet room left the list beside another room", gone, "#hall", "#hall-1")
	mia.until("it stays for one who is in it", `() =>
		document.querySelector('#hall-1 > [aria-current]') && document.querySelectorAll('#hall > li').length === 101`)
	bob.say("parlor", "not so quiet")
	ann.until("it is back", `() => document.querySelector('#card-1') && document.querySelectorAll('#cards > a').length === 100`)
}
