package app

import (
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/a-h/templ"

	"parlor/app/chat"
	"parlor/app/pieces"
	"parlor/db"
	"parlor/static"
	"parlor/views"
)

// Marks for what differs between those who share a look (see pieces.Mark).
const (
	markID = iota
	markNickname
	markInitial
	markHue
	markNonce
	markMember
	markLevel
	markDraft
)

// compose renders a room's page, unless that was done already since anything
// in it changed. Others who want it wait, and get it too.
func (n *newest) compose(k *keptRoom, l look) *pieces.Page {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, side := n.s.now(), n.s.hall.version.Load()
	c := k.looks[l]
	if c != nil && c.rev == k.page.Room.Rev && (c.side == side || now.Sub(c.made) < sideFor) && !n.s.cfg.Dev {
		c.used = now
		return c.page
	}
	p := views.Page{Lang: l.lang, Theme: l.theme, Path: roomPath(k.page.Room), Away: l.away}
	if l.signedIn {
		p.Me = &views.Viewer{
			ID: pieces.Mark(markID), Nickname: pieces.Mark(markNickname),
			Initial: pieces.Mark(markInitial), Hue: pieces.Mark(markHue),
			Member: pieces.Mark(markMember), Level: pieces.Mark(markLevel), Draft: pieces.Mark(markDraft),
		}
	}
	page := n.s.roomPage(p, n.historyLocked(k, l.lang))
	page.Nonce = pieces.Mark(markNonce)
	c = &composed{page: pieces.Cut(n.s.html(views.Room(page))), rev: k.page.Room.Rev, side: side, made: now, used: now}
	k.looks[l] = c
	return c.page
}

// textsOf are the texts at the marks, escaped as templ escapes them.
func textsOf(visit db.Visit) []string {
	if visit.Person == nil {
		return nil
	}
	v := views.ViewerOf(*visit.Person).In(visit.Member)
	return []string{
		markID: v.ID, markNickname: templ.EscapeString(v.Nickname), markInitial: templ.EscapeString(v.Initial),
		markHue: v.Hue, markNonce: db.NewNonce(),
		markMember: templ.EscapeString(v.Member), markLevel: v.Level, markDraft: templ.EscapeString(v.Draft),
	}
}

// fromMemory answers with a room's newest page as it is kept in memory: to
// somebody with a session after one query, which says who it is, whether the
// session holds, and where the room stands; to a looker without any. What is
// not that simple goes the other way.
//
// While the database is away everybody gets what is in memory as a looker,
// and is told so.
func (s *Server) fromMemory(otherwise http.Handler) http.Handler {
	return s.answer(func(w http.ResponseWriter, r *http.Request) error {
		slug := r.PathValue("slug")
		if r.URL.RawQuery != "" || isDatastar(r) || !chat.ValidSlug(slug) {
			otherwise.ServeHTTP(w, r)
			return nil
		}
		k, v, err := s.visitNewest(r, slug)
		switch {
		case errors.Is(err, errOtherwise):
			otherwise.ServeHTTP(w, r)
			return nil
		case err != nil && isAway(err):
			if k = s.newest.kept(slug); k == nil {
				return err
			}
			s.serveNewest(w, r, k, db.Visit{}, true)
			return nil
		case err != nil:
			return err
		}
		s.serveNewest(w, r, k, v, false)
		return nil
	})
}

// errOtherwise says that memory is not the way.
var errOtherwise = errors.New("not from memory")

func (s *Server) visitNewest(r *http.Request, slug string) (*keptRoom, db.Visit, error) {
	ctx := r.Context()
	var v db.Visit
	if s.store.Away() {
		return nil, v, errAway()
	}
	if s.token(r) == "" {
		k, err := s.newest.bySlugNow(ctx, slug)
		if k != nil || err != nil {
			return k, v, err
		}
	}
	v, err := s.visit(ctx, r)
	if err != nil {
		return nil, v, err
	}
	if v.Room.Slug != slug || v.Person != nil && v.Day != s.today() {
		return nil, v, errOtherwise
	}
	k, err := s.newest.at(ctx, v.Room)
	return k, v, err
}

var (
	varyPage  = []string{"Accept-Encoding", "Accept-Language, Cookie"}
	htmlType  = []string{"text/html; charset=utf-8"}
	gzipped   = []string{"gzip"}
	pageCache = []string{"private, no-cache"}
	noStore   = []string{"no-store"}
)

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// serveNewest sends a room's newest page.
func (s *Server) serveNewest(w http.ResponseWriter, r *http.Request, k *keptRoom, v db.Visit, away bool) {
	page := s.newest.compose(k, look{s.lang(r), theme(r), v.Person != nil, away})
	s.knowBrowser(w, r)
	h := w.Header()
	h["Content-Type"], h["Vary"], h["Cache-Control"] = htmlType, varyPage, pageCache
	if away {
		h["Cache-Control"] = noStore
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	if static.Accepts(r, "gzip") {
		h["Content-Encoding"] = gzipped
		*buffer = page.AppendGzip((*buffer)[:0], textsOf(v))
	} else {
		*buffer = page.AppendPlain((*buffer)[:0], textsOf(v))
	}
	h["Content-Length"] = []string{strconv.Itoa(len(*buffer))}
	_, _ = w.Write(*buffer) // whoever went away needs no answer
}
