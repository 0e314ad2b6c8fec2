package chat_test

import (
	"errors"
	"testing"
	"time"

	"parlor/app/chat"
)

func TestOnlyItsAuthorChangesAMessageAndEditsItInTime(t *testing.T) {
	said := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	mine := chat.Message{Author: chat.Person{ID: 7}, SaidAt: said}
	deleted := mine
	deleted.DeletedAt = &said
	for _, c := range []struct {
		what         string
		m            chat.Message
		person       int64
		after        time.Duration
		window       time.Duration
		change, edit chat.Reason
	}{
		{"mine", mine, 7, time.Minute, 0, "", ""},
		{"mine after years, without a limit", mine, 7, 99999 * time.Hour, 0, "", ""},
		{"mine in time", mine, 7, 15*time.Minute - 1, 15 * time.Minute, "", ""},
		{"mine, too late", mine, 7, 15 * time.Minute, 15 * time.Minute, "", chat.EditTooLate},
		{"another's", mine, 8, 0, 0, chat.NotYours, chat.NotYours},
		{"a looker's", chat.Message{SaidAt: said}, 0, 0, 0, chat.NotYours, chat.NotYours},
		{"deleted", deleted, 7, 0, time.Hour, chat.MessageDeleted, chat.MessageDeleted},
		{"another's, deleted", deleted, 8, 0, 0, chat.NotYours, chat.NotYours},
	} {
		reason := func(err error) chat.Reason {
			var refusal *chat.Error
			if errors.As(err, &refusal) {
				return refusal.Reason
			}
			return ""
		}
		if got := reason(c.m.MayChange(c.person)); got != c.change {
			t.Errorf("%s: may change: %q, want %q", c.what, got, c.change)
		}
		if got := reason(c.m.MayEdit(c.person, said.Add(c.after), c.window)); got != c.edit {
			t.Errorf("%s: may edit: %q, want %q", c.what, got, c.edit)
		}
	}
}
