package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// parts are the processes of a cluster by name: etcd, apiserver, controller-manager, scheduler, dns, proxy, node1, node2.
type parts struct {
	spec     *spec
	at       endpoints
	more     []string
	children *children
	api      *api
	lock     sync.Mutex
	running  map[string]*child
	// over has the parts that ended, until they are started again.
	over map[string]bool
}

// newParts starts nothing; more flags are for the API server.
func newParts(s *spec, at endpoints, more ...string) *parts {
	return &parts{spec: s, at: at, more: more, children: newChildren(s, s.path("logs")), running: map[string]*child{}, over: map[string]bool{}}
}

// start runs a part and tells when it ends.
func (p *parts) start(name string) error {
	line, flags := p.line(name)
	if line == nil {
		return fmt.Errorf("there is no part %s", name)
	}
	var files []*os.File
	var link *os.File
	if flags != 0 {
		linked, ours, err := os.Pipe()
		if err != nil {
			return err
		}
		defer linked.Close()
		files, link = []*os.File{linked}, ours
	}
	started, err := p.children.start(name, flags, files, line...)
	if err != nil {
		return err
	}
	p.lock.Lock()
	p.running[name] = started
	delete(p.over, name)
	p.lock.Unlock()
	go func() {
		<-started.ended
		p.lock.Lock()
		delete(p.running, name)
		p.over[name] = true
		p.lock.Unlock()
		p.spec.tell("ended", name)
	}()
	if number, isNode := nodeNumber(name); isNode {
		// Closed in any case: a node without an interface says so and ends.
		defer link.Close()
		return linkNode(p.children, number, started.pid)
	}
	return nil
}

// line is how a part is started, and in which new namespaces.
func (p *parts) line(name string) ([]string, uintptr) {
	s := p.spec
	if number, isNode := nodeNumber(name); isNode {
		if number < 1 || number > s.Nodes {
			return nil, 0
		}
		own, _ := os.Executable()
		return []string{own, "node", s.Dir, strconv.Itoa(number)},
			syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	}
	switch name {
	case "etcd":
		return s.etcd(p.at), 0
	case "apiserver":
		return s.apiServer(p.at, p.more...), 0
	case "controller-manager":
		return s.controllers(), 0
	case "scheduler":
		return s.scheduler(), 0
	case "dns":
		return s.dns(), 0
	case "proxy":
		return []string{s.Kube, "proxy", "--config=proxy.yaml"}, 0
	default:
		return nil, 0
	}
}

func nodeNumber(name string) (int, bool) {
	digits, isNode := strings.CutPrefix(name, "node")
	number, err := strconv.Atoi(digits)
	return number, isNode && err == nil
}

// restart starts a part that has ended, at the order of a test.
func (p *parts) restart(name string) {
	p.lock.Lock()
	_, runs := p.running[name]
	p.lock.Unlock()
	if runs {
		p.spec.tell("failed", name+" runs already")
		return
	}
	if err := p.start(name); err != nil {
		p.spec.tell("failed", err.Error())
		return
	}
	p.spec.tell("started", name)
}

// startAPI starts etcd and the API server and waits until it is ready.
func (p *parts) startAPI() error {
	a, err := newAuthority(p.spec, fmt.Sprintf("https://%s:%d", p.at.address, p.at.api))
	if err != nil {
		return err
	}
	return p.startAPIWith(a)
}

func (p *parts) startAPIWith(a *authority) error {
	if err := a.issueControlPlane(p.at.address); err != nil {
		return err
	}
	for _, name := range []string{"etcd", "apiserver"} {
		if err := p.start(name); err != nil {
			return err
		}
	}
	var err error
	if p.api, err = newAPI(p.spec, a.server); err != nil {
		return err
	}
	if err := p.await("the API server is ready", 60*time.Second, p.api.ready); err != nil {
		return err
	}
	p.spec.tell("step", "the API server is ready")
	return nil
}

// await asks until it is so; a part that ends meanwhile ends the waiting.
func (p *parts) await(what string, limit time.Duration, so func() bool) error {
	for deadline := time.Now().Add(limit); !so(); time.Sleep(25 * time.Millisecond) {
		p.lock.Lock()
		for name := range p.over {
			p.lock.Unlock()
			return fmt.Errorf("%s ended before %s: %s", name, what, p.children.lastWords(name))
		}
		p.lock.Unlock()
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain until %s; logs are in %s", limit, what, p.children.logs)
		}
	}
	return nil
}

// killAll ends all parts and waits for them.
func (p *parts) killAll() {
	p.lock.Lock()
	for _, each := range p.running {
		_ = syscall.Kill(each.pid, syscall.SIGKILL)
	}
	p.lock.Unlock()
	for count := 1; count > 0; time.Sleep(5 * time.Millisecond) {
		p.lock.Lock()
		count = len(p.running)
		p.lock.Unlock()
	}
}

// freePorts are ports on loopback that nobody has just now.
func freePorts(count int) ([]int, error) {
	var found []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close() // all at the end, so that they differ
		found = append(found, listener.Addr().(*net.TCPAddr).Port)
	}
	return found, nil
}
