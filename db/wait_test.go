package db_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"

	"parlor/db"
	"parlor/db/dbtest"
)

// nowhere is a connection string of a server whose socket is to be in a folder
// that does not exist.
func nowhere(t *testing.T) (database, folder string) {
	folder = filepath.Join(t.TempDir(), "sockets")
	return "postgres://somebody@/parlor?sslmode=disable&host=" + url.QueryEscape(folder), folder
}

func TestStartWaitsForADatabaseThatComes(t *testing.T) {
	_, folder := nowhere(t)
	u, err := url.Parse(dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	sockets := query.Get("host")
	query.Set("host", folder)
	u.RawQuery = query.Encode()
	told := 0
	err = db.Wait(context.Background(), u.String(), time.Minute, func(why error) {
		told++
		if !strings.Contains(why.Error(), folder) {
			t.Errorf("it does not say what is waited for: %v", why)
		}
		if err := os.Symlink(sockets, folder); err != nil {
			t.Error(err)
		}
	})
	if err != nil || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}

func TestStartDoesNotWaitForEver(t *testing.T) {
	database, folder := nowhere(t)
	err := db.Wait(context.Background(), database, 3*time.Second, func(error) {})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), folder) {
		t.Errorf("it should say that the time is over, and what was wrong: %v", err)
	}
}

func TestStartWaitsOnlyForWhatCanCome(t *testing.T) {
	for code, waits := range map[pq.ErrorCode]bool{
		"28P01": false, // wrong password
		"28000": false, // not let in
		"3D000": false, // no such database
		"57P03": true,  // starting
		"53300": true,  // full
	} {
		database, folder := nowhere(t)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 1024)) // the startup message
				fields := "SFATAL\x00C" + string(code) + "\x00Mno\x00\x00"
				_, _ = conn.Write(append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields))), fields...))
				conn.Close()
			}
		}()
		ctx, stop := context.WithCancel(context.Background())
		told := false
		err = db.Wait(ctx, database, time.Minute, func(error) {
			told = true
			stop()
		})
		stop()
		listener.Close()
		var refused *pq.Error
		if told != waits || !told && (!errors.As(err, &refused) || refused.Code != code) || told && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: waits %v, then %v", code, told, err)
		}
	}
	if err := db.Wait(context.Background(), "postgres://x:y@[::1", time.Minute, func(error) { t.Error("waits") }); err == nil {
		t.Error("took a URL that is none")
	}
}
