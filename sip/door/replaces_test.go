package door

import (
	"strings"
	"testing"
)

func TestReferTo(t *testing.T) {
	for _, tc := range []struct {
		in, uri, replaces, out string
	}{
		{"<sip:200@192.0.2.1>", "sip:200@192.0.2.1", "", "<sip:200@192.0.2.1>"},
		{"sip:200@192.0.2.1", "sip:200@192.0.2.1", "", "<sip:200@192.0.2.1>"},
		{"sip:200@192.0.2.1;x=y", "sip:200@192.0.2.1", "", "<sip:200@192.0.2.1>;x=y"},
		{`"Bob; B" <sip:200@192.0.2.1:5070;transport=tcp>;x=y`, "sip:200@192.0.2.1:5070;transport=tcp", "", `"Bob; B" <sip:200@192.0.2.1:5070;transport=tcp>;x=y`},
		{"<sip:200@192.0.2.1?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd>", "sip:200@192.0.2.1", "a@b;to-tag=c;from-tag=d",
			"<sip:200@192.0.2.1?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd>"},
		{"<sip:200@192.0.2.1?Require=replaces&replaces=a%40b%3Bfrom-tag%3Dd%3bto-tag%3Dc%3Bearly-only%3Bz%3D1>", "sip:200@192.0.2.1",
			"a@b;to-tag=c;from-tag=d;early-only;z=1", "<sip:200@192.0.2.1?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd%3Bearly-only%3Bz%3D1&Require=replaces>"},
	} {
		got, err := parseReferTo(tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		r := ""
		if got.replaces != nil {
			r = got.replaces.String()
		}
		if uri := got.uri; uri.String() != tc.uri || r != tc.replaces || got.String() != tc.out {
			t.Errorf("%s: the URI is %s, the Replaces %q, written %s", tc.in, uri.String(), r, got)
		}
	}
	for _, bad := range []string{"", "<sip:200@192.0.2.1", "<>", "<sip:a@b?Replaces=x>", "<sip:a@b?Replaces=%zz>",
		"<sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>",
		"<sip:a@b?Replaces=x%0D%0AVia%3A%20y%3Bto-tag%3D1%3Bfrom-tag%3D2>"} {
		if got, err := parseReferTo(bad); err == nil {
			t.Errorf("%s is taken for %s", bad, got)
		}
	}
}

// Whatever is taken for a Refer-To is written as one that means the same, and
// holds no line of its own.
func FuzzReferTo(f *testing.F) {
	for _, s := range []string{"<sip:200@192.0.2.1>", `"B" <sip:a@b;x=y?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd&Require=replaces>;z=1`,
		"sip:a@b;c", "<sip:a@[2001:db8::1]:5060?Subject=%0D%0A>", "<tel:+1>", "<sip:a@b?Replaces=x%0D%0A%3Bto-tag%3D1%3Bfrom-tag%3D2>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to, err := parseReferTo(s)
		if err != nil {
			return
		}
		if to.replaces != nil && strings.ContainsAny(to.replaces.String(), "\r\n") {
			t.Fatalf("%q has a Replaces of several lines: %q", s, to.replaces)
		}
		again, err := parseReferTo(to.String())
		if err != nil {
			t.Fatalf("%q is written %q, which cannot be read: %v", s, to, err)
		}
		if again.String() != to.String() {
			t.Fatalf("%q is written %q, and that %q", s, to, again)
		}
	})
}
