package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// poster says, edits and deletes, and repeats each of it until somebody
// acknowledges it, whichever node that is.
type poster struct {
	name   string
	base   string // URL of the way to the nodes
	room   string // path of the room
	http   *http.Client
	random *rand.Rand
	every  *atomic.Int64 // nanoseconds between two things it does
	edits  int           // how many of a hundred things are changes of what it said
	latest int           // how many of its latest messages it may change
	acked  func(rev int64, began time.Time)

	mu       sync.Mutex
	posts    []*post
	renames  []*change
	tries    int
	problems []string
}

// tryFor is how long one attempt may take. What it set in motion may still
// happen afterwards.
const tryFor = 3 * time.Second

func newPoster(name, base, room string, seed uint64, keepAlive bool) *poster {
	jar, _ := cookiejar.New(nil) // without options there is nothing to fail
	return &poster{name: name, base: base, room: room, random: rand.New(rand.NewPCG(seed, 7)), edits: 15, latest: 20, http: &http.Client{
		Jar: jar, Timeout: tryFor,
		Transport:     &http.Transport{DisableKeepAlives: !keepAlive},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// run posts until stop ends. It then still finishes what it has begun, for as
// long as ctx lasts.
func (p *poster) run(stop, ctx context.Context) {
	if !p.insist(ctx, "/session", url.Values{"nickname": {p.name}}, http.StatusSeeOther, new([]time.Time), nil) {
		return
	}
	for n := 1; sleep(stop, time.Duration(p.every.Load())*time.Duration(50+p.random.IntN(100))/100); n++ {
		switch own := p.own(); {
		case p.random.IntN(100) == 0:
			p.rename(ctx)
		case own != nil && p.random.IntN(100) < 10:
			p.react(ctx, own)
		case own != nil && p.random.IntN(100) < p.edits:
			p.change(ctx, own, p.random.IntN(3) == 0)
		default:
			p.say(ctx, n)
		}
	}
}

// own picks one of the poster's newest messages that can still be changed.
func (p *poster) own() *post {
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := p.posts[max(0, len(p.posts)-p.latest):]
	if len(newest) == 0 {
		return nil
	}
	own := newest[p.random.IntN(len(newest))]
	if own.Acked.IsZero() || len(own.Then) > 0 && own.Then[len(own.Then)-1].Delete {
		return nil
	}
	return own
}

func (p *poster) say(ctx context.Context, n int) {
	m := &post{Poster: p.name, Nonce: uuid.NewString(), Text: fmt.Sprintf("%s says %d: <b> & 你好 %s", p.name, n, p.filler())}
	form := url.Values{"body": {m.Text}, "nonce": {m.Nonce}}
	if parent := p.own(); parent != nil && p.random.IntN(4) == 0 {
		form.Set("parent", strconv.FormatInt(parent.Seq, 10))
	}
	p.mu.Lock()
	p.posts = append(p.posts, m)
	p.mu.Unlock()
	var said struct{ Seq, Rev int64 }
	if p.insist(ctx, p.room+"/messages", form, http.StatusCreated, &m.Tried, func(answer []byte) bool {
		return json.Unmarshal(answer, &said) == nil && said.Seq > 0 && said.Rev >= said.Seq
	}) {
		p.mu.Lock()
		m.Acked, m.Seq, m.Rev = time.Now(), said.Seq, said.Rev
		p.mu.Unlock()
		p.acked(said.Rev, m.Tried[0])
	}
}

// filler makes messages of different lengths.
func (p *poster) filler() string {
	if p.random.IntN(10) == 0 {
		return strings.Repeat("long ", p.random.IntN(300)) + "."
	}
	return "."
}

func (p *poster) change(ctx context.Context, m *post, remove bool) {
	c := &change{Delete: remove, Text: fmt.Sprintf("%s (edit %d)", m.Text, len(m.Then)+1)}
	path, form := fmt.Sprintf("%s/messages/%d", p.room, m.Seq), url.Values{"body": {c.Text}}
	if remove {
		path, form, c.Text = path+"/delete", nil, ""
	}
	p.mu.Lock()
	m.Then = append(m.Then, c)
	p.mu.Unlock()
	var changed struct{ Seq, Rev int64 }
	if p.insist(ctx, path, form, http.StatusOK, &c.Tried, func(answer []byte) bool {
		return json.Unmarshal(answer, &changed) == nil && changed.Seq == m.Seq
	}) {
		p.mu.Lock()
		c.Acked = time.Now()
		p.mu.Unlock()
		p.acked(changed.Rev, c.Tried[0])
	}
}

// react gives a message an emoji, or takes it back, once: whether it arrived is
// seen in what pages show in the end.
func (p *poster) react(ctx context.Context, m *post) {
	emoji := []string{"👍", "🎉", "🍵"}[p.random.IntN(3)]
	_, _, _ = p.try(ctx, fmt.Sprintf("%s/messages/%d/reactions", p.room, m.Seq), url.Values{"emoji": {emoji}})
}

func (p *poster) rename(ctx context.Context) {
	c := &change{Text: fmt.Sprintf("%s, renamed %d", p.name, len(p.renames)+1)}
	p.mu.Lock()
	p.renames = append(p.renames, c)
	p.mu.Unlock()
	if p.insist(ctx, "/session", url.Values{"nickname": {c.Text}}, http.StatusSeeOther, &c.Tried, nil) {
		p.mu.Lock()
		c.Acked = time.Now()
		p.mu.Unlock()
	}
}

// insist sends a form until it is answered with the wanted status and a body
// that is right, and tells whether it was.
func (p *poster) insist(ctx context.Context, path string, form url.Values, want int, tried *[]time.Time, right func([]byte) bool) bool {
	for wait := 50 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 500*time.Millisecond) {
		p.mu.Lock()
		*tried = append(*tried, time.Now())
		p.tries++
		p.mu.Unlock()
		code, answer, err := p.try(ctx, path, form)
		switch {
		case err == nil && code == want && (right == nil || right(answer)):
			return true
		case err == nil && code == http.StatusInternalServerError, err == nil && code < 500 && code != http.StatusTooManyRequests && code != want:
			p.complain("POST %s was answered with %d: %.200s", path, code, bytes.TrimSpace(answer))
			if code < 500 {
				return false
			}
		}
		sleep(ctx, wait)
	}
	return false
}

func (p *poster) try(ctx context.Context, path string, form url.Values) (code int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

func (p *poster) complain(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, fmt.Sprintf(p.name+": "+format, args...))
}
