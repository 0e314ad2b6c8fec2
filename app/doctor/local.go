package doctor

import (
	"bufio"
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq" // asks the Postgres server for its version

	"parlor/db/backup"
)

// inside looks at the operator's address.
func (d *doctor) inside() {
	if d.Private == "" {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.Private+"/metrics", nil)
	if err != nil {
		d.problem("", "The operator's address %q is none: %v.", d.Private, err)
		return
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.problem("Look whether PARLOR_PRIVATE_ADDR is set for the server, too.", "Nobody answers at the operator's address %s: %v.", d.Private, err)
		return
	}
	defer resp.Body.Close()
	values := make(map[string]float64)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				values[name] = v
			}
		}
	}
	if resp.StatusCode != http.StatusOK || values["go_goroutines"] == 0 {
		d.problem("Look whether the address is the right one.", "What answers at the operator's address %s has no metrics (%s).", d.Private, resp.Status)
		return
	}
	const raise = "Raise the limit: LimitNOFILE= in the systemd unit, --ulimit nofile= for a container, ulimit -n in a shell."
	most, open := values["process_max_fds"], values["process_open_fds"]
	switch {
	case most == 0: // not told on this system
	case open > most*0.8:
		d.problem(raise, "The server has %.0f of at most %.0f files open: soon nobody can come any more.", open, most)
	case most < 4096:
		d.warn(raise, "The server may have %.0f files open, and each person who is connected takes one or two.", most)
	default:
		d.ok("The server has %.0f of at most %.0f files open.", open, most)
	}
}

// disk looks at the room that is left for what people say.
func (d *doctor) disk() {
	if d.Data == "" {
		return
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.Data, &fs); err != nil {
		d.problem("Look whether -data names the right folder.", "The data folder %s can't be looked at: %v.", d.Data, err)
		return
	}
	d.room(uint64(fs.Bavail)*uint64(fs.Bsize), uint64(fs.Blocks)*uint64(fs.Bsize))
}

func (d *doctor) room(free, size uint64) {
	const mib, remedy = 1 << 20, "Make room, or move the data folder to a larger disk: a Postgres without room takes no messages."
	switch {
	case free < 300*mib:
		d.problem(remedy, "The disk of the data folder is full: %d MiB are left.", free/mib)
	case free < 2048*mib || free < size/20:
		d.warn(remedy, "The disk of the data folder is getting full: %d MiB of %d are left.", free/mib, size/mib)
	default:
		d.ok("The disk of the data folder has %d MiB left.", free/mib)
	}
}

// backups looks for the newest one.
func (d *doctor) backups() {
	if d.Backups == "" {
		return
	}
	const remedy = "Run parlor backup daily, by a systemd timer or cron, and keep a copy on another machine."
	entries, err := os.ReadDir(d.Backups)
	if err != nil {
		d.problem("Look whether -backups names the right folder.", "The backups can't be looked at: %v.", err)
		return
	}
	var newest os.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || strings.HasPrefix(info.Name(), ".") {
			continue
		}
		if (newest == nil || info.ModTime().After(newest.ModTime())) && backup.Begins(filepath.Join(d.Backups, info.Name())) {
			newest = info
		}
	}
	if newest == nil {
		d.problem(remedy, "There is no backup in %s.", d.Backups)
		return
	}
	age := time.Since(newest.ModTime())
	switch hours := int(age.Hours()); {
	case age > 8*24*time.Hour:
		d.problem(remedy, "The newest backup, %s, is %d days old.", newest.Name(), hours/24)
	case age > 26*time.Hour:
		d.warn(remedy, "The newest backup, %s, is %d hours old.", newest.Name(), hours)
	default:
		d.ok("The newest backup, %s, is %d hours old.", newest.Name(), hours)
	}
}

// oldestPostgres is the first version that Parlor works with.
const oldestPostgres = 14

// database looks which Postgres it is.
func (d *doctor) database() {
	if d.Database == "" {
		if d.Data == "" {
			return
		}
		if text, err := os.ReadFile(filepath.Join(d.Data, "postgres", "PG_VERSION")); err == nil {
			version, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			d.version(version, strings.TrimSpace(string(text))+", private")
		}
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	conn, err := sql.Open("postgres", d.Database)
	if err == nil {
		defer conn.Close()
		var number int
		var text string
		err = conn.QueryRowContext(ctx, `select current_setting('server_version_num')::int, current_setting('server_version')`).Scan(&number, &text)
		if err == nil {
			d.version(number/10000, text)
			return
		}
	}
	d.problem("Look whether the server runs, and whether DATABASE_URL is right.", "The Postgres server does not answer: %v.", err)
}

func (d *doctor) version(major int, text string) {
	if major < oldestPostgres {
		d.problem("Move to a newer one, with pg_upgrade or a dump.", "Postgres is version %s; Parlor needs %d or newer.", text, oldestPostgres)
		return
	}
	d.ok("Postgres is version %s.", text)
}
