package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// supervise holds the one cluster that fits on this host: it takes the lock, removes what a killed run left, starts the
// world, a process with namespaces of its own that everything else runs in, and clears up when that has ended. The kernel
// ends the world when we are killed, and all that is in it with the world.
func (s *spec) supervise() error {
	lock, err := s.takeTurn()
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := s.clear(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.path("logs"), 0o755); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return err
	}
	ended, err := s.startWorld()
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	select {
	case <-stop:
		_ = ended.Process.Kill()
	case <-waited(ended):
	}
	if os.Getenv("PORTOLAN_E2E_KEEP") != "" {
		return nil // for whoever looks at the logs; the next run clears up
	}
	return s.clear()
}

// takeTurn waits until no other cluster runs on this host.
func (s *spec) takeTurn() (*os.File, error) {
	lock, err := os.OpenFile(s.Dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for how := syscall.LOCK_EX | syscall.LOCK_NB; ; how = syscall.LOCK_EX {
		switch err := syscall.Flock(int(lock.Fd()), how); {
		case err == nil:
			return lock, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			s.tell("waiting", "another test run has the cluster")
		case errors.Is(err, syscall.EINTR):
		default:
			return nil, fmt.Errorf("%s: %w", lock.Name(), err)
		}
	}
}

// clear removes what a run that has ended leaves: the interface (sockets that nobody answers keep a network for minutes),
// cgroups and the folder.
func (s *spec) clear() error {
	if _, err := net.InterfaceByName(hostLink); err == nil {
		if output, err := exec.Command("ip", "link", "delete", hostLink).CombinedOutput(); err != nil {
			return fmt.Errorf("%s cannot be removed: %s", hostLink, output)
		}
	}
	if err := removeCgroups(); err != nil {
		return err
	}
	return os.RemoveAll(s.Dir)
}

func (s *spec) startWorld() (*exec.Cmd, error) {
	linked, link, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	world := exec.Command(own, "world", s.Dir)
	// Orders come to us and are for the world, which ends when they end.
	world.Stdin, world.Stdout, world.ExtraFiles = os.Stdin, os.Stdout, []*os.File{linked}
	world.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL, Setsid: true,
	}
	errorsOfWorld, err := os.Create(s.path("logs", "world.log"))
	if err != nil {
		return nil, err
	}
	defer errorsOfWorld.Close()
	world.Stderr = errorsOfWorld
	if err := world.Start(); err != nil {
		return nil, fmt.Errorf("namespaces: %w", err)
	}
	linked.Close()
	if err := s.hostLinked(world.Process.Pid); err != nil {
		_ = world.Process.Kill()
		return nil, err
	}
	return world, link.Close()
}

// hostLinked runs iproute2 with exec: our only child besides is the world, which the loop of `children` would take.
func (s *spec) hostLinked(pid int) error {
	for _, command := range s.hostNetwork(pid) {
		if output, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("`ip %s` failed: %s", command, output)
		}
	}
	return nil
}

func waited(command *exec.Cmd) <-chan error {
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	return done
}

// loopback is etcd and an API server as any user, in no namespaces; several may run at once.
func (s *spec) loopback() error {
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return err
	}
	s.Dir = dir
	if err := os.MkdirAll(s.path("logs"), 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(s.Dir)
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	at := endpoints{etcd: ports[0], peers: ports[1], api: ports[2], address: "127.0.0.1"}
	// A loopback address may not be an endpoint of the Service `kubernetes`, which nobody asks for here.
	p := newParts(s, at, "--endpoint-reconciler-type=none")
	if err := p.startAPI(); err != nil {
		return err
	}
	s.tell("ready", "")
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	select {
	case <-stop:
	case <-ended:
	}
	p.killAll()
	return nil
}
