package identity

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name, uri, headers string
		trusted            bool
		want               Caller
	}{
		{"from", "sip:1@pbx", "From: \"Ana \\\"A\\\"\" <sip:+34-91.555(0)1@carrier.es>;tag=1", false,
			Caller{User: "+349155501", Host: "carrier.es", DisplayName: `Ana "A"`}},
		{"compact, escaped plus", "sip:1@pbx", "f: <sip:%2B3491@h:5060;user=phone>;tag=1", false,
			Caller{User: "+3491", Host: "h"}},
		{"asserted by a trusted trunk", "sip:1@pbx", "From: <sip:x@h>;tag=1\nP-Asserted-Identity: \"Ana\" <sip:ana@h>, <tel:+3491>", true,
			Caller{User: "+3491", Asserted: true}},
		{"asserted by nobody in particular", "sip:1@pbx", "From: <sip:x@h>;tag=1\nP-Asserted-Identity: <tel:+3491>", false,
			Caller{User: "x", Host: "h"}},
		{"withheld by Privacy", "sip:1@pbx", "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\nP-Asserted-Identity: <sip:+3491@c>\nPrivacy: id;critical", true,
			Caller{User: "+3491", Host: "c", Asserted: true, Anonymous: true}},
		{"privacy none", "sip:1@pbx", "From: <sip:5@h>;tag=1\nPrivacy: none", true, Caller{User: "5", Host: "h"}},
		{"anonymous From", "sip:1@pbx", "From: <sip:Anonymous@h>;tag=1", false, Caller{User: "Anonymous", Host: "h", Anonymous: true}},
		{"no From", "sip:1@pbx", "X: y", false, Caller{Anonymous: true}},
		{"emergency in the Request-URI", "urn:service:sos.police", "From: <sip:5@h>;tag=1", false, Caller{User: "5", Host: "h", Emergency: true}},
		{"emergency in To", "sip:psap@h", "To: <URN:service:sos>\nFrom: <sip:5@h>;tag=1", false, Caller{User: "5", Host: "h", Emergency: true}},
		{"no emergency", "urn:service:sosumi", "From: <sip:5@h>;tag=1\nTo: <urn:service:counseling>", false, Caller{User: "5", Host: "h"}},
		{"resource priority", "sip:1@pbx", "From: <sip:5@h>;tag=1\nResource-Priority: dsn.flash, ESNET.1", false, Caller{User: "5", Host: "h", Emergency: true}},
		{"other resource priority", "sip:1@pbx", "From: <sip:5@h>;tag=1\nResource-Priority: q735.3", false, Caller{User: "5", Host: "h"}},
		{"PSAP calling back", "sip:1@pbx", "From: <sip:112@h>;tag=1\nPriority: psap-callback", false, Caller{User: "112", Host: "h", Emergency: true}},
		{"verstat in the number, attestation", "sip:1@pbx",
			"From: <sip:+1202;verstat=TN-Validation-Passed@h;user=phone>;tag=1\nAttestation-Info: B\nIdentity: x.y.z;info=<https://a>", true,
			Caller{User: "+1202", Host: "h", Attestation: "B", Verstat: "passed", Signed: true}},
		{"verstat of anybody", "sip:1@pbx", "From: <sip:+1202@h;verstat=TN-Validation-Passed>;tag=1\nAttestation-Info: A", false,
			Caller{User: "+1202", Host: "h"}},
		{"verstat beside the asserted identity", "sip:1@pbx",
			"From: <sip:+1202@h>;tag=1\nP-Asserted-Identity: <sip:+1202@h;user=phone;verstat=TN-Validation-Failed-A>", true,
			Caller{User: "+1202", Host: "h", Asserted: true, Verstat: "failed"}},
		{"tel in From", "sip:1@pbx", "From: <tel:7042;phone-context=+34>;tag=1", false, Caller{User: "7042"}},
		{"capabilities", "sip:1@pbx", "From: <sip:5@h>;tag=1\nContact: <sip:5@h>;audio;Automata;actor=\"attendant\";+sip.instance=\"<urn:x>\";expires=60;+g.3gpp.icsi-ref=\"urn\"", false,
			Caller{User: "5", Host: "h", Capabilities: []string{"audio", "automata", "actor=attendant", "+g.3gpp.icsi-ref=urn"}}},
		{"Call-Info", "sip:1@pbx", "From: <sip:5@h>;tag=1\nCall-Info: <https://a/i,j>;purpose=Icon, <https://a>;call-reason=\"Your delivery\";purpose=jcard\nCall-Info: <https://b>", true,
			Caller{User: "5", Host: "h", CallInfo: []string{"icon", "jcard", "info"}, CallReason: "Your delivery"}},
		{"Call-Info of anybody", "sip:1@pbx", "From: <sip:5@h>;tag=1\nCall-Info: <https://a>;call-reason=\"Your delivery\";purpose=jcard", false,
			Caller{User: "5", Host: "h", CallInfo: []string{"jcard"}}},
		{"control characters", "sip:1@pbx", "From: \"a\x1b[2J\x80b\" <sip:%0d%0aX@h>;tag=1", false, Caller{User: "X", Host: "h", DisplayName: "a[2Jb"}},
	} {
		raw := "INVITE " + c.uri + " SIP/2.0\r\n" + strings.ReplaceAll(c.headers, "\n", "\r\n") + "\r\n\r\n"
		if diff := cmp.Diff(c.want, Of([]byte(raw), c.trusted)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]string{
		"+34 (91) 555-01.02": "+34915550102",
		"0034915550102":      "0034915550102",
		"555;ext=1":          "555",
		"+":                  "",
		"":                   "",
		"alice":              "",
		"5+5":                "",
		"*43#":               "",
	} {
		if got := Number(in); got != want {
			t.Errorf("Number(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add([]byte("INVITE urn:service:sos SIP/2.0\r\nFrom: \"a\\\"\" <sip:%2B1;verstat=x@h>;tag=1\r\nPrivacy: id\r\n\r\n"), true)
	f.Add([]byte("INVITE sip:a SIP/2.0\r\nP-Asserted-Identity: <tel:+1>,\"\r\nf: <\r\nResource-Priority: ,.\r\n\r\n"), true)
	f.Add([]byte("INVITE sip:a SIP/2.0\r\nCall-Info: <a>;purpose=icon,<b\r\nm: <sip:a>;audio;+a=\"\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, raw []byte, trusted bool) {
		c := Of(raw, trusted)
		if len(c.User) > 128 || len(c.Host) > 128 || len(c.DisplayName) > 128 {
			t.Errorf("too long: %+v", c)
		}
		if !trusted && (c.Asserted || c.Verstat != "" || c.Attestation != "") {
			t.Errorf("asserted by nobody: %+v", c)
		}
	})
}
