package app

import (
	"context"
	"crypto/rand"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"parlor/app/chat"
)

type contextKey int

const (
	keyRequestID contextKey = iota
	keyMe                   // *chat.Person
	keyRoom                 // chat.Room
	keyMember               // chat.Membership
)

// chain is what every request passes, from the outside in.
func (s *Server) chain(mux *http.ServeMux) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(s.answer(func(http.ResponseWriter, *http.Request) error {
		return chat.Refuse(chat.NotAllowed, chat.CrossSite)
	}))
	if s.cfg.PublicURL != nil {
		_ = crossOrigin.AddTrustedOrigin(s.cfg.PublicURL.Scheme + "://" + s.cfg.PublicURL.Host) // checked at start
	}
	h := s.metrics.Requests(mux)
	h = crossOrigin.Handler(h)
	h = s.bodyLimit(h)
	h = s.headers(h)
	return s.watch(h)
}

// watch gives the request an id, logs it, and turns a panic into an answer.
func (s *Server) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.now()
		r = r.WithContext(context.WithValue(r.Context(), keyRequestID, requests.Add(1)))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.log.Error("panic while answering", "request", requestID(r), "method", r.Method, "path", r.URL.Path,
					"panic", p, "stack", string(debug.Stack()))
				s.fail(w, r, chat.Refuse(0, chat.Internal))
			}
			if s.cfg.Verbose {
				s.log.Info("answered", "request", requestID(r), "method", r.Method, "path", r.URL.Path, "took", s.now().Sub(began))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// answerWithin is how long an answer may take that is no stream. The page's
// outbox waits a little longer (static/members/outbox.js).
const answerWithin = 12 * time.Second

func within(most time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if takesFiles(r) { // as long as they take to come in
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), most)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// afterwards is a context for what is left to do when something is stored: it
// does not end when nobody waits for the answer any more.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
}

// requests counts them; firstRequest tells this run's from another's.
var (
	requests     atomic.Uint64
	firstRequest = rand.Text()[:6]
)

// requestID names the request in logs and on error pages.
func requestID(r *http.Request) string {
	n, _ := r.Context().Value(keyRequestID).(uint64)
	return firstRequest + "-" + strconv.FormatUint(n, 36)
}

// contentPolicy allows what our own pages need and nothing else. Datastar
// compiles its expressions, hence 'unsafe-eval'; nothing inline ever runs.
const contentPolicy = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

func (s *Server) headers(next http.Handler) http.Handler {
	all := http.Header{}
	all.Set("Content-Security-Policy", contentPolicy)
	all.Set("X-Content-Type-Options", "nosniff")
	all.Set("Referrer-Policy", "same-origin")
	all.Set("Cross-Origin-Opener-Policy", "same-origin")
	all.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	if s.cfg.strict() {
		all.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), all)
		next.ServeHTTP(w, r)
	})
}

// mostForm is how large a form may be: one with a message, every byte of which
// may be percent-encoded.
func (s *Server) mostForm() int64 { return int64(s.cfg.MessageBytes)*4 + 16<<10 }

// bodyLimit bounds what a request may bring: a form, and files where files are
// taken.
func (s *Server) bodyLimit(next http.Handler) http.Handler {
	form := s.mostForm()
	files := form + int64(s.cfg.FilesPerMessage)*s.cfg.FileBytes
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := form
		if takesFiles(r) {
			most = files
		}
		if r.Body != http.NoBody {
			r.Body = http.MaxBytesReader(w, r.Body, most)
		}
		if r.ContentLength > most {
			s.fail(w, r, chat.Refuse(chat.TooLarge, chat.RequestTooBig))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// unknown answers what no route matches: another method would do, or nothing
// is there.
func (s *Server) unknown(mux *http.ServeMux) http.Handler {
	return s.answer(func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			other := *r
			other.Method = method
			if _, pattern := mux.Handler(&other); pattern != "/" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			return noSuchPage(w, r)
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return &chat.Error{Kind: methodNotAllowed, Reason: chat.WrongMethod}
	})
}

func noSuchPage(http.ResponseWriter, *http.Request) error {
	return chat.Refuse(chat.NotFound, chat.NoSuchPage)
}

// clientAddr is where the request comes from: the peer, or, behind proxies
// that are trusted, the last address in X-Forwarded-For that is not one of
// them. IPv6 addresses count by their /64, which is what one person has.
func (s *Server) clientAddr(r *http.Request) (addr netip.Addr, direct bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ = netip.ParseAddr(host)
	addr = addr.Unmap()
	direct = !s.trusted(addr)
	if !direct {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0; i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			addr = hop.Unmap()
			if !s.trusted(addr) {
				break
			}
		}
	}
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}
	return addr, direct
}

func (s *Server) trusted(addr netip.Addr) bool {
	for _, prefix := range s.cfg.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// ignoreWrite drops an error of writing to somebody who went away.
func ignoreWrite(error) error { return nil }
