package door

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/portero/portero/sip/transport"
)

// TLS are the certificates of SIP over TLS and WSS. They are read at start and
// anew at each reload; connections that are open go on with the old ones.
type TLS struct {
	// Certificates are shown to those who connect: the first that fits the name
	// they ask for (SNI), else the first of all. Default: none; tls and wss
	// listeners need one.
	Certificates []Certificate `yaml:"certificates"`
	// ClientCertificates says whether those who connect over tls show one too: none
	// (they are not asked), request (one that is shown must be good) or require.
	// Those of wss are never asked: browsers would ask their users. Default: none.
	ClientCertificates string `yaml:"client_certificates"`
	// ClientCA is a PEM file with the authorities of their certificates. Default:
	// none; request and require need it.
	ClientCA string `yaml:"client_ca"`
	// CA is a PEM file with the authorities of PBXs and trunks that the door
	// connects to. Default: the system's.
	CA string `yaml:"ca"`
	// Own is the certificate that the door shows to PBXs and trunks that ask for
	// one. Default: none.
	Own Certificate `yaml:"own"`
	// Names says which name the certificate behind an IP address must be for.
	// Default: the name in the URI, or the address itself.
	Names map[string]string `yaml:"names"`
}

// Certificate is a certificate and its key.
type Certificate struct {
	// Cert is a PEM file with the certificate and those between it and its
	// authority. Default: none.
	Cert string `yaml:"cert"`
	// Key is a PEM file with its private key. Default: none.
	Key string `yaml:"key"`
}

func (c TLS) check(door Config, fault func(path, format string, args ...any)) {
	for i, p := range c.Certificates {
		if p.Cert == "" || p.Key == "" {
			fault(fmt.Sprintf("tls.certificates[%d]", i), "a certificate needs both files; allowed: cert and key")
		}
	}
	if (c.Own.Cert == "") != (c.Own.Key == "") {
		fault("tls.own", "a certificate needs both files; allowed: cert and key, or neither")
	}
	if len(c.Certificates) == 0 && door.listens(transport.TLS, transport.WSS) {
		fault("tls.certificates", "there is none, and a listener over tls or wss needs one")
	}
	switch c.ClientCertificates {
	case "none":
	case "request", "require":
		if c.ClientCA == "" {
			fault("tls.client_ca", "client certificates are asked for, and nothing says which are good; allowed: a PEM file")
		}
	default:
		fault("tls.client_certificates", "%q is not known; allowed: none, request, require", c.ClientCertificates)
	}
	for a, name := range c.Names {
		if _, err := netip.ParseAddr(trimBrackets(a)); err != nil {
			fault("tls.names", "%q is no IP address", a)
		}
		if h, err := parseHost(name); err != nil || h.port != 0 {
			fault("tls.names", "%q is no name of a host", name)
		}
	}
}

// tlsFiles are the configurations that follow from TLS and its files.
type tlsFiles struct {
	server *tls.Config
	web    *tls.Config
	client *tls.Config
	names  map[netip.Addr]string
}

// load reads the files.
func (c TLS) load() (*tlsFiles, error) {
	var errs []error
	certificates := func(path string, list ...Certificate) (out []tls.Certificate) {
		for i, p := range list {
			pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
			if err != nil {
				errs = append(errs, fmt.Errorf("sip.tls.%s: the certificate %d cannot be used: %w", path, i+1, err))
				continue
			}
			out = append(out, pair)
		}
		return out
	}
	pool := func(path, file string) *x509.CertPool {
		if file == "" {
			return nil
		}
		b, err := os.ReadFile(file)
		p := x509.NewCertPool()
		if err == nil && !p.AppendCertsFromPEM(b) {
			err = errors.New(file + " has no certificate in PEM form")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sip.tls.%s: %w", path, err))
		}
		return p
	}
	f := &tlsFiles{
		web:    &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates("certificates", c.Certificates...), NextProtos: []string{"http/1.1"}},
		client: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool("ca", c.CA), ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		names:  map[netip.Addr]string{},
	}
	f.server = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: f.web.Certificates, ClientCAs: pool("client_ca", c.ClientCA)}
	switch c.ClientCertificates {
	case "request":
		f.server.ClientAuth = tls.VerifyClientCertIfGiven
	case "require":
		f.server.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.Own.Cert != "" {
		f.client.Certificates = certificates("own", c.Own)
	}
	for a, name := range c.Names {
		if addr, err := netip.ParseAddr(trimBrackets(a)); err == nil {
			f.names[addr.Unmap()] = name
		}
	}
	return f, errors.Join(errs...)
}

// ReloadTLS puts other certificates in place, for connections made from now on.
// An error changes nothing.
func (d *Door) ReloadTLS(c TLS) error {
	f, err := c.load()
	if err != nil {
		return err
	}
	if len(c.Certificates) == 0 && d.cfg.listens(transport.TLS, transport.WSS) {
		return errors.New("sip.tls.certificates: there is none, and a listener over tls or wss needs one")
	}
	d.tls.Store(f)
	return nil
}

// serverTLS is for a listener: the certificates of the moment.
func (d *Door) serverTLS(over string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if over == transport.WSS {
			return d.tls.Load().web, nil
		}
		return d.tls.Load().server, nil
	}}
}

// clientTLS is for a connection that the door makes.
func (d *Door) clientTLS(t transport.Target) *tls.Config {
	f := d.tls.Load()
	cfg := f.client.Clone()
	a := t.Addr.Addr().Unmap()
	for _, name := range []string{f.names[a], t.Name, d.upstream.Host(a)} {
		if name != "" {
			cfg.ServerName = name
			return cfg
		}
	}
	for _, t := range d.trunks {
		if t.place != nil && t.place.Host(a) != "" {
			cfg.ServerName = t.place.Host(a)
			break
		}
	}
	return cfg
}
