package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/sse"
	"parlor/views"
)

// menuFor is everything that one can do with a message, in the order in which
// it is offered. me may be nil: somebody who only looks. This is the one place
// to add to; what the server refuses should not be offered.
func menuFor(l i18n.Lang, room chat.Room, m chat.Message, me *chat.Person, saved bool) []views.MenuItem {
	at := roomPath(room) + "/messages/" + strconv.FormatInt(m.Seq, 10)
	items := []views.MenuItem{
		{Label: i18n.CopyLink.In(l), Icon: "link", URL: messagePath(room, m.Seq), Does: views.Copies},
	}
	if me == nil || m.Deleted() {
		return items
	}
	add := func(does views.Doing, icon string, label i18n.Text, path string, args ...any) {
		items = append(items, views.MenuItem{Label: label.In(l, args...), Icon: icon, URL: at + path, Does: does})
	}
	if m.PinnedAt == nil {
		add(views.Posts, "pin", i18n.Pin, "/pin")
	} else {
		add(views.Posts, "pin", i18n.Unpin, "/unpin")
	}
	if saved {
		add(views.Posts, "saved", i18n.Unsave, "/unsave")
	} else {
		add(views.Posts, "save", i18n.SaveForMe, "/save")
	}
	items = append(items, views.MenuItem{
		Label: i18n.MarkUnread.In(l), Icon: "unread", URL: roomPath(room) + "/unread", Does: views.Posts, Seq: strconv.FormatInt(m.Seq, 10),
	})
	if m.MayChange(me.ID) == nil {
		for _, v := range m.Previews {
			add(views.Posts, "remove", i18n.RemovePreview, "/previews/"+strconv.FormatInt(v.ID, 10)+"/remove", v.Site)
		}
		add(views.Asks, "edit", i18n.Edit, "/edit")
		add(views.Asks, "delete", i18n.Delete, "/delete")
	}
	return items
}

// getMessageMenu offers what one can do with a message: beside it in an open
// page, or on a page of its own.
func (s *Server) getMessageMenu(w http.ResponseWriter, r *http.Request) error {
	room, m, items, err := s.menu(r)
	if isDatastar(r) && err != nil {
		return s.notice(w, r, err)
	}
	if err != nil {
		return err
	}
	if isDatastar(r) {
		s.patch(w, r, sse.Elements("#dialogs", datastar.ElementPatchModeInner, s.html(views.MessageMenu(s.page(r), m, items))))
		return nil
	}
	s.show(w, r, http.StatusOK, views.MessageMenuPage(s.page(r), room, m, items))
	return nil
}

func (s *Server) menu(r *http.Request) (chat.Room, chat.Message, []views.MenuItem, error) {
	room, seq, err := s.messageOf(r)
	if err != nil {
		return room, chat.Message{}, nil, err
	}
	m, err := s.store.Message(r.Context(), room.ID, seq)
	if err != nil {
		return room, m, nil, err
	}
	saved, who := false, me(r)
	if who != nil {
		if saved, err = s.store.IsSaved(r.Context(), who.ID, room.ID, seq); err != nil {
			return room, m, nil, err
		}
	}
	return room, m, menuFor(s.lang(r), room, m, who, saved), nil
}

// change does something about the message in the path that needs no form of
// its own, tells everybody, and says to the one who did it that it is done.
func (s *Server) change(w http.ResponseWriter, r *http.Request, done i18n.Text,
	do func(ctx context.Context, room chat.Room, seq int64, me chat.Person) (rev int64, err error),
) error {
	if err := parseForm(r); err != nil {
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
	if err := s.mayPost(r, me); err != nil {
		return err
	}
	rev, err := do(r.Context(), room, seq, me)
	if err != nil {
		return err
	}
	switch {
	case isDatastar(r):
		// Nothing else in the page is touched: somebody may be writing.
		events := [][]byte{sse.Elements("#announce", datastar.ElementPatchModeInner, s.html(views.Done(done.In(s.lang(r)))))}
		if r.PostForm.Get("listed") != "" { // in a list that it is not on any more
			events = append(events, sse.Elements(fmt.Sprintf(`#dialogs [data-listed="%d"]`, seq), datastar.ElementPatchModeRemove, ""))
		}
		s.patch(w, r, events...)
	case wantsJSON(r):
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int64{"seq": seq, "rev": rev})
	case r.PostForm.Get("next") != "":
		http.Redirect(w, r, localPath(r.PostForm.Get("next")), http.StatusSeeOther)
	default:
		http.Redirect(w, r, messagePath(room, seq), http.StatusSeeOther)
	}
	if rev > 0 {
		s.bus.Wake(room.ID, rev)
	}
	return nil
}
