package scenario_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portero/portero/sip/identity/stir/stirtest"
	"github.com/portero/portero/sip/identity/verifier"
)

// certificate is the x5u of the signer whose certificate the door has.
const certificate = "https://certs.example/sp.pem"

// signer signs callers' numbers as a scenario asks.
type signer struct {
	ca     *stirtest.CA
	own    *stirtest.Signer // its certificate is at hand
	forger *stirtest.Signer // of an authority that the door does not know
	silent net.Listener     // takes connections and says nothing
}

// verifier is what verifies in a scenario that asks for it: its anchors and
// certificates are the signer's.
func (d *testDoor) verifier(t *testing.T, cfg verifier.Config) *verifier.Verifier {
	t.Helper()
	if !cfg.Verify {
		return nil
	}
	now := time.Now()
	s := &signer{ca: stirtest.NewCA(now), forger: stirtest.NewCA(now).Issue(nil)}
	s.own = s.ca.Issue(nil)
	var err error
	if s.silent, err = net.Listen("tcp", "127.0.81.2:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.silent.Close() })
	d.signer = s
	dir := t.TempDir()
	for name, text := range map[string][]byte{"root.pem": stirtest.PEM(s.ca.Cert), "sp.pem": stirtest.PEM(s.own.Chain...), "forger.pem": stirtest.PEM(s.forger.Chain...)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Anchors = []string{filepath.Join(dir, "root.pem")}
	cfg.Certificates = map[string]string{certificate: filepath.Join(dir, "sp.pem"), "https://forger.example/": filepath.Join(dir, "forger.pem")}
	cfg.FetchFrom, cfg.FetchPrivate = []string{s.silent.Addr().String()}, []string{"127.0.81.2"}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// Sign implements scenario.Signer:
//
//	signed(A FROM TO)          attestation A of FROM calling TO
//	signed(A FROM TO stale)    the same, signed an hour ago
//	signed(A FROM TO forged)   by a certificate that nobody trusts
//	signed(A FROM TO slow)     by one that does not come
//	signed(div FROM TO BY)     the call of FROM to BY was diverted to TO
func (d *testDoor) Sign(words []string) (string, error) {
	if d.signer == nil || len(words) < 3 {
		return "", fmt.Errorf("signed(ATTEST FROM TO [stale|forged|slow]), and sip.identity.verify")
	}
	at, s, x5u := time.Now(), d.signer.own, certificate
	if words[0] == "div" {
		return s.Header(x5u, "div", stirtest.Claims{"dest": stirtest.TNs(words[2]), "div": stirtest.TN(words[3]), "iat": at.Unix(), "orig": stirtest.TN(words[1])}), nil
	}
	if len(words) == 4 {
		switch words[3] {
		case "stale":
			at = at.Add(-time.Hour)
		case "forged":
			s, x5u = d.signer.forger, "https://forger.example/"
		case "slow":
			x5u = "https://" + d.signer.silent.Addr().String() + "/sp.pem"
		default:
			return "", fmt.Errorf("%q is not known; there are: stale, forged, slow", words[3])
		}
	}
	return s.Header(x5u, "shaken", stirtest.Shaken(words[1], words[2], words[0], at)), nil
}
