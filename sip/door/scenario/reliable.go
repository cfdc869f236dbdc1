package scenario

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A peer is one of the dialogs that an agent has with the door in a call: the
// answers to one INVITE may begin several.
type peer struct {
	tag    string
	target string
	routes []string

	last    *message // the last reliable response in it (RFC 3262)
	pracked bool     // and it was acknowledged
}

// A reliably sent response waits for its PRACK.
type reliably struct {
	*message
	pracked bool
}

// reliable says whether a message is a reliable provisional response.
func reliable(m *message) bool {
	return m.code() > 100 && m.code() < 200 && requires(m, "100rel")
}

func requires(m *message, option string) bool { return lists(m, "Require", option) }

func lists(m *message, name, option string) bool {
	for _, v := range m.all(name) {
		for _, o := range strings.Split(v, ",") {
			if strings.EqualFold(strings.TrimSpace(o), option) {
				return true
			}
		}
	}
	return false
}

// peerTag is the tag of the door's side in a message from it.
func (m *message) peerTag() string {
	if m.code() == 0 {
		return parameter(m.get("From"), "tag")
	}
	return parameter(m.get("To"), "tag")
}

// named says whether an early dialog has the name, or may get it.
func (d *dialog) named(name, tag string) bool {
	if known, ok := d.names[name]; ok {
		return known == tag
	}
	for _, other := range d.names {
		if other == tag {
			return false
		}
	}
	return true
}

// learnEarly keeps what a response to the agent's INVITE says of its dialog.
func (d *dialog) learnEarly(m *message) {
	if m.code() <= 100 || m.code() >= 300 || m.method() != "INVITE" {
		return
	}
	tag := m.peerTag()
	p := d.earlies[tag]
	if p == nil {
		p = &peer{tag: tag, routes: slices.Clone(m.all("Record-Route"))}
		slices.Reverse(p.routes) // section 12.1.2
		d.earlies[tag] = p
	}
	if c := m.all("Contact"); len(c) > 0 {
		p.target = address(c[0])
	}
	if reliable(m) {
		p.last, p.pracked = m, false
	}
}

// dialogOf is the dialog that a request goes to: the one that is named, a
// PRACK's that of the newest reliable response; nil: the call's.
func (d *dialog) dialogOf(w what) *peer {
	if w.in != "" {
		return d.earlies[d.names[w.in]]
	}
	if w.method != "PRACK" {
		return nil
	}
	var newest *peer
	for _, p := range d.earlies {
		if p.last != nil && !p.pracked && (newest == nil || p.last.number > newest.last.number) {
			newest = p
		}
	}
	if newest == nil {
		for _, p := range d.earlies {
			if p.last != nil {
				newest = p
			}
		}
	}
	return newest
}

// nextRSeq is the number of the agent's next reliable response in a branch.
func (d *dialog) nextRSeq(tag string) int {
	last := 700
	for _, r := range d.sentRel {
		if parameter(r.get("To"), "tag") == tag {
			last, _ = strconv.Atoi(r.get("RSeq"))
		}
	}
	return last + 1
}

func (d *dialog) notePrack(m *message) {
	p := d.earlies[parameter(m.get("To"), "tag")]
	if p != nil && p.last != nil && strings.HasPrefix(m.get("RAck"), p.last.get("RSeq")+" ") {
		p.pracked = true
	}
}

// lintReliable checks what RFC 3262 asks of the responses to an INVITE; sections
// are its own.
func (d *dialog) lintReliable(m *message) error {
	if m.method() != "INVITE" {
		return nil
	}
	invite := d.branches[parameter(m.all("Via")[0], "branch")]
	p := d.earlies[m.peerTag()]
	open := p != nil && p.last != nil && !p.pracked
	switch rel := reliable(m); {
	case m.has("RSeq") != rel:
		return fmt.Errorf("option tag 100rel in Require and RSeq go together (RFC 3262 section 3)")
	case m.code()/100 == 2 && open && strings.HasPrefix(p.last.body, "v=0"):
		return fmt.Errorf("a 2xx while a reliable response with a description waits for its PRACK (RFC 3262 section 3)")
	case m.code() > 100 && m.code() < 200 && !rel && requires(invite, "100rel"):
		return fmt.Errorf("the INVITE requires 100rel and the %d is not reliable (RFC 3262 section 3)", m.code())
	case !rel:
		return nil
	case !requires(invite, "100rel") && !lists(invite, "Supported", "100rel"):
		return fmt.Errorf("a reliable response, and the INVITE does not know 100rel (RFC 3262 section 3)")
	case open:
		return fmt.Errorf("a reliable response while RSeq %s waits for its PRACK (RFC 3262 section 3)", p.last.get("RSeq"))
	}
	n, err := strconv.ParseUint(m.get("RSeq"), 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("the RSeq is %q (RFC 3262 section 7.1)", m.get("RSeq"))
	}
	if p == nil || p.last == nil {
		if n >= 1<<31 {
			return fmt.Errorf("the first RSeq is %d, above 2^31-1 (RFC 3262 section 3)", n)
		}
		return nil
	}
	if last, _ := strconv.ParseUint(p.last.get("RSeq"), 10, 32); n != last+1 {
		return fmt.Errorf("the RSeq is %d after %d in one dialog (RFC 3262 section 3)", n, last)
	}
	return nil
}

// lintPrack checks a PRACK against the agent's reliable responses: each gets one.
func (d *dialog) lintPrack(m *message) error {
	rack, tag := strings.Join(strings.Fields(m.get("RAck")), " "), parameter(m.get("To"), "tag")
	for _, r := range d.sentRel {
		if parameter(r.get("To"), "tag") != tag || rack != r.get("RSeq")+" "+r.get("CSeq") {
			continue
		}
		if r.pracked {
			return fmt.Errorf("a second PRACK for RSeq %s (RFC 3262 section 4)", r.get("RSeq"))
		}
		r.pracked = true
		return nil
	}
	return fmt.Errorf("no reliable response was sent that RAck %q with To tag %s acknowledges (RFC 3262 section 7.2)", rack, tag)
}
