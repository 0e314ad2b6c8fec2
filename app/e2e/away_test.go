package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-rod/rod/lib/proto"

	"parlor/db/postgres"
)

// ownPostgres starts a server of this test's own, to be stopped and killed.
func ownPostgres(t *testing.T) *postgres.Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "away")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := postgres.Start(context.Background(), postgres.Config{Dir: dir, Bin: os.Getenv("PARLOR_POSTGRES_BIN"), NoSync: true})
	if err != nil {
		os.RemoveAll(dir)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		signalAll(cluster, syscall.SIGCONT)
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return cluster
}

// signalAll sends a signal to the server and all its processes.
func signalAll(c *postgres.Cluster, signal syscall.Signal) {
	_ = syscall.Kill(c.Pid(), signal) // first: it makes no more of them
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var pid, parent int
		_, _ = fmt.Sscan(string(stat), &pid)
		if end := strings.LastIndexByte(string(stat), ')'); end > 0 {
			var state string
			_, _ = fmt.Sscan(string(stat[end+1:]), &state, &parent)
		}
		if parent == c.Pid() {
			_ = syscall.Kill(pid, signal)
		}
	}
}

const (
	awayShown = `() => [...document.querySelectorAll('.offline')].find(b => b.innerText.includes('database') && getComputedStyle(b).display !== 'none')`
	awayGone  = `() => document.querySelector('.offline') && ![...document.querySelectorAll('.offline')].find(b => getComputedStyle(b).display !== 'none')`
	oneBanner = `() => [...document.querySelectorAll('.offline')].filter(b => getComputedStyle(b).display !== 'none').length`
)

func TestWhatPeopleSeeWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc to find the server's processes")
	}
	cluster := ownPostgres(t)
	p := startOn(t, cluster.URL("parlor"))
	ann, bob, carol := guest(t, p, "Ann"), guest(t, p, "Bob"), visitor(t, p)
	for _, v := range []*person{ann, bob, carol} {
		v.allow("status of 503")
	}
	for i := range 12 {
		ann.say(fmt.Sprintf("said before %d", i))
		bob.sees(fmt.Sprintf("said before %d", i))
	}
	bob.fill("#composer textarea", "half a thou")
	bob.reload() // its page is in memory, and the draft is kept

	signalAll(cluster, syscall.SIGSTOP)
	ann.until("the open page tells that the database is away", awayShown)
	ann.say("said meanwhile")
	ann.until("it is kept", `() => document.querySelector('#outbox .pending.waiting .state')?.innerText.includes('Not stored yet, your text is kept')`)
	if n := ann.number(oneBanner); n != 1 {
		t.Errorf("%.0f banners at once", n)
	}
	ann.fill("#composer textarea", "and a dra") // tells that she types, in vain
	ann.until("nothing gets in the way of typing", `() => new Promise(done => setTimeout(() => done(!document.querySelector('dialog[open]')), 500))`)
	// Who comes now, with a nickname or without, can read.
	for _, v := range []*person{bob, carol} {
		v.must(v.page.Navigate(p.url("/rooms/parlor")))
		v.until("the room is shown, and what is the matter", `() => document.querySelectorAll('#log > article').length === 12 && document.querySelector('.away') && !document.querySelector('#composer, #nickname')`)
		v.until("with the banner", awayShown)
	}
	if *screenshotDir != "" {
		for _, picture := range []struct {
			name, scheme, path string
			width              int
		}{{"away-light", "light", "/rooms/parlor", 1280}, {"away-dark", "dark", "/rooms/parlor", 1280}, {"away-phone", "light", "/rooms/parlor", 390}, {"away-lobby", "light", "/", 1280}} {
			carol.must(carol.page.SetViewport(&proto.EmulationSetDeviceMetricsOverride{Width: picture.width, Height: 800, DeviceScaleFactor: 1, Mobile: picture.width < 500}))
			carol.must(proto.EmulationSetEmulatedMedia{Features: []*proto.EmulationMediaFeature{{Name: "prefers-color-scheme", Value: picture.scheme}}}.Call(carol.page))
			carol.must(carol.page.Navigate(p.url(picture.path)))
			carol.until("shown", awayShown)
			carol.frames()
			png, err := carol.page.Screenshot(false, nil)
			carol.must(err)
			carol.must(os.WriteFile(filepath.Join(*screenshotDir, picture.name+".png"), png, 0o644))
		}
		png, err := ann.page.Screenshot(false, nil)
		ann.must(err)
		ann.must(os.WriteFile(filepath.Join(*screenshotDir, "away-open.png"), png, 0o644))
		carol.must(carol.page.Navigate(p.url("/rooms/parlor")))
		carol.until("the room again", awayShown)
	}
	carol.until("after a while it is still this banner alone", `() => new Promise(done => setTimeout(() => done(true), 5500))`)
	if n := carol.number(oneBanner); n != 1 {
		t.Errorf("%.0f banners at once", n)
	}

	signalAll(cluster, syscall.SIGCONT)
	ann.until("the banner goes away", awayGone)
	ann.until("what waited is stored", outboxEmpty)
	bob.until("the page is whole again, by itself", `() => document.querySelector('#composer textarea')?.value === 'half a thou' && !document.querySelector('.away')`)
	carol.until("for lookers too", `() => document.querySelector('#nickname') && !document.querySelector('.away')`)
	for _, v := range []*person{ann, bob, carol} {
		v.sees("said meanwhile")
		v.until("no banner is left", awayGone)
	}

	// Killed, it is there again within moments; nothing is lost by that.
	if err := syscall.Kill(cluster.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ann.say("ft")
	for _, v := range []*person{ann, bob, carol} {
		v.sees("and a draft")
		v.isEnd("parlor", 14)
	}
}
