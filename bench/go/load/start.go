// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	startMax = 60 * time.Second
	every    = 200 * time.Microsecond
)

type startResult struct {
	First float64 `json:"first_status_ms"`
}

// runStart executes a server and waits for its first good Status. The socket of a former run must be
// gone. Servers that answer that they are not ready yet are asked again.
func runStart(socket, log string, linger time.Duration, argv []string) (any, error) {
	if len(argv) == 0 {
		return nil, errors.New("which program?")
	}
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	server := exec.Command(argv[0], argv[1:]...)
	server.Stdout, server.Stderr = out, out
	began := time.Now()
	if err := server.Start(); err != nil {
		return nil, err
	}
	first, err := firstStatus(socket, began)
	time.Sleep(linger)
	_ = server.Process.Signal(syscall.SIGTERM) // may be gone already
	_ = server.Wait()                          // a server without a handler ends by the signal
	if err != nil {
		return nil, err
	}
	return startResult{micros(first) / 1e3}, nil
}

func firstStatus(socket string, began time.Time) (time.Duration, error) {
	for {
		probe, err := net.Dial("unix", socket)
		if err == nil {
			probe.Close()
			break
		}
		if err := pause(began, err); err != nil {
			return 0, err
		}
	}
	c, err := dial(socket)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	return untilReady(began, c.status)
}

// untilReady repeats a call while the server answers that it is not ready, and gives the time from
// `began` to the answer.
func untilReady(began time.Time, call callFunc) (time.Duration, error) {
	for {
		_, err := timed(call)
		if err == nil {
			return time.Since(began), nil
		}
		if status.Code(err) != codes.Unavailable {
			return 0, err
		}
		if err := pause(began, err); err != nil {
			return 0, err
		}
	}
}

// pause is short: Go's own timers round up to a millisecond.
func pause(began time.Time, last error) error {
	if time.Since(began) > startMax {
		return fmt.Errorf("no Status within %v: %w", startMax, last)
	}
	at := syscall.NsecToTimespec(every.Nanoseconds())
	_ = syscall.Nanosleep(&at, nil) // an early end does no harm
	return nil
}
