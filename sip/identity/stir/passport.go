package stir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/portero/portero/sip/identity/jws"
)

// claim is an orig, dest or div: numbers and URIs (RFC 8225 section 5.2). orig
// and div hold one each, dest arrays.
type claim struct {
	TN  []string
	URI []string
}

// UnmarshalJSON takes a single value for an array of one, which is how orig and
// dest differ.
func (c *claim) UnmarshalJSON(b []byte) error {
	var raw struct {
		TN  json.RawMessage `json:"tn"`
		URI json.RawMessage `json:"uri"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	var err error
	if c.TN, err = list(raw.TN); err != nil {
		return fmt.Errorf("tn: %w", err)
	}
	if c.URI, err = list(raw.URI); err != nil {
		return fmt.Errorf("uri: %w", err)
	}
	return nil
}

// maxList bounds the numbers of one claim.
const maxList = 32

func list(b json.RawMessage) ([]string, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != '[' {
		var one string
		if err := json.Unmarshal(b, &one); err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	var all []string
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	if len(all) > maxList {
		return nil, fmt.Errorf("%d of them, more than %d", len(all), maxList)
	}
	return all, nil
}

func (c claim) empty() bool { return len(c.TN) == 0 && len(c.URI) == 0 }

// clean brings numbers to the form they are compared in: signers that leave a
// plus or separators in are understood.
func (c claim) clean() claim {
	out := claim{}
	for _, tn := range c.TN {
		if n := canonical(tn); n != "" {
			out.TN = append(out.TN, n)
		}
	}
	for _, u := range c.URI {
		out.URI = append(out.URI, cleanURI(u))
	}
	return out
}

func cleanURI(u string) string {
	scheme, rest, ok := strings.Cut(u, ":")
	user, host, at := strings.Cut(rest, "@")
	if !ok || !at {
		return strings.ToLower(u)
	}
	return strings.ToLower(scheme) + ":" + user + "@" + strings.ToLower(host)
}

// meets says whether two claims name somebody in common.
func (c claim) meets(d claim) bool {
	for _, a := range c.TN {
		for _, b := range d.TN {
			if a == b {
				return true
			}
		}
	}
	for _, a := range c.URI {
		for _, b := range d.URI {
			if a == b {
				return true
			}
		}
	}
	return false
}

// first is the one that a div names.
func (c claim) first() string {
	if len(c.TN) > 0 {
		return c.TN[0]
	}
	return printable(c.URI[0])
}

func (c claim) String() string {
	all := append(append([]string(nil), c.TN...), c.URI...)
	if len(all) == 0 {
		return "nobody"
	}
	return fmt.Sprintf("%.80q", strings.Join(all, ", "))
}

// passport is a PASSporT taken apart (RFC 8225).
type passport struct {
	x5u    string
	ppt    string
	iat    time.Time
	orig   claim
	dest   claim
	div    claim
	opt    bool // a div PASSporT that nests another (RFC 8946 section 5, div-o)
	attest string
	origID string
	rich   *Rich
	keys   map[string]json.RawMessage // all claims, for a certificate's constraints

	signed    string
	signature []byte
}

// failure is why a PASSporT does not count.
type failure struct {
	code int
	err  error
	// ours: the fault may be on this side (a certificate that could not be had,
	// a kind that is not known), and nothing is said of the caller.
	ours bool
}

func (f *failure) Error() string { return f.err.Error() }

func invalid(format string, args ...any) *failure {
	return &failure{code: CodeInvalid, err: fmt.Errorf(format, args...)}
}

// joseHeader is the protected header (RFC 8225 section 4).
type joseHeader struct {
	Alg string `json:"alg"`
	PPT string `json:"ppt"`
	Typ string `json:"typ"`
	X5U string `json:"x5u"`
}

// claims is the payload.
type claims struct {
	Attest string          `json:"attest"`
	Dest   claim           `json:"dest"`
	Div    claim           `json:"div"`
	IAT    json.Number     `json:"iat"`
	Opt    json.RawMessage `json:"opt"`
	Orig   claim           `json:"orig"`
	OrigID string          `json:"origid"`
}

// parse takes the full form apart.
func parse(h header) (*passport, *failure) {
	head, payload, signature, signed, err := jws.Split(h.digest)
	if err != nil {
		return nil, invalid("%w", err)
	}
	var jose joseHeader
	if err := decode(head, &jose); err != nil {
		return nil, invalid("its header is not the JSON of a PASSporT: %w", err)
	}
	switch {
	case jose.Typ != "passport":
		return nil, invalid("typ is %.20q, not passport", jose.Typ)
	case jose.Alg != "ES256" || h.alg != "ES256":
		return nil, &failure{code: CodeUnsupported, err: fmt.Errorf("it is signed by %.20q; ES256 alone is allowed (RFC 8225 section 6)", jose.Alg)}
	case jose.PPT != h.ppt && h.ppt != "":
		return nil, invalid("the header says ppt %.20q, the PASSporT %.20q", h.ppt, jose.PPT)
	case jose.X5U != h.info:
		return nil, &failure{code: CodeBadInfo, err: errors.New("info and x5u name different certificates")}
	}
	p := &passport{x5u: jose.X5U, ppt: jose.PPT, signed: signed, signature: signature}
	if f := p.read(payload); f != nil {
		return nil, f
	}
	return p, nil
}

func (p *passport) read(payload []byte) *failure {
	var c claims
	if err := decode(payload, &c); err != nil {
		return invalid("its claims are not those of a PASSporT: %w", err)
	}
	if err := decode(payload, &p.keys); err != nil {
		return invalid("its claims are no JSON object: %w", err)
	}
	iat, err := c.IAT.Int64()
	if err != nil {
		return invalid("iat is no whole number of seconds")
	}
	p.iat = time.Unix(iat, 0)
	p.orig, p.dest, p.div = c.Orig.clean(), c.Dest.clean(), c.Div.clean()
	p.opt = len(c.Opt) > 0
	if len(p.orig.TN)+len(p.orig.URI) != 1 || p.dest.empty() {
		return invalid("orig must name one caller and dest somebody called")
	}
	switch p.ppt {
	case "shaken":
		if c.Attest != "A" && c.Attest != "B" && c.Attest != "C" {
			return invalid("attest is %.20q, not A, B or C (RFC 8588 section 4)", c.Attest)
		}
		if c.OrigID == "" {
			return invalid("there is no origid (RFC 8588 section 5)")
		}
		p.attest, p.origID = c.Attest, printable(c.OrigID)
	case "div":
		if p.div.empty() {
			return invalid("there is no div claim (RFC 8946 section 3)")
		}
	}
	p.rich = richOf(p.keys)
	return nil
}

// rebuilt makes the content of the compact form (RFC 8224 section 4.1.2): the
// header from the parameters, the claims from the request, keys in order and no
// white space (RFC 8225 section 9). It returns every content that the request
// allows; one of them must be the signed one.
func rebuilt(h header, c Call) ([]*passport, *failure) {
	if h.ppt != "" {
		return nil, invalid("a PASSporT of kind %.20q must be in full form", h.ppt)
	}
	if h.alg != "ES256" {
		return nil, &failure{code: CodeUnsupported, err: fmt.Errorf("it is signed by %.20q; ES256 alone is allowed", h.alg)}
	}
	if c.date.IsZero() {
		return nil, invalid("the compact form needs a Date header")
	}
	signature, err := jws.Decode(strings.TrimPrefix(h.digest, ".."))
	if err != nil {
		return nil, invalid("%w", err)
	}
	head := jws.Encode(ordered(map[string]any{"alg": "ES256", "typ": "passport", "x5u": h.info}))
	var out []*passport
	for _, caller := range c.callers {
		for _, to := range c.to {
			for _, o := range caller.claims() {
				for _, d := range to.claims() {
					orig, dest := map[string]any{}, map[string]any{}
					if len(o.TN) > 0 {
						orig["tn"] = o.TN[0]
					} else {
						orig["uri"] = o.URI[0]
					}
					if len(d.TN) > 0 {
						dest["tn"] = d.TN
					} else {
						dest["uri"] = d.URI
					}
					body := ordered(map[string]any{"dest": dest, "iat": c.date.Unix(), "orig": orig})
					out = append(out, &passport{x5u: h.info, iat: c.date, orig: o, dest: d,
						signed: head + "." + jws.Encode(body), signature: signature,
						keys: map[string]json.RawMessage{"dest": nil, "iat": nil, "orig": nil}})
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, invalid("the request names nobody who could have been signed")
	}
	return out, nil
}

// claims are the forms in which a party may have been signed: a number's
// spellings, or the URI.
func (p party) claims() []claim {
	var out []claim
	for _, tn := range p.tns {
		out = append(out, claim{TN: []string{tn}})
	}
	if len(out) == 0 && p.uri != "" {
		out = append(out, claim{URI: []string{p.uri}})
	}
	return out
}

// ordered is JSON as RFC 8225 section 9 wants it signed: encoding/json sorts
// keys and writes no white space; characters of HTML stay as they are.
func ordered(v map[string]any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // maps of strings, numbers and lists cannot fail
	return bytes.TrimRight(b.Bytes(), "\n")
}

func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// printable keeps a text from ending a line or a terminal's peace, at most 128
// bytes.
func printable(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
