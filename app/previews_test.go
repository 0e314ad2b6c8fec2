package app_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"parlor/app"
	"parlor/db/dbtest"
)

// reachLoopback lets a server of the test look at pages of the test, and turns
// nothing else off.
func reachLoopback(c *app.Config) {
	c.PreviewReach = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// web is a site that people link to. Its paths are titles.
type web struct {
	*httptest.Server
	asked atomic.Int32 // for pages
}

func newWeb(t *testing.T) *web {
	t.Helper()
	w := &web{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/picture.png" {
			rw.Header().Set("Content-Type", "image/png")
			var b bytes.Buffer
			_ = png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 800, 400)))
			_, _ = rw.Write(b.Bytes())
			return
		}
		w.asked.Add(1)
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<title>Title of %s</title><meta name=description content="<script>alert(1)</script>&#13;event: x"><meta property=og:image content=/picture.png>`, strings.TrimPrefix(r.URL.Path, "/"))
	}))
	t.Cleanup(w.Close)
	return w
}

func TestPreviewComesToEverybodyAndGoesWithTheLink(t *testing.T) {
	s, web := newSite(t, reachLoopback), newWeb(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	st := bob.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	seq := ann.say("parlor", "look: "+web.URL+"/first and `"+web.URL+"/code` and "+web.URL+"/first#again")
	got := st.until("Title of first")
	// On a busy machine it may come with the message itself, which is appended.
	for _, want := range []string{fmt.Sprintf("#m-%d", seq), `width="400" height="200"`, `alt=""`, "&lt;script&gt;"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if strings.Contains(got, web.URL+"/picture") || strings.Contains(got, "Title of code") {
		t.Errorf("%s", got)
	}
	page := bob.get("/rooms/parlor")
	contains(t, page, 200, "Title of first")
	_, address, _ := strings.Cut(page.body, `<img src="`)
	address, _, _ = strings.Cut(address, `"`)
	address = strings.ReplaceAll(address, "&amp;", "&")
	picture := s.visitor().get(address)
	if picture.code != 200 || picture.header.Get("Content-Type") != "image/png" || picture.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(picture.header.Get("Cache-Control"), "immutable") || !strings.Contains(picture.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d %v", picture.code, picture.header)
	}
	for _, path := range []string{strings.Split(address, "?")[0], strings.Split(address, "?")[0] + "?v=0123456789abcdef", "/previews/99/image?v=x", "/previews/x/image"} {
		if a := s.visitor().get(path); a.code != 404 {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	// An edit that has the link no more takes the preview along; what comes
	// instead is looked up, too.
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d", seq), "body", "look: "+web.URL+"/second")
	if got := st.until("/second"); strings.Contains(got, "Title of first") {
		t.Errorf("%s", got)
	}
	st.until("Title of second")
	// It is known already.
	asked := web.asked.Load()
	ann.say("parlor", web.URL+"/second")
	st.until("Title of second")
	if n := web.asked.Load(); n != asked {
		t.Errorf("asked %d times more", n-asked)
	}
	ann.post(fmt.Sprintf("/rooms/parlor/messages/%d/delete", seq))
	st.until("tombstone")
	if a := bob.get(fmt.Sprintf("/rooms/parlor/messages/%d", seq)); strings.Count(a.body, "Title of second") != 1 {
		t.Error("a deleted message shows a preview")
	}
}

func TestOnlyTheAuthorRemovesAPreview(t *testing.T) {
	s, web := newSite(t, reachLoopback), newWeb(t)
	ann, bob := s.guest("Ann"), s.guest("Bob")
	st := bob.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	seq := ann.say("parlor", web.URL+"/page")
	st.until("Title of page")
	menu := fmt.Sprintf("/rooms/parlor/messages/%d/menu", seq)
	remove := fmt.Sprintf("/rooms/parlor/messages/%d/previews/1/remove", seq)
	contains(t, ann.get(menu), 200, remove)
	if a := bob.get(menu); strings.Contains(a.body, remove) {
		t.Error("offered to another")
	}
	contains(t, bob.post(remove), 403)
	contains(t, s.visitor().post(remove), 401)
	if a := ann.post(remove); a.code != 303 {
		t.Fatal(a.code)
	}
	if got := st.until(fmt.Sprintf("selector #m-%d", seq)); strings.Contains(got, "Title of page") {
		t.Error(got)
	}
	if a := ann.get("/rooms/parlor"); strings.Contains(a.body, "Title of page") {
		t.Error("it is still there")
	}
}

// What must not be looked up is not; the message that comes after it is, so
// that the test knows when it has been passed over.
func TestPreviewsAreNotOfEverything(t *testing.T) {
	web := newWeb(t)
	t.Run("off", func(t *testing.T) {
		s := newSite(t, reachLoopback, func(c *app.Config) { c.Previews = false })
		ann := s.guest("Ann")
		ann.say("parlor", web.URL+"/off")
		var rows int
		if err := s.store.DB.Get(&rows, `select count(*) from previews`); err != nil || rows != 0 || web.asked.Load() != 0 {
			t.Error(rows, err, web.asked.Load())
		}
		ann.post("/rooms", "name", "Garden")
		if a := ann.get("/rooms/garden/settings"); strings.Contains(a.body, `name="previews"`) {
			t.Error("offered where nothing is looked up")
		}
	})
	t.Run("off in a room", func(t *testing.T) {
		s := newSite(t, reachLoopback)
		ann := s.guest("Ann")
		ann.post("/rooms", "name", "Garden")
		contains(t, ann.get("/rooms/garden/settings"), 200, `name="previews" value="on" checked`)
		if a := ann.post("/rooms/garden", "name", "Garden", "topic", "", "previews", "off"); a.code != 303 {
			t.Fatal(a.code)
		}
		if a := ann.get("/rooms/garden/settings"); strings.Contains(a.body, `value="on" checked`) {
			t.Error("it is still on")
		}
		ann.post("/rooms/garden", "name", "Garden", "topic", "new") // a form without the box
		st := ann.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
		ann.say("garden", web.URL+"/not-here")
		ann.say("parlor", web.URL+"/here")
		st.until("Title of here")
		var urls []string
		if err := s.store.DB.Select(&urls, `select url from previews`); err != nil || len(urls) != 1 {
			t.Error(urls, err)
		}
		if a := ann.post("/rooms/garden", "name", "Garden", "previews", "off", "previews", "on"); a.code != 303 {
			t.Fatal(a.code)
		}
		contains(t, ann.get("/rooms/garden/settings"), 200, `value="on" checked`)
	})
	t.Run("own pages", func(t *testing.T) {
		s := newSite(t, reachLoopback, func(c *app.Config) { c.PublicURL, _ = url.Parse("http://public.test") })
		ann := s.guest("Ann")
		st := ann.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
		ann.say("parlor", s.web.URL+"/rooms/parlor, http://public.test/rooms/parlor, "+web.URL+"/foreign")
		st.until("Title of foreign")
		var urls []string
		if err := s.store.DB.Select(&urls, `select url from previews`); err != nil || len(urls) != 1 {
			t.Error(urls, err)
		}
	})
	t.Run("inner places", func(t *testing.T) {
		s := newSite(t) // nothing but the open web
		ann := s.guest("Ann")
		ann.say("parlor", "http://169.254.169.254/latest and "+web.URL+"/x")
		ann.say("parlor", "http://10.0.0.1/ http://127.0.0.1/ http://192.168.1.1/ http://user:pass@example.org/")
		var urls []string
		for range 1000 {
			urls = urls[:0]
			if err := s.store.DB.Select(&urls, `select url from previews where fetched_at is not null order by 1`); err != nil {
				t.Fatal(err)
			}
			if len(urls) == 4 {
				break
			}
			var pending int // a moment's wait, on the database
			_ = s.store.DB.Get(&pending, `select 1 from pg_sleep(0.02)`)
		}
		var failed int
		if err := s.store.DB.Get(&failed, `select count(*) from previews where failed`); err != nil || failed != 4 || len(urls) != 4 {
			t.Error(urls, failed, err)
		}
	})
}

// A node that ended in the middle leaves its work; the next one takes it up.
func TestPreviewsSurviveARestart(t *testing.T) {
	database, web := dbtest.New(t), newWeb(t)
	first := newNode(t, database, reachLoopback, func(c *app.Config) { c.Previews = false })
	ann := first.guest("Ann")
	seq := ann.say("parlor", web.URL+"/left")
	if _, err := first.store.WantPreviews(t.Context(), 1, seq, []string{web.URL + "/left"}); err != nil {
		t.Fatal(err)
	}
	second := newNode(t, database, reachLoopback)
	st := second.visitor().stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	st.until("Title of left")
}

// Two nodes that hear of the same link ask once.
func TestTwoNodesAskOnce(t *testing.T) {
	database, web := dbtest.New(t), newWeb(t)
	a, b := newNode(t, database, reachLoopback), newNode(t, database, reachLoopback)
	ann, bob := a.guest("Ann"), b.guest("Bob")
	sa := ann.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	sb := bob.stream("/rooms/parlor/stream?after=0", "Accept", "text/event-stream")
	one, two := ann.say("parlor", web.URL+"/shared"), bob.say("parlor", web.URL+"/shared")
	for _, st := range []*stream{sa, sb} {
		for seen := map[int64]bool{}; len(seen) < 2; {
			event := st.until("Title of shared")
			for _, seq := range []int64{one, two} {
				if strings.Contains(event, fmt.Sprintf(`id="m-%d"`, seq)) {
					seen[seq] = true
				}
			}
		}
	}
	if n := web.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
