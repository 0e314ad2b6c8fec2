// Package pieces answers with a page that is the same for everybody but for a
// few short texts, compressed beforehand. The page is rendered once with marks
// where those texts belong, and cut there. Each stretch between two marks is
// compressed for itself; an answer is the stretches as they are, with the texts
// of the one who asks, uncompressed, in between.
//
// Its invariant: both ways of answering, plain and gzip, hold the same bytes.
package pieces

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Marks are control characters: nothing that people write has any (see package
// chat), nor has HTML. Mark(0) to Mark(MostMarks-1) are there.
const MostMarks = 8

// Mark stands for texts[i] of an answer.
func Mark(i int) string {
	if i < 0 || i >= MostMarks {
		panic("pieces: there is no such mark")
	}
	return string(rune(1 + i))
}

const marks = "\x01\x02\x03\x04\x05\x06\x07\x08"

// Page is a page that was cut. It is never changed.
type Page struct {
	stretches []stretch // between and around the marks
	marks     []int     // marks[i] comes after stretches[i]
	whole     []byte    // the gzip file, if there are no marks
}

type stretch struct {
	plain    []byte
	deflated []byte // ends on a byte's boundary, and is not the last block
}

// Cut takes a page apart at its marks and compresses what is between.
func Cut(page string) *Page {
	p := new(Page)
	for {
		at := strings.IndexAny(page, marks)
		if at < 0 {
			break
		}
		p.stretches = append(p.stretches, newStretch(page[:at]))
		p.marks = append(p.marks, int(page[at])-1)
		page = page[at+1:]
	}
	p.stretches = append(p.stretches, newStretch(page))
	if len(p.marks) == 0 {
		p.whole = p.AppendGzip(nil, nil)
	}
	return p
}

// level is the smallest: a page is compressed once and sent often.
const level = 9

// writers are large and costly to make. Reset makes one forget what it wrote,
// so that each stretch stands for itself.
var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, level) // the level is valid
	return w
}}

func newStretch(plain string) stretch {
	var b bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	s := stretch{plain: []byte(plain)}
	_, _ = w.Write(s.plain) // a Buffer takes everything
	_ = w.Flush()
	s.deflated = bytes.Clone(b.Bytes())
	return s
}

// AppendPlain appends the page with texts, already escaped, in their places.
func (p *Page) AppendPlain(b []byte, texts []string) []byte {
	for i, s := range p.stretches {
		b = append(b, s.plain...)
		if i < len(p.marks) {
			b = append(b, texts[p.marks[i]]...)
		}
	}
	return b
}

// gzipHeader says deflate, no name, no time, any system (RFC 1952, 2.3).
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// longestStored is the most bytes that a stored block holds (RFC 1951, 3.2.4).
const longestStored = 1<<16 - 1

// AppendGzip appends the same as a gzip file.
func (p *Page) AppendGzip(b []byte, texts []string) []byte {
	if p.whole != nil {
		return append(b, p.whole...)
	}
	b = append(b, gzipHeader...)
	sum, size := uint32(0), 0
	count := func(plain []byte) {
		sum = crc32.Update(sum, crc32.IEEETable, plain)
		size += len(plain)
	}
	for i, s := range p.stretches {
		b = append(b, s.deflated...)
		count(s.plain)
		if i == len(p.marks) {
			break
		}
		text := texts[p.marks[i]]
		count([]byte(text))
		for len(text) > 0 {
			n := min(len(text), longestStored)
			b = appendStored(b, 0, text[:n])
			text = text[n:]
		}
	}
	b = appendStored(b, 1, "")
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

// appendStored appends a block that is not compressed.
func appendStored(b []byte, last byte, text string) []byte {
	b = append(b, last)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
	b = binary.LittleEndian.AppendUint16(b, ^uint16(len(text)))
	return append(b, text...)
}
