package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/media/codec"
)

// testBaresipTLS has one baresip call another through the door, over TLS on both
// sides: it verifies the door's certificate, and the door the other's. What the one
// said is what the other heard.
func testBaresipTLS(t *testing.T, b *bed) {
	p := makePKI(t)
	// Its connections come from where the kernel likes.
	config := strings.Replace(overTLS(p.door(false, kamailioName)), "addresses: [", "addresses: [127.0.0.1, ", 1)
	d := b.openWith(t, config)

	there := t.TempDir()
	host, _, _ := strings.Cut(behindAddr, ":")
	callee := baresip(t, there, "<sip:900@"+host+";transport=tls>;regint=0;answermode=auto", nil, "20")
	p.baresip(t, there, host, kamailioName)
	var heard bytes.Buffer
	callee.Stdout, callee.Stderr = &heard, &heard
	if err := callee.Start(); err != nil {
		t.Fatal(err)
	}
	left := false
	leave := func() {
		if !left {
			left = true
			_ = callee.Process.Signal(os.Interrupt)
			_ = callee.Wait()
		}
	}
	t.Cleanup(func() {
		leave()
		if t.Failed() {
			t.Logf("who was called said\n%s", baresipSaid(heard.Bytes()))
		}
	})
	waitFor(t, "baresip to listen over TLS", func() bool {
		c, err := net.Dial("tcp", behindTLSAddr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})

	here := t.TempDir()
	caller := baresip(t, here, "<sip:+34600000020@"+doorTLSAddr+";transport=tls>;regint=0", nil, "8", "-e", "/dial sip:900@"+doorTLSAddr)
	p.baresip(t, here, "127.0.60.20", doorName)
	said, err := caller.CombinedOutput()
	if err != nil || !bytes.Contains(said, []byte("Call established")) {
		t.Fatalf("baresip: %v\n%s", err, baresipSaid(said))
	}
	leave()
	waitFor(t, "the record of the call", func() bool {
		said, _ := os.ReadFile(filepath.Join(d.dir, "calls.jsonl"))
		return strings.Contains(string(said), `"transport":"TLS"`)
	})
	sent, got := recorded(t, here, "enc"), recorded(t, there, "dec")
	if c := likeness(sent[:min(len(sent), 4*codec.Rate)], got); c < 0.95 {
		t.Errorf("who was called heard %d samples with a likeness of %.2f to the %d that were sent", len(got), c, len(sent))
	}
}

// baresip has a phone, as it was made, be at a host and speak TLS with the
// certificate for a name.
func (p pki) baresip(t *testing.T, dir, host, name string) {
	t.Helper()
	var both []byte
	for _, suffix := range []string{".key", ".pem"} {
		b, err := os.ReadFile(p.file(name + suffix))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	file := filepath.Join(dir, "config")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.ReplaceAll(config, []byte("127.0.60.20"), []byte(host))
	config = append(config, "sip_certificate "+p.file(name+".both")+"\nsip_cafile "+p.file("ca.pem")+"\nsip_transports tls\n"...)
	for file, b := range map[string][]byte{p.file(name + ".both"): both, file: config} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
