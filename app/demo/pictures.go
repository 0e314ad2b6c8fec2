package demo

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

// point is a place in a picture: 0 to 1 across, and as far down as it is high.
type point struct{ x, y float64 }

// shape tells how far outside of it a point is; inside the number is negative.
type shape func(point) float64

func disc(x, y, r float64) shape {
	return func(p point) float64 { return math.Hypot(p.x-x, p.y-y) - r }
}

func ring(x, y, r, width float64) shape {
	return func(p point) float64 { return math.Abs(math.Hypot(p.x-x, p.y-y)-r) - width/2 }
}

// box has rounded corners of a radius.
func box(x0, y0, x1, y1, radius float64) shape {
	return func(p point) float64 {
		dx := math.Max(x0+radius-p.x, p.x-x1+radius)
		dy := math.Max(y0+radius-p.y, p.y-y1+radius)
		return math.Hypot(math.Max(dx, 0), math.Max(dy, 0)) + math.Min(math.Max(dx, dy), 0) - radius
	}
}

// stroke is a line with round ends.
func stroke(x0, y0, x1, y1, width float64) shape {
	return func(p point) float64 {
		dx, dy := x1-x0, y1-y0
		t := min(max(((p.x-x0)*dx+(p.y-y0)*dy)/(dx*dx+dy*dy), 0), 1)
		return math.Hypot(p.x-x0-t*dx, p.y-y0-t*dy) - width/2
	}
}

// within is where both shapes are.
func within(a, b shape) shape {
	return func(p point) float64 { return math.Max(a(p), b(p)) }
}

// layer is a shape in a colour, as 0xRRGGBB.
type layer struct {
	colour uint32
	shape  shape
}

// picture is layers on a ground; height is in widths.
type picture struct {
	width  int // pixels
	height float64
	ground uint32
	layers []layer
}

// pictures are what the people of the demo show each other.
var pictures = map[string]picture{
	"poster.png":       poster(.008),
	"poster-final.png": poster(.02),
	"door.png": {720, .75, 0xe9dfcf, append([]layer{
		{0x8a6b4a, box(.3, .07, .7, .9, .012)}, {0x6f8f86, box(.325, .095, .675, .9, 0)},
		{0x86a79d, box(.36, .14, .48, .42, .008)}, {0x86a79d, box(.52, .14, .64, .42, .008)},
		{0x5e7c74, box(.36, .5, .48, .82, .008)}, {0x5e7c74, box(.52, .5, .64, .82, .008)},
		{0xc9a24b, disc(.635, .46, .016)}, {0xc9a24b, stroke(.635, .46, .595, .46, .012)},
		{0xb9a68b, box(0, .9, 1, 1, 0)},
	}, planks()...)},
	"tea.png": {720, .75, 0x3d4a42, []layer{
		{0x56655a, box(0, .58, 1, 1, 0)},
		{0xf4efe4, within(disc(.5, .36, .25), box(.2, .36, .8, .9, 0))}, {0xf4efe4, ring(.76, .44, .07, .03)},
		{0xb9803c, within(disc(.5, .36, .225), box(.27, .36, .73, .41, 0))}, {0xe8dfcc, box(.38, .585, .62, .62, .015)},
		{0x93a398, stroke(.42, .27, .44, .2, .012)}, {0x93a398, stroke(.44, .2, .41, .12, .012)},
		{0x93a398, stroke(.54, .27, .56, .18, .012)}, {0x93a398, stroke(.56, .18, .53, .09, .012)},
	}},
	"lamp.png": {720, .9, 0x16130f, []layer{
		{0x241b12, disc(.5, .46, .42)}, {0x3d2a16, disc(.5, .46, .33)}, {0x6b4419, disc(.5, .46, .25)},
		{0x8c8378, box(.47, 0, .53, .2, .01)}, {0xa79c8e, box(.38, .18, .62, .25, .02)},
		{0xf2b84b, disc(.5, .46, .19)}, {0xffe2a0, disc(.5, .46, .12)}, {0xfff6df, disc(.5, .46, .055)},
		{0xa79c8e, ring(.5, .46, .195, .018)}, {0xa79c8e, stroke(.5, .27, .5, .65, .008)}, {0xa79c8e, stroke(.31, .46, .69, .46, .008)},
	}},
}

func planks() (out []layer) {
	for i := range 9 {
		x := float64(i+1) / 10
		out = append(out, layer{0xa8957a, stroke(x, .905, x+(x-.5)*.25, 1, .003)})
	}
	return out
}

// poster is a red circle that is a wheel, a cup and a full stop, over lines of
// type of a weight.
func poster(weight float64) picture {
	p := picture{620, 1.4, 0xfbf6ec, []layer{{0xb8361b, disc(.5, .46, .29)}}}
	for i := range 12 {
		a := float64(i) * math.Pi / 6
		p.layers = append(p.layers, layer{0xd4623f, stroke(.5, .46, .5+.25*math.Cos(a), .46+.25*math.Sin(a), .006)})
	}
	p.layers = append(p.layers, layer{0xfbf6ec, ring(.5, .46, .25, .012)}, layer{0xfbf6ec, disc(.5, .46, .045)})
	for i, length := range []float64{.62, .5, .56, .3} {
		y := .93 + float64(i)*.085
		p.layers = append(p.layers, layer{0x2a221a, stroke(.14, y, .14+length, y, weight+.012)})
	}
	p.layers = append(p.layers, layer{0xb8361b, disc(.14+.3+.05, .93+3*.085, .014)})
	return p
}

// draw writes a picture as PNG.
func draw(w io.Writer, name string) error {
	p, ok := pictures[name]
	if !ok {
		return fmt.Errorf("there is no picture %q", name)
	}
	size := float64(p.width)
	img := image.NewNRGBA(image.Rect(0, 0, p.width, int(size*p.height)))
	for y := range img.Rect.Dy() {
		for x := range p.width {
			at := point{(float64(x) + .5) / size, (float64(y) + .5) / size}
			c := rgb(p.ground)
			for _, l := range p.layers {
				cover := min(max(.5-l.shape(at)*size, 0), 1) // of the pixel
				for i, v := range rgb(l.colour) {
					c[i] += (v - c[i]) * cover
				}
			}
			img.SetNRGBA(x, y, color.NRGBA{uint8(c[0] + .5), uint8(c[1] + .5), uint8(c[2] + .5), 255})
		}
	}
	return png.Encode(w, img)
}

func rgb(c uint32) [3]float64 {
	return [3]float64{float64(c >> 16), float64(c >> 8 & 255), float64(c & 255)}
}
