//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc: USER_HZ is 100 on every Linux that Go supports.
const tick = 10 * time.Millisecond

// process is a line of /proc/<pid>/stat.
type process struct {
	parent int
	// self is user and system time; ended is that of the children that were waited for.
	self, ended time.Duration
}

func readProcess(pid int) (process, bool) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name in parentheses may contain any character.
	_, rest, ok := strings.Cut(string(raw[strings.LastIndexByte(string(raw), ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 15 {
		return process{}, false
	}
	number := func(field int) int64 { // numbered as in proc(5)
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	return process{
		parent: int(number(4)),
		self:   time.Duration(number(14)+number(15)) * tick,
		ended:  time.Duration(number(16)+number(17)) * tick,
	}, true
}

// cpu returns the processor time of a process, and with family that of its children, including those that have ended.
// It returns 0 without a process or without /proc.
func cpu(pid int, family bool) time.Duration {
	if pid == 0 {
		return 0
	}
	p, ok := readProcess(pid)
	if !ok {
		return 0
	}
	if !family {
		return p.self
	}
	sum := p.self + p.ended
	for _, c := range children(pid) {
		sum += c.self + c.ended
	}
	return sum
}

func children(pid int) []process {
	var out []process
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if c, ok := readProcess(child); ok && c.parent == pid {
			out = append(out, c)
		}
	}
	return out
}

// machineTime is the processor time of the whole machine since its start, from /proc/stat.
type machineTime struct{ busy, total time.Duration }

// readMachine returns the zero value without /proc. Time that a hypervisor took counts as busy; that of interrupts
// counts as idle, because most of it is the network traffic of the measurement.
func readMachine() machineTime {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	var m machineTime
	for i, field := range strings.Fields(first) {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			continue // the label
		}
		switch i {
		case 1, 2, 3, 8: // user, nice, system, steal: proc(5)
			m.busy += time.Duration(ticks) * tick
			fallthrough
		case 4, 5, 6, 7: // idle, iowait, irq, softirq
			m.total += time.Duration(ticks) * tick
		}
	}
	return m
}

// foreignShare returns the share of the processor time since an earlier reading that was neither idle nor spent by known
// processes.
func (m machineTime) foreignShare(since machineTime, known time.Duration) float64 {
	if m.total <= since.total {
		return 0
	}
	return max(0, float64(m.busy-since.busy-known)/float64(m.total-since.total))
}

// resident returns the resident memory of a process in bytes; 0 if unknown.
func resident(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
