package main

import "fmt"

// The addresses of RFC 2544 are set aside for tests: nothing real is ever there.
const (
	// host is this machine as nodes and pods see it, hostLink the interface that it has for it.
	host, hostLink = "198.18.0.1", "portolan0"
	controlPlane   = "198.18.0.10"
	podsOfAll      = "198.18.64.0/18"
	services       = "198.19.0.0/16"
	firstService   = "198.19.0.1"
	dnsService     = "198.19.0.10"
)

func nodeName(number int) string    { return fmt.Sprintf("node%d", number) }
func nodeAddress(number int) string { return fmt.Sprintf("198.18.0.%d", 10+number) }
func nodePods(number int) string    { return fmt.Sprintf("198.18.%d.0/24", 63+number) }

// hostNetwork joins this host to the bridge in the network of a process: tests reach nodes, pods and, by a
// proxy beside the control plane, Services.
func (s *spec) hostNetwork(pid int) []string {
	commands := []string{
		fmt.Sprintf("link add %s type veth peer name uplink netns %d", hostLink, pid),
		fmt.Sprintf("addr add %s/24 dev %s", host, hostLink),
		"link set up dev " + hostLink,
		// By the proxy beside the control plane, so that Services are reached when a node is killed.
		fmt.Sprintf("route add %s via %s", services, controlPlane),
	}
	for number := 1; number <= s.Nodes; number++ {
		commands = append(commands, fmt.Sprintf("route add %s via %s", nodePods(number), nodeAddress(number)))
	}
	return commands
}

// worldNetwork is a bridge with the control plane on it.
func (s *spec) worldNetwork(c *children) error {
	commands := []string{
		"link set up dev lo",
		// With an address of its own. Without one it takes the lowest of its ports, another one when a node is killed, and
		// whoever knew the old one speaks to nobody for half a minute.
		"link add bridge address 02:00:c6:12:00:01 type bridge",
		fmt.Sprintf("addr add %s/24 dev bridge", controlPlane),
		"link set uplink master bridge up",
		"link set up dev bridge",
		"route add default via " + host,
	}
	for number := 1; number <= s.Nodes; number++ {
		commands = append(commands, fmt.Sprintf("route add %s via %s", nodePods(number), nodeAddress(number)))
	}
	return c.ip(commands...)
}

// linkNode puts an interface into the network of a node. A node that was killed took its own along.
func linkNode(c *children, number, pid int) error {
	name := nodeName(number)
	return c.ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %d", name, pid), fmt.Sprintf("link set %s master bridge up", name))
}

// nodeNetwork is what a node does inside its own network.
func (s *spec) nodeNetwork(c *children, number int) error {
	commands := []string{
		"link set up dev lo",
		fmt.Sprintf("addr add %s/24 dev eth0", nodeAddress(number)),
		"link set up dev eth0",
		"route add default via " + host,
	}
	for other := 1; other <= s.Nodes; other++ {
		if other != number {
			commands = append(commands, fmt.Sprintf("route add %s via %s", nodePods(other), nodeAddress(other)))
		}
	}
	return c.ip(commands...)
}
