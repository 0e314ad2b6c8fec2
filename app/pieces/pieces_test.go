package pieces_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"parlor/app/pieces"
)

// pages are pages with their texts, and what must come out.
var pages = []struct {
	page  string
	texts []string
	want  string
}{
	{"", nil, ""},
	{"all the same for everybody", nil, "all the same for everybody"},
	{pieces.Mark(0), []string{"Ann"}, "Ann"},
	{"<b>" + pieces.Mark(1) + "</b>" + pieces.Mark(0) + pieces.Mark(1) + "<i>", []string{"7", "&lt;阿兰&#34; 🦊"}, "<b>&lt;阿兰&#34; 🦊</b>7&lt;阿兰&#34; 🦊<i>"},
	{"a" + pieces.Mark(7) + "b" + pieces.Mark(0), []string{"", "", "", "", "", "", "", strings.Repeat("long ", 40_000)}, "a" + strings.Repeat("long ", 40_000) + "b"},
	{strings.Repeat("much to compress, ", 20_000) + pieces.Mark(2) + noise(100_000), []string{"", "", "x"}, strings.Repeat("much to compress, ", 20_000) + "x" + noise(100_000)},
}

// noise is text that can't be compressed much; the same each time.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		b.WriteByte(byte(' ' + r.IntN(90)))
	}
	return b.String()
}

func TestPlainAndCompressedHoldTheSame(t *testing.T) {
	for i, page := range pages {
		p := pieces.Cut(page.page)
		if got := string(p.AppendPlain(nil, page.texts)); got != page.want {
			t.Errorf("page %d, plain: %.80q, want %.80q", i, got, page.want)
		}
		file := p.AppendGzip([]byte("before"), page.texts)[len("before"):]
		z, err := gzip.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z) // checks length and sum
		if err != nil || string(got) != page.want {
			t.Errorf("page %d, unpacked by Go: %.80q, %v", i, got, err)
		}
		if _, err := exec.LookPath("gzip"); err != nil {
			continue
		}
		unzip := exec.Command("gzip", "-d", "-c")
		unzip.Stdin = bytes.NewReader(file)
		if got, err = unzip.Output(); err != nil || string(got) != page.want {
			t.Errorf("page %d, unpacked by gzip: %.80q, %v", i, got, err)
		}
	}
}
