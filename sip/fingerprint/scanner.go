package fingerprint

import "bytes"

// scanners are words of the User-Agents of tools that search address space for
// SIP to break into: SIPVicious, sipcli, VaxSIP as scanners use it, pplsip and
// its successor SIPPTS, Mr.SIP, Nmap's scripts, sundayddr and the rest of the
// well-known reject lists. What monitoring uses too (sipsak, SIPp) is not here.
var scanners = [...][]byte{
	[]byte("friendly-scanner"), []byte("friendly-request"), []byte("sipvicious"), []byte("sipcli"), []byte("sip-scan"), []byte("sipscan"),
	[]byte("vaxsipuseragent"), []byte("vaxipuseragent"), []byte("pplsip"), []byte("sippts"), []byte("mr.sip"), []byte("nmap nse"), []byte("sundayddr"), []byte("siparmyknife"), []byte("sivus"),
}

// IsScanner reports whether a datagram comes from a known scanning tool, cheap
// enough to ask before anything is parsed; it allocates nothing. Only the
// header lines that the tool itself writes are looked at, never a body.
func IsScanner(raw []byte) bool {
	raw = trimLeading(raw)
	_, rest := cut(raw)
	for len(rest) > 0 {
		var line []byte
		line, rest = cut(rest)
		if len(line) == 0 {
			return false
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 {
			continue
		}
		name, value := bytes.TrimRight(line[:colon], " \t"), line[colon+1:]
		switch {
		case foldEqual(name, "User-Agent"):
			if scannerAgent(value) {
				return true
			}
		case foldEqual(name, "From"), foldEqual(name, "f"):
			// SIPVicious signs its From: "sipvicious"<sip:100@1.1.1.1>. Whoever renames
			// it leaves the address, which is a resolver's and calls nobody. Nmap's
			// version probe comes from sip:nm@nm.
			if bytes.Contains(value, []byte("@1.1.1.1>")) || bytes.Contains(value, []byte("<sip:nm@nm>")) ||
				bytes.IndexByte(value, '"') >= 0 && containsFold(value, `"sipvicious"`) {
				return true
			}
		case foldEqual(name, "Contact"), foldEqual(name, "m"):
			if bytes.Contains(value, []byte("sip:123@1.1.1.1")) || bytes.Contains(value, []byte("sip:100@1.1.1.1")) {
				return true
			}
		}
	}
	return false
}

func scannerAgent(agent []byte) bool {
	var buf [128]byte // every message's User-Agent passes here
	low := buf[:min(len(agent), len(buf))]
	for i := range low {
		low[i] = lower(agent[i])
	}
	for _, s := range scanners {
		if bytes.Contains(low, s) {
			return true
		}
	}
	return false
}

// containsFold searches without regard to ASCII case; sub is in lower case.
func containsFold(b []byte, sub string) bool {
	for i := 0; i+len(sub) <= len(b); i++ {
		if lower(b[i]) == sub[0] && foldEqual(b[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}
