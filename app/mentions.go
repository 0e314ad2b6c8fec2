package app

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/mention"
	"parlor/db"
	"parlor/views"
)

// mostCalled is how many people one @here calls.
const mostCalled = 500

// textOf makes a text ready to be stored: the one place that knows what people
// may have typed into it. earlier are people whom the text called before it was
// edited: a name of theirs still means them, even if somebody else took it.
func (s *Server) textOf(ctx context.Context, room chat.Room, typed string, earlier ...chat.Person) (db.Text, error) {
	text := mention.Find(typed, s.cfg.Nickname)
	names := text.Names()
	if len(names) == 0 {
		return db.Text{Body: typed}, nil
	}
	here := s.presence.Here(room.ID)
	present := make([]int64, len(here))
	for i, p := range here {
		present[i] = p.ID
	}
	people, err := s.store.PeopleNamed(ctx, room.ID, names, present)
	if err != nil {
		return db.Text{}, err
	}
	for _, p := range earlier {
		people[chat.FoldName(p.Nickname)] = p.ID
	}
	body, named, everybody := text.Put(people)
	out := db.Text{Body: body}
	for _, id := range named {
		out.Mentions = append(out.Mentions, db.Mention{PersonID: id})
	}
	if everybody {
		for _, id := range present[:min(len(present), mostCalled)] {
			if !slices.Contains(named, id) {
				out.Mentions = append(out.Mentions, db.Mention{PersonID: id, Here: true})
			}
		}
	}
	return out, nil
}

const (
	// mostTypedName is how long a beginning may be for which anybody is found.
	mostTypedName = 64 // bytes
	// mostLike is how many members with such a name are looked at.
	mostLike = 50
)

// mentionCompletions are those of a room whose names may be meant by what was
// typed behind an @, so far: by its beginning or that of a word in it, in pinyin
// or its initials, too. Who spoke of late comes first, then who is present,
// then everybody else who belongs to the room.
func (s *Server) mentionCompletions(r *http.Request, room chat.Room, typed string) ([]views.Completion, error) {
	if len(typed) > mostTypedName {
		return nil, nil
	}
	key, own := chat.KeyOf(typed), int64(0)
	if person := me(r); person != nil {
		own = person.ID
	}
	type candidate struct {
		chat.Person
		spoke int // the smaller, the later
		key   int // which of its keys it is
	}
	const (
		present = math.MaxInt - 1
		absent  = math.MaxInt
	)
	var found []candidate
	seen := map[int64]bool{own: true}
	take := func(p chat.Person, spoke int) {
		if seen[p.ID] {
			return
		}
		i := slices.IndexFunc(s.nameKeys.of(p.Nickname), func(k string) bool { return strings.HasPrefix(k, key) })
		if i >= 0 {
			seen[p.ID] = true
			found = append(found, candidate{p, spoke, i})
		}
	}
	kept, err := s.newest.at(r.Context(), room)
	if err != nil {
		return nil, err
	}
	for i, p := range kept.spoke() {
		take(p, i)
	}
	for _, p := range s.presence.Here(room.ID) {
		take(p, present)
	}
	if len(found) < mostCompletions {
		members, err := s.store.MembersLike(r.Context(), room.ID, key, mostLike)
		if err != nil {
			return nil, err
		}
		for _, p := range members {
			take(p, absent)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.spoke, b.spoke), cmp.Compare(a.key, b.key), strings.Compare(a.Nickname, b.Nickname))
	})
	var out []views.Completion
	for _, c := range found[:min(len(found), mostCompletions)] {
		out = append(out, views.Completion{Insert: "@" + c.Nickname + " ", Name: c.Nickname, Person: &c.Person})
	}
	l := s.lang(r)
	for _, name := range mention.Here() {
		if strings.HasPrefix(name, key) && (key != "" || name == i18n.HereName.In(l)) {
			out = append(out, views.Completion{
				Insert: "@" + name + " ", Symbol: "@", Name: name, Note: i18n.CallsEverybody.In(l, int64(len(s.presence.Here(room.ID)))),
			})
		}
	}
	return out, nil
}

// spoke are the authors of the messages on the page, the latest first.
func (k *keptRoom) spoke() (authors []chat.Person) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range slices.Backward(k.page.Messages) {
		if !slices.ContainsFunc(authors, func(p chat.Person) bool { return p.ID == m.Author.ID }) {
			authors = append(authors, m.Author)
		}
	}
	return authors
}

// nameKeys remembers the keys of nicknames (chat.KeysOf): those of everybody
// present are looked at with each letter that is typed.
type nameKeys struct {
	mu   sync.Mutex
	keys map[string][]string
}

// mostNameKeys is about 4 MB.
const mostNameKeys = 10_000

func (n *nameKeys) of(nickname string) []string {
	n.mu.Lock()
	keys, ok := n.keys[nickname]
	n.mu.Unlock()
	if ok {
		return keys
	}
	keys = chat.KeysOf(nickname)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil || len(n.keys) >= mostNameKeys {
		n.keys = make(map[string][]string)
	}
	n.keys[nickname] = keys
	return keys
}
