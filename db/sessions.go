package db

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Keys of what a session holds; there is nothing else in it. Both values are
// int64.
const (
	SessionPerson = "person" // whose it is
	SessionDay    = "day"    // of the last visit that was noted, in days since 1970
)

// Sessions keeps sessions for scs (it is a scs.CtxStore, and SessionCodec its
// Codec). A token is stored as its hash only: whoever reads the database can't
// take over a session.
type Sessions struct{ store *Store }

// Sessions is where scs keeps what it keeps.
func (s *Store) Sessions() Sessions { return Sessions{s} }

func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

const findSessionSQL = `select person_id, day, expiry from sessions where token_hash = $1 and expiry > $2`

// FindCtx reads a session that has not expired.
func (s Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	var x session
	err = again(ctx, func() error {
		return s.store.findSession.QueryRowContext(ctx, tokenHash(token), s.store.now()).Scan(&x.person, &x.day, &x.deadline)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("find a session: %w", err)
	}
	return x.bytes(), true, nil
}

// errEnded is what a session gets that was signed out while it was in use.
var errEnded = errors.New("the session has ended")

// CommitCtx changes a session. It makes none, so that whoever signed out stays
// so, whatever was under way; EnterWith does.
func (s Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	x, err := parseSession(data)
	if err == nil {
		err = again(ctx, func() error {
			done, err := s.store.DB.ExecContext(ctx,
				`update sessions set person_id = $2, day = $3, expiry = $4 where token_hash = $1`,
				tokenHash(token), x.person, x.day, expiry)
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n == 0 {
				return cmp.Or(err, errEnded)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("store a session: %w", err)
	}
	return nil
}

// NoteVisit holds a session until the given time, and its person's nickname
// for HoldFor from now. It is false when there is no such session any more.
func (s *Store) NoteVisit(ctx context.Context, token string, day int64, expiry time.Time) (there bool, err error) {
	err = again(ctx, func() error {
		done, err := s.DB.ExecContext(ctx, `
			with visited as (update sessions set day = $2, expiry = $3 where token_hash = $1 returning person_id)
			update people set held_until = $4 from visited where people.id = visited.person_id`,
			tokenHash(token), day, expiry, s.now().Add(HoldFor))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		there = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("note a visit: %w", err)
	}
	return there, nil
}

// DeleteCtx ends a session.
func (s Sessions) DeleteCtx(ctx context.Context, token string) error {
	err := again(ctx, func() error {
		_, err := s.store.DB.ExecContext(ctx, `delete from sessions where token_hash = $1`, tokenHash(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Find, Commit and Delete are there because scs asks for them; it uses those
// with a context.
func (s Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

func (s Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// SweepSessions forgets expired sessions, a few at a time; several nodes do
// not wait for each other.
func (s *Store) SweepSessions(ctx context.Context) error {
	_, err := s.DB.ExecContext(ctx, `delete from sessions where token_hash in
		(select token_hash from sessions where expiry <= $1 order by expiry limit 1000 for update skip locked)`, s.now())
	if err != nil {
		return fmt.Errorf("sweep sessions: %w", err)
	}
	return nil
}

// session is what is known of one.
type session struct {
	person, day int64
	deadline    time.Time
}

// bytes is the form in which a session passes between scs and its store.
func (x session) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(x.person))
	b = binary.BigEndian.AppendUint64(b, uint64(x.day))
	return binary.BigEndian.AppendUint64(b, uint64(x.deadline.UnixMicro())) // as exact as Postgres
}

func parseSession(b []byte) (session, error) {
	if len(b) != 24 {
		return session{}, fmt.Errorf("a session of %d bytes", len(b))
	}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	return session{number(0), number(8), time.UnixMicro(number(16)).UTC()}, nil
}

// SessionCodec is the scs.Codec of what Sessions keeps. Anything but the two
// keys above is refused, since there is no place for it.
type SessionCodec struct{}

func (SessionCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	person, _ := values[SessionPerson].(int64)
	day, _ := values[SessionDay].(int64)
	for key := range values {
		if key != SessionPerson && key != SessionDay {
			return nil, fmt.Errorf("a session has no place for %q", key)
		}
	}
	return session{person, day, deadline}.bytes(), nil
}

func (SessionCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	x, err := parseSession(b)
	return x.deadline, map[string]any{SessionPerson: x.person, SessionDay: x.day}, err
}
