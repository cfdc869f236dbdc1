package syntax

import "bytes"

// Limits bound one message; 0 is no bound.
type Limits struct {
	Message int // bytes in all; more is 513
	Body    int // bytes of the body; more is 413
	Headers int // header fields; more is 513
	Line    int // bytes of a header field or of the Request-URI; more is 513 or 414
}

// Defaults are the limits of Check.
var Defaults = Limits{Message: 32 << 10, Headers: 128, Line: 8 << 10}

// Check is Defaults.Check.
func Check(raw []byte, stream bool) ([]byte, Fault) { return Defaults.Check(raw, stream) }

// Check reads one message as it came, from a datagram or cut from a stream, and
// says what is wrong with it. When nothing is, it returns the message for the
// parser: the bytes themselves without what stands before and behind the
// message (RFC 3261 sections 7.5 and 18.3), or a copy in plain spelling when
// the parser would misread it. On the good path nothing is allocated.
func (l Limits) Check(raw []byte, stream bool) ([]byte, Fault) {
	c := checker{limits: l, stream: stream, length: -1}
	raw = leading(raw)
	end := 0
	if l.Message > 0 && len(raw) > l.Message {
		c.firstToken(raw)
		c.tooLarge()
	} else {
		end = c.message(raw)
	}
	if !c.fault.OK() {
		if !c.request || string(c.method) == "ACK" {
			c.fault.Drop, c.fault.Status = true, 0
		}
		return nil, c.fault
	}
	if c.odd {
		return tidy(raw[:end]), Fault{}
	}
	return raw[:end:end], Fault{}
}

// checker is the state of one reading.
type checker struct {
	limits Limits
	stream bool
	fault  Fault // the first
	odd    bool  // the parser would misread it as it is

	request bool
	method  []byte
	unknown bool  // the method is none of the registry
	later   Fault // what is owed if nothing is malformed: 416, 501

	count    int    // header fields
	seen     uint32 // headers, as 1<<header
	contacts int
	cookie   bool // the top Via's branch is one of RFC 3261
	fromTag  bool
	length   int // Content-Length; -1: there is none
}

func (c *checker) bad(status int, header, problem string) {
	if c.fault.OK() {
		c.fault.Status, c.fault.Header, c.fault.Problem = status, header, problem
	}
}

func (c *checker) tooLarge() {
	c.bad(513, "The message", "is larger than is read here")
	c.fault.Close = c.stream
}

// leading drops the empty lines that may precede a message.
func leading(raw []byte) []byte {
	for len(raw) > 1 && raw[0] == '\r' && raw[1] == '\n' {
		raw = raw[2:]
	}
	return raw
}

// message reads a message and returns where it ends.
func (c *checker) message(raw []byte) int {
	line, at, problem := nextLine(raw, 0)
	if problem != "" {
		c.firstToken(raw)
		c.bad(400, "The first line", problem)
		return 0
	}
	if !c.startLine(line) || !c.fault.OK() {
		return 0
	}
	for {
		if at == len(raw) && !c.stream && c.count > 0 {
			// No empty line, but nothing is cut off either: an ACK like this has been
			// seen, and a call without its ACK is lost.
			c.odd = true
			break
		}
		line, next, folded, problem := nextField(raw, at)
		if problem != "" {
			c.bad(400, "The head", problem)
			return 0
		}
		if at = next; len(line) == 0 {
			break
		}
		c.odd = c.odd || folded
		if c.count++; c.limits.Headers > 0 && c.count > c.limits.Headers {
			c.bad(513, "The message", "has more header fields than are read here")
			return 0
		}
		c.field(line)
	}
	end := c.body(raw, at)
	c.whole()
	return end
}

// nextLine gives the line at b[at:] without its CRLF, and where the next begins.
func nextLine(b []byte, at int) ([]byte, int, string) {
	i := bytes.IndexByte(b[at:], '\n')
	switch {
	case i < 0:
		return nil, 0, "ends in the middle of a line"
	case i == 0 || b[at+i-1] != '\r':
		return nil, 0, "has a line feed without a carriage return"
	}
	return b[at : at+i-1], at + i + 1, ""
}

// nextField gives the header field at b[at:], unfolded (RFC 3261 section 7.3.1),
// and where the next begins; an empty one ends the head.
func nextField(b []byte, at int) (line []byte, next int, folded bool, problem string) {
	line, next, problem = nextLine(b, at)
	for problem == "" && len(line) > 0 && next < len(b) && blank(b[next]) {
		if !folded {
			line, folded = bytes.Clone(line), true // rare, so it may cost
		}
		var more []byte
		if more, next, problem = nextLine(b, next); problem == "" {
			line = append(append(line, ' '), trim(more)...)
		}
	}
	return line, next, folded, problem
}

// field reads one header field, unfolded.
func (c *checker) field(line []byte) {
	if c.limits.Line > 0 && len(line) > c.limits.Line {
		c.bad(513, "A header field", "is longer than is read here")
		return
	}
	if blank(line[0]) {
		c.bad(400, "The first header field", "begins with a blank")
		return
	}
	if !plain(line) {
		if problem := c.controls(line); problem != "" {
			c.bad(400, "A header field", problem)
			return
		}
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		c.bad(400, "A header field", "has no colon")
		return
	}
	name := trim(line[:colon])
	h := headerOf(name)
	if h == other {
		if len(name) == 0 || span(name, 0, isToken) < len(name) {
			c.bad(400, "A header field", "has a name that is no token")
		}
		return
	}
	if once&(1<<h) != 0 && c.seen&(1<<h) != 0 {
		c.bad(400, names[h], "is there twice")
		c.fault.Close = c.fault.Close || h == hContentLength
		return
	}
	if problem := c.value(h, trim(line[colon+1:])); problem != "" {
		c.bad(400, names[h], problem)
		c.fault.Close = c.fault.Close || h == hContentLength
	}
	c.seen |= 1 << h
}

// value reads the value of a header whose grammar matters here.
func (c *checker) value(h header, v []byte) string {
	switch h {
	case hVia:
		return c.vias(v)
	case hFrom, hTo, hReferTo, hReferredBy:
		return c.address(h, v)
	case hContact, hRoute, hRecordRoute:
		return c.addresses(h, v)
	case hCallID:
		switch {
		case len(v) == 0:
			return "is empty"
		case span(v, 0, isWord) < len(v):
			return "has blanks or letters that no Call-ID has"
		}
	case hCSeq:
		return c.cseq(v)
	case hMaxForwards:
		_, problem := number(v, 255)
		return problem
	case hContentLength:
		n, problem := number(v, 1<<31-1)
		c.length = int(n)
		return problem
	case hContentType:
		return c.mediaType(v)
	}
	return ""
}

// controls says whether a line has control characters where none may be: all
// but tabs and, in quoted strings, escaped ones (RFC 3261 section 25.1,
// quoted-pair). Those the parser gets as spaces.
func (c *checker) controls(line []byte) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\t':
		case b == '"':
			quoted = !quoted
		case b == '\\' && quoted && i+1 < len(line):
			i++
			if line[i] == '\r' {
				return "has a carriage return within its line"
			}
			c.odd = c.odd || line[i] < 0x20 || line[i] == 0x7f
		case b == '\r':
			return "has a carriage return within its line"
		case b == 0:
			return "has a NUL"
		case b < 0x20 || b == 0x7f:
			return "has a control character"
		}
	}
	return ""
}

// cseq reads 1*DIGIT LWS Method (RFC 3261 section 20.16); the number is below
// 2^31 (section 8.1.1.5).
func (c *checker) cseq(v []byte) string {
	i := span(v, 0, isDigit)
	if _, problem := number(v[:i], 1<<31-1); problem != "" {
		return problem
	}
	j := blanks(v, i)
	method := v[j:]
	switch {
	case j == i || len(method) == 0:
		return "is not a number and a method"
	case span(method, 0, isToken) < len(method):
		return "has a method that is no token"
	}
	if j > i+1 || v[i] == '\t' {
		c.odd = true
	}
	if c.request && string(method) != string(c.method) {
		if !c.unknown {
			return "names another method than the request line"
		}
		// RFC 4475 section 3.1.2.18: that the method is unknown says more.
		c.later = Fault{Status: 501, Header: names[hCSeq], Problem: "names another method than the request line, which has an unknown one"}
	}
	return ""
}

// mediaType reads type "/" subtype and parameters (RFC 3261 section 20.15).
func (c *checker) mediaType(v []byte) string {
	i := span(v, 0, isToken)
	j := blanks(v, i)
	if i == 0 || j == len(v) || v[j] != '/' {
		return "is not type/subtype"
	}
	k := blanks(v, j+1)
	end := span(v, k, isToken)
	if end == k {
		return "is not type/subtype"
	}
	odd := c.odd || j > i || k > j+1
	end, problem := c.params(v, end, nil)
	if c.odd = odd; problem == "" && end < len(v) {
		problem = "has more than one value"
	}
	return problem
}

// body holds Content-Length against what is there, and returns where the
// message ends.
func (c *checker) body(raw []byte, at int) int {
	rest := len(raw) - at
	switch {
	case c.length < 0 && c.stream && rest > 0:
		c.bad(400, "Content-Length", "is missing, and a stream tells no other way how long the body is")
		c.fault.Close = true
		return 0
	case c.length < 0:
		c.length = rest
	case c.length > rest && c.stream && c.limits.Message > 0 && at+c.length > c.limits.Message:
		c.tooLarge()
		return 0
	case c.length > rest && c.stream:
		c.bad(400, "Content-Length", "is more than was sent")
		c.fault.Close = true
		return 0
	case c.length > rest:
		c.bad(400, "Content-Length", "is more than the datagram holds")
		return 0
	}
	if c.limits.Body > 0 && c.length > c.limits.Body {
		c.bad(413, "The body", "is larger than is read here")
	}
	return at + c.length
}

// whole checks what only the whole head shows.
func (c *checker) whole() {
	for _, h := range [...]header{hVia, hFrom, hTo, hCallID, hCSeq} {
		if c.seen&(1<<h) == 0 {
			c.bad(400, names[h], "is missing")
			return
		}
	}
	switch {
	case c.request && c.cookie && !c.fromTag:
		// Without the cookie the sender follows RFC 2543, which had no such tag.
		c.bad(400, "From", "has no tag")
	case c.request && c.contacts > 1 && string(c.method) == "INVITE":
		c.bad(400, "Contact", "has more than one address, of which an INVITE has one")
	}
	if c.fault.OK() {
		c.fault = c.later
	}
}
