package unfurl

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// noise is a picture that no encoder can make small.
func noise(w, h int, alpha bool) *image.NRGBA {
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = byte(r.Uint32())
		if i%4 == 3 && !alpha {
			m.Pix[i] = 255
		}
	}
	return m
}

func asPNG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPicturesBecomeSmallCopies(t *testing.T) {
	var jpg, moving bytes.Buffer
	if err := jpeg.Encode(&jpg, noise(1200, 630, false), nil); err != nil {
		t.Fatal(err)
	}
	frame := image.NewPaletted(image.Rect(0, 0, 100, 50), color.Palette{color.Black, color.White})
	if err := gif.EncodeAll(&moving, &gif.GIF{Image: []*image.Paletted{frame, frame}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	clear := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for name, c := range map[string]struct {
		data []byte
		kind string
		w, h int
	}{
		"photograph":        {jpg.Bytes(), "image/jpeg", 400, 210},
		"tall":              {asPNG(t, noise(300, 1200, false)), "image/jpeg", 75, 300},
		"small stays":       {asPNG(t, noise(20, 30, false)), "image/jpeg", 20, 30},
		"transparent":       {asPNG(t, clear), "image/png", 64, 64},
		"transparent noise": {asPNG(t, noise(800, 600, true)), "image/jpeg", 400, 300},
		"first of many":     {moving.Bytes(), "image/jpeg", 100, 50},
		"very wide":         {asPNG(t, noise(16000, 16, false)), "image/jpeg", 400, 1},
	} {
		p, err := draws(t.Context(), c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Type != c.kind || p.Width != c.w || p.Height != c.h || len(p.Data) > mostPicture {
			t.Errorf("%s: %s, %d by %d, %d bytes", name, p.Type, p.Width, p.Height, len(p.Data))
		}
		if size, format, err := image.DecodeConfig(bytes.NewReader(p.Data)); err != nil || "image/"+format != p.Type || size.Width != p.Width || size.Height != p.Height {
			t.Errorf("%s: it holds %s, %d by %d, %v", name, format, size.Width, size.Height, err)
		}
	}
}

// bomb is a small PNG that says it has so many pixels, the first million of
// them really there.
func bomb(w, h uint32) []byte {
	var pixels bytes.Buffer
	z := zlib.NewWriter(&pixels)
	_, _ = z.Write(make([]byte, 1<<17))
	_ = z.Close()
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(data)))
		body := append([]byte(kind), data...)
		b.Write(body)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(body))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	chunk("IHDR", append(header, 1, 0, 0, 0, 0))
	chunk("IDAT", pixels.Bytes())
	chunk("IEND", nil)
	return b.Bytes()
}

func TestPicturesThatAreNone(t *testing.T) {
	good := asPNG(t, noise(64, 64, false))
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"text":            []byte("<html>"),
		"SVG":             []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>`),
		"pixel bomb":      bomb(50000, 50000),
		"largest numbers": bomb(1<<31-1, 1<<31-1),
		"too long":        bomb(20000, 20),
		"too many pixels": bomb(4000, 4000),
		"tracking pixel":  asPNG(t, noise(1, 1, false)),
		"cut":             good[:len(good)/2],
		"head only":       good[:40],
		"BMP":             append([]byte("BM"), make([]byte, 100)...),
	} {
		if p, err := draws(t.Context(), data); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %+v, %v", name, p.Type, err)
		} else if bombs := strings.Contains(name, "size") || strings.Contains(name, "pixel") || strings.Contains(name, "long"); bombs != strings.Contains(err.Error(), "pixels") {
			t.Errorf("%s is refused for another reason: %v", name, err)
		}
	}
}

// Nothing of the original's bytes is kept: a comment in a JPEG, a chunk in a
// PNG.
func TestCopiesHoldNothingHidden(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, noise(64, 64, false), nil); err != nil {
		t.Fatal(err)
	}
	const secret = "GPS 52.5200 N 13.4050 E"
	data := append([]byte{0xFF, 0xD8, 0xFF, 0xFE, 0, byte(len(secret) + 2)}, secret...)
	data = append(data, b.Bytes()[2:]...)
	p, err := draws(t.Context(), data)
	if err != nil || bytes.Contains(p.Data, []byte("GPS")) {
		t.Errorf("%v", err)
	}
}

func TestDrawingEndsWithItsTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := draws(ctx, asPNG(t, noise(64, 64, false))); err == nil {
		t.Error("it goes on for ever")
	}
}

func TestFetchImage(t *testing.T) {
	picture := asPNG(t, noise(64, 48, false))
	f, at := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a.png":
			w.Header().Set("Content-Type", "image/png")
		case "/moved":
			http.Redirect(w, r, "/a.png", http.StatusFound)
		case "/mislabelled": // another type of those allowed: what it is counts
			w.Header().Set("Content-Type", "image/webp")
		case "/octets":
			w.Header().Set("Content-Type", "application/octet-stream")
		case "/page":
			w.Header().Set("Content-Type", "text/html")
		case "/large":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(picture)
			_, _ = w.Write(make([]byte, mostBytes))
			return
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(picture)
	})
	for _, path := range []string{"/a.png", "/moved", "/mislabelled"} {
		if p, err := f.FetchImage(t.Context(), at+path); err != nil || p.Width != 64 || p.Height != 48 {
			t.Errorf("%s: %d by %d, %v", path, p.Width, p.Height, err)
		}
	}
	for _, path := range []string{"/octets", "/page", "/large", "/missing"} {
		if _, err := f.FetchImage(t.Context(), at+path); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzPicture(f *testing.F) {
	f.Add(bomb(64, 64))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := draws(t.Context(), data); err == nil && (len(p.Data) > mostPicture || p.Width > mostWidth || p.Height > mostHeight) {
			t.Errorf("%d bytes, %d by %d", len(p.Data), p.Width, p.Height)
		}
	})
}
