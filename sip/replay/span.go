package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The functions below find parts of header values and put others in their
// place; they never fail: what is not there is an empty span, and stays.

// outside finds c outside of quoted strings and angle brackets, len(b) if it is
// not there.
func outside(b []byte, c byte) int {
	quoted, angled := false, false
	for i := 0; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"' && !angled:
			quoted = !quoted
		case quoted:
		case b[i] == c && !angled:
			return i
		case b[i] == '<':
			angled = true
		case b[i] == '>':
			angled = false
		}
	}
	return len(b)
}

// paramSpan finds the value of a parameter of the first element of a list: of a
// Via, From, To or Contact, or of bare ";a=b". 0, 0 when it is not there.
func paramSpan(v []byte, name string) (from, till int) {
	end := outside(v, ',')
	at := outside(v[:end], ';')
	for at < end {
		at++ // the semicolon
		next := at + outside(v[at:end], ';')
		eq := bytes.IndexByte(v[at:next], '=')
		if eq >= 0 && strings.EqualFold(string(bytes.TrimSpace(v[at:at+eq])), name) {
			from, till = at+eq+1, next
			for from < till && blank(v[from]) {
				from++
			}
			for till > from && blank(v[till-1]) {
				till--
			}
			return from, till
		}
		at = next
	}
	return 0, 0
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// setParam changes a parameter's value, or puts the parameter at the end of the
// first element when it is not there and add says so.
func setParam(v []byte, name string, value []byte, add bool) []byte {
	if from, till := paramSpan(v, name); till > 0 {
		return splice(v, from, till, value)
	}
	if !add {
		return v
	}
	end := outside(v, ',')
	return splice(v, end, end, slices.Concat([]byte(";"+name+"="), value))
}

func splice(v []byte, from, till int, with []byte) []byte {
	return slices.Concat(v[:from], with, v[till:])
}

// uriOf finds the URI of the first address of a From, To, Contact or alike.
func uriOf(v []byte) (from, till int) {
	end := outside(v, ',')
	if i := openBracket(v[:end]); i >= 0 {
		j := bytes.IndexByte(v[i:], '>')
		if j < 0 {
			return i + 1, end
		}
		return i + 1, i + j
	}
	till = outside(v[:end], ';')
	for till > 0 && blank(v[till-1]) {
		till--
	}
	return 0, till
}

// openBracket finds the '<' outside of a quoted display name, -1 without one.
func openBracket(v []byte) int {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch {
		case quoted && v[i] == '\\':
			i++
		case v[i] == '"':
			quoted = !quoted
		case v[i] == '<' && !quoted:
			return i
		}
	}
	return -1
}

// hostOf finds host and port in a sip or sips URI; an empty span in any other.
func hostOf(uri []byte) (from, till int) {
	colon := bytes.IndexByte(uri, ':')
	if colon < 0 {
		return 0, 0
	}
	if s := strings.ToLower(string(uri[:colon])); s != "sip" && s != "sips" {
		return 0, 0
	}
	end := len(uri)
	if q := bytes.IndexByte(uri, '?'); q >= 0 {
		end = q
	}
	from = colon + 1
	if at := bytes.LastIndexByte(uri[:end], '@'); at >= from {
		from = at + 1
	}
	till = from
	for till < end && uri[till] != ';' && uri[till] != '>' && !blank(uri[till]) {
		till++
	}
	return from, till
}

// splitPort takes the port off a host; hasPort even if it is not a number.
func splitPort(hostport []byte) (host, port []byte, hasPort bool) {
	i := bytes.LastIndexByte(hostport, ':')
	if i < 0 || bytes.IndexByte(hostport[i:], ']') >= 0 {
		return hostport, nil, false
	}
	if hostport[0] != '[' && bytes.IndexByte(hostport, ':') != i {
		return hostport, nil, false // IPv6 without brackets
	}
	return bytes.TrimRight(hostport[:i], " \t"), bytes.TrimLeft(hostport[i+1:], " \t"), true
}

// hostText writes an address as a URI or Via has it.
func hostText(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// hostport writes an address in place of a recorded one: with its port where
// that had one, and where it is not what is taken without one.
func hostport(recorded []byte, a netip.AddrPort, usual uint16) []byte {
	if _, _, has := splitPort(recorded); has || a.Port() != usual {
		return []byte(hostText(a.Addr()) + ":" + strconv.Itoa(int(a.Port())))
	}
	return []byte(hostText(a.Addr()))
}

// viaParts finds the transport and the sent-by of the first Via in v.
func viaParts(v []byte) (transport, sentBy [2]int) {
	end := outside(v, ',')
	head := v[:outside(v[:end], ';')]
	i := bytes.IndexByte(head, '/')
	if i < 0 {
		return
	}
	j := bytes.IndexByte(head[i+1:], '/')
	if j < 0 {
		return
	}
	from := i + 1 + j + 1
	for from < len(head) && blank(head[from]) {
		from++
	}
	till := from
	for till < len(head) && !blank(head[till]) {
		till++
	}
	transport = [2]int{from, till}
	from = till
	for from < len(head) && blank(head[from]) {
		from++
	}
	till = len(head)
	for till > from && blank(head[till-1]) {
		till--
	}
	return transport, [2]int{from, till}
}

// address reads an IP address as it stands in a URI or a description.
func address(b []byte) (netip.Addr, bool) {
	b = bytes.TrimSuffix(bytes.TrimPrefix(b, []byte("[")), []byte("]"))
	a, err := netip.ParseAddr(string(b))
	return a.Unmap(), err == nil
}
