package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// files is a certificate in two files. It looks at their dates at every
// handshake, which costs little beside the handshake, and reads them again
// when one has changed.
type files struct {
	cert, key string
	log       *slog.Logger

	mu    sync.Mutex
	seen  [2]stamp // of what was read last, whether it was good or not
	using *tls.Certificate
}

// stamp tells whether a file is the same as before.
type stamp struct {
	changed time.Time
	size    int64
}

func (f *files) stamps() (s [2]stamp, err error) {
	for i, name := range []string{f.cert, f.key} {
		info, err := os.Stat(name)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

// load reads the files for the first time, when an error is still an error.
func (f *files) load() error {
	seen, err := f.stamps()
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("read the certificate %s and its key %s: %w", f.cert, f.key, err)
	}
	if left := time.Until(pair.Leaf.NotAfter); left < 7*24*time.Hour {
		f.log.Warn("the certificate ends soon, or has ended", "file", f.cert, "ends", pair.Leaf.NotAfter)
	}
	f.seen, f.using = seen, &pair
	return nil
}

// get is called at each handshake.
func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := f.stamps()
	if err != nil || now == f.seen {
		return f.using, nil // gone for a moment, while it is being replaced
	}
	f.seen = now
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil { // perhaps one of the two is not written yet
		f.log.Warn("the certificate changed but can't be read; the one before stays in use", "file", f.cert, "err", err)
		return f.using, nil
	}
	f.using = &pair
	f.log.Info("read the certificate again", "file", f.cert, "ends", pair.Leaf.NotAfter)
	return f.using, nil
}
