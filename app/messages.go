package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/search"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// postMessage says something in a room. It answers once the message is
// stored for good, and tells everybody, the poster's own pages included,
// after that.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) error {
	fileErr := s.readMessageForm(w, r) // first, so that every refusal can show the text
	if refusal := (*chat.Error)(nil); fileErr != nil && (!errors.As(fileErr, &refusal) || refusal.Field != "upload") {
		return fileErr
	}
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	said, to, err := uttered{}, led{}, fileErr
	if err == nil {
		said, to, err = s.say(w, r, room, me)
	}
	var refusal *chat.Error
	if errors.As(err, &refusal) && !wantsJSON(r) {
		// Without script: the room again, with the text and what is wrong.
		refusal.Field = "body"
		return s.showComposer(w, r, status(refusal), room, me, field(s.lang(r), "body", r.PostForm.Get("body"), refusal))
	}
	if err != nil {
		return err
	}
	if to.Command != "" {
		showLed(w, r, to)
		return nil
	}
	s.answerSaid(w, r, room, me, said)
	// The answer goes first: a page that knows the message's number takes its
	// "sending" line away in the moment in which the message appears.
	_ = http.NewResponseController(w).Flush()
	s.tellSaid(r, room, me, said)
	return nil
}

// answerSaid says to the poster that the message is stored: a program gets its
// numbers, a plain form is led to it.
func (s *Server) answerSaid(w http.ResponseWriter, r *http.Request, room chat.Room, me chat.Person, said uttered) {
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]int64{"seq": said.Seq, "rev": said.Rev})
		return
	}
	path := roomPath(room)
	if thread, err := threadOf(r.PostForm); err == nil && thread != 0 {
		path = threadPath(room, thread)
	} else if _, err := s.store.Read(r.Context(), room.ID, me.ID, said.Seq, anyTurn); err != nil {
		// Without script to note it: this leads to the room's end.
		s.log.Warn("what was read is not noted", "err", err)
	}
	http.Redirect(w, r, fmt.Sprintf("%s#m-%d", path, said.Seq), http.StatusSeeOther)
}

// tellSaid tells everybody what was said: the room, those whom it calls, and
// the poster's own pages, where the draft is sent and the typing has an end.
func (s *Server) tellSaid(r *http.Request, room chat.Room, me chat.Person, said uttered) {
	if draft, err := chat.ParseDraft(r.PostForm.Get("body"), s.cfg.Limits); err == nil {
		thread, _ := threadOf(r.PostForm)
		s.members.said(db.DraftPlace{RoomID: room.ID, PersonID: me.ID, ThreadSeq: thread}, draft)
	}
	s.bus.Wake(room.ID, said.Rev)
	s.seen(me.ID)
	if said.calls {
		s.tellCalled(r.Context(), room.ID, said.Seq)
	}
	if s.presence.Typed(room.ID, me) {
		s.tellTyping(typist{Room: room.ID, Person: me, Stopped: true})
	}
}

// uttered is what was said.
type uttered struct {
	db.Said
	calls bool // it may want somebody's attention
}

// say says what a form holds, or does what it commands: the one place in which
// it is decided which of the two it is.
func (s *Server) say(w http.ResponseWriter, r *http.Request, room chat.Room, me chat.Person) (uttered, led, error) {
	typed, err := chat.ParseBody(r.PostForm.Get("body"), s.cfg.Limits)
	if len(r.PostForm["file"]) > 0 && chat.IsReason(err, chat.MessageEmpty) {
		err = nil // the files say it
	}
	if err != nil {
		return uttered{}, led{}, err
	}
	command, err := chat.ParseCommand(typed)
	if err != nil {
		return uttered{}, led{}, err
	}
	nonce, err := chat.ParseNonce(r.PostForm.Get("nonce"))
	if err != nil {
		return uttered{}, led{}, err
	}
	if err := s.mayPost(r, me); err != nil {
		return uttered{}, led{}, err
	}
	if !command.Speaks() {
		to, err := s.obey(w, r, room, me, command)
		return uttered{}, to, err
	}
	parent, already, err := s.answeredBy(r, room, me, nonce)
	if err != nil || already.Seq != 0 {
		return uttered{Said: already}, led{}, err
	}
	fileIDs, files, err := s.filesOf(r, room, me, nonce)
	if err != nil {
		return uttered{}, led{}, err
	}
	text, err := s.textOf(r.Context(), room, command.Text)
	if err != nil {
		return uttered{}, led{}, err
	}
	text.Links = s.links(r, room, text)
	found := said(chat.Message{Body: text.Body, Files: files})
	found.Reply = parent != 0
	post := db.Post{
		AuthorID: me.ID, Nonce: nonce, Text: text, Emote: command.Verb == chat.Me, ParentSeq: parent, Files: fileIDs, Typed: command.Text,
		Terms: search.Terms(found),
	}
	at, err := s.store.Say(r.Context(), room.ID, post)
	if err == nil && len(text.Links) > 0 {
		s.previews.want(linked{room, at.Seq, text.Links})
	}
	return uttered{at, post.Calls()}, led{}, err
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

// notice tells in a dialog why an open page can't have what it asked for.
func (s *Server) notice(w http.ResponseWriter, r *http.Request, err error) error {
	p := s.page(r)
	s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeAppend,
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

func roomPath(room chat.Room) string { return "/rooms/" + url.PathEscape(room.Slug) }

// messagePath is a message's permalink.
func messagePath(room chat.Room, seq int64) string {
	return fmt.Sprintf("%s/messages/%d#m-%d", roomPath(room), seq, seq)
}
