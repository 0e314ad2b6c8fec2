package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// absence is how long ago the first unread message must have been said for the
// page to tell more of it than the number.
const absence = 30 * time.Minute

// longGap is when the time of day says too little.
const longGap = 20 * time.Hour

// anyTurn is for those who do not know how often a mark was set back.
const anyTurn = -1

// asked is what a page, a form or a program sends about a room: a form's
// fields, or the same as JSON.
type asked struct {
	Cursor string `json:"cursor"`
	Seq    int64  `json:"seq"`
	Turn   *int   `json:"turn"`
	Body   string `json:"body"`
	Tab    string `json:"tab"`
	N      int64  `json:"n"`
	Level  string `json:"level"`
	Want   string `json:"want"`
}

// readAsked reads it.
func readAsked(r *http.Request) (asked, error) {
	var a asked
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil && err != io.EOF {
			return a, chat.Refuse(chat.Malformed, chat.FormMalformed)
		}
		return a, nil
	}
	if err := parseForm(r); err != nil {
		return a, err
	}
	f := r.PostForm
	a.Cursor, a.Body, a.Tab, a.Level, a.Want = f.Get("cursor"), f.Get("body"), f.Get("tab"), f.Get("level"), f.Get("want")
	var err error
	if text := f.Get("seq"); text != "" {
		if a.Seq, err = strconv.ParseInt(text, 10, 64); err != nil {
			return a, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
		}
	}
	return a, nil
}

// memberOf is the room in the path, and who asks.
func (s *Server) memberOf(r *http.Request) (chat.Room, chat.Person, error) {
	room, err := s.roomOf(r)
	if err != nil {
		return room, chat.Person{}, err
	}
	me, err := needMe(r)
	return room, me, err
}

// done answers what changes nothing that others see: a page learns it by its
// stream, a plain form goes on at next.
func (s *Server) done(w http.ResponseWriter, r *http.Request, next string) error {
	if isDatastar(r) || wantsJSON(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// quiet is for what pages do by themselves: a refusal tells the page nothing
// that its person could do anything about.
func (s *Server) quiet(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := s.mayNote(r)
		if err == nil {
			err = h(w, r)
		}
		var refusal *chat.Error
		if isDatastar(r) && errors.As(err, &refusal) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return err
	}
}

// mayNote is flood control for what only the one who asks sees.
func (s *Server) mayNote(r *http.Request) error {
	if p := me(r); p != nil && !s.limits.mayNote(p.ID, s.now()) {
		return chat.Refuse(chat.TooMany, chat.TooFast)
	}
	return nil
}

// postRead notes how far somebody has read: up to a message (seq), or to
// everything that the page knew of (cursor); without either, to the end.
func (s *Server) postRead(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	upTo, turn := room.Rev, anyTurn
	if a.Cursor != "" {
		cursor, err := chat.ParseCursor(a.Cursor)
		if err != nil {
			return err
		}
		if cursor.Epoch != "" && cursor.Epoch != room.Epoch {
			return s.done(w, r, roomPath(room)) // a number of another database: the page will learn it
		}
		upTo = cursor.Rev
	} else if a.Seq != 0 {
		upTo = a.Seq
	}
	if upTo < 0 {
		return chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	if a.Turn != nil {
		turn = *a.Turn
	}
	s.seen(me.ID)
	moved, err := s.store.Read(r.Context(), room.ID, me.ID, upTo, turn)
	if err != nil {
		return err
	}
	if moved {
		s.members.tell(me.ID)
	}
	return s.done(w, r, roomPath(room))
}

// postUnread sets the read mark back, so that a message is the first unread.
func (s *Server) postUnread(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	if a.Seq < 1 {
		return chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	if err := s.mayNote(r); err != nil {
		return err
	}
	if err := s.store.Unread(r.Context(), room.ID, me.ID, a.Seq); err != nil {
		return err
	}
	s.members.tell(me.ID)
	return s.done(w, r, "/")
}

// getUnread leads to the first unread message.
func (s *Server) getUnread(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	v, err := s.store.Visit(r.Context(), room.Slug, s.token(r))
	if err != nil {
		return err
	}
	if v.Person == nil || v.Person.ID != me.ID || v.Member.Unread(v.Room.Said) == 0 {
		http.Redirect(w, r, roomPath(room), http.StatusSeeOther)
		return nil
	}
	http.Redirect(w, r, fmt.Sprintf("%s?after=%d#log", roomPath(v.Room), v.Member.ReadSeq), http.StatusSeeOther)
	return nil
}

// getUnreadCSS is what a page without script shows of it beside its rooms.
func (s *Server) getUnreadCSS(w http.ResponseWriter, r *http.Request) error {
	rooms, err := s.myRooms(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(views.UnreadCSS(rooms)))
	return ignoreWrite(err)
}

// getSince tells an open page what came since its reader was there.
func (s *Server) getSince(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	gap, err := s.store.Gap(r.Context(), room.ID, me.ID)
	if err != nil {
		return err
	}
	if !isDatastar(r) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		js := map[string]any{"new": gap.New, "mentions": gap.Calls, "edited": gap.Edited, "deleted": gap.Deleted}
		if !gap.Since.IsZero() {
			js["since"] = gap.Since
		}
		_ = json.NewEncoder(w).Encode(js)
		return nil
	}
	if gap.Since.IsZero() || s.now().Sub(gap.Since) < absence {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s.patch(w, r, sse.Elements("#catch-up > :first-child", datastar.ElementPatchModeInner, s.html(views.Since(s.lang(r), gap, s.now().Sub(gap.Since) > longGap))))
	return nil
}

// postLevel says how much of a room somebody wants to hear.
func (s *Server) postLevel(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	level, err := chat.ParseLevel(a.Level)
	if err != nil {
		return err
	}
	if err := s.mayNote(r); err != nil {
		return err
	}
	if err := s.store.SetLevel(r.Context(), room.ID, me.ID, level); err != nil {
		return err
	}
	s.members.tell(me.ID)
	next := roomPath(room)
	if r.PostForm != nil && r.PostForm.Get("next") != "" {
		next = localPath(r.PostForm.Get("next"))
	}
	return s.done(w, r, next)
}

// postDraft keeps what is typed and not sent: in a room, or in a thread, that
// of the message in the path.
func (s *Server) postDraft(w http.ResponseWriter, r *http.Request) error {
	room, me, err := s.memberOf(r)
	if err != nil {
		return err
	}
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	draft, err := chat.ParseDraft(a.Body, s.cfg.Limits)
	if err != nil {
		return err
	}
	if len(a.Tab) > longestName || strings.ContainsRune(a.Tab, 0) {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	next := roomPath(room)
	if r.PathValue("seq") == "" {
		err = s.store.SaveDraft(r.Context(), room.ID, me.ID, draft, a.Tab, a.N)
	} else if _, seq, refusal := s.messageOf(r); refusal != nil {
		err = refusal
	} else {
		next = threadPath(room, seq)
		err = s.store.SaveThreadDraft(r.Context(), db.DraftPlace{RoomID: room.ID, PersonID: me.ID, ThreadSeq: seq}, draft, a.Tab, a.N)
	}
	if err != nil {
		return err
	}
	s.members.tell(me.ID)
	return s.done(w, r, next)
}

// postPresence says that somebody is there. Pages do so once in a while after
// a sign of the person.
func (s *Server) postPresence(w http.ResponseWriter, r *http.Request) error {
	me, err := needMe(r)
	if err != nil {
		return err
	}
	s.seen(me.ID)
	return s.done(w, r, "/")
}

// seen notes a sign of a person, here and on other nodes.
func (s *Server) seen(personID int64) {
	if s.presence.Seen(personID) {
		s.bus.Tell(toldSeen, fmt.Sprint(personID), personID)
	}
}

// getInbox lists who called somebody, newest first.
func (s *Server) getInbox(w http.ResponseWriter, r *http.Request) error {
	p := s.page(r)
	if p.Me == nil {
		s.show(w, r, http.StatusOK, views.SessionPage(p, views.Field{}, views.Field{}, "/inbox"))
		return nil
	}
	place, err := inboxPlace(r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	calls, more, err := s.store.Inbox(r.Context(), me(r).ID, place)
	if err != nil {
		return err
	}
	inbox := views.InboxPage{Page: p, Calls: calls}
	if more {
		last := calls[len(calls)-1]
		inbox.Next = fmt.Sprintf("%d-%d-%d", last.SaidAt.UnixMicro(), last.Room.ID, last.Seq)
	}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("", datastar.ElementPatchModeOuter, s.html(views.InboxList(inbox))))
		return nil
	}
	s.knowBrowser(w, r)
	s.show(w, r, http.StatusOK, views.Inbox(inbox))
	return nil
}

// inboxPlace reads a place in an inbox as getInbox writes it: time, room and
// message.
func inboxPlace(text string) (db.InboxPlace, error) {
	if text == "" {
		return db.InboxPlace{}, nil
	}
	var at [3]int64
	parts := strings.Split(text, "-")
	if len(parts) != len(at) {
		return db.InboxPlace{}, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 || n > 1<<53 {
			return db.InboxPlace{}, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
		}
		at[i] = n
	}
	return db.InboxPlace{SaidAt: time.UnixMicro(at[0]), Room: at[1], Message: at[2]}, nil
}
