package app

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowly sends a body in pieces that take longer than a server waits by itself.
type slowly struct{ pieces int }

func (s *slowly) Read(p []byte) (int, error) {
	if s.pieces == 0 {
		return 0, io.EOF
	}
	s.pieces--
	time.Sleep(80 * time.Millisecond)
	return copy(p, "piece"), nil
}

func TestSlowUploadGoesOnAsLongAsItComes(t *testing.T) {
	for name, patient := range map[string]bool{"patient": true, "as other requests": false} {
		web := newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if patient {
				r = patiently(w, r)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
			fmt.Fprint(w, len(body))
		}), slog.New(slog.DiscardHandler))
		web.ReadTimeout, web.WriteTimeout = 200*time.Millisecond, 300*time.Millisecond
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = web.Serve(listener) }()
		t.Cleanup(func() { _ = web.Close() })
		resp, err := http.Post("http://"+listener.Addr().String(), "text/plain", &slowly{pieces: 10})
		ok := err == nil
		if ok {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			ok = resp.StatusCode == http.StatusOK && string(body) == "50"
		}
		if ok != patient {
			t.Errorf("%s: arrived: %v, %v", name, ok, err)
		}
	}
}

// Whatever a form holds, it is refused or read; never an error of ours.
func FuzzMultipart(f *testing.F) {
	f.Add("--a\r\nContent-Disposition: form-data; name=body\r\n\r\nhello\r\n--a\r\nContent-Disposition: form-data; name=upload; filename=x\r\n\r\nx\r\n--a--\r\n")
	f.Add("--a\r\nContent-Disposition: form-data; filename=\"../x\"\r\n\r\n--a--")
	f.Fuzz(func(t *testing.T, body string) {
		r, err := http.NewRequest(http.MethodPost, "/rooms/x/files", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=a")
		err = readMultipart(r, 1<<20, func(name string, content io.Reader) error {
			if name == "" || strings.ContainsAny(name, "/\\") && name != "/" {
				t.Errorf("a file called %q", name)
			}
			_, err := io.Copy(io.Discard, content)
			return err
		})
		_ = err // refused or not
		if r.PostForm == nil {
			t.Error("no form")
		}
	})
}
