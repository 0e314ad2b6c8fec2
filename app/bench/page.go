package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// pageConnections is how many keep-alive connections ask for pages.
const pageConnections = 8

// page measures the page of a room with 50 messages, compressed, as a stranger
// gets it and as somebody with a nickname does. The bare server serves the
// bytes that Parlor has just answered with.
func (b *bench) page(ctx context.Context) ([]row, error) {
	if b.own() {
		if err := b.furnish(ctx); err != nil {
			return nil, err
		}
	}
	guest, err := b.parlor.guest(ctx, pageConnections)
	if err != nil {
		return nil, err
	}
	var out []row
	for _, reader := range []struct {
		who string
		*visitor
		ratio, queries float64 // to reach
	}{{"looking", b.parlor.stranger(pageConnections), 0.6, 0.1}, {"signed in", guest, 0.3, 1.1}} {
		body, err := reader.page(ctx)
		if err != nil {
			return nil, err
		}
		plain, err := unzip(body)
		if err != nil {
			return nil, err
		}
		if err := b.bare.keep(ctx, roomPath, body); err != nil {
			return nil, err
		}
		measured, err := alternate(b.rounds,
			func() (sample, error) { return b.pages(ctx, b.parlor, reader.visitor) },
			func() (sample, error) { return b.pages(ctx, b.bare, b.bare.stranger(pageConnections)) })
		if err != nil {
			return nil, err
		}
		name := "room page, " + reader.who + "; ceiling: the same bytes by a bare handler"
		names := []string{"per second", "p99 ms", "CPU µs"}
		if !b.own() {
			names = names[:2]
		}
		out = append(out, rows(name, names, []target{ratioLeast(reader.ratio), none, none}, measured[0], measured[1])...)
		out = append(out, row{group: name, what: "KB on the wire, beside gzip -6 of the whole", target: ratioMost(1.5),
			parlor: float64(len(body)) / 1000, ceiling: float64(zipped(plain)) / 1000})
		queries, err := b.queries(ctx, func() error {
			for range queriedViews {
				if _, err := reader.page(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, alone(name, "queries per view", most(reader.queries), queries/queriedViews))
	}
	return out, nil
}

// pages reads the page again and again.
func (b *bench) pages(ctx context.Context, s subject, v *visitor) (sample, error) {
	before := s.cpu()
	l, err := drive(ctx, pageConnections, b.each, func(ctx context.Context, _ int) error {
		_, err := v.page(ctx)
		return err
	})
	return sample{l.perSecond(), milliseconds(quantile(l.took, 0.99)), microseconds(l.each(s.cpu() - before))}, err
}

// queriedViews is how many views the queries are counted of. What Parlor asks
// beside them, now and then, disappears among so many.
const queriedViews = 200

// queries counts what is asked of Postgres while something is done. NaN: this
// Postgres does not count.
func (b *bench) queries(ctx context.Context, do func() error) (float64, error) {
	if !b.counted {
		return math.NaN(), nil
	}
	conn, err := sql.Open("postgres", b.database)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	count := func() (n float64, err error) {
		err = conn.QueryRowContext(ctx, `select coalesce(sum(s.calls), 0) from pg_stat_statements s join pg_database d on d.oid = s.dbid
			where d.datname = current_database() and s.query !~* '^(begin|commit|rollback|listen)|pg_stat_statements'`).Scan(&n)
		return n, err
	}
	before, err := count()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := count()
	return after - before, err
}

// countQueries has a cluster count its queries, if it can: it must be started
// anew then.
func countQueries(ctx context.Context, database string) (counted bool, err error) {
	conn, err := sql.Open("postgres", database)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	err = conn.QueryRowContext(ctx, "select exists (select from pg_available_extensions where name = 'pg_stat_statements')").Scan(&counted)
	if err != nil || !counted {
		return false, err
	}
	for _, statement := range []string{
		"create extension pg_stat_statements",
		"alter system set shared_preload_libraries = pg_stat_statements",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return false, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return true, nil
}

// zipped is how many bytes gzip -6 makes of something.
func zipped(b []byte) int {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, 6)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = z.Write(b) // into memory
	_ = z.Close()
	return out.Len()
}

// page reads the room's page as it comes over the wire.
func (v *visitor) page(ctx context.Context) ([]byte, error) { return v.get(ctx, roomPath) }

// unpack undoes gzip.
func unpack(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// unzip is a page as it was before gzip, which must show messages.
func unzip(body []byte) ([]byte, error) {
	plain, err := unpack(body)
	if err == nil && !bytes.Contains(plain, []byte(`<article id="m-`)) {
		err = fmt.Errorf("the page shows no messages: %.300s", plain)
	}
	return plain, err
}

// keep tells the bare server what to serve at a path.
func (s subject) keep(ctx context.Context, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, _, err = s.stranger(1).do(req, http.StatusOK)
	return err
}

// furnish makes the room look lived in: a page of messages by five people, and
// twelve rooms beside it.
func (b *bench) furnish(ctx context.Context) error {
	people, err := b.parlor.guests(ctx, 5)
	if err != nil {
		return err
	}
	for i := range 12 {
		if _, err := people[0].makeRoom(ctx, fmt.Sprint("Room of bench ", i)); err != nil {
			return err
		}
	}
	for i := range 50 {
		if _, err := people[i/2%len(people)].say(ctx, typical(i)); err != nil {
			return err
		}
	}
	return nil
}

// typical is a message as people write them.
func typical(i int) string {
	texts := []string{
		"Good morning! Did anybody try the new build yet?",
		"I did, on the train. It holds the place where I was reading, even through the tunnels, which is more than I can say of what we had before.",
		"看起来不错，我今天下午再试一次。",
		"There is a note about it at https://example.org/notes/reading-place?page=2#cursor (the second part matters).",
		"Two things:\n\nfirst, `go test ./...` is green again,\nand then I would like to go home.",
		"ok",
		"```go\nfor range time.Tick(time.Second) {\n\tfmt.Println(\"still here\")\n}\n```",
		strings.Repeat("A longer thought needs a few sentences, and nobody minds. ", 6),
	}
	return texts[i%len(texts)]
}
