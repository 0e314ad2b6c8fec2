package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// On HTTP/2 the deadline of a write ends the stream even after the write is
// done. A stream that is quiet for longer than a write may take lives on.
func TestQuietStreamOverHTTP2OutlivesTheWriteDeadline(t *testing.T) {
	t.Parallel()
	const most = time.Second
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write := writeWithin(most, w)
		for _, frame := range []string{"one ", "two ", "three"} {
			if err := write([]byte(frame)); err != nil {
				t.Errorf("%s: %v", frame, err)
			}
			time.Sleep(2 * most)
		}
	}))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	resp, err := web.Client().Get(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if string(got) != "one two three" || err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%s: %q, %v", resp.Proto, got, err)
	}
}
