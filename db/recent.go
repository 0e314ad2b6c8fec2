package db

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// MostRecent is how many searches are remembered of a person.
const MostRecent = 10

// Remember notes what a person looked for. Only the latest are kept.
func (s *Store) Remember(ctx context.Context, personID int64, query string) error {
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `insert into searches (person_id, query, searched_at) values ($1, $2, $3)
			on conflict (person_id, query) do update set searched_at = excluded.searched_at`, personID, query, s.now()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `delete from searches where person_id = $1 and query in (
			select query from searches where person_id = $1 order by searched_at desc, query offset $2)`, personID, MostRecent)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember a search of person %d: %w", personID, err)
	}
	return nil
}

// Recent are the person's searches, the latest first.
func (s *Store) Recent(ctx context.Context, personID int64) ([]string, error) {
	var queries []string
	err := again(ctx, func() error {
		queries = nil
		return s.DB.SelectContext(ctx, &queries,
			`select query from searches where person_id = $1 order by searched_at desc, query limit $2`, personID, MostRecent)
	})
	if err != nil {
		return nil, fmt.Errorf("read the searches of person %d: %w", personID, err)
	}
	return queries, nil
}

// Forget takes a search away from the remembered ones; "" takes all.
func (s *Store) Forget(ctx context.Context, personID int64, query string) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `delete from searches where person_id = $1 and (query = $2 or $2 = '')`, personID, query)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget a search of person %d: %w", personID, err)
	}
	return nil
}
