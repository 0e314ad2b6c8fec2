//go:build unix

package app_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parlor/app"
	"parlor/db/dbtest"
)

// BenchmarkNodes compares one node with three on one database: 32 people post
// into one room, whose streams are spread over the nodes. An operation is a
// message that is stored, acknowledged, and shown by all streams. Load, nodes
// and Postgres share the machine, so this is what nodes cost, not what machines
// bring.
//
//	go test ./app -run xx -bench Nodes -benchtime 3000x
func BenchmarkNodes(b *testing.B) {
	const people = 32
	for _, bench := range []struct {
		name    string
		nodes   int
		nats    bool
		streams int
	}{
		{"one", 1, false, 3}, {"three by Postgres", 3, false, 3}, {"three by NATS", 3, true, 3},
		{"one", 1, false, 300}, {"three by Postgres", 3, false, 300}, {"three by NATS", 3, true, 300},
	} {
		b.Run(fmt.Sprintf("%s, %d streams", bench.name, bench.streams), func(b *testing.B) {
			change := func(c *app.Config) { c.StreamsPerSession = 0 }
			if bench.nats {
				s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
				if err != nil {
					b.Fatal(err)
				}
				go s.Start()
				defer s.Shutdown()
				change = func(c *app.Config) { c.StreamsPerSession, c.NATS = 0, s.ClientURL() }
			}
			database := dbtest.New(b)
			var nodes []*site
			for range bench.nodes {
				nodes = append(nodes, newNode(b, database, change))
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var shown sync.WaitGroup
			for i := range bench.streams {
				shown.Add(1)
				follow(ctx, b, nodes[i%len(nodes)], int64(b.N), shown.Done)
			}
			var posters []*visitor
			for i := range people {
				posters = append(posters, nodes[i%len(nodes)].guest(fmt.Sprint("Poster ", i)))
			}
			b.ResetTimer()
			before := processorTime()
			var posting sync.WaitGroup
			for i, v := range posters {
				posting.Go(func() {
					for n := i; n < b.N; n += people {
						v.say("parlor", fmt.Sprint("message ", n))
					}
				})
			}
			posting.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
			shown.Wait()
			b.ReportMetric(float64(b.N*bench.streams)/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "µs-of-CPU/op")
		})
	}
}

// processorTime is what nodes and load together took of the processor.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

var cursorAt = regexp.MustCompile(`"cursor":"[^"]*\.(\d+)"`)

// follow opens a stream and calls done when it has shown everything up to rev.
func follow(ctx context.Context, b *testing.B, node *site, rev int64, done func()) {
	b.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.web.URL+"/rooms/parlor/stream?after=0", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		defer resp.Body.Close()
		defer done()
		for lines := bufio.NewReaderSize(resp.Body, 64<<10); ; {
			line, err := lines.ReadSlice('\n')
			if err == bufio.ErrBufferFull {
				continue
			}
			if m := cursorAt.FindSubmatch(line); m != nil {
				if at, _ := strconv.ParseInt(string(m[1]), 10, 64); at >= rev {
					return
				}
			}
			if err != nil {
				if ctx.Err() == nil {
					b.Errorf("a stream ended: %v", err)
				}
				return
			}
		}
	}()
}
