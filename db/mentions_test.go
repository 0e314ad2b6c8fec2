package db_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parlor/app/chat"
	"parlor/db"
)

func (h *house) rename(p chat.Person, nickname string) {
	h.t.Helper()
	nick, err := chat.ParseNickname(nickname, 32)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, _, err := h.Rename(context.Background(), p.ID, nick, 32); err != nil {
		h.t.Fatal(err)
	}
}

func TestPeopleOfARoomAreFoundByName(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob, cleo := h.enter("Ann"), h.enter("Bob"), h.enter("Cleo")
	h.say(1, ann, "I belong here")
	named := func(present []int64, names ...string) string {
		t.Helper()
		people, err := h.PeopleNamed(ctx, 1, names, present)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(people)
	}
	if got, want := named([]int64{bob.ID}, "ann", "bob", "cleo", "nobody"), fmt.Sprint(map[string]int64{"ann": ann.ID, "bob": bob.ID}); got != want {
		t.Error(got)
	}
	if got := named(nil, "bob"); got != "map[]" {
		t.Error(got)
	}
	h.rename(ann, "Anna")
	if got, want := named(nil, "ann", "anna"), fmt.Sprint(map[string]int64{"anna": ann.ID}); got != want {
		t.Error(got)
	}
	_ = cleo
}

func TestMembersAreFoundByWhatOneBeginsToType(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	first := h.enter("张三")
	h.say(1, first, "在")
	h.say(1, h.enter("Zoë Bell"), "here")
	elsewhere := h.enter("Zack")
	room, err := h.MakeRoom(ctx, elsewhere.ID, "Elsewhere", "")
	if err != nil {
		t.Fatal(err)
	}
	h.say(room.ID, elsewhere, "not in the first room")
	like := func(typed string, most int) string {
		t.Helper()
		people, err := h.MembersLike(ctx, 1, chat.KeyOf(typed), most)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range people {
			names = append(names, p.Nickname)
		}
		slices.Sort(names)
		return strings.Join(names, ", ")
	}
	for typed, want := range map[string]string{
		"z": "Zoë Bell, 张三", "zs": "张三", "ZHANG": "张三", "三": "张三", "bell": "Zoë Bell", "zoe": "Zoë Bell",
		"": "Zoë Bell, 张三", "zack": "", "%": "", "_": "", "\U0010FFFF": "",
	} {
		if got := like(typed, 50); got != want {
			t.Errorf("%q finds %q, want %q", typed, got, want)
		}
	}
	h.rename(first, "李四")
	if got := like("zs", 50) + like("ls", 50) + like("李", 50); got != "李四李四" {
		t.Error(got)
	}
	for i := range 300 { // more than are looked at
		h.say(1, h.enter(fmt.Sprintf("Guest %d", i)), "hello")
	}
	if got := like("guest", 8); strings.Count(got, "Guest") != 8 {
		t.Error(got)
	}

	// Nicknames of a time before there were keys.
	if _, err := h.DB.Exec(`update people set name_keys = null`); err != nil {
		t.Fatal(err)
	}
	if got := like("ls", 50); got != "" {
		t.Error(got)
	}
	again, err := db.Open(ctx, h.url, db.Options{Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if got := like("ls", 50); got != "李四" {
		t.Error(got)
	}
}

func TestAnEditCallsEverybodyHereOnce(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	ann, bob, cleo := h.enter("Ann"), h.enter("Bob"), h.enter("Cleo")
	everybody := chat.Mention(0)
	said, err := h.Say(ctx, 1, db.Post{AuthorID: ann.ID, Nonce: db.NewNonce(), Text: db.Text{
		Body: everybody + " tea", Mentions: []db.Mention{{PersonID: bob.ID, Here: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(body string, mentions ...db.Mention) {
		t.Helper()
		if _, err := h.Edit(ctx, 1, said.Seq, ann.ID, 0, db.Text{Body: body, Mentions: mentions}); err != nil {
			t.Fatal(err)
		}
	}
	called := func() string {
		t.Helper()
		var who []string
		if err := h.DB.Select(&who, `select p.nickname || ' ' || m.reason from mentions m join people p on p.id = m.person_id order by 1`); err != nil {
			t.Fatal(err)
		}
		return strings.Join(who, ", ")
	}
	edit(everybody+" coffee", db.Mention{PersonID: bob.ID, Here: true}, db.Mention{PersonID: cleo.ID, Here: true})
	if got := called(); got != "Bob here" {
		t.Error(got)
	}
	edit("nobody")
	if got := called(); got != "" {
		t.Error(got)
	}
	edit(everybody+" and "+chat.Mention(bob.ID), db.Mention{PersonID: bob.ID}, db.Mention{PersonID: cleo.ID, Here: true})
	if got := called(); got != "Bob mention, Cleo here" {
		t.Error(got)
	}
}
