package main

import "bytes"

// marks stand before what has to be another one in each copy.
var marks = [][]byte{[]byte("Call-ID:"), []byte("Call-Id:"), []byte("call-id:"), []byte("\ni:"), []byte("tag="), []byte("branch=z9hG4bK"), []byte("branch=")}

// rename changes the names in a SIP message. The same name is changed to the same
// one in all messages of a copy, to another one in each copy, and keeps its length.
func rename(b []byte, copied uint32) {
	for _, m := range marks {
		for at := 0; ; {
			i := bytes.Index(b[at:], m)
			if i < 0 {
				break
			}
			at += i + len(m)
			for at < len(b) && b[at] == ' ' {
				at++
			}
			end := at
			for end < len(b) && b[end] > ' ' && b[end] != ';' && b[end] != ',' && b[end] != '@' && b[end] != '>' {
				end++
			}
			if !bytes.HasPrefix(b[at:end], []byte("z9hG4bK")) {
				count(b[at:end], copied)
			}
			at = end
		}
	}
}

// count adds a number to a name, whose letters and digits are taken for the digits
// of a number with the last one first: they keep their kind.
func count(name []byte, n uint32) {
	for i := len(name) - 1; i >= 0 && n > 0; i-- {
		var first byte
		var kind uint32
		switch c := name[i]; {
		case c >= '0' && c <= '9':
			first, kind = '0', 10
		case c >= 'a' && c <= 'f': // perhaps hexadecimal
			first, kind = 'a', 6
		case c >= 'g' && c <= 'z':
			first, kind = 'g', 20
		case c >= 'A' && c <= 'F':
			first, kind = 'A', 6
		case c >= 'G' && c <= 'Z':
			first, kind = 'G', 20
		default:
			continue
		}
		v := uint32(name[i]-first) + n
		name[i] = first + byte(v%kind)
		n = v / kind
	}
}
