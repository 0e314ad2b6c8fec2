package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"parlor/app/chat"
	"parlor/db"
)

// post measures how fast messages into one room are acknowledged, which Parlor
// does when they are stored for good, for one client and for many. Its ceiling
// is the same work in Postgres with a transaction for each message, and no HTTP
// at all.
func (b *bench) post(ctx context.Context) ([]row, error) {
	if !b.own() {
		return nil, errNotOwn
	}
	var out []row
	for _, clients := range b.clients {
		people, err := b.parlor.guests(ctx, clients)
		if err != nil {
			return nil, err
		}
		single, err := newSingles(ctx, b.database, clients)
		if err != nil {
			return nil, err
		}
		measured, err := alternate(b.rounds,
			func() (sample, error) { return b.posts(ctx, b.parlor, people) },
			func() (sample, error) { return single.measure(ctx, b) })
		single.close()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("post, %d at a time; ceiling: a transaction each, without HTTP", clients)
		targets := []target{most(2), none, none}
		if clients > 1 {
			targets = []target{none, none, ratioLeast(5)}
		}
		out = append(out, rows(name, []string{"p50 ms", "p99 ms", "per second"}, targets, measured[0], measured[1])...)
		if clients > 1 {
			out = append(out, alone(name, "per second, at all", least(6000), measured[0][2]))
		}
		out = append(out, alone(name, "CPU µs of Parlor", none, measured[0][3]))
	}
	return out, nil
}

// posts has each visitor post one message after the other.
func (b *bench) posts(ctx context.Context, s subject, visitors []*visitor) (sample, error) {
	before := s.cpu()
	l, err := drive(ctx, len(visitors), b.each, func(ctx context.Context, client int) error {
		_, err := visitors[client].say(ctx, typical(client))
		return err
	})
	return append(l.posted(), microseconds(l.each(s.cpu()-before))), err
}

func (l load) posted() sample {
	return sample{milliseconds(quantile(l.took, 0.5)), milliseconds(quantile(l.took, 0.99)), l.perSecond()}
}

// singles store messages without gathering them. A Store commits together what
// waits for the same room, so with a Store for each client, each with one
// message at a time, every message has its own transaction: the same
// statements, one commit each.
type singles struct {
	stores []*db.Store
	people []chat.Person
	room   chat.Room
}

func newSingles(ctx context.Context, database string, clients int) (*singles, error) {
	s := &singles{}
	for range clients {
		store, err := db.Open(ctx, database, db.Options{Connections: 1})
		if err != nil {
			s.close()
			return nil, err
		}
		s.stores = append(s.stores, store)
		nick, err := chat.ParseNickname("bench "+rand.Text()[:12], chat.DefaultLimits().Nickname)
		if err != nil {
			s.close()
			return nil, err
		}
		person, err := store.Enter(ctx, nick, chat.DefaultLimits().Nickname)
		if err != nil {
			s.close()
			return nil, err
		}
		s.people = append(s.people, person)
	}
	var err error
	if s.room, err = s.stores[0].MakeRoom(ctx, s.people[0].ID, fmt.Sprintf("Single posts, %d at a time", clients), ""); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *singles) close() {
	for _, store := range s.stores {
		store.Close()
	}
}

func (s *singles) measure(ctx context.Context, b *bench) (sample, error) {
	l, err := drive(ctx, len(s.stores), b.each, func(ctx context.Context, client int) error {
		_, err := s.stores[client].Say(ctx, s.room.ID, db.Post{AuthorID: s.people[client].ID, Nonce: db.NewNonce(), Text: db.Text{Body: typical(client)}})
		return err
	})
	return l.posted(), err
}
