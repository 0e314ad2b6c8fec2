package app

import (
	"net/http/httptest"
	"slices"
	"testing"

	"parlor/app/chat"
	"parlor/db"
)

// Addresses of mail are links, and not the server's to look at.
func TestPreviewsAreOfAddressesOfTheWeb(t *testing.T) {
	t.Parallel()
	s, _ := newHouse(t)
	r := httptest.NewRequest("GET", "/", nil)
	for body, want := range map[string][]string{
		"https://a.org/x and www.b.org。": {"https://a.org/x", "https://www.b.org/"},
		"看WWW.b.org":                     {"https://www.b.org/"},
		"me@www.b.org www.a":             nil,
		"me@b.org, <me@b.org>, [m](mailto:me@b.org) https://": nil,
		"`www.b.org`": nil,
	} {
		if got := s.links(r, chat.Room{Previews: true}, db.Text{Body: body}); !slices.Equal(got, want) {
			t.Errorf("%q: %v", body, got)
		}
	}
}
