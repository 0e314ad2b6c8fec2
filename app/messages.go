package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/markup"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// postMessage says something in a room. It answers once the message is
// stored for good, and tells everybody, the poster's own pages included,
// after that.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil { // first, so that every refusal can show the text
		return err
	}
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	said, post, err := s.say(r, room, me)
	var refusal *chat.Error
	if errors.As(err, &refusal) && !wantsJSON(r) {
		// Without script: the room again, with the text and what is wrong.
		h, pageErr := s.historyAt(r, room, db.Place{})
		if pageErr != nil {
			return pageErr
		}
		refusal.Field = "body"
		return s.showRoom(w, r, status(refusal), h, 0, field(s.lang(r), "body", r.PostForm.Get("body"), refusal))
	}
	if err != nil {
		return err
	}
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]int64{"seq": said.Seq, "rev": said.Rev})
	} else {
		http.Redirect(w, r, fmt.Sprintf("%s#m-%d", roomPath(room), said.Seq), http.StatusSeeOther)
	}
	// The answer goes first: a page that knows the message's number takes its
	// "sending" line away in the moment in which the message appears.
	_ = http.NewResponseController(w).Flush()
	s.members.said(room.ID, me.ID)
	s.bus.Wake(room.ID, said.Rev)
	s.seen(me.ID)
	if post.Calls() {
		s.tellCalled(r.Context(), room.ID, said.Seq)
	}
	if s.presence.Typed(room.ID, me) {
		s.tellTyping(typist{Room: room.ID, Person: me, Stopped: true})
	}
	return nil
}

func (s *Server) say(r *http.Request, room chat.Room, me chat.Person) (db.Said, db.Post, error) {
	typed, err := chat.ParseBody(r.PostForm.Get("body"), s.cfg.Limits)
	if err != nil {
		return db.Said{}, db.Post{}, err
	}
	nonce, err := chat.ParseNonce(r.PostForm.Get("nonce"))
	if err != nil {
		return db.Said{}, db.Post{}, err
	}
	if err := s.mayPost(r, me); err != nil {
		return db.Said{}, db.Post{}, err
	}
	text, err := s.textOf(r.Context(), room, typed)
	if err != nil {
		return db.Said{}, db.Post{}, err
	}
	post := db.Post{AuthorID: me.ID, Nonce: nonce, Text: text, Typed: typed}
	said, err := s.store.Say(r.Context(), room.ID, post)
	return said, post, err
}

// textOf makes a text ready to be stored: the one place that knows what people
// may have typed into it.
func (s *Server) textOf(_ context.Context, _ chat.Room, typed string) (db.Text, error) {
	return db.Text{Body: typed}, nil
}

// mayPost is flood control for everything that is written.
func (s *Server) mayPost(r *http.Request, me chat.Person) error {
	addr, _ := s.clientAddr(r)
	if !s.limits.mayPost(me.ID, addr, s.now()) {
		return chat.Refuse(chat.TooMany, chat.TooFast)
	}
	return nil
}

// getMessage is the permalink: the message in its context.
func (s *Server) getMessage(w http.ResponseWriter, r *http.Request) error {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	if room.Slug != r.PathValue("slug") {
		http.Redirect(w, r, messagePath(room, seq), http.StatusFound)
		return nil
	}
	h, err := s.historyAt(r, room, db.Place{Around: seq})
	if err != nil {
		return err
	}
	return s.showRoom(w, r, http.StatusOK, h, seq, views.Field{})
}

// messageOf reads room and seq from the path.
func (s *Server) messageOf(r *http.Request) (chat.Room, int64, error) {
	room, err := s.roomOf(r)
	if err != nil {
		return room, 0, err
	}
	seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
	if err != nil || seq < 1 {
		return room, 0, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	return room, seq, nil
}

// ownMessageOf reads the message in the path for its author to change.
func (s *Server) ownMessageOf(r *http.Request) (chat.Room, chat.Message, error) {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return room, chat.Message{}, err
	}
	me, err := needMe(r)
	if err != nil {
		return room, chat.Message{}, err
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	if err != nil {
		return room, m, err
	}
	if m.Author.ID != me.ID {
		return room, m, chat.Refuse(chat.NotAllowed, chat.NotYours)
	}
	if m.Deleted() {
		return room, m, chat.Refuse(chat.Conflict, chat.MessageDeleted)
	}
	return room, m, nil
}

// getMessageEdit offers the message's text for editing: above the composer of
// an open page, or on a page of its own.
func (s *Server) getMessageEdit(w http.ResponseWriter, r *http.Request) error {
	room, m, err := s.ownMessageOf(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	p, body := s.page(r), views.Field{Value: markup.Text(m.Body, m.MentionedNames())}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#editing", datastar.ElementPatchModeInner, s.html(views.EditForm(p, room, m.Seq, body, true))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.EditPage(p, room, m.Seq, body))
	return nil
}

// postMessageEdit gives a message another text.
func (s *Server) postMessageEdit(w http.ResponseWriter, r *http.Request) error {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	if err := parseForm(r); err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	called, err := s.store.Called(r.Context(), room.ID, seq)
	if err != nil {
		return err
	}
	rev, err := s.edit(r, room, seq, me)
	if err != nil {
		refusal := s.refusalOf(r, err)
		if wantsJSON(r) && !isDatastar(r) {
			return refusal
		}
		refusal.Field = "body"
		p := s.page(r)
		body := field(p.Lang, "body", r.PostForm.Get("body"), refusal)
		if isDatastar(r) {
			s.patch(w, r, sse.Elements("#editing", datastar.ElementPatchModeInner, s.html(views.EditForm(p, room, seq, body, true))))
		} else {
			s.show(w, r, status(refusal), views.EditPage(p, room, seq, body))
		}
		return nil
	}
	s.changed(w, r, room, seq, rev)
	s.tellCalled(r.Context(), room.ID, seq, called...)
	return nil
}

func (s *Server) edit(r *http.Request, room chat.Room, seq int64, me chat.Person) (int64, error) {
	body, err := chat.ParseBody(r.PostForm.Get("body"), s.cfg.Limits)
	if err != nil {
		return 0, err
	}
	if err := s.mayPost(r, me); err != nil {
		return 0, err
	}
	text, err := s.textOf(r.Context(), room, body)
	if err != nil {
		return 0, err
	}
	version, _ := strconv.Atoi(r.PostForm.Get("version")) // without one any is meant
	return s.store.Edit(r.Context(), room.ID, seq, me.ID, version, text)
}

// getMessageDelete asks before a message is deleted.
func (s *Server) getMessageDelete(w http.ResponseWriter, r *http.Request) error {
	room, m, err := s.ownMessageOf(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.DeleteDialog(s.page(r), room, m))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.DeletePage(s.page(r), room, m))
	return nil
}

// postMessageDelete leaves a tombstone where the message was.
func (s *Server) postMessageDelete(w http.ResponseWriter, r *http.Request) error {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	if err := s.mayPost(r, me); err != nil {
		return err
	}
	called, err := s.store.Called(r.Context(), room.ID, seq)
	if err != nil {
		return err
	}
	rev, err := s.store.Delete(r.Context(), room.ID, seq, me.ID)
	if err != nil {
		return err
	}
	s.changed(w, r, room, seq, rev)
	s.members.tell(called...)
	return nil
}

// changed answers an edit or a deletion and tells everybody. In an open page
// the form goes away; the change itself comes by the stream, as for everyone.
func (s *Server) changed(w http.ResponseWriter, r *http.Request, room chat.Room, seq, rev int64) {
	switch {
	case isDatastar(r):
		s.patch(w, r, sse.Elements("#editing > *, #dialogs > *", datastar.ElementPatchModeRemove, ""),
			sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.BackToComposer())))
	case wantsJSON(r):
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int64{"seq": seq, "rev": rev})
	default:
		http.Redirect(w, r, messagePath(room, seq), http.StatusSeeOther)
	}
	if rev > 0 {
		s.bus.Wake(room.ID, rev)
	}
}

// notice tells in a dialog why an open page can't have what it asked for.
func (s *Server) notice(w http.ResponseWriter, r *http.Request, err error) error {
	p := s.page(r)
	s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner,
		s.html(views.NoticeDialog(p, sentence(p.Lang, s.refusalOf(r, err))))))
	return nil
}

// postTyping passes on that somebody types. It is never stored.
func (s *Server) postTyping(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	if s.limits.mayType(me.ID, s.now()) {
		t := typist{Room: room.ID, Person: me}
		s.noteTyping(t)
		s.tellTyping(t)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func pathEscape(slug string) string { return url.PathEscape(slug) }

func roomPath(room chat.Room) string { return "/rooms/" + pathEscape(room.Slug) }

// messagePath is a message's permalink.
func messagePath(room chat.Room, seq int64) string {
	return fmt.Sprintf("%s/messages/%d#m-%d", roomPath(room), seq, seq)
}
