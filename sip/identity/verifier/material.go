package verifier

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"github.com/portero/portero/sip/identity/stir"
)

// material is what a configuration comes to: everything that SIGHUP may change.
type material struct {
	cfg    Config
	policy stir.Policy
	store  map[string]*stir.Chain // by x5u
	hosts  []host
	nets   []netip.Prefix
	tls    *x509.CertPool // nil: the system's
	http   *http.Client
}

// load reads the files of a configuration and reports what it cannot read.
func (c Config) load(fault func(path, format string, args ...any)) *material {
	m := &material{cfg: c, store: map[string]*stir.Chain{}}
	var anchors []*x509.Certificate
	for i, name := range c.Anchors {
		certs, err := readPEM(name)
		if err != nil {
			fault(fmt.Sprintf("anchors[%d]", i), "%v; allowed: a PEM file of certificates", err)
		}
		anchors = append(anchors, certs...)
	}
	m.policy = stir.Policy{Roots: stir.NewRoots(anchors), MaxAge: c.MaxAge, CountryCode: c.CountryCode}
	for _, u := range slices.Sorted(maps.Keys(c.Certificates)) {
		b, err := readFile(c.Certificates[u])
		if err == nil {
			m.store[u], err = stir.ParseChain(b)
		}
		if err != nil {
			fault("certificates."+u, "%v; allowed: a PEM file, the signer's certificate first", err)
		}
	}
	for _, s := range c.FetchFrom {
		if h, err := parseHost(s); err == nil { // Check tells of the others
			m.hosts = append(m.hosts, h)
		}
	}
	for _, s := range c.FetchPrivate {
		if p, err := parseNetwork(s); err == nil {
			m.nets = append(m.nets, p)
		}
	}
	if c.FetchCA != "" {
		certs, err := readPEM(c.FetchCA)
		if err != nil {
			fault("fetch_ca", "%v; allowed: a PEM file of certificates", err)
		}
		m.tls = x509.NewCertPool()
		for _, cert := range certs {
			m.tls.AddCert(cert)
		}
	}
	return m
}

// maxFile bounds the files that the configuration names, bytes.
const maxFile = 4 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no plain file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return os.ReadFile(name)
}

// readPEM reads any number of certificates.
func readPEM(name string) ([]*x509.Certificate, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d cannot be read: %w", name, len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New(name + " has no PEM certificate")
	}
	return out, nil
}
