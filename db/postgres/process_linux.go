package postgres

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// seesEveryServer says that serversIn finds all processes of a server, so that
// an empty answer means that nobody works on the folder.
const seesEveryServer = true

// endWithParent has the kernel stop the child, as Stop would, when the program
// dies in whatever way.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// serversIn returns the Postgres processes that work in the folder: each keeps
// it as its working directory for life. A pid from a file would prove nothing,
// since numbers are used again.
func serversIn(dir string) []int {
	here, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, proc := range procs {
		exe, err := os.Readlink(proc + "/exe")
		if err != nil || !strings.HasPrefix(filepath.Base(exe), "postgres") {
			continue
		}
		if cwd, err := os.Stat(proc + "/cwd"); err == nil && os.SameFile(cwd, here) {
			pid, _ := strconv.Atoi(filepath.Base(proc))
			pids = append(pids, pid)
		}
	}
	return pids
}
