// Package e2e tries the whole program as people do: the built binary, a real
// Postgres, and Debian's Chromium with a browser context for each person.
package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/input"
	"github.com/go-rod/rod/lib/proto"
	"github.com/google/uuid"

	"parlor/app/e2e/chromium"
	"parlor/db/dbtest"
)

var screenshotDir = flag.String("screenshots", "", "folder for the pictures that TestScreenshots makes; empty: a temporary one")

// What all tests share, and what ends with them.
var (
	binaryDir string
	browser   *chromium.Browser
)

func TestMain(m *testing.M) {
	dbtest.Main(m, func() {
		if browser != nil {
			_ = browser.Close()
		}
		os.RemoveAll(binaryDir)
	})
}

// patience is how long a test waits for something that must happen, on a slow
// and busy machine, too.
const patience = 40 * time.Second

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "parlor-e2e-")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "parlor")
	out, err := exec.Command("go", "build", "-o", path, "parlor").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// program is a running Parlor of this test.
type program struct {
	t        testing.TB
	addr     string
	database string
	env      []string
	cmd      *exec.Cmd
	log      *safeLog // what the running program writes
}

// safeLog is a log that may be read while it is written.
type safeLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start runs the program on a database of its own. Settings are environment
// variables; there is no flood control unless a test sets it.
func start(t testing.TB, env ...string) *program {
	t.Helper()
	return startOn(t, dbtest.New(t), env...)
}

func startOn(t testing.TB, database string, env ...string) *program {
	t.Helper()
	env = append([]string{"PARLOR_FILES=" + t.TempDir()}, env...)
	p := &program{t: t, addr: freeAddr(t), database: database, env: env}
	p.run()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

// freeAddr is an address at which nobody listens. Its port is below those that
// the kernel gives to others, so that nobody has it while the program is down.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))); err == nil {
			defer listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func (p *program) run() {
	p.t.Helper()
	path, err := binary()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(path)
	p.cmd.Env = append(append(os.Environ(), "PARLOR_ADDR="+p.addr, "DATABASE_URL="+p.database,
		"PARLOR_POSTS_PER_SECOND=0", "PARLOR_NICKNAMES_PER_HOUR=0", "PARLOR_DATABASE_CONNECTIONS=8"), p.env...)
	p.log = new(safeLog)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		resp, err := p.client().Get(p.url("/readyz"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
			p.t.Fatalf("the program did not become ready: %v\n%s", err, p.log)
		}
	}
}

// end stops the program with a signal and waits for it.
func (p *program) end(signal syscall.Signal) {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(signal)
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

func (p *program) url(path string) string {
	if p.tls() {
		return "https://" + p.addr + path
	}
	return "http://" + p.addr + path
}

// tls tells whether the program makes a certificate of its own. No browser
// here minds that.
func (p *program) tls() bool { return slices.Contains(p.env, "PARLOR_TLS=self-signed") }

// client is for programs that talk to this one.
func (p *program) client() *http.Client {
	transport := http.DefaultTransport
	if p.tls() {
		transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

var theBrowser = sync.OnceValues(func() (*chromium.Browser, error) {
	b, err := chromium.Start(context.Background(), "TZ=Europe/Berlin")
	if err != nil {
		return nil, err
	}
	browser = b
	return b, b.IgnoreCertErrors(true)
})

// person is somebody with a browser of their own.
type person struct {
	t       testing.TB
	p       *program
	browser *rod.Browser
	page    *rod.Page
	tabs    []*rod.Page // all that were opened

	mu       sync.Mutex
	problems []string // what the pages complained about
	allowed  []string // what they may complain about
	missed   []string // selectors of patches that found nothing on a page
}

// visitor opens the lobby in a fresh browser context.
func visitor(t testing.TB, p *program) *person {
	t.Helper()
	v := newPerson(t, p)
	v.open("/")
	return v
}

func newPerson(t testing.TB, p *program) *person {
	t.Helper()
	b, err := theBrowser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := b.Incognito()
	if err != nil {
		t.Fatal(err)
	}
	v := &person{t: t, p: p, browser: ctx}
	t.Cleanup(func() {
		v.report()
		_ = proto.TargetDisposeBrowserContext{BrowserContextID: ctx.BrowserContextID}.Call(b)
	})
	return v
}

// report fails the test if a page complained, and keeps a picture of each
// page of a test that failed.
func (v *person) report() {
	v.t.Helper()
	v.mu.Lock()
	for _, problem := range v.problems {
		if !slices.ContainsFunc(v.allowed, func(part string) bool { return strings.Contains(problem, part) }) {
			v.t.Errorf("a page complained: %s", problem)
		}
	}
	v.mu.Unlock()
	if !v.t.Failed() {
		return
	}
	dir := filepath.Join(os.TempDir(), "parlor-e2e-failed")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return
	}
	for i, page := range v.tabs {
		png, err := page.CancelTimeout().Timeout(3*time.Second).Screenshot(false, nil)
		if err != nil {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("%s-%p-%d.png", strings.ReplaceAll(v.t.Name(), "/", "-"), v, i))
		if os.WriteFile(path, png, 0o644) == nil {
			v.t.Logf("how it looked: %s", path)
		}
	}
}

// allow names what the person's pages may complain about in this test.
func (v *person) allow(parts ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.allowed = append(v.allowed, parts...)
}

func (v *person) complain(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// watch collects errors in the page's scripts, what they write to the console
// as errors and warnings, and what the browser itself refuses (the content
// policy). A connection that is lost is part of many tests and no complaint;
// nor is a patch for what the page does not have, which the client warns of.
func (v *person) watch(page *rod.Page) {
	go page.EachEvent(func(e *proto.RuntimeExceptionThrown) {
		v.complain("exception: %s %s", e.ExceptionDetails.Text, exceptionText(e.ExceptionDetails))
	}, func(e *proto.RuntimeConsoleAPICalled) {
		if e.Type != proto.RuntimeConsoleAPICalledTypeError && e.Type != proto.RuntimeConsoleAPICalledTypeWarning {
			return
		}
		var parts []string
		for _, arg := range e.Args {
			parts = append(parts, arg.Value.Str()+arg.Description)
		}
		text := strings.Join(parts, " ")
		if strings.Contains(text, "PatchElementsNoTargetsFound") {
			v.miss(e.Args)
		} else {
			v.complain("console: %s", text)
		}
	}, func(e *proto.LogEntryAdded) {
		if e.Entry.Level == proto.LogLogEntryLevelError && !strings.Contains(e.Entry.Text, "net::ERR_") {
			v.complain("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	})()
}

// miss notes the selector that the client names as the last thing of its warning.
func (v *person) miss(args []*proto.RuntimeRemoteObject) {
	selector := "an element by its id"
	if preview := args[len(args)-1].Preview; preview != nil {
		for _, property := range preview.Properties {
			if property.Name == "selector" {
				selector = property.Value
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.missed = append(v.missed, selector)
}

func exceptionText(d *proto.RuntimeExceptionDetails) string {
	if d.Exception == nil {
		return ""
	}
	return d.Exception.Description
}

// heard counts in each page how often its stream was opened and what it
// delivered: patches at all, and cursors, with which it ends each batch.
const heard = `window.heard = {streams: 0, patches: 0, cursors: 0};
document.addEventListener('datastar-fetch', ({detail}) => {
	if (!detail.el?.dataset?.stream) return;
	if (detail.type === 'started') window.heard.streams++;
	if (!detail.type.startsWith('datastar-patch')) return;
	window.heard.patches++;
	if (detail.argsRaw?.signals?.includes('"cursor"')) window.heard.cursors++;
}, true)`

// guest is somebody with a nickname in the first room. They got it without a
// page, which takes less of the processor than all else that most tests do.
func guest(t testing.TB, p *program, nickname string) *person {
	t.Helper()
	v := newPerson(t, p)
	address, err := url.Parse(p.url("/"))
	v.must(err)
	for _, c := range newClient(t, p, nickname).http.Jar.Cookies(address) {
		v.must(v.browser.SetCookies([]*proto.NetworkCookieParam{{Name: c.Name, Value: c.Value, URL: p.url("/"), HTTPOnly: true}}))
	}
	v.open("/rooms/parlor")
	return v
}

func (v *person) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// open opens a path in a new tab, which becomes the person's page.
func (v *person) open(path string) *rod.Page {
	v.t.Helper()
	page, err := v.browser.Page(proto.TargetCreateTarget{URL: "about:blank"})
	v.must(err)
	v.watch(page)
	_, err = page.EvalOnNewDocument(heard)
	v.must(err)
	v.page = page.Timeout(5 * time.Minute)
	v.tabs = append(v.tabs, v.page)
	v.goTo(path)
	return v.page
}

func (v *person) goTo(path string) {
	v.t.Helper()
	v.must(v.page.Navigate(v.p.url(path)))
	v.must(v.page.WaitLoad())
	v.live()
}

// live waits until the page's stream, if it has one, delivered everything up
// to the present.
func (v *person) live() {
	v.t.Helper()
	v.until("the page is live", `() => {
		if (document.readyState !== 'complete') return false;
		const stream = document.querySelector('[data-stream]')?.dataset.stream;
		return !stream || window.heard?.[stream.startsWith('/rooms/') ? 'cursors' : 'patches'] > 0;
	}`)
}

func (v *person) reload() {
	v.t.Helper()
	v.must(proto.PageReload{}.Call(v.page))
	v.until("the page is there again", `() => !window.beforeReload && document.readyState === 'complete'`)
	v.live()
}

func (v *person) enter(nickname string) {
	v.t.Helper()
	v.fill("input[name=nickname]", nickname)
	v.press(input.Enter)
	v.until("signed in", `() => document.querySelector('.welcome, .me b')`)
	v.live()
}

func (v *person) find(selector string) *rod.Element {
	v.t.Helper()
	el, err := v.page.Timeout(patience).Element(selector)
	if err != nil {
		v.t.Fatalf("no %s on the page: %v", selector, err)
	}
	return el
}

func (v *person) fill(selector, text string) {
	v.t.Helper()
	el := v.find(selector)
	v.must(el.Focus())
	v.must(v.page.InsertText(text))
}

func (v *person) press(keys ...input.Key) {
	v.t.Helper()
	v.must(v.page.Keyboard.Type(keys...))
}

func (v *person) click(selector string) {
	v.t.Helper()
	v.must(v.find(selector).Click(proto.InputMouseButtonLeft, 1))
}

// say types a message and presses Enter.
func (v *person) say(text string) {
	v.t.Helper()
	v.fill("#composer textarea", text)
	v.press(input.Enter)
}

// until waits until the expression is truthy.
func (v *person) until(what, js string, args ...any) {
	v.t.Helper()
	deadline := time.Now().Add(patience)
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
		res, err := v.page.Eval("(...args) => !!("+js+")(...args)", args...)
		if err == nil && res.Value.Bool() {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("never: %s (%v)\n%s", what, err, v.log())
		}
		time.Sleep(pause)
	}
}

// eval runs an expression and reads its result into a string.
func (v *person) eval(js string, args ...any) string {
	v.t.Helper()
	res, err := v.page.Eval(js, args...)
	v.must(err)
	return res.Value.Str()
}

func (v *person) number(js string, args ...any) float64 {
	v.t.Helper()
	res, err := v.page.Eval(js, args...)
	v.must(err)
	return res.Value.Num()
}

// texts are the bodies of the messages in the log, in order.
func (v *person) texts() []string {
	v.t.Helper()
	res, err := v.page.Eval(`() => [...document.querySelectorAll('#log > article')].map(a => (a.querySelector('.body, .tombstone')?.innerText ?? '').trim())`)
	v.must(err)
	var out []string
	for _, s := range res.Value.Arr() {
		out = append(out, s.Str())
	}
	return out
}

func (v *person) log() string {
	res, err := v.page.Eval(`() => document.querySelector('#log')?.innerText ?? document.body.innerText`)
	if err != nil {
		return err.Error()
	}
	text := res.Value.Str()
	if len(text) > 3000 {
		text = text[len(text)-3000:]
	}
	return text
}

// sees waits until the log holds the text, exactly once.
func (v *person) sees(text string) {
	v.t.Helper()
	v.until("sees "+text, `text => [...document.querySelectorAll('#log > article .body')].filter(b => b.innerText.trim() === text).length === 1`, text)
}

// client is a program: it posts without a browser.

type client struct {
	t    testing.TB
	p    *program
	http *http.Client
}

func newClient(t testing.TB, p *program, nickname string) *client {
	t.Helper()
	c := &client{t: t, p: p, http: p.client()}
	c.http.Jar = newJar()
	resp := c.post("/session", url.Values{"nickname": {nickname}})
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("nickname %q: %s", nickname, resp.Status)
	}
	return c
}

func (c *client) post(path string, form url.Values) *http.Response {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.p.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// say posts a message and returns its seq.
func (c *client) say(room, body string) int64 {
	c.t.Helper()
	resp := c.post("/rooms/"+room+"/messages", url.Values{"body": {body}, "nonce": {nonce()}})
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	var said struct{ Seq int64 }
	if err := json.Unmarshal(raw, &said); err != nil || resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("say: %s %s", resp.Status, raw)
	}
	return said.Seq
}

func newJar() http.CookieJar {
	jar, _ := cookiejar.New(nil) // has no error without options
	return jar
}

func nonce() string { return uuid.NewString() }
