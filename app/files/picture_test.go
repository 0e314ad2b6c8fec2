package files

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/webp"
)

// secret is what must not be left in a picture.
const secret = "52.5200N 13.4050E taken by Zoe"

// halves is a picture whose left half is red and whose right half is blue.
func halves(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.NRGBA{R: 255, A: 255}
			if x >= width/2 {
				c = color.NRGBA{B: 255, A: 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// exif is Exif data with an orientation and a secret.
func exif(orientation int, order binary.AppendByteOrder) []byte {
	b := []byte("II*\x00")
	if order == binary.BigEndian {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 0x010F) // the maker of the camera
	b = order.AppendUint16(b, 2)
	b = order.AppendUint32(b, uint32(len(secret)))
	b = order.AppendUint32(b, 8+2+24+4)
	b = order.AppendUint16(b, tagOrientation)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, uint16(orientation))
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, 0)
	return append(b, secret...)
}

func jpegSegment(marker byte, data string) string {
	return string([]byte{0xFF, marker}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(data)+2))) + data
}

func jpegFile(t testing.TB, m image.Image, orientation int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	return []byte(s[:2] +
		jpegSegment(0xE0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01"+secret[:3]) +
		jpegSegment(0xE0, "JFXX\x00\x10"+secret) +
		jpegSegment(0xE1, "Exif\x00\x00"+string(exif(orientation, binary.BigEndian))) +
		jpegSegment(0xE1, "http://ns.adobe.com/xap/1.0/\x00"+secret) +
		jpegSegment(0xE2, "ICC_PROFILE\x00\x01\x01profile") +
		jpegSegment(0xE2, "MPF\x00"+secret) +
		jpegSegment(0xED, "Photoshop 3.0\x00"+secret) +
		jpegSegment(0xEF, secret) +
		jpegSegment(0xFE, secret) +
		s[2:] + "PK\x03\x04" + secret + "\xFF\xD8\xFF\xE1" + secret)
}

func pngChunk(name string, data []byte) string {
	var b bytes.Buffer
	_ = writePNGChunk(&b, name, data) // a Buffer takes everything
	return b.String()
}

func pngFile(t testing.TB, m image.Image, orientation int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	const head = 8 + 8 + 13 + 4 // signature and IHDR
	return []byte(s[:head] +
		pngChunk("tEXt", []byte("Author\x00"+secret)) +
		pngChunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret)) +
		pngChunk("eXIf", exif(orientation, binary.LittleEndian)) +
		pngChunk("tIME", []byte(secret)) +
		pngChunk("caBX", []byte(secret)) +
		pngChunk("gAMA", []byte{0, 0, 0xB1, 0x8F}) +
		s[head:] + secret)
}

func gifFile(t testing.TB) []byte {
	colours := color.Palette{color.NRGBA{R: 255, A: 255}, color.NRGBA{B: 255, A: 255}}
	frame := func(first, second uint8) *image.Paletted {
		m := image.NewPaletted(image.Rect(0, 0, 40, 20), colours)
		for i := range m.Pix {
			m.Pix[i] = first
			if i%40 >= 20 {
				m.Pix[i] = second
			}
		}
		return m
	}
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame(0, 1), frame(1, 0)}, Delay: []int{10, 20}, LoopCount: 3})
	if err != nil {
		t.Fatal(err)
	}
	block := string(rune(len(secret))) + secret + "\x00"
	s := b.String()
	at := strings.Index(s, "\x21\xFF\x0BNETSCAPE2.0")
	return []byte(s[:at] + "\x21\xFE" + block + "\x21\xFF\x0BXMP DataXMP" + block + s[at:] + secret)
}

// bits writes numbers from their lowest bit on.
type bits struct {
	bytes []byte
	n     int
}

func (b *bits) add(value, count int) {
	for i := range count {
		if b.n%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.n/8] |= byte(value >> i & 1 << (b.n % 8))
		b.n++
	}
}

// vp8l is a lossless WebP bitstream of one colour (RFC 9649, section 3): five
// codes of one symbol each, so that pixels take no bits at all.
func vp8l(width, height int, c color.NRGBA) []byte {
	b := &bits{bytes: []byte{0x2F}, n: 8}
	b.add(width-1, 14)
	b.add(height-1, 14)
	b.add(1, 1) // alpha is used
	b.add(0, 3) // version
	b.add(0, 1) // no transform
	b.add(0, 1) // no colour cache
	b.add(0, 1) // one group of codes
	for _, symbol := range []byte{c.G, c.R, c.B, c.A} {
		b.add(1, 1) // a simple code
		b.add(0, 1) // of one symbol
		b.add(1, 1) // of eight bits
		b.add(int(symbol), 8)
	}
	b.add(1, 1)
	b.add(0, 1)
	b.add(0, 1)
	b.add(0, 1)
	return b.bytes
}

func riffChunk(name string, data []byte) string {
	s := name + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + string(data)
	return s + strings.Repeat("\x00", len(data)%2)
}

func webpFile(width, height, orientation int, animated bool) []byte {
	about := make([]byte, 10)
	about[0] = 0x08 | 0x04 | 0x10
	about[4], about[5] = byte(width-1), byte((width-1)>>8)
	about[7], about[8] = byte(height-1), byte((height-1)>>8)
	picture := riffChunk("VP8L", vp8l(width, height, color.NRGBA{R: 255, A: 255}))
	if animated {
		about[0] |= 0x02
		frame := make([]byte, 16)
		copy(frame[6:12], about[4:10])
		picture = riffChunk("ANIM", make([]byte, 6)) + riffChunk("ANMF", append(frame, picture...)) + riffChunk("ANMF", append(frame, picture...))
	}
	body := "WEBP" + riffChunk("VP8X", about) + picture + riffChunk("EXIF", exif(orientation, binary.LittleEndian)) +
		riffChunk("XMP ", []byte(secret)) + riffChunk("UNKN", []byte(secret))
	return []byte(riffChunk("RIFF", []byte(body)) + secret)
}

func TestMetadataIsRemovedAndThePictureIsTheSame(t *testing.T) {
	d := newDepot(t)
	m := halves(40, 20)
	for name, test := range map[string]struct {
		content []byte
		format  string
		turned  bool
		keeps   string
	}{
		"JPEG":              {jpegFile(t, m, 6), "image/jpeg", true, "ICC_PROFILE"},
		"upright JPEG":      {jpegFile(t, m, 1), "image/jpeg", false, "JFIF"},
		"PNG":               {pngFile(t, m, 6), "image/png", true, "gAMA"},
		"upright PNG":       {pngFile(t, m, 1), "image/png", false, "gAMA"},
		"GIF":               {gifFile(t), "image/gif", false, "NETSCAPE2.0"},
		"WebP":              {webpFile(40, 20, 8, false), "image/webp", false, "VP8L"},
		"WebP that moves":   {webpFile(40, 20, 1, true), "image/webp", false, "ANMF"},
		"JPEG with padding": {bytes.Replace(jpegFile(t, m, 6), []byte("\xFF\xE2"), []byte("pad\xFF\xFF\xFF\xE2"), 1), "image/jpeg", true, "ICC_PROFILE"},
	} {
		a := keep(t, d, test.content)
		width, height := 40, 20
		if test.turned {
			width, height = height, width
		}
		if a.Type != test.format || a.Width != width || a.Height != height || a.ThumbWidth != width || a.ThumbHeight != height {
			t.Errorf("%s: %+v", name, a)
			continue
		}
		f, err := d.Content(a.Digest)
		kept := read(t, f, err)
		if i := bytes.Index(kept, []byte(secret)); i >= 0 {
			t.Errorf("%s: metadata left at %d", name, i)
		}
		if !bytes.Contains(kept, []byte(test.keeps)) {
			t.Errorf("%s: lost %s", name, test.keeps)
		}
		if a.Size != int64(len(kept)) {
			t.Errorf("%s: size %d, has %d", name, a.Size, len(kept))
		}
		if format := formats[test.format]; name != "WebP that moves" {
			was, err := format.decode(bytes.NewReader(test.content))
			if err != nil {
				t.Fatal(err)
			}
			is, err := format.decode(bytes.NewReader(kept))
			if err != nil {
				t.Errorf("%s: can't be decoded any more: %v", name, err)
			} else if fmt.Sprint(was) != fmt.Sprint(is) {
				t.Errorf("%s: other pixels", name)
			}
		}
		// Once more changes nothing, and the orientation is still known.
		if b := keep(t, d, kept); b.Digest != a.Digest || b.Width != a.Width {
			t.Errorf("%s: sent again: %+v", name, b)
		}
	}
}

func TestAnimationStaysOne(t *testing.T) {
	d := newDepot(t)
	a := keep(t, d, gifFile(t))
	f, err := d.Content(a.Digest)
	g, err := gif.DecodeAll(bytes.NewReader(read(t, f, err)))
	if err != nil || len(g.Image) != 2 || g.LoopCount != 3 || g.Delay[1] != 20 {
		t.Errorf("%+v, %v", g, err)
	}
	f, err = d.Thumb(a.Digest)
	m, _, err := image.Decode(bytes.NewReader(read(t, f, err)))
	if err != nil || !like(m.At(5, 10), color.NRGBA{R: 255, A: 255}) {
		t.Errorf("its small picture is not the first frame: %v, %v", m, err)
	}
}

// like tells whether two colours look alike.
func like(a, b color.Color) bool {
	ar, ag, ab, aa := a.RGBA()
	br, bg, bb, ba := b.RGBA()
	near := func(x, y uint32) bool { return max(x, y)-min(x, y) < 0x2000 }
	return near(ar, br) && near(ag, bg) && near(ab, bb) && near(aa, ba)
}

// quarters has another colour in each corner: A red, B green, C blue, D white.
func quarters(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, corners[[]string{"AB", "CD"}[2*y/height][2*x/width]])
		}
	}
	return m
}

var corners = map[byte]color.NRGBA{
	'A': {R: 255, A: 255}, 'B': {G: 255, A: 255}, 'C': {B: 255, A: 255}, 'D': {R: 255, G: 255, B: 255, A: 255},
}

func TestSmallPictureIsUpright(t *testing.T) {
	d := newDepot(t)
	// What stands where in the picture as it is to be shown, by Exif 2.32,
	// 4.6.4.A: "6: the 0th row is the visual right-hand side, the 0th column
	// the visual top".
	for orientation, want := range []string{1: "AB CD", 2: "BA DC", 3: "DC BA", 4: "CD AB", 5: "AC BD", 6: "CA DB", 7: "DB CA", 8: "BD AC"} {
		if orientation == 0 {
			continue
		}
		a := keep(t, d, jpegFile(t, quarters(1600, 800), orientation))
		f, err := d.Thumb(a.Digest)
		m, err := jpeg.Decode(bytes.NewReader(read(t, f, err)))
		if err != nil {
			t.Fatal(err)
		}
		width, height := 720, 360
		if orientation >= 5 {
			width, height = 270, 540
		}
		if got := m.Bounds().Max; got != image.Pt(width, height) || a.ThumbWidth != width || a.ThumbHeight != height {
			t.Errorf("orientation %d: %v, %+v", orientation, got, a)
			continue
		}
		got := ""
		for _, at := range []image.Point{{width / 4, height / 4}, {3 * width / 4, height / 4}, {}, {width / 4, 3 * height / 4}, {3 * width / 4, 3 * height / 4}} {
			if at == (image.Point{}) {
				got += " "
			}
			for name, c := range corners {
				if at != (image.Point{}) && like(m.At(at.X, at.Y), c) {
					got += string(name)
				}
			}
		}
		if got != want {
			t.Errorf("orientation %d: %s, want %s", orientation, got, want)
		}
	}
}

func TestSmallPictureKeepsWhatShinesThrough(t *testing.T) {
	d := newDepot(t)
	m := image.NewNRGBA(image.Rect(0, 0, 1440, 100))
	for x := range 700 {
		for y := range 100 {
			m.SetNRGBA(x, y, color.NRGBA{G: 200, A: 255})
		}
	}
	a := keep(t, d, pngFile(t, m, 1))
	f, err := d.Thumb(a.Digest)
	small, err := png.Decode(bytes.NewReader(read(t, f, err)))
	if err != nil || small.Bounds().Max != image.Pt(720, 50) {
		t.Fatal(small, err)
	}
	if _, _, _, alpha := small.At(700, 25).RGBA(); alpha != 0 || !like(small.At(20, 25), color.NRGBA{G: 200, A: 255}) {
		t.Errorf("%v, %v", small.At(700, 25), small.At(20, 25))
	}
}

func TestFit(t *testing.T) {
	for _, test := range [][4]int{{10, 10, 10, 10}, {720, 540, 720, 540}, {1440, 540, 720, 270}, {721, 540, 720, 539}, {100, 5400, 10, 540}, {1, 65535, 1, 540}, {65535, 1, 720, 1}} {
		if w, h := fit(test[0], test[1], ThumbWidth, ThumbHeight); w != test[2] || h != test[3] {
			t.Errorf("%v: %d, %d", test, w, h)
		}
	}
}

// pngHeadOnly announces a picture and has little of it.
func pngHeadOnly(width, height uint32, depth byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, width)
	head = binary.BigEndian.AppendUint32(head, height)
	head = append(head, depth, 6, 0, 0, 0)
	return []byte(string(pngHead) + pngChunk("IHDR", head) + pngChunk("IDAT", []byte("x\x9c")) + pngChunk("IEND", nil))
}

func jpegHeadOnly(frame byte, width, height uint16) []byte {
	data := binary.BigEndian.AppendUint16([]byte{8}, height)
	data = binary.BigEndian.AppendUint16(data, width)
	data = append(data, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0)
	return []byte("\xFF\xD8" + jpegSegment(0xE0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + jpegSegment(frame, string(data)) +
		jpegSegment(0xDA, "\x03\x01\x00\x02\x11\x03\x11\x00\x3F\x00") + "data\xFF\xD9")
}

// frameOnly is an animated WebP of one frame, on a canvas of 16 by 16 pixels,
// whose head says that the frame has 46,000 by 46,000.
func frameOnly(picture string) []byte {
	about, frame := make([]byte, 10), make([]byte, 16)
	about[0], about[4], about[7] = 0x02, 15, 15
	binary.LittleEndian.PutUint16(frame[6:], 45999)
	binary.LittleEndian.PutUint16(frame[9:], 45999)
	return []byte(riffChunk("RIFF", []byte("WEBP"+riffChunk("VP8X", about)+riffChunk("ANIM", make([]byte, 6))+
		riffChunk("ANMF", append(frame, picture...)))))
}

// A few bytes can announce a picture that would fill the memory.
func TestCostlyPicturesAreNotDecoded(t *testing.T) {
	d := newDepot(t)
	decoded := false
	for name, f := range formats {
		was := f
		f.decode = func(r io.Reader) (image.Image, error) { decoded = true; return nil, io.ErrUnexpectedEOF }
		formats[name] = f
		t.Cleanup(func() { formats[name] = was })
	}
	for name, content := range map[string][]byte{
		"PNG":              pngHeadOnly(30000, 30000, 8),
		"PNG of a line":    pngHeadOnly(1, 39_000_000, 8),
		"PNG of 16 bits":   pngHeadOnly(6000, 6000, 16),
		"JPEG":             jpegHeadOnly(0xC0, 65000, 65000),
		"progressive JPEG": jpegHeadOnly(0xC2, 5000, 5000),
		"GIF":              append([]byte("GIF89a\xFF\xFF\xFF\xFF\x00\x00\x00"), gifFile(t)[13:]...),
		"WebP":             []byte(riffChunk("RIFF", []byte("WEBP"+riffChunk("VP8L", vp8l(16384, 16384, color.NRGBA{A: 255}))))),
		// The canvas is small, and the frame is not.
		"animated WebP":             frameOnly(riffChunk("VP8L", vp8l(16384, 16384, color.NRGBA{A: 255}))),
		"animated WebP, allowed":    frameOnly(riffChunk("VP8L", vp8l(6000, 6000, color.NRGBA{A: 255}))),
		"animated WebP with shades": frameOnly(riffChunk("ALPH", make([]byte, 20))),
	} {
		decoded = false
		a := keep(t, d, content)
		if a.Type != unknownType || a.ThumbWidth != 0 || decoded {
			t.Errorf("%s: %+v, decoded: %v", name, a, decoded)
		}
	}
	for name, content := range map[string][]byte{
		"PNG": pngHeadOnly(6000, 6000, 8), "JPEG": jpegHeadOnly(0xC0, 6000, 6000), "progressive JPEG": jpegHeadOnly(0xC2, 3000, 4000),
	} {
		decoded = false
		if keep(t, d, content); !decoded {
			t.Errorf("%s of a usual size was not tried", name)
		}
	}
}

func TestWebPThatLiesAboutItsSizeIsRefusedByItsDecoder(t *testing.T) {
	content := riffChunk("RIFF", []byte("WEBP"+riffChunk("VP8X", make([]byte, 10))+riffChunk("VP8L", vp8l(16384, 16384, color.NRGBA{A: 255}))))
	if m, err := webp.Decode(strings.NewReader(content)); err == nil {
		t.Errorf("decoded %v", m.Bounds())
	}
}

func TestBrokenPicturesAreNoPictures(t *testing.T) {
	d := newDepot(t)
	m := halves(40, 20)
	for name, content := range map[string][]byte{"JPEG": jpegFile(t, m, 6), "PNG": pngFile(t, m, 6), "GIF": gifFile(t), "WebP": webpFile(40, 20, 1, false)} {
		half, err := d.Receive(t.Context(), bytes.NewReader(content), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		whole := half.Size
		half.Discard()
		// Cut everywhere: a picture or none, but never an error of ours.
		for n := 1; n < len(content); n += 7 {
			a, err := d.Receive(t.Context(), bytes.NewReader(content[:n]), 1<<20)
			if err != nil {
				t.Fatalf("%s, %d bytes of it: %v", name, n, err)
			}
			if a.Size > whole+64 && a.Type != unknownType {
				t.Errorf("%s, %d bytes of it: %d are kept", name, n, a.Size)
			}
			a.Discard()
		}
		n := len(content) / 3
		if name == "WebP" { // most of it comes after the picture
			n = 45
		}
		a := keep(t, d, content[:n])
		if a.Type != unknownType || a.ThumbWidth != 0 || a.Width != 0 {
			t.Errorf("a third of a %s: %+v", name, a)
		}
	}
}

func TestPictureWithAPageInItIsStillOnlyAPicture(t *testing.T) {
	d := newDepot(t)
	page := "<!doctype html><script>alert(1)</script>"
	content := append(gifFile(t), page...)
	a := keep(t, d, content)
	f, err := d.Content(a.Digest)
	if kept := read(t, f, err); a.Type != "image/gif" || bytes.Contains(kept, []byte("script")) {
		t.Errorf("%+v", a)
	}
}

func TestDecodingThatTakesTooLongIsGivenUp(t *testing.T) {
	d := newDepot(t)
	was := formats["image/png"]
	t.Cleanup(func() { formats["image/png"] = was })
	f := was
	f.decode = func(r io.Reader) (image.Image, error) {
		for { // a decoder that never has enough
			if _, err := r.Read(make([]byte, 1)); err != nil && err != io.EOF {
				return nil, err
			}
		}
	}
	formats["image/png"] = f
	ctx, end := context.WithCancel(t.Context())
	content := pngFile(t, halves(40, 20), 1)
	done := make(chan error)
	go func() {
		_, err := d.Receive(ctx, bytes.NewReader(content), 1<<20)
		done <- err
	}()
	end()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f.decode = func(io.Reader) (image.Image, error) { panic("bad picture") }
	formats["image/png"] = f
	if a := keep(t, d, content); a.Type != unknownType {
		t.Errorf("a decoder that panics: %+v", a)
	}
}

// calls counts how often a file is asked to write.
type calls struct{ n int }

func (c *calls) Write(p []byte) (int, error) {
	c.n++
	return len(p), nil
}

func (c *calls) ReadFrom(r io.Reader) (int64, error) { // as an os.File can
	c.n++
	return io.Copy(io.Discard, r)
}

func TestSmallPartsAreWrittenTogether(t *testing.T) {
	const many = 200_000
	head := "GIF89a\x08\x00\x08\x00\x00\x00\x00"
	for name, test := range map[string]struct {
		format, content string
	}{
		"blocks of a GIF":      {"image/gif", head + "\x2C\x00\x00\x00\x00\x08\x00\x08\x00\x00\x02" + strings.Repeat("\x01a", many) + "\x00;"},
		"frames of a GIF":      {"image/gif", head + strings.Repeat("\x2C\x00\x00\x00\x00\x08\x00\x08\x00\x00\x02\x01a\x00", many/8) + ";"},
		"chunks of a PNG":      {"image/png", string(pngHead) + strings.Repeat(pngChunk("IDAT", nil), many/8)},
		"marks in a JPEG":      {"image/jpeg", "\xFF\xD8" + jpegSegment(0xDA, "") + strings.Repeat("\xFF\x00", many)},
		"segments of a JPEG":   {"image/jpeg", "\xFF\xD8" + strings.Repeat(jpegSegment(0xDB, ""), many/4)},
		"frames of a WebP":     {"image/webp", riffChunk("RIFF", []byte("WEBP"+strings.Repeat(riffChunk("ANMF", nil), many/8)))},
		"a block that was cut": {"image/gif", head + "\x21\xF9" + strings.Repeat("\x01a", many) + "\x09"},
	} {
		var file calls
		w := bufio.NewWriterSize(&file, 64<<10)
		_, err := formats[test.format].clean(w, strings.NewReader(test.content))
		if err = errors.Join(err, w.Flush()); err != nil || file.n > len(test.content)/(16<<10) {
			t.Errorf("%s: %d bytes in %d writes, %v", name, len(test.content), file.n, err)
		}
	}
}

func TestOrientationOfBadExif(t *testing.T) {
	good := exif(6, binary.LittleEndian)
	if orientationOf(good) != 6 || orientationOf(exif(3, binary.BigEndian)) != 3 || orientationOf(exif(9, binary.BigEndian)) != 1 {
		t.Error("a good one is not read")
	}
	if got := orientationOf(onlyOrientation(7)); got != 7 {
		t.Errorf("our own: %d", got)
	}
	for n := range good {
		if o := orientationOf(good[:n]); o != 1 && o != 6 {
			t.Errorf("%d bytes: %d", n, o)
		}
	}
	far := bytes.Clone(good)
	binary.LittleEndian.PutUint32(far[4:], 1<<32-1)
	if orientationOf(far) != 1 {
		t.Error("a directory beyond the end")
	}
}

// Whatever comes in: no panic, nothing grows, and what is clean stays as it is.
func FuzzClean(f *testing.F) {
	m := halves(8, 4)
	f.Add(jpegFile(f, m, 6))
	f.Add(pngFile(f, m, 6))
	f.Add(gifFile(f))
	f.Add(webpFile(8, 4, 6, true))
	f.Fuzz(func(t *testing.T, content []byte) {
		for name, format := range formats {
			var once, twice bytes.Buffer
			if _, err := format.clean(&once, bytes.NewReader(content)); err != nil {
				continue
			}
			if once.Len() > len(content)+64 {
				t.Errorf("%s: %d bytes of %d", name, once.Len(), len(content))
			}
			if _, err := format.clean(&twice, bytes.NewReader(once.Bytes())); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
				t.Errorf("%s: cleaned twice it is another: %v", name, err)
			}
		}
		name := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if part, err := webpFrame(file); err == nil {
			_, _ = webp.DecodeConfig(part)
		}
	})
}

func TestChecksumsOfChunks(t *testing.T) {
	if got, want := pngChunk("IEND", nil), "\x00\x00\x00\x00IEND\xAE\x42\x60\x82"; got != want {
		t.Errorf("%q", got)
	}
}
