package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a reader's time zone, also on machines that know none
	"unicode"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/emoji"
	"parlor/app/markup"
	"parlor/app/search"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// mostFound is how many results are on a page.
const mostFound = 20

// getSearch looks for messages: a page for people, patches for one that is
// open and in which somebody types, JSON for programs.
func (s *Server) getSearch(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	typed := typedQuery(form.Get("q"))
	zone := zoneOf(form)
	now := s.now().In(zone)
	q := search.Parse(typed, now)
	if slug := form.Get("in"); chat.ValidSlug(slug) && !isDatastar(r) {
		// Asked from a room: the filter stands in the field, to see and to remove.
		if len(q.In) == 0 {
			typed = "in:" + slug + " " + typed
		}
		form.Del("in")
		form.Set("q", typed)
		http.Redirect(w, r, "/search?"+form.Encode(), http.StatusSeeOther)
		return nil
	}
	page := views.SearchPage{Query: typed, Field: typed, TimeZone: zoneName(zone), Today: now}
	if len(q.Wanted)+len(q.Excluded) == 0 && !q.Empty() {
		page.Field += " " // for the words to come
	}
	err := s.find(r, q, &page)
	var refusal *chat.Error
	switch {
	case errors.As(err, &refusal) && !wantsJSON(r):
		page.Found.Problem = sentence(s.lang(r), refusal)
	case err != nil:
		return err
	}
	page.Page = s.page(r)
	me := me(r)
	if me != nil && !page.Found.Asked {
		if page.Recent, err = s.store.Recent(r.Context(), me.ID); err != nil {
			return err
		}
	}
	switch {
	case isDatastar(r):
		s.patch(w, r, sse.Elements("#results", datastar.ElementPatchModeInner, s.html(views.SearchFound(page))))
		return nil
	case wantsJSON(r):
		return s.searchJSON(w, page)
	}
	// Other sites can't write into somebody's searches by a link.
	if from := r.Header.Get("Sec-Fetch-Site"); me != nil && refusal == nil && page.Found.Asked && !page.Found.Paged && from != "cross-site" && from != "same-site" {
		if err := s.store.Remember(r.Context(), me.ID, typed); err != nil {
			s.log.Warn("a search is not remembered", "request", requestID(r), "err", err)
		}
	}
	code := http.StatusOK
	if refusal != nil {
		code = status(refusal)
	}
	w.Header().Set("Cache-Control", "private, no-store") // what is deleted is not found in a cache either
	s.show(w, r, code, views.Search(page))
	return nil
}

// typedQuery is what was typed, as text of bounded length without controls: it
// comes back in links, and may be remembered.
func typedQuery(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > search.MostQuery {
		text = strings.ToValidUTF8(text[:search.MostQuery], "")
	}
	return strings.TrimSpace(text)
}

// find looks for what was asked and puts it into the page.
func (s *Server) find(r *http.Request, q search.Query, page *views.SearchPage) error {
	want := db.Search{
		Wants: q.Wants(), After: q.After, Before: q.Before, Most: mostFound,
		Has: search.Beside(q.Has), HasNot: search.Beside(q.HasNot),
		Matches: func(m chat.Message) bool { return q.Matches(said(m)) },
	}
	if err := s.resolve(r, &q, &want, page); err != nil {
		return err
	}
	want.Terms = q.TSQuery()
	if page.Found.Asked = !q.Empty(); !page.Found.Asked {
		return nil
	}
	var err error
	if want.Older, err = parseMoment(r.URL.Query().Get("older")); err != nil {
		return err
	}
	page.Found.Paged = want.Older != db.Moment{}
	page.Found.Newest = searchPath(page.Query, page.TimeZone, nil)
	if filter, rest, in := strings.Cut(page.Query, " "); in && page.Room != nil && filter == "in:"+page.Room.Slug {
		page.Found.Everywhere = searchPath(strings.TrimSpace(rest), page.TimeZone, nil)
	}
	if len(page.Found.NoPeople)+len(page.Found.NoRooms) > 0 && (len(want.Authors) == 0 && len(q.From) > 0 || len(want.Rooms) == 0 && len(q.In) > 0) {
		return nil // nobody of those who were named is here
	}
	if addr, _ := s.clientAddr(r); !s.limits.maySearch(addr, s.now()) {
		return chat.Refuse(chat.TooMany, chat.SearchTooFast)
	}
	found, err := s.store.Search(r.Context(), want)
	if err != nil {
		return err
	}
	for _, hit := range found.Hits {
		page.Found.Hits = append(page.Found.Hits, hitOf(hit, q))
	}
	if found.Older != nil {
		page.Found.Older = searchPath(page.Query, page.TimeZone, found.Older)
	}
	return nil
}

// emojiCodes may be names of emoji, as :tada:. In code they stay what they are;
// nobody minds that they are found there, too.
var emojiCodes = regexp.MustCompile(`:[a-zA-Z0-9_+-]+:`)

// said is what a message is found by.
func said(m chat.Message) search.Said {
	out := search.Said{Text: m.Body, Names: m.MentionedNames(), Reply: m.Parent != nil}
	for _, code := range emojiCodes.FindAllString(m.Body, -1) {
		if shown, known := emoji.Lookup(strings.Trim(code, ":")); known && !slices.Contains(out.Emoji, shown) {
			out.Emoji = append(out.Emoji, shown)
		}
	}
	for _, f := range m.Files {
		out.Files = append(out.Files, f.Name)
		out.Images = out.Images || strings.HasPrefix(f.Type, "image/")
	}
	for _, p := range m.Previews {
		out.Titles = append(out.Titles, p.Title)
	}
	return out
}

// hitOf is a result as it is shown. Its text is that which one reads, unless
// only what is typed has what was looked for: the address of a link, say.
func hitOf(hit db.Hit, q search.Query) views.SearchHit {
	m := said(hit.Message)
	out := views.SearchHit{
		Room: hit.Room, Message: hit.Message,
		Snippet: search.Snippet(q, markup.Plain(m.Text, m.Names), markup.Text(m.Text, m.Names)),
	}
	for _, name := range m.Files {
		out.With = append(out.With, search.Snippet(q, name))
	}
	for _, title := range m.Titles {
		parts := search.Snippet(q, title)
		if slices.ContainsFunc(parts, func(p search.Part) bool { return p.Hit }) {
			out.With = append(out.With, parts)
		}
	}
	return out
}

// resolve looks up who and which rooms are named, and whom words may name.
func (s *Server) resolve(r *http.Request, q *search.Query, want *db.Search, page *views.SearchPage) error {
	people, err := s.peopleCalled(r, slices.Concat(q.From, q.NotFrom))
	if err != nil {
		return err
	}
	rooms, err := s.store.RoomsCalled(r.Context(), slices.Concat(q.In, q.NotIn))
	if err != nil {
		return err
	}
	author := func(name string) (int64, bool) { id, known := people[name]; return id, known }
	room := func(name string) (int64, bool) { room, known := rooms[name]; return room.ID, known }
	want.Authors = idsOf(q.From, author, &page.Found.NoPeople)
	want.NotAuthors = idsOf(q.NotFrom, author, &page.Found.NoPeople)
	want.Rooms = idsOf(q.In, room, &page.Found.NoRooms)
	want.NotRooms = idsOf(q.NotIn, room, &page.Found.NoRooms)
	if len(q.In) == 1 && len(want.Rooms) == 1 {
		room := rooms[q.In[0]]
		page.Room = &room
	}
	texts := q.Texts()
	if len(texts) == 0 {
		return nil
	}
	for i, text := range texts {
		texts[i] = chat.FoldName(strings.TrimLeft(text, "@＠"))
	}
	called, err := s.store.NamedLike(r.Context(), q.NameQuery(), texts)
	if err != nil {
		return err
	}
	for _, p := range called {
		q.Call(p.ID, p.Nickname)
	}
	return nil
}

// idsOf are the ids of what has these names. Names that nothing has are noted.
func idsOf(names []string, idOf func(string) (int64, bool), unknown *[]string) (ids []int64) {
	for _, name := range names {
		if id, known := idOf(name); known {
			ids = append(ids, id)
		} else {
			*unknown = append(*unknown, name)
		}
	}
	return ids
}

// peopleCalled are people by the nicknames that were typed, as far as there are
// any.
func (s *Server) peopleCalled(r *http.Request, names []string) (map[string]int64, error) {
	people := make(map[string]int64, len(names))
	var nicks []chat.Nickname
	folded := make(map[string]string, len(names))
	for _, name := range names {
		if me := me(r); name == search.Me && me != nil {
			people[name] = me.ID
		} else if nick, err := chat.ParseNickname(name, s.cfg.Limits.Nickname); err == nil { // else nobody can be called that
			nicks, folded[name] = append(nicks, nick), nick.Folded
		}
	}
	called, err := s.store.PeopleCalled(r.Context(), nicks)
	for name, folded := range folded {
		if id, known := called[folded]; known {
			people[name] = id
		}
	}
	return people, err
}

// searchPath is the address of a search, from a moment on if there is one.
func searchPath(query, zone string, older *db.Moment) string {
	v := url.Values{"q": {query}}
	if zone != "" {
		v.Set("tz", zone)
	}
	if older != nil {
		v.Set("older", fmt.Sprintf("%d-%d-%d-%d", older.Stretch, older.SaidAt.UnixMicro(), older.RoomID, older.Seq))
	}
	return "/search?" + v.Encode()
}

// parseMoment reads what searchPath wrote.
func parseMoment(text string) (at db.Moment, err error) {
	if text == "" {
		return at, nil
	}
	parts := strings.Split(text, "-")
	var n [4]int64
	for i := range parts {
		if len(parts) != len(n) {
			break
		}
		if n[i], err = strconv.ParseInt(parts[i], 10, 64); err != nil {
			break
		}
	}
	// A time of four digits of years is one that Postgres can hold.
	if err != nil || len(parts) != len(n) || n[0] < 0 || n[0] > math.MaxInt32 || n[1] <= 0 || n[1] > 253402300799999999 {
		return at, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	return db.Moment{Stretch: n[0], SaidAt: time.UnixMicro(n[1]), RoomID: n[2], Seq: n[3]}, nil
}

// zoneOf is the time zone that the reader's page told (an IANA name), or UTC.
func zoneOf(form url.Values) *time.Location {
	name := form.Get("tz")
	if name == "" || name == "Local" || len(name) > 64 {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

func zoneName(zone *time.Location) string {
	if zone == time.UTC {
		return ""
	}
	return zone.String()
}

// goToDay leads to the first message of a room at or after a day, or to where a
// quiet room ends: to those who look for today that is what is newest.
func (s *Server) goToDay(w http.ResponseWriter, r *http.Request, room chat.Room, on string) error {
	from, _, ok := search.Days(on, s.now().In(zoneOf(r.URL.Query())))
	if !ok {
		return chat.Refuse(chat.Malformed, chat.DateMalformed)
	}
	seq, err := s.store.FirstSince(r.Context(), room.ID, from)
	if err != nil {
		return err
	}
	to := messagePath(room, seq)
	if seq == 0 {
		to = roomPath(room)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// foundMessage is a result for programs.
type foundMessage struct {
	Room struct {
		Slug string `json:"slug"`
		Name string `json:"name"`
	} `json:"room"`
	Author struct {
		ID       int64  `json:"id"`
		Nickname string `json:"nickname"`
	} `json:"author"`
	Seq      int64         `json:"seq"`
	URL      string        `json:"url"`
	SaidAt   time.Time     `json:"said_at"`
	EditedAt *time.Time    `json:"edited_at,omitempty"`
	Snippet  []search.Part `json:"snippet"`
	// With are names of its files, and titles behind its links that were found.
	With [][]search.Part `json:"with,omitempty"`
}

func (s *Server) searchJSON(w http.ResponseWriter, page views.SearchPage) error {
	out := struct {
		Query    string         `json:"query"`
		Messages []foundMessage `json:"messages"`
		Older    string         `json:"older,omitempty"`
		NoPeople []string       `json:"no_people,omitempty"`
		NoRooms  []string       `json:"no_rooms,omitempty"`
	}{page.Query, []foundMessage{}, page.Found.Older, page.Found.NoPeople, page.Found.NoRooms}
	for _, h := range page.Found.Hits {
		m := foundMessage{Seq: h.Message.Seq, URL: messagePath(h.Room, h.Message.Seq), SaidAt: h.Message.SaidAt, EditedAt: h.Message.EditedAt, Snippet: h.Snippet, With: h.With}
		m.Room.Slug, m.Room.Name = h.Room.Slug, h.Room.Name
		m.Author.ID, m.Author.Nickname = h.Message.Author.ID, h.Message.Author.Nickname
		out.Messages = append(out.Messages, m)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(out) // whoever went away needs no answer
	return nil
}

// postSearchForget takes one of one's searches away, or all.
func (s *Server) postSearchForget(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	if err := s.store.Forget(r.Context(), me.ID, typedQuery(r.PostForm.Get("q"))); err != nil {
		return err
	}
	http.Redirect(w, r, "/search", http.StatusSeeOther)
	return nil
}

// How often the index of searches is seen to, and how gently messages from
// before there was a search get their terms: so many at once, with a pause.
const (
	tidySearchEvery   = time.Second // each look-up goes over what is not sorted in
	beginStretchEvery = 10 * time.Second
	lookForOldEvery   = time.Hour
	oldAtOnce         = 200
	oldPause          = 50 * time.Millisecond
)

// keepSearchable sees to it that everything that was said can be found, soon
// and fast. What fails is tried again the next time.
func (s *Server) keepSearchable(ctx context.Context) {
	tidy, stretch := time.NewTicker(tidySearchEvery), time.NewTicker(beginStretchEvery)
	defer tidy.Stop()
	defer stretch.Stop()
	old := time.NewTimer(0)
	defer old.Stop()
	var roomID, seq int64 // of the last message that got its terms in this round
	failed := func(err error, what string) bool {
		if err != nil && !db.IsAway(err) && ctx.Err() == nil {
			s.log.Warn(what, "err", err)
			return true
		}
		return false
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			if failed(s.store.TidySearch(ctx), "the index of searches is left to Postgres") {
				tidy.Stop() // it is not allowed to: Postgres does it by itself, only later
			}
		case <-stretch.C:
			failed(s.store.BeginStretch(ctx), "searches go on in a long stretch")
		case <-old.C:
			messages, err := s.noteOldTerms(ctx, roomID, seq)
			switch {
			case err != nil:
				failed(err, "old messages can't be found yet")
				old.Reset(time.Minute)
			case len(messages) < oldAtOnce:
				roomID, seq = 0, 0
				old.Reset(lookForOldEvery)
			default:
				last := messages[len(messages)-1]
				roomID, seq = last.RoomID, last.Seq
				old.Reset(oldPause)
			}
		}
	}
}

// noteOldTerms gives nicknames and some messages the terms they lack, and returns
// these messages.
func (s *Server) noteOldTerms(ctx context.Context, roomID, seq int64) ([]chat.Message, error) {
	if err := s.store.NoteNames(ctx); err != nil {
		return nil, err
	}
	messages, err := s.store.WithoutTerms(ctx, roomID, seq, oldAtOnce)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	return messages, s.store.NoteTerms(ctx, messages)
}
