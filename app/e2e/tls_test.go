package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-rod/rod"
)

// Over TLS a browser speaks HTTP/2, and may have as many pages open as it
// likes: none of them rests.
func TestEightTabsOverTLSAreAllLive(t *testing.T) {
	t.Parallel()
	p := start(t, "PARLOR_TLS=self-signed", "PARLOR_DATA="+t.TempDir())
	ann := guest(t, p, "Ann")
	if got := ann.eval(`() => performance.getEntriesByType('navigation')[0].nextHopProtocol`); got != "h2" {
		t.Errorf("the room came by %q", got)
	}
	pages := []*rod.Page{ann.page}
	for range 7 {
		pages = append(pages, ann.open("/rooms/parlor"))
	}
	ann.say("from the eighth")
	newClient(t, p, "Bob").say("parlor", "from a program")
	for i, page := range pages {
		ann.page = page
		ann.sees("from the eighth")
		ann.sees("from a program")
		if ann.eval(`() => document.querySelector('.offline.quiet.shown') ? 'rests' : ''`) != "" {
			t.Errorf("tab %d rests", i+1)
		}
	}

	// Parlor's own examination has nothing to complain of but the certificate.
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "doctor", p.url(""))
	cmd.Env = append(os.Environ(), "PARLOR_DATA=", "DATABASE_URL="+p.database)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1 warnings, 0 problems") || !strings.Contains(string(out), "The stream arrives unbuffered") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
}
