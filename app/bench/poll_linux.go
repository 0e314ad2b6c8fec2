package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// poller waits for many sockets in one goroutine, where net would have one
// for each: with ten thousand readers in this process the load program must
// not be what is measured.
type poller struct {
	epoll   *os.File // itself waited for by the runtime, so that no thread blocks
	sockets []int
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or the runtime would not wait for it
		return nil, err
	}
	return &poller{epoll: os.NewFile(uintptr(fd), "epoll")}, nil
}

// add takes a connection over. Its bytes are read under the given name.
func (p *poller) add(conn *net.TCPConn, name int) error {
	fd, err := detach(conn)
	if err != nil {
		return err
	}
	p.sockets = append(p.sockets, fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	return p.control(func(epoll int) error {
		return syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd,
			&syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd), Pad: int32(name)})
	})
}

func (p *poller) control(do func(epoll int) error) error {
	conn, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(conn.Control(func(fd uintptr) { err = do(int(fd)) }), err)
}

// run reads until stop, and calls read with what came for a name. A socket
// whose read fails, or that ended, is read no more.
func (p *poller) run(read func(name int, b []byte, err error) error) error {
	conn, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	buffer := make([]byte, 64<<10)
	events := make([]syscall.EpollEvent, 256)
	return conn.Read(func(epoll uintptr) (ended bool) {
		for {
			n, err := syscall.EpollWait(int(epoll), events, 0)
			if err == syscall.EINTR {
				continue
			}
			if n <= 0 {
				return err != nil // else wait
			}
			for _, event := range events[:n] {
				got, err := syscall.Read(int(event.Fd), buffer)
				if err == syscall.EAGAIN || err == syscall.EINTR {
					continue
				}
				if got == 0 && err == nil {
					err = io.EOF
				}
				if read(int(event.Pad), buffer[:max(got, 0)], err) != nil || err != nil {
					_ = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_DEL, int(event.Fd), nil)
				}
			}
		}
	})
}

// stop ends run.
func (p *poller) stop() { p.epoll.Close() }

// close closes the connections, after run.
func (p *poller) close() {
	for _, fd := range p.sockets {
		syscall.Close(fd)
	}
}
