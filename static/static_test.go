package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"parlor/static"
)

func TestHashedFilesAreImmutableAndCompressed(t *testing.T) {
	url := static.URL("parlor.css")
	req := httptest.NewRequest("GET", url, nil)
	req.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	static.Handler("", http.NotFoundHandler()).ServeHTTP(w, req)
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewRecorder()
	static.Handler("", http.NotFoundHandler()).ServeHTTP(plain, httptest.NewRequest("GET", url, nil))
	if plain.Body.String() != string(compressed) || plain.Header().Get("Content-Encoding") != "" {
		t.Fatal("the two differ")
	}
}

// Browsers take Brotli over TLS only; it is a tenth smaller.
func TestWhoTakesBrotliGetsIt(t *testing.T) {
	for _, name := range []string{static.Styles, static.MemberStyles, static.PageStyles, static.Script, static.LookScript} {
		body := make(map[string]string)
		for _, accepted := range []string{"", "gzip, deflate", "gzip, deflate, br"} {
			req := httptest.NewRequest("GET", static.URL(name), nil)
			req.Header.Set("Accept-Encoding", accepted)
			w := httptest.NewRecorder()
			static.Handler("", http.NotFoundHandler()).ServeHTTP(w, req)
			body[w.Header().Get("Content-Encoding")] = w.Body.String()
		}
		plain, err := io.ReadAll(brotli.NewReader(strings.NewReader(body["br"])))
		if err != nil || string(plain) != body[""] || len(plain) == 0 {
			t.Errorf("%s: %d bytes, and %d by way of Brotli, %v", name, len(body[""]), len(plain), err)
		}
		if len(body["br"]) >= len(body["gzip"]) {
			t.Errorf("%s: %d bytes of Brotli, %d of gzip", name, len(body["br"]), len(body["gzip"]))
		}
	}
}

func TestAnotherVersionsHashIsNotKept(t *testing.T) {
	w := httptest.NewRecorder()
	static.Handler("", http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/static/parlor.0000000000.css", nil))
	if w.Code != 200 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
}

func TestUnknownFilesAreNotThere(t *testing.T) {
	for _, path := range []string{"/static/nothing.js", "/static/", "/static/../db/db.go", "/static/static.go"} {
		w := httptest.NewRecorder()
		static.Handler("", http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestTheDatastarClientIsThere(t *testing.T) {
	if err := static.Check(); err != nil {
		t.Fatal(err)
	}
}

// Our own JavaScript is the last resort, and stays small.
func TestOurOwnScriptIsSmall(t *testing.T) {
	const most = 6144 // bytes as served, before compression
	w := httptest.NewRecorder()
	static.Handler("", http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", static.URL(static.Script), nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	t.Logf("%d of %d bytes", w.Body.Len(), most)
	if w.Body.Len() > most {
		t.Errorf("our script has %d bytes, %d are allowed", w.Body.Len(), most)
	}
	for _, want := range []string{"sessionStorage", "MutationObserver", "Intl"} { // it is all there
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the script lacks %s", want)
		}
	}
}

// A module begins by saying what it is for.
func TestEveryModuleIsDocumented(t *testing.T) {
	modules, _ := filepath.Glob("*.js") // the patterns are right
	more, _ := filepath.Glob("members/*.js")
	if modules = append(modules, more...); len(modules) < 6 {
		t.Fatal(modules)
	}
	for _, name := range modules {
		if name == static.Datastar {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var words int
		for line := range strings.Lines(string(source)) {
			comment, ok := strings.CutPrefix(line, "// ")
			if !ok {
				break
			}
			words += len(strings.Fields(comment))
		}
		if words < 10 {
			t.Errorf("%s begins with %d words of comment", name, words)
		}
	}
}
