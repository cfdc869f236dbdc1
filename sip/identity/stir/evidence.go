package stir

import (
	"fmt"

	"github.com/portero/portero/policy"
)

// Evidence is what the judge hears of a verification. Its ratio is 0: a number
// that is not spoofed may be a machine's as well as a human's, and a signature
// that fails may have been broken on its way. It stands in the record, and rules
// may ask for it.
func (r Result) Evidence() []policy.Evidence {
	switch r.Verstat {
	case Passed:
		says := "the caller's number is signed and not spoofed"
		if r.Attest != "" {
			says += ", attestation " + r.Attest
		}
		return []policy.Evidence{{Name: "identity.passed", Says: says}}
	case Failed:
		return []policy.Evidence{{Name: "identity.failed", Says: fmt.Sprintf("the signature of the caller's number does not hold (%d): %s", r.Code, r.Reason)}}
	}
	return nil
}
