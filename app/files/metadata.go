package files

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"slices"
)

// The functions below copy a picture without what is not seen: they keep the
// parts by an allow-list, and nothing of what stands behind the end. So the
// camera's data (Exif 2.32), XMP, IPTC, comments, embedded previews and
// whatever else programs hide in pictures is gone, and every pixel and colour
// is as it was. Of Exif the orientation alone is written again, where it says
// that the picture is to be turned: it is returned, as 1 to 8, 1 for upright.
//
// A picture that ends too early is copied as far as it goes. An error means
// that it is no picture of that format.

var errNoPicture = errors.New("not a picture of its format")

// cleanJPEG keeps what is needed to decode a JPEG file (ITU T.81, annex B): its
// tables and frames, the JFIF and Adobe segments and the colour profile.
func cleanJPEG(w io.Writer, from io.ReadSeeker) (orientation int, err error) {
	r := bufio.NewReaderSize(from, 64<<10)
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head != [2]byte{0xFF, 0xD8} {
		return 0, errNoPicture
	}
	if _, err := w.Write(head[:]); err != nil {
		return 0, err
	}
	orientation = 1
	buffer := make([]byte, 1<<16)
	marker, err := nextMarker(r, io.Discard)
	for {
		switch {
		case err != nil:
			return orientation, cut(err)
		case marker == 0xD9: // the end of the picture
			_, err := w.Write([]byte{0xFF, marker})
			return orientation, err
		case marker == 0xD8:
			return 0, errNoPicture
		case marker == 0x01 || marker >= 0xD0 && marker <= 0xD7: // means nothing here
			marker, err = nextMarker(r, io.Discard)
			continue
		}
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return orientation, cut(err)
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n < 2 {
			return 0, errNoPicture
		}
		segment := buffer[:n-2]
		if _, err := io.ReadFull(r, segment); err != nil {
			return orientation, cut(err)
		}
		if segment, orientation = cleanSegment(marker, segment, orientation); segment != nil {
			binary.BigEndian.PutUint16(size[:], uint16(len(segment)+2))
			for _, piece := range [][]byte{{0xFF, marker}, size[:], segment} {
				if _, err := w.Write(piece); err != nil {
					return 0, err
				}
			}
		}
		if marker != 0xDA {
			marker, err = nextMarker(r, io.Discard) // what stands between segments means nothing
			continue
		}
		// The data of a scan end at the first marker that is not their own.
		for {
			if marker, err = nextMarker(r, w); err != nil || marker < 0xD0 || marker > 0xD7 {
				break
			}
			if _, err := w.Write([]byte{0xFF, marker}); err != nil {
				return 0, err
			}
		}
	}
}

// cleanSegment is what is kept of a segment, nil for nothing, and the
// orientation that is known after it.
func cleanSegment(marker byte, segment []byte, orientation int) ([]byte, int) {
	switch {
	case marker >= 0xC0 && marker <= 0xCF, marker >= 0xDA && marker <= 0xDD: // frames, tables, scans
		return segment, orientation
	case marker == 0xE0 && len(segment) >= 14 && bytes.HasPrefix(segment, []byte("JFIF\x00")):
		segment[12], segment[13] = 0, 0 // without its thumbnail
		return segment[:14], orientation
	case marker == 0xE2 && bytes.HasPrefix(segment, []byte("ICC_PROFILE\x00")),
		marker == 0xEE && bytes.HasPrefix(segment, []byte("Adobe")):
		return segment, orientation
	case marker == 0xE1 && orientation == 1 && len(segment) > 6 && bytes.HasPrefix(segment, []byte("Exif\x00")):
		if orientation = orientationOf(segment[6:]); orientation > 1 {
			return append([]byte("Exif\x00\x00"), onlyOrientation(orientation)...), orientation
		}
	}
	return nil, orientation
}

// nextMarker reads up to and with the next marker and writes what stands
// before it.
func nextMarker(r *bufio.Reader, w io.Writer) (byte, error) {
	for {
		before, err := r.ReadSlice(0xFF)
		found := err == nil
		if found {
			before = before[:len(before)-1]
		}
		if _, err := w.Write(before); err != nil {
			return 0, err
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		} else if err != nil {
			return 0, err
		}
		marker := byte(0xFF)
		for marker == 0xFF { // as often as one likes
			if marker, err = r.ReadByte(); err != nil {
				return 0, err
			}
		}
		if marker != 0 {
			return marker, nil
		}
		if _, err := w.Write([]byte{0xFF, 0}); err != nil { // a byte of the data that looks like one
			return 0, err
		}
	}
}

// Chunks of a PNG file (PNG, third edition; with APNG) that say how its pixels
// look.
var pngChunks = []string{
	"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "cHRM", "gAMA", "iCCP", "sBIT", "sRGB", "cICP", "mDCV", "cLLI",
	"bKGD", "pHYs", "acTL", "fcTL", "fdAT",
}

var pngHead = []byte("\x89PNG\r\n\x1a\n")

func cleanPNG(w io.Writer, from io.ReadSeeker) (orientation int, err error) {
	r := bufio.NewReaderSize(from, 64<<10)
	head := make([]byte, len(pngHead))
	if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, pngHead) {
		return 0, errNoPicture
	}
	if _, err := w.Write(head); err != nil {
		return 0, err
	}
	orientation = 1
	for {
		var head [8]byte // length and name
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return orientation, cut(err)
		}
		size, name := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:])
		if size >= 1<<31 {
			return 0, errNoPicture
		}
		switch {
		case slices.Contains(pngChunks, name):
			_, err = w.Write(head[:])
			if err == nil {
				_, err = io.CopyN(w, r, size+4) // with its checksum
			}
		case name == "eXIf" && orientation == 1 && size < 1<<16:
			exif := make([]byte, size+4)
			if _, err = io.ReadFull(r, exif); err != nil {
				break
			}
			if orientation = orientationOf(exif[:size]); orientation > 1 {
				err = writePNGChunk(w, name, onlyOrientation(orientation))
			}
		default:
			_, err = io.CopyN(io.Discard, r, size+4)
		}
		if err != nil {
			return orientation, cut(err)
		}
		if name == "IEND" {
			return orientation, nil
		}
	}
}

func writePNGChunk(w io.Writer, name string, data []byte) error {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	chunk = append(append(chunk, name...), data...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	_, err := w.Write(chunk)
	return err
}

// cleanGIF keeps the frames of a GIF file (GIF89a) with their times, how often
// they are repeated, and the colour profile.
func cleanGIF(w io.Writer, from io.ReadSeeker) (orientation int, err error) {
	r := bufio.NewReaderSize(from, 64<<10)
	var head [13]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:3]) != "GIF" {
		return 0, errNoPicture
	}
	if _, err := w.Write(head[:]); err != nil {
		return 0, err
	}
	err = copyColours(w, r, head[10])
	for err == nil {
		var block byte
		if block, err = r.ReadByte(); err != nil {
			break
		}
		switch block {
		case 0x3B: // the end
			_, err := w.Write([]byte{block})
			return 1, err
		case 0x2C: // a frame: where it is, its colours, its code size, its data
			var frame [9]byte
			if _, err = io.ReadFull(r, frame[:]); err != nil {
				break
			}
			if _, err = w.Write(append([]byte{block}, frame[:]...)); err != nil {
				break
			}
			if err = copyColours(w, r, frame[8]); err != nil {
				break
			}
			if _, err = io.CopyN(w, r, 1); err == nil {
				err = copyBlocks(w, r)
			}
		case 0x21:
			err = cleanGIFExtension(w, r)
		case 0: // some programs write one too many
		default:
			return 0, errNoPicture
		}
	}
	return 1, cut(err)
}

// cleanGIFExtension keeps graphic controls, text that is drawn, and three
// applications' data: two names for the repetition, and the colour profile.
func cleanGIFExtension(w io.Writer, r *bufio.Reader) error {
	label, err := r.ReadByte()
	if err != nil {
		return err
	}
	first, _ := r.Peek(12) // less of it at the end: then it is none of these names
	keep := label == 0xF9 || label == 0x01 ||
		label == 0xFF && slices.Contains([]string{"\x0BNETSCAPE2.0", "\x0BANIMEXTS1.0", "\x0BICCRGBG1012"}, string(first))
	if !keep {
		return copyBlocks(io.Discard, r)
	}
	if _, err := w.Write([]byte{0x21, label}); err != nil {
		return err
	}
	return copyBlocks(w, r)
}

// copyColours copies the colour table that the flags announce.
func copyColours(w io.Writer, r *bufio.Reader, flags byte) error {
	if flags&0x80 == 0 {
		return nil
	}
	_, err := io.CopyN(w, r, 3<<(flags&7+1))
	return err
}

// copyBlocks copies blocks of data up to the empty one that ends them. There may
// be millions, of a byte each: io.CopyN would write each to the file by itself.
func copyBlocks(w io.Writer, r *bufio.Reader) error {
	for {
		size, err := r.Peek(1)
		if err != nil {
			return err
		}
		last := size[0] == 0
		block, cut := r.Peek(1 + int(size[0]))
		if _, err := w.Write(block); err != nil {
			return err
		}
		if _, err := r.Discard(len(block)); err != nil || cut != nil || last {
			return cmp.Or(err, cut)
		}
	}
}

// mostChunks is how many parts a WebP file may have: frames of an animation.
const mostChunks = 1 << 16

type webpChunk struct {
	name string
	at   int64 // where its data begin
	size int64
}

// webpChunks lists the chunks of a WebP file (RFC 9649), as far as it goes.
func webpChunks(from io.ReadSeeker) ([]webpChunk, error) {
	var head [12]byte
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(from, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" {
		return nil, errNoPicture
	}
	end, err := from.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	end = min(end, 8+int64(binary.LittleEndian.Uint32(head[4:8])))
	var chunks []webpChunk
	for at := int64(len(head)); at+8 <= end; {
		if _, err := from.Seek(at, io.SeekStart); err != nil {
			return nil, err
		}
		var head [8]byte
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return nil, err
		}
		c := webpChunk{name: string(head[:4]), at: at + 8, size: int64(binary.LittleEndian.Uint32(head[4:]))}
		if c.at+c.size > end {
			break
		}
		if chunks = append(chunks, c); len(chunks) > mostChunks {
			return nil, errNoPicture
		}
		at = c.at + c.size + c.size%2
	}
	return chunks, nil
}

// cleanWebP keeps the frames of a WebP file, its colour profile, and what says
// how they are shown. Browsers show it as it is, whatever its Exif data say of
// an orientation, so nothing is kept of them.
func cleanWebP(w io.Writer, from io.ReadSeeker) (orientation int, err error) {
	chunks, err := webpChunks(from)
	if err != nil {
		return 0, err
	}
	chunks = slices.DeleteFunc(chunks, func(c webpChunk) bool {
		return !slices.Contains([]string{"VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP"}, c.name)
	})
	size := int64(4)
	for _, c := range chunks {
		size += 8 + c.size + c.size%2
	}
	head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(size))
	if _, err := w.Write(append(head, "WEBP"...)); err != nil {
		return 0, err
	}
	for _, c := range chunks {
		if _, err := from.Seek(c.at, io.SeekStart); err != nil {
			return 0, err
		}
		if _, err := w.Write(binary.LittleEndian.AppendUint32([]byte(c.name), uint32(c.size))); err != nil {
			return 0, err
		}
		size := c.size
		if c.name == "VP8X" && size > 0 { // says what there is beside the picture
			var flags [1]byte
			if _, err := io.ReadFull(from, flags[:]); err != nil {
				return 0, err
			}
			flags[0] &^= 0x08 | 0x04 // Exif, XMP
			if _, err := w.Write(flags[:]); err != nil {
				return 0, err
			}
			size--
		}
		if _, err := io.CopyN(w, from, size); err != nil {
			return 0, err
		}
		if _, err := w.Write(make([]byte, c.size%2)); err != nil {
			return 0, err
		}
	}
	return 1, nil
}

func readAt(from io.ReadSeeker, into []byte, at int64) error {
	if _, err := from.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := io.ReadFull(from, into)
	return err
}

// tagOrientation is the one tag of Exif that is read and written.
const tagOrientation = 0x0112

// orientationOf reads how a picture is to be turned from Exif data, which are
// those of a TIFF file; 1 if they do not say.
func orientationOf(exif []byte) int {
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(exif[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(exif[4:8]))
	if at+2 > int64(len(exif)) {
		return 1
	}
	entries := exif[at+2:]
	for range order.Uint16(exif[at:]) {
		if len(entries) < 12 {
			break
		}
		if order.Uint16(entries) == tagOrientation {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			break
		}
		entries = entries[12:]
	}
	return 1
}

// onlyOrientation is Exif data that say nothing but how to turn a picture.
func onlyOrientation(orientation int) []byte {
	return []byte{
		'I', 'I', '*', 0, 8, 0, 0, 0, // the first directory comes next
		1, 0, // one entry: a tag, type SHORT, one of it
		tagOrientation & 0xFF, tagOrientation >> 8, 3, 0, 1, 0, 0, 0, byte(orientation), 0, 0, 0,
		0, 0, 0, 0, // no further directory
	}
}

// cut takes away an error that says that there is no more.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// webpFrame is what there is to decode of a WebP file: of an animated one the
// first frame as a file of its own, which may be smaller than the whole.
func webpFrame(from *os.File) (io.Reader, error) {
	chunks, err := webpChunks(from)
	if err != nil {
		return nil, err
	}
	for _, c := range chunks {
		if c.name != "ANMF" || c.size < 16+8 {
			continue
		}
		var about [16 + 4]byte // place, size, time; then chunks of the frame
		if err := readAt(from, about[:], c.at); err != nil {
			return nil, err
		}
		var extended []byte
		if string(about[16:]) == "ALPH" {
			extended = append([]byte("VP8X\x0A\x00\x00\x00\x10\x00\x00\x00"), about[6:12]...)
		}
		head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+int64(len(extended))+c.size-16))
		head = append(append(head, "WEBP"...), extended...)
		return io.MultiReader(bytes.NewReader(head), io.NewSectionReader(from, c.at+16, c.size-16)), nil
	}
	return whole(from)
}
