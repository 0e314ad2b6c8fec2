package chat

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// IsPicture tells whether a page shows the file as a picture.
func (f File) IsPicture() bool { return f.Width > 0 && f.Height > 0 && pictures[f.Type] != nil }

// IsAudio tells whether a page plays the file as sound.
func (f File) IsAudio() bool { return audio[f.Type] != nil }

// IsVideo tells whether a page plays the file as a film.
func (f File) IsVideo() bool { return video[f.Type] != nil }

// Shown tells whether a browser may show the file itself. Everything else is
// for downloading only, whatever it is called: pages with script in them, SVG.
func (f File) Shown() bool { return f.IsPicture() || f.IsAudio() || f.IsVideo() }

// What is shown, by type as sniffed, with the endings that such a file may
// have; the first is the usual one.
var (
	pictures = map[string][]string{
		"image/jpeg": {".jpg", ".jpeg", ".jpe", ".jfif"},
		"image/png":  {".png", ".apng"},
		"image/gif":  {".gif"},
		"image/webp": {".webp"},
	}
	audio = map[string][]string{
		"audio/mpeg": {".mp3", ".mpga"},
		"audio/ogg":  {".ogg", ".oga", ".opus"},
		"audio/wav":  {".wav", ".wave"},
		"audio/flac": {".flac"},
		"audio/mp4":  {".m4a", ".mp4"}, "audio/x-m4a": {".m4a", ".mp4"},
		"audio/aac":  {".aac"},
		"audio/webm": {".webm", ".weba"},
	}
	video = map[string][]string{
		"video/mp4": {".mp4", ".m4v"}, "video/x-m4v": {".m4v", ".mp4"},
		"video/webm":      {".webm", ".weba"},
		"video/ogg":       {".ogv", ".ogg"},
		"video/quicktime": {".mov", ".qt"},
	}
)

// Longest name of a file. Most file systems take 255 bytes.
const (
	fileNameRunes = 120
	fileNameBytes = 220
)

// FileName makes a name to save a file under of what its sender's machine calls
// it: one line without folders, without what can't be seen or is special to some
// file system, not hidden, and of a length that every file system takes. What
// is long keeps its ending; what is shown keeps one of its type, so that it
// opens as nothing else. It is never empty.
func FileName(typed, mediaType string) string {
	name := strings.ToValidUTF8(typed, "")
	if i := strings.LastIndexAny(name, `/\`); i >= 0 { // some browsers send the folder, too
		name = name[i+1:]
	}
	name = norm.NFC.String(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case hidden(r) && r != '\u200D', !unicode.IsPrint(r) && !unicode.IsMark(r) && r != '\u200D', r == '\uFFFD':
			return -1
		case strings.ContainsRune(`<>:"|?*`, r):
			return '_'
		}
		return r
	}, name))
	name = strings.Trim(strings.Join(strings.Fields(name), " "), ". \u200D")
	ending := path.Ext(name)
	if len(ending) > 16 || ending == name || strings.Contains(ending, " ") {
		ending = ""
	}
	name = strings.TrimRight(strings.TrimSuffix(name, ending), ". ")
	if !visible(name) {
		name = "file"
	}
	for _, kinds := range []map[string][]string{pictures, audio, video} {
		if endings := kinds[mediaType]; endings != nil && !slices.Contains(endings, strings.ToLower(ending)) {
			name, ending = name+ending, endings[0]
		}
	}
	name = clip(name, fileNameRunes-utf8.RuneCountInString(ending))
	for len(name)+len(ending) > fileNameBytes {
		_, size := utf8.DecodeLastRuneInString(name)
		name = strings.TrimRight(name[:len(name)-size], " .\u200D")
	}
	return cmp.Or(name, "file") + ending // one character may have been too long
}

// Fit is how large the picture is in a box, in pixels: as large as it is, or as
// fits.
func (f File) Fit(boxWidth, boxHeight int) (width, height int) {
	if f.Width <= boxWidth && f.Height <= boxHeight {
		return f.Width, f.Height
	}
	if f.Width*boxHeight > f.Height*boxWidth {
		return boxWidth, max(1, f.Height*boxWidth/f.Width)
	}
	return max(1, f.Width*boxHeight/f.Height), boxHeight
}
