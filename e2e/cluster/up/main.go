// up starts a Kubernetes on this machine and holds it until its standard input ends, so that a cluster never outlives the
// test run that started it. It tells what happens as lines of JSON on standard output; lines on standard input are orders.
//
//	up cluster DIR KUBE PAUSE_IMAGE NODES   control plane and nodes, each node in namespaces of its own (needs root)
//	up control-plane DIR KUBE               etcd and API server on loopback ports, as any user
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// spec is what every process of a cluster knows; it lies in the cluster's folder.
type spec struct {
	// Dir holds all that the cluster writes.
	Dir string
	// Kube is the binary with all parts of Kubernetes.
	Kube string
	// Pause is the image of pods' sandboxes.
	Pause string
	// Nodes is how many there are.
	Nodes int
	// Began is when the first process started.
	Began time.Time
}

func (s *spec) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

func (s *spec) save() error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path("spec.json"), text, 0o600)
}

func saved(dir string) (*spec, error) {
	text, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if err != nil {
		return nil, err
	}
	read := new(spec)
	return read, json.Unmarshal(text, read)
}

// event is one line for whoever started us. Seconds count from the start.
type event struct {
	// Event is waiting, step, ready, ended, started or failed.
	Event string `json:"event"`
	// What is the step, the part or the reason.
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"`
}

var telling sync.Mutex

func (s *spec) tell(kind, what string) {
	telling.Lock()
	defer telling.Unlock()
	line, _ := json.Marshal(event{Event: kind, What: what, Seconds: time.Since(s.Began).Seconds()})
	fmt.Println(string(line))
}

func init() {
	// Children die with the thread that started them (Pdeathsig), and the first thread lives as long as the process.
	runtime.LockOSThread()
	// Whoever listened may be gone, and there is still to be cleared up. (Ignored, it would be ignored by all children.)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

func main() {
	arguments := os.Args[1:]
	of := func(name string, count int) bool { return len(arguments) == count && arguments[0] == name }
	s := &spec{Began: time.Now()}
	var err error
	switch {
	case of("cluster", 5):
		s.Dir, s.Kube, s.Pause = arguments[1], arguments[2], arguments[3]
		if s.Nodes, err = strconv.Atoi(arguments[4]); err == nil {
			err = s.supervise()
		}
	case of("control-plane", 3):
		s.Dir, s.Kube = arguments[1], arguments[2]
		err = s.loopback()
	case of("world", 2):
		if s, err = saved(arguments[1]); err == nil {
			err = s.world()
		}
	case of("node", 3):
		var number int
		if s, err = saved(arguments[1]); err == nil {
			if number, err = strconv.Atoi(arguments[2]); err == nil {
				err = s.node(number)
			}
		}
	default:
		err = fmt.Errorf("usage: up cluster DIR KUBE PAUSE_IMAGE NODES | up control-plane DIR KUBE")
	}
	if err != nil {
		s.tell("failed", err.Error())
		os.Exit(1)
	}
}
