package db

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"parlor/app/chat"
)

const peopleNamedSQL = `
	select p.id, p.folded from people p
	where p.folded = any($2) and (p.id = any($3) or exists (select from memberships b where b.room_id = $1 and b.person_id = p.id))`

// PeopleNamed finds those of a room who bear one of the names, by their folded
// names. To the room belongs who has a membership, and who is present.
func (s *Store) PeopleNamed(ctx context.Context, roomID int64, folded []string, present []int64) (map[string]int64, error) {
	var rows []struct {
		ID     int64  `db:"id"`
		Folded string `db:"folded"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.peopleNamed.SelectContext(ctx, &rows, roomID, pq.Array(folded), pq.Array(present))
	})
	if err != nil {
		return nil, fmt.Errorf("find who is named in room %d: %w", roomID, err)
	}
	people := make(map[string]int64, len(rows))
	for _, r := range rows {
		people[r.Folded] = r.ID
	}
	return people, nil
}

// The last character of Unicode ends the range of what begins with a text. A
// person has several keys, hence the two limits.
const membersLikeSQL = `
	select p.id, p.nickname, p.hue from (
		select distinct person_id from (
			select person_id from member_keys where room_id = $1 and key >= $2 and key <= $2 || U&'\+10FFFF' order by key limit 200
		) as found limit $3
	) as few join people p on p.id = few.person_id`

// MembersLike finds members of a room by the beginning of one of their keys
// (chat.KeyOf), at most so many, in no order.
func (s *Store) MembersLike(ctx context.Context, roomID int64, key string, most int) ([]chat.Person, error) {
	var rows []personRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.membersLike.SelectContext(ctx, &rows, roomID, key, most)
	})
	if err != nil {
		return nil, fmt.Errorf("find members of room %d by a name: %w", roomID, err)
	}
	people := make([]chat.Person, len(rows))
	for i, r := range rows {
		people[i] = r.person()
	}
	return people, nil
}

// keysPerTrip is how many people get their keys together.
const keysPerTrip = 1000

// makeKeys makes the keys of nicknames that have none: they were taken before
// there were any.
func (s *Store) makeKeys(ctx context.Context) error {
	for {
		var rows []personRow
		if err := s.DB.SelectContext(ctx, &rows, `select id, nickname from people where name_keys is null order by id limit $1`, keysPerTrip); err != nil {
			return fmt.Errorf("find nicknames without keys: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		ids, keys := []int64{}, []string{}
		for _, r := range rows {
			for _, key := range chat.KeysOf(r.Nickname) {
				ids, keys = append(ids, r.ID), append(keys, key)
			}
		}
		if _, err := s.DB.ExecContext(ctx, `
			update people p set name_keys = made.keys
			from (select id, array_agg(key) as keys from unnest($1::bigint[], $2::text[]) as x(id, key) group by id) as made
			where p.id = made.id and p.name_keys is null`, pq.Array(ids), pq.Array(keys)); err != nil {
			return fmt.Errorf("make the keys of nicknames: %w", err)
		}
	}
}
