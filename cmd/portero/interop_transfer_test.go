package main

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy/store"
)

// testTransfers has a phone on the carrier's side transfer whom Asterisk has
// connected it with: the customer ends up with Asterisk's echo, and the phone's
// calls are over. Asterisk finds the second call of an attended transfer only if
// the door has rewritten its Replaces.
func testTransfers(t *testing.T, b *bed) {
	d := b.open(t)
	p := openPhone(t)
	customer, err := phone.Open(netip.MustParseAddrPort(customerAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { customer.Close() })
	there := make(chan *phone.Call, 1)
	customer.OnCall(func(in *phone.Incoming) {
		if c, err := in.Answer(t.Context()); err == nil {
			there <- c
		}
	})
	for name, attended := range map[string]bool{"blind": false, "attended": true} {
		t.Run(name, func(t *testing.T) {
			first := dial(t, p, phone.Invite{To: number("702"), From: "+34600000020"})
			var other *phone.Call
			select {
			case other = <-there:
			case <-time.After(10 * time.Second):
				t.Fatal("the customer is not called")
			}
			to, calls := number("600"), []*phone.Call{first}
			if attended {
				second := dial(t, p, phone.Invite{To: number("600"), From: "+34600000020"})
				to += "?" + second.Replaces()
				calls = append(calls, second)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := first.Refer(ctx, to); err != nil {
				t.Fatal(err)
			}
			for i, c := range calls {
				if i == 0 { // who transfers hangs up what it asked in
					time.Sleep(time.Second)
					_ = c.Hangup()
				}
				select {
				case <-c.Done():
				case <-time.After(10 * time.Second):
					t.Fatalf("call %d goes on after the transfer", i+1)
				}
				if r := d.record(t, c.ID()); r.Outcome != store.Answered {
					t.Errorf("the record of call %d says %s", i+1, r.Outcome)
				}
			}
			before := other.Line().Heard().Packets
			if err := other.Line().Say(ctx, make([]int16, 2*codec.Rate)); err != nil {
				t.Fatal(err)
			}
			if n := other.Line().Heard().Packets - before; n < 50 {
				t.Errorf("the customer heard %d packets of the echo", n)
			}
			hangUp(t, other)
		})
	}
}

// registrarConfig has Asterisk as the carrier, which wants a registration, and
// SIPp as the PBX; %s is the door's folder.
const registrarConfig = `
mode: observe
sip:
  listen: ["udp:` + doorAddr + `"]
  trunks:
    - name: carrier
      addresses: [127.0.60.10]
      uri: "sip:` + pbxAddr + `"
      credentials: {username: "701", password: interop}
      register: {aor: "sip:701@127.0.60.10", expires: 10m}
  destinations:
    agents: {uri: "sip:` + answererAddr + `"}
    automation: {uri: "sip:` + answererAddr + `"}
media:
  caller_address: ` + doorHost + `
store: {path: "%[1]s/portero.db", json_lines: "%[1]s/calls.jsonl"}
console: {listen: "` + consoleAddr + `"}
log: {level: info, format: json}
`

// testRegistration has the door register at Asterisk, take a call to its
// registered Contact, and take the registration back.
func testRegistration(t *testing.T, b *bed) {
	d := b.openWith(t, registrarConfig)
	d.awaitLog(t, 0, `"msg":"registered"`)
	if contacts := b.cli(t, "pjsip", "show", "contacts"); !strings.Contains(contacts, "701@"+doorHost) {
		t.Fatalf("Asterisk has no contact of the door:\n%s", contacts)
	}
	uas := startSIPp(t, t.TempDir(), "uas-basic", answererAddr, "-m", "1")
	b.cli(t, "channel", "originate", "PJSIP/701", "application", "Wait", "1")
	uas.wait(t)
	waitFor(t, "the record of the call", func() bool {
		said, _ := os.ReadFile(filepath.Join(d.dir, "calls.jsonl"))
		return strings.Contains(string(said), `"trunk":"carrier"`)
	})
	d.terminate()
	select {
	case err := <-d.exited:
		d.exited <- err
	case <-time.After(15 * time.Second):
		t.Error("the door is still there 15 s after SIGTERM")
	}
	if contacts := b.cli(t, "pjsip", "show", "contacts"); strings.Contains(contacts, "701@"+doorHost) {
		t.Errorf("Asterisk still has the contact of the door:\n%s", contacts)
	}
}

// cli has Asterisk carry out a console command and returns what it says.
func (b *bed) cli(t *testing.T, words ...string) string {
	t.Helper()
	out, err := exec.Command("../../testdata/interop/asterisk-cli", append([]string{pbxAddr}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("asterisk-cli: %v\n%s", err, out)
	}
	return string(out)
}
