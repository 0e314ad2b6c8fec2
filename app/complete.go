package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/emoji"
	"parlor/app/i18n"
	"parlor/app/sse"
	"parlor/views"
)

const (
	mostCompletions    = 8
	mostCompletionWord = 160 // bytes
)

// getComplete lists what the word at somebody's caret may become: ":smi" an
// emoji, "@zs" a person.
func (s *Server) getComplete(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	if _, err := needMe(r); err != nil {
		return err
	}
	word := r.URL.Query().Get("q")
	found, err := s.completions(r, room, word)
	if err != nil {
		return err
	}
	if isDatastar(r) {
		list := s.html(views.Completions(s.lang(r), found))
		s.patch(w, r, sse.Elements("#completions", datastar.ElementPatchModeInner, list),
			sse.Signals(views.CompletionSignals(word, found), ""))
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	out := make([]map[string]string, len(found))
	for i, c := range found {
		out[i] = map[string]string{"insert": c.Insert, "name": c.Name}
	}
	return json.NewEncoder(w).Encode(out)
}

// completions are the ways to end a word in a room, the best first. A word
// that nothing is known about has none.
func (s *Server) completions(r *http.Request, room chat.Room, word string) ([]views.Completion, error) {
	if len(word) > mostCompletionWord || !utf8.ValidString(word) {
		return nil, nil
	}
	if typed, ok := strings.CutPrefix(word, ":"); ok && typed != "" {
		return emojiCompletions(s.lang(r), typed), nil
	}
	if typed, ok := strings.CutPrefix(strings.Replace(word, "＠", "@", 1), "@"); ok {
		return s.mentionCompletions(r, room, typed)
	}
	return nil, nil
}

func emojiCompletions(l i18n.Lang, typed string) []views.Completion {
	var out []views.Completion
	for _, e := range emoji.Find(typed, mostCompletions) {
		c := views.Completion{Insert: e.Text, Symbol: e.Text, Name: ":" + e.Code + ":"}
		if l == i18n.Chinese {
			c.Note = e.Chinese
		}
		out = append(out, c)
	}
	return out
}
