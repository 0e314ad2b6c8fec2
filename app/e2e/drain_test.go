package e2e

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"
)

func TestATerminatedServerDrains(t *testing.T) {
	t.Parallel()
	p := start(t)
	ann := guest(t, p, "Ann")
	bob := newClient(t, p, "Bob")
	req, err := http.NewRequest(http.MethodGet, p.url("/rooms/parlor/stream"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity") // a compressed stream has no end of its own
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(resp.Body)
		ended <- err
	}()
	ann.say("a browser's last")
	ann.until("acknowledged", `() => !document.querySelector('#outbox .pending.sending')`)
	bob.say("parlor", "a program's last")
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v\n%s", err, p.log)
	}
	p.cmd = nil
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("ending took %s", took)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the stream was torn, not ended: %v", err)
		}
	case <-time.After(patience):
		t.Error("the stream never ended")
	}
	p.run()
	bob.say("parlor", "after")
	ann.isEnd("parlor", 3)
	if got := stored(t, p, "parlor"); len(got) != 3 {
		t.Errorf("stored: %v", got)
	}
}

func TestTwoProgramsOnOneDatabaseAreOneParlor(t *testing.T) {
	t.Parallel()
	one := start(t)
	two := startOn(t, one.database)
	ann, bob := guest(t, one, "Ann"), guest(t, two, "Bob")
	ann.until("both are here", `() => (`+names+`)() === 'Ann, Bob'`)
	bob.until("both are here", `() => (`+names+`)() === 'Ann, Bob'`)
	ann.say("from one")
	bob.sees("from one")
	bob.say("from two")
	ann.sees("from two")
	bob.fill("#composer textarea", "typing on two")
	for began := time.Now(); ann.eval(`() => document.querySelector('#typing b')?.innerText ?? ''`) != "Bob"; time.Sleep(100 * time.Millisecond) {
		bob.must(bob.page.InsertText(".")) // told at most every 2.5 seconds
		if time.Since(began) > patience {
			t.Fatal("typing does not go over to the other program")
		}
	}

	c := newClient(t, two, "Carol")
	c.say("parlor", "to be edited")
	seq := c.say("parlor", "to be deleted")
	c.edit("parlor", seq-1, "edited on two")
	c.delete("parlor", seq)
	ann.sees("edited on two")
	ann.until("deleted", `seq => document.querySelector('#m-' + seq + ' .tombstone')`, seq)
	bob.isEnd("parlor", 4)
	ann.isEnd("parlor", 4)

	// One goes down; its readers come back and miss nothing.
	one.end(syscall.SIGTERM)
	c.fillRoom("parlor", 20, "while one is away %d")
	one.run()
	ann.isEnd("parlor", 24)
	ann.say("back")
	bob.sees("back")
}
