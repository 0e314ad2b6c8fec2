package db_test

import (
	"context"
	"fmt"
	"testing"

	"parlor/app/chat"
	"parlor/db"
)

func TestReplyShowsItsParentAndTheParentItsReplies(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob := h.enter("Ann"), h.enter("Bob")
	say := func(by chat.Person, body string, parent int64) int64 {
		t.Helper()
		said, err := h.Say(ctx, 1, db.Post{AuthorID: by.ID, Nonce: db.NewNonce(), Text: db.Text{Body: body}, ParentSeq: parent})
		if err != nil {
			t.Fatal(err)
		}
		return said.Seq
	}
	root := say(ann, "shall we?", 0)
	plain := say(bob, "not an answer", 0)
	reply := say(bob, "yes", root)
	nested := say(ann, "fine", reply)
	changes, err := h.Changes(ctx, 1, plain)
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[int64]chat.Message)
	for _, m := range changes.Messages {
		at[m.Seq] = m
	}
	if len(at) != 3 || at[root].Replies != 2 || at[root].Quotes != 1 || at[reply].Quotes != 1 || at[reply].Replies != 0 {
		t.Fatalf("%+v", at)
	}
	if p := at[nested].Parent; p == nil || p.Seq != reply || p.Body != "yes" || p.Author.Nickname != "Bob" || at[nested].ThreadSeq != root {
		t.Fatalf("%+v %+v", at[nested], p)
	}
	if _, err := h.Delete(ctx, 1, reply, bob.ID); err != nil {
		t.Fatal(err)
	}
	if m, err := h.Message(ctx, 1, nested); err != nil || !m.Parent.Deleted || m.Parent.Body != "" {
		t.Fatalf("%+v %v", m.Parent, err)
	}
	var reasons []string
	if err := h.DB.Select(&reasons, `select reason || ' ' || person_id || ' ' || seq from mentions order by seq`); err != nil {
		t.Fatal(err)
	}
	if len(reasons) != 1 || reasons[0] != fmt.Sprintf("reply %d %d", bob.ID, nested) { // that of the deleted one is gone
		t.Fatal(reasons)
	}
}

func TestMentionsAreKeptUnderThePresentNickname(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob, cleo := h.enter("Ann"), h.enter("Bob"), h.enter("Cleo")
	said, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{
		Body:     "hello " + chat.Mention(bob.ID) + ", and me: " + chat.Mention(ann.ID),
		Mentions: []db.Mention{{PersonID: bob.ID}, {PersonID: ann.ID}, {PersonID: cleo.ID, Here: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.Message(ctx, 1, said.Seq)
	if err != nil || len(m.Mentioned) != 2 || m.MentionedNames()[bob.ID] != "Bob" {
		t.Fatalf("%+v %v", m, err)
	}
	called := func() (who []string) {
		t.Helper()
		if err := h.DB.Select(&who, `select p.nickname || ' ' || m.reason from mentions m join people p on p.id = m.person_id order by 1`); err != nil {
			t.Fatal(err)
		}
		return who
	}
	if who := called(); len(who) != 2 || who[0] != "Bob mention" || who[1] != "Cleo here" { // nobody calls themselves
		t.Fatal(who)
	}
	nick, err := chat.ParseNickname("Robert", 32)
	if err != nil {
		t.Fatal(err)
	}
	if _, revs, err := h.Rename(ctx, bob.ID, nick, 32); err != nil || len(revs) != 1 { // who was mentioned belongs to the room
		t.Fatal(revs, err)
	}
	changes, err := h.Changes(ctx, 1, said.Rev)
	if err != nil || len(changes.People) != 1 || changes.People[0].Nickname != "Robert" {
		t.Fatalf("%+v %v", changes, err)
	}
	rev, err := h.Edit(ctx, 1, said.Seq, ann.ID, m.Version, db.Text{Body: "hello " + chat.Mention(cleo.ID), Mentions: []db.Mention{{PersonID: cleo.ID}}})
	if err != nil || rev == 0 {
		t.Fatal(rev, err)
	}
	if who := called(); len(who) != 1 || who[0] != "Cleo mention" { // no longer by everybody's name, but by hers
		t.Fatal(who)
	}
	if _, err := h.Edit(ctx, 1, said.Seq, ann.ID, m.Version, db.Text{Body: "from another tab"}); reason(err) != chat.EditConflict {
		t.Fatal(err)
	}
	if m, err := h.Message(ctx, 1, said.Seq); err != nil || m.Version != 2 || len(m.Mentioned) != 1 {
		t.Fatalf("%+v %v", m, err)
	}
}
