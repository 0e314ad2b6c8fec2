package e2e

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parlor/db/dbtest"
)

// A program that is started before its Postgres, after a power cut for example,
// waits for it, and takes nobody's connection meanwhile.
func TestStartedBeforePostgresItWaits(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	database, err := url.Parse(dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	query := database.Query()
	sockets, later := query.Get("host"), filepath.Join(t.TempDir(), "s")
	query.Set("host", later)
	database.RawQuery = query.Encode()
	p := &program{t: t, addr: freeAddr(t), log: new(safeLog), cmd: exec.Command(path)}
	p.cmd.Env = append(os.Environ(), "PARLOR_ADDR="+p.addr, "DATABASE_URL="+database.String(), "PARLOR_FILES="+t.TempDir())
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	ready := func() bool {
		resp, err := p.client().Get(p.url("/readyz"))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s\n%s", what, p.log)
			}
		}
	}
	until("says that it waits", func() bool { return strings.Contains(p.log.String(), "waiting for Postgres") })
	if ready() {
		t.Error("ready without a database")
	}
	if err := os.Symlink(sockets, later); err != nil {
		t.Fatal(err)
	}
	until("ready", ready)
	if n := strings.Count(p.log.String(), "waiting for Postgres"); n != 1 {
		t.Errorf("said %d times:\n%s", n, p.log)
	}
}
