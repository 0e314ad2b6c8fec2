package db

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// EndedSessions tells which of the sessions do not exist or have expired. They
// are named by the SHA-256 of their tokens, in hexadecimal.
func (s *Store) EndedSessions(ctx context.Context, names []string) (ended []string, err error) {
	byKey := make(map[string]string, len(names)) // as scs keeps them
	keys := make([]string, 0, len(names))
	for _, name := range names {
		sum, err := hex.DecodeString(name)
		if err != nil {
			return nil, fmt.Errorf("session %q: %w", name, err)
		}
		key := base64.RawURLEncoding.EncodeToString(sum)
		byKey[key] = name
		keys = append(keys, key)
	}
	var there []string
	if err := s.DB.SelectContext(ctx, &there, `select token from sessions where token = any($1) and expiry > $2`, keys, s.now()); err != nil {
		return nil, fmt.Errorf("look for sessions that ended: %w", err)
	}
	for _, key := range there {
		delete(byKey, key)
	}
	for _, name := range byKey {
		ended = append(ended, name)
	}
	return ended, nil
}
