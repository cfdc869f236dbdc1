package stir

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Roots are the trust anchors.
type Roots struct{ pool *x509.CertPool }

// NewRoots makes trust anchors of certificates.
func NewRoots(certs []*x509.Certificate) Roots {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return Roots{pool}
}

// maxChain bounds the certificates behind one x5u.
const maxChain = 8

// Chain is a signer's certificate and those that issued it, the signer's first. It
// remembers what came of checking it, as one certificate signs many calls. It is
// safe for concurrent use.
type Chain struct {
	certs []*x509.Certificate

	mu          sync.Mutex
	checked     *credential    // nil: not yet, or in vain
	by          *x509.CertPool // the anchors it was checked by
	from, until time.Time      // when that holds
}

// NewChain makes a chain of certificates.
func NewChain(certs []*x509.Certificate) *Chain { return &Chain{certs: certs} }

// credential is what the chain comes to at a time (RFC 5280 section 6).
func (c *Chain) credential(roots Roots, at time.Time) (*credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked != nil && c.by == roots.pool && !at.Before(c.from) && !at.After(c.until) {
		return c.checked, nil
	}
	got, path, err := credentialOf(c.certs, roots, at)
	if err != nil {
		return nil, err
	}
	c.checked, c.by, c.from, c.until = got, roots.pool, path[0].NotBefore, path[0].NotAfter
	for _, cert := range path[1:] {
		if cert.NotBefore.After(c.from) {
			c.from = cert.NotBefore
		}
		if cert.NotAfter.Before(c.until) {
			c.until = cert.NotAfter
		}
	}
	return got, nil
}

// ParseChain reads the certificates of a file or of what stands behind an x5u:
// PEM, the signer's first and then those that issued it, or one in DER.
func ParseChain(b []byte) (*Chain, error) {
	if !bytes.Contains(b, []byte("-----BEGIN")) {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("neither PEM nor a certificate in DER: %w", err)
		}
		return NewChain([]*x509.Certificate{c}), nil
	}
	var out []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if len(out) == maxChain {
			return nil, fmt.Errorf("more than %d certificates", maxChain)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no PEM certificate in it")
	}
	return NewChain(out), nil
}

// credential is a signer's certificate that a trust anchor stands behind.
type credential struct {
	key     *ecdsa.PublicKey
	subject string
	names   *x509.Certificate
	tn      authority
	hasTN   bool // it has a TNAuthList
	limits  constraints
}

// credentialOf checks certificates at a time, and tells by which of them the
// signer's leads to an anchor.
func credentialOf(chain []*x509.Certificate, roots Roots, at time.Time) (*credential, []*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, nil, errors.New("there is no certificate")
	}
	// Verify refuses critical extensions that it does not know, of any certificate
	// in the chain; those of RFC 8226 and RFC 9118 are looked at here.
	all := make([]*x509.Certificate, len(chain))
	for i, c := range chain {
		known := *c
		known.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions), func(oid asn1.ObjectIdentifier) bool {
			return oid.Equal(oidTNAuthList) || oid.Equal(oidClaimConstraints) || oid.Equal(oidEnhancedClaimConstraints)
		})
		all[i] = &known
	}
	leaf := all[0]
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errors.New("its key is not an ECDSA key on P-256")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, nil, errors.New("its key is not for signatures")
	}
	between := x509.NewCertPool()
	for _, c := range all[1:] {
		between.AddCert(c)
	}
	anchors := roots.pool
	if anchors == nil { // nil would mean the system's
		anchors = x509.NewCertPool()
	}
	paths, err := leaf.Verify(x509.VerifyOptions{Roots: anchors, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, nil, err
	}
	c := &credential{key: key, subject: printable(leaf.Subject.String()), names: leaf}
	for _, e := range leaf.Extensions {
		var err error
		switch {
		case e.Id.Equal(oidTNAuthList):
			c.hasTN = true
			c.tn, err = parseTNAuthList(e.Value)
		case e.Id.Equal(oidClaimConstraints), e.Id.Equal(oidEnhancedClaimConstraints):
			var more constraints
			more, err = parseConstraints(e.Value)
			c.limits.add(more)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return c, paths[0], nil
}

// vouches says whether the certificate may speak for a caller (RFC 8226 section
// 9, RFC 8224 section 5): by a TNAuthList for numbers, by a host name for URIs.
func (c *credential) vouches(orig claim, ppt string) error {
	if ppt == "shaken" && !c.hasTN {
		return errors.New("its certificate has no TNAuthList, which shaken needs")
	}
	switch {
	case len(orig.TN) == 1 && !c.hasTN:
		return errors.New("its certificate has no TNAuthList and so speaks for no number")
	case len(orig.TN) == 1 && !c.tn.covers(orig.TN[0]):
		return fmt.Errorf("its certificate does not speak for %s", orig)
	case len(orig.URI) == 1:
		_, host, _ := strings.Cut(orig.URI[0], "@")
		if err := c.names.VerifyHostname(host); err != nil {
			return fmt.Errorf("its certificate does not speak for %s", orig)
		}
	}
	return nil
}

var (
	oidTNAuthList               = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26} // RFC 8226 section 9
	oidClaimConstraints         = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 27} // RFC 8226 section 8
	oidEnhancedClaimConstraints = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 33} // RFC 9118
)

// authority is a TNAuthList.
type authority struct {
	spc    []string
	ranges []tnRange
	ones   []string
}

type tnRange struct {
	start string
	count int
}

// maxEntries bounds a TNAuthList; larger ones stand behind a URL, which shaken
// does not use.
const maxEntries = 10000

// parseTNAuthList reads the extension. The choices are tagged explicitly:
//
//	TNAuthorizationList ::= SEQUENCE SIZE (1..MAX) OF TNEntry
//	TNEntry ::= CHOICE { spc [0] IA5String, range [1] SEQUENCE { start IA5String, count INTEGER }, one [2] IA5String }
func parseTNAuthList(der []byte) (authority, error) {
	var a authority
	var entries []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &entries)
	if err != nil || len(rest) > 0 || len(entries) == 0 || len(entries) > maxEntries {
		return a, errors.New("its TNAuthList cannot be read")
	}
	for _, e := range entries {
		if e.Class != asn1.ClassContextSpecific {
			return a, errors.New("its TNAuthList has an entry of an unknown kind")
		}
		switch e.Tag {
		case 0, 2:
			var s string
			if rest, err := asn1.UnmarshalWithParams(e.Bytes, &s, "ia5"); err != nil || len(rest) > 0 {
				return a, errors.New("its TNAuthList has an entry that cannot be read")
			}
			if e.Tag == 0 {
				a.spc = append(a.spc, printable(s))
			} else {
				a.ones = append(a.ones, canonical(s))
			}
		case 1:
			var r struct {
				Start string `asn1:"ia5"`
				Count int
			}
			if rest, err := asn1.Unmarshal(e.Bytes, &r); err != nil || len(rest) > 0 || r.Count < 2 {
				return a, errors.New("its TNAuthList has a range that cannot be read")
			}
			a.ranges = append(a.ranges, tnRange{canonical(r.Start), r.Count})
		default:
			return a, errors.New("its TNAuthList has an entry of an unknown kind")
		}
	}
	return a, nil
}

// covers says whether the list speaks for a number. A service provider code
// stands for all that the provider was given, which nobody here can look up.
func (a authority) covers(tn string) bool {
	if len(a.spc) > 0 || slices.Contains(a.ones, tn) {
		return true
	}
	for _, r := range a.ranges {
		if r.holds(tn) {
			return true
		}
	}
	return false
}

// holds says whether a number is one of the count from start on. Numbers of
// another length are not: 18 digits fit, E.164 has 15.
func (r tnRange) holds(tn string) bool {
	if len(tn) != len(r.start) || len(tn) > 18 {
		return false
	}
	a, ok1 := digits(r.start)
	b, ok2 := digits(tn)
	return ok1 && ok2 && b >= a && b-a < int64(r.count)
}

func digits(s string) (n int64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, s != ""
}

// constraints are what a certificate demands of the claims it signs.
type constraints struct {
	include   []string
	exclude   []string
	permitted map[string][]string
}

func (c *constraints) add(d constraints) {
	c.include = append(c.include, d.include...)
	c.exclude = append(c.exclude, d.exclude...)
	for k, v := range d.permitted {
		if c.permitted == nil {
			c.permitted = map[string][]string{}
		}
		c.permitted[k] = v
	}
}

// parseConstraints reads JWTClaimConstraints (RFC 8226 section 8) and their
// enhanced form (RFC 9118 section 4): mustInclude [0], permittedValues [1],
// mustExclude [2], each explicitly tagged and optional.
func parseConstraints(der []byte) (constraints, error) {
	var out constraints
	type permitted struct {
		Claim     string   `asn1:"ia5"`
		Permitted []string `asn1:"utf8"`
	}
	var fields []asn1.RawValue
	bad := errors.New("its claim constraints cannot be read")
	if rest, err := asn1.Unmarshal(der, &fields); err != nil || len(rest) > 0 {
		return out, bad
	}
	for _, f := range fields {
		switch {
		case f.Class == asn1.ClassContextSpecific && (f.Tag == 0 || f.Tag == 2):
			var names []asn1.RawValue
			if _, err := asn1.Unmarshal(f.Bytes, &names); err != nil {
				return out, bad
			}
			for _, n := range names {
				if f.Tag == 0 {
					out.include = append(out.include, string(n.Bytes))
				} else {
					out.exclude = append(out.exclude, string(n.Bytes))
				}
			}
		case f.Class == asn1.ClassContextSpecific && f.Tag == 1:
			var all []permitted
			if _, err := asn1.Unmarshal(f.Bytes, &all); err != nil {
				return out, bad
			}
			for _, p := range all {
				if out.permitted == nil {
					out.permitted = map[string][]string{}
				}
				out.permitted[p.Claim] = p.Permitted
			}
		default:
			return out, bad
		}
	}
	return out, nil
}

// allows checks claims against the constraints.
func (c constraints) allows(claims map[string]json.RawMessage) error {
	for _, name := range c.include {
		if _, ok := claims[name]; !ok {
			return fmt.Errorf("its certificate demands the claim %.40q, which is not there", name)
		}
	}
	for _, name := range c.exclude {
		if _, ok := claims[name]; ok {
			return fmt.Errorf("its certificate forbids the claim %.40q", name)
		}
	}
	for name, values := range c.permitted {
		raw, ok := claims[name]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		if !slices.Contains(values, s) {
			return fmt.Errorf("its certificate does not permit that value of the claim %.40q", name)
		}
	}
	return nil
}
