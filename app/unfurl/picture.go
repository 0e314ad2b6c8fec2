package unfurl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // pictures may be of these types and no others
	"image/jpeg"
	"image/png"
	"io"
	"mime"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

// pictureTypes are the media types that a picture may come as. What it is
// decides its content, not this.
var pictureTypes = map[string]bool{
	"image/jpeg": true, "image/png": true, "image/gif": true, "image/webp": true,
}

const (
	mostPixels  = 12_500_000 // a photograph of 12 megapixels
	mostSide    = 16_384     // pixels
	leastSide   = 16         // pixels: smaller ones count visits, or are icons
	mostWidth   = 400        // of the copy
	mostHeight  = 300
	mostPicture = 100 << 10 // bytes of the copy
)

// Picture is a small copy of a picture, drawn anew: nothing of the original's
// bytes or metadata is in it.
type Picture struct {
	Type          string // image/jpeg or image/png
	Data          []byte // at most 100 KB
	Width, Height int    // at most 400 by 300
}

// FetchImage fetches a picture and makes a small copy of it. An error wraps
// ErrRefused, ErrNothing, or what the network said.
func (f *Fetcher) FetchImage(ctx context.Context, address string) (Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, mostTime)
	defer cancel()
	target, err := f.Target(address)
	if err != nil {
		return Picture{}, err
	}
	p, err := func() (Picture, error) {
		res, err := f.get(ctx, target, "image/webp, image/jpeg, image/png, image/gif")
		if err != nil {
			return Picture{}, err
		}
		defer res.Body.Close()
		if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); !pictureTypes[kind] {
			return Picture{}, fmt.Errorf("%w: its type is %.80q", ErrNothing, kind)
		}
		data, err := io.ReadAll(io.LimitReader(res.Body, mostBytes+1))
		if err != nil {
			return Picture{}, err
		}
		if len(data) > mostBytes {
			return Picture{}, fmt.Errorf("%w: it has more than %d bytes", ErrNothing, mostBytes)
		}
		select {
		case f.drawing <- struct{}{}:
			defer func() { <-f.drawing }()
		case <-ctx.Done():
			return Picture{}, ctx.Err()
		}
		return draws(ctx, data)
	}()
	if err != nil {
		return Picture{}, fmt.Errorf("fetch a picture from %s: %w", target.Host, err)
	}
	return p, nil
}

// draws makes the small copy of a picture. How large it would be is known
// before it is unpacked, and what takes too long, such as a JPEG of a thousand
// scans, ends with ctx. A decoder that fails at what somebody made for it fails
// with this picture alone.
func draws(ctx context.Context, data []byte) (p Picture, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: decode: %v", ErrNothing, r)
		}
	}()
	size, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNothing, err)
	}
	if size.Width < leastSide || size.Height < leastSide || size.Width > mostSide || size.Height > mostSide || size.Width*size.Height > mostPixels {
		return Picture{}, fmt.Errorf("%w: it has %d by %d pixels", ErrNothing, size.Width, size.Height)
	}
	original, _, err := image.Decode(untilDone{ctx, bytes.NewReader(data)})
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrNothing, err)
	}
	w, h := fit(size.Width, size.Height)
	small := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Rect, original, original.Bounds(), draw.Src, nil)
	return encode(small)
}

// untilDone is a reader that fails when its context is done.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p[:min(len(p), 4<<10)])
}

// fit is the size at which a picture fits into a card; small ones stay.
func fit(width, height int) (w, h int) {
	w, h = width, height
	if w > mostWidth {
		w, h = mostWidth, h*mostWidth/w
	}
	if h > mostHeight {
		w, h = w*mostHeight/h, mostHeight
	}
	return max(w, 1), max(h, 1)
}

// encode writes a copy as JPEG, or as PNG where one sees through it and that
// is small enough.
func encode(small *image.NRGBA) (Picture, error) {
	p := Picture{Width: small.Rect.Dx(), Height: small.Rect.Dy()}
	var b bytes.Buffer
	if !small.Opaque() {
		if err := png.Encode(&b, small); err != nil {
			return Picture{}, fmt.Errorf("write a copy: %w", err)
		}
		if b.Len() <= mostPicture {
			p.Type, p.Data = "image/png", b.Bytes()
			return p, nil
		}
	}
	opaque := image.NewRGBA(small.Rect)
	draw.Draw(opaque, opaque.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(opaque, opaque.Rect, small, image.Point{}, draw.Over)
	for _, quality := range []int{80, 60, 40, 20} {
		b.Reset()
		if err := jpeg.Encode(&b, opaque, &jpeg.Options{Quality: quality}); err != nil {
			return Picture{}, fmt.Errorf("write a copy: %w", err)
		}
		if b.Len() <= mostPicture {
			p.Type, p.Data = "image/jpeg", bytes.Clone(b.Bytes())
			return p, nil
		}
	}
	return Picture{}, errors.New("write a copy: it stays too large")
}
