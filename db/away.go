package db

import (
	"context"
	"database/sql"
	"time"

	"github.com/lib/pq"
)

const (
	// pingEvery is how often the database is asked whether it is there,
	// awayAfter how long it may say nothing until it is away. After that it is
	// asked more often.
	pingEvery = time.Second
	pingAgain = 250 * time.Millisecond
	awayAfter = 2 * time.Second
)

// Away tells whether the database has not answered for a while. Asking it
// makes no sense then.
func (s *Store) Away() bool {
	select {
	case <-s.Gone():
		return true
	default:
		return false
	}
}

// Gone is closed when the database goes away, for those who wait for it just
// then. There is another one when it is back.
func (s *Store) Gone() <-chan struct{} { return *s.gone.Load() }

// Watch asks the database every second whether it is there, until ctx ends,
// and tells when that changed. It has a connection of its own: a pool with
// nothing free is no absence. A Store is watched once.
func (s *Store) Watch(ctx context.Context, changed func(away bool)) error {
	connector, err := pq.NewConnector(s.url)
	if err != nil {
		return err
	}
	connector.Dialer(dialer{answerWithin: awayAfter})
	conn := sql.OpenDB(connector)
	defer conn.Close()
	conn.SetMaxOpenConns(1)
	for heard := time.Now(); ; {
		err := conn.PingContext(ctx)
		if ctx.Err() != nil {
			return nil
		}
		pause := pingEvery
		switch {
		case err == nil:
			heard = time.Now()
			if s.Away() {
				back := make(chan struct{})
				s.gone.Store(&back)
				changed(false)
			}
		case s.Away():
			pause = pingAgain
		case time.Since(heard) >= awayAfter:
			close(*s.gone.Load())
			changed(true)
			fallthrough
		default:
			pause = pingAgain
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
