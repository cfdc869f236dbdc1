package stir

import (
	"testing"

	"github.com/portero/portero/sip/identity/stir/stirtest"
)

// The extensions of certificates are parsed past crypto/x509, of anybody's.
func FuzzExtensions(f *testing.F) {
	f.Add(stirtest.TNAuthList(stirtest.SPC("1"), stirtest.Range("34", 2), stirtest.One("5")).Value)
	f.Add(stirtest.MustInclude("attest", "rcd").Value)
	f.Fuzz(func(t *testing.T, der []byte) {
		if a, err := parseTNAuthList(der); err == nil {
			a.covers("34915550101")
		}
		if c, err := parseConstraints(der); err == nil {
			_ = c.allows(nil)
		}
	})
}

func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		number, country string
		want            string
	}{
		{"+34 91-555.01", "49", "349155501"},
		{"0034915", "34", "0034915 34915"},
		{"0305550", "49", "0305550 49305550"},
		{"2025550100", "1", "2025550100 12025550100"},
		{"*67;x=y", "", "*67"},
		{"alice", "1", ""},
	} {
		got := ""
		for i, s := range spellings(c.number, c.country) {
			if i > 0 {
				got += " "
			}
			got += s
		}
		if got != c.want {
			t.Errorf("spellings(%q, %q) = %q, want %q", c.number, c.country, got, c.want)
		}
	}
}
