package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parlor/app/chat"
	"parlor/app/files"
)

// filesFolder is where the files that people send are kept, as far as this node
// can get at it. It takes files only into the folder that the database knows:
// in another one the other nodes would not find them.
type filesFolder struct {
	s     *Server
	depot atomic.Pointer[files.Depot] // nil: no folder, or none that can be written to
	ready atomic.Bool                 // it is the right one
	told  string                      // what the log said last about it
	gone  chan struct{}               // some files are gone: clear up

	mu       sync.Mutex
	underway map[int64]int // files that come in at the moment, by person
}

func newFilesFolder(s *Server) *filesFolder {
	return &filesFolder{s: s, gone: make(chan struct{}, 1), underway: make(map[int64]int)}
}

// open looks at the folder. What is wrong with it is logged once, and files are
// not taken until it is right.
func (f *filesFolder) open(ctx context.Context) {
	if f.s.cfg.Files == "" || f.s.cfg.FileBytes == 0 {
		return
	}
	err := f.look(ctx)
	f.ready.Store(err == nil)
	if err == nil {
		f.told = ""
	} else if text := err.Error(); text != f.told {
		f.told = text
		f.s.log.Error("files can't be taken", "folder", f.s.cfg.Files, "err", err)
	}
}

func (f *filesFolder) look(ctx context.Context) error {
	depot, err := files.Open(f.s.cfg.Files)
	if err != nil {
		return err
	}
	f.depot.Store(depot)
	found, err := depot.Marker()
	if err != nil {
		return err
	}
	fresh := rand.Text()
	marker, err := f.s.store.FilesMarker(ctx, cmp.Or(found, fresh))
	if err != nil {
		return err
	}
	if found == "" && marker == fresh {
		found, err = fresh, depot.Mark(fresh)
	}
	if err == nil && found != marker {
		err = fmt.Errorf("it is not the folder that this database's files are in: give all nodes the same one. If it is the right one after all, its file %s must hold %s", files.MarkerName, marker)
	}
	return err
}

// lookAfter removes what belongs to no message any more, and looks again at a
// folder that was not right, until ctx ends.
func (f *filesFolder) lookAfter(ctx context.Context) {
	tick, hour := time.NewTicker(15*time.Second), time.NewTicker(time.Hour)
	defer tick.Stop()
	defer hour.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-f.gone:
		case <-tick.C:
			if !f.ready.Load() {
				f.open(ctx)
			}
		case <-hour.C:
			err = f.s.store.SweepFiles(ctx)
		}
		if depot := f.depot.Load(); depot != nil && f.ready.Load() && !f.s.store.Away() {
			_, clearErr := f.s.store.ClearFiles(ctx, depot.Remove)
			err = errors.Join(err, clearErr, depot.Sweep(time.Now().Add(-time.Hour)))
		}
		if err != nil && ctx.Err() == nil && !isAway(err) {
			f.s.log.Warn("some files that nobody needs stay for a while", "err", err)
		}
	}
}

// clear says that files may be gone.
func (f *filesFolder) clear() {
	select {
	case f.gone <- struct{}{}:
	default: // it is known already
	}
}

// mostUnderway is how many files of one person come in at a time. A page sends
// one after another; people have several pages.
const mostUnderway = 4

// begin makes a place for a file of a person that comes in; end gives it back.
func (f *filesFolder) begin(personID int64) (end func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underway[personID] >= mostUnderway {
		return nil, chat.Refuse(chat.TooMany, chat.FilesAtOnce)
	}
	f.underway[personID]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.underway[personID]--; f.underway[personID] == 0 {
			delete(f.underway, personID)
		}
	}, nil
}
