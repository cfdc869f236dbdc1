package replay

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tokens makes fresh tags, branches and Call-IDs in the shapes of recorded
// ones: what a stack's tokens look like is part of its fingerprint.
type tokens struct {
	rand *rand.Rand
	runs map[string]string // digits that stand in several tokens of a call (SIPp's process number) are the same in all of them
}

func newTokens(r *rand.Rand) *tokens { return &tokens{rand: r, runs: map[string]string{}} }

// literals are the parts of tokens that stacks always write alike.
var literals = []string{
	"z9hG4bK", "-d8754z-", "-1---d8754z-", "-524287-1---", "-524287-", "SIPpTag", "Pj",
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// prefixes begin the hexadecimal tokens of chan_sip, AudioCodes and Ribbon.
var prefixes = []string{"as", "1c", "gK", "ac", "np", "Pj"}

func marked(t string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t, p) })
}

// like makes another token of the shape of t.
func (k *tokens) like(t string) string {
	if isSofia(t) {
		return k.sofia()
	}
	if local, host, ok := strings.Cut(t, "@"); ok {
		return k.like(local) + "@" + host
	}
	if isUUID(t) {
		return k.uuid(t)
	}
	for _, l := range literals {
		if rest, ok := strings.CutPrefix(t, l); ok {
			if l == "z9hG4bK" && len(rest) > 2 && slices.Contains(prefixes, rest[:2]) && !isSofia(rest) {
				return l + rest[:2] + k.like(rest[2:])
			}
			return l + k.like(rest)
		}
	}
	if i := strings.Index(t, "SIPpTag"); i >= 0 {
		return k.like(t[:i]) + "SIPpTag" + k.like(t[i+7:])
	}
	for _, l := range prefixes {
		if rest, ok := strings.CutPrefix(t, l); ok && len(rest) > 0 && kind(rest) != 't' {
			return l + k.like(rest)
		}
	}
	// Hyphens, dots and the like stay where they are.
	var out strings.Builder
	for len(t) > 0 {
		n := 0
		for n < len(t) && alphanumeric(t[n]) {
			n++
		}
		if n == 0 {
			out.WriteByte(t[0])
			t = t[1:]
			continue
		}
		out.WriteString(k.run(t[:n]))
		t = t[n:]
	}
	return out.String()
}

// run makes another run of letters and digits.
func (k *tokens) run(t string) string {
	of := kind(t)
	digits := of == 'd'
	if digits && len(t) >= 3 {
		if old, ok := k.runs[t]; ok {
			return old
		}
	}
	b := make([]byte, len(t))
	for {
		for i := range b {
			b[i] = k.character(t[i], of, i == 0)
		}
		// Of the same kind: hexadecimal digits that all come out decimal are not, nor
		// are those that happen to begin as another stack's tokens do.
		if kind(string(b)) == of && (len(b) < 3 || !marked(string(b))) {
			break
		}
	}
	if digits && len(t) >= 3 {
		k.runs[t] = string(b)
	}
	return string(b)
}

func (k *tokens) character(c, kind byte, first bool) byte {
	switch {
	case kind == 'h':
		return "0123456789abcdef"[k.rand.IntN(16)]
	case kind == 'H':
		return "0123456789ABCDEF"[k.rand.IntN(16)]
	case c >= '0' && c <= '9' && first && kind == 'd' && c != '0':
		return byte('1' + k.rand.IntN(9))
	case c >= '0' && c <= '9':
		return byte('0' + k.rand.IntN(10))
	case c >= 'a' && c <= 'z':
		return byte('a' + k.rand.IntN(26))
	}
	return byte('A' + k.rand.IntN(26))
}

// kind gives 'd' for decimal, 'h' and 'H' for lower- and upper-case hexadecimal
// with a letter in it, 't' for anything else.
func kind(t string) byte {
	kind := byte('d')
	for i := range len(t) {
		switch c := t[i]; {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'f' && kind != 'H' && kind != 't':
			kind = 'h'
		case c >= 'A' && c <= 'F' && kind != 'h' && kind != 't':
			kind = 'H'
		default:
			return 't'
		}
	}
	return kind
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// sofiaDigits are those of sofia-sip's tokens: a 64-bit number in base 32, so
// that the last digit is among the first sixteen.
const sofiaDigits = "aBcDeFgHjKmNpQrStUvXyZ0123456789"

func isSofia(t string) bool {
	if len(t) != 13 {
		return false
	}
	for i := range len(t) {
		d := strings.IndexByte(sofiaDigits, t[i])
		if d < 0 || i == 12 && d >= 16 {
			return false
		}
	}
	return true
}

func (k *tokens) sofia() string {
	n := k.rand.Uint64()
	b := make([]byte, 13)
	for i := range b {
		b[i] = sofiaDigits[n&31]
		n >>= 5
	}
	return string(b)
}

func isUUID(t string) bool {
	if len(t) != 36 {
		return false
	}
	for i := range len(t) {
		switch i {
		case 8, 13, 18, 23:
			if t[i] != '-' {
				return false
			}
		default:
			if c := t[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

// uuid makes another UUID, of the same version, variant and case.
func (k *tokens) uuid(t string) string {
	digits := "0123456789abcdef"
	if strings.ContainsAny(t, "ABCDEF") {
		digits = "0123456789ABCDEF"
	}
	b := []byte(t)
	for i := range b {
		if b[i] != '-' && i != 14 && i != 19 {
			b[i] = digits[k.rand.IntN(16)]
		}
	}
	return string(b)
}

// ntpEpoch is the distance from 1900-01-01 to 1970-01-01, s; gregorian that from
// 1582-10-15 to 1970-01-01 in steps of 100 ns, in which version 1 UUIDs count.
const (
	ntpEpoch  = 2208988800
	gregorian = 0x01B21DD213814000
)

// sofiaSeconds gives the clock of a Call-ID as sofia-sip makes it: a version 1
// UUID that counts from 1900 where 1970 is meant.
func sofiaSeconds(callID string) (int64, bool) {
	local, _, _ := strings.Cut(callID, "@")
	if !isUUID(local) || local[14] != '1' {
		return 0, false
	}
	high, _ := strconv.ParseUint(local[15:18], 16, 64)
	mid, _ := strconv.ParseUint(local[9:13], 16, 64)
	low, _ := strconv.ParseUint(local[:8], 16, 64)
	return (int64(high<<48|mid<<32|low) - gregorian) / 1e7, true
}

// sofiaFirst is the CSeq at which sofia-sip starts a dialog at that clock.
func sofiaFirst(seconds int64) int { return int(seconds>>1) & 0x7ffffff }

// callID makes a fresh Call-ID like the recorded one, and tells how far the
// CSeq numbers are to be moved with it: sofia-sip makes both from one clock. An
// address in it that was the recorded caller's becomes the new one.
func (k *tokens) callID(old string, cseq int, now time.Time, was, is netip.Addr) (id string, move int) {
	local, host, hasHost := strings.Cut(old, "@")
	if s, ok := sofiaSeconds(old); ok && cseq >= sofiaFirst(s) && cseq <= sofiaFirst(s)+3 {
		ticks := uint64((now.Unix()+ntpEpoch)*1e7+int64(k.rand.IntN(1e7))) + gregorian
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], ticks)
		// Clock sequence and node are the machine's, and stay.
		id = fmt.Sprintf("%x-%x-1%03x%s", b[4:8], b[2:4], binary.BigEndian.Uint16(b[:2])&0xfff, local[18:])
		if local == strings.ToUpper(local) {
			id = strings.ToUpper(id)
		}
		fresh, _ := sofiaSeconds(id)
		move = sofiaFirst(fresh) - sofiaFirst(s)
	} else {
		id = k.like(local)
	}
	if !hasHost {
		return id, move
	}
	addr, _, _ := splitPort([]byte(host))
	if a, ok := address(addr); ok && a == was {
		host = strings.Replace(host, string(addr), hostText(is), 1)
		if addr[0] != '[' && is.Is6() {
			host = strings.NewReplacer("[", "", "]", "").Replace(host)
		}
	}
	return id + "@" + host, move
}
