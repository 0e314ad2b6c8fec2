package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"parlor/app/chat"
	"parlor/app/files"
	"parlor/db"
	"parlor/views"
)

// takeFile keeps what somebody sends to a room under a name, until it is sent
// with a message. Refusals are about the field "upload".
func (s *Server) takeFile(ctx context.Context, room chat.Room, me chat.Person, name string, content io.Reader) (chat.File, error) {
	from := &noting{Reader: content}
	file, err := s.keepFile(ctx, room, me, name, from)
	var refusal *chat.Error
	var tooBig *http.MaxBytesError
	switch {
	case err == nil:
		s.metrics.FileReceived(file.Size)
		return file, nil
	case errors.Is(err, files.ErrTooLarge):
		refusal = chat.Refuse(chat.TooLarge, chat.FileTooLarge, max(1, s.cfg.FileBytes>>20))
	case errors.Is(err, files.ErrEmpty):
		refusal = chat.Refuse(chat.Invalid, chat.FileEmpty)
	case from.err != nil && !errors.As(err, &tooBig):
		refusal = chat.Refuse(chat.Malformed, chat.FileCut)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		s.log.Error("the folder of files is full", "folder", s.cfg.Files, "err", err)
		refusal = chat.Refuse(chat.TooLarge, chat.FilesFull)
	case !errors.As(err, &refusal):
		return file, err
	}
	refusal.Field = "upload"
	return file, refusal
}

// noting remembers that reading failed, so that this is told from the rest.
type noting struct {
	io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return read, err
}

func (s *Server) keepFile(ctx context.Context, room chat.Room, me chat.Person, name string, content io.Reader) (file chat.File, err error) {
	depot := s.files.depot.Load()
	if depot == nil || !s.files.ready.Load() {
		return file, chat.Refuse(chat.Unavailable, chat.FilesAway)
	}
	if !s.limits.mayAttach(me.ID, s.now()) {
		return file, chat.Refuse(chat.TooMany, chat.TooFast)
	}
	end, err := s.files.begin(me.ID)
	if err != nil {
		return file, err
	}
	defer end()
	if err := s.store.MayAddFile(ctx, me.ID, 1, s.cfg.Limits); err != nil {
		return file, err
	}
	a, err := depot.Receive(ctx, content, s.cfg.FileBytes)
	if err != nil {
		return file, err
	}
	defer a.Discard()
	file = chat.File{Digest: a.Digest, Name: chat.FileName(name, a.Type), Type: a.Type, Size: a.Size, Width: a.Width, Height: a.Height}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if file.ID, err = s.store.AddFile(ctx, room.ID, me.ID, file, s.cfg.Limits); err != nil {
		return file, err
	}
	if err := a.Keep(); err != nil {
		// What stays if this fails, too, is swept after a day.
		err = errors.Join(err, s.store.DropFile(context.WithoutCancel(ctx), file.ID))
		s.files.clear()
		return file, err
	}
	return file, s.store.KeepFile(ctx, file.ID)
}

// postFile takes one file, for a message that is still being written.
func (s *Server) postFile(w http.ResponseWriter, r *http.Request) error {
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	if !isMultipart(r) {
		return chat.Refuse(chat.Malformed, chat.FormMalformed)
	}
	var taken []chat.File
	err = readMultipart(patiently(w, r), s.mostForm(), func(name string, content io.Reader) error {
		if len(taken) > 0 {
			return chat.Refuse(chat.Malformed, chat.FormMalformed)
		}
		file, err := s.takeFile(r.Context(), room, me, name, content)
		if err == nil {
			taken = append(taken, file)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(taken) == 0 {
		return &chat.Error{Kind: chat.Invalid, Field: "upload", Reason: chat.FileEmpty}
	}
	f := taken[0]
	answer := map[string]any{
		"id": f.ID, "name": f.Name, "size": f.Size, "type": f.Type, "width": f.Width, "height": f.Height,
		"url": views.FileURL(room, f),
	}
	if f.IsPicture() {
		answer["thumb"] = views.ThumbURL(room, f)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	return ignoreWrite(json.NewEncoder(w).Encode(answer))
}

// readMessageForm reads a posted message. Its files, if it brings any along,
// are kept at once and join those in the field "file" that came before it. A
// refusal of a file comes back when all else was read, so that nothing of what
// was written is lost.
func (s *Server) readMessageForm(w http.ResponseWriter, r *http.Request) error {
	if !isMultipart(r) {
		return parseForm(r)
	}
	room, roomErr := s.roomOf(r)
	me, meErr := needMe(r)
	if err := cmp.Or(roomErr, meErr); err != nil {
		return err
	}
	var kept []string
	count := 0
	err := readMultipart(patiently(w, r), s.mostForm(), func(name string, content io.Reader) error {
		if count++; count > s.cfg.FilesPerMessage {
			return &chat.Error{Kind: chat.Invalid, Field: "upload", Reason: chat.FilesTooMany, Args: []any{s.cfg.FilesPerMessage}}
		}
		file, err := s.takeFile(r.Context(), room, me, name, content)
		if err == nil {
			kept = append(kept, strconv.FormatInt(file.ID, 10))
		}
		return err
	})
	if r.PostForm != nil {
		r.PostForm["file"] = append(r.PostForm["file"], kept...)
	}
	return err
}

// filesOf are the files that a posted message takes along.
func (s *Server) filesOf(r *http.Request, room chat.Room, me chat.Person, nonce string) (ids []int64, files []chat.File, err error) {
	if ids = fileIDs(r.PostForm); len(ids) == 0 {
		return nil, nil, nil
	}
	if len(ids) > s.cfg.FilesPerMessage {
		return nil, nil, chat.Refuse(chat.Invalid, chat.FilesTooMany, s.cfg.FilesPerMessage)
	}
	files, err = s.store.WaitingFiles(r.Context(), room.ID, me.ID, nonce, ids)
	if err == nil && len(files) < len(ids) {
		err = chat.Refuse(chat.Conflict, chat.FileGone)
	}
	return ids, files, err
}

// fileIDs are the ids in a form's field "file"; 0 for what can't be one.
func fileIDs(form url.Values) (ids []int64) {
	for _, text := range form["file"] {
		id, _ := strconv.ParseInt(text, 10, 64)
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// waitingFiles are those files of a form that are still to be sent, for a page
// that shows the form again.
func (s *Server) waitingFiles(r *http.Request, room chat.Room, me chat.Person) ([]chat.File, error) {
	ids := fileIDs(r.PostForm)
	if len(ids) == 0 {
		return nil, nil
	}
	return s.store.WaitingFiles(r.Context(), room.ID, me.ID, "", ids[:min(len(ids), s.cfg.FilesPerMessage)])
}

// postFileDelete removes a file that was not sent yet. Without script the
// message that is being written comes along, and stays.
func (s *Server) postFileDelete(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	room, err := s.roomOf(r)
	if err != nil {
		return err
	}
	me, err := needMe(r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return chat.Refuse(chat.NotFound, chat.NoSuchFile)
	}
	if err := s.store.RemoveFile(r.Context(), room.ID, me.ID, id); err != nil {
		return err
	}
	s.files.clear()
	if wantsJSON(r) || isDatastar(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.showComposer(w, r, http.StatusOK, room, me, views.Field{Value: r.PostForm.Get("body")})
}

// showComposer shows the room with a message that is still being written: its
// text and its files.
func (s *Server) showComposer(w http.ResponseWriter, r *http.Request, code int, room chat.Room, me chat.Person, body views.Field) error {
	h, err := s.historyAt(r, room, db.Place{})
	if err != nil {
		return err
	}
	waiting, err := s.waitingFiles(r, room, me)
	if err != nil {
		return err
	}
	return s.showRoom(w, r, code, h, 0, body, waiting...)
}

// fileOf finds the file in the path, if who asks may have it: of a message,
// whoever may read the room; one that was not sent yet, its owner.
func (s *Server) fileOf(r *http.Request) (chat.Room, chat.File, error) {
	room, err := s.roomOf(r)
	if err != nil {
		return room, chat.File{}, err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return room, chat.File{}, chat.Refuse(chat.NotFound, chat.NoSuchFile)
	}
	f, err := s.store.File(r.Context(), room.ID, id)
	if err != nil {
		return room, chat.File{}, err
	}
	if me := me(r); f.Seq == 0 && (me == nil || me.ID != f.OwnerID) {
		return room, chat.File{}, chat.Refuse(chat.NotFound, chat.NoSuchFile)
	}
	return room, f.File, nil
}

// getFile sends a file, or the part of it that is asked for. A browser shows it
// only if it is of a kind that can do no harm, and even then gives it no rights.
func (s *Server) getFile(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.fileOf(r)
	if err != nil {
		return err
	}
	contentType, disposition := "application/octet-stream", "attachment"
	if f.Shown() {
		contentType, disposition = f.Type, "inline"
	}
	// RFC 6266; names that are not ASCII are written by RFC 8187.
	disposition = cmp.Or(mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}), "attachment")
	w.Header().Set("Content-Disposition", disposition)
	return s.serveFile(w, r, f, (*files.Depot).Content, contentType)
}

// getThumb sends the small picture of a file.
func (s *Server) getThumb(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.fileOf(r)
	if err != nil {
		return err
	}
	if !f.IsPicture() {
		return chat.Refuse(chat.NotFound, chat.NoSuchFile)
	}
	return s.serveFile(w, r, f, (*files.Depot).Thumb, "") // told by its first bytes, which are ours
}

// filePolicy is for whoever opens a file by itself: it runs nothing and belongs
// to no origin. It loads nothing but itself, which the page that a browser makes
// around a picture or film does, in a style of its own.
const filePolicy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, f chat.File, open func(*files.Depot, string) (*os.File, error), contentType string) error {
	depot := s.files.depot.Load()
	if depot == nil {
		return chat.Refuse(chat.Unavailable, chat.FilesAway)
	}
	content, err := open(depot, f.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("a file is missing from the folder of files", "id", f.ID, "digest", f.Digest)
		return chat.Refuse(chat.NotFound, chat.NoSuchFile)
	} else if err != nil {
		return err
	}
	defer content.Close()
	h := w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, max-age=3600")
	h.Set("ETag", `"`+f.Digest+`"`)
	http.ServeContent(&patientWriter{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", time.Time{}, content)
	return nil
}
