package db_test

import (
	"context"
	"testing"
	"time"

	"parlor/db"
)

// A node that freezes, or whose network does, in the middle of a change holds
// the room's lock. It must not hold it for as long as it is frozen.
func TestAFrozenNodeLetsGoOfTheRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ann := h.enter("Ann")
	frozen, err := h.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Rollback()
	if _, err := frozen.Exec(`update rooms set rev = rev + 1 where id = 1`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "still possible"}}); err != nil {
		t.Errorf("nobody can speak: %v", err)
	}
	_, err = frozen.Exec(`select 1`)
	if err == nil || !db.IsAway(err) {
		t.Errorf("the frozen node, awake again: %v; it should be told to try again", err)
	}
}
