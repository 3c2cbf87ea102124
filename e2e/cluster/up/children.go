package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// children are the processes of one process that may be the first of its pid namespace: whatever is orphaned there comes to
// it, so one loop waits for everybody.
type children struct {
	spec *spec
	// Logs is where each child writes.
	logs string
	lock sync.Mutex
	// awaited are told how their child ended.
	awaited map[int]chan syscall.WaitStatus
}

func newChildren(s *spec, logs string) *children {
	c := &children{spec: s, logs: logs, awaited: map[int]chan syscall.WaitStatus{}}
	go c.reap()
	return c
}

// child is one that was started.
type child struct {
	pid   int
	ended chan syscall.WaitStatus
}

// start runs a program, its output appended to a log of that name.
func (c *children) start(log string, flags uintptr, files []*os.File, line ...string) (*child, error) {
	program, err := exec.LookPath(line[0])
	if err != nil {
		return nil, err
	}
	output, err := os.OpenFile(c.logPath(log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer nothing.Close()
	handles := []uintptr{nothing.Fd(), output.Fd(), output.Fd()}
	for _, file := range files {
		handles = append(handles, file.Fd())
	}
	attributes := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	// Held over the fork, so that the loop never sees a child that is not yet written down.
	c.lock.Lock()
	defer c.lock.Unlock()
	pid, err := syscall.ForkExec(program, line, &syscall.ProcAttr{Dir: c.spec.Dir, Env: os.Environ(), Files: handles, Sys: attributes})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", line[0], err)
	}
	started := &child{pid: pid, ended: make(chan syscall.WaitStatus, 1)}
	c.awaited[pid] = started.ended
	return started, nil
}

// run runs a program to its end.
func (c *children) run(line ...string) error {
	started, err := c.start("setup", 0, nil, line...)
	if err != nil {
		return err
	}
	if status := <-started.ended; !status.Exited() || status.ExitStatus() != 0 {
		return fmt.Errorf("`%s` failed: %s", strings.Join(line, " "), c.lastWords("setup"))
	}
	return nil
}

// ip runs commands of iproute2, a string each.
func (c *children) ip(commands ...string) error {
	for _, command := range commands {
		if err := c.run(append([]string{"ip"}, strings.Fields(command)...)...); err != nil {
			return err
		}
	}
	return nil
}

func (c *children) logPath(log string) string { return c.logs + "/" + log + ".log" }

// lastWords are the last lines of a log.
func (c *children) lastWords(log string) string {
	text, _ := os.ReadFile(c.logPath(log))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

func (c *children) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			time.Sleep(10 * time.Millisecond) // nobody to wait for yet
			continue
		}
		if err != nil {
			continue
		}
		c.lock.Lock()
		ended, known := c.awaited[pid]
		delete(c.awaited, pid)
		c.lock.Unlock()
		if known {
			ended <- status
		}
	}
}
