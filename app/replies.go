package app

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// parentOf is the message that a posted form answers: the one it was begun
// for, else the first one of the thread on whose page it stands; nil: none. A
// thread goes on when its first message is deleted.
func (s *Server) parentOf(r *http.Request, room chat.Room) (*chat.Message, error) {
	text := r.PostForm.Get("parent")
	inThread := text == ""
	if inThread {
		text = r.PostForm.Get("thread")
	}
	if text == "" {
		return nil, nil
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 1 {
		return nil, chat.RefuseField("body", chat.NoSuchParent)
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Kind == chat.NotFound {
		return nil, &chat.Error{Kind: chat.NotFound, Field: "body", Reason: chat.NoSuchParent}
	}
	if err != nil {
		return nil, err
	}
	if m.Deleted() && !(inThread && m.Replies > 0) {
		return nil, &chat.Error{Kind: chat.Conflict, Field: "body", Reason: chat.ParentDeleted}
	}
	return &m, nil
}

// threadOf is the first message of the thread that a request is about; 0: none.
func threadOf(values url.Values) (int64, error) {
	text := values.Get("thread")
	if text == "" {
		return 0, nil
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 1 {
		return 0, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
	}
	return seq, nil
}

// answeredBy is parentOf for what is said under a nonce. What was said already
// is told again, whatever became of its parent.
func (s *Server) answeredBy(r *http.Request, room chat.Room, me chat.Person, nonce string) (parent int64, already db.Said, err error) {
	m, err := s.parentOf(r, room)
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Reason == chat.ParentDeleted {
		said, found, lookErr := s.store.SaidBefore(r.Context(), room.ID, me.ID, nonce)
		if found || lookErr != nil {
			return 0, said, lookErr
		}
	}
	if m == nil || err != nil {
		return 0, db.Said{}, err
	}
	return m.Seq, db.Said{}, nil
}

// getReply begins an answer: in the composer of an open page, or on a page of
// its own.
func (s *Server) getReply(w http.ResponseWriter, r *http.Request) error {
	room, m, err := s.answerable(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#composer .replying", datastar.ElementPatchModeInner, s.html(views.Replying(s.lang(r), room, m))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.ReplyPage(s.page(r), room, m, db.NewNonce()))
	return nil
}

func (s *Server) answerable(r *http.Request) (chat.Room, chat.Message, error) {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return room, chat.Message{}, err
	}
	if _, err := needMe(r); err != nil {
		return room, chat.Message{}, err
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	if err == nil && m.Deleted() {
		err = chat.Refuse(chat.Conflict, chat.ParentDeleted)
	}
	return room, m, err
}

// getThread shows a message with what was answered to it. To an open page that
// missed too much it sends the messages as they are now.
func (s *Server) getThread(w http.ResponseWriter, r *http.Request) error {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	place, err := placeOf(r)
	if err != nil {
		return err
	}
	t, err := s.store.Thread(r.Context(), room, seq, place)
	if err != nil {
		return err
	}
	if t.Root.ThreadSeq != 0 { // an answer: show it where it belongs
		http.Redirect(w, r, fmt.Sprintf("%s#m-%d", threadPath(room, t.Root.ThreadSeq), seq), http.StatusFound)
		return nil
	}
	shown := views.Thread{
		Room: room, Cursor: s.cursor(room), Root: t.Root, Replies: t.Replies, Older: t.Older, Newer: t.Newer,
	}
	if isDatastar(r) {
		log, err := htmlWithin(r.Context(), views.ThreadLog(s.lang(r), shown))
		if err != nil {
			return err
		}
		s.patch(w, r,
			sse.Elements("#thread", datastar.ElementPatchModeReplace, log),
			sse.Signals(map[string]any{"_behind": "", "_tail": !t.Newer}, ""))
		return nil
	}
	s.knowBrowser(w, r)
	p := s.page(r)
	if who := me(r); who != nil {
		at := db.DraftPlace{RoomID: room.ID, PersonID: who.ID, ThreadSeq: seq}
		drafts, err := s.store.ThreadDrafts(r.Context(), []db.DraftPlace{at})
		if err != nil {
			return err
		}
		p.Me.Draft = drafts[at].Text // not the room's
	}
	page := s.roomPage(p, views.History{Room: room, Cursor: shown.Cursor, Newer: t.Newer})
	page.Nonce, page.Thread = db.NewNonce(), seq
	s.show(w, r, http.StatusOK, views.ThreadPage(page, shown))
	return nil
}

// threadPath is the page of the thread that began with a message.
func threadPath(room chat.Room, seq int64) string {
	return fmt.Sprintf("%s/messages/%d/thread", roomPath(room), seq)
}
