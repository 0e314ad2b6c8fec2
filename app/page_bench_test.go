package app_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// BenchmarkRoomPage asks for the page of a room with 50 messages, over real
// HTTP and keep-alive connections, as a looker and as somebody signed in; and,
// between the two, a bare handler for the same bytes. "of bare" is the share
// of the bare handler's requests per second.
func BenchmarkRoomPage(b *testing.B) {
	s := newSite(b)
	furnish(s)
	for _, who := range []struct {
		name string
		*visitor
	}{{"looking", s.visitor()}, {"signed-in", s.guest("Ann")}} {
		b.Run(who.name, func(b *testing.B) {
			who.Transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
			who.get("/rooms/parlor") // its cookie
			page := who.get("/rooms/parlor", "Accept-Encoding", "gzip", "Accept-Language", "en-US,en;q=0.9")
			body := []byte(page.body)
			bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write(body)
			}))
			defer bare.Close()
			took := map[string]time.Duration{}
			perSecond := func(url string) func(*testing.B) {
				return func(b *testing.B) {
					b.SetParallelism(4)
					before := cpu()
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							req, _ := http.NewRequest(http.MethodGet, url, nil)
							req.Header.Set("Accept-Encoding", "gzip")
							req.Header.Set("Accept-Language", "en-US,en;q=0.9")
							resp, err := who.Do(req)
							if err != nil {
								b.Error(err)
								return
							}
							_, _ = io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
					})
					b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "µs-cpu/op")
					took[url] = b.Elapsed() / time.Duration(b.N)
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
				}
			}
			ours := s.web.URL + "/rooms/parlor"
			b.Run("bare", perSecond(bare.URL))
			b.Run("parlor", func(b *testing.B) {
				perSecond(ours)(b)
				b.ReportMetric(float64(took[bare.URL])/float64(took[ours]), "of-bare")
				b.ReportMetric(float64(len(body)), "B")
				b.ReportMetric(float64(len(body))/float64(len(packed(b, page.body))), "of-gzip-6")
			})
		})
	}
}

// cpu is what this process, clients included, has used. Postgres is not in it.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// furnish makes a room look lived in.
func furnish(s *site) {
	s.t.Helper()
	var people []*visitor
	for i := range 5 {
		people = append(people, s.guest(fmt.Sprint("Person ", i)))
	}
	for i := range 12 {
		people[0].post("/rooms", "name", fmt.Sprint("Room ", i), "topic", "What belongs here")
	}
	texts := []string{
		"Good morning! Did anybody try the new build yet?",
		"I did, on the train. It holds the place where I was reading, even through the tunnels, which is more than I can say of what we had before.",
		"看起来不错，我今天下午再试一次。",
		"There is a note about it at https://example.org/notes/reading-place?page=2#cursor (the second part matters).",
		"Two things:\n\nfirst, `go test ./...` is green again,\nand then I would like to go home.",
		"ok",
		"```go\nfor range time.Tick(time.Second) {\n\tfmt.Println(\"still here\")\n}\n```",
		strings.Repeat("A longer thought needs a few sentences, and nobody minds. ", 6),
	}
	for i := range 50 {
		if a := people[i/2%5].post("/rooms/parlor/messages", "body", texts[i%len(texts)], "nonce", uuid.NewString()); a.code != http.StatusSeeOther {
			s.t.Fatal(a.code, a.body)
		}
	}
}

// packed is what gzip -6 makes of a page that came compressed.
func packed(t testing.TB, page string) []byte {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, 6)
	_, _ = w.Write(plain)
	_ = w.Close()
	return b.Bytes()
}
