package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/sip/identity/stir/stirtest"
)

// signerURL is the x5u of the signer whose certificate the door has.
const signerURL = "https://signer.example/sp.pem"

// signing gives the door an authority to trust and a signer that it issued.
func (d *openDoor) signing(t *testing.T) {
	t.Helper()
	ca := stirtest.NewCA(time.Now())
	d.signer = ca.Issue(nil)
	for name, text := range map[string][]byte{"anchor.pem": stirtest.PEM(ca.Cert), "signer.pem": stirtest.PEM(d.signer.Chain...)} {
		if err := os.WriteFile(filepath.Join(d.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Asterisk's dialplan is told what the signature of the caller's number is worth,
// and that there is none.
func testSigned(t *testing.T, d *openDoor, p *phone.Phone) {
	signed := "Identity: " + d.signer.Header(signerURL, "shaken", stirtest.Shaken("34600000012", "700", "B", time.Now()))
	for from, want := range map[string][]string{"+34600000012": {"verstat=passed", "attestation=B"}, "+34600000013": {"verstat=failed", "attestation= "}} {
		at := d.bed.pbxLogSize(t)
		c := dial(t, p, phone.Invite{To: number("700"), From: from, Headers: []string{signed}})
		d.bed.pbxSaid(t, at, append(want, "from="+from)...)
		hangUp(t, c)
	}
	at := d.bed.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("700"), From: "+34600000014"})
	d.bed.pbxSaid(t, at, "from=+34600000014", "verstat=none")
	hangUp(t, c)
}
