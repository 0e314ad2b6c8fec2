package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lib/pq"

	"parlor/app/chat"
	"parlor/app/search"
	"parlor/db"
	"parlor/db/dbtest"
)

// archive is what is searched: so many messages as newTalk makes them.
type archive struct {
	messages, rooms int
	times           int // each kind of query is asked
}

const filteredRooms = 7 // a room with few messages is asked for among these

// query is one that is asked, and how it is said in plain SQL.
type query struct {
	typed        string
	words        []string // all of them; one with spaces is a phrase
	author, room int64    // 0: any
	some         bool     // something must be found
}

// search measures how fast messages are found, over HTTP with the page that
// shows them. Beside it the same is asked of the same table by LIKE, and by
// Postgres' own to_tsvector with an index, both by SQL alone: they find less (no
// Chinese inside a sentence) or take no account of words.
func (b *bench) search(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	a, err := b.fillArchive(ctx)
	if err != nil {
		return nil, err
	}
	defer a.conn.Close()
	defer a.process.end()
	stranger := a.stranger(1)
	var like, simple []row
	about := fmt.Sprintf("search in %d messages", b.archive.messages)
	for _, kind := range a.kinds() {
		fmt.Fprintln(b.progress, "  ", kind.name)
		var took [3][]time.Duration
		found := [3]int{}
		// The slow ones get a few seconds; everything is asked of all in turns.
		left := [3]time.Duration{time.Hour, 6 * time.Second, 6 * time.Second}
		for range b.archive.times {
			q := kind.next()
			for i, ask := range []func() (int, error){
				func() (int, error) { return a.page(ctx, stranger, q) },
				func() (int, error) { return a.ask(ctx, q, likes) },
				func() (int, error) { return a.ask(ctx, q, simply) },
			} {
				if left[i] < 0 {
					continue
				}
				began := time.Now()
				n, err := ask()
				if err != nil {
					return nil, fmt.Errorf("search for %q: %w", q.typed, err)
				}
				took[i] = append(took[i], time.Since(began))
				left[i] -= time.Since(began)
				found[i] += n
			}
		}
		for i := range took {
			slices.Sort(took[i])
		}
		for _, part := range []struct {
			name   string
			q      float64
			target target
		}{{"p50 ms", 0.5, none}, {"p95 ms", 0.95, most(50)}} {
			figure := func(i int) float64 {
				if found[i] == 0 && found[0] > 0 {
					return math.NaN() // it does not find it at all
				}
				return milliseconds(quantile(took[i], part.q))
			}
			what := kind.name + ", " + part.name
			like = append(like, row{group: about + "; ceiling: LIKE, SQL alone", what: what, target: part.target, parlor: figure(0), ceiling: figure(1)})
			if part.target != none {
				simple = append(simple, row{group: about + "; ceiling: to_tsvector('simple') with GIN, SQL alone; empty: finds nothing",
					what: what, target: part.target, parlor: figure(0), ceiling: figure(2)})
			}
		}
	}
	posts, err := b.postsIndexed(ctx, a)
	return slices.Concat(like, simple, posts), err
}

// mentionEvery is how many messages there are for one that mentions somebody;
// people take turns.
const mentionEvery = 20

// searched is a Parlor with an archive.
type searched struct {
	subject
	conn     *sql.DB
	talk     *talk
	people   []int64 // Filler 1, Filler 2, ...
	rooms    []int64 // Filled 1, Filled 2, ...
	samples  []string
	messages int
}

// fillArchive starts a Parlor on a database of its own with an archive in it.
func (b *bench) fillArchive(ctx context.Context) (*searched, error) {
	fmt.Fprintf(b.progress, "   writing %d messages\n", b.archive.messages)
	u, err := url.Parse(b.database)
	if err != nil {
		return nil, err
	}
	admin, err := sql.Open("postgres", b.database)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	name := fmt.Sprintf("archive_%d_%d", b.archive.messages, time.Now().UnixNano())
	if _, err := admin.ExecContext(ctx, "create database "+name); err != nil {
		return nil, err
	}
	b.ends = append(b.ends, func() error { return b.drop(name) })
	u.Path = "/" + name
	if err := db.Migrate(ctx, u.String()); err != nil {
		return nil, err
	}
	a := &searched{talk: newTalk(1), messages: b.archive.messages}
	if a.conn, err = sql.Open("postgres", u.String()); err != nil {
		return nil, err
	}
	if err = dbtest.Fill(ctx, a.conn, b.archive.rooms, b.archive.rooms); err == nil {
		err = a.write(ctx)
	}
	if err == nil {
		a.subject, err = start(ctx, "http", b.binary, func(addr string) []string { return append(b.parlorEnv(addr), "DATABASE_URL="+u.String()) })
	}
	if err != nil {
		a.conn.Close()
		return nil, fmt.Errorf("make an archive: %w", err)
	}
	return a, nil
}

// write replaces the few messages there are. One room gets an eighth of them,
// some people speak much more than others, and everything comes in the order of
// time, as it does in life.
func (a *searched) write(ctx context.Context) error {
	var index string
	if err := a.conn.QueryRowContext(ctx, `select pg_get_indexdef('messages_terms'::regclass)`).Scan(&index); err != nil {
		return err
	}
	for query, into := range map[string]*[]int64{
		`select id from rooms where slug like 'filled-%' order by id`: &a.rooms, `select id from people order by id`: &a.people,
	} {
		rows, err := a.conn.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			*into = append(*into, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	tx, err := a.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect once committed
	if _, err := tx.ExecContext(ctx, `set local session_replication_role = replica; set local synchronous_commit = off;
		truncate messages; drop index messages_terms`); err != nil {
		return err
	}
	copyIn, err := tx.PrepareContext(ctx, pq.CopyIn("messages", "room_id", "seq", "rev", "ordinal", "author_id", "nonce", "said_sum", "body",
		"first", "new_day", "said_at", "mentioned", "terms"))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(7, 7))
	at := time.Now().Add(-time.Duration(a.messages) * 20 * time.Second)
	said := make([]int64, len(a.rooms))
	var stretches []time.Time
	for i := range a.messages {
		room := 0
		if i%8 > 0 {
			room = random.IntN(len(a.rooms))
		}
		author := a.people[int(float64(len(a.people))*math.Pow(random.Float64(), 3))]
		body := a.talk.message()
		if i < a.messages/5 && i%20 == 0 {
			body += " " + forgottenWord
		}
		switch i { // there may be none by chance
		case a.messages / 2:
			body += " " + rareEnglish
		case a.messages / 3:
			body += rareChinese
		}
		if random.IntN(1+a.messages/2000) == 0 {
			a.samples = append(a.samples, body)
		}
		var mentioned any
		if i%mentionEvery == 0 {
			id := a.people[i/mentionEvery%len(a.people)]
			body, mentioned = chat.Mention(id)+" "+body, pq.Array([]int64{id})
		}
		said[room]++
		at = at.Add(20 * time.Second)
		if i > 0 && i%db.StretchSize == 0 {
			stretches = append(stretches, at)
		}
		terms := search.Terms(search.Said{Text: body}) + fmt.Sprintf(" '%[1]s@%[2]d' '%[1]s#%[3]d'", search.Stretch, author, a.rooms[room])
		terms = strings.ReplaceAll(terms, search.Stretch, fmt.Sprintf("%d:", len(stretches)))
		if _, err := copyIn.ExecContext(ctx, a.rooms[room], said[room], said[room], said[room], author,
			fmt.Sprintf("%08x-0000-4000-8000-000000000000", i), []byte{1}, body, true, false, at, mentioned, terms); err != nil {
			return err
		}
	}
	if _, err := copyIn.ExecContext(ctx); err != nil {
		return err
	}
	if err := copyIn.Close(); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `insert into stretches (n, since)
		select n, since from unnest($1::timestamptz[]) with ordinality as x(since, n)`, pq.Array(stretches)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `update rooms r set rev = m.n, said = m.n, last_seq = m.n, last_said_at = m.at
		from (select room_id, count(*) as n, max(said_at) as at from messages group by room_id) m where m.room_id = r.id`); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	one, err := a.conn.Conn(ctx)
	if err != nil {
		return err
	}
	defer one.Close()
	for _, statement := range []string{
		`set maintenance_work_mem = '512MB'`, index,
		`create index archive_simple on messages using gin (to_tsvector('simple', body))`, `vacuum analyze`,
	} {
		if _, err := one.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// forgottenWord was said often, and not for a long time.
const forgottenWord = "telegraph"

// kindOf is a kind of query; each time it is another one.
type kindOf struct {
	name string
	next func() query
}

func (a *searched) kinds() []kindOf {
	random := rand.New(rand.NewPCG(11, 11))
	anyOf := func(w words, from, to int) string { return w.list[from+random.IntN(to-from)] }
	word := func(w string) query { return query{typed: w, words: []string{w}} }
	english, chinese := a.talk.english, a.talk.chinese
	return []kindOf{
		{"very rare word", func() query { q := word(rareEnglish); q.some = true; return q }},
		{"rare word", func() query { return word(anyOf(english, 3000, 20000)) }},
		{"less common word", func() query { return word(anyOf(english, 200, 1000)) }},
		{"common word", func() query { q := word(anyOf(english, 0, len(commonEnglish))); q.some = true; return q }},
		{"common, not for long", func() query { q := word(forgottenWord); q.some = true; return q }},
		{"two common words", func() query {
			x, y := anyOf(english, 0, 40), anyOf(english, 0, 40)
			return query{typed: x + " " + y, words: []string{x, y}}
		}},
		{"three words", func() query {
			x, y, z := anyOf(english, 0, 40), anyOf(english, 40, 300), anyOf(english, 40, 300)
			return query{typed: x + " " + y + " " + z, words: []string{x, y, z}}
		}},
		{"phrase that was said", func() query {
			p := a.phrase(random)
			return query{typed: `"` + p + `"`, words: []string{p}, some: true}
		}},
		{"CJK, two common characters", func() query {
			w := commonChinese[random.IntN(len(commonChinese))]
			for utf8.RuneCountInString(w) != 2 {
				w = commonChinese[random.IntN(len(commonChinese))]
			}
			q := word(w)
			q.some = true
			return q
		}},
		{"CJK, two rare characters", func() query { return word(anyOf(chinese, 2000, 20000)) }},
		{"CJK, very rare", func() query { q := word(rareChinese); q.some = true; return q }},
		{"CJK, one character", func() query {
			w := []rune(anyOf(chinese, 0, 500))
			return word(string(w[random.IntN(len(w))]))
		}},
		{"mixed 中英", func() query {
			x, y := anyOf(english, 0, 300), commonChinese[random.IntN(len(commonChinese))]
			return query{typed: x + " " + y, words: []string{x, y}}
		}},
		{"from: and a common word", func() query {
			n := random.IntN(len(a.people))
			w := anyOf(english, 0, 60)
			return query{typed: fmt.Sprintf(`from:"Filler %d" %s`, n+1, w), words: []string{w}, author: a.people[n]}
		}},
		{"from: alone", func() query {
			n := random.IntN(len(a.people))
			return query{typed: fmt.Sprintf(`from:"Filler %d"`, n+1), author: a.people[n]}
		}},
		{"in: and a word", func() query {
			n := random.IntN(filteredRooms)
			w := anyOf(english, 0, 1000)
			return query{typed: fmt.Sprintf(`in:filled-%d %s`, n+1, w), words: []string{w}, room: a.rooms[n]}
		}},
		// The others are asked for what is stored: they find no nicknames.
		{"nickname of one who is mentioned", func() query {
			n := random.IntN(min(len(a.people), a.messages/mentionEvery))
			return query{typed: fmt.Sprintf(`"Filler %d"`, n+1), words: []string{chat.Mention(a.people[n])}, some: true}
		}},
		{"nickname and a word", func() query {
			n := random.IntN(len(a.people))
			w := anyOf(english, 0, 300)
			return query{typed: fmt.Sprintf(`"@Filler %d" %s`, n+1, w), words: []string{chat.Mention(a.people[n]), w}}
		}},
		{"part of many nicknames and a rare word", func() query {
			w := anyOf(english, 3000, 20000)
			return query{typed: "filler " + w, words: []string{w}}
		}},
	}
}

// phrase is two words of a message, one after the other.
func (a *searched) phrase(random *rand.Rand) string {
	for {
		said := strings.Fields(a.samples[random.IntN(len(a.samples))])
		if len(said) < 3 {
			continue
		}
		i := random.IntN(len(said) - 1)
		if pair := said[i] + " " + said[i+1]; len(pair) == utf8.RuneCountInString(pair) && !strings.Contains(pair, "/") {
			return pair
		}
	}
}

// page asks as people do, and counts what is found.
func (a *searched) page(ctx context.Context, v *visitor, q query) (int, error) {
	body, err := v.get(ctx, "/search?"+url.Values{"q": {q.typed}}.Encode())
	if err != nil {
		return 0, err
	}
	plain, err := unpack(body)
	if err != nil {
		return 0, err
	}
	n := bytes.Count(plain, []byte(`class="snippet"`))
	if q.some && n == 0 {
		return 0, fmt.Errorf("nothing is found, and it is there")
	}
	return n, nil
}

// Conditions for a word in plain SQL; the verb is the number of its argument.
const (
	likes  = `body like '%%' || $%d || '%%'`
	simply = `to_tsvector('simple', body) @@ phraseto_tsquery('simple', $%d)`
)

// ask asks by SQL alone.
func (a *searched) ask(ctx context.Context, q query, condition string) (n int, err error) {
	where, args := []string{`deleted_at is null`}, []any{}
	for _, w := range q.words {
		args = append(args, w)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	for column, id := range map[string]int64{"author_id": q.author, "room_id": q.room} {
		if id != 0 {
			where = append(where, fmt.Sprintf("%s = %d", column, id))
		}
	}
	rows, err := a.conn.QueryContext(ctx, `select body from messages where `+strings.Join(where, ` and `)+
		` order by said_at desc, room_id desc, seq desc limit 20`, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// postsIndexed measures what the index costs those who post.
func (b *bench) postsIndexed(ctx context.Context, a *searched) ([]row, error) {
	clients := b.clients[len(b.clients)-1]
	people, err := a.guests(ctx, clients)
	if err != nil {
		return nil, err
	}
	if _, err := a.conn.ExecContext(ctx, `drop index archive_simple`); err != nil { // which Parlor does not have
		return nil, err
	}
	texts := make([]string, 1000)
	for i := range texts {
		texts[i] = a.talk.message()
	}
	measure := func() (float64, error) {
		l, err := drive(ctx, clients, 4*b.each, func(ctx context.Context, client int) error {
			_, err := people[client].sayIn(ctx, filledRoom(1), texts[rand.IntN(len(texts))])
			return err
		})
		return l.perSecond(), err
	}
	if _, err := measure(); err != nil { // to warm up
		return nil, err
	}
	with, err := measure()
	if err != nil {
		return nil, err
	}
	if _, err := a.conn.ExecContext(ctx, `drop index messages_terms`); err != nil {
		return nil, err
	}
	without, err := measure()
	return []row{{
		group: fmt.Sprintf("post into %d messages, %d at a time; ceiling: without the index of words", b.archive.messages, clients),
		what:  "per second", target: ratioLeast(0.7), parlor: with, ceiling: without,
	}}, err
}
