package door

import (
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// A URI's transport and port, as RFC 3263 section 4 and RFC 5630 have them.
func TestPlace(t *testing.T) {
	for _, c := range []struct {
		uri, otherwise, over string
		port                 int
		ok                   bool
	}{
		{"sip:a@192.0.2.1", "UDP", "UDP", 5060, true},
		{"sip:a@192.0.2.1", "TCP", "TCP", 5060, true},
		{"sip:a@192.0.2.1", "TLS", "TLS", 5061, true},
		{"sip:a@[2001:db8::1]:5070;transport=tcp", "UDP", "TCP", 5070, true},
		{"sip:a@192.0.2.1;transport=TLS", "UDP", "TLS", 5061, true},
		{"sips:a@192.0.2.1", "UDP", "TLS", 5061, true},
		{"sips:a@192.0.2.1:5070;transport=tcp", "UDP", "TLS", 5070, true},
		{"sips:a@192.0.2.1;transport=udp", "UDP", "", 0, false},
		{"sip:a@192.0.2.1;transport=ws", "UDP", "", 0, false},
		{"sip:a@192.0.2.1;transport=sctp", "UDP", "", 0, false},
	} {
		var u sipmsg.Uri
		if err := sipmsg.ParseUri(c.uri, &u); err != nil {
			t.Fatal(err)
		}
		if over, port, ok := place(&u, c.otherwise); over != c.over || port != c.port || ok != c.ok {
			t.Errorf("%s, otherwise %s: got %s %d %v, want %s %d %v", c.uri, c.otherwise, over, port, ok, c.over, c.port, c.ok)
		}
	}
}

func TestParseHost(t *testing.T) {
	for in, want := range map[string]host{
		"192.0.2.1":            {"192.0.2.1", 0},
		"192.0.2.1:5070":       {"192.0.2.1", 5070},
		"sip.example.com":      {"sip.example.com", 0},
		"sip.example.com:5061": {"sip.example.com", 5061},
		"2001:db8::1":          {"[2001:db8::1]", 0},
		"[2001:db8::1]":        {"[2001:db8::1]", 0},
		"[2001:db8::1]:5061":   {"[2001:db8::1]", 5061},
		"::ffff:192.0.2.1":     {"192.0.2.1", 0},
		"":                     {},
		":5060":                {},
		"a:0":                  {},
		"a:70000":              {},
		"a b":                  {},
		"<a>":                  {},
		"a;lr":                 {},
		"[2001:db8::1":         {},
		"[x]:5060":             {},
		"fe80::1%eth0":         {},
		"[fe80::1%eth0]:5060":  {},
		"sip:a@b":              {},
	} {
		got, err := parseHost(in)
		if got != want || (err == nil) != (want != host{}) {
			t.Errorf("%q: got %v, %v; want %v", in, got, err, want)
		}
	}
}
