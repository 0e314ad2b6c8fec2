package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parlor/db"
)

// untilRendering is a context that ends when templ first asks it for its own
// value, that is when something is rendered: everything was read by then.
type untilRendering struct {
	context.Context
	end context.CancelFunc
}

func (c untilRendering) Value(key any) any {
	if strings.HasPrefix(fmt.Sprintf("%T", key), "templ.") {
		c.end()
	}
	return c.Context.Value(key)
}

// Messages may take long to render, so a request for many of them stops there
// when nobody waits for it any more.
func TestRenderingEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	s, people := newHouse(t, "Ann")
	room, err := s.store.Room(t.Context(), "parlor")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.store.Say(t.Context(), room.ID, db.Post{AuthorID: people[0].ID, Nonce: db.NewNonce(), Text: db.Text{Body: "costly"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, query, datastar string
		h                     handler
	}{
		{"catch-up", "from=0&to=9", "true", s.getCatchUp},
		{"history as patches", "before=9", "true", s.getRoom},
		{"history as a page", "before=9", "", s.getRoom},
		{"thread as patches", "", "true", s.getThread},
		{"thread as a page", "", "", s.getThread},
		{"versions", "", "true", s.getVersions},
	} {
		for _, ends := range []bool{false, true} {
			ctx, cancel := context.WithCancel(t.Context())
			if ends {
				ctx = untilRendering{ctx, cancel}
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/?"+c.query, nil)
			r.SetPathValue("slug", "parlor")
			r.SetPathValue("seq", "1")
			r.Header.Set("Datastar-Request", c.datastar)
			w := httptest.NewRecorder()
			s.answer(c.h).ServeHTTP(w, r)
			cancel()
			code, shown := http.StatusOK, true
			if ends {
				code, shown = http.StatusServiceUnavailable, false
			}
			if w.Code != code || strings.Contains(w.Body.String(), "costly") != shown {
				t.Errorf("%s, the request ends: %v: %d %.400s", c.name, ends, w.Code, w.Body)
			}
		}
	}
}
