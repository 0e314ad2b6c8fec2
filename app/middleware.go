package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"parlor/app/chat"
)

type contextKey int

const (
	keyRequestID contextKey = iota
	keyMe
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
	h := s.metrics.Requests(s.errorPages(mux))
	h = crossOrigin.Handler(h)
	h = s.bodyLimit(h)
	h = s.headers(h)
	return s.watch(h)
}

// watch gives the request an id, logs it, and turns a panic into an answer.
func (s *Server) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.now()
		r = r.WithContext(context.WithValue(r.Context(), keyRequestID, rand.Text()[:10]))
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
// outbox waits a little longer (static/room.js).
const answerWithin = 12 * time.Second

func within(most time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), most)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(keyRequestID).(string)
	return id
}

// contentPolicy allows what our own pages need and nothing else. Datastar
// compiles its expressions, hence 'unsafe-eval'; nothing inline ever runs.
const contentPolicy = "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

func (s *Server) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		if s.cfg.strict() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// bodyLimit bounds what a request may bring: a form with a message, every
// byte of which may be percent-encoded.
func (s *Server) bodyLimit(next http.Handler) http.Handler {
	most := int64(s.cfg.MessageBytes)*4 + 16<<10
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > most {
			s.fail(w, r, chat.Refuse(chat.TooLarge, chat.RequestTooBig))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

// errorPages shows our own pages where the mux itself would refuse.
func (s *Server) errorPages(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &bareAnswer{header: make(http.Header)}
		h.ServeHTTP(answer, r)
		switch answer.status {
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", answer.header.Get("Allow"))
			s.fail(w, r, &chat.Error{Kind: methodNotAllowed, Reason: chat.WrongMethod})
		case http.StatusNotFound:
			s.fail(w, r, chat.Refuse(chat.NotFound, chat.NoSuchPage))
		default: // a redirect to the clean path
			mux.ServeHTTP(w, r)
		}
	})
}

// bareAnswer catches what a handler answers.
type bareAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *bareAnswer) Header() http.Header         { return a.header }
func (a *bareAnswer) WriteHeader(status int)      { a.status = status }
func (a *bareAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }

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
