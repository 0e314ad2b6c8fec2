package app

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parlor/app/chat"
)

func isMultipart(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
}

// takesFiles tells whether the request may bring files, which are large and
// take their time.
func takesFiles(r *http.Request) bool {
	return r.Method == http.MethodPost && isMultipart(r) && strings.HasPrefix(r.URL.Path, "/rooms/") &&
		(strings.HasSuffix(r.URL.Path, "/messages") || strings.HasSuffix(r.URL.Path, "/files"))
}

// mostParts bounds a form beside its bytes, which bodyLimit bounds.
const mostParts = 200

// readMultipart reads a form part by part into r.PostForm (RFC 7578), at most so
// many bytes of text, and calls take for each file in it; with nil, files are
// passed over. Nothing is kept of a file. If take refuses one, the rest is read
// nevertheless, and the first refusal is returned.
func readMultipart(r *http.Request, mostText int64, take func(name string, content io.Reader) error) error {
	if r.PostForm != nil {
		return nil // was read before
	}
	r.PostForm = make(url.Values)
	form, err := r.MultipartReader()
	if err != nil {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	var refused error
	left := mostText
	for parts := 0; ; parts++ {
		part, err := form.NextPart()
		if err != nil {
			if err != io.EOF && refused == nil {
				refused = broken(err)
			}
			return refused
		}
		if parts == mostParts {
			return chat.Refuse(chat.Malformed, chat.FormMalformed)
		}
		if name := part.FileName(); name != "" {
			if take != nil && refused == nil {
				// So browsers write a quotation mark (WHATWG HTML, 4.10.21.8).
				refused = take(strings.ReplaceAll(name, "%22", `"`), part)
			}
			var refusal *chat.Error
			if refused != nil && !errors.As(refused, &refusal) { // an error of ours
				return refused
			}
			continue // what is left of the part is passed over
		}
		text, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return broken(err)
		}
		if left -= int64(len(text)); left < 0 {
			return chat.Refuse(chat.TooLarge, chat.RequestTooBig)
		}
		r.PostForm.Add(part.FormName(), string(text))
	}
}

// broken is the refusal of a form that can't be read to its end.
func broken(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return chat.Refuse(chat.Malformed, chat.FormMalformed)
}

// pause is how long a transfer of a file may take for the next so many bytes:
// at that pace, or faster, it may take as long as it takes.
const (
	pause    = 30 * time.Second
	perPause = 64 << 10
)

// patiently has the request's body read for as long as it goes on coming.
func patiently(w http.ResponseWriter, r *http.Request) *http.Request {
	r.Body = &patientBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
	return r
}

type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	left    int // bytes until more time is given
}

func (b *patientBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Where the connection knows no deadlines there is none to move.
		_ = b.control.SetReadDeadline(time.Now().Add(pause))
		_ = b.control.SetWriteDeadline(time.Now().Add(pause + answerWithin))
		b.left = perPause
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}

// patientWriter writes for as long as somebody goes on reading.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	left    int
}

func (w *patientWriter) Write(p []byte) (int, error) {
	if w.left <= 0 {
		_ = w.control.SetWriteDeadline(time.Now().Add(pause))
		w.left = perPause
	}
	n, err := w.ResponseWriter.Write(p)
	w.left -= n
	return n, err
}
