// Package static holds what the browser loads beside pages: the style sheet,
// our own small ES modules, icons, and the Datastar client. Each is embedded,
// compressed once at start, and served under a URL that carries a hash of its
// content, so that a browser asks for it once and never again.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
)

//go:generate go run ./fetch

// The Datastar client is not committed: go generate copies it here. Without
// it the program still builds, and Check says what to run.
//
//go:embed *.css *.js *.svg
var files embed.FS

// Prefix is where the server mounts Handler.
const Prefix = "/static/"

// Datastar is the name of the browser client.
const Datastar = "datastar.js"

type file struct {
	name, hash  string
	contentType string
	body, gzip  []byte
}

var load = sync.OnceValue(func() map[string]*file {
	all := make(map[string]*file)
	names, _ := fs.Glob(files, "*") // the pattern is right
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil || strings.HasSuffix(name, ".go") {
			continue
		}
		all[name] = newFile(name, body)
	}
	return all
})

func newFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{name: name, hash: hex.EncodeToString(sum[:5]), body: body, contentType: mime.TypeByExtension(path.Ext(name))}
	if path.Ext(name) == ".js" {
		f.contentType = "text/javascript; charset=utf-8" // whatever the machine's tables say
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = z.Write(body)                                  // a Buffer takes everything
	_ = z.Close()
	f.gzip = b.Bytes()
	return f
}

// URL is the address of a file with its hash: "parlor.css" becomes
// "/static/parlor.3f9a….css". An unknown name is a mistake in our own code
// and panics.
func URL(name string) string {
	f := load()[name]
	if f == nil {
		if name == Datastar { // Check refuses to start; tests of single pages may go on
			return Prefix + name
		}
		panic("static: no file " + name)
	}
	ext := path.Ext(name)
	return Prefix + strings.TrimSuffix(name, ext) + "." + f.hash + ext
}

// Check tells whether everything that pages need is there.
func Check() error {
	if load()[Datastar] == nil {
		return errors.New("the Datastar client is missing from this build: run `go generate ./...` (or `make run`) and build again")
	}
	return nil
}

// Handler serves the files. dev is a folder to read from at each request in
// place of what is embedded, or "": then a changed file is seen at a reload.
// missing answers for what is not there.
func Handler(dev string, missing http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, hash := split(strings.TrimPrefix(r.URL.Path, Prefix))
		f := load()[name]
		if f == nil {
			missing.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		if dev != "" {
			if body, err := os.ReadFile(path.Join(dev, name)); err == nil {
				f = newFile(name, body)
			}
			h.Set("Cache-Control", "no-cache")
		} else if hash != f.hash {
			// A page of another version asks: give it what there is, uncached.
			h.Set("Cache-Control", "no-cache")
		}
		h.Set("Content-Type", f.contentType)
		h.Set("Vary", "Accept-Encoding")
		body := f.body
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = f.gzip
		}
		h.Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // the browser went away: nothing to do
		}
	})
}

// split takes "parlor.3f9a….css" apart into "parlor.css" and the hash.
func split(hashed string) (name, hash string) {
	ext := path.Ext(hashed)
	base := strings.TrimSuffix(hashed, ext)
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		return base[:i] + ext, base[i+1:]
	}
	return hashed, ""
}
