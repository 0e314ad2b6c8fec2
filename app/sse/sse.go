// Package sse writes Datastar events in the form of server-sent events
// (WHATWG HTML, section 9.2). It is the only place where bytes of the page
// become bytes of a stream.
//
// Its invariant: no carriage return ever leaves it. The browser's parser ends
// a line on a bare \r, so one inside a message would let its author end the
// event and begin another, with script of their own, in other people's pages.
package sse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/starfederation/datastar-go/datastar"
)

// Elements is an event that patches HTML into the page.
//
// The mode is one of Datastar's: outer, inner, append and so on. An empty
// selector lets outer find its targets by their ids.
func Elements(selector string, mode datastar.ElementPatchMode, html string) []byte {
	b := make([]byte, 0, len(html)+len(selector)+96)
	b = append(b, "event: "...)
	b = append(b, datastar.EventTypePatchElements...)
	b = append(b, '\n')
	if selector != "" {
		b = appendData(b, datastar.SelectorDatalineLiteral, selector)
	}
	if mode != datastar.ElementPatchModeOuter {
		b = appendData(b, datastar.ModeDatalineLiteral, string(mode))
	}
	if html != "" {
		b = appendData(b, datastar.ElementsDatalineLiteral, html)
	}
	return append(b, '\n')
}

// Signals is an event that patches signals. With an id the browser remembers
// it and sends it as Last-Event-ID when it reconnects. The id stands behind
// the data and the event behind everything it vouches for, since the client
// takes an id as soon as it has read its line.
func Signals(signals any, id string) []byte {
	js, err := json.Marshal(signals)
	if err != nil {
		panic(fmt.Sprintf("sse: signals can't be written as JSON: %v", err)) // a mistake in our own types
	}
	b := make([]byte, 0, len(js)+96)
	b = append(b, "event: "...)
	b = append(b, datastar.EventTypePatchSignals...)
	b = append(b, '\n')
	b = appendData(b, datastar.SignalsDatalineLiteral, string(js))
	if id != "" {
		b = appendLine(append(b, "id: "...), []byte(id))
	}
	return append(b, '\n')
}

// Retry tells the browser how long to wait before it reconnects.
func Retry(after time.Duration) []byte {
	return []byte("retry: " + strconv.FormatInt(after.Milliseconds(), 10) + "\n\n")
}

// appendData writes one "data:" line per line of the value, each with the
// name in front, as Datastar wants it (the literals end with a space).
func appendData(b []byte, name, value string) []byte {
	for line := range bytes.Lines([]byte(value)) {
		b = append(b, "data: "...)
		b = append(b, name...)
		b = appendLine(b, bytes.TrimSuffix(line, []byte("\n")))
	}
	return b
}

// appendLine appends one line without its carriage returns.
func appendLine(b, line []byte) []byte {
	for _, c := range line {
		if c != '\r' {
			b = append(b, c)
		}
	}
	return append(b, '\n')
}
