package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs the certificates of one cluster and writes them into DIR/pki.
type authority struct {
	spec        *spec
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	server      string
}

// newAuthority begins the folder of certificates; server is the URL that kubeconfigs name.
func newAuthority(s *spec, server string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate("portolan-e2e", nil)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{spec: s, key: key, certificate: signed, server: server}
	if err := os.MkdirAll(s.path("pki"), 0o700); err != nil {
		return nil, err
	}
	if err := a.writeKey("ca", key); err != nil {
		return nil, err
	}
	return a, a.write("ca.crt", "CERTIFICATE", der)
}

func certificate(name string, organisations []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: organisations},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
}

// issue writes FILE.crt and FILE.key for both sides of TLS, and FILE.conf, a kubeconfig that needs no other file.
func (a *authority) issue(file, name, group string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	var groups []string
	if group != "" {
		groups = []string{group}
	}
	template := certificate(name, groups)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := a.write(file+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	if err := a.writeKey(file, key); err != nil {
		return err
	}
	return a.writeConfig(file)
}

// serviceAccounts writes the pair that signs and checks tokens of ServiceAccounts.
func (a *authority) serviceAccounts() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := a.writeKey("sa", key); err != nil {
		return err
	}
	return a.write("sa.pub", "PUBLIC KEY", public)
}

func (a *authority) writeKey(file string, key crypto.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return a.write(file+".key", "EC PRIVATE KEY", der)
}

func (a *authority) write(file, kind string, der []byte) error {
	return os.WriteFile(a.spec.path("pki", file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (a *authority) writeConfig(file string) error {
	var data [3]string
	for at, name := range []string{"ca.crt", file + ".crt", file + ".key"} {
		text, err := os.ReadFile(a.spec.path("pki", name))
		if err != nil {
			return err
		}
		data[at] = base64.StdEncoding.EncodeToString(text)
	}
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: e2e
contexts: [{name: e2e, context: {cluster: e2e, user: %[1]s}}]
clusters: [{name: e2e, cluster: {server: %[2]q, certificate-authority-data: %[3]s}}]
users: [{name: %[1]s, user: {client-certificate-data: %[4]s, client-key-data: %[5]s}}]
`, file, a.server, data[0], data[1], data[2])
	// Whole or not at all: others wait for this file.
	partial := a.spec.path("pki", "."+file)
	if err := os.WriteFile(partial, []byte(config), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, a.spec.path("pki", file+".conf"))
}
