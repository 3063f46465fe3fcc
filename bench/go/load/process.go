// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time of all threads of a process, also of those that have ended, in user and
// system mode, as the scheduler counts it (clock_getcpuclockid(3)).
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of linux/posix-timers.h
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &at); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}

// memory is what /proc/PID/status says, in KiB.
type memory struct {
	Resident  int `json:"resident_kib"`
	Anonymous int `json:"anonymous_kib"`
	Peak      int `json:"peak_kib"`
}

func readMemory(pid int) (memory, error) {
	var m memory
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	for name, to := range map[string]*int{"VmRSS": &m.Resident, "RssAnon": &m.Anonymous, "VmHWM": &m.Peak} {
		_, after, _ := strings.Cut(string(data), "\n"+name+":")
		fields := strings.Fields(after)
		if len(fields) == 0 {
			return m, fmt.Errorf("process %d: no %s", pid, name)
		}
		if *to, err = strconv.Atoi(fields[0]); err != nil {
			return m, fmt.Errorf("process %d: %s: %w", pid, name, err)
		}
	}
	return m, nil
}
