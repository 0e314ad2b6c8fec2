package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"parlor/app"
	"parlor/db/dbtest"
)

// part is a field of a form, or a file in it.
type part struct{ field, name, content string }

func multipartForm(t testing.TB, parts ...part) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, p := range parts {
		var w io.Writer
		var err error
		if p.name == "" {
			w, err = form.CreateFormField(p.field)
		} else {
			w, err = form.CreateFormFile(p.field, p.name)
		}
		if err == nil {
			_, err = io.WriteString(w, p.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), form.FormDataContentType()
}

// postParts posts a form as a browser without script does, or with headers as
// a program.
func (v *visitor) postParts(path string, parts []part, headers ...string) answer {
	v.s.t.Helper()
	body, contentType := multipartForm(v.s.t, parts...)
	return v.do(v.request(http.MethodPost, path, body, append([]string{"Content-Type", contentType}, headers...)...))
}

// upload is what the answer to an upload says.
type upload struct {
	ID            int64
	Name          string
	Size          int64
	Type          string
	Width, Height int
	Thumb, URL    string
}

func (v *visitor) upload(name, content string) upload {
	v.s.t.Helper()
	a := v.postParts("/rooms/parlor/files", []part{{"upload", name, content}}, "Accept", "application/json")
	var u upload
	if err := json.Unmarshal([]byte(a.body), &u); err != nil || a.code != http.StatusCreated {
		v.s.t.Fatalf("upload %.50s: %d %s", name, a.code, a.body)
	}
	return u
}

// send says something with files and returns its seq.
func (v *visitor) send(body string, files ...upload) int64 {
	v.s.t.Helper()
	fields := []string{"body", body, "nonce", uuid.NewString()}
	for _, f := range files {
		fields = append(fields, "file", fmt.Sprint(f.ID))
	}
	a := v.do(v.request(http.MethodPost, "/rooms/parlor/messages", form(fields...), "Accept", "application/json"))
	var said struct{ Seq int64 }
	if err := json.Unmarshal([]byte(a.body), &said); err != nil || a.code != http.StatusCreated {
		v.s.t.Fatalf("send %q: %d %s", body, a.code, a.body)
	}
	return said.Seq
}

func pngOf(t testing.TB, width, height int) string {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = 200
	}
	m.Set(0, 0, color.NRGBA{R: byte(width), G: byte(height), A: 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// folder makes a site with a folder of files that can be looked into.
func folder(t *testing.T, change ...func(*app.Config)) (*site, string) {
	dir := t.TempDir()
	return newSite(t, append([]func(*app.Config){func(c *app.Config) { c.Files = dir }}, change...)...), dir
}

// kept counts what is in the folder, the marker aside.
func kept(t *testing.T, dir string) (count int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "depot" {
			count++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func TestFileIsSentWithAMessageAndGoesWithIt(t *testing.T) {
	s, dir := folder(t)
	ann, looker := s.guest("Ann"), s.visitor()
	st := looker.stream("/rooms/parlor/stream?after=0")
	picture, notes := ann.upload("tea <1>.png", pngOf(t, 900, 300)), ann.upload("notes.html", "<!doctype html><script>alert(1)</script>")
	if picture.Type != "image/png" || picture.Width != 900 || picture.Height != 300 || picture.Thumb == "" || picture.Name != "tea _1_.png" {
		t.Errorf("%+v", picture)
	}
	if notes.Type != "text/html" || notes.Thumb != "" || notes.Size != 40 {
		t.Errorf("%+v", notes)
	}
	if a := looker.get(picture.URL); a.code != http.StatusNotFound {
		t.Errorf("a file that was not sent, to another: %d", a.code)
	}
	if a := ann.get(picture.Thumb); a.code != http.StatusOK {
		t.Errorf("a file that was not sent, to its owner: %d", a.code)
	}
	seq := ann.send("", picture, notes)
	event := st.until(`alt="tea _1_.png"`)
	for _, want := range []string{`width="360" height="120"`, `src="` + picture.Thumb + `"`, `href="` + picture.URL + `"`, `download="notes.html"`} {
		if !strings.Contains(event, want) {
			t.Errorf("no %s in %s", want, event)
		}
	}
	if strings.Contains(event, `class="body"`) {
		t.Errorf("a message without words has a text: %s", event)
	}
	contains(t, looker.get("/rooms/parlor"), 200, `alt="tea _1_.png"`)
	if a := looker.get(picture.URL); a.code != 200 || a.header.Get("Content-Type") != "image/png" || a.header.Get("Content-Disposition") != `inline; filename="tea _1_.png"` {
		t.Errorf("%d %v", a.code, a.header)
	}
	if a := looker.get(picture.Thumb); a.code != 200 || a.header.Get("Content-Type") != "image/png" && a.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d %v", a.code, a.header)
	}
	if kept(t, dir) != 3 { // and the small picture
		t.Errorf("%d files are kept", kept(t, dir))
	}
	if a := ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", seq)); a.code != http.StatusSeeOther {
		t.Fatalf("%d %s", a.code, a.body)
	}
	for _, u := range []string{picture.URL, picture.Thumb, notes.URL} {
		if a := ann.get(u); a.code != http.StatusNotFound || !strings.Contains(a.body, "no such file") {
			t.Errorf("%s of a deleted message: %d", u, a.code)
		}
	}
	eventually(t, "removed from the folder", func() bool { return kept(t, dir) == 0 })
}

func TestFilesAreServedWithoutAnyRights(t *testing.T) {
	s, _ := folder(t)
	ann := s.guest("Ann")
	for _, test := range []struct{ name, content, contentType, disposition string }{
		{"page.png", "<!doctype html><script>alert(1)</script>", "application/octet-stream", `attachment; filename=page.png`},
		{"茶.svg", `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "application/octet-stream", "attachment; filename*=utf-8''%E8%8C%B6.svg"},
		{"run.jpg", "MZ" + strings.Repeat("\x00", 200), "application/octet-stream", "attachment; filename=run.jpg"},
		{"paper.pdf", "%PDF-1.7\n", "application/octet-stream", "attachment; filename=paper.pdf"},
		{"a\"; x=\"y.gif", pngOf(t, 5, 5), "image/png", `inline; filename="a_; x=_y.gif.png"`},
		{"said %22so%22.txt", "just text", "application/octet-stream", `attachment; filename="said _so_.txt"`},
		{"thumb", "just text", "application/octet-stream", "attachment; filename=thumb"},
		{strings.Repeat("名", 4000) + ".txt", "just text", "application/octet-stream", ""},
	} {
		u := ann.upload(test.name, test.content)
		ann.send("", u)
		a := ann.get(u.URL)
		h := a.header
		if a.code != 200 || a.body != test.content || h.Get("Content-Type") != test.contentType ||
			test.disposition != "" && h.Get("Content-Disposition") != test.disposition ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; ") || !strings.HasSuffix(h.Get("Content-Security-Policy"), "; sandbox") || strings.Contains(h.Get("Content-Security-Policy"), "script") ||
			h.Get("Cross-Origin-Resource-Policy") != "same-origin" || !strings.HasPrefix(h.Get("Cache-Control"), "private") || h.Get("Content-Encoding") != "" {
			t.Errorf("%.30s: %d %d bytes %v", test.name, a.code, len(a.body), h)
		}
		if len(u.URL) > 1000 {
			t.Errorf("the address has %d bytes", len(u.URL))
		}
	}
}

func TestPartsOfAFileAreServed(t *testing.T) {
	s, _ := folder(t)
	ann := s.guest("Ann")
	u := ann.upload("digits.txt", "0123456789")
	ann.send("", u)
	if a := ann.get(u.URL, "Range", "bytes=2-4"); a.code != http.StatusPartialContent || a.body != "234" || a.header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%d %q %v", a.code, a.body, a.header)
	}
	if a := ann.get(u.URL, "Range", "bytes=50-"); a.code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("beyond the end: %d", a.code)
	}
	tag := ann.get(u.URL).header.Get("ETag")
	if a := ann.get(u.URL, "If-None-Match", tag); tag == "" || a.code != http.StatusNotModified || a.body != "" {
		t.Errorf("the same again: %d", a.code)
	}
	if a := ann.do(ann.request(http.MethodHead, u.URL, "")); a.code != 200 || a.header.Get("Content-Length") != "10" {
		t.Errorf("HEAD: %d %v", a.code, a.header)
	}
}

func TestFileIsFoundInItsRoomOnly(t *testing.T) {
	s, _ := folder(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	if a := ann.post("/rooms", "name", "Tea"); a.code != http.StatusSeeOther {
		t.Fatal(a.code)
	}
	u := ann.upload("notes.txt", "x")
	waiting := ann.upload("later.txt", "y")
	ann.send("", u)
	for _, path := range []string{
		strings.Replace(u.URL, "/parlor/", "/tea/", 1), strings.Replace(u.URL, "/parlor/", "/nowhere/", 1),
		"/rooms/parlor/files/0/x", "/rooms/parlor/files/-1/x", "/rooms/parlor/files/abc/x", "/rooms/parlor/files/99999999999999999999/x",
		"/rooms/parlor/files/../../../depot/x", fmt.Sprintf("/rooms/parlor/thumbs/%d", u.ID), "/rooms/parlor/thumbs/x", waiting.URL,
	} {
		if a := bob.get(path); a.code < 300 || a.code >= 500 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	// Another can't remove what waits, nor send it.
	remove := func(v *visitor, id int64) answer {
		return v.do(v.request(http.MethodPost, fmt.Sprintf("/rooms/parlor/files/%d/delete", id), "", "Accept", "application/json"))
	}
	contains(t, remove(bob, waiting.ID), http.StatusNotFound, "no-such-file")
	if a := bob.do(bob.request(http.MethodPost, "/rooms/parlor/messages", form("body", "mine", "nonce", uuid.NewString(), "file", fmt.Sprint(waiting.ID)), "Accept", "application/json")); a.code != http.StatusConflict || !strings.Contains(a.body, "file-gone") {
		t.Errorf("%d %s", a.code, a.body)
	}
	if a := ann.get(waiting.URL); a.code != 200 {
		t.Errorf("%d", a.code)
	}
	// Sent ones stay with their message, whoever wants to remove them.
	contains(t, remove(bob, u.ID), http.StatusNotFound, "no-such-file")
	contains(t, remove(ann, u.ID), http.StatusConflict, "file-sent")
	contains(t, ann.post(fmt.Sprintf("/rooms/parlor/files/%d/delete", u.ID), "body", "half a <thought>"), http.StatusConflict, "sent already", "half a &lt;thought&gt;")
	contains(t, ann.get(u.URL), 200)
	for range 2 { // again is as it was wished to be
		if a := remove(ann, waiting.ID); a.code != http.StatusNoContent {
			t.Errorf("%d %s", a.code, a.body)
		}
	}
	if a := ann.get(waiting.URL); a.code != http.StatusNotFound {
		t.Errorf("removed, and still there: %d", a.code)
	}
}

func TestRefusedUploadsSayWhyAndLeaveNothing(t *testing.T) {
	s, dir := folder(t, func(c *app.Config) { c.FileBytes = 2 << 20; c.FileBytesPerDay = 3 << 20; c.FilesPerMessage = 2 })
	ann, looker := s.guest("Ann"), s.visitor()
	json := []string{"Accept", "application/json"}
	upload := func(v *visitor, path string, parts ...part) answer { return v.postParts(path, parts, json...) }
	big := strings.Repeat("x", 2<<20+1)
	for name, test := range map[string]struct {
		got  answer
		code int
		says string
	}{
		"too large":    {upload(ann, "/rooms/parlor/files", part{"upload", "x", big}), 413, "2 MB at most"},
		"empty":        {upload(ann, "/rooms/parlor/files", part{"upload", "x", ""}), 422, "nothing in that file"},
		"none":         {upload(ann, "/rooms/parlor/files", part{"body", "", "x"}), 422, "nothing in that file"},
		"two":          {upload(ann, "/rooms/parlor/files", part{"upload", "x", "x"}, part{"upload", "y", "y"}), 400, "form"},
		"no room":      {upload(ann, "/rooms/nowhere/files", part{"upload", "x", "x"}), 404, "no such room"},
		"no nickname":  {upload(looker, "/rooms/parlor/files", part{"upload", "x", "x"}), 401, "nickname"},
		"no form":      {ann.do(ann.request(http.MethodPost, "/rooms/parlor/files", "x", json...)), 400, "form"},
		"broken form":  {ann.do(ann.request(http.MethodPost, "/rooms/parlor/files", "x", append(json, "Content-Type", "multipart/form-data; boundary=a")...)), 400, "form"},
		"cut":          {ann.do(ann.request(http.MethodPost, "/rooms/parlor/files", "--a\r\nContent-Disposition: form-data; name=upload; filename=x\r\n\r\nhalf", append(json, "Content-Type", "multipart/form-data; boundary=a")...)), 400, "did not arrive whole"},
		"nameless":     {ann.do(ann.request(http.MethodPost, "/rooms/parlor/files", "x", append(json, "Content-Type", "multipart/form-data")...)), 400, "form"},
		"other sender": {upload(ann, "/rooms/parlor/files", part{"upload", "x", "x"}), 201, `"id"`}, // the two above count for nothing
	} {
		if test.got.code != test.code || !strings.Contains(strings.ToLower(test.got.body), strings.ToLower(test.says)) {
			t.Errorf("%s: %d %s", name, test.got.code, test.got.body)
		}
	}
	eventually(t, "cleared", func() bool { return kept(t, dir) <= 2 }) // "two" kept its first, which waits
	if a := upload(ann, "/rooms/parlor/files", part{"upload", "x", big[:2<<20]}); a.code != 201 {
		t.Errorf("as large as can be: %d %s", a.code, a.body)
	}
	a := upload(ann, "/rooms/parlor/files", part{"upload", "y", big[:2<<20]})
	if a.code != http.StatusTooManyRequests || !strings.Contains(a.body, "3 MB a day") || a.header.Get("Retry-After") == "" {
		t.Errorf("beyond the day: %d %s", a.code, a.body)
	}
	if a := s.guest("Bob").postParts("/rooms/parlor/files", []part{{"upload", "x", "x"}}, json...); a.code != 201 {
		t.Errorf("somebody else: %d %s", a.code, a.body)
	}
}

func TestAbortedUploadLeavesNothing(t *testing.T) {
	s, dir := folder(t)
	ann := s.guest("Ann")
	half, send := io.Pipe()
	req := ann.request(http.MethodPost, "/rooms/parlor/files", "", "Content-Type", "multipart/form-data; boundary=a", "Accept", "application/json")
	req.Body, req.ContentLength = half, -1
	done := make(chan error)
	go func() {
		_, err := ann.Do(req)
		done <- err
	}()
	_, _ = io.WriteString(send, "--a\r\nContent-Disposition: form-data; name=upload; filename=x\r\n\r\n"+strings.Repeat("x", 1<<16))
	eventually(t, "coming in", func() bool { return kept(t, dir) == 1 })
	_ = send.CloseWithError(fmt.Errorf("the tab is closed"))
	if err := <-done; err == nil {
		t.Error("an aborted upload was answered")
	}
	eventually(t, "cleared", func() bool { return kept(t, dir) == 0 })
}

func TestOnePersonsUploadsAtOnceAreBounded(t *testing.T) {
	s, dir := folder(t)
	ann := s.guest("Ann")
	var senders []*io.PipeWriter
	for range 4 {
		half, send := io.Pipe()
		senders = append(senders, send)
		req := ann.request(http.MethodPost, "/rooms/parlor/files", "", "Content-Type", "multipart/form-data; boundary=a")
		req.Body, req.ContentLength = half, -1
		go func() {
			if resp, err := ann.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		_, _ = io.WriteString(send, "--a\r\nContent-Disposition: form-data; name=upload; filename=x\r\n\r\n"+strings.Repeat("x", 1<<13))
	}
	eventually(t, "coming in", func() bool { return kept(t, dir) == 4 })
	a := ann.postParts("/rooms/parlor/files", []part{{"upload", "x", "x"}}, "Accept", "application/json")
	if a.code != http.StatusTooManyRequests || !strings.Contains(a.body, "files-at-once") {
		t.Errorf("%d %s", a.code, a.body)
	}
	for _, send := range senders {
		_ = send.Close()
	}
	eventually(t, "ended", func() bool { return kept(t, dir) == 0 })
	eventually(t, "taken again", func() bool {
		return ann.postParts("/rooms/parlor/files", []part{{"upload", "x", "x"}}, "Accept", "application/json").code == 201
	})
}

func TestWithoutScriptFilesAreSentWithTheForm(t *testing.T) {
	s, _ := folder(t, func(c *app.Config) { c.FileBytes = 1 << 20; c.FilesPerMessage = 3 })
	ann := s.guest("Ann")
	page := ann.get("/rooms/parlor")
	contains(t, page, 200, `enctype="multipart/form-data"`, `type="file" name="upload" multiple`)
	nonce := regexp.MustCompile(`name="nonce" value="([^"]+)"`).FindStringSubmatch(page.body)[1]
	a := ann.postParts("/rooms/parlor/messages", []part{
		{"nonce", "", nonce}, {"upload", "one.txt", "1"}, {"upload", "two.png", pngOf(t, 30, 20)}, {"body", "", "two files\r\nhere"},
	})
	if a.code != http.StatusSeeOther {
		t.Fatalf("%d %s", a.code, a.body)
	}
	contains(t, ann.get("/rooms/parlor"), 200, "two files", `download="one.txt"`, `width="40" height="40"`)

	// One is too large: nothing that was written is lost, and what arrived stays.
	big := strings.Repeat("x", 1<<20+1)
	a = ann.postParts("/rooms/parlor/messages", []part{
		{"nonce", "", uuid.NewString()}, {"upload", "small.txt", "s"}, {"upload", "big.txt", big}, {"body", "", "my long <words>"},
	})
	contains(t, a, http.StatusRequestEntityTooLarge, "1 MB at most", "my long &lt;words&gt;</textarea>", "small.txt", `name="file" value="`)
	id := regexp.MustCompile(`name="file" value="(\d+)"`).FindStringSubmatch(a.body)[1]
	// Removed without script, the text stays.
	contains(t, ann.postParts("/rooms/parlor/files/"+id+"/delete", []part{{"nonce", "", uuid.NewString()}, {"file", "", id}, {"body", "", "my long <words>"}}),
		200, "my long &lt;words&gt;</textarea>")
	// What is gone can't be sent.
	a = ann.postParts("/rooms/parlor/messages", []part{{"nonce", "", uuid.NewString()}, {"file", "", id}, {"body", "", "my words"}})
	contains(t, a, http.StatusConflict, "not there any more", "my words</textarea>")
	// Too many of them.
	a = ann.postParts("/rooms/parlor/messages", []part{
		{"nonce", "", uuid.NewString()}, {"body", "", "four"}, {"upload", "1", "1"}, {"upload", "2", "2"}, {"upload", "3", "3"}, {"upload", "4", "4"},
	})
	contains(t, a, http.StatusUnprocessableEntity, "3 at most", "four</textarea>")
	// Neither words nor files.
	a = ann.postParts("/rooms/parlor/messages", []part{{"nonce", "", uuid.NewString()}, {"body", "", " "}})
	if a.code != http.StatusUnprocessableEntity {
		t.Errorf("nothing at all: %d", a.code)
	}
	// Signed out meanwhile: the text is there.
	a = s.visitor().postParts("/rooms/parlor/messages", []part{{"nonce", "", uuid.NewString()}, {"body", "", "my words"}, {"upload", "x", "x"}})
	contains(t, a, http.StatusUnauthorized, "my words")
}

func TestRepeatedPostWithFilesIsStoredOnce(t *testing.T) {
	s, _ := folder(t)
	ann := s.guest("Ann")
	u := ann.upload("x.txt", "x")
	fields := form("body", "", "nonce", uuid.NewString(), "file", fmt.Sprint(u.ID))
	first := ann.do(ann.request(http.MethodPost, "/rooms/parlor/messages", fields, "Accept", "application/json"))
	again := ann.do(ann.request(http.MethodPost, "/rooms/parlor/messages", fields, "Accept", "application/json"))
	if first.code != 201 || again.code != 201 || first.body != again.body {
		t.Errorf("%d %s, %d %s", first.code, first.body, again.code, again.body)
	}
}

func TestHugeRequestsAreRefused(t *testing.T) {
	s, dir := folder(t, func(c *app.Config) { c.FileBytes = 1 << 10 })
	ann := s.guest("Ann")
	for path, parts := range map[string][]part{
		"/rooms/parlor/messages": {{"body", "", "x"}, {"upload", "x", strings.Repeat("x", 1<<20)}},
		"/rooms/parlor/typing":   {{"upload", "x", strings.Repeat("x", 1<<20)}}, // takes no files at all
	} {
		if a := ann.postParts(path, parts, "Accept", "application/json"); a.code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
	// Of a large request that may bring files only they may be large: what else
	// is in it is held in memory.
	text := []part{{"body", "", strings.Repeat("x", 1<<20)}}
	roomy, _ := folder(t)
	bob := roomy.guest("Bob")
	for _, path := range []string{"/rooms/parlor/messages", "/rooms/parlor/files"} {
		if a := bob.postParts(path, text, "Accept", "application/json"); a.code != http.StatusRequestEntityTooLarge {
			t.Errorf("much text to %s: %d %s", path, a.code, a.body)
		}
	}
	var many []part
	for range 300 {
		many = append(many, part{"file", "", "1"})
	}
	if a := ann.postParts("/rooms/parlor/messages", many); a.code != http.StatusBadRequest {
		t.Errorf("300 fields: %d", a.code)
	}
	if kept(t, dir) != 0 {
		t.Error("something was kept")
	}
}

func TestNodeWithAnotherFolderTakesNoFiles(t *testing.T) {
	database := dbtest.New(t)
	one, two := t.TempDir(), t.TempDir()
	first := newNode(t, database, func(c *app.Config) { c.Files = one })
	same := newNode(t, database, func(c *app.Config) { c.Files = one })
	other := newNode(t, database, func(c *app.Config) { c.Files = two })
	none := newNode(t, database, func(c *app.Config) { c.Files = "" })
	ann := first.guest("Ann")
	u := ann.upload("x.txt", "x")
	ann.send("", u)
	if a := same.visitor().get(u.URL); a.code != 200 || a.body != "x" {
		t.Errorf("at another node: %d", a.code)
	}
	for name, s := range map[string]*site{"another folder": other, "no folder": none} {
		bob := s.guest("Bob " + name[:2])
		a := bob.postParts("/rooms/parlor/files", []part{{"upload", "x", "x"}}, "Accept", "application/json")
		if a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "Messages can") {
			t.Errorf("%s: %d %s", name, a.code, a.body)
		}
		if a := bob.get(u.URL); a.code != http.StatusNotFound && a.code != http.StatusServiceUnavailable {
			t.Errorf("%s: what is not there: %d", name, a.code)
		}
	}
	// Where the bytes are there nevertheless, they are served.
	if err := os.CopyFS(filepath.Join(two, "copy"), os.DirFS(one)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(two, "copy", "2d"), filepath.Join(two, "2d")); err != nil { // SHA-256 of "x" begins with 2d71
		t.Fatal(err)
	}
	if a := other.visitor().get(u.URL); a.code != 200 {
		t.Errorf("what is there is served: %d", a.code)
	}
}
