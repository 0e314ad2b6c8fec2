package files

import (
	"bufio"
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
	"time"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

// What a picture may cost. One that would cost more is kept, and is no picture.
const (
	mostPixels  = 40_000_000
	mostSide    = 1<<16 - 1
	mostDecoded = 256 << 20        // bytes that its pixels take while it is decoded
	decodeFor   = 10 * time.Second // until what it is made of has been read
)

// ThumbWidth and ThumbHeight bound a small picture, in pixels. That is twice
// what a page should show it in, for screens with small pixels.
const (
	ThumbWidth  = 720
	ThumbHeight = 540
)

// format is a kind of picture that can be shown.
type format struct {
	clean  func(w io.Writer, from io.ReadSeeker) (orientation int, err error) // see metadata.go
	config func(io.Reader) (image.Config, error)
	part   func(*os.File) (io.Reader, error) // what decode is given
	decode func(io.Reader) (image.Image, error)
}

// formats are all of them, by media type. Nothing else is ever decoded.
var formats = map[string]format{
	"image/jpeg": {cleanJPEG, jpeg.DecodeConfig, whole, jpeg.Decode},
	"image/png":  {cleanPNG, png.DecodeConfig, whole, png.Decode},
	"image/gif":  {cleanGIF, gif.DecodeConfig, whole, gif.Decode},
	"image/webp": {cleanWebP, webp.DecodeConfig, webpFrame, webp.Decode},
}

var errTooCostly = errors.New("costs too much to decode")

// picture takes the metadata off what came in as a picture and makes a small
// one of it. What turns out not to be one, or to be too costly, is kept
// without being shown. The error is of the machine, or the context's.
func (a *Arrival) picture(ctx context.Context, f format) error {
	clean, err := a.depot.temporary()
	if err != nil {
		return err
	}
	if _, err := a.content.Seek(0, io.SeekStart); err != nil {
		discard(clean)
		return err
	}
	buffered := bufio.NewWriterSize(clean, 64<<10)
	orientation, err := f.clean(buffered, a.content)
	if err == nil {
		err = buffered.Flush()
	}
	if errors.Is(err, errNoPicture) {
		discard(clean)
		a.Type = unknownType
		return nil
	} else if err != nil {
		discard(clean)
		return err
	}
	discard(a.content)
	a.content = clean

	select {
	case a.depot.decoding <- struct{}{}:
		defer func() { <-a.depot.decoding }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := a.look(ctx, f, orientation); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		discard(a.thumb)
		a.thumb, a.Type = nil, unknownType
		a.Width, a.Height, a.ThumbWidth, a.ThumbHeight = 0, 0, 0, 0
	}
	return nil
}

// unknownType is the media type of what is not to be shown (RFC 2046, 4.5.1).
const unknownType = "application/octet-stream"

// look decodes the picture and makes the small one. A decoder that can't cope
// with what somebody sent fails with this picture alone.
func (a *Arrival) look(ctx context.Context, f format, orientation int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decode: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, decodeFor)
	defer cancel()
	size, err := a.size(f)
	if err != nil {
		return err
	}
	from, err := f.part(a.content)
	if err != nil {
		return err
	}
	full, err := f.decode(bufio.NewReader(untilDone{ctx, from}))
	if err != nil {
		return err
	}
	small := shrink(full, size, orientation)
	a.Width, a.Height = size.X, size.Y
	if orientation >= 5 {
		a.Width, a.Height = size.Y, size.X
	}
	a.ThumbWidth, a.ThumbHeight = small.Rect.Dx(), small.Rect.Dy()
	if a.thumb, err = a.depot.temporary(); err != nil {
		return err
	}
	w := bufio.NewWriter(a.thumb)
	if small.Opaque() {
		err = jpeg.Encode(w, small, &jpeg.Options{Quality: 82})
	} else {
		err = png.Encode(w, small)
	}
	return errors.Join(err, w.Flush())
}

// size is how large the picture is, which its head says, unless decoding it
// would cost too much. The part of it that is decoded has a head of its own,
// and can't be larger.
func (a *Arrival) size(f format) (image.Point, error) {
	size, err := a.sizeOf(f, whole)
	if err != nil {
		return image.Point{}, err
	}
	part, err := a.sizeOf(f, f.part)
	if err != nil {
		return image.Point{}, err
	}
	if part.X > size.X || part.Y > size.Y {
		return image.Point{}, errTooCostly
	}
	return size, nil
}

func (a *Arrival) sizeOf(f format, part func(*os.File) (io.Reader, error)) (image.Point, error) {
	from, err := part(a.content)
	if err != nil {
		return image.Point{}, err
	}
	head, err := f.config(bufio.NewReader(from))
	if err != nil {
		return image.Point{}, err
	}
	if head.Width < 1 || head.Height < 1 || head.Width > mostSide || head.Height > mostSide {
		return image.Point{}, errTooCostly
	}
	perPixel := 4
	switch {
	case head.ColorModel == color.RGBA64Model || head.ColorModel == color.NRGBA64Model:
		perPixel = 8
	case a.Type == "image/jpeg":
		progressive, err := isProgressive(a.content)
		if err != nil {
			return image.Point{}, err
		}
		if progressive { // its coefficients are gathered first, four bytes each
			perPixel = 16
		}
	}
	pixels := head.Width * head.Height
	if pixels > mostPixels || pixels*perPixel > mostDecoded {
		return image.Point{}, errTooCostly
	}
	return image.Pt(head.Width, head.Height), nil
}

// isProgressive tells whether a JPEG file's frame is coded progressively
// (ITU T.81, B.2.2).
func isProgressive(from io.ReadSeeker) (bool, error) {
	if _, err := from.Seek(2, io.SeekStart); err != nil {
		return false, err
	}
	r := bufio.NewReader(from)
	for {
		marker, err := nextMarker(r, io.Discard)
		if err != nil {
			return false, err
		}
		switch marker {
		case 0xC2:
			return true, nil
		case 0xC0, 0xC1, 0xDA:
			return false, nil
		}
		var size [2]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return false, err
		}
		if _, err := r.Discard(max(0, int(binary.BigEndian.Uint16(size[:]))-2)); err != nil {
			return false, err
		}
	}
}

// whole is what there is to decode of most files.
func whole(from *os.File) (io.Reader, error) {
	_, err := from.Seek(0, io.SeekStart)
	return from, err
}

// shrink makes a picture of at most ThumbWidth by ThumbHeight of one that is
// size large, upright. A small one keeps its size.
func shrink(full image.Image, size image.Point, orientation int) *image.RGBA {
	boxWidth, boxHeight := ThumbWidth, ThumbHeight
	if orientation >= 5 {
		boxWidth, boxHeight = boxHeight, boxWidth
	}
	width, height := fit(size.X, size.Y, boxWidth, boxHeight)
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	// The first frame of an animation may be only a part of it.
	part := full.Bounds()
	at := image.Rect(part.Min.X*width/size.X, part.Min.Y*height/size.Y,
		(part.Max.X*width+size.X-1)/size.X, (part.Max.Y*height+size.Y-1)/size.Y)
	draw.BiLinear.Scale(small, at, full, part, draw.Src, nil)
	return upright(small, orientation)
}

// fit is the size of a picture that has to fit into a box. It is never made
// larger, and has at least one pixel.
func fit(width, height, boxWidth, boxHeight int) (int, int) {
	if width <= boxWidth && height <= boxHeight {
		return width, height
	}
	if width*boxHeight > height*boxWidth {
		return boxWidth, max(1, height*boxWidth/width)
	}
	return max(1, width*boxHeight/height), boxHeight
}

// upright turns a picture as Exif's orientation says (Exif 2.32, 4.6.4.A).
func upright(from *image.RGBA, orientation int) *image.RGBA {
	if orientation <= 1 {
		return from
	}
	width, height := from.Rect.Dx(), from.Rect.Dy()
	to := image.NewRGBA(image.Rect(0, 0, width, height))
	if orientation >= 5 {
		to = image.NewRGBA(image.Rect(0, 0, height, width))
	}
	for y := range height {
		for x := range width {
			var at image.Point // where the pixel belongs
			switch orientation {
			case 2:
				at = image.Pt(width-1-x, y)
			case 3:
				at = image.Pt(width-1-x, height-1-y)
			case 4:
				at = image.Pt(x, height-1-y)
			case 5:
				at = image.Pt(y, x)
			case 6:
				at = image.Pt(height-1-y, x)
			case 7:
				at = image.Pt(height-1-y, width-1-x)
			case 8:
				at = image.Pt(y, width-1-x)
			}
			to.SetRGBA(at.X, at.Y, from.RGBAAt(x, y))
		}
	}
	return to
}
