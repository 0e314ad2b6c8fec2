package views_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/a-h/templ"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/markup"
	"parlor/views"
)

const typicalBody = "I did, on the train. It holds the place where I was reading, see https://example.org/notes/reading-place?page=2#cursor, " +
	"even through the tunnels.\nThen `go test ./...` and home. 明天见！"

func typicalPage(messages, rooms int) views.RoomPage {
	people := make([]chat.Person, 5)
	for i := range people {
		people[i] = chat.Person{ID: int64(i + 1), Nickname: fmt.Sprint("Person ", i), Hue: 7 * i}
	}
	said := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	room := chat.Room{ID: 1, Slug: "parlor", Name: "Parlor", Topic: "Everyone meets here first.", Rev: int64(messages), Said: int64(messages)}
	p := views.RoomPage{
		Page:    views.Page{Lang: i18n.English, Path: "/rooms/parlor", Me: views.ViewerOf(people[0])},
		History: views.History{Room: room, Cursor: "0123456789ab.50", Older: true},
		Here:    people, Nonce: "3b241101-e2bb-4255-8caf-4136c566a962", Newest: "/rooms/parlor",
	}
	for i := range messages {
		n := int64(i + 1)
		p.Messages = append(p.Messages, chat.Message{
			RoomID: 1, Seq: n, Rev: n, Ordinal: n, Author: people[i/2%len(people)], Body: typicalBody,
			First: i%2 == 0, NewDay: i == 0, SaidAt: said.Add(time.Duration(i) * time.Minute),
		})
	}
	for i := range rooms {
		r := room
		r.ID, r.Slug, r.Name = int64(i+1), fmt.Sprint("room-", i), fmt.Sprint("Room ", i)
		p.Rooms = append(p.Rooms, views.LobbyRoom{Glance: chat.Glance{Room: r}, Here: i % 3})
	}
	return p
}

func render(b *testing.B, c func() templ.Component) {
	b.Helper()
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := c().Render(b.Context(), &out); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(out.Len()))
}

// BenchmarkMessage renders one message, as is done once per language when it
// is said.
func BenchmarkMessage(b *testing.B) {
	p := typicalPage(1, 0)
	render(b, func() templ.Component { return views.Message(p.Lang, p.History.Room, p.Messages[0]) })
}

// BenchmarkRoomPage renders a whole page: 50 messages and twelve rooms.
func BenchmarkRoomPage(b *testing.B) {
	p := typicalPage(50, 12)
	render(b, func() templ.Component { return views.Room(p) })
}

// BenchmarkMarkup is what a message's text takes of that.
func BenchmarkMarkup(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(typicalBody)))
	for b.Loop() {
		markup.HTML(typicalBody, nil)
	}
}
