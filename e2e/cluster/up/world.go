package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

//go:embed manifests/kube-dns.yaml
var kubeDNS []byte

// world is the first process of the cluster's namespaces and starts all others. It ends, and with it the cluster, when its
// orders end.
func (s *spec) world() error {
	// Nothing that is mounted here is seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := awaitLink(); err != nil {
		return err
	}
	at := endpoints{etcd: 2379, peers: 2380, api: 6443, address: controlPlane}
	p := newParts(s, at)
	if err := s.worldNetwork(p.children); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	if err := s.startAll(p); err != nil {
		return err
	}
	s.tell("ready", "")
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		if name, found := strings.CutPrefix(orders.Text(), "start "); found {
			p.restart(name)
		}
	}
	return nil
}

// awaitLink waits until the host has put its end into our network; file 3 ends then.
func awaitLink() error {
	_, _ = os.NewFile(3, "link").Read(make([]byte, 1))
	if _, err := net.InterfaceByName("uplink"); err != nil {
		return fmt.Errorf("the link to the host: %w", err)
	}
	return nil
}

// startAll starts what takes long first: the nodes bring up containerd while etcd and the API server start.
func (s *spec) startAll(p *parts) error {
	a, err := newAuthority(s, fmt.Sprintf("https://%s:6443", controlPlane))
	if err != nil {
		return err
	}
	for file, who := range map[string][2]string{
		"controller-manager": {"system:kube-controller-manager", ""},
		"scheduler":          {"system:kube-scheduler", ""},
		"proxy":              {"system:kube-proxy", ""},
		"dns":                {"dns", "system:masters"},
		"netpol":             {"netpol", "system:masters"},
	} {
		if err := a.issue(file, who[0], who[1]); err != nil {
			return err
		}
	}
	for number := 1; number <= s.Nodes; number++ {
		name := nodeName(number)
		if err := a.issue(name, "system:node:"+name, "system:nodes", name, nodeAddress(number)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.path("Corefile"), []byte(s.corefile()), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("kube-dns.yaml"), kubeDNS, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("proxy.yaml"), []byte(s.proxyConfig(1)), 0o644); err != nil {
		return err
	}
	for number := 1; number <= s.Nodes; number++ {
		if err := p.start(nodeName(number)); err != nil {
			return err
		}
	}
	if err := p.startAPIWith(a); err != nil {
		return err
	}
	for _, name := range []string{"controller-manager", "scheduler", "dns", "proxy"} {
		if err := p.start(name); err != nil {
			return err
		}
	}
	if err := p.children.run(s.Kube, "kubectl", "--kubeconfig", "pki/admin.conf", "create", "-f", "kube-dns.yaml"); err != nil {
		return err
	}
	for number := 1; number <= s.Nodes; number++ {
		if err := p.await(nodeName(number)+" is Ready", 60*time.Second, func() bool { return p.api.nodeReady(nodeName(number)) }); err != nil {
			return err
		}
		s.tell("step", nodeName(number)+" is Ready")
	}
	return nil
}
