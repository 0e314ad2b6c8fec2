package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Verb is what a command does.
type Verb string

// The verbs. Say is no command: something is said as it stands.
const (
	Say    Verb = ""
	Me     Verb = "me"     // say what one does, in the third person
	Nick   Verb = "nick"   // take another nickname
	Topic  Verb = "topic"  // give the room another topic
	Join   Verb = "join"   // go to another room
	Who    Verb = "who"    // show who is here
	Search Verb = "search" // look for something said
	Help   Verb = "help"   // show what can be typed
)

// Verbs are all that can be typed, in the order in which they are explained.
var Verbs = []Verb{Me, Nick, Topic, Join, Who, Search, Help}

// Command is what was typed: something to say, or to do.
type Command struct {
	Verb Verb
	Text string // what is said, or what the command is about; may be empty
}

// Speaks tells whether the command says something in the room.
func (c Command) Speaks() bool { return c.Verb == Say || c.Verb == Me }

// mostVerb is how much of an unknown command is shown in its explanation.
const mostVerb = 40

// ParseCommand reads a message's text (see ParseBody). A slash at its very
// beginning, with a letter behind it, begins a command: the verb, in letters of
// any case, and, after white space, what it is about. Two slashes escape it:
// what is said begins with the second one. Any other text is said as it is.
//
// A command that nobody knows is refused, not said: it may be a slip that was
// not meant for others' eyes. So is one whose text would be lost. Errors are
// about the field "body".
func ParseCommand(body string) (Command, error) {
	rest, slash := strings.CutPrefix(body, "/")
	if slash && strings.HasPrefix(rest, "/") {
		return Command{Text: rest}, nil
	}
	if first, _ := utf8.DecodeRuneInString(rest); !slash || !unicode.IsLetter(first) {
		return Command{Text: body}, nil
	}
	end := strings.IndexFunc(rest, unicode.IsSpace)
	if end < 0 {
		end = len(rest)
	}
	word, about := rest[:end], strings.TrimSpace(rest[end:])
	c := Command{Verb: Verb(strings.ToLower(word)), Text: about}
	lines := strings.Contains(about, "\n")
	switch c.Verb {
	case Me:
		if !visible(about) {
			return c, RefuseField("body", CommandNeedsText, c.Verb)
		}
	case Nick, Topic, Join, Search:
		if lines {
			return c, RefuseField("body", CommandOneLine, c.Verb)
		}
	case Who, Help:
		if about != "" {
			return c, RefuseField("body", CommandAlone, c.Verb)
		}
	default:
		if runes := []rune(word); len(runes) > mostVerb {
			word = string(runes[:mostVerb]) + "…"
		}
		return c, RefuseField("body", CommandUnknown, word)
	}
	return c, nil
}
