package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"parlor/app/bus"
	"parlor/app/chat"
	"parlor/app/presence"
)

// Kinds of what nodes tell each other.
const (
	toldHere      = "here"       // []inRoom: these people are here
	toldLeft      = "left"       // []inRoom: their last stream on the node ended
	toldHello     = "hello"      // null: say who is there
	toldGoodbye   = "goodbye"    // null: the node stops
	toldTyping    = "typing"     // typist
	toldRenamed   = "renamed"    // chat.Person
	toldSignedOut = "signed-out" // sessionName
	toldMember    = "member"     // []int64: what these people have to do with rooms changed
	toldSeen      = "seen"       // int64: a sign of this person
	toldOwn       = "own"        // ownReactions
)

// inRoom is somebody in a room; of one who left only the id is told.
type inRoom struct {
	Room     int64  `json:"r"`
	ID       int64  `json:"i"`
	Nickname string `json:"n,omitempty"`
	Hue      int    `json:"h,omitempty"`
	Renames  int    `json:"v,omitempty"`
	Status   string `json:"s,omitempty"`
	Idle     int    `json:"d,omitempty"` // seconds since the last sign
}

func (in inRoom) person() chat.Person {
	return chat.Person{ID: in.ID, Nickname: in.Nickname, Hue: in.Hue, Renames: in.Renames, Status: in.Status}
}

// typist is somebody who began to type, or stopped.
type typist struct {
	Room    int64
	Person  chat.Person
	Stopped bool
}

// Woken is called by the bus: rooms have these numbers, or higher.
func (s *Server) Woken(revs map[int64]int64) {
	s.metrics.BusReceived("wake")
	for roomID, rev := range revs {
		s.newest.woken(roomID, rev) // first: whoever is told may ask
		s.hub.Wake(roomID, rev)
		s.hall.roomMoved(roomID)
	}
}

// Resumed is called by the bus when it may have missed something.
func (s *Server) Resumed() {
	s.metrics.BusResumed()
	s.hall.mu.Lock()
	s.hall.all = true
	s.hall.mu.Unlock()
	s.newest.distrust()
	s.members.distrust()
	s.hub.WakeAll()
	s.greet.Store(true)
}

// Told is called by the bus with what another node says.
func (s *Server) Told(node, kind string, data []byte) {
	s.metrics.BusReceived("tell")
	var err error
	switch kind {
	case toldHere, toldLeft:
		var people []inRoom
		err = json.Unmarshal(data, &people)
		for _, in := range people {
			if kind == toldHere {
				s.presence.Elsewhere(node, in.Room, in.person(), time.Duration(in.Idle)*time.Second)
			} else {
				s.presence.Left(node, in.Room, in.ID)
			}
		}
	case toldHello:
		s.greeted.Store(true)
	case toldGoodbye:
		s.presence.Gone(node)
	case toldTyping:
		var t typist
		if err = json.Unmarshal(data, &t); err == nil {
			s.noteTyping(t)
		}
	case toldRenamed:
		var person chat.Person
		if err = json.Unmarshal(data, &person); err == nil {
			s.presence.Renamed(person)
		}
	case toldSignedOut:
		var session string
		if err = json.Unmarshal(data, &session); err == nil {
			s.streams.endSession(session)
		}
	case toldMember:
		err = s.members.heard(data)
	case toldOwn:
		var own ownReactions
		if err = json.Unmarshal(data, &own); err == nil {
			s.members.showOwn(own)
		}
	case toldSeen:
		var personID int64
		if err = json.Unmarshal(data, &personID); err == nil {
			s.presence.SeenElsewhere(personID)
		}
	}
	if err != nil {
		s.log.Warn("could not read what another node said", "node", node, "kind", kind, "err", err)
	}
}

// tellMoves tells other nodes who came to a room on this one and who left it
// since the last call. A node that begins, or comes back to the bus, says
// hello, and gets the whole from everybody.
func (s *Server) tellMoves() {
	came, left := s.presence.Moved()
	hello, greeted := s.greet.Swap(false), s.greeted.Swap(false)
	if hello {
		s.bus.Tell(toldHello, "once", nil)
	}
	if hello || greeted {
		came = s.presence.Local()
	}
	s.tellPeople(toldLeft, left)
	s.tellPeople(toldHere, came)
}

// announce tells other nodes the whole of who is here, since what is not
// repeated is forgotten (presence.Silence).
func (s *Server) announce() { s.tellPeople(toldHere, s.presence.Local()) }

// tellPeople tells it in pieces that fit.
func (s *Server) tellPeople(kind string, people []presence.In) {
	const brackets = 2
	var piece []json.RawMessage
	bytes := brackets
	for _, in := range people {
		js, err := json.Marshal(inRoom{
			Room: in.Room, ID: in.Person.ID, Nickname: in.Person.Nickname, Hue: in.Person.Hue, Renames: in.Person.Renames,
			Status: in.Person.Status, Idle: int(in.Idle.Seconds()),
		})
		if err != nil {
			s.log.Error("a person can't be announced", "err", err)
			continue
		}
		if bytes+len(js)+1 > bus.MostData && len(piece) > 0 {
			s.bus.Tell(kind, "", piece)
			piece, bytes = nil, brackets
		}
		piece = append(piece, js)
		bytes += len(js) + 1
	}
	if len(piece) > 0 {
		s.bus.Tell(kind, "", piece)
	}
}

// tellTyping tells other nodes that somebody types, or stopped.
func (s *Server) tellTyping(t typist) {
	s.bus.Tell(toldTyping, fmt.Sprint(t.Room, "/", t.Person.ID), t)
}

func (s *Server) noteTyping(t typist) {
	if t.Stopped {
		s.presence.Typed(t.Room, t.Person)
	} else {
		s.presence.Types(t.Room, t.Person)
	}
}

// Close says goodbye to the other nodes, after the last request and before
// New's context ends. A node that is not closed is missed after
// presence.Silence.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.bus.Tell(toldGoodbye, "", nil)
	s.bus.Close(ctx)
}

// sweepSessionsEvery is how often a node looks whether the sessions of its
// streams still exist: who signed out is told on the bus, which may lose it.
const sweepSessionsEvery = 5 * time.Second

// sweepSessions ends the streams of those among the sessions that ended. One
// query for all; without an answer nobody is sent away.
func (s *Server) sweepSessions(ctx context.Context, sessions []string) {
	if len(sessions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sweepSessionsEvery)
	defer cancel()
	ended, err := s.store.EndedSessions(ctx, sessions)
	if err != nil {
		s.log.Warn("could not look for sessions that ended", "err", err)
	}
	for _, session := range ended {
		s.streams.endSession(session)
	}
}
