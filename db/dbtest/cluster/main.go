// Command cluster runs another command with a Postgres cluster for its tests:
//
//	go run ./db/dbtest/cluster -- go test ./...
//
// The cluster is made for this run and gone after it. The command finds it by
// the environment variable PARLOR_TEST_POSTGRES, and its exit code is ours.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"parlor/db/dbtest"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: cluster [--] command [argument ...]")
		os.Exit(2)
	}
	err := run(args)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			os.Exit(128 + int(status.Signal()))
		}
		os.Exit(status.ExitStatus())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run passes signals on instead of ending by them: the cluster is cleared away
// when the command has ended.
func run(args []string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	return dbtest.WithCluster(context.Background(), func(url string) error {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), dbtest.Variable+"="+url)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() {
			for s := range signals {
				cmd.Process.Signal(s)
			}
		}()
		return cmd.Wait()
	})
}
