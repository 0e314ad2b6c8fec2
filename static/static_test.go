package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
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
