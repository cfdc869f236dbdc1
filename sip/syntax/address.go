package syntax

import "bytes"

// addresses reads a list of addresses: Contact, Route, Record-Route (RFC 3261
// sections 20.10, 20.30 and 20.34).
func (c *checker) addresses(h header, v []byte) string {
	if h == hContact && len(v) == 1 && v[0] == '*' {
		if c.request && string(c.method) != "REGISTER" {
			return "is *, which only REGISTER may say"
		}
		return ""
	}
	for i := 0; ; {
		if h == hContact {
			c.contacts++
		}
		i = blanks(v, i)
		var problem string
		if i, problem = c.nameAddr(h, v, i, nil); problem != "" {
			return problem
		}
		if i == len(v) {
			return ""
		}
		i++ // the comma
	}
}

// address reads one address with its parameters: From, To, Refer-To,
// Referred-By.
func (c *checker) address(h header, v []byte) string {
	var seen tags
	i, problem := c.nameAddr(h, v, 0, &seen)
	switch {
	case problem != "":
		return problem
	case i < len(v):
		return "has more than one address"
	}
	if seen.tag && h == hFrom {
		c.fromTag = true
	}
	return ""
}

// nameAddr reads ( name-addr / addr-spec ) *( SEMI param ) from v[i:] up to a
// comma or the end (RFC 3261 section 25.1).
func (c *checker) nameAddr(h header, v []byte, i int, seen *tags) (int, string) {
	if i == len(v) {
		return 0, "has no address"
	}
	bracket := i
	if v[i] == '"' {
		end, problem := c.quoted(v, i)
		if problem != "" {
			return 0, problem
		}
		if bracket = blanks(v, end); bracket == len(v) || v[bracket] != '<' {
			return 0, "has a name without an address in angle brackets"
		}
		if (h != hFrom && h != hTo) && bytes.IndexByte(v[i:end], '\\') >= 0 {
			c.odd = true // the parser takes an escaped quote for the end of the name
		}
	} else {
		bracket = span(v, i, isName)
		if bracket == len(v) || v[bracket] != '<' {
			return c.addrSpec(h, v, i, seen)
		}
		// The parser puts quotes around it, in which a backslash means more.
		c.odd = c.odd || bytes.IndexByte(v[i:bracket], '\\') >= 0
	}
	closing := bytes.IndexByte(v[bracket:], '>')
	if closing < 0 {
		return 0, "has an angle bracket that is not closed"
	}
	end := bracket + closing
	if _, problem := c.uri(v[bracket+1:end], inBrackets); problem != "" {
		return 0, problem
	}
	return c.params(v, end+1, seen)
}

// addrSpec reads an address without angle brackets: what follows a semicolon
// belongs to the header, and there can be neither comma nor question mark in it
// (RFC 3261 section 20).
func (c *checker) addrSpec(h header, v []byte, i int, seen *tags) (int, string) {
	end := i
	for end < len(v) && v[end] != ';' && v[end] != ',' {
		end++
	}
	if h == hRoute || h == hRecordRoute {
		return 0, "has an address without angle brackets"
	}
	spec := trim(v[i:end])
	c.odd = c.odd || len(spec) < end-i
	switch {
	case end < len(v) && v[end] == ',' && bytes.IndexByte(spec, ':') < 0 && bytes.IndexByte(v[end:], '<') >= 0:
		return 0, "has a name with a comma that is not quoted"
	case bytes.IndexByte(spec, '"') >= 0:
		return 0, "has a quote out of place"
	}
	if _, problem := c.uri(spec, bare); problem != "" {
		return 0, problem
	}
	return c.params(v, end, seen)
}

// quoted reads a quoted string from v[i:] and returns where it ends.
func (c *checker) quoted(v []byte, i int) (int, string) {
	for i++; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1, ""
		}
	}
	return 0, "has a quote that is not closed"
}

// tags are the parameters that are looked for.
type tags struct {
	tag    bool
	branch []byte
}

// params reads *( SEMI name [ EQUAL value ] ) from v[i:] and returns the comma
// behind them, or the end.
func (c *checker) params(v []byte, i int, seen *tags) (int, string) {
	for {
		j := blanks(v, i)
		if j == len(v) || v[j] == ',' {
			c.odd = c.odd || j > i
			return j, ""
		}
		if v[j] != ';' {
			return 0, "has something out of place before its parameters"
		}
		name := blanks(v, j+1)
		c.odd = c.odd || j > i || name > j+1
		end := span(v, name, isToken)
		if end == name {
			return 0, "has an empty parameter"
		}
		i = end
		value, problem := []byte(nil), ""
		if k := blanks(v, end); k < len(v) && v[k] == '=' {
			c.odd = c.odd || k > end
			if value, i, problem = c.paramValue(v, k+1); problem != "" {
				return 0, problem
			}
		}
		if problem := c.param(v[name:end], value, seen); problem != "" {
			return 0, problem
		}
	}
}

// paramValue reads token / host / quoted-string.
func (c *checker) paramValue(v []byte, i int) ([]byte, int, string) {
	start := blanks(v, i)
	c.odd = c.odd || start > i
	if start < len(v) && v[start] == '"' {
		end, problem := c.quoted(v, start)
		if problem != "" {
			return nil, 0, problem
		}
		// The parser knows few quotes behind an address.
		c.odd = c.odd || bytes.ContainsAny(v[start:end], ";=\\ \t")
		return v[start:end], end, ""
	}
	end := span(v, start, isValue)
	if end == start {
		return nil, 0, "has a parameter without the value it announces"
	}
	return v[start:end], end, ""
}

// param notes the parameters that name a dialog or a transaction; such a one is
// there once (RFC 3261 section 7.3.1).
func (c *checker) param(name, value []byte, seen *tags) string {
	switch len(name) {
	case 3:
		if !fold(name, "tag") || seen == nil {
			return ""
		}
		switch {
		case seen.tag:
			return "has two tags"
		case len(value) == 0 || span(value, 0, isToken) < len(value):
			return "has a tag that is no token"
		}
		seen.tag = true
		c.odd = c.odd || string(name) != "tag"
	case 6:
		if !fold(name, "branch") || seen == nil {
			return ""
		}
		switch {
		case seen.branch != nil:
			return "has two branches"
		case len(value) == 0 || value[0] == '"':
			return "has a branch that is no token"
		}
		seen.branch = value
		c.odd = c.odd || string(name) != "branch"
	case 8:
		// RFC 5118 section 4.5: taken, though an address here has no brackets.
		if fold(name, "received") {
			c.odd = c.odd || string(name) != "received" || len(value) > 0 && value[0] == '['
		}
	case 5:
		c.odd = c.odd || fold(name, "rport") && string(name) != "rport"
	}
	return ""
}
