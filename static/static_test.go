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
	modules, err := filepath.Glob("*.js")
	if err != nil || len(modules) < 4 {
		t.Fatal(modules, err)
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
