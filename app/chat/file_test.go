package chat

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFileName(t *testing.T) {
	for typed, want := range map[string]string{
		"tea.txt": "tea.txt", "茶 单.pdf": "茶 单.pdf", "Cafe\u0301.txt": "Café.txt",
		`C:\Users\zoe\plan.doc`: "plan.doc", "../../etc/passwd": "passwd", "/": "file", "": "file", ".": "file", "..": "file",
		".bashrc": "bashrc", "...hidden.txt": "hidden.txt", "a\r\nSet-Cookie: x": "a Set-Cookie_ x",
		"a\u202Egpj.exe": "agpj.exe", "nul\x00byte.txt": "nulbyte.txt", "\u200B\u2060": "file", "a\u200Bb.txt": "ab.txt",
		`a<b>"c":?*|.txt`: "a_b__c_____.txt", "trailing.txt. . ": "trailing.txt", "bad\xFF.txt": "bad.txt",
		"archive.tar.gz": "archive.tar.gz", "no ending. really": "no ending. really", "\u3164.txt": "txt",
		family + ".txt": family + ".txt", "a" + strings.Repeat("\u0300", 500) + ".txt": "file.txt",
	} {
		if got := FileName(typed, "text/plain"); got != want {
			t.Errorf("FileName(%+q) = %+q, want %+q", typed, got, want)
		}
	}
}

// What a browser shows must not be saved as something that a computer runs.
func TestNameOfWhatIsShownHasItsEnding(t *testing.T) {
	for _, test := range []struct{ typed, mediaType, want string }{
		{"photo.JPG", "image/jpeg", "photo.JPG"}, {"photo.jpeg", "image/jpeg", "photo.jpeg"},
		{"page.html", "image/jpeg", "page.html.jpg"}, {"run.exe", "image/gif", "run.exe.gif"}, {"photo", "image/png", "photo.png"},
		{"voice.opus", "audio/ogg", "voice.opus"}, {"film.mov", "video/quicktime", "film.mov"}, {"film", "video/mp4", "film.mp4"},
		{"page.html", "text/html", "page.html"}, {"photo.jpg", "application/vnd.microsoft.portable-executable", "photo.jpg"},
	} {
		if got := FileName(test.typed, test.mediaType); got != test.want {
			t.Errorf("FileName(%q, %s) = %q, want %q", test.typed, test.mediaType, got, test.want)
		}
	}
}

func TestLongFileNameKeepsItsEnding(t *testing.T) {
	for _, typed := range []string{
		strings.Repeat("x", 4000) + ".pdf", strings.Repeat("茶", 4000) + ".pdf", strings.Repeat("a ", 2000) + ".pdf",
		strings.Repeat(family, 200) + ".pdf", strings.Repeat("e\u0301\u0301", 2000) + ".pdf", "x." + strings.Repeat("y", 4000),
	} {
		got := FileName(typed, "application/pdf")
		if len(got) > fileNameBytes || utf8.RuneCountInString(got) > fileNameRunes || !utf8.ValidString(got) {
			t.Errorf("%.20q: %d bytes: %q", typed, len(got), got)
		}
		if strings.HasSuffix(typed, ".pdf") != strings.HasSuffix(got, ".pdf") {
			t.Errorf("%.20q: %q", typed, got)
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	for _, test := range []struct {
		file File
		want bool
	}{
		{File{Type: "image/jpeg", Width: 1, Height: 1}, true}, {File{Type: "image/jpeg"}, false},
		{File{Type: "image/svg+xml", Width: 1, Height: 1}, false}, {File{Type: "text/html"}, false},
		{File{Type: "application/pdf"}, false}, {File{Type: "application/octet-stream", Width: 5, Height: 5}, false},
		{File{Type: "audio/mpeg"}, true}, {File{Type: "video/mp4"}, true}, {File{}, false},
	} {
		if test.file.Shown() != test.want {
			t.Errorf("%+v: %v", test.file, !test.want)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"a.txt", "..", "\u202E.x", family, strings.Repeat("茶", 300) + ".茶", "a. .b", "\u200D.\u200D", ".\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		for _, mediaType := range []string{"image/png", ""} {
			got := FileName(typed, mediaType)
			if got == "" || len(got) > fileNameBytes || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\r\n\x00\"<>:|?*") ||
				strings.HasPrefix(got, ".") || strings.HasSuffix(got, ".") || strings.TrimSpace(got) != got || !visible(got) {
				t.Errorf("FileName(%+q, %q) = %+q", typed, mediaType, got)
			}
			if again := FileName(got, mediaType); again != got {
				t.Errorf("FileName(%+q) = %+q, and again %+q", typed, got, again)
			}
		}
	})
}
