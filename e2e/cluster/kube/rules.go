package main

import (
	"fmt"
	"sort"
	"strings"

	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// state is what the rules are made from; table is pure.
type state struct {
	node     string
	pods     []*core.Pod
	spaces   []*core.Namespace
	policies []*net.NetworkPolicy
}

// table has a chain for each pod of the node and each direction in which a policy isolates it. A chain returns what is
// allowed and drops the rest; a packet between two isolated pods has to pass both. Replies pass by their connection.
func (s *state) table() string {
	sort.Slice(s.pods, func(a, b int) bool { return s.pods[a].UID < s.pods[b].UID })
	sort.Slice(s.policies, func(a, b int) bool { return s.policies[a].UID < s.policies[b].UID })
	var chains, entries strings.Builder
	for _, direction := range []net.PolicyType{net.PolicyTypeEgress, net.PolicyTypeIngress} {
		var jumps []string
		for _, pod := range s.pods {
			rules, isolated := s.rules(pod, direction)
			if pod.Spec.NodeName != s.node || !hasAddress(pod) || !isolated {
				continue
			}
			chain := strings.ToLower(string(direction)) + "_" + strings.ReplaceAll(pod.Status.PodIP, ".", "_")
			fmt.Fprintf(&chains, "\tchain %s {\n%s\t\tcounter drop\n\t}\n", chain, rules)
			jumps = append(jumps, pod.Status.PodIP+" : jump "+chain)
		}
		if len(jumps) > 0 {
			fmt.Fprintf(&entries, "\t\tip %s vmap { %s }\n", own(direction), strings.Join(jumps, ", "))
		}
	}
	return "table ip netpol {\n" + chains.String() +
		"\tchain forward {\n\t\ttype filter hook forward priority -10; policy accept;\n\t\tct state established,related accept\n" +
		entries.String() + "\t}\n}\n"
}

// own is where a packet names the isolated pod, peer where it names the other side.
func own(direction net.PolicyType) string {
	if direction == net.PolicyTypeEgress {
		return "saddr"
	}
	return "daddr"
}

func peer(direction net.PolicyType) string {
	if direction == net.PolicyTypeEgress {
		return "daddr"
	}
	return "saddr"
}

// rules allow what any policy of the pod allows; isolated says whether there is one.
func (s *state) rules(pod *core.Pod, direction net.PolicyType) (rules string, isolated bool) {
	var text strings.Builder
	for _, policy := range s.policies {
		if policy.Namespace != pod.Namespace || !matches(&policy.Spec.PodSelector, pod.Labels) || !speaksOf(policy, direction) {
			continue
		}
		isolated = true
		if direction == net.PolicyTypeIngress {
			for _, rule := range policy.Spec.Ingress {
				s.allow(&text, direction, policy.Namespace, rule.From, rule.Ports, pod)
			}
		} else {
			for _, rule := range policy.Spec.Egress {
				s.allow(&text, direction, policy.Namespace, rule.To, rule.Ports, nil)
			}
		}
	}
	return text.String(), isolated
}

// speaksOf reads policyTypes, which the API server always fills in.
func speaksOf(policy *net.NetworkPolicy, direction net.PolicyType) bool {
	for _, each := range policy.Spec.PolicyTypes {
		if each == direction {
			return true
		}
	}
	return false
}

// allow writes one rule of a policy. target is the pod that the ports belong to; on the way out that is each peer.
func (s *state) allow(text *strings.Builder, direction net.PolicyType, space string, peers []net.NetworkPolicyPeer, ports []net.NetworkPolicyPort, target *core.Pod) {
	write := func(match string, target *core.Pod) {
		for _, port := range portMatches(ports, target) {
			fmt.Fprintf(text, "\t\t%s %s return\n", match, port)
		}
	}
	field := peer(direction)
	eachItsOwn := target == nil && namesPort(ports)
	if len(peers) == 0 && !eachItsOwn {
		write("", target)
		return
	}
	if len(peers) == 0 {
		peers = []net.NetworkPolicyPeer{{NamespaceSelector: &meta.LabelSelector{}}} // only pods have named ports
	}
	for _, each := range peers {
		if block := each.IPBlock; block != nil {
			match := fmt.Sprintf("ip %s %s", field, block.CIDR)
			if len(block.Except) > 0 {
				match += fmt.Sprintf(" ip %s != { %s }", field, strings.Join(block.Except, ", "))
			}
			write(match, target)
			continue
		}
		var addresses []string
		for _, pod := range s.pods {
			switch {
			case !hasAddress(pod) || !s.isPeer(each, space, pod):
			case eachItsOwn:
				write(fmt.Sprintf("ip %s %s", field, pod.Status.PodIP), pod)
			default:
				addresses = append(addresses, pod.Status.PodIP)
			}
		}
		if len(addresses) > 0 {
			write(fmt.Sprintf("ip %s { %s }", field, strings.Join(addresses, ", ")), target)
		}
	}
}

// portMatches gives a match for each port, an empty one when all ports are meant.
func portMatches(ports []net.NetworkPolicyPort, target *core.Pod) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var matches []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		switch {
		case port.Port == nil:
			matches = append(matches, "ip protocol "+protocol)
		case port.Port.Type == intstr.String:
			if number := numbered(target, port.Port.StrVal, protocol); number != 0 {
				matches = append(matches, fmt.Sprintf("%s dport %d", protocol, number))
			}
		case port.EndPort != nil:
			matches = append(matches, fmt.Sprintf("%s dport %d-%d", protocol, port.Port.IntVal, *port.EndPort))
		default:
			matches = append(matches, fmt.Sprintf("%s dport %d", protocol, port.Port.IntVal))
		}
	}
	return matches
}

func (s *state) isPeer(peer net.NetworkPolicyPeer, space string, pod *core.Pod) bool {
	if peer.NamespaceSelector == nil {
		if pod.Namespace != space {
			return false
		}
	} else if !s.spaceMatches(peer.NamespaceSelector, pod.Namespace) {
		return false
	}
	return peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)
}

func (s *state) spaceMatches(selector *meta.LabelSelector, name string) bool {
	for _, space := range s.spaces {
		if space.Name == name {
			return matches(selector, space.Labels)
		}
	}
	return false
}

func matches(selector *meta.LabelSelector, set map[string]string) bool {
	parsed, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(set))
}

func hasAddress(pod *core.Pod) bool {
	over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !over
}

func namesPort(ports []net.NetworkPolicyPort) bool {
	for _, port := range ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			return true
		}
	}
	return false
}

func numbered(pod *core.Pod, name, protocol string) int32 {
	if pod == nil {
		return 0
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == "" || strings.EqualFold(string(port.Protocol), protocol)) {
				return port.ContainerPort
			}
		}
	}
	return 0
}
