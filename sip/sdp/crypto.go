package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Crypto is an a=crypto attribute (RFC 4568 section 9.1): a way to encrypt a
// stream, and the key that who wrote it sends with.
type Crypto struct {
	Tag    int    // 1 to 999999999; an answer has that of the line it takes
	Suite  string // as RFC 4568, 6188 and 7714 call it
	Key    []byte // master key and salt
	MKI    []byte // stands in each packet; nil for none
	Window int    // WSH: of replayed packets, at least; 0: not said
}

// suiteBytes is the length of master key and salt together, by suite.
var suiteBytes = map[string]int{
	"AES_CM_128_HMAC_SHA1_80": 30, // RFC 4568 section 6.2
	"AES_CM_128_HMAC_SHA1_32": 30,
	"AES_256_CM_HMAC_SHA1_80": 46, // RFC 6188 section 6
	"AES_256_CM_HMAC_SHA1_32": 46,
	"AEAD_AES_128_GCM":        28, // RFC 7714 section 14.2
	"AEAD_AES_256_GCM":        44,
}

// Suites lists the suites that a Crypto may have, sorted.
func Suites() []string {
	var out []string
	for name := range suiteBytes {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// SuiteBytes is how long master key and salt of a suite are together, bytes; 0:
// the suite is not known.
func SuiteBytes(suite string) int { return suiteBytes[suite] }

// ErrSuite says that a line is right, as far as one can tell, and names a suite
// that is not known: another line may do.
var ErrSuite = errors.New("sdp: SRTP suite is not known")

// ParseCrypto reads the value of an a=crypto attribute, behind the colon. It
// refuses what this side could not keep: several keys, a key derivation rate,
// streams that are not encrypted or not authenticated, parameters it does not
// know, unless a "-" says that they may be passed over (RFC 4568 section 6.3). A
// lifetime is read and is for the side whose key it is to keep. Errors never show
// a key.
func ParseCrypto(v string) (Crypto, error) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return Crypto{}, errors.New("sdp: a=crypto needs tag, suite and key")
	}
	tag, err := strconv.ParseUint(f[0], 10, 32)
	if err != nil || tag < 1 || tag > 999999999 || len(f[0]) > 9 {
		return Crypto{}, errors.New("sdp: the tag of a=crypto is not a number from 1 to 999999999")
	}
	c := Crypto{Tag: int(tag), Suite: strings.ToUpper(f[1])}
	if suiteBytes[c.Suite] == 0 {
		return Crypto{}, fmt.Errorf("%w: %.60q", ErrSuite, f[1])
	}
	if err := c.key(f[2]); err != nil {
		return Crypto{}, fmt.Errorf("sdp: a=crypto:%d: %w", c.Tag, err)
	}
	for _, p := range f[3:] {
		if err := c.session(p); err != nil {
			return Crypto{}, fmt.Errorf("sdp: a=crypto:%d: %w", c.Tag, err)
		}
	}
	return c, nil
}

// key reads inline:KEY[|lifetime][|MKI:length] (RFC 4568 section 6.1).
func (c *Crypto) key(v string) error {
	if strings.Contains(v, ";") {
		return errors.New("several keys in one line, of which none is chosen")
	}
	method, rest, _ := strings.Cut(v, ":")
	if !strings.EqualFold(method, "inline") {
		return errors.New("the key is not inline")
	}
	parts := strings.Split(rest, "|")
	// Some leave the padding out, which RFC 4568 section 6.1 does not allow.
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(parts[0], "="))
	if err != nil {
		return errors.New("the key is not base64")
	}
	if len(raw) != suiteBytes[c.Suite] {
		return fmt.Errorf("key and salt of %s have %d bytes, not %d", c.Suite, suiteBytes[c.Suite], len(raw))
	}
	c.Key = raw
	parts = parts[1:]
	if len(parts) > 0 && !strings.Contains(parts[0], ":") {
		if err := lifetime(parts[0]); err != nil {
			return err
		}
		parts = parts[1:]
	}
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return c.mki(parts[0])
	}
	return errors.New("more than a lifetime and an MKI stands behind the key")
}

// lifetime reads how many packets a key is for: 2^n or a number, at most 2^48 (RFC
// 3711 section 9.2).
func lifetime(v string) error {
	e, power := strings.CutPrefix(v, "2^")
	n, err := strconv.ParseUint(e, 10, 64)
	switch {
	case err != nil:
		return errors.New("the lifetime of the key is not a number of packets")
	case power && n > 48, !power && n > 1<<48:
		return errors.New("the lifetime of the key is more than 2^48 packets")
	case !power && n == 0:
		return errors.New("the lifetime of the key is over")
	}
	return nil
}

// mki reads value:length, and makes it as long as it stands in packets.
func (c *Crypto) mki(v string) error {
	value, length, _ := strings.Cut(v, ":")
	n, err := strconv.ParseUint(length, 10, 8)
	if err != nil || n < 1 || n > 128 {
		return errors.New("the length of the MKI is not a number from 1 to 128")
	}
	x, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n < 8 && x >= 1<<(8*n) {
		return errors.New("the MKI is not a number of its length")
	}
	c.MKI = make([]byte, n)
	for i := int(n) - 1; i >= 0 && x > 0; i-- {
		c.MKI[i] = byte(x)
		x >>= 8
	}
	return nil
}

// session reads a session parameter (RFC 4568 section 6.3).
func (c *Crypto) session(p string) error {
	name, v, _ := strings.Cut(p, "=")
	switch strings.ToUpper(name) {
	case "WSH":
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n < 64 {
			return errors.New("WSH is not a number from 64 to 65535")
		}
		c.Window = int(min(n, 1024))
		return nil
	case "KDR":
		if n, err := strconv.ParseUint(v, 10, 8); err == nil && n == 0 {
			return nil
		}
	}
	if strings.HasPrefix(p, "-") {
		return nil
	}
	return fmt.Errorf("session parameter %.40q is not supported", name)
}

// String is the attribute's value.
func (c Crypto) String() string {
	s := strconv.Itoa(c.Tag) + " " + c.Suite + " inline:" + base64.StdEncoding.EncodeToString(c.Key)
	if len(c.MKI) > 0 {
		x := uint64(0)
		for _, b := range c.MKI {
			x = x<<8 | uint64(b)
		}
		s += "|" + strconv.FormatUint(x, 10) + ":" + strconv.Itoa(len(c.MKI))
	}
	if c.Window > 0 {
		s += " WSH=" + strconv.Itoa(c.Window)
	}
	return s
}

// Cryptos reads the section's a=crypto attributes in their order, which is that of
// preference. Those that cannot be used are left out; the error tells of the
// last of them.
func (m *Media) Cryptos() (all []Crypto, err error) {
	for _, l := range m.Lines {
		name, v, _ := strings.Cut(l.Value, ":")
		if l.Type != 'a' || !strings.EqualFold(strings.TrimSpace(name), "crypto") {
			continue
		}
		c, e := ParseCrypto(v)
		if e != nil {
			err = e
			continue
		}
		all = append(all, c)
	}
	return all, err
}

// Secure is how a section is encrypted where it comes from: the rest of it is as
// if it were not.
type Secure struct {
	Proto  string  // as it was: RTP/SAVP, RTP/SAVPF, RTP/AVP (RFC 8643)
	Crypto *Crypto // the line that is taken; nil: none
}
