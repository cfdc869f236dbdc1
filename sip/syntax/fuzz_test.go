package syntax

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// What the parser does not refuse it must read as the check did: an element
// that checks one thing and acts on another is how messages are smuggled.
func FuzzCheck(f *testing.F) {
	for _, m := range rfc4475 {
		f.Add([]byte(m.raw), false)
	}
	for _, m := range rfc5118 {
		f.Add([]byte(m.raw), true)
	}
	for _, m := range odd {
		f.Add([]byte(m.in), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, stream bool) {
		before := bytes.Clone(raw)
		m, fault := Check(raw, stream)
		if !bytes.Equal(raw, before) {
			t.Fatal("the message was changed in place")
		}
		if !fault.OK() {
			if m != nil || fault.Drop != (fault.Status == 0) || fault.Header == "" {
				t.Fatalf("%+v", fault)
			}
			if res, ok := Response(raw, netip.MustParseAddrPort("192.0.2.1:5060"), 400, fault.Reason()); ok {
				answerIsSound(t, res)
			}
			return
		}
		again, fault := Check(m, stream)
		if !fault.OK() {
			t.Fatalf("tidied, it has a fault: %v\n%s", fault, m)
		}
		if !bytes.Equal(again, m) {
			t.Fatalf("tidied twice:\n%s\nonce:\n%s", again, m)
		}
		agree(t, m)
	})
}

// agree parses a checked message and holds the parser's reading against a
// plain one.
func agree(t *testing.T, m []byte) {
	t.Helper()
	parsed, err := sipmsg.ParseMessage(m)
	if err != nil {
		if strings.Contains(err.Error(), "invalid uri scheme") {
			return // the parser takes letters alone; the door answers 400
		}
		t.Fatalf("the parser: %v\n%s", err, m)
	}
	want := map[string][]string{}
	for name, v := range fields(m) {
		want[strings.ToLower(names[headerOf(name)])] = append(want[strings.ToLower(names[headerOf(name)])], string(v))
	}
	if _, fault := (Limits{}).Check([]byte(parsed.String()), false); !fault.OK() && !strings.Contains(strings.ToLower(string(m)), "[::ffff:") {
		t.Fatalf("written again, it has a fault: %v\n%s\nwas:\n%s", fault, parsed.String(), m)
	}
	if got := parsed.CallID().Value(); got != want["call-id"][0] {
		t.Fatalf("Call-ID %q, parsed %q", want["call-id"], got)
	}
	number, method, _ := strings.Cut(want["cseq"][0], " ")
	n, _ := strconv.ParseUint(number, 10, 32)
	if cs := parsed.CSeq(); uint64(cs.SeqNo) != n || string(cs.MethodName) != method {
		t.Fatalf("CSeq %q, parsed %v %q", want["cseq"], cs.SeqNo, cs.MethodName)
	}
	for _, h := range []struct {
		name   string
		params sipmsg.HeaderParams
	}{{"from", parsed.From().Params}, {"to", parsed.To().Params}} {
		got, _ := h.params.Get("tag")
		if tag := tagIn(want[h.name][0]); got != tag {
			t.Fatalf("%s %q: tag %q, parsed %q", h.name, want[h.name][0], tag, got)
		}
	}
	vias := 0
	for _, h := range parsed.GetHeaders("Via") {
		v := h.(*sipmsg.ViaHeader)
		if v.Host == "" || v.Transport == "" || strings.ContainsAny(v.Host+v.Transport, " \t;,") {
			t.Fatalf("Via %q, parsed host %q transport %q", want["via"], v.Host, v.Transport)
		}
		vias++
	}
	if listed := strings.Count(strings.Join(want["via"], ","), ",") + 1; vias != listed {
		t.Fatalf("%d Vias in %q, parsed %d", listed, want["via"], vias)
	}
}

// tagIn finds the tag of a From or To by reading it from behind the address.
func tagIn(v string) string {
	if i := strings.LastIndexByte(v, '>'); i >= 0 {
		v = v[i:]
	}
	for _, p := range strings.Split(v, ";")[1:] {
		if tag, ok := strings.CutPrefix(p, "tag="); ok {
			return tag
		}
	}
	return ""
}

// answerIsSound holds what is sent to a stranger to the rules for all that is
// sent: one line a header, no bytes that end one, a length.
func answerIsSound(t *testing.T, res []byte) {
	t.Helper()
	head, body, ok := bytes.Cut(res, []byte("\r\n\r\n"))
	if !ok || len(body) > 0 {
		t.Fatalf("no empty line at the end:\n%q", res)
	}
	for i, line := range strings.Split(string(head), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("line %d of the answer: %q", i, line)
		}
		if i == 0 {
			continue
		}
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Via", "From", "To", "Call-ID", "CSeq", "Content-Length":
		default:
			t.Fatalf("the answer has %q", line)
		}
	}
}

// The same, with the message around it given, so that the fields that matter
// are all that changes.
func FuzzFields(f *testing.F) {
	f.Add("sip:bob@example.org;user=phone", "SIP/2.0/UDP [2001:db8::1]:5060 ;branch=z9hG4bK1;rport, SIP/2.0/TCP b;received=192.0.2.1", `"A \"B\"" <sip:a@b;c=d> ; tag=1`, `"x, y" <sip:a@b:5070>;q=0.5;+sip.instance="<urn:uuid:1>", sip:c@d;methods="INVITE, ACK"`)
	f.Add("tel:+1555;phone-context=x", "SIP / 2.0 / WSS host : 5060;ttl=1;x=\"y\"", `A B<sip:%41:p@[::1]>;x="y;tag=2";TAG=3`, "*")
	f.Fuzz(func(t *testing.T, uri, via, from, contact string) {
		raw := []byte(request(":OPTIONS "+uri+" SIP/2.0", "Via: "+via, "From: "+from, "Contact: "+contact, "Route: "+contact))
		m, fault := Check(raw, false)
		if !fault.OK() {
			m, fault = Check([]byte(request(":OPTIONS "+uri+" SIP/2.0", "Via: "+via, "From: "+from, "Contact: "+contact)), false)
		}
		if !fault.OK() {
			return
		}
		again, fault := Check(m, false)
		if !fault.OK() || !bytes.Equal(again, m) {
			t.Fatalf("%v; tidied twice:\n%s\nonce:\n%s", fault, again, m)
		}
		agree(t, m)
	})
}
