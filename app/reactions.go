package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/emoji"
	"parlor/app/i18n"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// mostPicked is how many emoji the picker shows, mostSought how long a name may
// be for which any are.
const (
	mostPicked = 96
	mostSought = 64 // bytes
)

var wants = map[string]db.Want{"": db.Toggle, "give": db.Give, "take": db.Take}

// postReaction gives a message an emoji, or takes back what the person gave:
// want says which of the two, so that it can be repeated; a form without script
// can't know it. In an open page the stream shows it, as to everyone.
func (s *Server) postReaction(w http.ResponseWriter, r *http.Request) error {
	a, err := readAsked(r)
	if err != nil {
		return err
	}
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	given := cmp.Or(r.URL.Query().Get("emoji"), r.PostForm.Get("emoji")) // a page puts it into the address
	want, known := wants[a.Want]
	if !known {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	if !emoji.Valid(given) {
		return chat.RefuseField("emoji", chat.NotAnEmoji)
	}
	if err := s.mayPost(r, me); err != nil {
		return err
	}
	done, err := s.store.React(r.Context(), room.ID, seq, me.ID, given, want)
	if err != nil {
		return err
	}
	switch {
	case isDatastar(r):
		w.WriteHeader(http.StatusNoContent)
	case wantsJSON(r):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"seq": seq, "rev": cmp.Or(done.Rev, room.Rev), "given": done.Given})
	default:
		http.Redirect(w, r, messagePath(room, seq), http.StatusSeeOther)
	}
	if done.Rev > 0 {
		s.bus.Wake(room.ID, done.Rev)
	}
	if done.Crowded {
		s.tellOwn(r.Context(), room, seq, me)
	}
	return nil
}

// tellOwn tells all pages of a person what they gave a message. Where it is not
// heard, the message says it as long as they are among the latest of its people.
func (s *Server) tellOwn(ctx context.Context, room chat.Room, seq int64, me chat.Person) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	given, err := s.store.OwnReactions(ctx, room.ID, seq, me.ID)
	if err != nil {
		s.log.Warn("pages will learn of a reaction when they are opened again", "err", err)
		return
	}
	own := ownReactions{me.ID, room.ID, seq, given}
	s.members.showOwn(own)
	s.bus.Tell(toldOwn, fmt.Sprint(me.ID, "/", room.ID, "/", seq), own)
}

// getReactions tells somebody what they gave a message to which more people
// react than everybody is told of.
func (s *Server) getReactions(w http.ResponseWriter, r *http.Request) error {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	given, err := s.store.OwnReactions(r.Context(), room.ID, seq, me.ID)
	if err != nil {
		return err
	}
	switch {
	case isDatastar(r):
		s.patch(w, r, ownReactions{me.ID, room.ID, seq, given}.signals())
	case wantsJSON(r):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"seq": seq, "given": given})
	default:
		http.Redirect(w, r, messagePath(room, seq), http.StatusSeeOther)
	}
	return nil
}

// getReact offers emoji for a message: in a dialog of an open page, or on a page
// of its own. ?q= looks for some.
func (s *Server) getReact(w http.ResponseWriter, r *http.Request) error {
	room, m, err := s.toReactTo(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	p := s.page(r)
	sought := r.URL.Query().Get("q")
	picker := views.Picker{Room: room, Message: m, Quick: quick, Sought: sought, Found: findEmoji(p.Lang, sought)}
	switch {
	case isDatastar(r) && r.URL.Query().Has("q"):
		s.patch(w, r, sse.Elements("#found", datastar.ElementPatchModeOuter, s.html(views.FoundEmoji(p.Lang, picker))))
	case isDatastar(r):
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.PickerDialog(p, picker))))
	default:
		s.show(w, r, http.StatusOK, views.PickerPage(p, picker))
	}
	return nil
}

// toReactTo reads the message in the path for somebody to react to.
func (s *Server) toReactTo(r *http.Request) (chat.Room, chat.Message, error) {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return room, chat.Message{}, err
	}
	if _, err := needMe(r); err != nil {
		return room, chat.Message{}, err
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	if err == nil && m.Deleted() {
		err = chat.Refuse(chat.Conflict, chat.ReactionTooLate)
	}
	return room, m, err
}

// quick are offered first: what people answer with most.
var quick = []string{"👍", "❤️", "😂", "🎉", "🙏", "👀"}

// findEmoji finds emoji by a name, or the one that was typed; for "" the
// well-known ones.
func findEmoji(l i18n.Lang, typed string) []views.Emoji {
	typed = strings.TrimSpace(typed)
	if len(typed) > mostSought {
		return nil
	}
	if emoji.Valid(typed) {
		return []views.Emoji{{Text: typed, Name: typed}}
	}
	var out []views.Emoji
	for _, e := range emoji.Find(strings.ReplaceAll(typed, " ", "_"), mostPicked) {
		out = append(out, views.Emoji{Text: e.Text, Name: emojiName(l, e)})
	}
	return out
}

// emojiName is what a screen reader says, and a mouse shows.
func emojiName(l i18n.Lang, e emoji.Emoji) string {
	if name, _, _ := strings.Cut(e.Chinese, " "); l == i18n.Chinese && name != "" {
		return name
	}
	return strings.ReplaceAll(e.Code, "_", " ")
}
