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
	database := dbtest.New(t)
	cfg := app.DefaultConfig()
	cfg.Files = t.TempDir()
	if _, err := demo.Fill(context.Background(), cfg, database, time.Now()); err != nil {
		t.Fatal(err)
	}
	node := newNode(t, database)
	for _, who := range []struct {
		name string
		*visitor
		accepts string // as browsers say it over plain http, and over TLS
		most    int    // bytes as sent, without headers
		needs   []string
	}{
		{"somebody who looks", node.visitor(), "gzip, deflate", 38 << 10, []string{"parlor.", "look.", "datastar.", "favicon.", "icons."}},
		{"somebody with a name", node.guest("Ann"), "gzip, deflate, br, zstd", 44 << 10, []string{"parlor.", "members.", "datastar.", "favicon.", "icons.", "own.css"}},
	} {
		t.Run(who.name, func(t *testing.T) {
			who.Transport = &http.Transport{DisableCompression: true} // it would hide what was sent
			sent := func(path string) answer {
				a := who.get(path, "Accept-Encoding", who.accepts)
				if a.code != http.StatusOK {
					t.Fatalf("%s: %d", path, a.code)
				}
				return a
			}
			const room = "/rooms/opening-day"
			packed := sent(room).body
			page := unzip(t, packed)
			if n := strings.Count(page, "<article "); n != 50 {
				t.Fatalf("the page shows %d messages", n)
			}
			total := len(packed)
			var table bytes.Buffer
			row := func(path string, sent int) { fmt.Fprintf(&table, "\n%7d  %s", sent, path) }
			row(room, total)
			var paths []string
			for _, match := range linked.FindAllStringSubmatch(page, -1) {
				if !slices.Contains(paths, match[1]) {
					paths = append(paths, match[1])
				}
			}
			for _, kind := range who.needs {
				if !slices.ContainsFunc(paths, func(path string) bool { return strings.Contains(path, kind) }) {
					t.Errorf("no %s among %q", kind, paths)
				}
			}
			for _, path := range paths {
				n := len(sent(path).body)
				row(path, n)
				total += n
			}
			t.Logf("sent:%s\n%7d  in all, %d at most", &table, total, who.most)
			if total > who.most {
				t.Errorf("a first visit costs %d bytes, %d are allowed", total, who.most)
			}
		})
	}
}

func unzip(t *testing.T, packed string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}
