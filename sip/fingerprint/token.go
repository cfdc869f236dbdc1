package fingerprint

import (
	"bytes"
	"strconv"
)

// sofiaAlphabet is the base-32 alphabet of sofia-sip's tags and branches.
const sofiaAlphabet = "aBcDeFgHjKmNpQrStUvXyZ0123456789"

// sofiaToken reports whether t has the form of a sofia-sip tag or branch: a
// 64-bit number in 13 base-32 digits, so that the last one, which holds the
// remaining four bits, is among the first sixteen. A random base-62 token of
// that length passes with a chance of about 1e-4.
func sofiaToken(t []byte) bool {
	if len(t) != 13 {
		return false
	}
	for i, c := range t {
		k := bytes.IndexByte([]byte(sofiaAlphabet), c)
		if k < 0 || i == 12 && k >= 16 {
			return false
		}
	}
	return true
}

// uuidVersion gives the version digit of a UUID (RFC 9562), 0 if t has not the
// form of one.
func uuidVersion(t []byte) byte {
	if len(t) != 36 {
		return 0
	}
	for i, c := range t {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return 0
			}
		default:
			if !hexDigit(c) {
				return 0
			}
		}
	}
	return t[14]
}

// uuidSeconds gives the seconds of a version 1 UUID's clock, counted as if it
// were honest from 1582-10-15 and shown from 1970-01-01.
func uuidSeconds(t []byte) (int64, bool) {
	if uuidVersion(t) != '1' {
		return 0, false
	}
	high, _ := strconv.ParseUint(string(t[15:18]), 16, 64)
	mid, _ := strconv.ParseUint(string(t[9:13]), 16, 64)
	low, _ := strconv.ParseUint(string(t[0:8]), 16, 64)
	const gregorian = 0x01B21DD213814000 // 100 ns steps from 1582-10-15 to 1970-01-01
	return (int64(high<<48|mid<<32|low) - gregorian) / 1e7, true
}

// ntpEpoch is the distance from 1900-01-01 to 1970-01-01, s.
const ntpEpoch = 2208988800

// sofiaCallID reports whether Call-ID and CSeq come from one sofia-sip clock.
// sofia-sip fills a version 1 UUID with NTP time where Unix time is meant, and
// starts CSeq at the same NTP seconds halved, modulo 2^27: the one predicts the
// other. Each resending with credentials adds one to CSeq, so a few more pass.
// The second result is the sender's wall clock in Unix seconds.
func sofiaCallID(callID []byte, cseq uint64) (bool, int64) {
	local, _, _ := bytes.Cut(callID, []byte{'@'})
	s, ok := uuidSeconds(local)
	if !ok {
		return false, 0
	}
	first := uint64(s>>1) & 0x7ffffff
	return cseq >= first && cseq <= first+3, s - ntpEpoch
}

// shape describes a random token by what stays the same from call to call:
// its literal frame, alphabet and length. Lengths of decimal numbers vary and
// are left out; a run of 8, 16 or 32 digits is taken as hexadecimal, as that is
// what it is far more often, unless its maker is known to write decimal tokens.
func shape(dst, t []byte, decimal bool) []byte {
	if len(t) == 0 {
		return append(dst, "none"...)
	}
	if sofiaToken(t) {
		return append(dst, "sofia"...)
	}
	if v := uuidVersion(t); v != 0 {
		return append(append(dst, "uuid"...), v)
	}
	if at := bytes.IndexByte(t, '@'); at >= 0 {
		dst = shape(dst, t[:at], decimal)
		dst = append(dst, '@')
		if ipLike(t[at+1:]) {
			return append(dst, "ip"...)
		}
		return append(dst, "name"...)
	}
	mark := len(dst)
	for rest := t; ; {
		part, after, more := bytes.Cut(rest, []byte{'-'})
		switch kind := alphabet(part); {
		case len(part) == 0:
		case kind == 'd' && (decimal || !words(part)):
			dst = append(dst, "dec"...)
		case kind == 'd' || kind == 'h':
			dst = strconv.AppendInt(append(dst, "hex"...), int64(whole(len(part))), 10)
		case kind == 'H':
			dst = strconv.AppendInt(append(dst, "HEX"...), int64(whole(len(part))), 10)
		default:
			// One part that is neither: the hyphens may be random too.
			return strconv.AppendInt(append(dst[:mark], "txt"...), int64(len(t)), 10)
		}
		if !more {
			return dst
		}
		dst = append(dst, '-')
		rest = after
	}
}

// words says whether a token has the length of one, two or four 32-bit words.
func words(t []byte) bool { return len(t) == 8 || len(t) == 16 || len(t) == 32 }

// whole is the number of hexadecimal digits with the leading zeros that many
// makers leave out.
func whole(n int) int {
	switch {
	case n >= 5 && n <= 8:
		return 8
	case n >= 13 && n <= 16:
		return 16
	case n >= 29 && n <= 32:
		return 32
	}
	return n
}

// longDecimal says whether a token can only be a decimal number.
func longDecimal(t []byte) bool { return len(t) > 4 && !words(t) && alphabet(t) == 'd' }

// alphabet gives 'd' for decimal, 'h' and 'H' for lower- and upper-case
// hexadecimal, 't' for anything else.
func alphabet(t []byte) byte {
	kind := byte('d')
	for _, c := range t {
		switch {
		case '0' <= c && c <= '9':
		case 'a' <= c && c <= 'f' && kind != 'H':
			kind = 'h'
		case 'A' <= c && c <= 'F' && kind != 'h':
			kind = 'H'
		default:
			return 't'
		}
	}
	return kind
}

func hexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// ipLike reports whether a host is an address rather than a name, port or not.
func ipLike(host []byte) bool {
	if len(host) == 0 {
		return false
	}
	colons := bytes.Count(host, []byte{':'})
	for _, c := range host {
		if '0' <= c && c <= '9' || c == '.' || c == ':' || c == '[' || c == ']' || colons > 1 && hexDigit(c) {
			continue
		}
		return false
	}
	return true
}
