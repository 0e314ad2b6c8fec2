// Package doctor looks at an installation from where people come: through its
// public address, and so through whatever proxies stand before it. It says
// what it finds, one sentence each, and what to do about it. On the machine
// itself it looks at more: the disk, files, backups, the operator's address.
//
// It changes nothing. From outside it needs no rights, as a visitor could do the
// same, and knows Parlor by what it answers and by nothing else, so it can
// examine a server of another version on another machine.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"parlor/app"
)

// Level says how much a finding matters.
type Level int

// OK needs nothing; a Warning works, but could be better; a Problem keeps
// people from something, or will soon.
const (
	OK Level = iota
	Warning
	Problem
)

func (l Level) String() string { return [...]string{"ok", "warning", "problem"}[l] }

// Finding is one thing that was looked at.
type Finding struct {
	Level  Level
	What   string // a sentence
	Remedy string // what to do; empty when there is nothing to do
}

// Options say what to look at. All but URL may be empty.
type Options struct {
	URL      *url.URL      // the public address
	Idle     time.Duration // how long to watch a stream; at least long enough for a heartbeat
	Private  string        // the operator's address, host and port
	Data     string        // the data folder
	Files    string        // the folder of files
	Backups  string        // the folder with backups
	Database string        // URL of the Postgres server, when it is not the private one

	FilesTotal int64 // bytes that all files together may have; 0: no limit

	roots *x509.CertPool // nil: the system's
	plain string         // address at which plain HTTP is tried; "": port 80 of the host
	// How long a stream's heartbeat and its beginning may take; not 0 in tests.
	beat, atOnce time.Duration
}

// Run is the command: parlor doctor URL. It returns the exit status: 1 when
// there are problems, 2 when it was called wrongly.
func Run(args []string, getenv func(string) string, out io.Writer) int {
	o := Options{
		Private: getenv("PARLOR_PRIVATE_ADDR"), Data: getenv("PARLOR_DATA"), Files: getenv("PARLOR_FILES"), Database: getenv("DATABASE_URL"),
		FilesTotal: app.DefaultConfig().Limits.FilesTotal,
	}
	if total, err := strconv.ParseInt(getenv("PARLOR_FILES_TOTAL"), 10, 64); err == nil {
		o.FilesTotal = total
	}
	flags := flag.NewFlagSet("parlor doctor", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, "Usage: parlor doctor [settings] URL\n\nIt looks at a Parlor through its public address, and says what to do. On the\nmachine itself it looks at more. The exit status is 1 if there are problems.\n\n")
		flags.PrintDefaults()
	}
	flags.DurationVar(&o.Idle, "idle", 0, "`time` for which a stream is watched, such as 70s or 10m, to find what ends it")
	flags.StringVar(&o.Private, "private", o.Private, "the operator's `address`, such as 127.0.0.1:9090 (PARLOR_PRIVATE_ADDR)")
	flags.StringVar(&o.Data, "data", o.Data, "the data `folder` (PARLOR_DATA)")
	flags.StringVar(&o.Files, "files", o.Files, "the `folder` of files, if it is not in the data folder (PARLOR_FILES)")
	flags.Int64Var(&o.FilesTotal, "files-total", o.FilesTotal, "`bytes` that all files together may have (PARLOR_FILES_TOTAL)")
	flags.StringVar(&o.Backups, "backups", "", "`folder` in which the newest backup is looked for")
	flags.StringVar(&o.Database, "database", o.Database, "`URL` of the Postgres server (DATABASE_URL)")
	address := getenv("PARLOR_PUBLIC_URL")
	for { // settings may stand behind the URL, too
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return 0
		} else if err != nil {
			return 2
		}
		if flags.NArg() == 0 {
			break
		}
		address, args = flags.Arg(0), flags.Args()[1:]
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		fmt.Fprintf(out, "parlor doctor: %q: the URL must look like https://chat.example.org\n", address)
		return 2
	}
	o.URL = u
	if _, err := os.Stat("data"); o.Data == "" && err == nil {
		o.Data = "data"
	}
	if o.Files == "" && o.Data != "" {
		o.Files = app.FilesIn(o.Data)
	}
	fmt.Fprintf(out, "Looking at %s, for at least %s.\n\n", u, max(o.Idle, beatWithin))
	count := make(map[Level]int)
	Check(context.Background(), o, func(f Finding) {
		count[f.Level]++
		fmt.Fprintf(out, "%-9s%s\n", f.Level, f.What)
		if f.Remedy != "" {
			fmt.Fprintf(out, "%9s→ %s\n", "", f.Remedy)
		}
	})
	fmt.Fprintf(out, "\n%d in order, %d warnings, %d problems.\n", count[OK], count[Warning], count[Problem])
	if count[Problem] > 0 {
		return 1
	}
	return 0
}

// Check looks at everything and tells each finding as soon as it has it.
func Check(ctx context.Context, o Options, tell func(Finding)) {
	if o.beat == 0 {
		o.beat, o.atOnce = beatWithin, atOnce
	}
	d := &doctor{Options: o, ctx: ctx, tell: tell}
	d.client = d.newClient()
	defer d.client.CloseIdleConnections()
	d.outside()
	d.machine()
}

// outside looks at what people see.
func (d *doctor) outside() {
	if d.URL.Scheme == "https" {
		d.certificate()
	}
	if d.reach() {
		d.redirect()
		d.page()
		d.ready()
		d.stream()
	}
}

// machine looks at what can be seen on the machine only, as far as it is told
// where.
func (d *doctor) machine() {
	d.inside()
	d.disk()
	d.files()
	d.backups()
	d.database()
}

// doctor is one examination.
type doctor struct {
	Options
	ctx    context.Context
	tell   func(Finding)
	client *http.Client

	selfSigned bool
}

func (d *doctor) ok(format string, args ...any) {
	d.tell(Finding{OK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(remedy, format string, args ...any) {
	d.tell(Finding{Warning, fmt.Sprintf(format, args...), remedy})
}

func (d *doctor) problem(remedy, format string, args ...any) {
	d.tell(Finding{Problem, fmt.Sprintf(format, args...), remedy})
}

// newClient follows no redirects and, since certificate has said what is
// wrong about that, takes any certificate.
func (d *doctor) newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	transport.ForceAttemptHTTP2 = true
	transport.DisableCompression = true // it asks for what browsers ask for
	transport.ResponseHeaderTimeout = d.beat + patience
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// patience is how long an answer may take.
const patience = 10 * time.Second

// get asks for a path of the installation. The caller closes the body.
func (d *doctor) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL.JoinPath(path).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "parlor doctor")
	req.Header.Set("Accept-Encoding", "gzip")
	return d.client.Do(req)
}
