package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// stream takes one HTTP response apart into server-sent events as its bytes
// come in. Between reads it holds nothing but what is incomplete, so that one
// goroutine and one buffer can serve thousands.
type stream struct {
	begun   bool // the header was read
	chunked bool
	gzip    bool

	line []byte // of the chunks' framing, incomplete
	left int    // bytes of the present chunk that are to come
	rest []byte // of the body, incomplete: a header, a piece or an event
	mark bool   // the gzip header was read
}

// errNotCompressed says that the server answered a stream that was to be
// compressed with a plain one.
var errNotCompressed = errors.New("the server does not compress streams")

// feed takes the next bytes and calls event with each event that is complete
// with them. An event is valid during the call. io.EOF is a clean end.
func (s *stream) feed(b []byte, known *pieces, event func([]byte) error) error {
	if !s.begun {
		s.rest = append(s.rest, b...)
		head, body, whole := bytes.Cut(s.rest, []byte("\r\n\r\n"))
		if !whole {
			return nil
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(s.rest[:len(head)+4])), nil)
		if err != nil {
			return err
		}
		if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
			return fmt.Errorf("no event stream but %s, %q: %.300s", resp.Status, kind, body)
		}
		s.begun, s.rest = true, nil
		s.chunked = len(resp.TransferEncoding) > 0 && resp.TransferEncoding[0] == "chunked"
		s.gzip = resp.Header.Get("Content-Encoding") == "gzip"
		b = body
	}
	if !s.chunked {
		return s.body(b, known, event)
	}
	for len(b) > 0 {
		if s.left > 0 {
			n := min(s.left, len(b))
			if err := s.body(b[:n], known, event); err != nil {
				return err
			}
			s.left, b = s.left-n, b[n:]
			continue
		}
		n := bytes.IndexByte(b, '\n')
		if n < 0 {
			s.line = append(s.line, b...)
			return nil
		}
		s.line = append(s.line, b[:n]...)
		b = b[n+1:]
		size := string(bytes.TrimSpace(s.line))
		s.line = s.line[:0]
		if size == "" {
			continue // the end of the chunk before
		}
		left, err := strconv.ParseUint(size, 16, 31)
		if err != nil {
			return fmt.Errorf("not the size of a chunk: %q", size)
		}
		if left == 0 {
			return io.EOF
		}
		s.left = int(left)
	}
	return nil
}

// body takes bytes of the response without the framing of HTTP.
func (s *stream) body(b []byte, known *pieces, event func([]byte) error) error {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, b...)
		b = s.rest
	}
	if s.gzip && !s.mark {
		if len(b) < len(gzipHeader) {
			s.rest = append(s.rest[:0], b...)
			return nil
		}
		if b[0] != 0x1f || b[1] != 0x8b || b[3] != 0 {
			return fmt.Errorf("not the header of gzip, or one with fields: % x", b[:len(gzipHeader)])
		}
		s.mark, b = true, b[len(gzipHeader):]
	}
	var err error
	if s.gzip {
		b, err = known.cut(b, func(text []byte) error { return each(&text, event) })
	} else {
		err = each(&b, event)
	}
	s.rest = append(s.rest[:0], b...)
	if len(b) == 0 {
		s.rest = nil
	}
	return err
}

// each calls event with all events that are whole and leaves the rest.
func each(b *[]byte, event func([]byte) error) error {
	if bytes.IndexByte(*b, '\r') >= 0 { // some servers end lines like this
		*b = bytes.ReplaceAll(*b, []byte("\r"), nil)
	}
	for {
		end := bytes.Index(*b, []byte("\n\n"))
		if end < 0 {
			return nil
		}
		if err := event((*b)[:end+2]); err != nil {
			return err
		}
		*b = (*b)[end+2:]
	}
}

// gzipHeader is the smallest there is: deflate, no fields, no time.
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// pieceEnd is how a piece of deflate ends that was flushed: an empty stored
// block, on a byte boundary (RFC 1951, 3.2.4).
var pieceEnd = []byte{0, 0, 0xff, 0xff}

// lastPiece ends deflate without adding anything.
var lastPiece = []byte{1, 0, 0, 0xff, 0xff}

// pieces remembers what pieces of deflate mean. A server that compresses a
// message once sends the same piece to every stream: each of its bytes is
// compared here, and inflated once.
type pieces struct {
	known map[string][]byte
}

// mostPieces bounds what is remembered.
const mostPieces = 1 << 12

// cut calls text with what each whole piece holds and returns the rest. A
// piece must stand alone: what refers to bytes before it, as a server writes
// that compresses each stream apart, is an error.
func (p *pieces) cut(b []byte, text func([]byte) error) (rest []byte, err error) {
	for from := 0; ; {
		end := bytes.Index(b[from:], pieceEnd)
		if end < 0 {
			return b, nil
		}
		from += end + len(pieceEnd)
		plain, known := p.known[string(b[:from])]
		if !known {
			plain, err = io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(b[:from]), bytes.NewReader(lastPiece))))
			if err != nil && len(b) > 256<<10 {
				return b, fmt.Errorf("a compressed stream is not made of pieces that stand alone: %w", err)
			}
			if err != nil {
				continue // the end may also occur inside, by chance
			}
			if p.known == nil || len(p.known) >= mostPieces {
				p.known = make(map[string][]byte)
			}
			p.known[string(b[:from])] = plain
		}
		if err := text(plain); err != nil {
			return b, err
		}
		b, from = b[from:], 0
	}
}
