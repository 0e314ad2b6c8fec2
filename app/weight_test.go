package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/app"
	"parlor/app/demo"
	"parlor/db/dbtest"
)

var linked = regexp.MustCompile(`(?:<link [^>]*href|<script [^>]*src|<use href)="([^"#]+)`)

// A first visit to a room with a full page of messages costs little, pictures
// in it aside: the page, and all style sheets, scripts and icons that it names.
func TestAFirstVisitIsLight(t *testing.T) {
	const most = 40 << 10 // bytes as sent, without headers
	database := dbtest.New(t)
	cfg := app.DefaultConfig()
	cfg.Files = t.TempDir()
	if _, err := demo.Fill(context.Background(), cfg, database, time.Now()); err != nil {
		t.Fatal(err)
	}
	v := newNode(t, database).visitor()
	v.Transport = &http.Transport{DisableCompression: true} // it would hide what was sent

	sent := func(path string) (bytesSent int, body string) {
		a := v.get(path, "Accept-Encoding", "gzip")
		if a.code != http.StatusOK {
			t.Fatalf("%s: %d", path, a.code)
		}
		body = a.body
		if a.header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(a.body))
			if err != nil {
				t.Fatal(path, err)
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(path, err)
			}
			body = string(plain)
		}
		return len(a.body), body
	}
	const room = "/rooms/opening-day"
	total, page := sent(room)
	if n := strings.Count(page, "<article "); n != 50 {
		t.Fatalf("the page shows %d messages", n)
	}
	var table bytes.Buffer
	row := func(path string, sent, plain int) { fmt.Fprintf(&table, "\n%7d  of %7d  %s", sent, plain, path) }
	row(room, total, len(page))
	var paths []string
	for _, match := range linked.FindAllStringSubmatch(page, -1) {
		if !slices.Contains(paths, match[1]) {
			paths = append(paths, match[1])
		}
	}
	for _, kind := range []string{"parlor.", "datastar.", "favicon.", "icons."} {
		if !slices.ContainsFunc(paths, func(path string) bool { return strings.Contains(path, kind) }) {
			t.Errorf("no %s among %q", kind, paths)
		}
	}
	for _, path := range paths {
		n, body := sent(path)
		row(path, n, len(body))
		total += n
	}
	t.Logf("sent, of so much before compression:%s\n%7d  in all, %d at most", &table, total, most)
	if total > most {
		t.Errorf("a first visit costs %d bytes, %d are allowed", total, most)
	}
}
