package db_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/search"
	"parlor/db"
)

// tell says something that can be found.
func (h *house) tell(room int64, by chat.Person, body string, mentioned ...chat.Person) int64 {
	h.t.Helper()
	text := db.Text{Body: body}
	for _, p := range mentioned {
		text.Mentions = append(text.Mentions, db.Mention{PersonID: p.ID})
	}
	said, err := h.Say(context.Background(), room, db.Post{
		AuthorID: by.ID, Nonce: db.NewNonce(), Text: text, Terms: search.Terms(search.Said{Text: body}),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return said.Seq
}

// said is what a message is found by here.
func said(m chat.Message) search.Said {
	out := search.Said{Text: m.Body, Names: m.MentionedNames(), Reply: m.Parent != nil}
	for _, f := range m.Files {
		out.Files = append(out.Files, f.Name)
		out.Images = out.Images || strings.HasPrefix(f.Type, "image/")
	}
	for _, p := range m.Previews {
		out.Titles = append(out.Titles, p.Title)
	}
	return out
}

// wanted is a search for what was typed, over everything.
func wanted(typed string) db.Search {
	return wantedBy(search.Parse(typed, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)))
}

func wantedBy(q search.Query) db.Search {
	return db.Search{
		Terms: q.TSQuery(), Wants: q.Wants(), Has: search.Beside(q.Has), HasNot: search.Beside(q.HasNot), After: q.After, Before: q.Before, Most: 20,
		Matches: func(m chat.Message) bool { return q.Matches(said(m)) },
	}
}

// noteTerms gives terms to all messages that have none.
func (h *house) noteTerms() {
	h.t.Helper()
	without, err := h.WithoutTerms(context.Background(), 0, 0, 1_000_000)
	if err == nil {
		err = h.NoteTerms(context.Background(), without)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) results(want db.Search) []string {
	h.t.Helper()
	found, err := h.Search(context.Background(), want)
	if err != nil {
		h.t.Fatal(err)
	}
	bodies := make([]string, len(found.Hits))
	for i, hit := range found.Hits {
		bodies[i] = hit.Message.Body
	}
	return bodies
}

func TestSearchFindsTheLatestFirst(t *testing.T) {
	h := newHouse(t)
	zoe, bob := h.enter("Zoe"), h.enter("Bob")
	other, err := h.MakeRoom(context.Background(), zoe.ID, "Kitchen", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		room int64
		by   chat.Person
		body string
	}{
		{1, zoe, "今天我们开会讨论聊天应用"},
		{other.ID, bob, "the kitchen is deployed"},
		{1, bob, "we deploy v1.2.3 today, see https://example.org/Deploy"},
		{other.ID, zoe, "讨一讨，论文"},
		{1, zoe, "`code` about soup"},
	} {
		h.tell(m.room, m.by, m.body)
		h.now = h.now.Add(time.Hour)
	}
	for typed, want := range map[string][]string{
		"讨论":                       {"今天我们开会讨论聊天应用"},
		"论":                        {"讨一讨，论文", "今天我们开会讨论聊天应用"},
		"deploy":                   {"we deploy v1.2.3 today, see https://example.org/Deploy", "the kitchen is deployed"},
		`"deploy"`:                 {"we deploy v1.2.3 today, see https://example.org/Deploy"},
		"deploy -kitchen":          {"we deploy v1.2.3 today, see https://example.org/Deploy"},
		"-deploy -deployed -讨论":    {"`code` about soup", "讨一讨，论文"},
		"v1.2":                     {"we deploy v1.2.3 today, see https://example.org/Deploy"},
		"has:link":                 {"we deploy v1.2.3 today, see https://example.org/Deploy"},
		"has:code":                 {"`code` about soup"},
		"deploy before:2026-11-24": nil,
		"deploy on:2026-11-24":     {"we deploy v1.2.3 today, see https://example.org/Deploy", "the kitchen is deployed"},
		"absent":                   nil,
		"has:file":                 nil,
		"quote's \\ 'and\" :* & !": nil,
	} {
		if got := h.results(wanted(typed)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", typed, got, want)
		}
	}
	want := wanted("deploy")
	want.Authors = []int64{bob.ID}
	want.Rooms = []int64{other.ID}
	if got := h.results(want); !slices.Equal(got, []string{"the kitchen is deployed"}) {
		t.Errorf("from Bob in the kitchen: %q", got)
	}
	want = wanted("deploy")
	want.NotRooms = []int64{other.ID, 77}
	if got := h.results(want); !slices.Equal(got, []string{"we deploy v1.2.3 today, see https://example.org/Deploy"}) {
		t.Errorf("not in the kitchen: %q", got)
	}
	want = wanted("")
	want.NotAuthors = []int64{bob.ID}
	if got := h.results(want); len(got) != 3 || got[0] != "`code` about soup" {
		t.Errorf("not from Bob: %q", got)
	}
	want = wanted("")
	want.Authors = []int64{zoe.ID}
	want.Rooms = []int64{1, other.ID}
	if got := h.results(want); len(got) != 3 || got[0] != "`code` about soup" {
		t.Errorf("from Zoe anywhere: %q", got)
	}
	found, err := h.Search(context.Background(), wanted("kitchen"))
	if err != nil || found.Hits[0].Room.Name != "Kitchen" || found.Hits[0].Room.Slug != other.Slug || found.Hits[0].Message.Author.Nickname != "Bob" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestSearchKnowsWhatIsNow(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	seq := h.tell(1, zoe, "the first text")
	expect := func(typed string, want ...string) {
		t.Helper()
		if got := h.results(wanted(typed)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", typed, got, want)
		}
	}
	expect("first", "the first text")
	if _, err := h.Edit(ctx, 1, seq, zoe.ID, 0, db.Text{Body: "a second one"}); err != nil {
		t.Fatal(err)
	}
	expect("first")
	expect("second", "a second one")
	byZoe := wanted("second")
	byZoe.Authors, byZoe.Rooms = []int64{zoe.ID}, []int64{1}
	if got := h.results(byZoe); len(got) != 1 {
		t.Errorf("author and room are lost by an edit: %q", got)
	}
	if _, err := h.Delete(ctx, 1, seq, zoe.ID); err != nil {
		t.Fatal(err)
	}
	expect("second")
	byZoe.Terms, byZoe.Matches = "", nil
	if got := h.results(byZoe); len(got) != 0 {
		t.Errorf("a deleted message is found by its author: %q", got)
	}
	expect("-absent")
	var left int
	if err := h.DB.Get(&left, `select count(*) from messages where terms is not null`); err != nil || left != 0 {
		t.Errorf("%d messages keep terms after their deletion: %v", left, err)
	}
}

func TestSearchByWhatAMessageHas(t *testing.T) {
	h := newHouse(t)
	zoe := h.enter("Zoe")
	root := h.tell(1, zoe, "root")
	for _, post := range []db.Post{
		{Text: db.Text{Body: "answer"}, ParentSeq: root},
		{Text: db.Text{Body: "calls " + chat.Mention(zoe.ID), Mentions: []db.Mention{{PersonID: zoe.ID}}}},
	} {
		post.AuthorID, post.Nonce = zoe.ID, db.NewNonce()
		if _, err := h.Say(context.Background(), 1, post); err != nil {
			t.Fatal(err)
		}
	}
	h.DB.MustExec(`update messages set terms = null where seq <> $1`, root)
	pinned, picture, paper := h.tell(1, zoe, "pinned"), h.tell(1, zoe, "picture"), h.tell(1, zoe, "paper")
	h.DB.MustExec(`update messages set pinned_at = now(), reactions = 1 where seq = $1`, pinned)
	for seq, kind := range map[int64]string{picture: "image/png", paper: "application/pdf"} {
		h.DB.MustExec(`update messages set files = 1, terms = null where seq = $1`, seq)
		h.DB.MustExec(`insert into files (room_id, owner_id, seq, digest, name, type, size, uploaded_at)
			values (1, $1, $2, '', 'a', $3, 1, now())`, zoe.ID, seq, kind)
	}
	h.noteTerms()
	for typed, want := range map[string][]string{
		"has:file": {"paper", "picture"}, "has:image": {"picture"}, "has:reply": {"answer"}, "has:pin": {"pinned"},
		"has:reaction": {"pinned"}, "has:mention": {"calls " + chat.Mention(zoe.ID)}, "has:file paper": {"paper"}, "has:pin root": nil, "has:pin pinned": {"pinned"}, "has:pin -root": {"pinned"}, "has:reaction pin": {"pinned"},
		"-has:pin -has:file": {"calls " + chat.Mention(zoe.ID), "answer", "root"}, "-has:mention answer": {"answer"}, "has:reaction -has:pin": nil, "-has:reaction -has:image pap": {"paper"},
	} {
		if got := h.results(wanted(typed)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", typed, got, want)
		}
	}
	if got := h.results(db.Search{Has: []string{"wings"}, Most: 20}); len(got) != 0 {
		t.Errorf("what nothing has is found: %q", got)
	}
}

// Pages of results follow one another without gaps or repeats, also where
// messages were said at the same moment, and where the index finds too much.
func TestPagesOfResultsMeet(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	other, err := h.MakeRoom(ctx, zoe.ID, "Kitchen", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		h.tell([]int64{1, other.ID}[i%2], zoe, fmt.Sprintf("apple %d", i))
		if i%7 == 0 {
			h.now = h.now.Add(time.Second)
		}
	}
	for _, drop := range []bool{false, true} {
		want := wanted("apple")
		want.Most = 7
		kept := 60
		if drop {
			kept = 20
			want.Matches = func(m chat.Message) bool {
				var i int
				_, _ = fmt.Sscanf(m.Body, "apple %d", &i)
				return i%3 == 0
			}
		}
		seen := make(map[string]bool)
		pages := 0
		for last := (db.Moment{}); ; pages++ {
			found, err := h.Search(ctx, want)
			if err != nil {
				t.Fatal(err)
			}
			for _, hit := range found.Hits {
				at := db.Moment{SaidAt: hit.Message.SaidAt, RoomID: hit.Message.RoomID, Seq: hit.Message.Seq}
				if last != (db.Moment{}) && at.SaidAt.After(last.SaidAt) || seen[hit.Message.Body] {
					t.Errorf("%+v comes after %+v", at, last)
				}
				last, seen[hit.Message.Body] = at, true
			}
			if found.Older == nil {
				break
			}
			if len(found.Hits) != want.Most {
				t.Errorf("a page of %d before the last one", len(found.Hits))
			}
			want.Older = *found.Older
		}
		if len(seen) != kept || pages != (kept-1)/7 {
			t.Errorf("%d results on %d pages", len(seen), pages+1)
		}
	}
}

func TestSearchThatTakesTooLongIsRefused(t *testing.T) {
	h := newHouse(t)
	zoe := h.enter("Zoe")
	h.tell(1, zoe, "something")
	want := wanted("some")
	// It waits for a lock here; to the search that is the same as much work.
	hold, err := h.DB.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Rollback()
	hold.MustExec(`set local idle_in_transaction_session_timeout = 0; lock table messages in access exclusive mode`)
	_, err = h.Search(context.Background(), want)
	if reason(err) != chat.SearchTooBroad {
		t.Errorf("it was answered with %v", err)
	}
	if db.IsAway(err) {
		t.Error("the database is said to be away")
	}
}

func TestMessagesFromBeforeGetTheirTerms(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	old, edited, deleted := h.tell(1, zoe, "an old thing"), h.tell(1, zoe, "edited thing"), h.tell(1, zoe, "deleted thing")
	h.DB.MustExec(`update messages set terms = null`)
	without, err := h.WithoutTerms(ctx, 0, 0, 10)
	if err != nil || len(without) != 3 || without[0].Seq != old {
		t.Fatalf("%+v, %v", without, err)
	}
	if rest, err := h.WithoutTerms(ctx, 1, old, 10); err != nil || len(rest) != 2 || rest[0].Seq != edited {
		t.Fatalf("%+v, %v", rest, err)
	}
	// Meanwhile two of them change.
	if _, err := h.Edit(ctx, 1, edited, zoe.ID, 0, db.Text{Body: "another"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Delete(ctx, 1, deleted, zoe.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is done already
		if err := h.NoteTerms(ctx, without); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.results(wanted("thing")); !slices.Equal(got, []string{"an old thing"}) {
		t.Errorf("found %q", got)
	}
	want := wanted("another")
	want.Authors = []int64{zoe.ID}
	if got := h.results(want); len(got) != 1 {
		t.Errorf("found %q", got)
	}
	if without, err := h.WithoutTerms(ctx, 0, 0, 10); err != nil || len(without) != 0 {
		t.Errorf("still without: %+v, %v", without, err)
	}
	if err := h.TidySearch(ctx); err != nil {
		t.Error(err)
	}
}

func TestRecentSearchesAreFew(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe, bob := h.enter("Zoe"), h.enter("Bob")
	for i := range 13 {
		h.now = h.now.Add(time.Second)
		if err := h.Remember(ctx, zoe.ID, fmt.Sprint("q", i)); err != nil {
			t.Fatal(err)
		}
	}
	h.now = h.now.Add(time.Second)
	if err := h.Remember(ctx, zoe.ID, "q5"); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		got, err := h.Recent(ctx, zoe.ID)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	expect("q5 q12 q11 q10 q9 q8 q7 q6 q4 q3")
	if err := h.Forget(ctx, zoe.ID, "q11"); err != nil {
		t.Fatal(err)
	}
	expect("q5 q12 q10 q9 q8 q7 q6 q4 q3")
	if got, err := h.Recent(ctx, bob.ID); err != nil || len(got) != 0 {
		t.Errorf("somebody else's: %q, %v", got, err)
	}
	if err := h.Forget(ctx, zoe.ID, ""); err != nil {
		t.Fatal(err)
	}
	expect("")
}

// Whom a search may mean: by a whole nickname before all others, then by a part
// of one, first who was called last.
func TestPeopleAreFoundByPartsOfTheirNames(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	var crowd []chat.Person
	for i := range db.MostNamed + 8 {
		crowd = append(crowd, h.enter(fmt.Sprint("Zoe Crowd ", i)))
	}
	han := h.enter("李四光")
	for _, p := range crowd[:10] {
		h.now = h.now.Add(time.Minute)
		h.tell(1, zoe, chat.Mention(p.ID), p)
	}
	named := func(typed string) (ids []int64) {
		t.Helper()
		q := search.Parse(typed, h.now)
		texts := q.Texts()
		for i := range texts {
			texts[i] = chat.FoldName(texts[i])
		}
		people, err := h.NamedLike(ctx, q.NameQuery(), texts)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range people {
			ids = append(ids, p.ID)
		}
		return ids
	}
	if got := named("ZOE"); len(got) != db.MostNamed || got[0] != zoe.ID || got[1] != crowd[9].ID || got[10] != crowd[0].ID {
		t.Errorf("%v", got)
	}
	for _, typed := range []string{"四光", "李", "光说", "四", "李四光说"} {
		if got := named(typed); !slices.Equal(got, []int64{han.ID}) {
			t.Errorf("%s: %v", typed, got)
		}
	}
	if got := named("-crowd x"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := named("-李四光"); !slices.Equal(got, []int64{han.ID}) {
		t.Errorf("%v", got)
	}
	h.rename(han, "Wang")
	if got := named("李 wang"); !slices.Equal(got, []int64{han.ID}) {
		t.Errorf("%v", got)
	}
	if got := named("李"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	// From before people were found so.
	h.DB.MustExec(`update people set terms = null`)
	if err := h.NoteNames(ctx); err != nil {
		t.Fatal(err)
	}
	if got := named("wang"); !slices.Equal(got, []int64{han.ID}) {
		t.Errorf("%v", got)
	}
}

func TestFirstMessageSinceADay(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	h.tell(1, zoe, "Tuesday")
	h.now = h.now.AddDate(0, 0, 2)
	thursday := h.tell(1, zoe, "Thursday")
	h.tell(1, zoe, "Thursday, too")
	seq, err := h.FirstSince(ctx, 1, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	if err != nil || seq != thursday {
		t.Errorf("%d, %v", seq, err)
	}
	if seq, err := h.FirstSince(ctx, 1, h.now.AddDate(0, 0, 1)); err != nil || seq != thursday+1 {
		t.Errorf("after the last: %d, %v", seq, err)
	}
	quiet, err := h.MakeRoom(ctx, zoe.ID, "Quiet", "")
	if err != nil {
		t.Fatal(err)
	}
	if seq, err := h.FirstSince(ctx, quiet.ID, h.now); err != nil || seq != 0 {
		t.Errorf("in a room in which nothing was said: %d, %v", seq, err)
	}
}

func TestPeopleAndRoomsAreFoundByWhatTheyAreCalled(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	zoe := h.enter("Zoe")
	room, err := h.MakeRoom(ctx, zoe.ID, "The Kitchen", "")
	if err != nil {
		t.Fatal(err)
	}
	var nicks []chat.Nickname
	for _, name := range []string{"ＺＯＥ", "Bob"} {
		nick, err := chat.ParseNickname(name, 32)
		if err != nil {
			t.Fatal(err)
		}
		nicks = append(nicks, nick)
	}
	people, err := h.PeopleCalled(ctx, nicks)
	if err != nil || len(people) != 1 || people[nicks[0].Folded] != zoe.ID {
		t.Errorf("%v, %v", people, err)
	}
	names := []string{"the KITCHEN", "the-kitchen", "The-Kitchen", "nowhere"}
	rooms, err := h.RoomsCalled(ctx, names)
	if err != nil || len(rooms) != 3 {
		t.Errorf("%v, %v", rooms, err)
	}
	for _, name := range names[:3] {
		if rooms[name].ID != room.ID {
			t.Errorf("%s: %+v", name, rooms[name])
		}
	}
}

// What package search says matches is what Postgres finds in its terms. The
// texts are such that nearly equal ones are many. Some mention people, who have
// other nicknames when they are looked for.
func TestPostgresFindsWhatMatches(t *testing.T) {
	h := newHouse(t)
	zoe := h.enter("Zoe")
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"讨", "论", "天", "abc", "abcd", "ab", " ", " ", "，", "-", "é", "1", "👍", "'", `\`, "カ", "go ", "_"}
	names := make(map[int64]string)
	var people []chat.Person
	for i, name := range []string{"论天", "abc 1", "go-讨论", "天", "é👍", "讨论 讨论"} {
		p := h.enter(fmt.Sprint("abc 天 ", i))
		people, names[p.ID] = append(people, p), name
		pieces = append(pieces, chat.Mention(p.ID))
	}
	text := func(n int) string {
		var b strings.Builder
		for range 1 + r.IntN(n) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		return b.String()
	}
	var bodies []string
	for range 150 {
		bodies = append(bodies, text(12))
	}
	// Too many of one lexeme for its positions, and a word too long for a lexeme.
	bodies = append(bodies, strings.Repeat("讨论 ", 300)+"讨天abc", strings.Repeat("x", 100), strings.Repeat("x", 90)+" abc", strings.Repeat("a ", 8100))
	for _, body := range bodies {
		h.tell(1, zoe, body, people...)
	}
	for _, p := range people {
		h.rename(p, names[p.ID])
	}
	pieces = pieces[:len(pieces)-len(people)] // nobody can type a mention
	queries := []string{"讨天abc", `"讨论 讨天abc"`, `"讨论 讨论"`, strings.Repeat("x", 100), strings.Repeat("x", 90), "-" + strings.Repeat("x", 90) + " abc", `"a a"`, `-"讨论 讨天" 讨`}
	for range 400 {
		queries = append(queries, text(4))
	}
	exact := 0
	for _, typed := range queries {
		q := search.Parse(typed, h.now)
		if q.Empty() {
			continue
		}
		called, err := h.NamedLike(context.Background(), q.NameQuery(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range called {
			q.Call(p.ID, p.Nickname)
		}
		want := wantedBy(q)
		want.Matches, want.Most = nil, len(bodies)
		got := h.results(want)
		fits := 0
		for _, body := range bodies {
			if !q.Matches(search.Said{Text: body, Names: names}) {
				continue
			}
			fits++
			if !slices.Contains(got, body) {
				t.Errorf("%q: Postgres does not find %.60q by %s", typed, body, q.TSQuery())
			}
		}
		if len(got) == fits {
			exact++
		}
	}
	if exact < len(queries)/2 {
		t.Errorf("only %d queries found exactly what they should", exact)
	}
}
