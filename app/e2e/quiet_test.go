package e2e

import (
	"strings"
	"testing"
)

// Everybody who follows a board gets the same patches. Some are meant for those
// alone who lack something ("put it where it is missing"), and that a page does
// not lack it is no fault. All others find what they are meant for: no page
// gets pieces of what it does not have.
func TestWhatIsSentToAPageIsThereToBeChanged(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob := newClient(t, p, "Bob")
	thread := "/rooms/parlor/messages/" + formatInt(bob.say("parlor", "a question")) + "/thread"
	ann := guest(t, p, "Ann")
	for _, path := range []string{"/", "/rooms/parlor", thread, "/inbox", "/saved"} {
		ann.mu.Lock()
		ann.missed = nil
		ann.mu.Unlock()
		ann.goTo(path)
		if path == "/rooms/parlor" || path == thread {
			// What comes next has to wait until all that came before was applied.
			bob.say("parlor", "to "+path)
			ann.until("the next message is counted", `() => window.heard.cursors > 1`)
		}
		ann.mu.Lock()
		for _, selector := range ann.missed {
			if !strings.Contains(selector, ":not(") {
				t.Errorf("%s got a patch for %s, which it does not have", path, selector)
			}
		}
		ann.mu.Unlock()
	}
}
