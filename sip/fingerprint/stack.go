package fingerprint

import "bytes"

// stack names the maker that the tokens prove. Rules stand from the strongest
// to the weakest proof; signalling comes before SDP, which a B2BUA may pass on
// from another maker. Seeds: public traces and the projects' sources.
func (m *message) stack() string {
	branch, cookie := bytes.CutPrefix(m.branch, []byte("z9hG4bK"))
	session := m.sdp.session
	is := func(b []byte, s string) bool { return string(b) == s }

	sofiaID, _ := sofiaCallID(m.callID, m.cseq)
	_, contactUser, _, _, _ := SplitURI(m.contact.URI)

	switch {
	case bytes.Contains(lowered(m.from.Display), []byte("sipvicious")),
		bytes.Contains(lowered(m.agent), []byte("friendly-scanner")),
		bytes.Contains(m.contact.URI, []byte("123@1.1.1.1")) && len(branch) > 1 && branch[0] == '-' && alphabet(branch[1:]) == 'd':
		return "sipvicious"

	case bytes.Contains(m.fromTag, []byte("SIPpTag")),
		cookie && sippBranch(branch) && sippCallID(m.callID):
		return "sipp"

	case is(session, "LiveKit"), // media-sdk sdp/offer.go
		len(m.agent) == 0 && is(m.allow, livekitAllow) && bytes.HasPrefix(m.sdp.codecs, []byte("9 0 8 101")):
		return "livekit"

	// One of the clock relation, or both tokens (chance 1e-8 for others).
	case sofiaID, sofiaToken(branch) && sofiaToken(m.fromTag):
		if is(m.sdp.origin, "FreeSWITCH") || is(session, "FreeSWITCH") || is(contactUser, "mod_sofia") {
			return "freeswitch"
		}
		return "sofia-sip"

	case cookie && bytes.HasPrefix(branch, []byte("Pj")):
		if bytes.HasPrefix(session, []byte("Asterisk")) || uuidVersion(m.callID) == '4' && uuidVersion(m.fromTag) == '4' &&
			uuidVersion(branch[2:]) == '4' && !is(session, "pjmedia") && bytes.HasPrefix(m.allow, []byte("OPTIONS, ")) {
			return "asterisk"
		}
		return "pjsip"

	case prefixed(m.fromTag, "as", 8, 'h') && len(branch) == 8 && alphabet(branch) != 't':
		return "asterisk" // chan_sip

	case bytes.HasPrefix(branch, []byte("-d8754z-")), bytes.HasPrefix(branch, []byte("-524287-1---")):
		return "resiprocate"

	case len(branch) == 10 && branch[0] == '.' && len(m.callID) == 10 && len(m.fromTag) == 9,
		is(session, "Talk") && len(branch) > 0 && branch[0] == '.':
		return "linphone"

	case len(branch) == 17 && branch[0] == '.' && len(m.fromTag) == 16 && uuidVersion(m.callID) == '4':
		return "sipgo"

	case hexOf(branch, 16) && hexOf(m.fromTag, 16) && hexOf(m.callID, 16):
		return "baresip" // re's rand_u64 for all three

	case len(branch) > 2 && branch[0] == 'a' && branch[1] == 'c' && alphabet(branch[2:]) == 'd' && prefixed(m.fromTag, "1c", 0, 'd'):
		return "audiocodes"

	case jainBranch(branch):
		return "jain-sip"

	case m.cseq >= 20 && m.cseq <= 23 && len(branch) > 0 && alphabet(branch) == 'd' && len(m.fromTag) > 0 && alphabet(m.fromTag) == 'd':
		return "exosip"

	case is(session, "sipsorcery"):
		return "sipsorcery"
	case is(session, "Twilio Media Gateway"):
		return "twilio-gateway"
	case is(session, "SIP Media Capabilities"), bytes.HasPrefix(m.sdp.origin, []byte("Sonus_")):
		return "ribbon"
	case is(session, "Opal SIP Session"):
		return "opal"
	case bytes.HasPrefix(m.sdp.origin, []byte("CiscoSystems")):
		return "cisco"
	case bytes.HasPrefix(m.sdp.tool, []byte("baresip")):
		return "baresip"
	case is(session, "pjmedia"):
		return "pjsip"
	}
	return ""
}

// livekitAllow is the order of methods livekit/sip writes; Zoiper writes the
// same, so that it proves nothing alone.
const livekitAllow = "INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE"

// platformName names the agent platform whose marks the request bears, and
// whether they come directly from it. Platforms that carry people as well
// (Twilio, Telnyx, Amazon) are no agent platforms.
func (m *message) platformName(stack string) (name string, direct bool) {
	if stack == "livekit" {
		return "LiveKit", true
	}
	for _, uri := range [...][]byte{m.from.URI, m.contact.URI} {
		_, _, host, _, _ := SplitURI(uri)
		for _, known := range [...]struct{ domain, name string }{
			{"sip.livekit.cloud", "LiveKit"},
			{"sip.vapi.ai", "Vapi"},
			{"sip.rtc.elevenlabs.io", "ElevenLabs"},
			{"sip.rtc.in.residency.elevenlabs.io", "ElevenLabs"},
		} {
			if under(host, known.domain) {
				return known.name, false
			}
		}
	}
	if m.marks.jambonz {
		return "jambonz", false
	}
	if stack == "sipsorcery" || stack == "sipgo" && string(m.from.Display) == "sipgo" {
		return stack, false
	}
	return "", false
}

// under reports whether host is domain or below it.
func under(host []byte, domain string) bool {
	n := len(host) - len(domain)
	return n >= 0 && foldEqual(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// family maps a claimed User-Agent to the stacks it may truthfully be built
// on, "" where that is not known or says nothing (gateways, SBCs).
func family(agent []byte) string {
	a := lowered(agent)
	for _, f := range [...]struct{ word, stack string }{
		{"freeswitch", "sofia"}, {"asterisk pbx", "asterisk"}, {"fpbx-", "asterisk"},
		{"pjsua", "pjsip"}, {"microsip", "pjsip"}, {"baresip", "baresip"}, {"linphone", "linphone"},
		{"x-lite", "resiprocate"}, {"eyebeam", "resiprocate"}, {"bria", "resiprocate"}, {"zoiper", "resiprocate"},
		{"jitsi2", "jain-sip"}, {"sipp", "sipp"}, {"polycom", "phone"}, {"yealink", "phone"}, {"grandstream", "phone"},
		{"snom", "phone"}, {"cisco-cp", "phone"},
	} {
		if bytes.Contains(a, []byte(f.word)) {
			return f.stack
		}
	}
	return ""
}

// mismatch reports whether a claimed family cannot be on the proven stack.
// Desk phones are made on many stacks, but not on these.
func mismatch(claims, stack string) bool {
	if claims == "" || stack == "" {
		return false
	}
	switch claims {
	case "sofia":
		return stack != "freeswitch" && stack != "sofia-sip"
	case "phone":
		return stack == "sipp" || stack == "sipgo" || stack == "livekit" || stack == "sipvicious" || stack == "freeswitch"
	case "linphone":
		return stack != "linphone" && stack != "exosip" // exosip until 3.6
	case "asterisk":
		return stack != "asterisk" && stack != "pjsip"
	}
	return claims != stack
}

func sippBranch(t []byte) bool {
	if len(t) < 6 || t[0] != '-' || bytes.Count(t, []byte{'-'}) != 3 {
		return false
	}
	return digitsAnd(t, '-')
}

func sippCallID(id []byte) bool {
	local, _, ok := bytes.Cut(id, []byte{'@'})
	return ok && bytes.Count(local, []byte{'-'}) == 1 && len(local) >= 3 && digitsAnd(local, '-')
}

func digitsAnd(t []byte, also byte) bool {
	for _, c := range t {
		if c != also && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// jainBranch is "-" decimal "-" 32 hexadecimal digits.
func jainBranch(t []byte) bool {
	if len(t) < 35 || t[0] != '-' {
		return false
	}
	n := len(t) - 32
	return t[n-1] == '-' && n > 2 && alphabet(t[1:n-1]) == 'd' && alphabet(t[n:]) == 'h'
}

// prefixed reports a literal prefix before n characters (any number if n is 0)
// of an alphabet; decimal passes as hexadecimal.
func prefixed(t []byte, prefix string, n int, kind byte) bool {
	rest, ok := bytes.CutPrefix(t, []byte(prefix))
	if !ok || len(rest) == 0 || n > 0 && len(rest) != n {
		return false
	}
	k := alphabet(rest)
	return k == kind || k == 'd'
}

func hexOf(t []byte, n int) bool {
	return len(t) == n && (alphabet(t) == 'h' || alphabet(t) == 'd')
}

// lowered gives a lower-case copy cut to 256 bytes.
func lowered(b []byte) []byte {
	if len(b) > 256 {
		b = b[:256]
	}
	return bytes.ToLower(b)
}
