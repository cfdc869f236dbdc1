package fingerprint

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/fingerprint/makertest"
)

// The relation of Call-ID and CSeq that proves sofia-sip, on Call-IDs published
// with traces; the last one's node was masked there.
func TestSofiaClock(t *testing.T) {
	for _, c := range []struct {
		callID string
		clock  string
		cseq   uint64
	}{
		{"b6c776f6-47ed-1230-0085-000f1f659e58", "2012-07-14 00:28:45", 30776798},
		{"252a93d3-bdb2-1238-6185-06d91d68c9b0", "2020-01-30 03:19:19", 15623387},
		{"d8907723-0bc7-123b-09b5-12e962f3039b", "2022-02-19 01:41:06", 48063641},
		{"68f45bf5-aff2-123c-9193-0e9252b57157", "2023-08-07 18:23:55", 71162525},
		{"339e4482-d0c7-123c-0000-000000000000", "2023-09-18 13:07:46", 72967441},
	} {
		ok, unix := sofiaCallID([]byte(c.callID), c.cseq)
		if !ok {
			t.Errorf("%s with CSeq %d is not taken for sofia-sip", c.callID, c.cseq)
		}
		if got := time.Unix(unix, 0).UTC().Format(time.DateTime); got != c.clock {
			t.Errorf("%s: clock %s, want %s", c.callID, got, c.clock)
		}
		if ok, _ := sofiaCallID([]byte(c.callID), c.cseq-1); ok {
			t.Errorf("%s passes with CSeq %d", c.callID, c.cseq-1)
		}
		if ok, _ := sofiaCallID([]byte(c.callID), c.cseq+4); ok {
			t.Errorf("%s passes with CSeq %d", c.callID, c.cseq+4)
		}
	}
	// An honest version 1 UUID (Unix time) of another stack.
	if ok, _ := sofiaCallID([]byte("1c16e956-b29e-11db-82ee-0013ce8c7c2b"), 1); ok {
		t.Error("a plain version 1 UUID passes")
	}
}

func TestSofiaToken(t *testing.T) {
	for token, want := range map[string]bool{
		"avUKeNS0Sa56Q":  true,
		"B76H0HQjp40pm":  true,
		"9jjge6H405c5a":  true,
		"avUKeNS0Sa569":  false, // the last digit holds four bits
		"avUKeNS0Sa56":   false,
		"AvUKeNS0Sa56Q":  false, // A is not in the alphabet
		"avUKeNS0Sa56Qa": false,
	} {
		if got := sofiaToken([]byte(token)); got != want {
			t.Errorf("sofiaToken(%q) = %v", token, got)
		}
	}
}

func TestShape(t *testing.T) {
	for token, want := range map[string]string{
		"":           "none",
		"1928301774": "dec",
		"e434a755":   "hex8",
		"43447555":   "hex8",
		"343230-9b58caa491dac6481320586e9532bd39":     "dec-hex32",
		"1-13128@127.0.1.1":                           "dec-dec@ip",
		"1c16e956-b29e-41db-82ee-0013ce8c7c2b":        "uuid4",
		"1c16e956-b29e-41db-82ee-0013ce8c7c2b@japi":   "uuid4@name",
		"37686afc57ce24ac655742b3644a7bb8@[::1]:5060": "hex32@ip",
		"GR52RWG346-34":                               "txt13",
		"C671489A-18C4512F":                           "HEX8-HEX8",
		"avUKeNS0Sa56Q":                               "sofia",
	} {
		if got := string(shape(nil, []byte(token), false)); got != want {
			t.Errorf("shape(%q) = %s, want %s", token, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	raw := []byte("\r\n\r\nINVITE sip:a@b SIP/2.0\r\nv : SIP/2.0/UDP h\r\nSubject:one\r\n two\r\n\tthree\r\nno header\r\nl:   3\nTO: <sip:a@b>\r\n\r\nX: body")
	var got []string
	for h := range Headers(raw) {
		got = append(got, fmt.Sprintf("%s|%s|%v%v%d", h.Name, h.Value, h.Folded, h.Gap, h.Blanks))
		if h.Is("content-length") != (string(h.Name) == "l") {
			t.Errorf("Is(content-length) on %s", h.Name)
		}
	}
	want := []string{"v|SIP/2.0/UDP h|falsetrue1", "Subject|one two three|truefalse0", "l|3|falsefalse3", "TO|<sip:a@b>|falsefalse1"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if string(Body(raw)) != "X: body" {
		t.Errorf("body %q", Body(raw))
	}
	if string(StartLine(raw)) != "INVITE sip:a@b SIP/2.0" {
		t.Errorf("start line %q", StartLine(raw))
	}
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ in, display, uri, params, rest string }{
		{`"A \"B\", C" <sip:a@b;x=1>;tag=t`, `A \"B\", C`, "sip:a@b;x=1", ";tag=t", ""},
		{`Bob <sip:b@c>`, "Bob", "sip:b@c", "", ""},
		{`sip:b@c;tag=1`, "", "sip:b@c", ";tag=1", ""},
		{`<sip:a@b>;automata, <tel:+1>`, "", "sip:a@b", ";automata", " <tel:+1>"},
		{`sip:a@b, <tel:+1>`, "", "sip:a@b", "", " <tel:+1>"},
		{`"open`, "", "", "", ""},
		{`<sip:a@b`, "", "sip:a@b", "", ""},
		{`*`, "", "*", "", ""},
	} {
		a := ParseAddress([]byte(c.in))
		if string(a.Display) != c.display || string(a.URI) != c.uri || string(a.Params) != c.params || string(a.Rest) != c.rest {
			t.Errorf("%s: %q %q %q %q", c.in, a.Display, a.URI, a.Params, a.Rest)
		}
	}
}

func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		contact  string
		automata bool
		actor    string
	}{
		{`<sip:a@b>;automata;actor="attendant"`, true, "attendant"},
		{`<sip:a@b>;AUTOMATA="TRUE"`, true, ""},
		{`<sip:a@b>;automata="FALSE"`, false, ""},
		{`<sip:a@b;automata>`, false, ""}, // a URI parameter is no feature tag
		{`"x;automata" <sip:a@b>;actor="msg-taker"`, false, "msg-taker"},
		{`<sip:a@b>;actor="!principal"`, false, ""},
		{`<sip:a@b>, <sip:c@d>;automata`, true, ""},
		{`*`, false, ""},
	} {
		p := Of(makertest.Wire("INVITE sip:x@y SIP/2.0\nContact: " + c.contact + "\n\n"))
		if p.Automata != c.automata || p.Actor != c.actor {
			t.Errorf("%s: automata %v, actor %q", c.contact, p.Automata, p.Actor)
		}
	}
}
