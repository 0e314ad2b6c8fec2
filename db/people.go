package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"parlor/app/chat"
)

// HoldFor is how long a nickname is held after its person's last visit.
const HoldFor = 90 * 24 * time.Hour

// Hues is how many seal colours there are.
const Hues = 36

type personRow struct {
	ID       int64  `db:"id"`
	Nickname string `db:"nickname"`
	Hue      int    `db:"hue"`
	Renames  int    `db:"renames"`
	Status   string `db:"status"`
}

func (p personRow) person() chat.Person {
	return chat.Person{ID: p.ID, Nickname: p.Nickname, Hue: p.Hue, Renames: p.Renames, Status: p.Status}
}

// Enter makes a person with the nickname. When it is taken, or looks like one
// that is, the refusal carries two free suggestions.
func (s *Store) Enter(ctx context.Context, nick chat.Nickname, most int) (chat.Person, error) {
	return s.enter(ctx, nick, most, func(*sqlx.Tx, int64) error { return nil })
}

// EnterWith is Enter, and stores the person's session in the same transaction:
// nobody is locked out of a nickname whose session could not be stored.
func (s *Store) EnterWith(ctx context.Context, nick chat.Nickname, most int, token string, day int64, expiry time.Time) (chat.Person, error) {
	return s.enter(ctx, nick, most, func(tx *sqlx.Tx, personID int64) error {
		_, err := tx.ExecContext(ctx, `insert into sessions (token_hash, person_id, day, expiry) values ($1, $2, $3, $4)`,
			tokenHash(token), personID, day, expiry)
		return err
	})
}

// EnterAgain makes another session of the person of a session, and holds both
// until the given time. It is false when there is no such session any more.
func (s *Store) EnterAgain(ctx context.Context, token, another string, day int64, expiry time.Time) (there bool, err error) {
	if there, err = s.NoteVisit(ctx, token, day, expiry); err != nil || !there {
		return false, err
	}
	err = again(ctx, func() error {
		_, err := s.DB.ExecContext(ctx, `
			insert into sessions (token_hash, person_id, day, expiry)
			select $2, person_id, $3, $4 from sessions where token_hash = $1`, tokenHash(token), tokenHash(another), day, expiry)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("enter again: %w", err)
	}
	return true, nil
}

func (s *Store) enter(ctx context.Context, nick chat.Nickname, most int, also func(tx *sqlx.Tx, personID int64) error) (chat.Person, error) {
	var row personRow
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := s.release(ctx, tx, nick); err != nil {
			return err
		}
		now := s.now()
		if err := tx.GetContext(ctx, &row, `
			insert into people (nickname, folded, skeleton, name_keys, terms, hue, held_until, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8) returning id, nickname, hue`,
			nick.Shown, nick.Folded, nick.Skeleton, pq.Array(nick.Keys()), s.nameTerms(nick.Shown), rand.IntN(Hues), now.Add(HoldFor), now); err != nil {
			return err
		}
		return also(tx, row.ID)
	})
	if err != nil {
		return chat.Person{}, fmt.Errorf("enter as %q: %w", nick.Shown, s.nicknameTaken(ctx, err, nick, most, 0))
	}
	return row.person(), nil
}

// RoomRev is a room's number after a change, to be announced on the bus.
type RoomRev struct {
	RoomID int64 `db:"room_id"`
	Rev    int64 `db:"rev"`
}

// errJoined says that a person joined a room while they were renamed.
var errJoined = errors.New("the person has just joined a room")

// Rename gives a person another nickname. Every room that the person belongs to
// takes its next number for it; these are returned.
func (s *Store) Rename(ctx context.Context, personID int64, nick chat.Nickname, most int) (person chat.Person, revs []RoomRev, err error) {
	for try := 1; ; try++ {
		person, revs, err = s.rename(ctx, personID, nick)
		if try == mostTries || !errors.Is(err, errJoined) {
			break
		}
	}
	if err != nil {
		return chat.Person{}, nil, fmt.Errorf("rename person %d: %w", personID, s.nicknameTaken(ctx, err, nick, most, personID))
	}
	return person, revs, nil
}

func (s *Store) rename(ctx context.Context, personID int64, nick chat.Nickname) (chat.Person, []RoomRev, error) {
	var row personRow
	var revs []RoomRev
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		revs = nil
		// Rooms are locked before people, as by Say, and in the order of their
		// ids, so that nobody waits in a circle.
		if err := tx.SelectContext(ctx, &revs, `
			with mine as (
				select r.id from rooms r join memberships b on b.room_id = r.id
				where b.person_id = $1 order by r.id for no key update of r)
			update rooms set rev = rev + 1 from mine where rooms.id = mine.id
			returning rooms.id as room_id, rooms.rev`, personID); err != nil {
			return err
		}
		// Whoever makes a membership of the person waits for this lock, by its
		// foreign key, or has come before and is seen.
		rooms := make([]int64, len(revs))
		for i, at := range revs {
			rooms[i] = at.RoomID
		}
		if _, err := tx.ExecContext(ctx, `select from people where id = $1 for update`, personID); err != nil {
			return err
		}
		var joined bool
		if err := tx.GetContext(ctx, &joined, `
			select exists (select from memberships where person_id = $1 and not room_id = any($2))`, personID, pq.Array(rooms)); err != nil {
			return err
		}
		if joined {
			return errJoined
		}
		if err := s.release(ctx, tx, nick); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &row, `
			update people set nickname = $2, folded = $3, skeleton = $4, name_keys = $5, terms = $6, renames = renames + 1
			where id = $1 returning id, nickname, hue, renames, status`,
			personID, nick.Shown, nick.Folded, nick.Skeleton, pq.Array(nick.Keys()), s.nameTerms(nick.Shown)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			update memberships b set rev = r.rev from rooms r where r.id = b.room_id and b.person_id = $1`, personID)
		return err
	})
	return row.person(), revs, err
}

// release frees a nickname that nobody has used for HoldFor.
func (s *Store) release(ctx context.Context, tx *sqlx.Tx, nick chat.Nickname) error {
	_, err := tx.ExecContext(ctx, `update people set folded = null, skeleton = null
		where (folded = $1 or skeleton = $2) and held_until < $3`, nick.Folded, nick.Skeleton, s.now())
	return err
}

// nicknameTaken turns a violated uniqueness into a refusal with suggestions.
func (s *Store) nicknameTaken(ctx context.Context, err error, nick chat.Nickname, most int, personID int64) error {
	if isUnique(err) == "" {
		return err
	}
	var holder struct {
		Nickname string `db:"nickname"`
		Same     bool   `db:"same"`
	}
	err = s.DB.GetContext(ctx, &holder, `select nickname, folded = $1 as same from people
		where (folded = $1 or skeleton = $2) and id <> $3 order by same desc limit 1`, nick.Folded, nick.Skeleton, personID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	refusal := &chat.Error{Kind: chat.Conflict, Field: "nickname", Reason: chat.NicknameTaken, Args: []any{nick.Shown}}
	if !holder.Same {
		refusal.Reason, refusal.Args = chat.NicknameLookAlike, []any{holder.Nickname}
	}
	refusal.Suggestions, err = s.freeNicknames(ctx, nick.Suggestions(most), most, 2)
	if err != nil {
		return err
	}
	return refusal
}

// freeNicknames picks the first of the candidates that could be taken now.
func (s *Store) freeNicknames(ctx context.Context, candidates []string, most, wanted int) ([]string, error) {
	nicks := make([]chat.Nickname, 0, len(candidates))
	folded, skeletons := make([]string, 0, len(candidates)), make([]string, 0, len(candidates))
	for _, c := range candidates {
		if nick, err := chat.ParseNickname(c, most); err == nil {
			nicks = append(nicks, nick)
			folded, skeletons = append(folded, nick.Folded), append(skeletons, nick.Skeleton)
		}
	}
	var taken []struct {
		Folded   string `db:"folded"`
		Skeleton string `db:"skeleton"`
	}
	if err := s.DB.SelectContext(ctx, &taken, `select folded, skeleton from people
		where folded = any($1) or skeleton = any($2)`, folded, skeletons); err != nil {
		return nil, fmt.Errorf("look for free nicknames: %w", err)
	}
	used := make(map[string]bool)
	for _, t := range taken {
		used["f"+t.Folded], used["s"+t.Skeleton] = true, true
	}
	var free []string
	for _, n := range nicks {
		if len(free) < wanted && !used["f"+n.Folded] && !used["s"+n.Skeleton] {
			free = append(free, n.Shown)
			used["f"+n.Folded], used["s"+n.Skeleton] = true, true
		}
	}
	return free, nil
}
