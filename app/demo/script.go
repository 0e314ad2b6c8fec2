package demo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// room is a room of the script.
type room struct {
	name, topic, maker string
	lines              []*line

	path string           // once it is made
	seqs map[string]int64 // of messages with a key
}

// line is a message of the script, with what becomes of it.
type line struct {
	daysAgo   int
	clock     time.Duration // since midnight, UTC
	who       string
	texts     []string // the first, and what it was edited to
	key, re   string   // its name in the script; that of the message it answers
	picture   string   // that came with it
	reactions []reaction
	pin, save string // who pins it, who saves it
	deleted   bool
}

type reaction struct{ emoji, who string }

var header = regexp.MustCompile(`^(\d\d):(\d\d) (\S+)(.*)$`)

// read reads a script. It goes by lines:
//
//	room NAME by PERSON     a room; without PERSON, one that exists, by its slug
//	topic TEXT
//	day N                   what follows was said N days ago
//	HH:MM PERSON NOTE…      a message; its text follows, each line after a tab
//	edit                    the message's next text follows
//	delete                  and then it was deleted
//
// A note is key=NAME, re=NAME (the message answers that one), file=PICTURE,
// pin=PERSON, save=PERSON, or EMOJI=PERSON,PERSON…. What stands before the first
// room is for the reader of the script.
func read(script string) ([]*room, error) {
	var rooms []*room
	var r *room
	var l *line
	day := 0
	for n, text := range strings.Split(script, "\n") {
		wrong := fmt.Errorf("line %d of the script makes no sense: %s", n+1, text)
		word, rest, _ := strings.Cut(text, " ")
		match := header.FindStringSubmatch(text)
		switch said, isText := strings.CutPrefix(text, "\t"); {
		case word == "room":
			r, l = &room{seqs: make(map[string]int64)}, nil
			r.name, r.maker, _ = strings.Cut(rest, " by ")
			rooms = append(rooms, r)
		case r == nil:
		case word == "topic":
			r.topic = rest
		case word == "day":
			var err error
			if day, err = strconv.Atoi(rest); err != nil || day < 1 {
				return nil, wrong
			}
			l = nil
		case match != nil:
			hours, _ := strconv.Atoi(match[1]) // two digits
			minutes, _ := strconv.Atoi(match[2])
			l = &line{daysAgo: day, clock: time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute, who: match[3], texts: []string{""}}
			for _, note := range strings.Fields(match[4]) {
				if !l.note(note) {
					return nil, wrong
				}
			}
			r.lines = append(r.lines, l)
		case text == "" && l == nil:
		case l == nil:
			return nil, wrong
		case text == "edit":
			l.texts = append(l.texts, "")
		case text == "delete":
			l.deleted = true
		case isText || text == "":
			last := &l.texts[len(l.texts)-1]
			*last += said + "\n"
		default:
			return nil, wrong
		}
	}
	for _, r := range rooms {
		for _, l := range r.lines {
			for i := range l.texts {
				l.texts[i] = strings.TrimSpace(l.texts[i])
			}
		}
	}
	return rooms, nil
}

// note reads one note about a message, and tells whether it could.
func (l *line) note(text string) bool {
	name, value, ok := strings.Cut(text, "=")
	if !ok || value == "" {
		return false
	}
	switch name {
	case "key":
		l.key = value
	case "re":
		l.re = value
	case "file":
		l.picture = value
	case "pin":
		l.pin = value
	case "save":
		l.save = value
	default:
		for who := range strings.SplitSeq(value, ",") {
			l.reactions = append(l.reactions, reaction{name, who})
		}
	}
	return true
}
