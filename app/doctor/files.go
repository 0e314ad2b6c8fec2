package doctor

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"parlor/app/files"
	"parlor/db/postgres"
)

// filesKnown is what the database says about the files.
type filesKnown struct {
	marker string   // of their folder; "": none yet
	bytes  int64    // of all of them
	some   []string // digests of a few: the newest, and others by chance
}

// filesSQL looks up some 200 rows, by the primary key.
const filesSQL = `
	(select digest from files where kept order by id desc limit 100)
	union (select f.digest
	from (select floor(random() * (select max(id) from files))::bigint as id from generate_series(1, 100)) as chance,
	lateral (select digest from files where id > chance.id and kept order by id limit 1) as f)`

// files looks at the folder of the files that people send.
func (d *doctor) files() {
	if d.Files == "" {
		return
	}
	const other = "Look whether -files (PARLOR_FILES) names the folder that the server has, and whether the disk that it is on is mounted."
	known, err := d.askForFiles()
	if err != nil {
		d.warn("Look whether the server has run with this version.", "What the database knows about files can't be read: %v.", err)
		return
	}
	info, err := os.Stat(d.Files)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (known == nil || known.marker == ""):
		d.ok("There is no folder of files yet: nobody has sent any.")
		return
	case err != nil:
		d.problem(other, "The folder of files %s can't be looked at: %v.", d.Files, err)
		return
	case !info.IsDir():
		d.problem(other, "The folder of files %s is none.", d.Files)
		return
	}
	if err := syscall.Access(d.Files, 2|1); err != nil { // W_OK|X_OK (POSIX access)
		d.problem("Give it to the user whom the server runs as, or run parlor doctor as that user.", "The folder of files %s can't be written to: %v.", d.Files, err)
		return
	}
	d.roomForFiles(known)
	depot := files.At(d.Files)
	marker, err := depot.Marker()
	if err != nil {
		d.problem(other, "The folder of files %s can't be read: %v.", d.Files, err)
		return
	}
	if known == nil {
		d.ok("The folder of files can be written to.")
		return
	}
	if marker != known.marker {
		d.problem(other, "The folder %s is not the one that this database's files are in: the server takes none.", d.Files)
		return
	}
	missing := 0
	for _, digest := range known.some {
		content, err := depot.Content(digest)
		if err != nil {
			missing++
			continue
		}
		content.Close()
	}
	if missing > 0 {
		d.problem("Bring the folder back from a backup, and keep database and folder together from now on.",
			"Of %d files that were looked for, %d are missing in the folder %s.", len(known.some), missing, d.Files)
		return
	}
	d.ok("The folder of files belongs to the database, and has the %d files that were looked for.", len(known.some))
}

// roomForFiles compares what is left with what people may send.
func (d *doctor) roomForFiles(known *filesKnown) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(d.Files, &disk); err != nil {
		d.problem("Look at the disk.", "How much room there is for files can't be told: %v.", err)
		return
	}
	d.leftForFiles(uint64(disk.Bavail)*uint64(disk.Bsize), known)
}

func (d *doctor) leftForFiles(free uint64, known *filesKnown) {
	const mib = 1 << 20
	var used int64
	if known != nil {
		used = known.bytes
	}
	const remedy = "Make room, or lower PARLOR_FILES_TOTAL, which all files together may have."
	left := d.FilesTotal - used
	switch {
	case free < 300*mib:
		d.problem(remedy, "The disk of the folder of files is full: %d MiB are left.", free/mib)
	case d.FilesTotal <= 0:
		d.warn("Set PARLOR_FILES_TOTAL to what the disk has room for.", "Nothing limits all files together, and the disk has %d MiB left.", free/mib)
	case left < d.FilesTotal/20:
		d.warn("Raise PARLOR_FILES_TOTAL if the disk has room: it has %d MiB left.", "Files have %d of the %d MiB that they may have: soon no more are taken.", used/mib, d.FilesTotal/mib)
	case uint64(left) > free:
		d.warn(remedy, "People may send %d MiB more, and the disk of the folder of files has %d MiB left.", left/mib, free/mib)
	default:
		d.ok("The disk of the folder of files has %d MiB left, and people may send %d MiB more.", free/mib, left/mib)
	}
}

// askForFiles asks the database; nil if there is none to ask, or it does not
// answer, which another finding says.
func (d *doctor) askForFiles() (*filesKnown, error) {
	url := d.Database
	if url == "" && d.Data != "" {
		private, running, err := postgres.Running(d.Data)
		if err != nil || !running {
			return nil, nil
		}
		url = private
	}
	if url == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	conn, err := sql.Open("postgres", url)
	if err != nil {
		return nil, nil
	}
	defer conn.Close()
	if conn.PingContext(ctx) != nil {
		return nil, nil
	}
	var known filesKnown
	var marker sql.NullString
	if err := conn.QueryRowContext(ctx, `select files_marker, files_bytes from house`).Scan(&marker, &known.bytes); err != nil {
		return nil, err
	}
	known.marker = marker.String
	rows, err := conn.QueryContext(ctx, filesSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			return nil, err
		}
		known.some = append(known.some, digest)
	}
	return &known, rows.Err()
}
