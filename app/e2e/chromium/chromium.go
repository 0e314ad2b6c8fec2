// Package chromium starts Debian's Chromium for tests: without a window, with a
// profile of its own, and gone with it when it is closed.
package chromium

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/launcher"
)

// Browser is a running Chromium.
type Browser struct {
	*rod.Browser
	launcher *launcher.Launcher
}

// mostStarts is how often it is tried to start one: now and then Chromium
// crashes before it listens.
const mostStarts = 3

// Start starts one, with these environment variables beside our own. It ends
// with Close or with the context, which may leave its profile behind in the
// folder for temporary files.
func Start(ctx context.Context, env ...string) (*Browser, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		b, err := start(ctx, path, env)
		if err == nil || try == mostStarts || ctx.Err() != nil {
			return b, err
		}
	}
}

func start(ctx context.Context, path string, env []string) (*Browser, error) {
	profile, err := os.MkdirTemp("", "parlor-chromium-")
	if err != nil {
		return nil, err
	}
	l := launcher.New().Context(ctx).Bin(path).UserDataDir(profile).Leakless(false).Headless(true).NoSandbox(true).
		Set("disable-gpu").Set("disable-background-networking").Set("disable-component-update").Set("disable-sync").
		Set("no-first-run").Set("disable-quic").Set("lang", "en").Env(append(os.Environ(), env...)...)
	control, err := l.Launch()
	if err != nil {
		os.RemoveAll(profile)
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	b := &Browser{rod.New().ControlURL(control), l}
	if err := b.Connect(); err != nil {
		l.Kill()
		l.Cleanup()
		return nil, fmt.Errorf("connect to Chromium: %w", err)
	}
	return b, nil
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() error {
	err := b.Browser.Close()
	if err != nil { // it can't be asked any more
		b.launcher.Kill()
	}
	b.launcher.Cleanup()
	return err
}

func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium on this machine: run app/e2e/install.sh")
}
