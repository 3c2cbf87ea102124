package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// enforce applies the NetworkPolicies (IPv4) to the pods of one node. It runs in the node's network namespace, where all
// traffic of pods is routed, and replaces its one nftables table in one transaction whenever the rules change.
func enforce() {
	kubeconfig := flag.String("kubeconfig", "", "")
	node := flag.String("node", "", "name of this node")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	pods, spaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // told already
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), spaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			log.Fatal(err)
		}
	}
	forever := context.Background().Done()
	factory.Start(forever)
	factory.WaitForCacheSync(forever)
	tell()
	applied := ""
	for range changed {
		everything := labels.Everything()
		state := state{node: *node}
		state.pods, _ = pods.Lister().List(everything)
		state.spaces, _ = spaces.Lister().List(everything)
		state.policies, _ = policies.Lister().List(everything)
		table := state.table()
		if table == applied {
			continue
		}
		if err := load(table); err != nil {
			log.Printf("nft: %v\n%s", err, table)
			time.Sleep(time.Second)
			tell()
			continue
		}
		applied = table
		log.Printf("applied %d lines", strings.Count(table, "\n"))
	}
}

// load replaces the table; `add` before `delete` because it may not be there.
func load(table string) error {
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader("add table ip netpol\ndelete table ip netpol\n" + table)
	nft.Stderr = os.Stderr
	return nft.Run()
}
