package db

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// A file is a row here and bytes in a folder. The row is the reference: bytes
// are there as long as a row has their digest. Both sides of that are decided
// one at a time for each digest (lockDigest): entering a row, after which its
// bytes may be kept; and removing bytes that no row has any more.

// UnsentFor is how long a file waits for the message that it was meant for.
const UnsentFor = 24 * time.Hour

// day is what chat.Limits calls a day.
const day = 24 * time.Hour

// lockFileDigest tells digests apart from what else is locked by name
// (pg_advisory_xact_lock).
const lockFileDigest = 0x66696c66

// RoomFile is a file as its room has it.
type RoomFile struct {
	chat.File
	OwnerID int64
	Seq     int64 // of the message it belongs to; 0: it waits for being sent
}

type fileRow struct {
	ID      int64         `db:"id"`
	OwnerID int64         `db:"owner_id"`
	Seq     sql.NullInt64 `db:"seq"`
	Digest  string        `db:"digest"`
	Name    string        `db:"name"`
	Type    string        `db:"type"`
	Size    int64         `db:"size"`
	Width   int           `db:"width"`
	Height  int           `db:"height"`
}

func (r fileRow) file() RoomFile {
	return RoomFile{
		File:    chat.File{ID: r.ID, Digest: r.Digest, Name: r.Name, Type: r.Type, Size: r.Size, Width: r.Width, Height: r.Height},
		OwnerID: r.OwnerID, Seq: r.Seq.Int64,
	}
}

// MayAddFile tells early whether the person may add a file of at least so many
// bytes. AddFile decides.
func (s *Store) MayAddFile(ctx context.Context, ownerID, size int64, l chat.Limits) error {
	err := again(ctx, func() error { return s.fits(ctx, s.DB, ownerID, size, l) })
	if err != nil {
		return fmt.Errorf("ask for the room for files: %w", err)
	}
	return nil
}

// fits refuses so many bytes more where they go beyond what a person may add in
// a day, or all may in all.
func (s *Store) fits(ctx context.Context, q sqlx.QueryerContext, ownerID, size int64, l chat.Limits) error {
	var all, today int64
	err := q.QueryRowxContext(ctx, `
		select (select files_bytes from house where only_row),
		       (select coalesce(sum(size), 0) from files where owner_id = $1 and uploaded_at > $2)
		       + (select coalesce(sum(size), 0) from files_gone where owner_id = $1 and uploaded_at > $2)`,
		ownerID, s.now().Add(-day)).Scan(&all, &today)
	if err != nil {
		return err
	}
	if l.FilesTotal > 0 && all+size > l.FilesTotal {
		return chat.Refuse(chat.TooLarge, chat.FilesFull)
	}
	if l.FileBytesPerDay > 0 && today+size > l.FileBytesPerDay {
		return chat.Refuse(chat.TooMany, chat.FilesOfDay, max(1, l.FileBytesPerDay>>20))
	}
	return nil
}

// AddFile enters a file that came into a room, and returns its id. Only after
// that its bytes are kept, and then KeepFile says so: until then nobody can do
// anything with it.
func (s *Store) AddFile(ctx context.Context, roomID, ownerID int64, f chat.File, l chat.Limits) (id int64, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockDigest(ctx, tx, f.Digest); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &id, `
			insert into files (room_id, owner_id, digest, name, type, size, width, height, uploaded_at, kept)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, false) returning id`,
			roomID, ownerID, f.Digest, f.Name, f.Type, f.Size, f.Width, f.Height, s.now()); err != nil {
			return err
		}
		// Now it is counted in the one row of house, which others wait for: so of
		// files that come at the same moment, each sees those before it.
		return s.fits(ctx, tx, ownerID, 0, l)
	})
	if err != nil {
		return 0, fmt.Errorf("add a file to room %d: %w", roomID, err)
	}
	return id, nil
}

// lockDigest waits until nobody else decides about the bytes of a digest, and
// holds others off until the transaction ends.
func lockDigest(ctx context.Context, tx *sqlx.Tx, digest string) error {
	_, err := tx.ExecContext(ctx, `select pg_advisory_xact_lock($1, hashtext($2))`, lockFileDigest, digest)
	return err
}

// KeepFile says that the bytes of a file are kept: it can be sent, and removed.
func (s *Store) KeepFile(ctx context.Context, id int64) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `update files set kept = true where id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("say that file %d is kept: %w", id, err)
	}
	return nil
}

// DropFile takes back what AddFile did, when the bytes could not be kept.
func (s *Store) DropFile(ctx context.Context, id int64) error {
	err := again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `delete from files where id = $1 and not kept`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("drop file %d: %w", id, err)
	}
	return nil
}

// File finds a file in a room, sent or waiting.
func (s *Store) File(ctx context.Context, roomID, id int64) (RoomFile, error) {
	var rows []fileRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.file.SelectContext(ctx, &rows, id, roomID)
	})
	if err != nil {
		return RoomFile{}, fmt.Errorf("read file %d of room %d: %w", id, roomID, err)
	}
	if len(rows) == 0 {
		return RoomFile{}, chat.Refuse(chat.NotFound, chat.NoSuchFile)
	}
	return rows[0].file(), nil
}

const fileSQL = `
	select id, owner_id, seq, digest, name, type, size, width, height from files
	where id = $1 and room_id + 0 = $2 and kept`

// WaitingFiles finds those of the files, in their order, that wait in the room
// for being sent by the person. Those which a post with the same nonce took
// along are found, too: another may be its repetition.
func (s *Store) WaitingFiles(ctx context.Context, roomID, ownerID int64, nonce string, ids []int64) ([]chat.File, error) {
	var rows []fileRow
	err := again(ctx, func() error {
		rows = rows[:0]
		return s.DB.SelectContext(ctx, &rows, `
			select f.id, f.owner_id, f.seq, f.digest, f.name, f.type, f.size, f.width, f.height
			from unnest($1::bigint[]) with ordinality as x(id, n) join files f on f.id = x.id
			left join messages m on m.room_id = f.room_id and m.seq = f.seq
			where f.room_id + 0 = $2 and f.owner_id + 0 = $3 and f.kept and (f.seq is null or m.nonce::text = $4)
			order by x.n`, pq.Array(ids), roomID, ownerID, nonce)
	})
	if err != nil {
		return nil, fmt.Errorf("find files that wait in room %d: %w", roomID, err)
	}
	files := make([]chat.File, len(rows))
	for i, r := range rows {
		files[i] = r.file().File
	}
	return files, nil
}

// RemoveFile removes a file that waits for being sent. One that is not there
// any more is as it was wished to be; another's is NotFound, and one that was
// sent a Conflict.
func (s *Store) RemoveFile(ctx context.Context, roomID, ownerID, id int64) error {
	err := again(ctx, func() error {
		done, err := s.DB.ExecContext(ctx, `
			delete from files where id = $1 and room_id + 0 = $2 and owner_id + 0 = $3 and seq is null and kept`, id, roomID, ownerID)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n > 0 {
			return err
		}
		var rows []fileRow
		if err := s.file.SelectContext(ctx, &rows, id, roomID); err != nil || len(rows) == 0 {
			return err
		}
		if rows[0].OwnerID == ownerID && rows[0].Seq.Valid {
			return chat.Refuse(chat.Conflict, chat.FileSent)
		}
		return chat.Refuse(chat.NotFound, chat.NoSuchFile)
	})
	if err != nil {
		return fmt.Errorf("remove file %d of room %d: %w", id, roomID, err)
	}
	return nil
}

// SweepFiles removes what was never sent, and forgets what is gone and counts
// for nobody's day any more.
func (s *Store) SweepFiles(ctx context.Context) error {
	err := again(ctx, func() error {
		if _, err := s.DB.ExecContext(ctx, `delete from files where seq is null and uploaded_at < $1`, s.now().Add(-UnsentFor)); err != nil {
			return err
		}
		_, err := s.DB.ExecContext(ctx, `delete from files_gone where cleared and uploaded_at < $1`, s.now().Add(-day))
		return err
	})
	if err != nil {
		return fmt.Errorf("sweep files: %w", err)
	}
	return nil
}

// mostCleared is how many digests ClearFiles looks at in one go.
const mostCleared = 100

// ClearFiles has the bytes removed that belong to no file any more: remove is
// called with their digest, and nobody can keep the same at that moment. It
// returns how many digests it has dealt with.
func (s *Store) ClearFiles(ctx context.Context, remove func(digest string) error) (cleared int, err error) {
	for {
		var digests []string
		err := s.DB.SelectContext(ctx, &digests, `select distinct digest from files_gone where not cleared order by digest limit $1`, mostCleared)
		if err != nil {
			return cleared, fmt.Errorf("look for files that are gone: %w", err)
		}
		for _, digest := range digests {
			if err := s.clearFile(ctx, digest, remove); err != nil {
				return cleared, fmt.Errorf("clear %s: %w", digest, err)
			}
			cleared++
		}
		if len(digests) < mostCleared {
			return cleared, nil
		}
	}
}

func (s *Store) clearFile(ctx context.Context, digest string, remove func(string) error) error {
	return s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := lockDigest(ctx, tx, digest); err != nil {
			return err
		}
		var needed bool
		if err := tx.GetContext(ctx, &needed, `select exists (select from files where digest = $1)`, digest); err != nil {
			return err
		}
		if !needed {
			if err := remove(digest); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `update files_gone set cleared = true where digest = $1 and not cleared`, digest)
		return err
	})
}

// FilesMarker is the text that the folder of this database's files holds. A
// database that knows none yet takes the one that is proposed.
func (s *Store) FilesMarker(ctx context.Context, proposed string) (marker string, err error) {
	err = again(ctx, func() error {
		return s.DB.GetContext(ctx, &marker,
			`update house set files_marker = coalesce(files_marker, $1) where only_row returning files_marker`, proposed)
	})
	if err != nil {
		return "", fmt.Errorf("ask which folder the files are in: %w", err)
	}
	return marker, nil
}
