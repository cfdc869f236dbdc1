package syntax

import "bytes"

// startLine reads the first line (RFC 3261 sections 7.1 and 7.2) and says
// whether it is worth to go on.
func (c *checker) startLine(line []byte) bool {
	if len(line) > 4 && fold(line[:4], "sip/") {
		return c.statusLine(line)
	}
	return c.requestLine(line)
}

// firstToken finds out of a first line that is broken whether it begins a
// request that may be answered.
func (c *checker) firstToken(raw []byte) {
	line, _, _ := bytes.Cut(raw, []byte{'\n'})
	i := span(line, 0, isToken)
	c.method = line[:i]
	c.request = i > 0 && i < len(line) && blank(line[i]) && hasVersion(line)
}

// hasVersion says whether something like SIP/2.0 stands in a line.
func hasVersion(line []byte) bool {
	for i := 1; i+4 <= len(line); i++ {
		if blank(line[i-1]) && fold(line[i:i+4], "sip/") {
			return true
		}
	}
	return false
}

// requestLine reads Method SP Request-URI SP SIP-Version. Other white space is
// never forwarded, and nobody sends it but to find out who does (RFC 4475
// sections 3.1.2.8 to 3.1.2.10): it is refused.
func (c *checker) requestLine(line []byte) bool {
	const where = "The request line"
	c.firstToken(line)
	if !c.request {
		c.bad(400, where, "is not one of SIP")
		return false
	}
	last := bytes.LastIndexByte(line, ' ')
	first := len(c.method)
	if line[first] != ' ' || first == last {
		c.bad(400, where, "is not a method, an address and a version with one space between")
		return false
	}
	uri, version := line[first+1:last], line[last+1:]
	switch {
	case len(version) == 0:
		c.bad(400, where, "ends in a blank")
		return false
	case len(uri) == 0 || uri[0] == ' ' || uri[len(uri)-1] == ' ':
		c.bad(400, where, "has more than one space between its parts")
		return false
	case !c.version(version, where):
		return false
	}
	if c.unknown = !known(c.method); c.unknown && bytes.ContainsAny(c.method, "abcdefghijklmnopqrstuvwxyz") {
		// The parser makes capitals of it, and so another method (RFC 3261 section
		// 7.1: they are told apart by case).
		c.later = Fault{Status: 501, Header: where, Problem: "has an unknown method"}
	}
	if c.limits.Line > 0 && len(uri) > c.limits.Line {
		c.bad(414, "The Request-URI", "is longer than is read here")
		return true
	}
	scheme, problem := c.uri(uri, inRequest)
	if problem != "" {
		c.bad(400, "The Request-URI", problem)
	}
	if scheme == schemeOther && c.later.OK() {
		c.later = Fault{Status: 416, Header: "The Request-URI", Problem: "has a scheme other than sip, sips, tel and urn"}
	}
	return true
}

// version reads SIP/2.0; another version of SIP is answered with 505 (RFC 3261
// section 21.5.6).
func (c *checker) version(v []byte, where string) bool {
	if string(v) == "SIP/2.0" {
		return true
	}
	if fold(v, "sip/2.0") {
		c.odd = true
		return true
	}
	i := span(v, 4, isDigit)
	if i > 4 && i+1 < len(v) && v[i] == '.' && span(v, i+1, isDigit) == len(v) {
		c.bad(505, where, "has a version other than SIP/2.0")
	} else {
		c.bad(400, where, "does not end in a version of SIP")
	}
	return false
}

// statusLine reads SIP-Version SP Status-Code SP Reason-Phrase.
func (c *checker) statusLine(line []byte) bool {
	const where = "The status line"
	version, rest, ok := bytes.Cut(line, []byte{' '})
	if !ok || !c.version(version, where) {
		c.bad(400, where, "is not a version, a status and a reason with one space between")
		return false
	}
	i := span(rest, 0, isDigit)
	switch {
	case i != 3 || rest[0] < '1' || rest[0] > '6' || i < len(rest) && rest[i] != ' ':
		c.bad(400, where, "has no status from 100 to 699")
		return false
	case i == len(rest):
		c.odd = true // no space, as the parser wants one before an empty reason
	case !plain(rest[i:]):
		if problem := c.controls(rest[i:]); problem != "" {
			c.bad(400, where, problem)
			return false
		}
	}
	return true
}
