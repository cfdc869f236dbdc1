package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/portero/portero/policy/store"
)

// inNamespace has a network of the test's own: Firefox does not talk ICE from
// one address of the loopback to another. It is a pair of interfaces without a
// way out.
const inNamespace = `ip link set lo up && ip link add door type veth peer name wire && ip link set wire up &&
	ip addr add 10.83.0.1/24 dev door && ip link set door up && ip route add default dev door && exec "$@"`

// namespaced says that the test runs in it.
const namespaced = "PORTERO_TEST_NAMESPACE"

// TestFirefox plays the door against the other make of browser: a call with SIPp,
// which sends back what it hears, and one with the door itself. It needs root.
func TestFirefox(t *testing.T) {
	if os.Getenv("PORTERO_INTEROP") == "" {
		t.Skip("interoperability with Firefox is not tested: set PORTERO_INTEROP=1 as `make test` does")
	}
	if os.Getenv(namespaced) == "" {
		again := exec.Command("unshare", "--net", "sh", "-c", inNamespace, "sh", os.Args[0], "-test.run=^TestFirefox$", "-test.v")
		again.Env = append(os.Environ(), namespaced+"=1")
		out, err := again.CombinedOutput()
		if err != nil {
			t.Fatalf("in a network of its own: %v\n%s", err, out)
		}
		t.Logf("in a network of its own:\n%s", out)
		return
	}
	b := &bed{binary: t.TempDir() + "/portero"}
	if out, err := exec.Command("go", "build", "-race", "-o", b.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build -race: %v\n%s", err, out)
	}
	f := startFirefox(t)
	site := servePage(t)
	d := b.openWith(t, strings.Replace(withBrowsers(site), doorWebRTCAddr, "10.83.0.1:3478", 1))
	t.Run("hold", func(t *testing.T) { testFirefoxHold(t, d, f.open(t, site+"/", spy)) })
	t.Run("prompt", func(t *testing.T) { testBrowserPrompt(t, d, f.open(t, site+"/", spy)) })
	t.Run("ICE restart", func(t *testing.T) { testFirefoxRestart(t, d, f.open(t, site+"/", spy)) })
}

// It hears itself, holds, resumes, and hangs up.
func testFirefoxHold(t *testing.T, d *openDoor, p *page) {
	pbx := startSIPp(t, t.TempDir(), "uas-hold", answererAddr, "-m", "1", "-rtp_echo")
	from := len(d.log())
	p.calls("900")
	p.await("what it says", "stats().then(s => s.packets > 50 && s.energy > 0.001)")
	p.click("#hold")
	p.await("hold", "document.getElementById('state').textContent === 'on hold'")
	p.click("#hold")
	p.await("resuming", "document.getElementById('state').textContent === 'talking'")
	before := p.stats()
	p.await("audio after the hold", fmt.Sprintf("stats().then(s => s.packets > %d && s.energy > %f)", before.Packets+100, before.Energy+0.0005))
	p.click("#hangup")
	p.ended()
	pbx.wait(t)
	if r := d.lastRecord(t, from, "900"); r.EndedBy != store.ByCaller || r.CallerMedia.Packets < 100 || r.CallerMedia.Lost > 5 {
		t.Errorf("ended by %s, media %+v", r.EndedBy, r.CallerMedia)
	}
}

// It restarts ICE while the door speaks, and then closes its connection.
func testFirefoxRestart(t *testing.T, d *openDoor, p *page) {
	from := len(d.log())
	p.eval(nil, pagePhone+".then(() => phone.call('sip:750@"+doorHost+"'))")
	p.await("an answer", "!!window.session")
	p.await("ICE and DTLS", "pcs.at(-1).connectionState === 'connected'")
	const ufrag = `pcs.at(-1).remoteDescription.sdp.match(/a=ice-ufrag:(\S+)/)[1]`
	var before string
	p.eval(&before, ufrag)
	p.eval(nil, "session.invite({ sessionDescriptionHandlerOptions: { offerOptions: { iceRestart: true } } })")
	p.await("new credentials", fmt.Sprintf("%s !== %q", ufrag, before))
	heard := p.stats()
	p.await("audio after the restart", fmt.Sprintf("stats().then(s => s.packets > %d)", heard.Packets+50))
	p.eval(nil, "pcs.at(-1).close()")
	if r := d.lastRecord(t, from, "750"); r.EndedBy != store.ByPortero {
		t.Errorf("ended by %s", r.EndedBy)
	}
}
