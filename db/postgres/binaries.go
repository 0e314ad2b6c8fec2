package postgres

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// oldest is the oldest major version that our database driver speaks to.
const oldest = 14

// places are where package managers put initdb and postgres; several of them,
// Debian's among them, do not put them on PATH.
var places = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // postgresql.org for Red Hat
	"/usr/libexec/postgresql*",                           // Alpine
	"/usr/lib/postgresql*/bin",                           // SUSE
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
}

// NotInstalledError says that this machine lacks the Postgres it takes.
type NotInstalledError struct {
	Major   int      // the version that made the existing data; 0: any from 14 on would do
	Bin     string   // the only folder that was to be looked in, if one was given
	Found   []string // what is there instead
	Command string   // what to type to install it; empty if we know no package manager here
}

func (e *NotInstalledError) Error() string {
	var b strings.Builder
	where := "on this machine"
	if e.Bin != "" {
		where = "in " + e.Bin
	}
	if e.Major != 0 {
		fmt.Fprintf(&b, "the data was made with Postgres %d, which is not %s", e.Major, where)
	} else {
		fmt.Fprintf(&b, "there is no Postgres %d or newer %s", oldest, where)
	}
	if len(e.Found) > 0 {
		fmt.Fprintf(&b, " (found %s)", strings.Join(e.Found, ", "))
	}
	if e.Major != 0 {
		b.WriteString("; the data has not been touched")
	}
	switch {
	case e.Bin != "":
		b.WriteString(". PARLOR_POSTGRES_BIN must name the folder that holds initdb and postgres")
	case e.Command != "":
		b.WriteString(". To install it, type: " + e.Command)
	default:
		b.WriteString(". Install it, or set DATABASE_URL to a server elsewhere")
	}
	return b.String()
}

// findBinaries returns the folder of the Postgres programs of the given major
// version, or with 0 of the newest. With an override it looks there only.
func findBinaries(override string, major int) (string, error) {
	var dirs []string
	if override != "" {
		dirs = []string{override}
	} else {
		for _, place := range places {
			found, _ := filepath.Glob(place)
			dirs = append(dirs, found...)
		}
		if path, err := exec.LookPath("postgres"); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	missing := &NotInstalledError{Major: major, Bin: override}
	best, newest := "", 0
	for _, dir := range dirs {
		version := versionOf(dir)
		switch {
		case version == 0:
			continue
		case major == 0 && version >= oldest || version == major:
			if version > newest {
				best, newest = dir, version
			}
		default:
			missing.Found = append(missing.Found, fmt.Sprintf("Postgres %d in %s", version, dir))
		}
	}
	if best == "" {
		missing.Command = installCommand(major)
		return "", missing
	}
	return filepath.Abs(best)
}

// versionOf returns the major version of the programs in dir, 0 if they are not
// all there.
func versionOf(dir string) int {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0
	}
	return majorOf(filepath.Join(dir, "postgres"))
}

// majorOf returns the major version that a Postgres program tells, 0 if it
// tells none.
func majorOf(program string) int {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return 0
	}
	// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "... 19beta1"
	_, version, _ := strings.Cut(string(out), ") ")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	major, _ := strconv.Atoi(version[:max(0, end)])
	return major
}

// Client returns the path of a client program like pg_dump that fits a server of
// the given major version: of that version, or else of the next newer one. With
// bin it looks in that folder only.
func Client(name, bin string, major int) (string, error) {
	dirs := []string{bin}
	if bin == "" {
		dirs = nil
		for _, place := range places {
			found, _ := filepath.Glob(place)
			dirs = append(dirs, found...)
		}
		if path, err := exec.LookPath(name); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	best, oldest := "", 0
	var found []string
	for _, dir := range dirs {
		program := filepath.Join(dir, name)
		switch version := majorOf(program); {
		case version == 0:
		case version < major:
			found = append(found, fmt.Sprintf("%d in %s", version, dir))
		case best == "" || version < oldest:
			best, oldest = program, version
		}
	}
	if best == "" {
		where := "on this machine"
		if bin != "" {
			where = "in " + bin
		}
		if len(found) > 0 {
			where += " (found " + strings.Join(found, ", ") + ")"
		}
		return "", fmt.Errorf("this takes the program %s of Postgres %d or newer, which is not %s. Packages with the clients of Postgres hold it", name, major, where)
	}
	return best, nil
}

// installCommand returns what installs Postgres on this machine, for a person to
// type; install.sh does the same by itself.
func installCommand(major int) string {
	version := func(prefix, none string) string {
		if major == 0 {
			return none
		}
		return prefix + strconv.Itoa(major)
	}
	managers := []struct{ program, command string }{
		{"apt-get", "apt-get update && sudo apt-get install -y " + version("postgresql-", "postgresql")},
		{"dnf", "dnf install -y " + version("postgresql", "postgresql") + "-server"},
		{"apk", "apk add " + version("postgresql", "postgresql")},
		{"pacman", "pacman -S --needed postgresql"},
		{"brew", "brew install " + version("postgresql@", "postgresql@17")},
	}
	for _, m := range managers {
		if _, err := exec.LookPath(m.program); err != nil {
			continue
		}
		switch {
		case m.program == "brew":
			return m.command
		case os.Geteuid() == 0:
			return strings.ReplaceAll(m.command, "sudo ", "")
		default:
			return "sudo " + m.command
		}
	}
	return ""
}
