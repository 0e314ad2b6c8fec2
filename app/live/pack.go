package live

import (
	"bytes"

	"github.com/klauspost/compress/flate"
)

// PackedHead begins the body of a compressed stream: the header of a gzip
// member (RFC 1952) without name and time. Deflate pieces follow, each the
// same for every subscriber, since none refers to what went before it. The
// stream has no end that would need a checksum.
var PackedHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// pack compresses a frame into a piece of deflate data (RFC 1951) that needs
// nothing before it and ends on a byte boundary, so that the browser has all
// of it at once.
func pack(frame []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(frame)/2 + 64)
	_ = flate.StatelessDeflate(&b, frame, false, nil) // a Buffer takes everything
	return b.Bytes()
}

// form is how a subscriber reads: its variant, compressed or not.
type form struct {
	variant int
	packed  bool
}

// forms makes each form of something at most once.
type forms map[form][]byte

// of gives the form that s reads, made of the plain bytes of its variant.
func (f forms) of(s *Subscriber, plain func(variant int) []byte) []byte {
	key := form{s.variant, s.packed}
	frame, ok := f[key]
	if !ok {
		frame = s.encode(plain(s.variant))
		f[key] = frame
	}
	return frame
}
