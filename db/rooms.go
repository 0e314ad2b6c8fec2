package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"parlor/app/chat"
)

// roomRow is a room as the queries below select it.
type roomRow struct {
	ID         int64         `db:"id"`
	Slug       string        `db:"slug"`
	Name       string        `db:"name"`
	Topic      string        `db:"topic"`
	MakerID    sql.NullInt64 `db:"maker_id"`
	Epoch      string        `db:"epoch"`
	Rev        int64         `db:"rev"`
	AboutRev   int64         `db:"about_rev"`
	Said       int64         `db:"said"`
	LastSeq    int64         `db:"last_seq"`
	LastSaidAt time.Time     `db:"last_said_at"`
	Previews   bool          `db:"previews"`
	Pins       int           `db:"pins"`
}

const roomColumns = `r.id, r.slug, r.name, r.topic, r.maker_id, r.rev, r.about_rev, r.said, r.last_seq, r.last_said_at, r.previews, r.pins,
	(select epoch from house where only_row) as epoch`

func (r roomRow) room() chat.Room {
	return chat.Room{
		ID: r.ID, Slug: r.Slug, Name: r.Name, Topic: r.Topic, MakerID: r.MakerID.Int64,
		Epoch: r.Epoch, Rev: r.Rev, AboutRev: r.AboutRev, Said: r.Said, LastSeq: r.LastSeq, LastSaidAt: r.LastSaidAt, Previews: r.Previews, Pins: r.Pins,
	}
}

const roomByIDSQL = `select ` + roomColumns + ` from rooms r where r.id = $1`

const roomBySlugSQL = `select ` + roomColumns + ` from room_slugs s join rooms r on r.id = s.room_id where s.slug = $1`

func (s *Store) room(ctx context.Context, stmt *sqlx.Stmt, arg any) (chat.Room, error) {
	var row roomRow
	err := stmt.GetContext(ctx, &row, arg)
	return s.found(row, err)
}

// found is the room that a query found, or the refusal when it found none.
func (s *Store) found(row roomRow, err error) (chat.Room, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Room{}, chat.Refuse(chat.NotFound, chat.NoSuchRoom)
	}
	if err == nil {
		s.sawEpoch(row.Epoch)
	}
	return row.room(), err
}

// Room finds a room by its slug or by one that it had earlier; the caller
// compares Room.Slug to tell the two apart.
func (s *Store) Room(ctx context.Context, slug string) (chat.Room, error) {
	var room chat.Room
	err := again(ctx, func() (err error) {
		room, err = s.room(ctx, s.roomBySlug, slug)
		return err
	})
	if err != nil {
		return room, fmt.Errorf("find room %q: %w", slug, err)
	}
	return room, nil
}

// Rooms lists the public rooms, the latest active first.
func (s *Store) Rooms(ctx context.Context, most int) ([]chat.Glance, error) {
	return s.glances(ctx, `order by r.last_said_at desc, r.id limit $1`, most)
}

// RoomsByID reads the given rooms as the lobby shows them, in one query.
func (s *Store) RoomsByID(ctx context.Context, ids []int64) ([]chat.Glance, error) {
	return s.glances(ctx, `where r.id = any($1) order by r.id`, ids)
}

func (s *Store) glances(ctx context.Context, which string, arg any) ([]chat.Glance, error) {
	var rows []struct {
		roomRow
		LastAuthor sql.NullString `db:"last_author"`
		LastBody   sql.NullString `db:"last_body"`
		LastNames  []byte         `db:"last_names"`
		LastFiles  int            `db:"last_files"`
	}
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select `+roomColumns+`, p.nickname as last_author, left(m.body, 300) as last_body, coalesce(m.files, 0) as last_files,
			       case when m.mentioned is not null then (select jsonb_agg(`+personJSON+`) from people x where x.id = any(m.mentioned)) end as last_names
			from rooms r
			left join messages m on m.room_id = r.id and m.seq = r.last_seq and m.deleted_at is null
			left join people p on p.id = m.author_id `+which, arg)
	})
	if err != nil {
		return nil, fmt.Errorf("list rooms: %w", err)
	}
	out := make([]chat.Glance, len(rows))
	for i, r := range rows {
		out[i] = chat.Glance{Room: r.room(), LastAuthor: r.LastAuthor.String, LastBody: r.LastBody.String, LastFiles: r.LastFiles}
		if r.LastNames != nil {
			if err := json.Unmarshal(r.LastNames, &out[i].LastNames); err != nil {
				return nil, fmt.Errorf("list rooms: read who is named in room %d: %w", r.ID, err)
			}
		}
	}
	return out, nil
}

// MakeRoom makes a public room. Two rooms can't have the same name.
func (s *Store) MakeRoom(ctx context.Context, makerID int64, name, topic string) (chat.Room, error) {
	var row roomRow
	create := func(tx *sqlx.Tx) error {
		slug, err := freeSlug(ctx, tx, 0, name)
		if err != nil {
			return err
		}
		now := s.now()
		if err := tx.GetContext(ctx, &row, `
			insert into rooms as r (slug, name, topic, maker_id, last_said_at, created_at)
			values ($1, $2, $3, $4, $5, $5) returning `+roomColumns, slug, name, topic, makerID, now); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `insert into room_slugs (slug, room_id) values ($1, $2)`, slug, row.ID)
		return err
	}
	err := s.inTx(ctx, create)
	for try := 1; try < mostTries && isUnique(err) != "" && isUnique(err) != "rooms_name"; try++ {
		err = s.inTx(ctx, create) // another room took the slug that was free a moment ago
	}
	if err != nil {
		return chat.Room{}, fmt.Errorf("make room %q: %w", name, nameTaken(err))
	}
	return row.room(), nil
}

// ChangeRoom gives a room another name and topic. The room's earlier slugs
// keep leading to it.
func (s *Store) ChangeRoom(ctx context.Context, roomID, personID int64, name, topic string) (chat.Room, error) {
	var row roomRow
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &row, `
			update rooms r set rev = rev + 1, about_rev = rev + 1 where id = $1 returning `+roomColumns, roomID)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
		} else if err != nil {
			return err
		}
		if !row.room().CanChange(personID) {
			return chat.Refuse(chat.NotAllowed, chat.NotYourRoom)
		}
		slug := row.Slug
		if chat.Slug(name) != chat.Slug(row.Name) {
			if slug, err = takeSlug(ctx, tx, roomID, name); err != nil {
				return err
			}
		}
		return tx.GetContext(ctx, &row, `
			update rooms r set slug = $2, name = $3, topic = $4 where id = $1 returning `+roomColumns,
			roomID, slug, name, topic)
	})
	if err != nil {
		return chat.Room{}, fmt.Errorf("change room %d: %w", roomID, nameTaken(err))
	}
	return row.room(), nil
}

// SetPreviews says whether links in a room are looked up from now on, and
// whether pages show what messages have of that already: it stays with them.
func (s *Store) SetPreviews(ctx context.Context, roomID, personID int64, on bool) (chat.Room, error) {
	var row roomRow
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &row, `
			update rooms r set rev = rev + 1, about_rev = rev + 1, previews = $2 where id = $1 returning `+roomColumns, roomID, on)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.Refuse(chat.NotFound, chat.NoSuchRoom)
		}
		if err == nil && !row.room().CanChange(personID) {
			return chat.Refuse(chat.NotAllowed, chat.NotYourRoom)
		}
		return err
	})
	if err != nil {
		return chat.Room{}, fmt.Errorf("set previews of room %d: %w", roomID, err)
	}
	return row.room(), nil
}

// takeSlug gives the room a slug for the name, for ever. Another room may take
// the one that was free a moment ago; then it is another.
func takeSlug(ctx context.Context, tx *sqlx.Tx, roomID int64, name string) (string, error) {
	for {
		slug, err := freeSlug(ctx, tx, roomID, name)
		if err != nil {
			return "", err
		}
		var taken []string
		if err := tx.SelectContext(ctx, &taken, `
			insert into room_slugs as s (slug, room_id) values ($1, $2)
			on conflict (slug) do update set room_id = s.room_id where s.room_id = $2 returning slug`, slug, roomID); err != nil {
			return "", fmt.Errorf("take the slug %q: %w", slug, err)
		}
		if len(taken) == 1 {
			return slug, nil
		}
	}
}

// freeSlug finds a slug for the name that no other room has or had.
func freeSlug(ctx context.Context, tx *sqlx.Tx, roomID int64, name string) (string, error) {
	base := chat.Slug(name)
	// As many candidates as there could be collisions, asked in one query.
	candidates := []string{base}
	for n := 2; n <= 50; n++ {
		candidates = append(candidates, base+"-"+strconv.Itoa(n))
	}
	var taken []string
	if err := tx.SelectContext(ctx, &taken,
		`select slug from room_slugs where slug = any($1) and room_id <> $2`, candidates, roomID); err != nil {
		return "", fmt.Errorf("look for a free slug: %w", err)
	}
	used := make(map[string]bool, len(taken))
	for _, slug := range taken {
		used[slug] = true
	}
	for _, slug := range candidates {
		if !used[slug] {
			return slug, nil
		}
	}
	return "", chat.RefuseField("name", chat.RoomNameTaken)
}

// nameTaken turns the violated uniqueness of names into its refusal.
func nameTaken(err error) error {
	if isUnique(err) != "" {
		return &chat.Error{Kind: chat.Conflict, Field: "name", Reason: chat.RoomNameTaken}
	}
	return err
}
