//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ is 100 on all of Linux.
const tick = time.Second / 100

// tree is a process and all that descend from it.
func tree(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, name := range stats {
		f, err := statFields(name)
		if err != nil {
			continue // it ended just now
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parent, _ := strconv.Atoi(string(f[1]))
		children[parent] = append(children[parent], child)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// statFields are the fields of /proc/PID/stat behind the program's name
// (proc(5)): state, parent, …
func statFields(name string) ([][]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 13 {
		return nil, fmt.Errorf("%s is not as proc(5) says", name)
	}
	return f, nil
}

// cpu is the user and system time that a process tree has used. One that ended
// is an error: its figures would be lost.
func cpu(pid int) (time.Duration, error) {
	all, err := tree(pid)
	if err != nil {
		return 0, err
	}
	var sum int
	for i, p := range all {
		f, err := statFields(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil && i == 0 {
			return 0, fmt.Errorf("the process measured is gone: %w", err)
		} else if err != nil {
			continue
		}
		user, _ := strconv.Atoi(string(f[11]))
		system, _ := strconv.Atoi(string(f[12]))
		sum += user + system
	}
	return time.Duration(sum) * tick, nil
}

// memory is the proportional set size of a process tree, KiB: pages that several
// share are counted once.
func memory(pid int) (int, error) {
	all, err := tree(pid)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, p := range all {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", p, err)
		}
		_, rest, ok := bytes.Cut(b, []byte("\nPss:"))
		f := bytes.Fields(rest)
		if !ok || len(f) == 0 {
			return 0, fmt.Errorf("memory of process %d: no Pss in smaps_rollup", p)
		}
		n, err := strconv.Atoi(string(f[0]))
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", p, err)
		}
		sum += n
	}
	return sum, nil
}

// descriptors is how many files a process tree has open.
func descriptors(pid int) (int, error) {
	all, err := tree(pid)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, p := range all {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p))
		if err != nil {
			return 0, fmt.Errorf("descriptors of process %d: %w", p, err)
		}
		sum += len(fds)
	}
	return sum, nil
}
