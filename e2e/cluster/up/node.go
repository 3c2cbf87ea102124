package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// node is the first process of a node's namespaces: killing it kills containerd, the kubelet and every pod.
func (s *spec) node(number int) error {
	name := nodeName(number)
	if err := awaitNodeLink(); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return err
	}
	if err := s.nodeMounts(name); err != nil {
		return err
	}
	if err := makeCgroup(name); err != nil {
		return err
	}
	c := newChildren(s, s.path("logs", name))
	if err := s.nodeNetwork(c, number); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	if err := s.nodeConfigs(number); err != nil {
		return err
	}
	if _, err := c.start("containerd", 0, nil, "containerd", "-c", s.path(name, "containerd.toml")); err != nil {
		return err
	}
	socket := s.path(name, "containerd.sock")
	for deadline := time.Now().Add(30 * time.Second); c.run("ctr", "-a", socket, "version") != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer: %s", c.lastWords("containerd"))
		}
	}
	if err := c.run("ctr", "-a", socket, "-n", "k8s.io", "images", "import", s.Pause); err != nil {
		return err
	}
	// A kubelet that finds no API server waits seconds before it asks again.
	a, err := newAPIAwaited(s)
	if err != nil {
		return err
	}
	for !a.ready() {
		time.Sleep(50 * time.Millisecond)
	}
	for _, part := range [][]string{
		{"kubelet", "--config=" + s.path(name, "kubelet.yaml"), "--kubeconfig=" + s.path("pki", name+".conf"), "--hostname-override=" + name,
			"--node-ip=" + nodeAddress(number), "--root-dir=" + s.path(name, "kubelet"), "--cert-dir=" + s.path(name, "kubelet", "pki")},
		{"proxy", "--config=" + s.path(name, "proxy.yaml")},
		{"netpol", "--kubeconfig", s.path("pki", "netpol.conf"), "--node", name},
	} {
		if _, err := c.start(part[0], 0, nil, append([]string{s.Kube}, part...)...); err != nil {
			return err
		}
	}
	select {} // orphans come to us; we end only by being killed
}

// awaitNodeLink waits until the world has put the interface into our network; file 3 ends then.
func awaitNodeLink() error {
	_, err := os.NewFile(3, "link").Read(make([]byte, 1))
	if err == nil {
		return fmt.Errorf("file 3 is not the link")
	}
	return nil
}

// nodeMounts makes the node's mounts its own, shared among its pods, and hides the folders at fixed places that two nodes
// would both use.
func (s *spec) nodeMounts(name string) error {
	for _, how := range []uintptr{syscall.MS_PRIVATE, syscall.MS_SHARED} {
		if err := syscall.Mount("", "/", "", syscall.MS_REC|how, ""); err != nil {
			return fmt.Errorf("mounts: %w", err)
		}
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	// Sockets of shims, states of runc, network namespaces of pods: of no use to a node that starts again.
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("/run: %w", err)
	}
	for _, folder := range []string{"/run/lock", "/run/netns"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	for target, own := range map[string]string{"/var/log": "log", "/var/lib/cni": "cni-results"} {
		folder := s.path(name, own)
		for _, each := range []string{folder, target} {
			if err := os.MkdirAll(each, 0o755); err != nil {
				return err
			}
		}
		if err := syscall.Mount(folder, target, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	return os.MkdirAll(s.path("logs", name), 0o755)
}

// nodeConfigs writes what the parts of a node read.
func (s *spec) nodeConfigs(number int) error {
	name := nodeName(number)
	for file, text := range map[string]string{
		"cni/10-pods.conflist": s.cniConfig(number),
		"containerd.toml":      s.containerdConfig(name),
		"kubelet.yaml":         s.kubeletConfig(name),
		"proxy.yaml":           s.proxyConfig(number),
		"resolv.conf":          "nameserver " + dnsService + "\n",
	} {
		path := s.path(name, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newAPIAwaited waits for the administrator's certificate, which the world writes meanwhile.
func newAPIAwaited(s *spec) (*api, error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(s.path("pki", "admin.conf")); err == nil || time.Now().After(deadline) {
			return newAPI(s, fmt.Sprintf("https://%s:6443", controlPlane))
		}
	}
}
