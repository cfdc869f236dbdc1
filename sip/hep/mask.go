package hep

import "bytes"

// Mask writes over the SRTP keys of a SIP message's description (a=crypto, RFC 4568
// section 9.1), in place and of the same length: who watches signalling need not be
// able to listen in.
func Mask(b []byte) {
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 8 || line[0] != 'a' || line[1] != '=' || !bytes.EqualFold(bytes.TrimSpace(line[2:colon]), []byte("crypto")) {
			continue
		}
		for at := colon + 1; ; {
			i := bytes.IndexByte(line[at:], ':') // behind "inline", and nowhere before
			if i < 0 {
				break
			}
			at += i + 1
			for at < len(line) && bytes.IndexByte([]byte("|; \t\r"), line[at]) < 0 {
				line[at] = 'x'
				at++
			}
			// An MKI has a colon too; the next key stands behind a semicolon.
			next := bytes.IndexByte(line[at:], ';')
			if next < 0 {
				break
			}
			at += next
		}
	}
}
