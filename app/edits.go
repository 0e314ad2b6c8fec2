package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/markup"
	"parlor/app/sse"
	"parlor/views"
)

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
	return room, m, m.MayChange(me.ID)
}

// editableOf is ownMessageOf for another text.
func (s *Server) editableOf(r *http.Request) (chat.Room, chat.Message, error) {
	room, m, err := s.ownMessageOf(r)
	if err != nil {
		return room, m, err
	}
	return room, m, m.MayEdit(m.Author.ID, s.now(), s.cfg.EditWindow)
}

// editing is a message as a form begins to change it.
func (s *Server) editing(m chat.Message) views.Editing {
	e := views.Editing{Seq: m.Seq, Version: m.Version, Body: views.Field{Value: markup.Text(m.Body, m.MentionedNames())}}
	if s.cfg.EditWindow > 0 {
		until := m.SaidAt.Add(s.cfg.EditWindow)
		e.Until = &until
	}
	return e
}

// showEditing shows the form: above the composer of an open page, or on a page
// of its own.
func (s *Server) showEditing(w http.ResponseWriter, r *http.Request, code int, room chat.Room, e views.Editing) {
	p := s.page(r)
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#editing", datastar.ElementPatchModeInner, s.html(views.EditForm(p, room, e, true))))
		return
	}
	s.show(w, r, code, views.EditPage(p, room, e))
}

// getMessageEdit offers the message's text for editing.
func (s *Server) getMessageEdit(w http.ResponseWriter, r *http.Request) error {
	room, m, err := s.editableOf(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	s.showEditing(w, r, http.StatusOK, room, s.editing(m))
	return nil
}

// getLastEdit offers what one said last in the room, or in a thread of it, for
// editing, as far as it can be on the page. An open page in which nothing is
// there to be edited stays as it is.
func (s *Server) getLastEdit(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	var after time.Time
	if s.cfg.EditWindow > 0 {
		after = s.now().Add(-s.cfg.EditWindow)
	}
	thread, err := threadOf(r.URL.Query())
	if err != nil {
		return err
	}
	seq, err := s.store.LastOwn(r.Context(), room.ID, me.ID, thread, after, mostShown)
	var refusal *chat.Error
	if isDatastar(r) && errors.As(err, &refusal) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	r.SetPathValue("seq", strconv.FormatInt(seq, 10))
	return s.getMessageEdit(w, r)
}

// postMessageEdit gives a message another text. After a refusal the form comes
// back with the text as it was typed; where the message was changed meanwhile,
// beside it the text as it is now, and saving again takes the place of that.
func (s *Server) postMessageEdit(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil { // first, so that every refusal can show the text
		return err
	}
	room, m, err := s.editableOf(r)
	var rev int64
	var called []int64 // by the text so far
	if err == nil {
		called, err = s.store.Called(r.Context(), room.ID, m.Seq)
	}
	if err == nil {
		rev, err = s.edit(r, room, m)
	}
	if err == nil {
		s.changed(w, r, room, m.Seq, rev)
		s.tellCalled(r.Context(), room.ID, m.Seq, called...)
		return nil
	}
	var refusal *chat.Error
	if !errors.As(err, &refusal) || m.Seq == 0 || refusal.Reason == chat.NotYours || wantsJSON(r) {
		return err
	}
	e := s.editing(m)
	if version, err := strconv.Atoi(r.PostForm.Get("version")); err == nil {
		e.Version = version
	}
	if refusal.Present != nil {
		e.Present, e.Version = refusal.Present, refusal.Present.Version
	}
	refusal.Field = "body"
	e.Body = field(s.lang(r), "body", r.PostForm.Get("body"), refusal)
	s.showEditing(w, r, status(refusal), room, e)
	return nil
}

func (s *Server) edit(r *http.Request, room chat.Room, m chat.Message) (int64, error) {
	body, err := chat.ParseBody(r.PostForm.Get("body"), s.cfg.Limits)
	if err != nil {
		return 0, err
	}
	version := 0 // without one any is meant
	if text := r.PostForm.Get("version"); text != "" {
		if version, err = strconv.Atoi(text); err != nil || version < 1 {
			return 0, chat.Refuse(chat.Malformed, chat.FormMalformed)
		}
	}
	if err := s.mayPost(r, m.Author); err != nil {
		return 0, err
	}
	text, err := s.textOf(r.Context(), room, body, m.Mentioned...)
	if err != nil {
		return 0, err
	}
	text.Links = s.links(r, room, text)
	rev, err := s.store.Edit(r.Context(), room.ID, m.Seq, m.Author.ID, version, text)
	if err == nil && rev > 0 && len(text.Links) > 0 {
		s.previews.want(linked{room, m.Seq, nil}) // Edit noted them
	}
	var refusal *chat.Error
	if errors.As(err, &refusal) && refusal.Reason == chat.EditConflict {
		present, readErr := s.store.Message(r.Context(), room.ID, m.Seq)
		if readErr != nil {
			return 0, readErr
		}
		refusal.Present = &present
	}
	return rev, err
}

// getVersions shows what a message said before it was edited.
func (s *Server) getVersions(w http.ResponseWriter, r *http.Request) error {
	v, err := s.versionsOf(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	p := s.page(r)
	if isDatastar(r) {
		dialog, err := htmlWithin(r.Context(), views.VersionsDialog(p, v))
		if err != nil {
			return err
		}
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, dialog))
		return nil
	}
	s.show(w, r, http.StatusOK, views.VersionsPage(p, v))
	return nil
}

func (s *Server) versionsOf(r *http.Request) (views.Versions, error) {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return views.Versions{}, err
	}
	before := 0
	if text := r.URL.Query().Get("before"); text != "" {
		if before, err = strconv.Atoi(text); err != nil || before < 1 {
			return views.Versions{}, chat.Refuse(chat.Malformed, chat.PlaceMalformed)
		}
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	if err != nil {
		return views.Versions{}, err
	}
	if m.Deleted() {
		return views.Versions{}, chat.Refuse(chat.NotFound, chat.MessageDeleted)
	}
	if before == 0 || before > m.Version {
		before = m.Version // an edit after that was read shows nothing twice
	}
	v := views.Versions{Room: room, Message: m, Begun: before < m.Version}
	v.Earlier, v.More, err = s.store.Versions(r.Context(), room.ID, seq, before)
	return v, err
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
	s.files.clear()
	s.changed(w, r, room, seq, rev)
	if rev == 0 { // it was deleted before
		return nil
	}
	ctx, cancel := afterwards(r.Context())
	defer cancel()
	behind, err := s.store.Behind(ctx, room.ID, seq)
	if err != nil {
		s.log.Warn("to whom a deleted message was new will find out a little later", "err", err)
	}
	s.members.tell(append(called, behind...)...)
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
