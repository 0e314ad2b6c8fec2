package chat

import (
	"regexp"
	"strconv"
	"strings"
)

// Cursor says how far a reader has seen a room: everything up to Rev. On the
// wire it is text, "{epoch}.{rev}".
type Cursor struct {
	// Epoch is the database's, made anew by a restore; "" means the present
	// one.
	Epoch string
	Rev   int64
}

var cursorForm = regexp.MustCompile(`^(?:([0-9a-z]{1,20})\.)?([0-9]{1,19})$`)

// ParseCursor reads a cursor; a bare number belongs to the present epoch.
// Anything else, also nothing at all, is CursorMalformed.
func ParseCursor(s string) (Cursor, error) {
	if parts := cursorForm.FindStringSubmatch(s); parts != nil {
		if rev, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			return Cursor{Epoch: parts[1], Rev: rev}, nil
		}
	}
	return Cursor{}, Refuse(Malformed, CursorMalformed)
}

func (c Cursor) String() string {
	return strings.TrimPrefix(c.Epoch+"."+strconv.FormatInt(c.Rev, 10), ".")
}
