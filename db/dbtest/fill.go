package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Fill makes a long history in a database that holds no messages yet, in a few
// minutes for ten million: so many rooms with the names "Filled 1", "Filled 2"
// and so on, and about so many messages of some 200 bytes. The first of the
// rooms gets an eighth of the messages, the others the rest in equal parts. In
// each every 50th message was changed later: edited, and every 200th deleted.
// None can be found by its words, which would take longer than all the rest.
//
// The connection must be a superuser's, as the private cluster's is.
func Fill(ctx context.Context, conn *sql.DB, rooms, messages int) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect once committed
	var used bool
	if err := tx.QueryRowContext(ctx, `select exists (select from messages)`).Scan(&used); err != nil {
		return err
	}
	if used {
		return errors.New("fill the database: it holds messages already")
	}
	big := messages / 8
	each := (messages - big) / max(1, rooms-1)
	for _, statement := range []string{
		// No look-up of each row's room and author; and what is written to a
		// table that was emptied in the same transaction needs no log of its own.
		`set local session_replication_role = replica`,
		`set local synchronous_commit = off`,
		`truncate messages`,
		`insert into people (nickname, folded, skeleton, hue, held_until, created_at)
		 select 'Filler ' || i, 'filler ' || i, 'filler ' || i, i % 36, now(), now() from generate_series(1, 1000) i`,
		fmt.Sprintf(`insert into rooms (slug, name, rev, said, last_seq, last_said_at, created_at)
		 select 'filled-' || i, 'Filled ' || i, said + said / 50, said, said, now() - i * interval '1 second', now()
		 from (select i, case when i = 1 then %d else %d end as said from generate_series(1, %d) i) r`, big, each, rooms),
		`insert into room_slugs select slug, id from rooms where slug like 'filled-%'`,
		`insert into memberships (room_id, person_id)
		 select r.id, p.id from rooms r, generate_series(0, 29) k, people p
		 where r.slug like 'filled-%' and p.nickname = 'Filler ' || 1 + (r.id * 7 + k) % 1000`,
		// Room after room, so that a page of history is few pages of the disk.
		`insert into messages (room_id, seq, rev, ordinal, author_id, nonce, said_sum, body, first, new_day, said_at, edited_at, deleted_at, terms)
		 select r.id, i, case when i % 50 = 0 then r.said + i / 50 else i end, i, p.person_id, gen_random_uuid(),
		        case when i % 200 > 0 then sha256(convert_to(body, 'UTF8')) end, case when i % 200 > 0 then body else '' end,
		        i % 3 = 1, i % 100 = 1, r.last_said_at - (r.said - i) * interval '1 minute',
		        case when i % 50 = 0 and i % 200 > 0 then r.last_said_at end, case when i % 200 = 0 then r.last_said_at end,
		        case when i % 200 > 0 then ''::tsvector end
		 from rooms r
		 join (select room_id, array_agg(person_id) as ids from memberships group by room_id) b on b.room_id = r.id,
		 lateral generate_series(1, r.said) i,
		 lateral (select b.ids[1 + (i / 3) % 30] as person_id,
		                 'This is message ' || i || ' of a long history: ' || md5(i::text) || repeat(', and so on', 12) as body) p
		 where r.slug like 'filled-%'`,
		`update rooms r set last_author_id = m.author_id from messages m
		 where m.room_id = r.id and m.seq = r.last_seq and r.slug like 'filled-%'`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `vacuum analyze`); err != nil {
		return fmt.Errorf("vacuum the filled database: %w", err)
	}
	return nil
}
