package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Over TLS: the door's listener, and Kamailio's beside its behindAddr. The
// certificates are for names, which no DNS tells here.
const (
	doorTLSAddr   = doorHost + ":5061"
	behindTLSAddr = "127.0.60.35:5061"
	doorName      = "portero.test"
	kamailioName  = "kamailio.test"
)

// testKamailioTLS has Kamailio, whose TLS is OpenSSL's, on one side of the door
// and SIPp over UDP at both ends. Both connect: Kamailio in front of the door, the
// door to Kamailio behind it, and that one to the door again when the far side is
// the first to say something within the dialog.
func testKamailioTLS(t *testing.T, b *bed) {
	calls := []sippCase{
		{uac: "uac-basic", uas: "uas-basic", service: "900"},
		{uac: "uac-far-bye", uas: "uas-far-bye", service: "900"},
		{uac: "uac-cancel", uas: "uas-ringing-cancelled", service: "900"},
		{uac: "uac-hold", uas: "uas-hold", service: "900"},
		{uac: "uac-held", uas: "uas-holds", service: "900"},
		{uac: "uac-486", uas: "uas-486", service: "900"},
	}
	run := func(t *testing.T, to string) {
		for _, call := range calls {
			call.to = to
			if to == doorAddr && call.uas == "uas-ringing-cancelled" {
				call.uas = "uas-proxied-cancelled"
			}
			if !t.Run(call.String(), func(t *testing.T) { call.run(t) }) {
				return
			}
		}
	}
	for _, c := range []struct {
		name    string
		mutual  bool
		version string
	}{
		{name: ""},
		{name: ", both show certificates", mutual: true},
		{name: ", TLS 1.2", version: "TLSv1.2"},
	} {
		t.Run("tls-in-front"+c.name, func(t *testing.T) {
			pki := makePKI(t)
			startKamailioWith(t, pki.kamailio(t, c.mutual, c.version), frontAddr, doorTLSAddr+";transport=tls")
			b.openWith(t, pki.door(c.mutual, kamailioName))
			run(t, frontAddr)
		})
		t.Run("tls-behind"+c.name, func(t *testing.T) {
			pki := makePKI(t)
			startKamailioWith(t, pki.kamailio(t, c.mutual, c.version), behindAddr, answererAddr)
			b.openWith(t, overTLS(pki.door(c.mutual, kamailioName)))
			run(t, doorAddr)
		})
	}
	// No TLS with who is behind: it gets no call, and the caller is not lost.
	for _, c := range []struct {
		name, behind string // the name that the one behind must have
		asks         bool   // it asks for a certificate, and the door has none
		said         string
	}{
		{name: "another's certificate", behind: "other.test", said: "certificate is valid for " + kamailioName + ", not other.test"},
		// In TLS 1.3 the refusal comes when the INVITE is on its way already.
		{name: "no certificate to show", behind: kamailioName, asks: true, said: "certificate required"},
	} {
		t.Run("tls-behind, "+c.name, func(t *testing.T) {
			pki := makePKI(t)
			startKamailioWith(t, pki.kamailio(t, c.asks, ""), behindAddr, answererAddr)
			d := b.openWith(t, overTLS(pki.door(false, c.behind)))
			from := b.pbxLogSize(t)
			sippCase{uac: "uac-basic", service: "900"}.run(t)
			b.pbxSaid(t, from, "from=+34600000001", "to=sip:900@")
			d.awaitLog(t, 0, c.said)
		})
	}
}

// overTLS has calls to the answerer go through the Kamailio behind the door.
func overTLS(config string) string {
	return strings.Replace(config, "answerer: {uri: \"sip:"+answererAddr, "answerer: {uri: \"sip:"+behindTLSAddr+";transport=tls", 1)
}

// pki is an authority and what it certified, as PEM files in a folder.
type pki struct{ dir string }

func makePKI(t *testing.T) pki {
	t.Helper()
	p := pki{t.TempDir()}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	ca := template(1, "portero test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caKey := p.write(t, "ca", ca, ca, nil)
	for i, name := range []string{doorName, kamailioName} {
		c := template(int64(i+2), name)
		c.DNSNames, c.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
		if name == doorName {
			c.IPAddresses = []net.IP{net.ParseIP(doorHost)}
		}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		p.write(t, name, c, ca, caKey)
	}
	return p
}

// write certifies a new key, by itself if there is no other to sign with.
func (p pki) write(t *testing.T, name string, c, parent *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		suffix, kind string
		bytes        []byte
	}{{".pem", "CERTIFICATE", der}, {".key", "PRIVATE KEY", secret}} {
		block := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.bytes})
		if err := os.WriteFile(p.file(name+f.suffix), block, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

func (p pki) file(name string) string { return filepath.Join(p.dir, name) }

// door is a configuration that listens over TLS too and wants this name of both
// Kamailios.
func (p pki) door(mutual bool, name string) string {
	own := fmt.Sprintf("{cert: %q, key: %q}", p.file(doorName+".pem"), p.file(doorName+".key"))
	clients := ""
	if mutual {
		clients = fmt.Sprintf("\n    client_certificates: require\n    client_ca: %q\n    own: %s", p.file("ca.pem"), own)
	}
	front, _, _ := net.SplitHostPort(frontAddr)
	behind, _, _ := net.SplitHostPort(behindAddr)
	return strings.Replace(interopConfig, `, "tcp:`+doorAddr+`"]`, fmt.Sprintf(`, "tcp:%s", "tls:%s"]
  tls:
    certificates: [%s]
    ca: %q
    names: {%s: %s, %s: %s}%s`, doorAddr, doorTLSAddr, own, p.file("ca.pem"), front, name, behind, name, clients), 1)
}

// kamailio is the environment of kamailio-up: this one verifies whom it connects
// to, and with mutual also who connects to it.
func (p pki) kamailio(t *testing.T, mutual bool, version string) []string {
	t.Helper()
	if version == "" {
		version = "TLSv1.2+" // and 1.3, which both prefer
	}
	asks := "no"
	if mutual {
		asks = "yes"
	}
	var config strings.Builder
	for _, side := range []struct{ name, asks string }{{"server", asks}, {"client", "yes"}} {
		fmt.Fprintf(&config, "[%s:default]\nmethod = %s\nverify_certificate = %s\nrequire_certificate = %s\nprivate_key = %s\ncertificate = %s\nca_list = %s\n",
			side.name, version, side.asks, side.asks, p.file(kamailioName+".key"), p.file(kamailioName+".pem"), p.file("ca.pem"))
	}
	if err := os.WriteFile(p.file("tls.cfg"), []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"PORTERO_KAMAILIO_TLS=" + p.file("tls.cfg")}
}
