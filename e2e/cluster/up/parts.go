package main

import (
	"fmt"
	"strings"
)

// endpoints are where a control plane listens.
type endpoints struct {
	// etcd is its port for clients, peers the one for its peers, both on loopback.
	etcd, peers int
	// api is the API server's port on address.
	api     int
	address string
}

// etcd syncs nothing to the disk: the cluster is gone with the run, and a test machine's disk would set its pace.
func (s *spec) etcd(at endpoints) []string {
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", at.etcd), fmt.Sprintf("http://127.0.0.1:%d", at.peers)
	return []string{s.Kube, "etcd", "--data-dir", s.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer}
}

func (s *spec) apiServer(at endpoints, more ...string) []string {
	line := []string{s.Kube, "apiserver",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", at.etcd),
		"--advertise-address=" + at.address, "--bind-address=" + at.address, fmt.Sprintf("--secure-port=%d", at.api),
		"--tls-cert-file=pki/apiserver.crt", "--tls-private-key-file=pki/apiserver.key", "--client-ca-file=pki/ca.crt",
		"--requestheader-client-ca-file=pki/ca.crt", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=pki/admin.crt", "--proxy-client-key-file=pki/admin.key",
		"--kubelet-client-certificate=pki/admin.crt", "--kubelet-client-key=pki/admin.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-key-file=pki/sa.pub", "--service-account-signing-key-file=pki/sa.key",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-cluster-ip-range=" + services, "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		// Aggregated APIs and webhooks reach processes of this host through endpoints that are written by hand.
		"--enable-aggregator-routing=true",
	}
	return append(line, more...)
}

func (s *spec) controllers() []string {
	return append([]string{s.Kube, "controller-manager", "--service-account-private-key-file=pki/sa.key", "--root-ca-file=pki/ca.crt",
		"--cluster-signing-cert-file=pki/ca.crt", "--cluster-signing-key-file=pki/ca.key", "--use-service-account-credentials",
		// A node that is gone is noticed in 15 s instead of 50 s; kubelets renew their leases every 2 s (kubeletConfig).
		"--node-monitor-period=2s", "--node-monitor-grace-period=15s", "--leader-elect=false"}, configs("controller-manager")...)
}

func (s *spec) scheduler() []string {
	return append([]string{s.Kube, "scheduler", "--leader-elect=false"}, configs("scheduler")...)
}

// configs name the kubeconfig for each purpose that a part has one for.
func configs(part string) []string {
	file := "pki/" + part + ".conf"
	return []string{"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file}
}

func (s *spec) dns() []string { return []string{s.Kube, "dns", "-conf", s.path("Corefile")} }

// corefile knows the cluster's own names; every other name is said not to exist, since nothing outside is reached.
func (s *spec) corefile() string {
	return strings.NewReplacer("ADDRESS", controlPlane, "CONFIG", s.path("pki", "dns.conf")).Replace(`.:53 {
    bind ADDRESS
    errors
    cache 5
    loadbalance
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig CONFIG
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
`)
}

// issueControlPlane writes what API server and administrators need.
func (a *authority) issueControlPlane(address string) error {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"127.0.0.1", firstService, address}
	if err := a.issue("apiserver", "kube-apiserver", "", names...); err != nil {
		return err
	}
	if err := a.serviceAccounts(); err != nil {
		return err
	}
	return a.issue("admin", "admin", "system:masters")
}
