package db_test

import (
	"context"
	"database/sql"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"parlor/app/chat"
	"parlor/db"
)

// schemaSQL describes all that is in the present schema, but for the order of
// columns, of which nothing takes notice.
const schemaSQL = `
	with here as (select oid, nspname from pg_namespace where nspname = current_schema())
	select replace(item, nspname || '.', '') from here, lateral (
		select format('column %s.%s %s, not null: %s, identity: %s, default: %s, collation: %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid), (select collname from pg_collation l where l.oid = a.attcollation))
		from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		where c.relnamespace = here.oid and c.relkind in ('r', 'v', 'S') and a.attnum > 0 and not a.attisdropped
		union all
		select format('index %s %s', pg_get_indexdef(i.indexrelid), c.reloptions)
		from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = here.oid
		union all
		select format('constraint %s of %s %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
		from pg_constraint where connamespace = here.oid and contype <> 'n'
		union all
		select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = here.oid
		union all
		select 'trigger ' || pg_get_triggerdef(t.oid)
		from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = here.oid and not t.tgisinternal
	) as described(item) order by 1`

// migrated is a database, or a schema in one, that migrations go up and down in.
type migrated struct {
	t  *testing.T
	db *sql.DB
	*goose.Provider
}

func migrations(t *testing.T, url string) migrated {
	t.Helper()
	conn, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	files, err := fs.Sub(db.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, files)
	if err != nil {
		t.Fatal(err)
	}
	return migrated{t, conn, p}
}

func (m migrated) schema() (items []string) {
	m.t.Helper()
	rows, err := m.db.Query(schemaSQL)
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var item string
		if err := rows.Scan(&item); err != nil {
			m.t.Fatal(err)
		}
		items = append(items, item)
	}
	if rows.Err() != nil || len(items) == 0 {
		m.t.Fatal("no schema", rows.Err())
	}
	return items
}

// differ names what is in one list only.
func differ(got, want []string) string {
	var lines []string
	for _, item := range got {
		if !slices.Contains(want, item) {
			lines = append(lines, "too much: "+item)
		}
	}
	for _, item := range want {
		if !slices.Contains(got, item) {
			lines = append(lines, "missing: "+item)
		}
	}
	return strings.Join(lines, "\n")
}

// A version that went wrong is taken back with its migrations: what is left is
// what an earlier version made, and the way up leads to the same schema again.
// What people said comes through. (Before version 11 nobody ran anything.)
func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	const oldest = 11
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	said := h.say(1, ann, "hello")
	h.say(1, bob, "to be deleted")
	if _, err := h.Delete(ctx, 1, 2, bob.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.React(ctx, 1, said.Seq, bob.ID, "👍", db.Give); err != nil {
		t.Fatal(err)
	}
	if err := h.SaveThreadDraft(ctx, db.DraftPlace{RoomID: 1, PersonID: bob.ID, ThreadSeq: said.Seq}, "typed", "tab", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Read(ctx, 1, bob.ID, 2, -1); err != nil {
		t.Fatal(err)
	}
	url := h.url
	h.Close()

	m := migrations(t, url)
	newest, err := m.GetDBVersion(ctx)
	if err != nil || newest <= oldest {
		t.Fatal(newest, err)
	}
	if _, err := m.db.Exec(`create schema fresh`); err != nil {
		t.Fatal(err)
	}
	join := "?"
	if strings.Contains(url, "?") {
		join = "&"
	}
	fresh, at := migrations(t, url+join+"search_path=fresh"), map[int64][]string{}
	if _, err := fresh.UpTo(ctx, oldest); err != nil {
		t.Fatal(err)
	}
	for version := int64(oldest); ; {
		at[version] = fresh.schema()
		if version == newest {
			break
		}
		up, err := fresh.UpByOne(ctx)
		if err != nil {
			t.Fatal(err)
		}
		version = up.Source.Version
	}

	check := func(way string) int64 {
		t.Helper()
		version, err := m.GetDBVersion(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(m.schema(), at[version]); d != "" {
			t.Errorf("%s to version %d:\n%s", way, version, d)
		}
		return version
	}
	for check("made up") > oldest {
		if _, err := m.Down(ctx); err != nil {
			t.Fatal(err)
		}
		check("down")
	}
	for check("down") < newest {
		if _, err := m.UpByOne(ctx); err != nil {
			t.Fatal(err)
		}
	}
	check("up again")

	again := newHouseAt(t, url)
	page, err := again.Page(ctx, 1, db.Place{})
	if err != nil || len(page.Messages) != 2 || page.Messages[0].Body != "hello" || len(page.Messages[0].Reactions) != 1 || !page.Messages[1].Deleted() {
		t.Errorf("%+v %v", page.Messages, err)
	}
	all, err := again.Memberships(ctx, []int64{bob.ID}, nil)
	if err != nil || len(all) != 1 || !all[0].Marked || all[0].Unread(page.Room.Said) != 0 {
		t.Errorf("%+v %v", all, err)
	}
	again.say(1, chat.Person{ID: ann.ID}, "and on")
}
