package judge

import (
	"testing"

	"github.com/portero/portero/sip/identity/stir"
)

// What is verified goes before what the trunk says, and moves no probability: an
// A, a B, a failure and a missing signature find the same caller.
func TestIdentity(t *testing.T) {
	b := bench(t, nil)
	const said = "P-Attestation-Indicator: C\r\nFrom: <sip:+1202;verstat=TN-Validation-Failed@h;user=phone>;tag=1\r\n"
	for _, c := range []struct {
		name      string
		result    *stir.Result
		trusted   bool
		verstat   string
		attest    string
		code      int
		diverted  bool
		rich, why string
		evidence  string
	}{
		{name: "not verified, not trusted"},
		{name: "not verified, trusted", trusted: true, verstat: "failed", attest: "C"},
		{name: "passed", trusted: true, result: &stir.Result{Verstat: stir.Passed, Attest: "A", OrigID: "x", Diverted: []string{"1"}, Rich: &stir.Rich{Name: "Acme", Reason: "delivery"}},
			verstat: "passed", attest: "A", diverted: true, rich: "Acme", why: "delivery", evidence: "identity.passed"},
		{name: "failed", trusted: true, result: &stir.Result{Verstat: stir.Failed, Code: 438, Reason: "r"}, verstat: "failed", code: 438, evidence: "identity.failed"},
		{name: "none, the trunk knows better", trusted: true, result: &stir.Result{Verstat: stir.None, Code: 436}, verstat: "failed", attest: "C", code: 436},
		{name: "none", result: &stir.Result{Verstat: stir.None, Code: 428}, verstat: "none", code: 428},
	} {
		raw := []byte("INVITE sip:100@pbx SIP/2.0\r\n" + said + "Identity: x\r\nContact: <sip:1@h>;text;audio\r\nCall-Info: <https://a>;purpose=icon\r\n\r\n")
		j, _, err := b.Open(Arrival{Raw: raw, At: start, TrustIdentity: c.trusted, Identity: c.result})
		if err != nil {
			t.Fatal(err)
		}
		f := j.Facts()
		if f.Verstat != c.verstat || f.Attestation != c.attest || f.IdentityCode != c.code || f.Diverted != c.diverted || f.RichName != c.rich || f.CallReason != c.why || !f.Signed {
			t.Errorf("%s: facts %+v", c.name, f)
		}
		if len(f.Capabilities) != 2 || len(f.CallInfo) != 1 {
			t.Errorf("%s: capabilities %q, call info %q", c.name, f.Capabilities, f.CallInfo)
		}
		found := ""
		for _, e := range j.Verdict().Evidence {
			if e.Name == "identity.passed" || e.Name == "identity.failed" {
				if found = e.Name; e.LLR != 0 {
					t.Errorf("%s moves the verdict: %+v", c.name, e)
				}
			}
		}
		if found != c.evidence || j.Verdict().PMachine != 0.2 {
			t.Errorf("%s: evidence %q, p %v", c.name, found, j.Verdict().PMachine)
		}
		j.Abandon()
	}
}
