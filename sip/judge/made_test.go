package judge

import (
	"strings"
	"testing"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/rules"
	"github.com/portero/portero/sip/fingerprint/makertest"
	"github.com/portero/portero/sip/signature"
)

// What made the INVITE is a fact for rules and evidence, by the signatures of the
// bench; audio that this stack does not make is noted.
func TestMade(t *testing.T) {
	when := `signature_kind == "agent-platform" and signature == "livekit" and "livekit-description" in signatures and stack == "livekit"`
	b := bench(t, rule(rules.Rule{Name: "platforms", When: when, Action: policy.ToAutomation, Destination: "bots"}))
	raw := makertest.Wire(makertest.Makers["livekit"](makertest.NewTokens(1)))
	c, d, err := b.Open(Arrival{Raw: raw, At: start, Trunk: "carrier"})
	if err != nil || d.Rule != "platforms" {
		t.Fatalf("decision %+v, error %v, facts %+v", d, err, c.Facts())
	}
	says := func() (names string) {
		for _, e := range c.Verdict().Evidence {
			if strings.HasPrefix(e.Name, "sig.") {
				names += e.Name + " "
			}
		}
		return names
	}
	if got := says(); got != "sig.agent_platform " {
		t.Errorf("evidence %s", got)
	}
	c.Codecs(codecs)
	play(c, newStream(1).room(2).packets, 4)
	c.Ended(at(4))
	if got := says(); got != "sig.agent_platform sig.media_mismatch " {
		t.Errorf("with audio from elsewhere, evidence %s", got)
	}

	// Of a bench whose signatures know nothing, nothing is said.
	b = bench(t, nil)
	if b.Signatures, err = signature.Load(); err != nil {
		t.Fatal(err)
	}
	c, _, err = b.Open(Arrival{Raw: raw, At: start, Trunk: "carrier"})
	if f := c.Facts(); err != nil || f.Signature != "" || f.SignatureKind != "" || f.Stack != "" || len(f.Signatures) > 0 || says() != "" {
		t.Errorf("facts %+v, evidence %s, error %v", f, says(), err)
	}
}

// An operator's own scanner is dropped as the built-in ones are; a bench without
// signatures, or none, goes by these.
func TestDropsOwn(t *testing.T) {
	own := signature.File{Name: "own.yaml", Own: true, Data: []byte(`
signatures:
  - name: prober
    maker: Prober
    kind: scanner
    drop: true
    when: {user_agent: "prober/*"}
    source: us
    seen_on: 2026-11-01
    valid_to: 2027-11-01
    positive: ["OPTIONS sip:a@b SIP/2.0\nUser-Agent: Prober/1"]
    negative: ["OPTIONS sip:a@b SIP/2.0\nUser-Agent: a prober/1"]
`)}
	set, err := signature.Load(append(signature.Files(), own)...)
	if err != nil {
		t.Fatal(err)
	}
	for agent, want := range map[string]bool{"PROBER/2": true, "friendly-scanner": true, "phone": false} {
		raw := makertest.Wire("OPTIONS sip:a@b SIP/2.0\nUser-Agent: " + agent + "\n\n")
		if got := (&Bench{Signatures: set}).Drops(raw); got != want {
			t.Errorf("%s with its own signatures: %v", agent, got)
		}
		if got, want := (*Bench)(nil).Drops(raw), agent == "friendly-scanner"; got != want || (&Bench{}).Drops(raw) != want {
			t.Errorf("%s without: %v", agent, got)
		}
	}
}
