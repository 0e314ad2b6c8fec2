package doctor

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// beatWithin is how long the first heartbeat may take: the server sends
	// one after ten quiet seconds.
	beatWithin = 12 * time.Second
	// atOnce is how long the beginning of a stream may take.
	atOnce = 2 * time.Second
)

const unbuffered = "Have the proxy pass text/event-stream on at once (nginx: proxy_buffering off, and gzip off for it; " +
	"Apache: flushpackets=on; Caddy and Traefik do so by themselves)."

// stream opens the lobby's stream, as every page does, and watches when its
// pieces arrive.
func (d *doctor) stream() {
	watch := max(d.Idle, d.beat)
	ctx, cancel := context.WithTimeout(d.ctx, watch)
	defer cancel()
	began := time.Now()
	resp, err := d.get(ctx, "/stream")
	since := func() time.Duration { return time.Since(began).Round(time.Millisecond) }
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			d.problem(unbuffered, "The stream did not begin within %s: something on the way holds it back.", since())
		} else {
			d.problem("Look at the log of the proxy.", "The stream could not be opened: %v.", err)
		}
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		d.problem("Look at what the proxy does with /stream.", "The stream is %s, %q.", resp.Status, resp.Header.Get("Content-Type"))
		return
	}

	// A compressed stream is no trouble for proxies as such; one that unpacks
	// and packs it again is.
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			d.noStream(ctx, err, since(), watch)
			return
		}
	}
	var hello, beat time.Duration // when they came; 0: not yet
	var told bool
	said := make([]byte, 0, 4<<10)
	for {
		n, err := body.Read(said[len(said):cap(said)])
		said = said[:len(said)+n]
		text := string(said)
		if hello == 0 && strings.Contains(text, "_online") {
			hello = since()
		}
		if beat == 0 && strings.Contains(text, "_beat") {
			beat = since()
		}
		if len(said) > cap(said)/2 { // words are short: keep the end
			said = append(said[:0], said[len(said)-16:]...)
		}
		if !told && hello > 0 && (beat > 0 || since() >= d.beat) {
			told = true
			if d.judge(hello, beat); d.Idle == 0 {
				return
			}
		}
		switch {
		case err != nil && ctx.Err() != nil: // the time is over
			switch {
			case !told && hello > 0:
				d.judge(hello, beat)
			case !told:
				d.noStream(ctx, err, since(), watch)
			default:
				d.ok("A stream stayed open for %s.", watch)
			}
			return
		case err != nil:
			d.problem("Raise the time that the proxy gives an answer (nginx: proxy_read_timeout; for load balancers: idle timeout, maximum duration), to an hour or more.",
				"The stream was cut after %s: pages come back by themselves, but each time everything starts anew.", since())
			return
		}
	}
}

// judge says whether the stream's pieces came when they were sent.
func (d *doctor) judge(hello, beat time.Duration) {
	switch {
	case beat == 0 && hello <= d.atOnce:
		d.problem(unbuffered, "The stream's beginning arrived after %s, but no heartbeat within %s: something on the way holds it back.", hello, d.beat)
	case hello > d.atOnce:
		d.problem(unbuffered, "The stream's beginning arrived only after %s: something on the way collects what is sent.", hello)
	default:
		d.ok("The stream arrives unbuffered: its beginning after %s, a heartbeat after %s.", hello, beat)
	}
}

// noStream says why nothing came of it.
func (d *doctor) noStream(ctx context.Context, err error, after, watch time.Duration) {
	if ctx.Err() != nil {
		d.problem(unbuffered, "Nothing of the stream arrived within %s: something on the way holds it back.", watch)
		return
	}
	d.problem("Look at the log of the proxy.", "The stream broke after %s: %v.", after, err)
}
