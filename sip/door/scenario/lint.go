package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// What follows holds for every message that a door sends, whatever a scenario
// asks; sections are those of RFC 3261.

// lint checks what a message must have by itself.
func lint(m *message) error {
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		if n := len(m.all(name)); n == 0 || n > 1 && name != "Via" {
			return fmt.Errorf("%d %s headers (section 8.1.1)", n, name)
		}
	}
	// In a response it is the agent's own, who may be of RFC 2543.
	if via := m.all("Via")[0]; m.code() == 0 && !strings.HasPrefix(parameter(via, "branch"), "z9hG4bK") {
		return fmt.Errorf("the branch of Via %q does not begin with z9hG4bK (section 8.1.1.7)", via)
	}
	if parameter(m.get("From"), "tag") == "" {
		return fmt.Errorf("the From has no tag (section 8.1.1.3)")
	}
	// Without one a datagram's body goes to its end.
	if n, err := strconv.Atoi(m.get("Content-Length")); m.has("Content-Length") && (err != nil || n != len(m.body)) {
		return fmt.Errorf("the Content-Length is %q, the body has %d bytes (section 20.14)", m.get("Content-Length"), len(m.body))
	}
	if m.body != "" && m.get("Content-Type") == "" {
		return fmt.Errorf("a body without Content-Type (section 7.4.1)")
	}
	if m.has("X-Portero-Raw") {
		return fmt.Errorf("X-Portero-Raw is the door's own and must not leave it")
	}
	if m.code() == 0 {
		return lintRequest(m)
	}
	if m.code() > 100 && parameter(m.get("To"), "tag") == "" {
		return fmt.Errorf("the To has no tag in a %d (section 8.2.6.2)", m.code())
	}
	if m.code()/100 == 2 && m.method() == "INVITE" && len(m.all("Contact")) != 1 {
		return fmt.Errorf("%d Contacts in a 2xx to INVITE (section 12.1.1)", len(m.all("Contact")))
	}
	return nil
}

func lintRequest(m *message) error {
	if _, method, _ := strings.Cut(m.get("CSeq"), " "); method != m.method() {
		return fmt.Errorf("the CSeq %q in a %s (section 8.1.1.5)", m.get("CSeq"), m.method())
	}
	if n, err := strconv.Atoi(m.get("Max-Forwards")); err != nil || n < 0 || n > 70 {
		return fmt.Errorf("the Max-Forwards is %q (section 8.1.1.6)", m.get("Max-Forwards"))
	}
	if m.method() == "INVITE" && len(m.all("Contact")) != 1 {
		return fmt.Errorf("%d Contacts in an INVITE (section 8.1.1.8)", len(m.all("Contact")))
	}
	return nil
}

// lintResponse checks a response against the request it answers.
func (d *dialog) lintResponse(m *message) error {
	vias := m.all("Via")
	branch := parameter(vias[0], "branch")
	req := d.branches[branch]
	if m.method() == "CANCEL" {
		req = d.sent["CANCEL"]
	}
	switch {
	case req == nil:
		return fmt.Errorf("no request was sent with branch %s (section 17.1.3)", branch)
	case len(vias) != len(req.all("Via")):
		return fmt.Errorf("%d Via headers, %d were sent (section 8.2.6.2)", len(vias), len(req.all("Via")))
	case m.get("CSeq") != req.get("CSeq"):
		return fmt.Errorf("the CSeq is %q, %q was sent (section 8.2.6.2)", m.get("CSeq"), req.get("CSeq"))
	case m.get("From") != req.get("From"):
		return fmt.Errorf("the From is %q, %q was sent (section 8.2.6.2)", m.get("From"), req.get("From"))
	case untagged(m.get("To")) != untagged(req.get("To")):
		return fmt.Errorf("the To is %q, %q was sent (section 8.2.6.2)", m.get("To"), req.get("To"))
	}
	if err := lintSessionResponse(m, req); err != nil {
		return err
	}
	if m.code() < 300 {
		if err := lintAnswer(req.body, m.body); err != nil {
			return err
		}
	}
	if sent := parameter(req.get("To"), "tag"); sent != "" && m.code() > 100 && parameter(m.get("To"), "tag") != sent {
		return fmt.Errorf("the To tag is %s, %s was sent (section 8.2.6.2)", parameter(m.get("To"), "tag"), sent)
	}
	return nil
}

// lintInDialog checks a request in a dialog (section 12.2).
func (d *dialog) lintInDialog(m *message) error {
	own := parameter(m.get("To"), "tag")
	switch from := parameter(m.get("From"), "tag"); {
	case own == "" && m.method() == "CANCEL", own == "" && !d.uac:
		return nil // another try of an out-of-dialog request
	case !d.mine(own):
		return fmt.Errorf("the To tag is %q, this side's is %q (section 12.2.1.1)", own, d.tag)
	case d.peerTag != "" && from != d.peerTag && d.earlies[from] == nil:
		return fmt.Errorf("the From tag is %q, the peer's was %q (section 12.2.1.1)", from, d.peerTag)
	}
	if c := d.contacts[own]; c != "" && m.uri() != c {
		return fmt.Errorf("the Request-URI is %s, this side's Contact is %s (section 12.2.1.1)", m.uri(), c)
	}
	if m.method() == "ACK" || m.method() == "CANCEL" {
		return nil
	}
	if last := max(d.peerSeq[own], d.peerSeq[""]); m.seq() <= last { // "": that of the call's first request
		return fmt.Errorf("the CSeq %d does not rise above %d (section 12.2.1.1)", m.seq(), last)
	}
	return nil
}

// lintCancel checks a CANCEL, and the ACK of a non-2xx, against the INVITE
// (sections 9.1 and 17.1.1.3).
func lintCancel(m, invite *message) error {
	for _, name := range []string{"Call-ID", "From"} {
		if m.get(name) != invite.get(name) {
			return fmt.Errorf("%s is %q, the INVITE has %q", name, m.get(name), invite.get(name))
		}
	}
	switch {
	case m.uri() != invite.uri():
		return fmt.Errorf("the Request-URI is %s, the INVITE's %s", m.uri(), invite.uri())
	case m.seq() != invite.seq():
		return fmt.Errorf("the CSeq is %d, the INVITE's %d", m.seq(), invite.seq())
	case len(m.all("Via")) != 1 || parameter(m.all("Via")[0], "branch") != parameter(invite.all("Via")[0], "branch"):
		return fmt.Errorf("the Via is %q, the INVITE's %q", m.all("Via"), invite.all("Via")[0])
	case m.method() == "CANCEL" && m.get("To") != invite.get("To"):
		return fmt.Errorf("the To is %q, the INVITE has %q", m.get("To"), invite.get("To"))
	}
	return nil
}

// lintMedia checks that media is anchored: the address in a description is
// never that of another agent.
func lintMedia(m *message, others map[netip.Addr]string) error {
	if !strings.HasPrefix(m.body, "v=0") {
		return nil
	}
	a, err := netip.ParseAddrPort(mediaAddress(m.body))
	if err != nil {
		return nil
	}
	if name := others[a.Addr()]; name != "" {
		return fmt.Errorf("the session description has the address of %s (%s): media would pass the door by", name, a)
	}
	return nil
}
