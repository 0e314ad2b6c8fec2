package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/search"
	"parlor/db"
	"parlor/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// house is a store over a database of its own, with a clock to set.
type house struct {
	*db.Store
	t   testing.TB
	url string
	now time.Time
}

func newHouse(t testing.TB) *house {
	t.Helper()
	return newHouseAt(t, dbtest.New(t))
}

func newHouseAt(t testing.TB, url string) *house {
	t.Helper()
	h := &house{t: t, url: url, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	store, err := db.Open(context.Background(), url, db.Options{Connections: 8, Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	store.FindBy(func(m chat.Message) string { return search.Terms(said(m)) })
	h.Store = store
	return h
}

func (h *house) enter(nickname string) chat.Person {
	h.t.Helper()
	nick, err := chat.ParseNickname(nickname, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := h.Enter(context.Background(), nick, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) say(room int64, by chat.Person, body string) db.Said {
	h.t.Helper()
	said, err := h.Say(context.Background(), room, db.Post{AuthorID: by.ID, Nonce: db.NewNonce(), Text: db.Text{Body: body}})
	if err != nil {
		h.t.Fatal(err)
	}
	return said
}

// holdRoom keeps posts of a room waiting until release.
func (h *house) holdRoom(id int64) (release func()) {
	h.t.Helper()
	hold, err := h.DB.Beginx()
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := hold.Exec(`select from rooms where id = $1 for update`, id); err != nil {
		h.t.Fatal(err)
	}
	return func() {
		if err := hold.Rollback(); err != nil {
			h.t.Error(err)
		}
	}
}

func reason(err error) chat.Reason {
	var refusal *chat.Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// Sixteen people post at once: numbers have no gaps, ordinals count, and every
// post is there once.
func TestSimultaneousPostsAreNumberedWithoutGaps(t *testing.T) {
	h := newHouse(t)
	var wg sync.WaitGroup
	for i := range 16 {
		p := h.enter(fmt.Sprint("person ", i))
		wg.Go(func() {
			for n := range 25 {
				if _, err := h.Say(context.Background(), 1, db.Post{AuthorID: p.ID, Nonce: db.NewNonce(), Text: db.Text{Body: fmt.Sprintf("%d of %d", n, p.ID)}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c, err := h.Changes(context.Background(), 1, 250)
	if err != nil {
		t.Fatal(err)
	}
	if c.Room.Rev != 400 || c.Room.Said != 400 || len(c.Messages) != 150 {
		t.Fatalf("rev %d, said %d, %d messages after 250", c.Room.Rev, c.Room.Said, len(c.Messages))
	}
	for i, m := range c.Messages {
		if want := int64(251 + i); m.Seq != want || m.Rev != want || m.Ordinal != want {
			t.Fatalf("message %d has seq %d, rev %d, ordinal %d", want, m.Seq, m.Rev, m.Ordinal)
		}
	}
}

// Two programs on one database number one room together: the row lock orders
// them.
func TestTwoProgramsShareARoomsNumbers(t *testing.T) {
	one := newHouse(t)
	two := newHouseAt(t, one.url)
	ann := one.enter("Ann")
	var wg sync.WaitGroup
	for _, h := range []*house{one, two} {
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if _, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "x"}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	c, err := one.Changes(context.Background(), 1, 120)
	if err != nil || c.Room.Rev != 320 || len(c.Messages) != 200 {
		t.Fatalf("rev %d, %d messages after 120, %v", c.Room.Rev, len(c.Messages), err)
	}
	for i, m := range c.Messages {
		if want := int64(121 + i); m.Seq != want || m.Ordinal != want || m.First {
			t.Fatalf("message %d has seq %d, ordinal %d, begins a group: %v", want, m.Seq, m.Ordinal, m.First)
		}
	}
}

// The same posts by several programs at once, as when a proxy repeats them to
// another node: each is stored once and answered alike everywhere.
func TestSameNoncesOnSeveralNodesAreStoredOnce(t *testing.T) {
	nodes := []*house{newHouse(t)}
	for range 2 {
		nodes = append(nodes, newHouseAt(t, nodes[0].url))
	}
	ann := nodes[0].enter("Ann")
	const posts = 60
	var nonces [posts]string
	for i := range nonces {
		nonces[i] = db.NewNonce()
	}
	answers := make([][posts]int64, len(nodes))
	var wg sync.WaitGroup
	for n, node := range nodes {
		for worker := range 4 {
			wg.Go(func() {
				for i := worker; i < posts; i += 4 {
					said, err := node.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: nonces[i], Text: db.Text{Body: fmt.Sprint(i)}})
					if err != nil {
						t.Error(err)
					}
					answers[n][i] = said.Seq
				}
			})
		}
	}
	wg.Wait()
	for i := range posts {
		for n := range nodes {
			if answers[n][i] != answers[0][i] {
				t.Errorf("post %d is number %d on one node and %d on another", i, answers[0][i], answers[n][i])
			}
		}
	}
	c, err := nodes[0].Changes(context.Background(), 1, 0)
	if err != nil || c.Room.Rev != posts || c.Room.Said != posts || len(c.Messages) != posts {
		t.Fatalf("rev %d, said %d, %d messages, %v", c.Room.Rev, c.Room.Said, len(c.Messages), err)
	}
}

// A nonce belongs to its text, within a batch and across batches, until the
// message is deleted.
func TestANonceBelongsToOneText(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	nonce := db.NewNonce()
	said, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "two"}}); reason(err) != chat.NonceReused {
		t.Errorf("another text: %v", err)
	}
	if _, err := h.Edit(ctx, 1, said.Seq, ann.ID, 0, db.Text{Body: "two"}); err != nil {
		t.Fatal(err)
	}
	if again, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "one"}}); err != nil || again.Seq != said.Seq {
		t.Errorf("the text first said, after an edit: %v %v", again, err)
	}
	if _, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "two"}}); reason(err) != chat.NonceReused {
		t.Errorf("the edited text: %v", err)
	}
	if _, err := h.Delete(ctx, 1, said.Seq, ann.ID); err != nil {
		t.Fatal(err)
	}
	if again, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "anything"}}); err != nil || again.Seq != said.Seq {
		t.Errorf("after the deletion: %v %v", again, err)
	}

	release := h.holdRoom(1)
	nonce = db.NewNonce()
	results := make(chan error, 20)
	for i := range 20 {
		go func() {
			_, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: fmt.Sprint(i % 2)}})
			results <- err
		}()
	}
	time.Sleep(100 * time.Millisecond) // most of them go into one batch
	release()
	refused := 0
	for range 20 {
		switch err := <-results; {
		case reason(err) == chat.NonceReused:
			refused++
		case err != nil:
			t.Error(err)
		}
	}
	room, err := h.Room(ctx, "parlor")
	if err != nil || refused != 10 || room.Said != 2 {
		t.Errorf("%d of 20 refused, %d said, %v", refused, room.Said, err)
	}
}

// What fails at the commit itself, after the answer was computed, was not
// said.
func TestAPostWhoseCommitFailsIsNotAcknowledged(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	if _, err := h.DB.Exec(`
		create function refuse() returns trigger language plpgsql as 'begin raise exception $$no room on the disk$$; end';
		create constraint trigger refuse after insert on messages deferrable initially deferred
		for each row execute function refuse()`); err != nil {
		t.Fatal(err)
	}
	if said, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "lost"}}); err == nil {
		t.Fatalf("acknowledged as %v", said)
	}
}

// The same post many times at once, within a batch and across batches, is
// stored once and answered alike.
func TestSameNonceIsStoredOnce(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	nonce := db.NewNonce()
	var mu sync.Mutex
	seqs := make(map[int64]int)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			said, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: nonce, Text: db.Text{Body: "once"}})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			seqs[said.Seq]++
			mu.Unlock()
		})
	}
	wg.Wait()
	page, _ := h.Page(context.Background(), 1, db.Place{})
	if len(seqs) != 1 || len(page.Messages) != 1 || page.Room.Said != 1 {
		t.Fatalf("answers %v, %d messages, said %d", seqs, len(page.Messages), page.Room.Said)
	}
	bob := h.enter("Bob")
	if said, err := h.Say(context.Background(), 1, db.Post{AuthorID: bob.ID, Nonce: nonce, Text: db.Text{Body: "another's"}}); err != nil || said.Seq != 2 {
		t.Fatalf("another person's same nonce: %v %v", said, err)
	}
}

// One post that Postgres refuses fails alone, whoever shares its batch.
func TestBadPostFailsAlone(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	var wg sync.WaitGroup
	var failed sync.Map
	for i := range 40 {
		wg.Go(func() {
			body := fmt.Sprint("fine ", i)
			if i%10 == 3 {
				body = "\x00 is not stored by Postgres"
			}
			if _, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: body}}); err != nil {
				failed.Store(i, true)
			}
		})
	}
	wg.Wait()
	for i := range 40 {
		if _, bad := failed.Load(i); bad != (i%10 == 3) {
			t.Errorf("post %d: failed %v", i, bad)
		}
	}
	page, _ := h.Page(context.Background(), 1, db.Place{})
	if page.Room.Said != 36 || page.Room.Rev != 36 {
		t.Fatalf("said %d, rev %d", page.Room.Said, page.Room.Rev)
	}
}

func TestChangesAreOneRowForEachMessageInOrder(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	for _, body := range []string{"one", "two", "three"} {
		h.say(1, ann, body)
	}
	for _, body := range []string{"uno", "eins", "一"} {
		if _, err := h.Edit(ctx, 1, 1, ann.ID, 0, db.Text{Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Delete(ctx, 1, 2, ann.ID); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[int64]string{
		0: "1:一 2: 3:three", 1: "1:一 2: 3:three", 2: "1:一 2: 3:three", 3: "1:一 2:", 6: "2:", 7: "",
	} {
		c, err := h.Changes(ctx, 1, after)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range c.Messages {
			got = append(got, fmt.Sprintf("%d:%s", m.Seq, m.Body))
		}
		if s := strings.Join(got, " "); s != want || c.Room.Rev != 7 {
			t.Errorf("after %d: %q at %d, want %q", after, s, c.Room.Rev, want)
		}
	}
	c, _ := h.Changes(ctx, 1, 6)
	if m := c.Messages[0]; !m.Deleted() || m.Body != "" {
		t.Errorf("tombstone %+v", m)
	}
}

func TestTooManyChangesAreNotReplayed(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	for i := range db.MostChanges + 1 {
		h.say(1, ann, fmt.Sprint(i))
	}
	c, err := h.Changes(context.Background(), 1, 0)
	if err != nil || !c.TooMany || len(c.Messages) != 0 {
		t.Fatalf("%v, %d messages, %v", c.TooMany, len(c.Messages), err)
	}
	if c, _ = h.Changes(context.Background(), 1, 1); c.TooMany || len(c.Messages) != db.MostChanges {
		t.Fatalf("%v, %d messages", c.TooMany, len(c.Messages))
	}
	count, first, err := h.SaidAfter(context.Background(), c.Room, 7)
	if err != nil || count != db.MostChanges-6 || first != 8 {
		t.Fatalf("%d said after 7, first %d, %v", count, first, err)
	}
}

func TestRefusedChangesTakeNoNumber(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.say(1, ann, "mine")
	for name, c := range map[string]struct {
		do   func() error
		want chat.Reason
	}{
		"edit another's":   {func() error { _, err := h.Edit(ctx, 1, 1, bob.ID, 0, db.Text{Body: "x"}); return err }, chat.NotYours},
		"delete another's": {func() error { _, err := h.Delete(ctx, 1, 1, bob.ID); return err }, chat.NotYours},
		"edit unknown":     {func() error { _, err := h.Edit(ctx, 1, 9, ann.ID, 0, db.Text{Body: "x"}); return err }, chat.NoSuchMessage},
		"unknown room":     {func() error { _, err := h.Edit(ctx, 99, 1, ann.ID, 0, db.Text{Body: "x"}); return err }, chat.NoSuchRoom},
		"say nowhere": {func() error {
			_, err := h.Say(ctx, 99, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "x"}})
			return err
		}, chat.NoSuchRoom},
		"not my room": {func() error { _, err := h.ChangeRoom(ctx, 1, ann.ID, "x", ""); return err }, chat.NotYourRoom},
		"same text":   {func() error { _, err := h.Edit(ctx, 1, 1, ann.ID, 0, db.Text{Body: "mine"}); return err }, ""},
	} {
		if got := reason(c.do()); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	room, err := h.Room(ctx, "parlor")
	if err != nil || room.Rev != 1 {
		t.Fatalf("rev %d, %v", room.Rev, err)
	}
}

func TestGroupsBeginWithAuthorPauseAndDay(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.enter("Ann"), h.enter("Bob")
	h.say(1, ann, "first, new day")
	h.say(1, ann, "same")
	h.now = h.now.Add(4 * time.Minute)
	h.say(1, ann, "still the same")
	h.say(1, bob, "first: another author")
	h.now = h.now.Add(chat.GroupGap)
	h.say(1, bob, "first: a pause")
	h.now = time.Date(2026, 11, 25, 0, 0, 1, 0, time.UTC)
	h.say(1, bob, "first, new day")
	page, _ := h.Page(context.Background(), 1, db.Place{})
	for _, m := range page.Messages {
		if m.First != strings.Contains(m.Body, "first") || m.NewDay != strings.Contains(m.Body, "new day") {
			t.Errorf("%q: first %v, new day %v", m.Body, m.First, m.NewDay)
		}
	}
}

// The order is the room's number's, whatever the clock says.
func TestClockSetBackDoesNotChangeTheOrder(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	for i := range 10 {
		h.now = h.now.Add(-time.Hour)
		h.say(1, ann, fmt.Sprint(i))
	}
	page, _ := h.Page(context.Background(), 1, db.Place{})
	for i, m := range page.Messages {
		if m.Body != fmt.Sprint(i) {
			t.Fatalf("place %d: %q", i, m.Body)
		}
	}
}

func TestPagesMeetWithoutGapOrOverlap(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	const all = 3*db.PageSize + 7
	for i := range all {
		h.say(1, ann, fmt.Sprint(i+1))
	}
	var back []int64
	page, err := h.Page(ctx, 1, db.Place{})
	for {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range slices.Backward(page.Messages) {
			back = append(back, m.Seq)
		}
		if !page.Older {
			break
		}
		page, err = h.Page(ctx, 1, db.Place{Before: page.Messages[0].Seq})
		if !page.Newer {
			t.Fatal("an older page says that nothing is newer")
		}
	}
	slices.Reverse(back)
	var forward []int64
	page, err = h.Page(ctx, 1, db.Place{FromStart: true})
	for {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			forward = append(forward, m.Seq)
		}
		if !page.Newer {
			break
		}
		page, err = h.Page(ctx, 1, db.Place{After: page.Messages[len(page.Messages)-1].Seq})
	}
	if len(back) != all || !slices.Equal(back, forward) || !slices.IsSorted(back) {
		t.Fatalf("%d back, %d forward, of %d", len(back), len(forward), all)
	}
	page, err = h.Page(ctx, 1, db.Place{Around: 80})
	if err != nil || !page.Older || !page.Newer || len(page.Messages) != db.PageSize+1 || page.Messages[db.PageSize/2].Seq != 80 {
		t.Fatalf("around 80: %v %d messages", err, len(page.Messages))
	}
	if _, err = h.Page(ctx, 1, db.Place{Around: 9999}); reason(err) != chat.NoSuchMessage {
		t.Fatalf("around nothing: %v", err)
	}
}

func TestNicknamesAreHeldAndReleased(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	nick, _ := chat.ParseNickname("ANN", 32)
	_, err := h.Enter(ctx, nick, 32)
	var refusal *chat.Error
	if !errors.As(err, &refusal) || refusal.Reason != chat.NicknameTaken || len(refusal.Suggestions) != 2 {
		t.Fatalf("%v", err)
	}
	for _, s := range refusal.Suggestions {
		h.enter(s) // they are free indeed
	}
	eve, _ := chat.ParseNickname("Eve", 32)
	if _, err := h.EnterWith(ctx, eve, 32, "eve's token", 1, h.now.Add(db.HoldFor)); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(db.HoldFor - time.Hour)
	if there, err := h.NoteVisit(ctx, "eve's token", 90, h.now.Add(db.HoldFor)); err != nil || !there {
		t.Fatalf("%v %v", there, err)
	}
	if there, err := h.NoteVisit(ctx, "nobody's token", 90, h.now.Add(db.HoldFor)); err != nil || there {
		t.Fatalf("%v %v", there, err)
	}
	h.now = h.now.Add(2 * time.Hour)
	if _, err := h.Enter(ctx, eve, 32); reason(err) != chat.NicknameTaken {
		t.Fatalf("a held nickname was given away: %v", err)
	}
	other, err := h.Enter(ctx, nick, 32)
	if err != nil || other.ID == ann.ID {
		t.Fatalf("a released nickname: %v %v", other, err)
	}
	var shown string
	if err := h.DB.Get(&shown, `select nickname from people where id = $1`, ann.ID); err != nil || shown != "Ann" {
		t.Fatalf("the earlier person is shown as %q, %v", shown, err)
	}
}

func TestRenameTakesANumberInEveryRoomOfThePerson(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	tea, err := h.MakeRoom(ctx, ann.ID, "Tea", "")
	if err != nil {
		t.Fatal(err)
	}
	h.say(1, ann, "here")
	h.say(tea.ID, ann, "and here")
	nick, _ := chat.ParseNickname("Anna", 32)
	_, revs, err := h.Rename(ctx, ann.ID, nick, 32)
	if err != nil || len(revs) != 2 {
		t.Fatalf("%v %v", revs, err)
	}
	for _, at := range revs {
		c, err := h.Changes(ctx, at.RoomID, at.Rev-1)
		if err != nil || at.Rev != 2 || len(c.People) != 1 || c.People[0].Nickname != "Anna" || len(c.Messages) != 0 {
			t.Errorf("room %d: %+v %v", at.RoomID, c, err)
		}
	}
	same, _ := chat.ParseNickname("ANNA", 32)
	if _, _, err := h.Rename(ctx, ann.ID, same, 32); err != nil {
		t.Errorf("another spelling of one's own nickname: %v", err)
	}
}

// Who is renamed just when they speak in a room for the first time is renamed
// there, too: the room takes a number for it, although the rename had begun
// before the person belonged to it.
func TestRenameReachesARoomThatIsJoinedMeanwhile(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann := h.enter("Ann")
	tea, err := h.MakeRoom(ctx, ann.ID, "Tea", "")
	if err != nil {
		t.Fatal(err)
	}
	h.say(1, ann, "here")
	for _, name := range []string{"Anna", "ANNA"} { // another name, and another spelling of it
		t.Run(name, func(t *testing.T) {
			if _, err := h.DB.Exec(`delete from memberships where room_id = $1`, tea.ID); err != nil {
				t.Fatal(err)
			}
			joining, err := h.DB.Beginx()
			if err != nil {
				t.Fatal(err)
			}
			defer joining.Rollback()
			if _, err := joining.Exec(`select from rooms where id = $1 for no key update`, tea.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := joining.Exec(`insert into memberships (room_id, person_id) values ($1, $2)`, tea.ID, ann.ID); err != nil {
				t.Fatal(err)
			}
			before, err := h.Room(ctx, "tea")
			if err != nil {
				t.Fatal(err)
			}
			nick, _ := chat.ParseNickname(name, 32)
			var revs []db.RoomRev
			done := make(chan error, 1)
			go func() {
				var err error
				_, revs, err = h.Rename(ctx, ann.ID, nick, 32)
				done <- err
			}()
			for waits := false; !waits; {
				select {
				case err := <-done:
					t.Fatalf("renamed to %v without the room: %v", revs, err)
				default:
				}
				if err := h.DB.Get(&waits, `select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`); err != nil {
					t.Fatal(err)
				}
			}
			if err := joining.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			c, err := h.Changes(ctx, tea.ID, before.Rev)
			if err != nil || c.Room.Rev != before.Rev+1 || len(c.People) != 1 || c.People[0].Nickname != name || len(revs) != 2 {
				t.Errorf("%+v, told %v, %v", c, revs, err)
			}
		})
	}
}

// Renaming and posting at once never wait for each other in a circle.
func TestRenameWhilePosting(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	h.say(1, ann, "first")
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 25 {
				if n == 0 {
					nick, _ := chat.ParseNickname(fmt.Sprint("Ann no ", i), 32)
					if _, _, err := h.Rename(context.Background(), ann.ID, nick, 32); err != nil {
						t.Error(err)
					}
				} else if _, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: "x"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	room, err := h.Room(context.Background(), "parlor")
	if err != nil || room.Rev != 101 || room.Said != 76 {
		t.Fatalf("rev %d, said %d, %v", room.Rev, room.Said, err)
	}
}

func TestSlugsOfARoomLeadToItForEver(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	room, err := h.MakeRoom(ctx, ann.ID, "Tea", "")
	if err != nil || room.Slug != "tea" {
		t.Fatalf("%+v %v", room, err)
	}
	if _, err := h.MakeRoom(ctx, ann.ID, "TEA", ""); reason(err) != chat.RoomNameTaken {
		t.Errorf("same name: %v", err)
	}
	second, err := h.MakeRoom(ctx, ann.ID, "tea!", "")
	if err != nil || second.Slug != "tea-2" {
		t.Errorf("same slug, other name: %q %v", second.Slug, err)
	}
	room, err = h.ChangeRoom(ctx, room.ID, ann.ID, "Coffee", "strong")
	if err != nil || room.Slug != "coffee" || room.Rev != 1 || room.AboutRev != 1 {
		t.Fatalf("%+v %v", room, err)
	}
	for _, slug := range []string{"tea", "coffee"} {
		if found, err := h.Room(ctx, slug); err != nil || found.ID != room.ID {
			t.Errorf("%s: %v %v", slug, found, err)
		}
	}
	if room, err = h.ChangeRoom(ctx, room.ID, ann.ID, "Tea", ""); err != nil || room.Slug != "tea" {
		t.Errorf("renamed back: %q %v", room.Slug, err)
	}
	glances, err := h.Rooms(ctx, 2)
	if err != nil || len(glances) != 2 {
		t.Errorf("%d rooms listed, %v", len(glances), err)
	}
}

// Rooms that take each other's names at once: one may come too late, none
// fails for a reason that nobody understands.
func TestRoomsSwapNames(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	var rooms []chat.Room
	for _, name := range []string{"Tea", "Coffee"} {
		room, err := h.MakeRoom(ctx, ann.ID, name, "")
		if err != nil {
			t.Fatal(err)
		}
		rooms = append(rooms, room)
	}
	var wg sync.WaitGroup
	for i, room := range rooms {
		wg.Go(func() {
			for n := range 20 {
				name := []string{"Tea", "Coffee", "Water"}[(i+n)%3]
				if _, err := h.ChangeRoom(ctx, room.ID, ann.ID, name, ""); err != nil && reason(err) != chat.RoomNameTaken {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	glances, err := h.Rooms(ctx, 10)
	if err != nil || len(glances) != 3 {
		t.Fatalf("%d rooms, %v", len(glances), err)
	}
	for _, g := range glances {
		if found, err := h.Room(ctx, g.Slug); err != nil || found.ID != g.ID {
			t.Errorf("%q, the slug of room %d, leads to %d, %v", g.Slug, g.ID, found.ID, err)
		}
	}
}

// Rooms whose names differ, but not as slugs.
func TestRoomsOfOneSlugAreMadeAtOnce(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	var wg sync.WaitGroup
	for _, name := range []string{"Tea", "tea!", "tea?", "tea."} {
		wg.Go(func() {
			if _, err := h.MakeRoom(context.Background(), ann.ID, name, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A slug that another room takes between the look and the change.
func TestASlugLeadsToTheRoomThatShowsIt(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	ann := h.enter("Ann")
	room, err := h.MakeRoom(ctx, ann.ID, "Coffee", "")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := h.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`insert into room_slugs values ('tea', 1)`); err != nil {
		t.Fatal(err)
	}
	changed := make(chan chat.Room)
	go func() {
		room, err := h.ChangeRoom(ctx, room.ID, ann.ID, "Tea", "")
		if err != nil {
			t.Error(err)
		}
		changed <- room
	}()
	time.Sleep(100 * time.Millisecond) // it waits for us now
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if room = <-changed; room.Slug != "tea-2" {
		t.Errorf("the slug is %q", room.Slug)
	}
	if found, err := h.Room(ctx, room.Slug); err != nil || found.ID != room.ID {
		t.Errorf("%q leads to room %d, %v", room.Slug, found.ID, err)
	}
}

func TestMigrationsOfManyNodesAtOnce(t *testing.T) {
	url := dbtest.New(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := db.Migrate(context.Background(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What is said while a commit is under way goes together into the next one.
func TestConcurrentPostsShareACommit(t *testing.T) {
	h := newHouse(t)
	ann := h.enter("Ann")
	release := h.holdRoom(1)
	const posts = 30
	answers := make(chan db.Said, posts)
	for i := range posts {
		go func() {
			said, err := h.Say(context.Background(), 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{Body: fmt.Sprint(i)}})
			if err != nil {
				t.Error(err)
			}
			answers <- said
		}()
	}
	time.Sleep(200 * time.Millisecond) // all of them wait now; one that is late only makes a batch more
	release()
	commits := make(map[int64]bool) // by the room's number after each
	for range posts {
		commits[(<-answers).Rev] = true
	}
	if len(commits) > posts/3 {
		t.Fatalf("%d commits for %d posts", len(commits), posts)
	}
}

// A backup is restored under a program that runs. Whoever is told the new epoch
// can rely on it that nothing is remembered of the old one any more.
func TestNobodyIsToldANewEpochBeforeTheOldOneIsForgotten(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	forgotten := false
	h.OnNewEpoch(func() {
		for range 100 { // others have the time to read, too
			if err := h.Ping(ctx); err != nil {
				t.Error(err)
			}
		}
		forgotten = true
	})
	read := func() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				room, err := h.Room(ctx, "parlor")
				if err != nil || (room.Epoch == "restored") != forgotten {
					t.Errorf("epoch %q, the old one is forgotten: %v, %v", room.Epoch, forgotten, err)
				}
			})
		}
		all.Wait()
	}
	read() // each has a connection now
	if _, err := h.DB.Exec(`update house set epoch = 'restored'`); err != nil {
		t.Fatal(err)
	}
	read()
}
