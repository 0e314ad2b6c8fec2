package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"parlor/app/chat"
	"parlor/db"
)

// manyClients is how many people talk at the same time where many do.
const manyClients = 16

// post measures how fast messages into one room are acknowledged, which Parlor
// does when they are stored for good: for one client and for many; beside a
// handler that stores nothing; and beside the same work in Postgres with a
// transaction for each message and no HTTP at all.
func (b *bench) post(ctx context.Context) ([]row, error) {
	var out []row
	for _, clients := range []int{1, manyClients} {
		atParlor, err := b.parlor.guests(ctx, clients)
		if err != nil {
			return nil, err
		}
		atBare, err := b.bare.guests(ctx, clients)
		if err != nil {
			return nil, err
		}
		measures := []func() (sample, error){
			func() (sample, error) { return b.posts(ctx, b.parlor, atParlor) },
			func() (sample, error) { return b.posts(ctx, b.bare, atBare) },
		}
		if b.own() {
			alone, err := newSingles(ctx, b.database, clients)
			if err != nil {
				return nil, err
			}
			defer alone.close()
			measures = append(measures, func() (sample, error) { return alone.measure(ctx, b) })
		}
		measured, err := alternate(b.rounds, measures...)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("post, %d at a time: ", clients)
		names := []string{name + "per second", name + "p50 ms", name + "p99 ms", name + "server's µs of CPU"}
		if !b.own() {
			names = names[:len(names)-1]
		}
		out = append(out, rows(names, measured[0], measured[1])...)
		if b.own() {
			name := fmt.Sprintf("post, %d at a time, bare = a transaction each: ", clients)
			names := []string{name + "per second", name + "p50 ms", name + "p99 ms"}
			out = append(out, rows(names, measured[0], measured[2])...)
		}
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
	return sample{l.perSecond(), milliseconds(quantile(l.took, 0.5)), milliseconds(quantile(l.took, 0.99))}
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
		_, err := s.stores[client].Say(ctx, s.room.ID, s.people[client].ID, db.NewNonce(), typical(client))
		return err
	})
	return l.posted(), err
}
