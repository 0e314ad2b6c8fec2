package app

import (
	"crypto/rand"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"parlor/app/chat"
	"parlor/db"
	"parlor/views"
)

// newSessions keeps sessions in Postgres, so that any node knows everybody.
// Only the person's id is in them. There is no idle time-out: it would write
// the session at every request, and could undo a sign-out.
func newSessions(cfg Config, store *db.Store, s *Server) *scs.SessionManager {
	m := scs.New()
	m.Store = store.Sessions()
	m.Codec = db.SessionCodec{}
	m.Lifetime = sessionFor
	m.Cookie.Name = "parlor"
	m.Cookie.HttpOnly = true
	m.Cookie.SameSite = http.SameSiteLaxMode
	if cfg.Secure() {
		m.Cookie.Name = "__Host-parlor"
		m.Cookie.Secure = true
	}
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) { s.fail(w, r, err) }
	return m
}

// noteVisit holds nickname and session for longer, at most once a day. It tells
// whether the session was still there: a sign-out may have come in between, and
// is not undone.
func (s *Server) noteVisit(w http.ResponseWriter, r *http.Request) (bool, error) {
	token, expiry := s.token(r), s.now().Add(sessionFor)
	there, err := s.store.NoteVisit(r.Context(), token, s.today(), expiry)
	if err == nil && there {
		s.sessions.WriteSessionCookie(r.Context(), w, token, expiry)
	}
	return there, err
}

// today is a day's number since 1970 (UTC).
func (s *Server) today() int64 { return s.now().Unix() / 86400 }

// token is the request's session token, or "".
func (s *Server) token(r *http.Request) string {
	if c, err := r.Cookie(s.sessions.Cookie.Name); err == nil {
		return c.Value
	}
	return ""
}

// me is the person who asks, or nil.
func me(r *http.Request) *chat.Person {
	p, _ := r.Context().Value(keyMe).(*chat.Person)
	return p
}

// needMe is me, or the refusal that asks for a nickname.
func needMe(r *http.Request) (chat.Person, error) {
	if p := me(r); p != nil {
		return *p, nil
	}
	return chat.Person{}, chat.Refuse(chat.Unnamed, chat.NeedNickname)
}

// page is what every page shows of who asks and how.
func (s *Server) page(r *http.Request) views.Page {
	p := views.Page{Lang: s.lang(r), Theme: theme(r), Path: "/", NoPreviews: !s.cfg.Previews}
	if me := me(r); me != nil {
		member, _ := r.Context().Value(keyMember).(chat.Membership)
		p.Me = views.ViewerOf(*me).In(member)
	}
	if r.Method == http.MethodGet {
		p.Path = r.URL.RequestURI()
	}
	return p
}

// theme is the chosen appearance, "" for the system's.
func theme(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// browserCookie names a browser, with or without a session, so that its open
// pages can be counted. It is no secret and opens nothing.
const browserCookie = "browser"

func (s *Server) knowBrowser(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(browserCookie); err != nil {
		s.setCookie(w, browserCookie, rand.Text(), true)
	}
}

func (s *Server) setCookie(w http.ResponseWriter, name, value string, httpOnly bool) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
		HttpOnly: httpOnly, Secure: s.cfg.Secure(), SameSite: http.SameSiteLaxMode,
	})
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	p := s.page(r)
	f := views.Field{}
	if p.Me != nil {
		f.Value = p.Me.Nickname
	}
	s.show(w, r, http.StatusOK, views.SessionPage(p, f, statusField(me(r)), localPath(r.URL.Query().Get("next"))))
	return nil
}

// statusField is the field of a person's status line.
func statusField(me *chat.Person) views.Field {
	if me == nil {
		return views.Field{}
	}
	return views.Field{Value: me.Status}
}

// postSession takes a nickname, or changes it for somebody who has one.
func (s *Server) postSession(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	typed, next := r.PostForm.Get("nickname"), localPath(r.PostForm.Get("next"))
	if pick := r.PostForm.Get("pick"); pick != "" {
		typed = pick
	}
	var err error
	if me := me(r); me != nil { // every room where they spoke will show the new one
		err = s.mayPost(r, *me)
	}
	if err == nil {
		err = s.takeNickname(w, r, typed)
	}
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Kind == chat.TooMany {
		refusal.Field = "nickname" // so that the form comes back
	}
	if refusal != nil && refusal.Field == "nickname" && !wantsJSON(r) {
		p := s.page(r)
		p.Path = next
		s.show(w, r, status(refusal), views.SessionPage(p, field(p.Lang, "nickname", typed, refusal), statusField(me(r)), next))
		return nil
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *Server) takeNickname(w http.ResponseWriter, r *http.Request, typed string) error {
	nick, err := chat.ParseNickname(typed, s.cfg.Nickname)
	if err != nil {
		return err
	}
	if nick.Reserved() {
		return chat.RefuseField("nickname", chat.NicknameReserved, nick.Shown)
	}
	if person := me(r); person != nil {
		if nick.Shown == person.Nickname {
			return nil
		}
		renamed, revs, err := s.store.Rename(r.Context(), person.ID, nick, s.cfg.Nickname)
		if err != nil {
			return err
		}
		for _, at := range revs {
			s.bus.Wake(at.RoomID, at.Rev)
		}
		s.renamed(renamed)
		return nil
	}
	addr, _ := s.clientAddr(r)
	if !s.limits.mayTakeNickname(addr, s.now()) {
		return chat.Refuse(chat.TooMany, chat.TooManyNames)
	}
	// The session is new, so scs has nothing to save: it is stored together
	// with its person, and only its cookie is left to write.
	token, expiry := rand.Text(), s.now().Add(sessionFor)
	if _, err := s.store.EnterWith(r.Context(), nick, s.cfg.Nickname, token, s.today(), expiry); err != nil {
		return err
	}
	s.sessions.WriteSessionCookie(r.Context(), w, token, expiry)
	return nil
}

// postStatus gives somebody another status line.
func (s *Server) postStatus(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	typed, next := r.PostForm.Get("status"), localPath(r.PostForm.Get("next"))
	line, err := chat.ParseStatus(typed)
	if err == nil {
		err = s.mayPost(r, me)
	}
	var refusal *chat.Error
	if errors.As(err, &refusal) && !wantsJSON(r) {
		p := s.page(r)
		p.Path = next
		refusal.Field = "status"
		s.show(w, r, status(refusal), views.SessionPage(p, views.Field{Value: me.Nickname}, field(p.Lang, "status", typed, refusal), next))
		return nil
	}
	if err != nil {
		return err
	}
	if line != me.Status {
		person, err := s.store.SetStatus(r.Context(), me.ID, line)
		if err != nil {
			return err
		}
		s.renamed(person)
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// renamed tells all nodes of a person's new nickname or status.
func (s *Server) renamed(person chat.Person) {
	s.presence.Renamed(person)
	s.bus.Tell(toldRenamed, strconv.FormatInt(person.ID, 10), person)
}

func (s *Server) postSessionEnd(w http.ResponseWriter, r *http.Request) error {
	token := s.sessions.Token(r.Context())
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	if token != "" {
		ended := sessionName(token)
		s.streams.endSession(ended)
		s.bus.Tell(toldSignedOut, "", ended)
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// postPreferences remembers language and appearance in cookies: they belong
// to the browser, with or without a session.
func (s *Server) postPreferences(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if code := r.PostForm.Get("lang"); code == "en" || code == "zh" {
		s.setCookie(w, "lang", code, true)
	}
	if theme := r.PostForm.Get("theme"); theme == "system" || theme == "light" || theme == "dark" {
		s.setCookie(w, "theme", theme, true)
	}
	http.Redirect(w, r, localPath(r.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}

// getOwnCSS is what makes a person's own things visible. It is the same for
// all time, so a browser asks once.
func (s *Server) getOwnCSS(w http.ResponseWriter, r *http.Request) error {
	personID, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || personID < 1 {
		return chat.Refuse(chat.NotFound, chat.NoSuchPage)
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err = w.Write([]byte(views.OwnCSS(personID)))
	return ignoreWrite(err)
}

// localPath lets a form lead back to a page of ours only.
func localPath(next string) string {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, bad) {
		return "/"
	}
	return next
}

// parseForm reads a posted form; one that can't be read is a 400.
func parseForm(r *http.Request) error {
	if isMultipart(r) {
		return readMultipart(r, math.MaxInt64-1, nil) // the body is bounded
	}
	err := r.ParseForm()
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	if err != nil {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	return nil
}
