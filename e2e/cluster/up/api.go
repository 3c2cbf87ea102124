package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"time"
)

// api asks the API server as an administrator.
type api struct {
	server string
	client *http.Client
}

func newAPI(s *spec, server string) (*api, error) {
	root, err := os.ReadFile(s.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	own, err := tls.LoadX509KeyPair(s.path("pki", "admin.crt"), s.path("pki", "admin.key"))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}}
	return &api{server: server, client: &http.Client{Transport: transport, Timeout: 2 * time.Second}}, nil
}

func (a *api) ready() bool {
	answer, err := a.client.Get(a.server + "/readyz")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (a *api) nodeReady(name string) bool {
	answer, err := a.client.Get(a.server + "/api/v1/nodes/" + name)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if json.NewDecoder(answer.Body).Decode(&node) != nil {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return true
		}
	}
	return false
}
