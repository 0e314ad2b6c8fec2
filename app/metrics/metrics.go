// Package metrics counts what the program does, in the form that Prometheus
// reads. Those who do it call the methods of Metrics, or get them as plain
// functions; they know nothing of Prometheus.
//
// Its one invariant: names, labels and units follow Prometheus's rules (base
// units, _total for what only grows), and no label holds what comes from a
// person, so that the number of series is small and known beforehand.
package metrics

import (
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the program's. Its methods may be called concurrently.
type Metrics struct {
	registry *prometheus.Registry

	streams        *prometheus.GaugeVec
	opened         *prometheus.CounterVec
	deliveries     prometheus.Counter
	deliveredBytes prometheus.Counter
	fanOut         prometheus.Histogram
	resumes        prometheus.Histogram
	slow           prometheus.Counter
	commits        prometheus.Histogram
	requests       *prometheus.HistogramVec
	busReceived    *prometheus.CounterVec
	busBreaks      prometheus.Counter
	files          prometheus.Counter
	fileBytes      prometheus.Counter
}

// New makes metrics with everything at nothing, and those of Go and of the
// process.
func New() *Metrics {
	r := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	m := &Metrics{
		registry: r,
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "parlor_streams_open", Help: "Streams of pages that are open, by the protocol that carries them.",
		}, []string{"protocol"}),
		opened:         counters("parlor_streams_opened_total", "Streams that were opened, by the protocol that carries them.", "protocol"),
		deliveries:     counter("parlor_deliveries_total", "Writes of news to one stream each."),
		deliveredBytes: counter("parlor_delivered_bytes_total", "Bytes written to streams."),
		fanOut: histogram("parlor_fan_out_seconds", "Time from a stream having something to send until all streams that had were written to.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}),
		resumes: histogram("parlor_resume_pieces", "Messages and other changes that a stream was sent when it opened, since its page had missed them.",
			[]float64{0, 1, 2, 5, 10, 20, 50, 100, 200, 500}),
		slow: counter("parlor_slow_readers_cut_total", "Streams ended because their reader was too slow."),
		commits: histogram("parlor_group_commit_messages", "Messages stored together in one transaction.",
			[]float64{1, 2, 4, 8, 16, 32, 64, 128}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parlor_http_request_seconds", Help: "Time from a request to the beginning of its answer, by route and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "code"}),
		busReceived: counters("parlor_bus_received_total", "What came over the bus from this node or another: hints that rooms moved (wake), and messages of other nodes (tell).", "kind"),
		busBreaks:   counter("parlor_bus_resumed_total", "Times that the bus came back after hints may have been lost."),
		files:       counter("parlor_files_received_total", "Files that people sent and that were kept."),
		fileBytes:   counter("parlor_files_received_bytes_total", "Bytes of those files."),
	}
	r.MustRegister(m.streams, m.requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, protocol := range []string{"http1", "http2"} { // so that nothing is seen as 0, not as missing
		m.streams.WithLabelValues(protocol)
		m.opened.WithLabelValues(protocol)
	}
	return m
}

// StreamOpened counts a stream in; protocol is http1 or http2.
func (m *Metrics) StreamOpened(protocol string) {
	m.streams.WithLabelValues(protocol).Inc()
	m.opened.WithLabelValues(protocol).Inc()
}

// StreamClosed counts out what StreamOpened counted in.
func (m *Metrics) StreamClosed(protocol string) { m.streams.WithLabelValues(protocol).Dec() }

// Delivered says that so many streams were written to, so many bytes in all,
// and how long that was after the first of them had something to send.
func (m *Metrics) Delivered(streams, bytes int, took time.Duration) {
	m.deliveries.Add(float64(streams))
	m.deliveredBytes.Add(float64(bytes))
	m.fanOut.Observe(took.Seconds())
}

// Resumed says how many pieces a stream was sent that its page had missed.
func (m *Metrics) Resumed(pieces int) { m.resumes.Observe(float64(pieces)) }

// FileReceived counts a file that was kept, of so many bytes.
func (m *Metrics) FileReceived(bytes int64) {
	m.files.Inc()
	m.fileBytes.Add(float64(bytes))
}

// SlowCut counts a stream that was ended because its reader was too slow.
func (m *Metrics) SlowCut() { m.slow.Inc() }

// GroupCommit says how many messages were stored together.
func (m *Metrics) GroupCommit(messages int) { m.commits.Observe(float64(messages)) }

// BusReceived counts what came over the bus; kind is wake or tell.
func (m *Metrics) BusReceived(kind string) { m.busReceived.WithLabelValues(kind).Inc() }

// BusResumed counts that the bus came back after a break.
func (m *Metrics) BusResumed() { m.busBreaks.Inc() }

// Gauge adds a number that is asked for at each scrape.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Database adds the connections of the database's pool.
func (m *Metrics) Database(db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, "parlor"))
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, Timeout: 10 * time.Second})
}

// Requests measures the requests of a handler that is, or contains, a
// ServeMux: they are told apart by the pattern that the mux found. A stream
// counts until it is open.
func (m *Metrics) Requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w, began: time.Now()}
		next.ServeHTTP(a, r)
		if a.code == 0 { // net/http says so by itself; or the connection was taken over for a stream
			a.note(http.StatusOK)
		}
		route := r.Pattern // the mux has written it by now
		if route == "" {
			route = "none"
		}
		m.requests.WithLabelValues(route, strconv.Itoa(a.code)).Observe(a.took.Seconds())
	})
}

// answer notes when an answer begins, and how.
type answer struct {
	http.ResponseWriter
	began time.Time
	code  int
	took  time.Duration
}

func (a *answer) note(code int) {
	if a.code == 0 && code >= 200 { // not 103 and the like
		a.code, a.took = code, time.Since(a.began)
	}
}

func (a *answer) WriteHeader(code int) {
	a.note(code)
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(b []byte) (int, error) {
	a.note(http.StatusOK)
	return a.ResponseWriter.Write(b)
}

// Unwrap lets an http.ResponseController reach what the server can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
