package app

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"

	"parlor/app/chat"
	"parlor/app/i18n"
	"parlor/app/markup"
	"parlor/app/unfurl"
	"parlor/db"
)

const (
	// mostLinks is how many links of a message are looked up: the first ones.
	mostLinks = 3
	// lookers is how many addresses a node looks up at the same time.
	lookers = 4
	// mostWaiting is how many messages, and how many addresses, wait for that
	// in memory. More is left to the sweep.
	mostWaiting = 256
	// lease is how long a node has for an address before another one may try:
	// a page and a picture take five seconds each, and then some.
	lease = 30 * time.Second
	// mostShownAtOnce is how many messages that wait for the same address are
	// served in one go.
	mostShownAtOnce = 500
	sweptAtOnce     = 1000
)

// previews looks links up behind the messages that have them: beside the
// requests, once for everybody and for all nodes. A message is stored first
// and gets its previews when they are there, as a change like any other.
type previews struct {
	s         *Server
	fetcher   *unfurl.Fetcher
	messages  chan linked
	addresses chan int64 // ids of previews
}

// linked is a message with links.
type linked struct {
	room  chat.Room
	seq   int64
	links []string // nil: the database knows them already
}

func newPreviews(s *Server) *previews {
	agent := "Parlor (link preview bot)"
	if s.cfg.PublicURL != nil {
		agent = "Parlor (link preview bot; +" + s.cfg.PublicURL.String() + ")"
	}
	return &previews{
		s: s, fetcher: unfurl.New(unfurl.Options{UserAgent: agent, Reach: s.cfg.PreviewReach}),
		messages: make(chan linked, mostWaiting), addresses: make(chan int64, mostWaiting),
	}
}

// links are the addresses that a text links to and that previews are shown
// of. What stands in code is no link, and this server needs nobody to look at
// it.
func (s *Server) links(r *http.Request, room chat.Room, text db.Text) []string {
	if !s.cfg.Previews || !room.Previews || !strings.Contains(text.Body, "://") && !strings.Contains(strings.ToLower(text.Body), "www.") {
		return nil
	}
	own := []string{r.Host}
	if s.cfg.PublicURL != nil {
		own = append(own, s.cfg.PublicURL.Host)
	}
	var out []string
	for z := html.NewTokenizer(strings.NewReader(markup.HTML(text.Body, nil))); len(out) < mostLinks; {
		kind := z.Next()
		if kind == html.ErrorToken { // the end: it is a text of ours
			break
		}
		if kind != html.StartTagToken {
			continue
		}
		tag := z.Token()
		if tag.Data != "a" {
			continue
		}
		for _, attribute := range tag.Attr {
			if attribute.Key != "href" {
				continue
			}
			target, err := s.previews.fetcher.Target(attribute.Val)
			if err != nil || slices.Contains(own, target.Host) || slices.Contains(out, target.String()) {
				continue
			}
			out = append(out, target.String())
		}
	}
	return out
}

// want has the links of a message looked up, some time. With too much to do it
// is dropped: a post never waits for a preview.
func (p *previews) want(l linked) {
	select {
	case p.messages <- l:
	default:
		p.s.log.Warn("too many links at once: a message goes without previews", "room", l.room.ID, "seq", l.seq)
	}
}

// run works until ctx ends. What was left by a run before, or by a node that
// ended, is taken up first, and then every minute.
func (p *previews) run(ctx context.Context) {
	go p.note(ctx)
	for range lookers {
		go p.look(ctx)
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var swept int64
	for {
		if !p.s.store.Away() {
			left, err := p.s.store.LeftPreviews(ctx, mostWaiting)
			if err == nil {
				swept, err = p.s.store.SweepPreviews(ctx, swept, sweptAtOnce)
			}
			if err != nil && ctx.Err() == nil {
				p.s.log.Warn("could not look after previews", "err", err)
			}
			p.queue(left)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *previews) queue(ids []int64) {
	for _, id := range ids {
		select {
		case p.addresses <- id:
		default: // it is found again by the next sweep
			return
		}
	}
}

// note writes down which messages want previews.
func (p *previews) note(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-p.messages:
			var ids []int64
			var err error
			if l.links == nil {
				ids, err = p.s.store.WantedOf(ctx, l.room.ID, l.seq)
			} else {
				ids, err = p.s.store.WantPreviews(ctx, l.room.ID, l.seq, l.links)
			}
			if err != nil && ctx.Err() == nil {
				p.s.log.Warn("a message goes without previews", "room", l.room.ID, "seq", l.seq, "err", err)
			}
			p.queue(ids)
		}
	}
}

// look looks addresses up, one after the other.
func (p *previews) look(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-p.addresses:
			if err := p.lookUp(ctx, id); err != nil && ctx.Err() == nil {
				p.s.log.Warn("could not bring a preview", "preview", id, "err", err)
			}
		}
	}
}

// lookUp sees to it that an address is known, and brings it to all messages
// that wait for it. While another node is at it there is nothing to do: that
// node finds our messages, too, since they were noted before it was asked.
func (p *previews) lookUp(ctx context.Context, id int64) error {
	url, known, err := p.s.store.ClaimPreview(ctx, id, lease)
	if err != nil || url == "" && !known {
		return err
	}
	if !known {
		found, err := p.fetch(ctx, url)
		if ctx.Err() != nil { // this node ends; another one, or the next run, looks again
			return ctx.Err()
		}
		if err != nil {
			p.s.log.Debug("no preview", "err", err)
		}
		if err := p.s.store.FinishPreview(ctx, id, err == nil, found); err != nil {
			return err
		}
	}
	waiting, err := p.s.store.WaitingFor(ctx, id, mostShownAtOnce)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		rev, err := p.s.store.ShowPreview(ctx, w.RoomID, w.Seq, id)
		if err != nil {
			return err
		}
		if rev > 0 {
			p.s.bus.Wake(w.RoomID, rev)
		}
	}
	return nil
}

// fetch asks a page about itself, and for its picture. A picture that can't be
// had is left out.
func (p *previews) fetch(ctx context.Context, url string) (db.Looked, error) {
	page, err := p.fetcher.Fetch(ctx, url)
	if err != nil {
		return db.Looked{}, err
	}
	found := db.Looked{Site: page.SiteName, Title: page.Title, Description: page.Description}
	if page.ImageURL == "" {
		return found, nil
	}
	picture, err := p.fetcher.FetchImage(ctx, page.ImageURL)
	if err != nil {
		p.s.log.Debug("a preview without its picture", "err", err)
		return found, nil
	}
	found.Image, found.ImageType, found.ImageWidth, found.ImageHeight = picture.Data, picture.Type, picture.Width, picture.Height
	return found, nil
}

// getPreviewImage serves the small copy of a page's picture: nobody's browser
// asks the page itself. Who has the key saw the preview, and the picture under
// it never changes.
func (s *Server) getPreviewImage(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return chat.Refuse(chat.NotFound, chat.NoSuchPage)
	}
	image, kind, err := s.store.PreviewImage(r.Context(), id, r.URL.Query().Get("v"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(image)))
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, err = w.Write(image)
	return ignoreWrite(err)
}

// postPreviewRemove takes a preview off one's own message.
func (s *Server) postPreviewRemove(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return chat.Refuse(chat.NotFound, chat.NoSuchPage)
	}
	return s.change(w, r, i18n.PreviewRemoved, func(ctx context.Context, room chat.Room, seq int64, me chat.Person) (int64, error) {
		return s.store.RemovePreview(ctx, room.ID, seq, id, me.ID)
	})
}

// setPreviews follows the box in a room's settings. A form without it leaves
// all as it is.
func (s *Server) setPreviews(r *http.Request, room chat.Room) (chat.Room, error) {
	said := r.PostForm["previews"]
	if len(said) == 0 {
		return room, nil
	}
	on := said[len(said)-1] == "on" // behind a hidden field, a box that is ticked comes last
	if on == room.Previews {
		return room, nil
	}
	me, err := needMe(r)
	if err != nil {
		return room, err
	}
	return s.store.SetPreviews(r.Context(), room.ID, me.ID, on)
}
