//go:build unix && !linux

package postgres

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// seesEveryServer: without /proc only the postmaster is found. Its status file
// must stay then, for Postgres to look for processes that outlived it.
const seesEveryServer = false

// endWithParent can do nothing here. The next start ends what was left.
func endWithParent(*syscall.SysProcAttr) {}

// serversIn returns the postmaster of the folder if it runs.
func serversIn(dir string) []int {
	pid, _ := readPidFile(dir)
	if pid <= 0 {
		return nil
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil || !strings.Contains(string(out), " -D "+dir+" ") {
		return nil
	}
	return []int{pid}
}
