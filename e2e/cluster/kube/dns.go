package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/template"
)

// serveNames is CoreDNS with what the names of a cluster need and nothing else.
// A query passes the plugins in the order of this list.
func serveNames() {
	dnsserver.Directives = []string{"bind", "errors", "cache", "loadbalance", "kubernetes", "template"}
	coremain.Run()
}
