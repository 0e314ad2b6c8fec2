package db

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/lib/pq"
)

// EndedSessions tells which of the sessions do not exist or have expired. They
// are named by the SHA-256 of their tokens, in hexadecimal.
func (s *Store) EndedSessions(ctx context.Context, names []string) (ended []string, err error) {
	hashes := make([][]byte, len(names))
	for i, name := range names {
		if hashes[i], err = hex.DecodeString(name); err != nil {
			return nil, fmt.Errorf("session %q: %w", name, err)
		}
	}
	if err := s.DB.SelectContext(ctx, &ended, `
		select encode(name, 'hex') from unnest($1::bytea[]) as t(name)
		where not exists (select from sessions where token_hash = name and expiry > $2)`, pq.Array(hashes), s.now()); err != nil {
		return nil, fmt.Errorf("look for sessions that ended: %w", err)
	}
	return ended, nil
}
