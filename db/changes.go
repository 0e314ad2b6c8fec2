package db

import (
	"context"
	"fmt"

	"parlor/app/chat"
)

// MostChanges is how many changes are replayed one by one. A reader who
// missed more gets a page instead.
const MostChanges = 200

// Changes is what happened in a room after a number.
type Changes struct {
	Room chat.Room // as it is now; Room.Rev is the number after all of this
	// Messages that are new or changed, in the order of Seq. A message is new
	// to the reader when its Seq is above the number asked for.
	Messages []chat.Message
	People   []chat.Person // members whose nickname changed
	About    bool          // what stands around the messages changed (Room.AboutRev)
	// TooMany says that there are more than MostChanges: the lists are empty
	// and the reader needs a page.
	TooMany bool
}

// The sequence in which things are read is the guarantee: the room's number
// first, then what changed. Whatever commits in between shows up here early
// and once more under its own number, which is harmless; the other way round
// it would be lost. Messages said after the number was read are left out, so
// that new messages are always appended in order. One row per message however
// often it was edited.
//
// The limit is taken in the order of rev, which an index has ready, and the
// few that are left are sorted: who missed 100,000 costs no more than who
// missed 200.
var changesSQL = `select * from (` + selectMessages + `
	where m.room_id = $1 and m.rev > $2 and m.seq <= $3 order by m.rev limit $4) as few order by seq`

const changedPeopleSQL = `
	select p.id, p.nickname, p.hue from memberships b join people p on p.id = b.person_id
	where b.room_id = $1 and b.rev > $2 order by b.rev limit $3`

// roomSinceSQL is the room, and whether anybody in it was renamed after a
// number: mostly nobody was, and then nothing is asked about people.
const roomSinceSQL = `select ` + roomColumns + `,
	exists (select from memberships b where b.room_id = r.id and b.rev > $2) as renamed
	from rooms r where r.id = $1`

// Changes reads what a reader at number `after` missed. It is the one source
// of the live path, of every resume and of what is kept in memory. Without the
// room it is NotFound. A number beyond the room's has missed nothing.
func (s *Store) Changes(ctx context.Context, roomID, after int64) (Changes, error) {
	var out Changes
	err := again(ctx, func() error {
		var since struct {
			roomRow
			Renamed bool `db:"renamed"`
		}
		err := s.roomSince.GetContext(ctx, &since, roomID, after)
		room, err := s.found(since.roomRow, err)
		if err != nil {
			return err
		}
		out = Changes{Room: room, About: room.AboutRev > after}
		if room.Rev <= after {
			return nil
		}
		var rows []messageRow
		if err := s.changes.SelectContext(ctx, &rows, roomID, after, room.Rev, MostChanges+1); err != nil {
			return err
		}
		var people []personRow
		if since.Renamed {
			if err := s.changedPeople.SelectContext(ctx, &people, roomID, after, MostChanges+1); err != nil {
				return err
			}
		}
		if len(rows)+len(people) > MostChanges {
			out.TooMany = true
			return nil
		}
		if out.Messages, err = toMessages(rows); err != nil {
			return err
		}
		for _, p := range people {
			out.People = append(out.People, p.person())
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("read changes of room %d after %d: %w", roomID, after, err)
	}
	return out, nil
}
