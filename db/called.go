package db

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"parlor/app/chat"
)

// PeopleCalled are the ids of those who have these nicknames, by the folded
// name. Names that nobody has are left out.
func (s *Store) PeopleCalled(ctx context.Context, nicks []chat.Nickname) (map[string]int64, error) {
	if len(nicks) == 0 {
		return nil, nil
	}
	folded := make([]string, len(nicks))
	for i, n := range nicks {
		folded[i] = n.Folded
	}
	var rows []struct {
		ID     int64  `db:"id"`
		Folded string `db:"folded"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `select id, folded from people where folded = any($1)`, pq.Array(folded))
	})
	if err != nil {
		return nil, fmt.Errorf("look for people by %d names: %w", len(nicks), err)
	}
	out := make(map[string]int64, len(rows))
	for _, r := range rows {
		out[r.Folded] = r.ID
	}
	return out, nil
}

// MostNamed is how many people NamedLike finds.
const MostNamed = 32

// NamedLike are people, by id and nickname only, whom a search may mean: those
// who have one of these nicknames (folded), then those whose nicknames a tsquery
// of package search finds, first who was mentioned or answered last. If it finds
// more than 500 nicknames, any 500 of them are looked at.
func (s *Store) NamedLike(ctx context.Context, terms string, folded []string) ([]chat.Person, error) {
	var rows []personRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			with called as (select id, nickname from people where folded = any($2)),
			     parts as (select id, nickname from people where terms @@ $1::tsquery limit 500)
			select id, nickname from (
				select *, true as whole from called
				union all select *, false from parts where id not in (select id from called)) as p
			order by whole desc, (
				select said_at from mentions m where m.person_id = p.id order by person_id, said_at desc limit 1) desc nulls last, id desc
			limit $3`, terms, pq.Array(folded), MostNamed)
	})
	if err != nil {
		return nil, fmt.Errorf("look for people by parts of their names: %w", err)
	}
	people := make([]chat.Person, len(rows))
	for i, r := range rows {
		people[i] = r.person()
	}
	return people, nil
}

// RoomsCalled are rooms by what they are asked for as: a slug, also an earlier
// one, or a name. Of each it gives id, slug and name only; what no room is
// called is left out.
func (s *Store) RoomsCalled(ctx context.Context, names []string) (map[string]chat.Room, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var rows []struct {
		roomRow
		Asked string `db:"asked"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select x.asked, r.id, r.slug, r.name from unnest($1::text[]) as x(asked)
			join rooms r on r.id = coalesce(
				(select room_id from room_slugs where slug = lower(x.asked)),
				(select room_id from room_slugs where slug = x.asked),
				(select id from rooms where lower(name) = lower(x.asked)))`, pq.Array(names))
	})
	if err != nil {
		return nil, fmt.Errorf("look for rooms by %d names: %w", len(names), err)
	}
	out := make(map[string]chat.Room, len(rows))
	for _, r := range rows {
		out[r.Asked] = r.room()
	}
	return out, nil
}
