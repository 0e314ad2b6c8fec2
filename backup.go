package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"parlor/app"
	"parlor/db/backup"
	"parlor/db/postgres"
)

// runBackup is `parlor backup FILE`.
func runBackup(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := readBackupArgs("backup", "Saves the database, and the files if there are any, into FILE, or with - to the standard output.\n"+
		"Parlor may run meanwhile.", args, nil)
	if err != nil {
		return err
	}
	if c.place.Database == "" {
		if !postgres.Exists(c.data) {
			return fmt.Errorf("there is no database in %s. -data names Parlor's data folder, -database another server", c.data)
		}
		url, running, err := postgres.Running(c.data)
		if err != nil {
			return err
		}
		if !running {
			cluster, err := postgres.Start(ctx, postgres.Config{Dir: c.data, Bin: c.place.Bin})
			if err != nil {
				return err
			}
			defer cluster.Stop()
			url = cluster.URL("parlor")
		}
		c.place.Database = url
	}
	var m backup.Manifest
	if c.file == "-" {
		m, err = backup.Write(ctx, c.place, os.Stdout)
	} else {
		m, err = backup.WriteFile(ctx, c.place, c.file)
	}
	if err == nil {
		fmt.Fprintf(os.Stderr, "saved %d messages of %d people in %d rooms\n", m.Messages, m.People, m.Rooms)
	}
	return err
}

// runRestore is `parlor restore FILE`.
func runRestore(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var force bool
	c, err := readBackupArgs("restore", "Puts the database, and the files, back from FILE, a backup, or with - from the standard input.\n"+
		"Parlor must not run on the same data folder; on a database URL it may, and goes on with what was restored.", args,
		func(flags *flag.FlagSet) {
			flags.BoolVar(&force, "force", false, "replace what the database holds: it is lost")
		})
	if err != nil {
		return err
	}
	if c.file == "-" {
		spool, err := os.CreateTemp("", "parlor-restore-") // a zip archive is read from its end
		if err != nil {
			return err
		}
		defer os.Remove(spool.Name())
		defer spool.Close()
		if _, err := io.Copy(spool, os.Stdin); err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
		c.file = spool.Name()
	} else if _, err := os.Stat(c.file); err != nil { // before a cluster is made for nothing
		return err
	}
	if c.place.Database == "" {
		cluster, err := postgres.Start(ctx, postgres.Config{Dir: c.data, Bin: c.place.Bin})
		if err != nil {
			return err
		}
		defer cluster.Stop()
		c.place.Database = cluster.URL("parlor")
	}
	m, err := backup.RestoreFile(ctx, c.place, c.file, force)
	if err == nil {
		fmt.Fprintf(os.Stderr, "restored %d messages of %d people in %d rooms, as of %s\n", m.Messages, m.People, m.Rooms, m.At.Local().Format("2006-01-02 15:04:05 MST"))
	}
	return err
}

// backupArgs are what both commands are told.
type backupArgs struct {
	place backup.Place
	data  string
	file  string
}

func readBackupArgs(name, what string, args []string, more func(*flag.FlagSet)) (c backupArgs, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "parlor %s [settings] FILE\n\n%s\n\n", name, what)
		flags.PrintDefaults()
	}
	flags.StringVar(&c.data, "data", cmp.Or(os.Getenv("PARLOR_DATA"), app.DefaultConfig().Data), "`folder` of the private Postgres (PARLOR_DATA)")
	var files string
	flags.StringVar(&files, "files", os.Getenv("PARLOR_FILES"), "`folder` of the files that people send; files in the data folder if not set (PARLOR_FILES)")
	flags.StringVar(&c.place.Database, "database", os.Getenv("DATABASE_URL"), "`URL` of a Postgres server instead (DATABASE_URL)")
	if more != nil {
		more(flags)
	}
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() != 1 {
		return c, fmt.Errorf("%s takes the name of one file; parlor %s -h explains it", name, name)
	}
	c.file = flags.Arg(0)
	c.place.Files = cmp.Or(files, app.FilesIn(c.data))
	c.place.Bin = os.Getenv("PARLOR_POSTGRES_BIN")
	return c, nil
}
