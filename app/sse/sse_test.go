package sse_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/starfederation/datastar-go/datastar"

	"parlor/app/sse"
)

func TestElementsAreOneEvent(t *testing.T) {
	got := string(sse.Elements("#log", datastar.ElementPatchModeAppend, "<p>a\nb</p>"))
	want := "event: datastar-patch-elements\ndata: selector #log\ndata: mode append\ndata: elements <p>a\ndata: elements b</p>\n\n"
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestIDComesBehindWhatItVouchesFor(t *testing.T) {
	got := string(sse.Signals(map[string]string{"cursor": "e.7"}, "e.7"))
	want := "event: datastar-patch-signals\ndata: signals {\"cursor\":\"e.7\"}\nid: e.7\n\n"
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestRetryIsInMilliseconds(t *testing.T) {
	if got := string(sse.Retry(1500 * time.Millisecond)); got != "retry: 1500\n\n" {
		t.Fatalf("got %q", got)
	}
}

// FuzzNothingBreaksOutOfAnEvent: whatever the text, there is one event with
// data lines only, read as a browser reads it: a line ends at \r, too.
func FuzzNothingBreaksOutOfAnEvent(f *testing.F) {
	f.Add("#log", "hello")
	f.Add("#log", "\r\revent: datastar-patch-signals\rdata: signals {a:alert(1)}\r\r")
	f.Add("\r\n\r\n", "a\r\nb\n\nc\n")
	f.Fuzz(func(t *testing.T, selector, html string) {
		selector = strings.ReplaceAll(selector, "\n", " ") // selectors are ours
		for _, event := range [][]byte{
			sse.Elements(selector, datastar.ElementPatchModeInner, html),
			sse.Signals(map[string]string{"text": html}, strings.ReplaceAll(html, "\n", "")),
		} {
			if bytes.ContainsRune(event, '\r') {
				t.Fatalf("carriage return in %q", event)
			}
			body, ok := bytes.CutSuffix(event, []byte("\n\n"))
			if !ok || bytes.Contains(body, []byte("\n\n")) {
				t.Fatalf("not one event: %q", event)
			}
			for i, line := range bytes.Split(body, []byte("\n")) {
				if i == 0 != bytes.HasPrefix(line, []byte("event: ")) || i > 0 && !bytes.HasPrefix(line, []byte("data: ")) && !bytes.HasPrefix(line, []byte("id: ")) {
					t.Fatalf("line %d of %q", i, event)
				}
			}
		}
	})
}
