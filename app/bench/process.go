package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// subject is a server that is measured.
type subject struct {
	base    string   // its URL
	process *process // nil: it is not ours
}

// process is a program that was started here.
type process struct {
	cmd *exec.Cmd
	log log
}

// start runs a program on a free port of loopback and waits until it is ready.
// It is gone after end, when ctx ends, and when this program dies.
func start(ctx context.Context, scheme, path string, env func(addr string) []string) (subject, error) {
	addr, err := freeAddr()
	if err != nil {
		return subject{}, err
	}
	p, err := launch(ctx, path, env(addr))
	if err != nil {
		return subject{}, err
	}
	s := subject{scheme + "://" + addr, p}
	client := &http.Client{Transport: anyCertificate()}
	defer client.CloseIdleConnections()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		resp, err := client.Get(s.base + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s, nil
			}
			err = errors.New(resp.Status)
		}
		if time.Since(began) > patience || ctx.Err() != nil {
			_ = p.end()
			return subject{}, fmt.Errorf("it did not become ready: %w%s", err, p.said())
		}
	}
}

// anyCertificate is for servers of our own that made theirs themselves.
func anyCertificate() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

// freeAddr is an address of loopback where nobody listens.
func freeAddr() (string, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return free.Addr().String(), free.Close()
}

// launch runs a program with more in its environment.
func launch(ctx context.Context, path string, env []string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, path)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	endWithParent(p.cmd.SysProcAttr)
	return p, p.cmd.Start()
}

// end stops the program. Nothing of it is worth waiting for.
func (p *process) end() error {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // that it was killed
	return nil
}

// said is what the program wrote, to explain a failure.
func (p *process) said() string {
	if p == nil {
		return ""
	}
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return "\n" + p.log.String()
}

// cpu is the processor time that the subject has taken so far.
func (s subject) cpu() time.Duration {
	if s.process == nil {
		return 0
	}
	return processorTime(s.process.cmd.Process.Pid)
}

// resident is how many bytes of memory the subject has.
func (s subject) resident() int64 {
	if s.process == nil {
		return 0
	}
	return residentMemory(s.process.cmd.Process.Pid)
}

// highest is the most memory that the subject ever had.
func (s subject) highest() int64 {
	if s.process == nil {
		return 0
	}
	return highestMemory(s.process.cmd.Process.Pid)
}

// log keeps the beginning of what a program writes.
type log struct {
	mu sync.Mutex
	bytes.Buffer
}

var _ io.Writer = (*log)(nil)

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Len() < 8<<10 {
		l.Buffer.Write(b)
	}
	return len(b), nil
}
