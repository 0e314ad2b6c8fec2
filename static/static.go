// Package static holds what the browser loads beside pages: the style sheet,
// our own script, icons, and the Datastar client. Each is embedded, minified
// and compressed once at start, and served under a URL that carries a hash of
// its content, so that a browser asks for it once and never again.
//
// Many files are served as one: fewer requests, and fewer bytes. The style sheet
// is all files in styles; those in styles/members are another, for people with a
// name, and those in styles/pages one for pages beside rooms. The script is all
// our modules; who only looks gets it without those in members. A module sees its
// own names and those of the modules 0-…, no others', and runs on every live page,
// so it looks first whether there is anything to do.
package static

import (
	"bytes"
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
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
	"github.com/klauspost/compress/gzip"
)

//go:generate go run ./fetch

// The Datastar client is not committed: go generate copies it here. Without
// it the program still builds, and Check says what to run.
//
//go:embed styles members *.js *.svg
var files embed.FS

// Prefix is where the server mounts Handler.
const Prefix = "/static/"

// Datastar is the name of the browser client, Script that of our modules,
// LookScript that of those for who only looks, and Styles that of the style sheet.
// MemberStyles are for who has a name, PageStyles for the lobby, search, forms:
// pages beside rooms.
const (
	Datastar     = "datastar.js"
	Script       = "parlor.js"
	LookScript   = "look.js"
	Styles       = "parlor.css"
	MemberStyles = "members.css"
	PageStyles   = "pages.css"
)

type file struct {
	name, hash  string
	contentType string
	body, gzip  []byte
	brotli      func() []byte // a tenth smaller, slow to make, and only asked for over TLS
}

var load = sync.OnceValue(func() map[string]*file { return read(files) })

// read makes what is served of what is in a folder.
func read(from fs.FS) map[string]*file {
	all := make(map[string]*file)
	joined := make(map[string][]byte)
	add := func(part []byte, to ...string) {
		for _, name := range to {
			joined[name] = append(joined[name], part...)
		}
	}
	for _, pattern := range []string{"*.js", "members/*.js", "*.svg", "styles/*.css", "styles/pages/*.css", "styles/members/*.css"} {
		names, _ := fs.Glob(from, pattern) // the pattern is right
		for _, name := range names {
			body, err := fs.ReadFile(from, name)
			switch {
			case err != nil: // embedded files can be read; of a folder, one may be gone by now
			case path.Dir(name) == "styles":
				add(append(body, '\n'), Styles)
			case path.Dir(name) == "styles/members":
				add(append(body, '\n'), MemberStyles)
			case path.Dir(name) == "styles/pages":
				add(append(body, '\n'), PageStyles)
			case path.Dir(name) == "members":
				add(module(name, body), Script)
			case path.Ext(name) == ".js" && name != Datastar:
				add(module(name, body), Script, LookScript)
			default:
				all[name] = newFile(name, body)
			}
		}
	}
	for name, body := range joined {
		all[name] = newFile(name, body)
	}
	return all
}

// module is a module as a part of the script. Those named 0-… share what they
// declare with all that follow.
func module(name string, body []byte) []byte {
	if strings.HasPrefix(name, "0-") {
		return append(body, '\n')
	}
	return fmt.Appendf(nil, "{\n%s}\n", body)
}

// minified drops what is for people only: comments, white space and long names.
// What can't be read stays as it is, and the browser says what is wrong with it.
func minified(name string, body []byte) []byte {
	loaders := map[string]api.Loader{".css": api.LoaderCSS, ".js": api.LoaderJS}
	loader, ok := loaders[path.Ext(name)]
	if !ok || name == Datastar { // the client comes minified
		return body
	}
	small := api.Transform(string(body), api.TransformOptions{
		Loader: loader, Format: api.FormatESModule,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
	})
	if len(small.Errors) > 0 {
		return body
	}
	return small.Code
}

func newFile(name string, body []byte) *file {
	body = minified(name, body)
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
	f.brotli = sync.OnceValue(func() []byte {
		var b bytes.Buffer
		z := brotli.NewWriterLevel(&b, brotli.BestCompression)
		_, _ = z.Write(body)
		_ = z.Close()
		return b.Bytes()
	})
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
			if now := read(os.DirFS(dev))[name]; now != nil {
				f = now
			}
			h.Set("Cache-Control", "no-cache")
		} else if hash != f.hash {
			// A page of another version asks: give it what there is, uncached.
			h.Set("Cache-Control", "no-cache")
		}
		h.Set("Content-Type", f.contentType)
		h.Set("Vary", "Accept-Encoding")
		body := f.body
		switch {
		case dev == "" && Accepts(r, "br"):
			h.Set("Content-Encoding", "br")
			body = f.brotli()
		case Accepts(r, "gzip"):
			h.Set("Content-Encoding", "gzip")
			body = f.gzip
		}
		h.Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // the browser went away: nothing to do
		}
	})
}

// Accepts tells whether an answer to a request may come in a coding, as the
// request's Accept-Encoding says (RFC 9110, 12.5.3). Whoever says nothing gets
// things as they are.
func Accepts(r *http.Request, coding string) bool {
	for _, line := range r.Header["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			name, quality, weighted := strings.Cut(part, ";")
			if name = strings.TrimSpace(name); !strings.EqualFold(name, coding) {
				continue
			}
			if !weighted {
				return true
			}
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64)
			return err == nil && q > 0
		}
	}
	return false
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
