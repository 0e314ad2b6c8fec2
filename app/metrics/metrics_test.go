package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestAScrapeShowsWhatHappened(t *testing.T) {
	m := New()
	m.StreamOpened("http1")
	m.StreamOpened("http1")
	m.StreamOpened("http2")
	m.StreamClosed("http1")
	m.Delivered(1000, 391_000, 20*time.Millisecond)
	m.Delivered(1000, 9_000, 700*time.Microsecond)
	m.Resumed(0)
	m.Resumed(37)
	m.SlowCut()
	m.GroupCommit(1)
	m.GroupCommit(64)
	m.BusReceived("tell")
	m.BusResumed()
	m.Gauge("parlor_some_state", "Whether it is.", func() float64 { return 1 })
	got := scrape(t, m)
	for _, want := range []string{
		`parlor_streams_open{protocol="http1"} 1`,
		`parlor_streams_open{protocol="http2"} 1`,
		`parlor_streams_opened_total{protocol="http1"} 2`,
		`parlor_deliveries_total 2000`,
		`parlor_delivered_bytes_total 400000`,
		`parlor_fan_out_seconds_bucket{le="0.001"} 1`,
		`parlor_fan_out_seconds_bucket{le="0.025"} 2`,
		`parlor_resume_pieces_bucket{le="0"} 1`,
		`parlor_resume_pieces_sum 37`,
		`parlor_slow_readers_cut_total 1`,
		`parlor_group_commit_messages_sum 65`,
		`parlor_group_commit_messages_count 2`,
		`parlor_bus_received_total{kind="tell"} 1`,
		`parlor_bus_resumed_total 1`,
		`parlor_some_state 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestNamesFollowTheRules(t *testing.T) {
	m := New()
	m.BusReceived("wake")
	m.Requests(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What people type is no label: /rooms/a and /rooms/b are one route.
func TestRequestsAreToldApartByRouteAndStatus(t *testing.T) {
	m := New()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{slug}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("slug") == "b" {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
		}
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
		conn.Close()
	})
	counted, requests := sync.WaitGroup{}, m.Requests(mux) // what was hijacked is read to its end before it is counted
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted.Add(1)
		defer counted.Done()
		requests.ServeHTTP(w, r)
	}))
	defer web.Close()
	for _, path := range []string{"/rooms/a", "/rooms/a2", "/rooms/b", "/stream", "/elsewhere"} {
		resp, err := http.Get(web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if path == "/stream" && string(body) != "hello" {
			t.Errorf("the hijacked connection said %q", body)
		}
	}
	counted.Wait()
	got := scrape(t, m)
	for _, want := range []string{
		`{code="200",route="GET /rooms/{slug}"} 2`,
		`{code="418",route="GET /rooms/{slug}"} 1`,
		`{code="200",route="GET /stream"} 1`,
		`{code="404",route="none"} 1`,
	} {
		if !strings.Contains(got, "parlor_http_request_seconds_count"+want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func BenchmarkRequests(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rooms/{slug}", func(http.ResponseWriter, *http.Request) {})
	for _, of := range []struct {
		name string
		h    http.Handler
	}{{"bare", mux}, {"measured", New().Requests(mux)}} {
		b.Run(of.name, func(b *testing.B) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/rooms/parlor", nil)
			b.ReportAllocs()
			for b.Loop() {
				of.h.ServeHTTP(w, r)
			}
		})
	}
}
