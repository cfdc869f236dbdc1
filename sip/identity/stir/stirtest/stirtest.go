// Package stirtest signs calls for tests: a certification authority of its own,
// signers' certificates, PASSporTs and Identity headers. Nothing of it is linked
// into Portero.
package stirtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/portero/portero/sip/identity/jws"
)

// CA issues certificates for signers.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
	at   time.Time
}

// Signer has a certificate and its key.
type Signer struct {
	Key   *ecdsa.PrivateKey
	Chain []*x509.Certificate // its own, then that of an authority in between
}

// must is for what fails only when the machine's randomness does.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// NewCA makes an authority whose certificates are good for an hour around a time.
func NewCA(at time.Time) *CA {
	ca := &CA{key: newKey(), at: at}
	t := ca.template("Test STI Root")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	ca.Cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, t, &ca.key.PublicKey, ca.key))))
	return ca
}

func (ca *CA) template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))), Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}},
		NotBefore: ca.at.Add(-time.Hour), NotAfter: ca.at.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
}

// Issue makes a signer, by way of an authority in between. With edit nil its
// certificate has a TNAuthList of the service provider code 1234.
func (ca *CA) Issue(edit func(*x509.Certificate)) *Signer {
	between := newKey()
	t := ca.template("Test STI Intermediate")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	middle := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, ca.Cert, &between.PublicKey, ca.key))))
	key := newKey()
	leaf := ca.template("SHAKEN 1234")
	if edit == nil {
		leaf.ExtraExtensions = []pkix.Extension{TNAuthList(SPC("1234"))}
	} else {
		edit(leaf)
	}
	cert := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, leaf, middle, &key.PublicKey, between))))
	return &Signer{Key: key, Chain: []*x509.Certificate{cert, middle}}
}

// PEM is a chain as it stands behind an x5u.
func PEM(chain ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// TNAuthList is the extension of RFC 8226 section 9.
func TNAuthList(entries ...asn1.RawValue) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}, Value: must(asn1.Marshal(entries))}
}

func tagged(tag int, content []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: content}
}

// SPC is a service provider code of a TNAuthList.
func SPC(code string) asn1.RawValue {
	return tagged(0, must(asn1.MarshalWithParams(code, "ia5")))
}

// Range is a range of numbers of a TNAuthList.
func Range(start string, count int) asn1.RawValue {
	return tagged(1, must(asn1.Marshal(struct {
		Start string `asn1:"ia5"`
		Count int
	}{start, count})))
}

// One is one number of a TNAuthList.
func One(number string) asn1.RawValue {
	return tagged(2, must(asn1.MarshalWithParams(number, "ia5")))
}

// MustInclude is a JWTClaimConstraints extension (RFC 8226 section 8) that
// demands claims. It is critical.
func MustInclude(names ...string) pkix.Extension {
	var list []asn1.RawValue
	for _, n := range names {
		list = append(list, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(n)})
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 27}, Critical: true,
		Value: must(asn1.Marshal([]asn1.RawValue{tagged(0, must(asn1.Marshal(list)))}))}
}

// Claims are a PASSporT's, by their names.
type Claims map[string]any

// TN is an orig or div of one number.
func TN(number string) Claims { return Claims{"tn": number} }

// TNs is a dest.
func TNs(numbers ...string) Claims { return Claims{"tn": numbers} }

// Shaken are the claims of RFC 8588.
func Shaken(orig, dest, attest string, at time.Time) Claims {
	return Claims{"attest": attest, "dest": TNs(dest), "iat": at.Unix(), "orig": TN(orig), "origid": "123e4567-e89b-12d3-a456-426655440000"}
}

// Header makes the value of an Identity header in full form.
func (s *Signer) Header(x5u, ppt string, c Claims) string {
	return s.Odd(Claims{"alg": "ES256", "ppt": ppt, "typ": "passport", "x5u": x5u}, c) + ";info=<" + x5u + ">;alg=ES256;ppt=\"" + ppt + "\""
}

// Odd signs any header and claims and returns the PASSporT alone.
func (s *Signer) Odd(header, c Claims) string {
	if header["ppt"] == "" {
		delete(header, "ppt")
	}
	return must(jws.Sign(s.Key, must(json.Marshal(header)), must(json.Marshal(c))))
}
