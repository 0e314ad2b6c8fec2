package db

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"parlor/app/chat"
)

// MostVersions is how many earlier texts are read at once.
const MostVersions = 20

// Versions reads the texts that a message had before its present one, the
// newest first: those before a version, or, with 0, all of them, at most
// MostVersions. A deleted message has none.
func (s *Store) Versions(ctx context.Context, roomID, seq int64, before int) (versions []chat.Version, more bool, err error) {
	if before <= 0 {
		before = math.MaxInt32
	}
	var rows []struct {
		Version   int       `db:"version"`
		Body      string    `db:"body"`
		WrittenAt time.Time `db:"written_at"`
		Mentioned []byte    `db:"mentioned_people"`
	}
	err = again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select v.version, v.body, v.written_at,
			       case when v.mentioned is not null then (
			           select jsonb_agg(`+personJSON+`) from people x where x.id = any(v.mentioned)) end as mentioned_people
			from message_versions v join messages m on m.room_id = v.room_id and m.seq = v.seq and m.deleted_at is null
			where v.room_id = $1 and v.seq = $2 and v.version < $3 order by v.version desc limit $4`,
			roomID, seq, before, MostVersions+1)
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the versions of message %d of room %d: %w", seq, roomID, err)
	}
	more = len(rows) > MostVersions
	for _, r := range rows[:min(len(rows), MostVersions)] {
		v := chat.Version{Version: r.Version, Body: r.Body, WrittenAt: r.WrittenAt}
		if r.Mentioned != nil {
			if err := json.Unmarshal(r.Mentioned, &v.Mentioned); err != nil {
				return nil, false, fmt.Errorf("read who is named in version %d of message %d of room %d: %w", r.Version, seq, roomID, err)
			}
		}
		versions = append(versions, v)
	}
	return versions, more, nil
}

// LastOwn finds what a person said last in a room: not deleted, after a time,
// and among the newest messages, at most `most` of them. Of a thread, if one is
// given, the message that it began with is the first.
func (s *Store) LastOwn(ctx context.Context, roomID, personID, thread int64, after time.Time, most int) (seq int64, err error) {
	newest, args := `select seq, author_id, deleted_at, said_at from messages where room_id = $1 order by seq desc limit $4`,
		[]any{roomID, personID, after, most}
	if thread != 0 {
		newest = `(select seq, author_id, deleted_at, said_at from messages where room_id = $1 and thread_seq = $5 order by seq desc limit $4)
			union all select seq, author_id, deleted_at, said_at from messages where room_id = $1 and seq = $5`
		args = append(args, thread)
	}
	var found []int64
	err = again(ctx, func() error {
		found = found[:0]
		return s.DB.SelectContext(ctx, &found, `
			select seq from (`+newest+`) as newest
			where author_id = $2 and deleted_at is null and said_at > $3 order by seq desc limit 1`, args...)
	})
	if err != nil {
		return 0, fmt.Errorf("find the last message of person %d in room %d: %w", personID, roomID, err)
	}
	if len(found) == 0 {
		return 0, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	return found[0], nil
}
