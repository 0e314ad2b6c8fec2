package dbtest

import (
	"database/sql"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	var names []string
	for range 3 {
		t.Run("", func(t *testing.T) {
			conn, err := sql.Open("postgres", New(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			var name string
			var migrated, touched bool
			err = conn.QueryRow(`select current_database(), to_regclass('rooms') is not null, to_regclass('mine') is not null`).Scan(&name, &migrated, &touched)
			if err != nil {
				t.Fatal(err)
			}
			if !migrated || touched {
				t.Errorf("migrated: %t, touched by another test: %t", migrated, touched)
			}
			if _, err := conn.Exec("create table mine (x int)"); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		})
	}
	var left int
	if err := admin.QueryRow("select count(*) from pg_database where datname = any($1)", names).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 0 || len(names) != 3 {
		t.Errorf("%d of the databases %v are still there", left, names)
	}
}
