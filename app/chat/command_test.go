package chat_test

import (
	"errors"
	"strings"
	"testing"

	"parlor/app/chat"
)

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		typed string
		verb  chat.Verb
		text  string
		why   chat.Reason
	}{
		{"hello", chat.Say, "hello", ""},
		{"", chat.Say, "", ""},
		{"hello /me", chat.Say, "hello /me", ""},
		{" /me waves", chat.Say, " /me waves", ""},
		{"first\n/me waves", chat.Say, "first\n/me waves", ""},
		{"/", chat.Say, "/", ""},
		{"/ me", chat.Say, "/ me", ""},
		{"/\nme", chat.Say, "/\nme", ""},
		{"/* a comment */", chat.Say, "/* a comment */", ""},
		{"/5 stars", chat.Say, "/5 stars", ""},
		{"//", chat.Say, "/", ""},
		{"//me waves", chat.Say, "/me waves", ""},
		{"//etc/passwd is a file", chat.Say, "/etc/passwd is a file", ""},
		{"/// three", chat.Say, "// three", ""},
		{"/me waves", chat.Me, "waves", ""},
		{"/ME  waves ", chat.Me, "waves", ""},
		{"/me\twaves\nand goes", chat.Me, "waves\nand goes", ""},
		{"/me 挥手", chat.Me, "挥手", ""},
		{"/me /me", chat.Me, "/me", ""},
		{"/me", chat.Me, "", chat.CommandNeedsText},
		{"/me \u200b", chat.Me, "\u200b", chat.CommandNeedsText},
		{"/nick Zoë Two", chat.Nick, "Zoë Two", ""},
		{"/nick", chat.Nick, "", ""},
		{"/nick Zoë\nTwo", chat.Nick, "Zoë\nTwo", chat.CommandOneLine},
		{"/topic what we\ndo", chat.Topic, "what we\ndo", chat.CommandOneLine},
		{"/topic 今天", chat.Topic, "今天", ""},
		{"/join #tea room", chat.Join, "#tea room", ""},
		{"/search from:ann 你好", chat.Search, "from:ann 你好", ""},
		{"/search a\nb", chat.Search, "a\nb", chat.CommandOneLine},
		{"/who", chat.Who, "", ""},
		{"/who are you", chat.Who, "are you", chat.CommandAlone},
		{"/help", chat.Help, "", ""},
		{"/help me\nplease", chat.Help, "me\nplease", chat.CommandAlone},
		{"/etc/passwd is a file", "etc/passwd", "is a file", chat.CommandUnknown},
		{"/mee waves", "mee", "waves", chat.CommandUnknown},
		{"/你好", "你好", "", chat.CommandUnknown},
		{"/me\u00a0waves", chat.Me, "waves", ""}, // white space of any kind
	} {
		got, err := chat.ParseCommand(c.typed)
		var refusal *chat.Error
		errors.As(err, &refusal)
		why := chat.Reason("")
		if refusal != nil {
			why = refusal.Reason
			if refusal.Field != "body" || refusal.Kind != chat.Invalid {
				t.Errorf("%q: %+v is not about the field", c.typed, refusal)
			}
		}
		if got.Verb != c.verb || got.Text != c.text || why != c.why {
			t.Errorf("%q: %q %q %q, want %q %q %q", c.typed, got.Verb, got.Text, why, c.verb, c.text, c.why)
		}
		if speaks := c.verb == chat.Say || c.verb == chat.Me; got.Speaks() != speaks {
			t.Errorf("%q speaks: %v", c.typed, got.Speaks())
		}
	}
	_, err := chat.ParseCommand("/" + strings.Repeat("长", 10000))
	var refusal *chat.Error
	if !errors.As(err, &refusal) || len([]rune(refusal.Args[0].(string))) > 50 {
		t.Errorf("the explanation of a long one: %.200v", err)
	}
	for _, verb := range chat.Verbs {
		if _, err := chat.ParseCommand("/" + string(verb)); errors.As(err, &refusal) && refusal.Reason == chat.CommandUnknown {
			t.Errorf("/%s is explained and unknown", verb)
		}
	}
}
