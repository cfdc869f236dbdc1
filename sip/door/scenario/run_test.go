package scenario

import (
	"net/netip"
	"strings"
	"testing"
)

// wire is no door: it hands every packet of the caller to the PBX and back as
// it is. So the agents talk to each other, and can be tested alone.
type wire struct{ calls int }

func (w wire) Calls() int { return w.calls }

func (wire) Records() ([]byte, error) {
	return []byte(`[{"old":1},{"outcome":"answered","far":[{"code":200}],"ended_by":null}]`), nil
}

func (wire) Do([]string) error { return nil }

// play runs a script over the wire; change may alter what passes, and drops it
// by returning nothing.
func play(t *testing.T, text string, d Door, change func(string) string) error {
	t.Helper()
	s, err := Parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	n := NewNetwork()
	c, err := n.Listen(DoorAddr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			k, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			to := cast["pbx"]
			if from.String() == to.String() {
				to = cast["caller"]
			}
			// Media is anchored: the wire says so.
			says := string(buf[:k])
			for _, a := range []string{"192.0.2.1", "198.51.100.10"} {
				says = strings.ReplaceAll(says, "c=IN IP4 "+a+"\r\n", "c=IN IP4 10.10.0.1\r\n")
			}
			head, body, _ := strings.Cut(says, "\r\n\r\n")
			m, err := parse([]byte(head + "\r\n\r\n" + body))
			if err != nil {
				t.Errorf("an agent wrote %q: %v", says, err)
				continue
			}
			m.replace("Content-Length")
			if out := change(string(m.bytes())); out != "" {
				_, _ = c.WriteTo([]byte(out), netUDP(to))
			}
		}
	}()
	err = Run(s, n, d)
	c.Close()
	<-done
	return err
}

func unchanged(s string) string { return s }

// swap replaces a text in what passes.
func swap(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

const call = `
caller -> INVITE sip:100@portero sdp(pcmu dtmf)
  X-Custom: foo
pbx <- INVITE sip:100@portero sdp(pcmu)
  X-Custom: f*
  -X-Other
pbx -> 180
caller <- 180 INVITE
pbx~a -> 200 INVITE sdp
caller <- 200 INVITE sdp(sendrecv)
caller -> ACK
pbx <- ACK
caller -> INFO
  | hello
pbx <- INFO
  | hel*
pbx -> 200
caller <- 200 INFO
pbx~a -> BYE
caller <- BYE sip:caller@192.0.2.1:5060
caller -> 200
pbx <- 200 BYE
`

// The agents keep the rules that they hold the door to.
func TestAgents(t *testing.T) {
	for name, text := range map[string]string{
		"a call":    call,
		"records":   "caller -> OPTIONS\npbx <- OPTIONS\npbx -> 200\ncaller <- 200\nrecord outcome = answered\nrecord far[0].code = 2*\nrecord far.length = 1",
		"refusal":   "caller -> INVITE\npbx <- INVITE\npbx -> 486\ncaller <- 486 \"Busy Here\"",
		"again":     "caller -> INVITE\npbx <- INVITE\ncaller -> INVITE again\npbx <- INVITE again\npbx -> 486\ncaller <- 486",
		"cancel":    "caller -> INVITE\npbx <- INVITE\ncaller -> CANCEL\npbx <- CANCEL\npbx -> 200 CANCEL\npbx -> 487 INVITE\nunordered\ncaller <- 487\ncaller <- 200 CANCEL\nend",
		"two calls": "caller -> OPTIONS\ncaller/2 -> MESSAGE\npbx <- OPTIONS\npbx/x <- MESSAGE\npbx/x -> 202\npbx -> 200\ncaller/2 <- 202\ncaller <- 200",
		"either":    "caller -> OPTIONS\neither\npbx <- INVITE\nor\npbx <- OPTIONS\npbx -> 200\ncaller <- 200\nend",
		"perhaps":   "caller -> OPTIONS\nperhaps\npbx <- INVITE\nend\npbx <- OPTIONS\nperhaps\npbx <- OPTIONS\nend\npbx -> 200\ncaller <- 200",
		"glare":     call[:strings.Index(call, "caller -> INFO")] + "caller -> INVITE sdp\npbx~a -> INVITE sdp\npbx <- INVITE\npbx -> 491 INVITE\ncaller <- INVITE\ncaller -> 491\nunordered\ncaller <- 491\npbx <- 491\nend",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := play(t, text, wire{}, unchanged); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is wrong is found, and said with its line.
func TestAgentsFindFaults(t *testing.T) {
	invite := "caller -> INVITE sdp\npbx <- INVITE sdp\n"
	answered := call[:strings.Index(call, "caller -> INFO")]
	rel := "caller -> INVITE sdp\n Supported: 100rel\npbx <- INVITE sdp\n"
	pracked := "pbx -> 180 rel\ncaller <- 180 rel\ncaller -> PRACK\npbx <- PRACK\npbx -> 200 PRACK\ncaller <- 200 PRACK\n"
	for name, tc := range map[string]struct {
		text   string
		change func(string) string
		want   string
	}{
		"another message":       {"caller -> OPTIONS\npbx <- INVITE", unchanged, "f:2: pbx <- INVITE: got OPTIONS"},
		"nothing":               {"caller -> OPTIONS\npbx <- OPTIONS within 20ms", func(string) string { return "" }, "nothing came within 20ms"},
		"a header":              {"caller -> OPTIONS\n X-A: 1\npbx <- OPTIONS\n X-A: 2", unchanged, `X-A is "1", not "2"`},
		"a missing header":      {"caller -> OPTIONS\npbx <- OPTIONS\n X-A: *", unchanged, "X-A is not there"},
		"an unwanted header":    {"caller -> OPTIONS\n X-A: 1\npbx <- OPTIONS\n -X-A", unchanged, "X-A: 1 is there"},
		"a body":                {"caller -> INFO\n | a\npbx <- INFO\n | b", unchanged, "the body is not"},
		"a codec":               {"caller -> INVITE sdp(pcma)\npbx <- INVITE sdp(pcmu)", unchanged, "pcmu is not offered"},
		"a direction":           {"caller -> INVITE sdp(pcma)\npbx <- INVITE sdp(sendonly)", unchanged, "the direction is sendrecv"},
		"no offer":              {"caller -> INVITE\npbx <- INVITE sdp", unchanged, "no session description"},
		"an offer":              {"caller -> INVITE sdp\npbx <- INVITE nosdp", unchanged, "there is a session description"},
		"not silent":            {"caller -> OPTIONS\npbx silent", unchanged, "pbx got what no step expects"},
		"left over":             {"caller -> OPTIONS\nwait 300ms", unchanged, "at the end: pbx got what no step expects"},
		"no ACK":                {invite + "pbx -> 486\ncaller <- 486", func(s string) string { return map[bool]string{true: "", false: s}[strings.HasPrefix(s, "ACK")] }, "pbx sent SIP/2.0 486 Busy Here and got no ACK"},
		"media past the door":   {invite, swap("10.10.0.1", "192.0.2.1"), "the address of caller"},
		"Call-ID":               {invite + "pbx -> 180\ncaller <- 180", swap("Call-ID: callerc", "Call-ID: x"), "a response in a call that is not here"},
		"branch":                {invite, swap("branch=z9hG4bK", "branch=old"), "does not begin with z9hG4bK"},
		"Content-Length":        {invite, swap("Content-Length: 1", "Content-Length: 2"), "the Content-Length is"},
		"Max-Forwards":          {invite, swap("Max-Forwards: 70", "Max-Forwards: 71"), `the Max-Forwards is "71"`},
		"two Contacts":          {invite, swap("Contact: ", "Contact: <sip:a@b>, "), "2 Contacts in an INVITE"},
		"To of a response":      {invite + "pbx -> 180\ncaller <- 180", swap("To: <sip:100@portero>;", "To: <sip:101@portero>;"), "the To is"},
		"no To tag":             {invite + "pbx -> 180\ncaller <- 180", swap(">;tag=pbxt1", ">"), "the To has no tag"},
		"CSeq of an ACK":        {answered, swap("CSeq: 1 ACK", "CSeq: 2 ACK"), "the CSeq of the ACK is 2"},
		"tag in the dialog":     {call, swap("tag=callert2\r\nCall-ID: callerc1@192.0.2.1\r\nCSeq: 1 BYE", "tag=x\r\nCall-ID: callerc1@192.0.2.1\r\nCSeq: 1 BYE"), "To tag is"},
		"target":                {call, swap("BYE sip:caller@192.0.2.1:5060", "BYE sip:caller@192.0.2.9:5060"), "the Request-URI is sip:caller@192.0.2.9:5060, this side's Contact"},
		"CSeq that falls":       {call, swap("CSeq: 2 INFO", "CSeq: 1 INFO"), "the CSeq 1 does not rise above 1"},
		"branch of a CANCEL":    {"caller -> INVITE\npbx <- INVITE\ncaller -> CANCEL\npbx <- CANCEL", swap("CANCEL sip:100@portero SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK", "CANCEL sip:100@portero SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"), "which no INVITE had"},
		"the door's own header": {invite, swap("Call-ID:", "X-Portero-Raw: 1\r\nCall-ID:"), "must not leave it"},
		"no headers' end":       {"caller -> OPTIONS\npbx <- OPTIONS", func(string) string { return "OPTIONS" }, "no empty line ends the headers"},
		"nothing to answer":     {"pbx -> 200", unchanged, "pbx has taken no request"},
		"nothing sent before":   {"caller -> BYE again", unchanged, "no BYE was sent that could be sent again"},
		"an unknown agent":      {"bob -> INVITE", unchanged, "there is no agent bob"},
		"the record":            {"caller -> OPTIONS\npbx <- OPTIONS\nrecord outcome = busy", unchanged, "the record says answered"},
		"no such record":        {"caller -> OPTIONS\npbx <- OPTIONS\nrecord far[1].code = 1", unchanged, "the record has 1 items at /far/1"},
		"RSeq alone":            {rel + "pbx -> 183 rel\ncaller <- 183", swap("Require: 100rel\r\n", ""), "go together"},
		"100rel unasked":        {invite + "pbx -> 183 rel\ncaller <- 183", unchanged, "the INVITE does not know 100rel"},
		"100rel required":       {"caller -> INVITE\n Require: 100rel\npbx <- INVITE\npbx -> 183\ncaller <- 183", unchanged, "the 183 is not reliable"},
		"two RSeq at once":      {rel + "pbx -> 180 rel\npbx -> 181 rel\ncaller <- 180\ncaller <- 181", unchanged, "a reliable response while RSeq 701 waits"},
		"a gap in RSeq":         {rel + pracked + "pbx -> 181 rel\n RSeq: 703\ncaller <- 181", unchanged, "the RSeq is 703 after 701"},
		"RSeq too high":         {rel + "pbx -> 180 rel\n RSeq: 2147483648\ncaller <- 180", unchanged, "above 2^31-1"},
		"a 2xx before PRACK":    {rel + "pbx -> 183 rel sdp\npbx -> 200\ncaller <- 183\ncaller <- 200", unchanged, "a 2xx while a reliable response"},
		"another RAck":          {rel + pracked, swap("RAck: 701", "RAck: 702"), `acknowledges (RFC 3262 section 7.2)`},
		"two PRACKs":            {rel + pracked + "caller -> PRACK\npbx <- PRACK", unchanged, "a second PRACK for RSeq 701"},
		"not reliable":          {rel + "pbx -> 180\ncaller <- 180 rel", unchanged, "which is not reliable"},
		"reliable":              {rel + "pbx -> 180 rel\ncaller <- 180 norel", unchanged, "which is reliable"},
		"another early dialog":  {invite + "pbx~a -> 180\npbx~b -> 180\ncaller <- 180 in a\ncaller <- 180 in a", unchanged, "in another early dialog than a"},
		"neither":               {"caller -> OPTIONS\neither\npbx <- INVITE\nor\npbx <- BYE\nend", unchanged, "nor any other way: got OPTIONS"},
		"one of two":            {"caller -> OPTIONS\nunordered\npbx <- OPTIONS\ncaller <- 200\nend", unchanged, "f:4: caller <- 200: nothing came"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := play(t, tc.text, wire{}, tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
	t.Run("a call that stays", func(t *testing.T) {
		t.Parallel()
		err := play(t, "caller -> OPTIONS\npbx <- OPTIONS\npbx -> 200\ncaller <- 200", wire{calls: 1}, unchanged)
		if err == nil || !strings.Contains(err.Error(), "the door still has 1 calls") {
			t.Error(err)
		}
	})
}

func TestNetwork(t *testing.T) {
	n := NewNetwork()
	a, b := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")
	c, err := n.Listen(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen(a); err == nil || n.Free(a) || !n.Free(b) {
		t.Errorf("an address is taken twice: %v", err)
	}
	if k, err := c.WriteTo([]byte("lost"), netUDP(b)); k != 4 || err != nil {
		t.Errorf("to nobody: %d %v", k, err)
	}
	c.Close()
	if _, _, err := c.ReadFrom(nil); err == nil {
		t.Error("read after close")
	}
	if _, err := c.WriteTo(nil, netUDP(b)); err == nil {
		t.Error("write after close")
	}
	if c.Close() == nil || !n.Free(a) {
		t.Error("closed twice")
	}
}
