package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// A Signer is a Door that signs callers' numbers (RFC 8224), so that a script
// can have an Identity header that is fresh. Words are what stands between the
// parentheses of signed(…).
type Signer interface {
	Sign(words []string) (string, error)
}

// signed puts signatures where a step's headers ask for them.
func (r *runner) signed(s step) (step, error) {
	s.what.fields = slices.Clone(s.what.fields)
	for i, f := range s.what.fields {
		inside, ok := strings.CutPrefix(f.value, "signed(")
		if !ok || !strings.HasSuffix(inside, ")") {
			continue
		}
		signer, ok := r.door.(Signer)
		if !ok {
			return s, fmt.Errorf("%s: this door signs nothing", f.value)
		}
		value, err := signer.Sign(strings.Fields(strings.TrimSuffix(inside, ")")))
		if err != nil {
			return s, fmt.Errorf("%s: %w", f.value, err)
		}
		s.what.fields[i].value = value
	}
	return s, nil
}
