package app_test

import "testing"

// Whoever is refused is led on: to a nickname, to the room, or to the lobby.
func TestARefusalLeadsOn(t *testing.T) {
	s := newSite(t)
	ann := s.guest("Ann")
	for _, c := range []struct {
		name string
		got  answer
		code int
		link string
	}{
		{"no such message", ann.get("/rooms/parlor/messages/999"), 404, `<a class="send" href="/rooms/parlor">Back to the room</a>`},
		{"no such room", ann.get("/rooms/nowhere/settings"), 404, `<a class="send" href="/">Back to the lobby</a>`},
		{"no such page", ann.get("/nowhere"), 404, `<a class="send" href="/">Back to the lobby</a>`},
		{"no nickname", s.visitor().post("/rooms", "name", "Mine"), 401, `<a class="send" href="/session?next=%2F">Take a nickname</a>`},
	} {
		t.Run(c.name, func(t *testing.T) { contains(t, c.got, c.code, c.link) })
	}
}
