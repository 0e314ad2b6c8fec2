package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

const (
	// freshFor and failedFor are how long what was found behind an address, or
	// that nothing was, holds for new messages.
	freshFor  = 24 * time.Hour
	failedFor = time.Hour
	// wantedFor is how long a message waits for a preview: one that comes later
	// would only surprise.
	wantedFor = time.Hour
)

// Looked is what was found behind an address; the zero value is nothing.
type Looked struct {
	Site, Title, Description string
	Image                    []byte // nil: no picture
	ImageType                string
	ImageWidth, ImageHeight  int
}

// WantPreviews notes the links of a message, for its first text, and returns
// the previews that are to be brought to it by LookUp and ShowPreview. It shows
// nothing yet and so takes no number. A message that was edited meanwhile has
// its links from Edit.
func (s *Store) WantPreviews(ctx context.Context, roomID, seq int64, links []string) (ids []int64, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		var versions []int
		if err := tx.SelectContext(ctx, &versions, `
			select version from messages where room_id = $1 and seq = $2 and deleted_at is null for update`, roomID, seq); err != nil {
			return err
		}
		if len(versions) == 0 || versions[0] != 1 {
			return nil
		}
		_, err := s.link(ctx, tx, roomID, seq, links)
		return err
	})
	if err == nil {
		ids, err = s.WantedOf(ctx, roomID, seq)
	}
	if err != nil {
		return nil, fmt.Errorf("want previews of message %d in room %d: %w", seq, roomID, err)
	}
	return ids, nil
}

// WantedOf are the previews that a message still waits for.
func (s *Store) WantedOf(ctx context.Context, roomID, seq int64) (ids []int64, err error) {
	err = s.DB.SelectContext(ctx, &ids, `
		select preview_id from message_previews where room_id = $1 and seq = $2 and state = 'wanted' order by n`, roomID, seq)
	return ids, err
}

// linkRow is a link that a message has.
type linkRow struct {
	PreviewID int64     `db:"preview_id"`
	Hash      []byte    `db:"url_hash"`
	State     string    `db:"state"`
	WantedAt  time.Time `db:"wanted_at"`
}

// link makes the given addresses the links of a message, in their order, and
// returns how many previews it shows now. Those it had stay as they are. The
// transaction holds the message's row.
func (s *Store) link(ctx context.Context, tx *sqlx.Tx, roomID, seq int64, links []string) (shown int, err error) {
	var had []linkRow
	if err := tx.SelectContext(ctx, &had, `
		select w.preview_id, v.url_hash, w.state, w.wanted_at from message_previews w join previews v on v.id = w.preview_id
		where w.room_id = $1 and w.seq = $2`, roomID, seq); err != nil {
		return 0, fmt.Errorf("read the links it had: %w", err)
	}
	if len(had) == 0 && len(links) == 0 {
		return 0, nil
	}
	if _, err := tx.ExecContext(ctx, `delete from message_previews where room_id = $1 and seq = $2`, roomID, seq); err != nil {
		return 0, fmt.Errorf("take the links away that it had: %w", err)
	}
	hashes := make([][]byte, len(links))
	for i, link := range links {
		sum := sha256.Sum256([]byte(link))
		hashes[i] = sum[:]
	}
	// In one order, so that two messages with the same links wait for each
	// other at most once.
	order := make([]int, len(links))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return bytes.Compare(hashes[i], hashes[j]) })
	rows := make([]linkRow, len(links))
	for _, i := range order {
		k := slices.IndexFunc(had, func(r linkRow) bool { return bytes.Equal(r.Hash, hashes[i]) })
		if k >= 0 {
			rows[i] = had[k]
			continue
		}
		rows[i] = linkRow{State: "wanted", WantedAt: s.now()}
		if rows[i].PreviewID, err = s.currentPreview(ctx, tx, hashes[i], links[i]); err != nil {
			return 0, fmt.Errorf("note the address of a link: %w", err)
		}
	}
	for n, r := range rows {
		if r.State == "shown" {
			shown++
		}
		if _, err := tx.ExecContext(ctx, `
			insert into message_previews (room_id, seq, n, preview_id, state, wanted_at) values ($1, $2, $3, $4, $5, $6)`,
			roomID, seq, n, r.PreviewID, r.State, r.WantedAt); err != nil {
			return 0, fmt.Errorf("note a link: %w", err)
		}
	}
	return shown, nil
}

// currentPreview finds or makes the row that new messages with the address
// get. One that is stale makes room for another.
func (s *Store) currentPreview(ctx context.Context, tx *sqlx.Tx, hash []byte, url string) (id int64, err error) {
	now := s.now()
	if _, err := tx.ExecContext(ctx, `
		update previews set current = false where url_hash = $1 and current
		and fetched_at < case when failed then $2::timestamptz else $3::timestamptz end`,
		hash, now.Add(-failedFor), now.Add(-freshFor)); err != nil {
		return 0, err
	}
	err = tx.GetContext(ctx, &id, `
		insert into previews as v (url_hash, url) values ($1, $2)
		on conflict (url_hash) where current do update set url = v.url returning id`, hash, url)
	return id, err
}

// ClaimPreview takes it on to look an address up until the lease ends, unless
// another node does just now. known says that the look is over, by whomever.
func (s *Store) ClaimPreview(ctx context.Context, id int64, lease time.Duration) (url string, known bool, err error) {
	now := s.now()
	err = s.DB.GetContext(ctx, &url, `
		update previews set claimed_until = $2 where id = $1 and fetched_at is null and (claimed_until is null or claimed_until < $3)
		returning url`, id, now.Add(lease), now)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.DB.GetContext(ctx, &known, `select fetched_at is not null from previews where id = $1`, id)
	}
	if errors.Is(err, sql.ErrNoRows) { // swept away meanwhile, so nobody waits for it
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("claim preview %d: %w", id, err)
	}
	return url, known, nil
}

// FinishPreview stores what was found behind an address, for good; found says
// whether anything was.
func (s *Store) FinishPreview(ctx context.Context, id int64, found bool, l Looked) error {
	key := ""
	if len(l.Image) > 0 {
		sum := sha256.Sum256(l.Image)
		key = hex.EncodeToString(sum[:8])
	}
	_, err := s.DB.ExecContext(ctx, `
		update previews set site = $2, title = $3, description = $4, image = $5, image_type = $6, image_width = $7, image_height = $8,
		       image_key = $9, fetched_at = $10, failed = not $11, claimed_until = null
		where id = $1 and fetched_at is null`,
		id, l.Site, l.Title, l.Description, l.Image, l.ImageType, l.ImageWidth, l.ImageHeight, key, s.now(), found)
	if err != nil {
		return fmt.Errorf("store preview %d: %w", id, err)
	}
	return nil
}

// A Waiting message wants a preview.
type Waiting struct {
	RoomID int64 `db:"room_id"`
	Seq    int64 `db:"seq"`
}

// WaitingFor lists messages that wait for a preview, at most so many. Of one
// that turned out to be nothing there are none: they wait no more.
func (s *Store) WaitingFor(ctx context.Context, previewID int64, most int) (out []Waiting, err error) {
	if _, err = s.DB.ExecContext(ctx, `
		delete from message_previews where preview_id = $1 and state = 'wanted'
		and exists (select from previews where id = $1 and failed)`, previewID); err == nil {
		err = s.DB.SelectContext(ctx, &out, `
			select room_id, seq from message_previews where preview_id = $1 and state = 'wanted' limit $2`, previewID, most)
	}
	if err != nil {
		return nil, fmt.Errorf("find who waits for preview %d: %w", previewID, err)
	}
	return out, nil
}

// ShowPreview gives a waiting message its preview and returns the room's new
// number; 0 if it does not wait any more.
func (s *Store) ShowPreview(ctx context.Context, roomID, seq, previewID int64) (rev int64, err error) {
	return s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		return s.movePreview(ctx, tx, old, previewID, rev, "wanted", "shown")
	})
}

// RemovePreview takes a preview off the author's message, for as long as the
// link stands in it, and returns the room's new number; 0 if there is none.
func (s *Store) RemovePreview(ctx context.Context, roomID, seq, previewID, personID int64) (rev int64, err error) {
	return s.changeMessage(ctx, roomID, seq, func(tx *sqlx.Tx, rev int64, old chat.Message) (bool, error) {
		if err := old.MayChange(personID); err != nil {
			return false, err
		}
		return s.movePreview(ctx, tx, old, previewID, rev, "shown", "removed")
	})
}

func (s *Store) movePreview(ctx context.Context, tx *sqlx.Tx, m chat.Message, previewID, rev int64, from, to string) (bool, error) {
	moved, err := tx.ExecContext(ctx, `
		update message_previews set state = $5 where room_id = $1 and seq = $2 and preview_id = $3 and state = $4`,
		m.RoomID, m.Seq, previewID, from, to)
	if err != nil {
		return false, fmt.Errorf("move preview %d: %w", previewID, err)
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `
		update messages set rev = $3, previews = (
		    select count(*) from message_previews w where w.room_id = $1 and w.seq = $2 and w.state = 'shown')
		where room_id = $1 and seq = $2`, m.RoomID, m.Seq, rev)
	if err != nil {
		return false, fmt.Errorf("count its previews: %w", err)
	}
	return true, s.renewTerms(ctx, tx, m.RoomID, m.Seq)
}

// LeftPreviews are addresses that messages of the last hour wait for and nobody
// looks up: what a node that ended left, or was too busy for.
func (s *Store) LeftPreviews(ctx context.Context, most int) (ids []int64, err error) {
	now := s.now()
	err = s.DB.SelectContext(ctx, &ids, `
		select w.preview_id from message_previews w join previews v on v.id = w.preview_id
		where w.state = 'wanted' and w.wanted_at > $1 and (v.claimed_until is null or v.claimed_until < $2)
		order by w.wanted_at limit $3`, now.Add(-wantedFor), now, most)
	if err != nil {
		return nil, fmt.Errorf("find addresses that nobody looks up: %w", err)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// PreviewImage is the picture of a preview. The key is the one that the preview
// was shown with: whoever has it saw the preview.
func (s *Store) PreviewImage(ctx context.Context, id int64, key string) (image []byte, kind string, err error) {
	var row struct {
		Image []byte `db:"image"`
		Type  string `db:"image_type"`
	}
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &row, `
			select image, image_type from previews where id = $1 and image_key = $2 and image is not null`, id, key)
	})
	if errors.Is(err, sql.ErrNoRows) || err == nil && key == "" {
		return nil, "", chat.Refuse(chat.NotFound, chat.NoSuchPage)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the picture of preview %d: %w", id, err)
	}
	return row.Image, row.Type, nil
}

// SweepPreviews forgets previews that are not fresh and that no message shows,
// among the next so many after an id, and returns the id that it came to; 0 at
// the end. Links that waited for too long are given up.
func (s *Store) SweepPreviews(ctx context.Context, after int64, most int) (to int64, err error) {
	now := s.now()
	if _, err := s.DB.ExecContext(ctx, `delete from message_previews where state = 'wanted' and wanted_at < $1`, now.Add(-wantedFor)); err != nil {
		return after, fmt.Errorf("give up links that wait for too long: %w", err)
	}
	var ids []int64
	if err := s.DB.SelectContext(ctx, &ids, `select id from previews where id > $1 order by id limit $2`, after, most); err != nil {
		return after, fmt.Errorf("look through previews: %w", err)
	}
	if len(ids) == 0 {
		return 0, nil
	}
	_, err = s.DB.ExecContext(ctx, `
		delete from previews v where v.id = any($1) and not exists (select from message_previews w where w.preview_id = v.id)
		and (v.fetched_at < $2 or v.fetched_at is null and (v.claimed_until is null or v.claimed_until < $3))`,
		pq.Array(ids), now.Add(-freshFor), now)
	if err != nil {
		return after, fmt.Errorf("forget previews: %w", err)
	}
	return ids[len(ids)-1], nil
}
