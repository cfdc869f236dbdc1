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
