package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"parlor/app/chat"
)

// messageRow is a message as the queries below select it.
type messageRow struct {
	RoomID    int64         `db:"room_id"`
	Seq       int64         `db:"seq"`
	Rev       int64         `db:"rev"`
	Ordinal   int64         `db:"ordinal"`
	AuthorID  int64         `db:"author_id"`
	Nickname  string        `db:"nickname"`
	Hue       int           `db:"hue"`
	Body      string        `db:"body"`
	Emote     bool          `db:"emote"`
	Version   int           `db:"version"`
	First     bool          `db:"first"`
	NewDay    bool          `db:"new_day"`
	SaidAt    time.Time     `db:"said_at"`
	EditedAt  *time.Time    `db:"edited_at"`
	DeletedAt *time.Time    `db:"deleted_at"`
	ThreadSeq sql.NullInt64 `db:"thread_seq"`
	Quotes    int           `db:"quotes"`
	Replies   int           `db:"replies"`
	PinnedAt  *time.Time    `db:"pinned_at"`

	// What belongs to a message is JSON, null where there is nothing.
	Mentioned []byte `db:"mentioned_people"`
	PinnedBy  []byte `db:"pinned_by_person"`
	Parent    []byte `db:"parent"`
	Reactions []byte `db:"all_reactions"`
	Files     []byte `db:"all_files"`
	Previews  []byte `db:"all_previews"`
}

// selectMessages reads messages with all that belongs to them in one query, and
// so in one state. Most messages have nothing: then nothing is looked for.
var selectMessages = `
	select m.room_id, m.seq, m.rev, m.ordinal, m.author_id, p.nickname, p.hue, m.body, m.emote, m.version,
	       m.first, m.new_day, m.said_at, m.edited_at, m.deleted_at, m.thread_seq, m.quotes, m.replies, m.pinned_at,
	       case when m.mentioned is not null or q.mentioned is not null then (
	           select jsonb_agg(` + personJSON + `) from people x where x.id = any(m.mentioned || q.mentioned)
	       ) end as mentioned_people,
	       case when m.pinned_by is not null then (select ` + personJSON + ` from people x where x.id = m.pinned_by) end as pinned_by_person,
	       case when q.seq is not null then jsonb_build_object(
	           'Seq', q.seq, 'Body', left(q.body, ` + mostQuoted + `), 'Files', q.files, 'Deleted', q.deleted_at is not null,
	           'Author', (select ` + personJSON + ` from people x where x.id = q.author_id)
	       ) end as parent,
	       case when m.reactions > 0 then (
	           select jsonb_agg(jsonb_build_object('Emoji', e.emoji, 'Count', e.n, 'Latest', to_jsonb(e.latest[:` + latestReactions + `]), 'People', (
	                   select jsonb_agg(` + personJSON + ` order by u.n) from unnest(e.people[:` + reactionNames + `]) with ordinality as u(id, n)
	                   join people x on x.id = u.id)) order by e.first)
	           from (
	               select y.emoji, count(*) as n, min(y.id) as first, array_agg(y.person_id order by y.id) as people,
	                      array_agg(y.person_id order by y.id desc) as latest
	               from reactions y where y.room_id = m.room_id and y.seq = m.seq group by y.emoji) as e
	       ) end as all_reactions,
	       case when m.files > 0 then (
	           select jsonb_agg(jsonb_build_object('ID', f.id, 'Digest', f.digest, 'Name', f.name, 'Type', f.type, 'Size', f.size,
	               'Width', f.width, 'Height', f.height) order by f.n)
	           from files f where f.room_id = m.room_id and f.seq = m.seq
	       ) end as all_files,
	       case when m.previews > 0 then (
	           select jsonb_agg(jsonb_build_object('ID', v.id, 'URL', v.url, 'Site', v.site, 'Title', v.title, 'Description', v.description,
	               'ImageWidth', v.image_width, 'ImageHeight', v.image_height, 'ImageKey', v.image_key) order by w.n)
	           from message_previews w join previews v on v.id = w.preview_id
	           where w.room_id = m.room_id and w.seq = m.seq and w.state = 'shown'
	       ) end as all_previews
	from messages m join people p on p.id = m.author_id
	left join messages q on q.room_id = m.room_id and q.seq = m.parent_seq `

// Limits of chat, as parts of a query.
var (
	latestReactions = strconv.Itoa(chat.LatestReactions)
	reactionNames   = strconv.Itoa(chat.ReactionNames)
	mostQuoted      = strconv.Itoa(chat.MostQuoted)
)

const personJSON = `jsonb_build_object('ID', x.id, 'Nickname', x.nickname, 'Hue', x.hue)`

func toMessages(rows []messageRow) ([]chat.Message, error) {
	out := make([]chat.Message, len(rows))
	for i, r := range rows {
		m := chat.Message{
			RoomID: r.RoomID, Seq: r.Seq, Rev: r.Rev, Ordinal: r.Ordinal,
			Author: chat.Person{ID: r.AuthorID, Nickname: r.Nickname, Hue: r.Hue},
			Body:   r.Body, Emote: r.Emote, Version: r.Version, First: r.First, NewDay: r.NewDay,
			SaidAt: r.SaidAt, EditedAt: r.EditedAt, DeletedAt: r.DeletedAt,
			ThreadSeq: r.ThreadSeq.Int64, Quotes: r.Quotes, Replies: r.Replies, PinnedAt: r.PinnedAt,
		}
		for _, part := range []struct {
			json []byte
			into any
		}{
			{r.Mentioned, &m.Mentioned}, {r.PinnedBy, &m.PinnedBy}, {r.Parent, &m.Parent},
			{r.Reactions, &m.Reactions}, {r.Files, &m.Files}, {r.Previews, &m.Previews},
		} {
			if part.json == nil {
				continue
			}
			if err := json.Unmarshal(part.json, part.into); err != nil {
				return nil, fmt.Errorf("read what belongs to message %d of room %d: %w", r.Seq, r.RoomID, err)
			}
		}
		out[i] = m
	}
	return out, nil
}

var messageSQL = selectMessages + `where m.room_id = $1 and m.seq = $2`

// Message reads one message.
func (s *Store) Message(ctx context.Context, roomID, seq int64) (chat.Message, error) {
	var rows []messageRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.message.SelectContext(ctx, &rows, roomID, seq)
	})
	if err != nil {
		return chat.Message{}, fmt.Errorf("read message %d of room %d: %w", seq, roomID, err)
	}
	if len(rows) == 0 {
		return chat.Message{}, chat.Refuse(chat.NotFound, chat.NoSuchMessage)
	}
	messages, err := toMessages(rows)
	if err != nil {
		return chat.Message{}, err
	}
	return messages[0], nil
}
