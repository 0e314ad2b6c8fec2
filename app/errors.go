package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/a-h/templ"
	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/markup"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// methodNotAllowed is the one refusal that is not about the subject.
const methodNotAllowed chat.Kind = -1

var statuses = map[chat.Kind]int{
	chat.Malformed:   http.StatusBadRequest,
	chat.Unnamed:     http.StatusUnauthorized,
	chat.NotAllowed:  http.StatusForbidden,
	chat.NotFound:    http.StatusNotFound,
	methodNotAllowed: http.StatusMethodNotAllowed,
	chat.Conflict:    http.StatusConflict,
	chat.TooLarge:    http.StatusRequestEntityTooLarge,
	chat.Invalid:     http.StatusUnprocessableEntity,
	chat.TooMany:     http.StatusTooManyRequests,
	chat.Unavailable: http.StatusServiceUnavailable,
}

func status(refusal *chat.Error) int {
	if code, ok := statuses[refusal.Kind]; ok {
		return code
	}
	return http.StatusInternalServerError
}

// retryAfter is the wait that a refusal asks for, in seconds.
const retryAfter = 2

// answer makes an http.Handler of a handler.
func (s *Server) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// refusalOf finds the refusal in an error. What is none is an error of ours
// or of the machine: it is logged here, once, and told in general words.
func (s *Server) refusalOf(r *http.Request, err error) *chat.Error {
	var refusal *chat.Error
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &tooBig):
		return chat.Refuse(chat.TooLarge, chat.RequestTooBig)
	case db.IsUnfit(err): // in a place where nobody looked for that
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	case errors.Is(r.Context().Err(), context.Canceled): // nobody waits for the answer
		return chat.Refuse(chat.Unavailable, chat.DatabaseAway)
	case db.IsAway(err), r.Context().Err() != nil, errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("the database is away", "request", requestID(r), "path", r.URL.Path, "err", err)
		return chat.Refuse(chat.Unavailable, chat.DatabaseAway)
	}
	s.log.Error("could not answer", "request", requestID(r), "method", r.Method, "path", r.URL.Path, "err", err)
	return chat.Refuse(0, chat.Internal)
}

// sentence is what a person is told.
func sentence(l i18n.Lang, refusal *chat.Error) string {
	if text, ok := i18n.Reason(l, string(refusal.Reason), refusal.Args...); ok {
		return text
	}
	text, _ := i18n.Reason(l, string(chat.Internal))
	return text
}

// field is a form field as it was filled in, with what is wrong about it.
func field(l i18n.Lang, name, value string, refusal *chat.Error) views.Field {
	f := views.Field{Value: value}
	if refusal != nil && refusal.Field == name {
		f.Error, f.Suggestions = sentence(l, refusal), refusal.Suggestions
	}
	return f
}

// fail answers with an error: a page for people, problem+json (RFC 9457) for
// programs, a dialog in the page for an action of the page.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	refusal := s.refusalOf(r, err)
	if r.Method == http.MethodPost && r.PostForm == nil {
		r.Body = http.MaxBytesReader(w, r.Body, s.mostForm()) // not the files
		_ = parseForm(r)                                      // what was written is not lost, whatever else is
	}
	if refusal.Reason == chat.DatabaseAway && r.PostForm.Get("body") != "" {
		refusal = chat.Refuse(chat.Unavailable, chat.NotStored)
	}
	code, l := status(refusal), s.lang(r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	switch {
	case isDatastar(r) && r.Method == http.MethodPost:
		// The client shows nothing of a 4xx, so the sentence comes as a patch.
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeAppend,
			s.html(views.NoticeDialog(s.page(r), sentence(l, refusal)))))
	case wantsJSON(r):
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(code)
		problem := map[string]any{
			"type": "about:blank", "title": i18n.ErrorTitle(l, code), "status": code,
			"detail": sentence(l, refusal), "reason": refusal.Reason, "field": refusal.Field, "request": requestID(r),
		}
		if now := refusal.Present; now != nil { // what a program may go on from
			problem["body"], problem["version"] = markup.Text(now.Body, now.MentionedNames()), now.Version
		}
		_ = json.NewEncoder(w).Encode(problem)
	default:
		requestID := requestID(r)
		if code < 500 {
			requestID = ""
		}
		p := s.page(r)
		s.show(w, r, code, views.ErrorPage(p, code, sentence(l, refusal), requestID, r.PostForm.Get("body"), wayOn(p, r, refusal)))
	}
}

// wayOn is what a refusal leads to: the nickname that it asks for, the room
// that it is about, or the lobby.
func wayOn(p views.Page, r *http.Request, refusal *chat.Error) views.WayOn {
	slug := r.PathValue("slug")
	switch {
	case refusal.Kind == chat.Unnamed:
		return views.WayOn{Label: i18n.TakeNickname, URL: "/session?next=" + url.QueryEscape(p.Path)}
	case slug != "" && refusal.Reason != chat.NoSuchRoom:
		return views.WayOn{Label: i18n.GoToRoom, URL: "/rooms/" + url.PathEscape(slug)}
	}
	return views.WayOn{Label: i18n.BackToLobby, URL: "/"}
}

// show renders a whole page. It is rendered before anything is sent, so that
// an error while rendering is still an error.
func (s *Server) show(w http.ResponseWriter, r *http.Request, code int, page templ.Component) {
	var b bytes.Buffer
	ctx := r.Context()
	if ctx.Err() != nil { // the time for the answer is over: this may be the page that says so
		ctx = context.WithoutCancel(ctx)
	}
	err := page.Render(ctx, &b)
	if err != nil && ctx.Err() != nil {
		s.fail(w, r, err)
		return
	}
	if err != nil {
		s.log.Error("could not render a page", "request", requestID(r), "path", r.URL.Path, "err", err)
		http.Error(w, "Something went wrong here. Please try again.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "private, no-cache")
	}
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // whoever went away needs no answer
}

// html renders a piece of a page.
func (s *Server) html(c templ.Component) string {
	html, err := htmlWithin(context.Background(), c)
	if err != nil {
		s.log.Error("could not render a piece of a page", "err", err) // writing to a Buffer does not fail
	}
	return html
}

// htmlWithin renders a piece of a page that may be long, such as many messages,
// unless the context ends meanwhile: the code of templ asks that at each
// component, and so at each message.
func htmlWithin(ctx context.Context, c templ.Component) (string, error) {
	var b bytes.Buffer
	err := c.Render(ctx, &b)
	return b.String(), err
}

// patch answers a Datastar request with events for the one page that asked.
func (s *Server) patch(w http.ResponseWriter, _ *http.Request, events ...[]byte) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(bytes.Join(events, nil)) // in one write; see views.rewind
}

// isDatastar tells whether a page asks for patches.
func isDatastar(r *http.Request) bool { return r.Header.Get("Datastar-Request") == "true" }

// wantsJSON tells whether a program asks.
func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "json") && !strings.Contains(r.Header.Get("Accept"), "text/html")
}
