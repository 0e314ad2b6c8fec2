package dbtest

import (
	"database/sql"
	"testing"
)

// A filled database keeps the rules of a real one.
func TestFilledHistoryIsOneThatCouldHaveBeenSaid(t *testing.T) {
	conn, err := sql.Open("postgres", New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := Fill(t.Context(), conn, 9, 4000); err != nil {
		t.Fatal(err)
	}
	var rooms, messages, wrong int
	err = conn.QueryRow(`
		select count(*), sum(said), count(*) filter (where said <> m.messages or r.rev <> m.rev or last_seq <> m.seq or m.revs <> said)
		from rooms r join (select room_id, count(*) as messages, max(rev) as rev, max(seq) as seq, count(distinct rev) as revs
		                   from messages group by room_id) m on m.room_id = r.id`).Scan(&rooms, &messages, &wrong)
	if err != nil || rooms != 9 || messages < 3900 || messages > 4000 || wrong != 0 {
		t.Fatalf("%d rooms, %d messages, %d rooms wrong, %v", rooms, messages, wrong, err)
	}
	var strangers int
	if err := conn.QueryRow(`select count(*) from messages m where not exists
		(select from memberships b join people p on p.id = b.person_id where b.room_id = m.room_id and b.person_id = m.author_id)`).Scan(&strangers); err != nil || strangers != 0 {
		t.Fatalf("%d messages of nobody, %v", strangers, err)
	}
	if err := Fill(t.Context(), conn, 9, 100); err == nil {
		t.Fatal("filled twice")
	}
}
