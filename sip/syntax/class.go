package syntax

import "encoding/binary"

// Classes of bytes (RFC 3261 section 25.1).
const (
	isToken  uint16 = 1 << iota // token
	isHost                      // of a host name; '_' is no letter of a host, but names have it
	isUser                      // of a user part or password, '%' left out
	isParam                     // of a URI parameter or header, '%' left out
	isValue                     // of a parameter's value that is not quoted: token, host, and what senders put there
	isURI                       // of an address that is not a SIP URI
	isWord                      // of a Call-ID
	isScheme                    // of a URI's scheme
	isDigit                     //
	isHex                       //
	isName                      // of a display name without quotes, unless it ends it
)

var classes = func() (t [256]uint16) {
	set := func(class uint16, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	for c := 0x21; c < 0x7f; c++ {
		t[c] |= isURI | isWord
	}
	set(isDigit|isHex, "0123456789")
	set(isHex, "abcdefABCDEF")
	letters := "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	set(isToken|isHost|isUser|isParam|isValue|isScheme, letters)
	set(isToken|isValue, "-.!%*_+`'~")
	set(isHost, "-._")
	set(isScheme, "+-.")
	set(isValue, ":[]/@&$()")
	// unreserved, user-unreserved, and what telephones dial without escaping it.
	set(isUser, "-_.!~*'()"+"&=+$,;?/"+":"+"#^|{}`\\")
	// unreserved, param-unreserved and hnv-unreserved, '=' and what separates.
	set(isParam, "-_.!~*'()"+"[]/:&+$"+"="+"|^`{}#@")
	for c := 0x80; c < 0x100; c++ {
		t[c] |= isUser // UTF-8; the caller has looked whether it is
	}
	for _, c := range `<>"` {
		t[c] &^= isURI
	}
	for c := 0; c < 0x100; c++ {
		switch c {
		case '<', '>', '"', ',', ';', 0x7f:
		default:
			if c >= 0x20 || c == '\t' {
				t[c] |= isName
			}
		}
	}
	return t
}()

// span gives the end of the run of bytes of a class from b[i].
func span(b []byte, i int, class uint16) int {
	for i < len(b) && classes[b[i]]&class != 0 {
		i++
	}
	return i
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// blanks gives the end of the run of white space from b[i].
func blanks(b []byte, i int) int {
	for i < len(b) && blank(b[i]) {
		i++
	}
	return i
}

func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// fold compares b with s, which is in lower case, without regard to case.
func fold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// plain reports whether b has no control character at all, eight bytes at a
// time: every header line of every message passes here.
func plain(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		below := (x - ones*0x20) &^ x
		del := x ^ ones*0x7f
		if (below|(del-ones)&^del)&tops != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

// number reads digits alone, up to limit; leading zeros are harmless.
func number(b []byte, limit uint64) (uint64, string) {
	if len(b) == 0 {
		return 0, "has no number"
	}
	var n uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, "is not a number"
		}
		if n = n*10 + uint64(c-'0'); n > limit {
			return 0, "is too large a number"
		}
	}
	return n, ""
}
