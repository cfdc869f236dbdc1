package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Where a Kamailio stands: at the carrier's side, as one of its trunks, and
// between the door and whoever answers.
const (
	frontAddr  = "127.0.60.23:5060"
	behindAddr = "127.0.60.35:5060"
	secondAddr = "127.0.60.32:5060" // the other branch of a fork
)

// testKamailio has a record-routing proxy between the door and its neighbours:
// requests in a dialog must follow the route set from both sides, over the
// transports that the proxy bridges (two Record-Route headers each).
func testKamailio(t *testing.T, b *bed) {
	calls := []sippCase{
		{uac: "uac-basic", uas: "uas-basic", service: "900"},
		{uac: "uac-far-bye", uas: "uas-far-bye", service: "900"},
		{uac: "uac-cancel", uas: "uas-ringing-cancelled", service: "900"},
		{uac: "uac-hold", uas: "uas-hold", service: "900"},
		{uac: "uac-held", uas: "uas-holds", service: "900"},
		{uac: "uac-486", uas: "uas-486", service: "900"},
	}
	overTCP := []string{"-t", "t1"}
	for _, c := range []struct {
		name          string
		front, behind string // what follows the address in where they send
		isFront       bool
		isBehind      bool
		flags         []string // of the caller
	}{
		{name: "in front", isFront: true},
		{name: "in front, from TCP to UDP", isFront: true, flags: overTCP},
		{name: "in front, from UDP to TCP", isFront: true, front: ";transport=tcp"},
		{name: "behind", isBehind: true},
		{name: "behind, from TCP to UDP", isBehind: true, behind: ";transport=tcp"},
		{name: "on both sides", isFront: true, isBehind: true, front: ";transport=tcp", behind: ";transport=tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, config := doorAddr, interopConfig
			if c.isFront {
				to = frontAddr
				startKamailio(t, frontAddr, doorAddr+c.front)
			}
			if c.isBehind {
				config = strings.Replace(config, "answerer: {uri: \"sip:"+answererAddr, "answerer: {uri: \"sip:"+behindAddr+c.behind, 1)
				startKamailio(t, behindAddr, answererAddr)
			}
			b.openWith(t, config)
			for _, call := range calls {
				call.to, call.uacFlags = to, c.flags
				if c.isBehind && call.uas == "uas-ringing-cancelled" {
					call.uas = "uas-proxied-cancelled"
				}
				if !t.Run(call.String(), func(t *testing.T) { call.run(t) }) {
					return // the others would wait as long in vain
				}
			}
			if c.isFront { // and with the PBX itself
				t.Run("Asterisk", func(t *testing.T) {
					sippCase{uac: "uac-hold", service: "600", to: to, uacFlags: c.flags}.run(t)
					sippCase{uac: "uac-far-bye", service: "601", to: to, uacFlags: c.flags}.run(t)
					sippCase{uac: "uac-cancel", service: "606", to: to, uacFlags: c.flags}.run(t)
				})
			}
		})
	}
	t.Run("forking", func(t *testing.T) { testForking(t, b) })
	testKamailioTLS(t, b)
}

// testForking has the proxy behind the door send each call to two.
func testForking(t *testing.T, b *bed) {
	startKamailio(t, behindAddr, answererAddr, secondAddr)
	b.openWith(t, strings.Replace(interopConfig, "answerer: {uri: \"sip:"+answererAddr, "answerer: {uri: \"sip:"+behindAddr, 1))
	for _, c := range []struct{ name, uac, first, second string }{
		{"one answers, the other is cancelled", "uac-basic", "uas-basic", "uas-proxied-cancelled"},
		{"one refuses, the other answers", "uac-basic", "uas-486", "uas-rings-long"},
		{"both refuse", "uac-486", "uas-486", "uas-486"},
		{"the caller gives up on both", "uac-cancel-forked", "uas-proxied-cancelled", "uas-proxied-cancelled"},
		{"one hangs up later", "uac-far-bye", "uas-far-bye", "uas-proxied-cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, other := t.TempDir(), t.TempDir()
			first := startSIPp(t, one, c.first, answererAddr, "-m", "1")
			second := startSIPp(t, other, c.second, secondAddr, "-m", "1")
			sippCase{uac: c.uac, service: "900"}.run(t)
			first.wait(t)
			second.wait(t)
		})
	}
}

// startKamailio runs one that sends what begins a dialog to all of next.
func startKamailio(t *testing.T, addr string, next ...string) {
	t.Helper()
	startKamailioWith(t, nil, addr, next...)
}

// startKamailioWith has more in its environment, see kamailio-up.
func startKamailioWith(t *testing.T, env []string, addr string, next ...string) {
	t.Helper()
	// Kamailio keeps what it inherits: a pipe here would never end.
	said, err := os.Create(filepath.Join(t.TempDir(), "kamailio-up"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	up := exec.Command("../../testdata/interop/kamailio-up", append([]string{addr}, next...)...)
	// One worker: two pass the messages of one call on in any order.
	up.Env = append(append(os.Environ(), "PORTERO_KAMAILIO_WORKERS=1"), env...)
	up.Stdout, up.Stderr = said, said
	t.Cleanup(func() {
		if t.Failed() {
			host, port, _ := strings.Cut(addr, ":")
			log, _ := os.ReadFile(filepath.Join(os.TempDir(), "portero-kamailio-"+host+"-"+port, "log"))
			t.Logf("Kamailio's log ends\n%s", log[max(0, len(log)-3000):])
		}
		if out, err := exec.Command("../../testdata/interop/kamailio-down", addr).CombinedOutput(); err != nil {
			t.Errorf("kamailio-down: %v\n%s", err, out)
		}
	})
	if err := up.Run(); err != nil {
		out, _ := os.ReadFile(said.Name())
		t.Fatalf("kamailio-up: %v\n%s", err, out)
	}
}
