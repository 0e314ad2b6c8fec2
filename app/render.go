package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/a-h/templ"
	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/live"
	"parlor/app/sse"
	"parlor/db"
	"parlor/views"
)

// fromNothing is the place of a reader whose page can't be trusted at all.
const fromNothing = -1

// roomChanges is the hub's source: what happened in a room after a number,
// rendered once per language for everybody.
func (s *Server) roomChanges(ctx context.Context, roomID, after int64) (live.Batch, error) {
	if after == fromNothing {
		return s.newestPage(ctx, roomID, after)
	}
	c, err := s.store.Changes(ctx, roomID, after)
	if err != nil {
		return live.Batch{}, err
	}
	if c.TooMany {
		return s.newestPage(ctx, roomID, after)
	}
	batch := live.Batch{To: c.Room.Rev, Cursor: s.cursorFrames(c.Room)}
	for _, m := range c.Messages {
		batch.Pieces = append(batch.Pieces, s.messagePiece(c.Room, m))
	}
	for _, m := range c.Messages {
		if m.Quotes > 0 {
			batch.Pieces = append(batch.Pieces, s.quotePiece(c.Room, m))
		}
	}
	for _, p := range c.People {
		batch.Pieces = append(batch.Pieces, personPiece(c.Room, p))
	}
	if c.About {
		batch.Pieces = append(batch.Pieces, s.aboutPiece(c.Room))
	}
	return batch, nil
}

// messagePiece is a message, ready to send. Appending is written so that a
// page takes it only if it shows the newest end and does not have it yet.
func (s *Server) messagePiece(room chat.Room, m chat.Message) live.Piece {
	p := live.Piece{Key: fmt.Sprintf("m-%d", m.Seq), Seq: m.Seq, Rev: m.Rev}
	tail := fmt.Sprintf("#log.tail:not(:has(> #m-%d))", m.Seq)
	if m.ThreadSeq != 0 { // it also goes where its thread is shown (views.ThreadPage)
		tail = fmt.Sprintf("#log:is(.tail, .of-%d):not(:has(> #m-%d))", m.ThreadSeq, m.Seq)
	}
	for _, l := range i18n.Langs {
		html := s.html(views.Message(l, room, m))
		p.Added = append(p.Added, sse.Elements(tail, datastar.ElementPatchModeAppend, html))
		p.Changed = append(p.Changed, sse.Elements(fmt.Sprintf("#m-%d", m.Seq), datastar.ElementPatchModeOuter, html))
	}
	return p
}

// quotePiece shows what became of a message wherever one that answers it quotes
// it. It has no place of its own, and so comes behind those (live.Batch), which
// may have been rendered earlier.
func (s *Server) quotePiece(room chat.Room, m chat.Message) live.Piece {
	p := live.Piece{Key: fmt.Sprintf("q-%d", m.Seq), Rev: m.Rev}
	of := fmt.Sprintf(`[data-quote="%d"]`, m.Seq) // also in a composer
	for _, l := range i18n.Langs {
		html := s.html(views.Quoted(l, room, *chat.QuoteOf(m), m.MentionedNames()))
		p.Changed = append(p.Changed, sse.Elements(of, datastar.ElementPatchModeInner, html))
	}
	return p
}

// personPiece shows a person's present nickname wherever it stands. Its number
// is the batch's, not the rename's, which is not at hand: it comes behind all
// that was rendered before, and to have it twice does no harm.
func personPiece(room chat.Room, person chat.Person) live.Piece {
	frame := append(
		sse.Elements(fmt.Sprintf(`[data-name="%d"]`, person.ID), datastar.ElementPatchModeInner, templ.EscapeString(person.Nickname)),
		sse.Elements(fmt.Sprintf(`:is(#log, #dialogs) [data-author="%d"] > .seal`, person.ID), datastar.ElementPatchModeInner, templ.EscapeString(person.Initial()))...)
	return live.Piece{Key: fmt.Sprintf("p-%d", person.ID), Rev: room.Rev, Changed: same(frame)}
}

// aboutPiece is the room's name and topic, and its name above a thread.
func (s *Server) aboutPiece(room chat.Room) live.Piece {
	p := live.Piece{Key: "about", Rev: room.AboutRev}
	text := func(selector, text string) []byte {
		return sse.Elements(selector, datastar.ElementPatchModeInner, templ.EscapeString(text))
	}
	for _, l := range i18n.Langs {
		p.Changed = append(p.Changed, slices.Concat(
			sse.Elements("", datastar.ElementPatchModeOuter, s.html(views.About(l, room))),
			text(":root:not(:has(> .in-thread)) title", views.RoomTitle(room)),
			text(":root:has(> .in-thread) title", views.ThreadTitle(l, room)),
			text(".in-thread .topic a", i18n.ThreadIn.In(l, room.Name))))
	}
	return p
}

// newestPage brings any page up to date that missed too much: one that shows
// the newest end gets it afresh, with a divider; one that shows old history
// is told to ask for what it shows (see views.catchUp). A page that comes
// from another database gets the newest end wherever it was.
func (s *Server) newestPage(ctx context.Context, roomID, after int64) (live.Batch, error) {
	page, err := s.store.Page(ctx, roomID, db.Place{})
	if err != nil {
		return live.Batch{}, err
	}
	h := s.history(page)
	signals, selector := map[string]any{"_behind": h.Cursor}, ".scroll.at-end #history:has(> #log.tail)"
	if after == fromNothing { // how often a mark was set back in another database says nothing
		signals, selector = map[string]any{"_behind": "", "_turn": anyTurn}, "#history"
	} else if h.Missed, h.MissedFrom, err = s.missed(ctx, page, after); err != nil {
		return live.Batch{}, err
	}
	batch := live.Batch{To: page.Room.Rev, TooMany: true, Cursor: s.cursorFrames(page.Room)}
	about := s.aboutPiece(page.Room).Changed
	for i, l := range i18n.Langs {
		batch.Restart = append(batch.Restart, slices.Concat(
			sse.Signals(signals, ""),
			sse.Elements(selector, datastar.ElementPatchModeReplace, s.html(views.HistoryView(l, h))),
			about[i], batch.Cursor[i]))
	}
	return batch, nil
}

// missed counts the messages after a number and finds the seq after which they
// begin; both are 0 when there are none.
func (s *Server) missed(ctx context.Context, page db.Page, after int64) (count, from int64, err error) {
	count, first, err := s.store.SaidAfter(ctx, page.Room, after)
	if err != nil || count == 0 {
		return 0, 0, err
	}
	return count, first - 1, nil
}

// history is a page of history as views show it.
func (s *Server) history(page db.Page) views.History {
	return views.History{
		Room: page.Room, Cursor: s.cursor(page.Room), Messages: page.Messages,
		Older: page.Older, Newer: page.Newer,
	}
}

// cursor is the place of a reader who has seen everything of the room.
func (s *Server) cursor(room chat.Room) string {
	return chat.Cursor{Epoch: room.Epoch, Rev: room.Rev}.String()
}

// cursorFrames end a batch: the page's cursor, and how many messages there are.
func (s *Server) cursorFrames(room chat.Room) live.Variants {
	cursor := s.cursor(room)
	return same(sse.Signals(map[string]any{"cursor": cursor, "_said": room.Said}, cursor))
}

// same is one frame for all languages.
func same(frame []byte) live.Variants {
	v := make(live.Variants, len(i18n.Langs))
	for i := range v {
		v[i] = frame
	}
	return v
}
