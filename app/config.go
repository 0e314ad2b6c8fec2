package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"parlor/app/certs"
	"parlor/app/chat"
)

// Config is everything that can be set. Each setting is a flag and an
// environment variable; the flag wins.
type Config struct {
	Addr           string         // where to listen; with TLS, for https
	Data           string         // folder of the private Postgres, and of certificates
	Files          string         // folder of what people send; "": none is taken
	DatabaseURL    string         // a Postgres of one's own instead
	NATS           string         // servers that connect the nodes; "": Postgres does
	PublicURL      *url.URL       // how people reach it; nil: as they ask
	TrustedProxies []netip.Prefix // only behind these is X-Forwarded-For believed
	Dev            bool           // read static files from the folder static/ at each request
	Verbose        bool           // log every request

	TLS         certs.Config  // where the certificate comes from; zero: plain HTTP
	HTTPAddr    string        // where plain HTTP is answered beside TLS; "": nowhere
	PrivateAddr string        // where metrics, profiles and health are served to the operator; "": nowhere
	PrivateOpen bool          // let PrivateAddr be another than loopback
	DrainGrace  time.Duration // from a stop signal, with /readyz failing, to the end of the first stream
	DrainFor    time.Duration // in which all streams are ended

	chat.Limits
	EditWindow          time.Duration // from being said, in which a message can be edited; 0: for ever
	PostsPerSecond      float64       // per person; ten times that per address; 0: no flood control
	PostsBurst          int
	NicknamesPerHour    int // new ones per address; 0: no limit
	StreamsPerSession   int // 0: no limit of any kind on streams
	StreamsPerAddress   int
	StreamBytes         int // may wait for a slow reader before it is cut
	DatabaseConnections int

	Previews bool // look up links in messages
	// PreviewReach are networks that are asked for previews though they are
	// not public. Tests set it; nothing else may (see unfurl.Options).
	PreviewReach []netip.Prefix
}

// DefaultConfig is what holds when nothing is set.
func DefaultConfig() Config {
	return Config{
		Data: "./data", Limits: chat.DefaultLimits(),
		PostsPerSecond: 2, PostsBurst: 5, NicknamesPerHour: 30,
		StreamsPerSession: 20, StreamsPerAddress: 200, StreamBytes: 1 << 20, DatabaseConnections: 20,
		DrainFor: 5 * time.Second, Previews: true,
	}
}

// ReadConfig reads flags and environment. With -h it prints what each
// setting means and returns flag.ErrHelp.
func ReadConfig(args []string, getenv func(string) string, out io.Writer) (Config, error) {
	c := DefaultConfig()
	flags := flag.NewFlagSet("parlor", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, "Parlor is a chat that people open in a browser.\n\n"+
			"  parlor [settings]           serve it\n"+
			"  parlor backup [-h] FILE     save everything into a file, also while it is served\n"+
			"  parlor demo [settings]      serve a conversation that shows everything, from a database of its own\n"+
			"  parlor restore [-h] FILE    put everything back from such a file\n"+
			"  parlor doctor [-h] URL      examine an installation from outside, and say what to mend\n\nEach setting is a flag or an environment variable; the flag wins.\n\n")
		flags.PrintDefaults()
	}
	var public, proxies, tlsMode, acmeHosts, previews string
	c.Addr = ""                     // complete chooses
	envs := make(map[string]string) // flag name to variable
	name := func(flagName, variable, usage string) (string, string) {
		envs[flagName] = variable
		return flagName, usage + " (" + variable + ")"
	}
	text := func(p *string, flagName, variable, usage string) {
		n, u := name(flagName, variable, usage)
		flags.StringVar(p, n, *p, u)
	}
	number := func(p *int, flagName, variable, usage string) {
		n, u := name(flagName, variable, usage)
		flags.IntVar(p, n, *p, u)
	}
	bytes := func(p *int64, flagName, variable, usage string) {
		n, u := name(flagName, variable, usage)
		flags.Int64Var(p, n, *p, u)
	}
	yes := func(p *bool, flagName, variable, usage string) {
		n, u := name(flagName, variable, usage)
		flags.BoolVar(p, n, *p, u)
	}
	pause := func(p *time.Duration, flagName, variable, usage string) {
		n, u := name(flagName, variable, usage)
		flags.DurationVar(p, n, *p, u)
	}
	text(&c.Addr, "addr", "PARLOR_ADDR", "`address` to listen on; :8080 if not set, :443 with ACME")
	text(&c.Data, "data", "PARLOR_DATA", "`folder` of the private Postgres that is used without a database URL, and of certificates")
	text(&c.Files, "files", "PARLOR_FILES", "`folder` of the files that people send; files in the data folder if not set. Several nodes share one")
	text(&c.DatabaseURL, "database", "DATABASE_URL", "`URL` of a Postgres server, 14 or newer")
	text(&c.NATS, "nats", "NATS_URL", "`URL` of a NATS server that tells the nodes of each other's news (several: with commas); without it Postgres does")
	text(&public, "public-url", "PARLOR_PUBLIC_URL", "`URL` under which people reach the server; with https cookies are marked Secure")
	text(&proxies, "trusted-proxies", "PARLOR_TRUSTED_PROXIES", "`networks` (comma-separated CIDRs) whose X-Forwarded-For is believed")
	text(&c.TLS.CertFile, "tls-cert", "PARLOR_TLS_CERT", "`file` with the certificate chain in PEM; read again when it changes")
	text(&c.TLS.KeyFile, "tls-key", "PARLOR_TLS_KEY", "`file` with the certificate's private key in PEM")
	text(&acmeHosts, "acme", "PARLOR_ACME", "public host `names` (comma-separated) to get a certificate for from Let's Encrypt, whose terms you accept by that; needs ports 443 and 80")
	text(&c.TLS.Email, "acme-email", "PARLOR_ACME_EMAIL", "`address` that the authority may write to about your certificates")
	text(&c.TLS.Directory, "acme-directory", "PARLOR_ACME_DIRECTORY", "`URL` of another ACME authority than Let's Encrypt")
	text(&tlsMode, "tls", "PARLOR_TLS", "self-signed: a certificate of the program's own making, to try out TLS; browsers warn of it")
	text(&c.HTTPAddr, "http-addr", "PARLOR_HTTP_ADDR", "with TLS: `address` on which plain http is sent on to https; :80 if not set with ACME")
	text(&c.PrivateAddr, "private-addr", "PARLOR_PRIVATE_ADDR", "`address` for the operator alone, such as 127.0.0.1:9090: /metrics, /debug/pprof/, /readyz, /healthz")
	yes(&c.PrivateOpen, "private-open", "PARLOR_PRIVATE_OPEN", "let that address be other than loopback: in a network that you trust")
	pause(&c.DrainGrace, "drain-grace", "PARLOR_DRAIN_GRACE", "`time` between SIGTERM, when /readyz begins to fail, and the end of the first stream; for load balancers")
	pause(&c.DrainFor, "drain-for", "PARLOR_DRAIN_FOR", "`time` in which streams are ended after that, wave by wave")
	number(&c.MessageBytes, "message-bytes", "PARLOR_MESSAGE_BYTES", "longest message, in bytes")
	number(&c.MessageLines, "message-lines", "PARLOR_MESSAGE_LINES", "longest message, in lines")
	number(&c.Nickname, "nickname-length", "PARLOR_NICKNAME_LENGTH", "longest nickname, in characters")
	number(&c.RoomName, "room-name-length", "PARLOR_ROOM_NAME_LENGTH", "longest room name, in characters")
	number(&c.Topic, "topic-length", "PARLOR_TOPIC_LENGTH", "longest topic, in characters")
	bytes(&c.FileBytes, "file-bytes", "PARLOR_FILE_BYTES", "largest file, in bytes; 0: no files are taken")
	number(&c.FilesPerMessage, "files-per-message", "PARLOR_FILES_PER_MESSAGE", "most files in one message")
	bytes(&c.FileBytesPerDay, "file-bytes-per-day", "PARLOR_FILE_BYTES_PER_DAY", "bytes of files that one person may send within 24 hours; 0: no limit")
	bytes(&c.FilesTotal, "files-total", "PARLOR_FILES_TOTAL", "bytes of all files together; 0: no limit")
	pause(&c.EditWindow, "edit-window", "PARLOR_EDIT_WINDOW", "`time`, such as 15m, in which a message can be edited; 0: for ever. It can always be deleted")
	n, u := name("posts-per-second", "PARLOR_POSTS_PER_SECOND", "messages per second and person; ten times that per address; 0: no flood control")
	flags.Float64Var(&c.PostsPerSecond, n, c.PostsPerSecond, u)
	number(&c.PostsBurst, "posts-burst", "PARLOR_POSTS_BURST", "messages that may come at once before that")
	number(&c.NicknamesPerHour, "nicknames-per-hour", "PARLOR_NICKNAMES_PER_HOUR", "new nicknames per hour and address; 0: no limit")
	number(&c.StreamsPerSession, "streams-per-session", "PARLOR_STREAMS_PER_SESSION", "open pages per browser that are live; 0: no limit of any kind")
	number(&c.StreamsPerAddress, "streams-per-address", "PARLOR_STREAMS_PER_ADDRESS", "open streams per address")
	number(&c.StreamBytes, "stream-bytes", "PARLOR_STREAM_BYTES", "bytes that may wait for a slow reader before it is cut")
	number(&c.DatabaseConnections, "database-connections", "PARLOR_DATABASE_CONNECTIONS", "most connections to the database")
	text(&previews, "previews", "PARLOR_PREVIEWS", "off: look up no links; else titles and pictures of pages that people link to are fetched, from public addresses only, and shown")
	yes(&c.Dev, "dev", "PARLOR_DEV", "for development: read style sheets and scripts from static/ at each request")
	version := flags.Bool("version", false, "print the version")
	yes(&c.Verbose, "verbose", "PARLOR_VERBOSE", "log every request")

	for flagName, variable := range envs {
		if v := getenv(variable); v != "" {
			if err := flags.Set(flagName, v); err != nil {
				return c, fmt.Errorf("%s=%q: it takes %s", variable, v, expected(flags.Lookup(flagName).Value))
			}
		}
	}
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if *version {
		fmt.Fprintln(out, "parlor", Version())
		return c, flag.ErrHelp
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unknown argument %q; -h explains the settings", flags.Arg(0))
	}
	if c.Files == "" {
		c.Files = FilesIn(c.Data)
	}
	switch previews {
	case "", "on":
	case "off":
		c.Previews = false
	default:
		return c, fmt.Errorf("PARLOR_PREVIEWS=%q: it knows on and off", previews)
	}
	if err := c.completeTLS(tlsMode, acmeHosts); err != nil {
		return c, err
	}
	return c, c.complete(public, proxies)
}

// expected says what a setting that could not be parsed takes; package flag
// says "parse error" alone.
func expected(setting flag.Value) string {
	switch setting.(flag.Getter).Get().(type) {
	case bool:
		return "true or false"
	case time.Duration:
		return "a time with its unit, such as 90s, 15m or 2h"
	case float64:
		return "a number, such as 2 or 0.5"
	}
	return "a whole number, in digits alone"
}

// FilesIn is where files are if nothing else is said: in the data folder.
func FilesIn(data string) string { return filepath.Join(data, "files") }

// Version is the version the program was built from: a tag, or the time and
// commit after one.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version + " " + info.GoVersion
	}
	return "(unknown)"
}

// completeTLS parses and checks what says how and where to listen.
func (c *Config) completeTLS(mode, acmeHosts string) error {
	switch mode {
	case "":
	case "self-signed":
		c.TLS.SelfSigned = true
	default:
		return fmt.Errorf("PARLOR_TLS=%q: the only word it knows is self-signed; real certificates are set by tls-cert and tls-key, or by acme", mode)
	}
	for host := range strings.SplitSeq(acmeHosts, ",") {
		if host = strings.TrimSpace(host); host != "" {
			c.TLS.Hosts = append(c.TLS.Hosts, host)
		}
	}
	c.TLS.Folder = filepath.Join(c.Data, "tls")
	if err := c.TLS.Check(); err != nil {
		return err
	}
	acme := len(c.TLS.Hosts) > 0
	switch {
	case c.Addr == "" && acme:
		c.Addr = ":443"
	case c.Addr == "":
		c.Addr = ":8080"
	}
	switch {
	case c.HTTPAddr == "" && acme:
		c.HTTPAddr = ":80" // where the authority asks
	case c.HTTPAddr != "" && !c.TLS.Enabled():
		return errors.New("http-addr is for plain http beside TLS; without TLS, addr is the one to set")
	}
	if c.DrainGrace < 0 || c.DrainFor < 0 {
		return errors.New("drain-grace and drain-for can't be negative")
	}
	if c.PrivateAddr == "" || c.PrivateOpen {
		return nil
	}
	host, _, err := net.SplitHostPort(c.PrivateAddr)
	if err != nil {
		return fmt.Errorf("PARLOR_PRIVATE_ADDR=%q: it must look like 127.0.0.1:9090", c.PrivateAddr)
	}
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return fmt.Errorf("private-addr %q can be reached from elsewhere, and shows the inside of the program: use 127.0.0.1, or set private-open if the network is yours", c.PrivateAddr)
	}
	return nil
}

// complete parses the texts among the settings and checks all of them.
func (c *Config) complete(public, proxies string) error {
	if public != "" {
		u, err := url.Parse(public)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("PARLOR_PUBLIC_URL=%q: it must look like https://chat.example.org", public)
		}
		if c.TLS.Enabled() && u.Scheme == "http" {
			return fmt.Errorf("PARLOR_PUBLIC_URL=%q: it must begin with https, since TLS is on", public)
		}
		c.PublicURL = u
	}
	for part := range strings.SplitSeq(proxies, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, addrErr := netip.ParseAddr(part)
			if addrErr != nil {
				return fmt.Errorf("PARLOR_TRUSTED_PROXIES: %q is no network, such as 10.0.0.0/8, and no address", part)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix.Masked())
	}
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"message-bytes", c.MessageBytes}, {"message-lines", c.MessageLines}, {"nickname-length", c.Nickname},
		{"room-name-length", c.RoomName}, {"topic-length", c.Topic}, {"posts-burst", c.PostsBurst},
		{"streams-per-address", c.StreamsPerAddress}, {"stream-bytes", c.StreamBytes},
		{"database-connections", c.DatabaseConnections}, {"files-per-message", c.FilesPerMessage},
	} {
		if limit.value < 1 {
			return fmt.Errorf("%s must be at least 1, not %d", limit.name, limit.value)
		}
	}
	if c.EditWindow < 0 {
		return errors.New("edit-window can't be negative; 0 takes the limit away")
	}
	if c.PostsPerSecond < 0 || c.NicknamesPerHour < 0 || c.StreamsPerSession < 0 || c.FileBytesPerDay < 0 || c.FilesTotal < 0 {
		return errors.New("a limit can't be negative; 0 takes it away")
	}
	if c.FileBytes < 0 {
		return errors.New("file-bytes can't be negative; with 0 no files are taken")
	}
	if c.MessageBytes > 1<<20 {
		return errors.New("message-bytes can't be more than 1 MiB")
	}
	return nil
}

// Secure tells whether people reach the server by https.
func (c Config) Secure() bool {
	return c.TLS.Enabled() || c.PublicURL != nil && c.PublicURL.Scheme == "https"
}

// strict tells whether browsers should be told to come by https only. That
// can't be undone, so it is no part of trying out TLS.
func (c Config) strict() bool { return c.Secure() && !c.TLS.SelfSigned }

// sessionFor is how long a session lasts from the last visit; as long as the
// nickname is held.
const sessionFor = 90 * 24 * time.Hour
