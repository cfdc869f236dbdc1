package syntax

import "bytes"

// vias reads a list of Via values: sent-protocol LWS sent-by *( SEMI param )
// (RFC 3261 section 20.42).
func (c *checker) vias(v []byte) string {
	top := c.seen&(1<<hVia) == 0
	for i := 0; ; {
		var problem string
		if i, problem = c.sentProtocol(v, i); problem != "" {
			return problem
		}
		host := blanks(v, i)
		if host == i {
			return "has no host"
		}
		c.odd = c.odd || host > i+1 || v[i] == '\t'
		if i, problem = c.hostPort(v, host); problem != "" {
			return problem
		}
		if problem := c.sentTo(v[host:i]); problem != "" {
			return problem
		}
		// Blanks around the colon of the port are legal.
		if k := blanks(v, i); k < len(v) && v[k] == ':' {
			c.odd = true
			if i, problem = port(v, blanks(v, k+1)); problem != "" {
				return problem
			}
		}
		var seen tags
		begin := i
		if i, problem = c.params(v, i, &seen); problem != "" {
			return problem
		}
		if bytes.IndexByte(v[begin:i], '"') >= 0 {
			if !quotedTokens(v[begin:i]) {
				return "has a quoted parameter that is not carried here"
			}
			c.odd = true
		}
		if top {
			if problem := c.branch(seen.branch); problem != "" {
				return problem
			}
			top = false
		}
		if i == len(v) {
			return ""
		}
		next := blanks(v, i+1)
		if next == len(v) {
			return "has an empty value behind a comma"
		}
		c.odd = c.odd || v[host] == '[' && begin == i // the parser loses a comma right behind an IPv6 address with its port
		i = next
	}
}

// sentProtocol reads protocol-name SLASH protocol-version SLASH transport.
func (c *checker) sentProtocol(v []byte, i int) (int, string) {
	if len(v)-i > 8 && string(v[i:i+8]) == "SIP/2.0/" && classes[v[i+8]]&isToken != 0 {
		return span(v, i+8, isToken), ""
	}
	start := i
	for n := 0; ; n++ {
		end := span(v, i, isToken)
		if end == i {
			return 0, "does not begin with SIP/2.0/ and a transport"
		}
		switch {
		case n == 0 && !fold(v[i:end], "sip"), n == 1 && string(v[i:end]) != "2.0":
			return 0, "is of another protocol than SIP/2.0"
		case n == 2:
			c.odd = true
			return end, ""
		}
		if i = blanks(v, end); i == len(v) || v[i] != '/' {
			return 0, "does not begin with SIP/2.0/ and a transport"
		}
		i = blanks(v, i+1)
		if i <= start {
			return 0, "does not begin with SIP/2.0/ and a transport"
		}
	}
}

// sentTo refuses a response that would be sent on to everybody: RFC 4475
// section 3.3.10.
func (c *checker) sentTo(host []byte) string {
	if !c.request && len(host) >= 15 && string(host[:15]) == "255.255.255.255" {
		return "sends the response to the broadcast address"
	}
	return ""
}

// branch looks at the top Via's. One that is the cookie alone names no
// transaction: all such requests would be one (RFC 4475 section 3.2.1).
func (c *checker) branch(b []byte) string {
	const cookie = "z9hG4bK"
	if len(b) < len(cookie) || !fold(b[:len(cookie)], "z9hg4bk") {
		return ""
	}
	c.cookie = true
	if len(b) == len(cookie) {
		return "has a branch that is the cookie and nothing behind it"
	}
	return ""
}

// quotedTokens says whether what is quoted in parameters needed no quotes: the
// parser can carry nothing else in a Via, and nobody has been seen to send it.
func quotedTokens(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return true
		}
		end := span(b, i+1, isToken)
		if end == i+1 || end == len(b) || b[end] != '"' {
			return false
		}
		b = b[end+1:]
	}
}
