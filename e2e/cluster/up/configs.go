package main

import "strings"

// fill puts values into the places that @NAME@ marks.
func (s *spec) fill(text string, pairs ...string) string {
	return strings.NewReplacer(append([]string{"@DIR@", s.Dir}, pairs...)...).Replace(text)
}

// cniConfig routes each pod by itself (ptp instead of a bridge), so that policies see traffic between pods of one node too;
// without masquerading, which would hide who asks.
func (s *spec) cniConfig(number int) string {
	return s.fill(`{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "@DIR@/@NODE@/addresses", "ranges": [[{"subnet": "@PODS@"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`, "@NODE@", nodeName(number), "@PODS@", nodePods(number))
}

// containerdConfig: runc may not lower oom_score_adj where CAP_SYS_RESOURCE is missing, and no sandbox starts unless
// restrict_oom_score_adj is set.
func (s *spec) containerdConfig(node string) string {
	return s.fill(`version = 2
root = "@DIR@/@NODE@/containerd"
state = "@DIR@/@NODE@/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "@DIR@/@NODE@/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/portolan/pause:e2e"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "@DIR@/@NODE@/cni"
`, "@NODE@", node)
}

func (s *spec) kubeletConfig(node string) string {
	return s.fill(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: @DIR@/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: @DIR@/pki/@NODE@.crt
tlsPrivateKeyFile: @DIR@/pki/@NODE@.key
cgroupDriver: cgroupfs
cgroupRoot: /@CGROUP@/@NODE@
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://@DIR@/@NODE@/containerd.sock
clusterDNS: [@DNS@]
clusterDomain: cluster.local
resolvConf: @DIR@/@NODE@/resolv.conf
nodeLeaseDurationSeconds: 8
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
enforceNodeAllocatable: []
`, "@NODE@", node, "@CGROUP@", ownCgroup, "@DNS@", dnsService)
}

// proxyConfig leaves the kernel's table of connections as it is: it is this host's.
func (s *spec) proxyConfig(number int) string {
	return s.fill(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: @DIR@/pki/proxy.conf}
mode: iptables
clusterCIDR: @PODS@
hostnameOverride: @NODE@
iptables: {minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`, "@NODE@", nodeName(number), "@PODS@", podsOfAll)
}
