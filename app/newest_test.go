package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/pieces"
	"parlor/db"
	"parlor/db/dbtest"
	"parlor/views"
)

// newHouse is a server of this test, and some people who came in.
func newHouse(t testing.TB, nicknames ...string) (*Server, []chat.Person) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	database := dbtest.New(t)
	store, err := db.Open(ctx, database, db.Options{Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); store.Close() })
	cfg := DefaultConfig()
	cfg.PostsPerSecond, cfg.NicknamesPerHour = 0, 0
	s, err := New(ctx, cfg, database, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var people []chat.Person
	for _, name := range nicknames {
		p, err := store.Enter(ctx, nickname(t, name), cfg.Nickname)
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, p)
	}
	return s, people
}

func nickname(t testing.TB, typed string) chat.Nickname {
	t.Helper()
	nick, err := chat.ParseNickname(typed, 32)
	if err != nil {
		t.Fatal(err)
	}
	return nick
}

// What memory holds is brought up to date by what changed; it must be what a
// fresh look finds, after every change, whatever its kind.
func TestMemoryIsAlwaysWhatAFreshLookFinds(t *testing.T) {
	t.Parallel()
	s, people := newHouse(t, "Ann", "Bob", "Zoë")
	ctx := t.Context()
	room, err := s.store.MakeRoom(ctx, people[0].ID, "The garden", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.newest.at(ctx, room); err != nil { // into memory
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var deleted []string
	text := func(i int, someone chat.Person) db.Text {
		body := fmt.Sprintf("text <%d> of %s", i, someone.Nickname)
		switch r.IntN(3) {
		case 0: // of people
			return db.Text{Body: body + chat.Mention(someone.ID), Mentions: []db.Mention{{PersonID: someone.ID}}}
		case 1: // what is cut in a quote is no link any more
			body = fmt.Sprintf("[text <%d>](https://example.org/%s)", i, strings.Repeat("x", chat.MostQuoted))
		}
		return db.Text{Body: body}
	}
	change := func(i int) {
		page, err := s.store.Page(ctx, room.ID, db.Place{})
		if err != nil {
			t.Fatal(err)
		}
		var m chat.Message
		if len(page.Messages) > 0 {
			m = page.Messages[r.IntN(len(page.Messages))]
		}
		someone := people[r.IntN(len(people))]
		post := db.Post{AuthorID: someone.ID, Nonce: db.NewNonce(), Text: text(i, someone)}
		switch what := r.IntN(28); {
		case what < 10 || m.Seq == 0:
			_, err = s.store.Say(ctx, room.ID, post)
		case what >= 24:
			post.ParentSeq = m.Seq
			_, err = s.store.Say(ctx, room.ID, post)
		case what >= 22 && !m.Deleted():
			_, err = s.store.React(ctx, room.ID, m.Seq, someone.ID, "👍", db.Toggle)
		case what >= 20 && !m.Deleted():
			if m.PinnedAt == nil {
				_, err = s.store.Pin(ctx, room.ID, m.Seq, someone.ID)
			} else {
				_, err = s.store.Unpin(ctx, room.ID, m.Seq)
			}
		case what < 14 && !m.Deleted():
			_, err = s.store.Edit(ctx, room.ID, m.Seq, m.Author.ID, 0, post.Text)
		case what < 16 && !m.Deleted():
			deleted = append(deleted, m.Body)
			_, err = s.store.Delete(ctx, room.ID, m.Seq, m.Author.ID)
		case what < 18:
			_, _, err = s.store.Rename(ctx, someone.ID, nickname(t, fmt.Sprintf("Name %d-%d", someone.ID, i)), 32)
		default:
			_, err = s.store.ChangeRoom(ctx, room.ID, people[0].ID, fmt.Sprint("Garden ", r.IntN(3)), fmt.Sprint("Topic ", i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 250 {
		for j := range 1 + r.IntN(3) {
			change(10*i + j)
		}
		fresh, err := s.store.Page(ctx, room.ID, db.Place{})
		if err != nil {
			t.Fatal(err)
		}
		var kept *keptRoom
		if i%2 == 0 { // by the number, or by a hint
			kept, err = s.newest.at(ctx, fresh.Room)
		} else {
			s.newest.woken(room.ID, fresh.Room.Rev)
			for slug := range s.newest.bySlug {
				kept, err = s.newest.bySlugNow(ctx, slug)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(s.newest.bySlug) != 1 || s.newest.kept(fresh.Room.Slug) != kept {
			t.Fatalf("step %d: slugs %v, want %s", i, s.newest.bySlug, fresh.Room.Slug)
		}
		if got, want := unnamed(kept.page), unnamed(fresh); !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d: memory holds\n%+v\na fresh look finds\n%+v", i, got, want)
		}
		l := i18n.Langs[i%2]
		h := s.newest.history(kept, l)
		got, want := s.html(views.HistoryView(l, h)), s.html(views.HistoryView(l, s.history(fresh)))
		if got != want {
			t.Fatalf("step %d: memory shows\n%s\na fresh look shows\n%s", i, got, want)
		}
		for _, text := range deleted {
			if text != "" && strings.Contains(got, html.EscapeString(text)+"<") {
				t.Fatalf("step %d: %q was deleted and is shown", i, text)
			}
		}
	}
	// Too much at once for a list of changes.
	for i := range db.MostChanges + 20 {
		if _, err := s.store.Say(ctx, room.ID, db.Post{AuthorID: people[0].ID, Nonce: db.NewNonce(), Text: db.Text{Body: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	fresh, _ := s.store.Page(ctx, room.ID, db.Place{})
	if kept, err := s.newest.at(ctx, fresh.Room); err != nil || !reflect.DeepEqual(kept.page, fresh) {
		t.Errorf("after a long gap: %v", err)
	}
}

// unnamed is a page without the list of those who are named on it: memory may
// know more of them, in another order. Their names are in what it shows.
func unnamed(p db.Page) db.Page {
	p.Messages = slices.Clone(p.Messages)
	for i := range p.Messages {
		p.Messages[i].Mentioned = nil
	}
	return p
}

var nonceForm = regexp.MustCompile(`name="nonce" value="([0-9a-f-]{36})"`)

// The page out of pieces must be, byte for byte, the page rendered for the
// one who asks, whoever that is.
func TestPageInPiecesIsThePageAsRendered(t *testing.T) {
	t.Parallel()
	s, people := newHouse(t, "O'Brien & Söhne", `<b>"Ann"</b>`, "🦊 fox", "张三")
	ctx := t.Context()
	room, err := s.store.Room(ctx, "parlor")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if _, err := s.store.Say(ctx, room.ID, db.Post{AuthorID: people[i%len(people)].ID, Nonce: db.NewNonce(), Text: db.Text{Body: fmt.Sprint("message <", i, ">")}}); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(s)
	defer web.Close()
	fresh, err := s.store.Page(ctx, room.ID, db.Place{})
	if err != nil {
		t.Fatal(err)
	}
	ordinary := func(p views.Page, nonce string) string {
		page := s.roomPage(p, s.history(fresh))
		page.Nonce = nonce
		return s.html(views.Room(page))
	}
	for i, who := range append([]chat.Person{{}}, people...) {
		for _, lang := range []string{"en", "zh"} {
			for _, theme := range []string{"", "dark"} {
				cookie := "browser=x; lang=" + lang + "; theme=" + theme
				p := views.Page{Lang: i18n.Match(lang, ""), Theme: theme, Path: "/rooms/parlor"}
				if who.ID != 0 {
					token := fmt.Sprintf("token-%d-%s-%s", i, lang, theme)
					if _, err := s.store.DB.Exec(`insert into sessions (token_hash, person_id, day, expiry)
						values (sha256(convert_to($1, 'UTF8')), $2, $3, $4)`, token, who.ID, s.today(), time.Now().Add(time.Hour)); err != nil {
						t.Fatal(err)
					}
					cookie += "; parlor=" + token
					if err := s.store.SaveDraft(ctx, room.ID, who.ID, "\n<half> & \"half\"", "tab", int64(i)); err != nil {
						t.Fatal(err)
					}
					v, err := s.store.Visit(ctx, "parlor", token)
					if err != nil {
						t.Fatal(err)
					}
					p.Me = views.ViewerOf(who).In(v.Member)
				}
				get := func(encoding string) (http.Header, []byte) {
					req, _ := http.NewRequest(http.MethodGet, web.URL+"/rooms/parlor", nil)
					req.Header.Set("Cookie", cookie)
					req.Header.Set("Accept-Encoding", encoding)
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					body, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != http.StatusOK {
						t.Fatal(resp.Status, err)
					}
					return resp.Header, body
				}
				check := func(how, got string) {
					t.Helper()
					nonce := ""
					if m := nonceForm.FindStringSubmatch(got); m != nil {
						nonce = m[1]
					}
					if want := ordinary(p, nonce); got != want || (nonce == "") != (who.ID == 0) {
						t.Errorf("%q, %s, %s, %s: not the page as rendered:\n%s", who.Nickname, lang, theme, how, firstDifference(got, want))
					}
				}
				header, plain := get("identity")
				check("plain", string(plain))
				if header.Get("Content-Encoding") != "" {
					t.Error("nobody asked for", header.Get("Content-Encoding"))
				}
				header, packed := get("br, gzip;q=0.8")
				if header.Get("Content-Encoding") != "gzip" || header.Get("Content-Length") != fmt.Sprint(len(packed)) ||
					!strings.Contains(strings.Join(header.Values("Vary"), ","), "Cookie") || header.Get("Cache-Control") != "private, no-cache" {
					t.Errorf("headers %v", header)
				}
				z, err := gzip.NewReader(bytes.NewReader(packed))
				if err != nil {
					t.Fatal(err)
				}
				unpacked, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				check("gzip", string(unpacked))
				if path, err := exec.LookPath("gzip"); err == nil && theme == "" {
					unzip := exec.Command(path, "-dc")
					unzip.Stdin = bytes.NewReader(packed)
					unpacked, err = unzip.Output()
					if err != nil {
						t.Fatal(err)
					}
					check("gzip -d", string(unpacked))
				}
				// Not much larger than compressed as a whole.
				var whole bytes.Buffer
				zw, _ := gzip.NewWriterLevel(&whole, 6)
				_, _ = zw.Write(unpacked)
				_ = zw.Close()
				if len(packed)*2 > whole.Len()*3 {
					t.Errorf("%d bytes in pieces, %d as a whole", len(packed), whole.Len())
				}
			}
		}
	}
}

func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(0, i-60)
	return fmt.Sprintf("%d and %d bytes, at %d: %q, want %q", len(got), len(want), i, got[from:min(len(got), i+60)], want[from:min(len(want), i+60)])
}

// What people write must never be taken for a mark.
func TestNobodyCanWriteAMark(t *testing.T) {
	t.Parallel()
	limits := chat.DefaultLimits()
	for i := range pieces.MostMarks {
		mark := pieces.Mark(i)
		typed := "a" + mark + "b"
		body, err := chat.ParseBody(typed, limits)
		topic, topicErr := chat.ParseTopic(typed, limits)
		if err != nil || topicErr != nil || strings.Contains(body+topic+chat.Slug(typed), mark) {
			t.Errorf("mark %d passes: %q, %q, %q", i, body, topic, chat.Slug(typed))
		}
		if name, err := chat.ParseRoomName(typed, limits); err == nil && strings.Contains(name, mark) {
			t.Errorf("mark %d passes in a room's name", i)
		}
		if nick, err := chat.ParseNickname(typed, 32); err == nil && strings.Contains(nick.Shown, mark) {
			t.Errorf("mark %d passes in a nickname", i)
		}
	}
}

func TestLooksAreBounded(t *testing.T) {
	t.Parallel()
	s, people := newHouse(t, "Ann")
	for i := range mostKept + 5 {
		room := chat.Room{ID: int64(1000 + i), Slug: fmt.Sprint("room-", i)}
		s.newest.keep(room.ID)
	}
	if n := len(s.newest.rooms); n != mostKept {
		t.Errorf("%d rooms are kept", n)
	}
	room, err := s.store.MakeRoom(t.Context(), people[0].ID, "Garden", "")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := s.newest.at(t.Context(), room)
	if err != nil {
		t.Fatal(err)
	}
	s.newest.compose(kept, look{})
	now := time.Now()
	s.newest.sweep(now.Add(2 * forgetPage))
	if len(kept.looks) != 0 || s.newest.kept("garden") != kept {
		t.Error("after two minutes the page should be gone, and the room still there")
	}
	s.newest.sweep(now.Add(2 * forgetRoom))
	if len(s.newest.rooms) != 0 || len(s.newest.bySlug) != 0 {
		t.Error("nothing should be left of rooms that nobody looks at")
	}
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"/": "/", "/rooms/茶馆?before=3": "/rooms/茶馆?before=3", "": "/", "//evil": "/", `/\evil`: "/", "https://evil": "/",
		"/a\x00": "/", "/\tb": "/", "/\x1fb": "/", "/\x7fb": "/", "/\rb": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("localPath(%q) = %q, want %q", next, got, want)
		}
	}
}
