package db_test

import (
	"os"
	"strings"
	"testing"

	"parlor/db"
)

func BenchmarkZZ(b *testing.B) {
	u := os.Getenv("ZZ")
	var stores []*db.Store
	for _, n := range []string{"small", "parlor"} {
		s, err := db.Open(b.Context(), strings.Replace(u, "@/parlor", "@/"+n, 1), db.Options{Connections: 2})
		if err != nil {
			b.Fatal(err)
		}
		stores = append(stores, s)
	}
	compareHistories(b, stores[0], stores[1])
}
