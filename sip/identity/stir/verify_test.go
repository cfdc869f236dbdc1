package stir_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/sip/identity/stir"
	"github.com/portero/portero/sip/identity/stir/stirtest"
)

const (
	x5u   = "https://certs.example/sp.pem"
	other = "https://certs.example/other.pem"
)

var at = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// world is what the cases sign with.
type world struct {
	ca     *stirtest.CA
	signer *stirtest.Signer
	second *stirtest.Signer // at other
	forger *stirtest.Signer // of an authority that nobody trusts
}

func newWorld() *world {
	ca := stirtest.NewCA(at)
	return &world{ca: ca, signer: ca.Issue(nil), second: ca.Issue(func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{stirtest.TNAuthList(stirtest.Range("34915550100", 100), stirtest.One("34600000001"))}
	}), forger: stirtest.NewCA(at).Issue(nil)}
}

func (w *world) chains(url string) (*stir.Chain, error) {
	switch url {
	case x5u:
		return stir.NewChain(w.signer.Chain), nil
	case other:
		return stir.NewChain(w.second.Chain), nil
	case "https://forger.example/f.pem":
		return stir.NewChain(w.forger.Chain), nil
	}
	return nil, errors.New("nothing is there")
}

// invite is a call of +34600000001 to +34915550101.
func invite(headers ...string) []byte {
	return []byte("INVITE sip:+34915550101@pbx SIP/2.0\r\nFrom: <sip:+34600000001@carrier;user=phone>;tag=1\r\nTo: <sip:+34915550101@pbx>\r\n" +
		strings.Join(headers, "\r\n") + "\r\n\r\n")
}

func (w *world) verify(raw []byte, trusted bool) stir.Result {
	v := stir.Open(stir.CallOf(raw, at, trusted, "34"), stir.Policy{Roots: stir.NewRoots([]*x509.Certificate{w.ca.Cert}), MaxAge: time.Minute})
	return v.Result(w.chains)
}

func TestVerify(t *testing.T) {
	w := newWorld()
	shaken := func(attest string) stirtest.Claims {
		return stirtest.Shaken("34600000001", "34915550101", attest, at.Add(-2*time.Second))
	}
	with := func(c stirtest.Claims, key string, value any) stirtest.Claims {
		out := stirtest.Claims{}
		for k, v := range c {
			out[k] = v
		}
		if out[key] = value; value == nil {
			delete(out, key)
		}
		return out
	}
	id := func(c stirtest.Claims) string { return "Identity: " + w.signer.Header(x5u, "shaken", c) }
	expired := stirtest.NewCA(at.Add(-48 * time.Hour))
	for _, c := range []struct {
		name    string
		headers []string
		trusted bool
		verstat stir.Verstat
		attest  string
		code    int
		says    string // part of the reason
	}{
		{name: "no header", verstat: stir.None, code: 428, says: "no Identity header"},
		{name: "attestation A", headers: []string{id(shaken("A"))}, verstat: stir.Passed, attest: "A", says: "signed with attestation A"},
		{name: "attestation B", headers: []string{id(shaken("B"))}, verstat: stir.Passed, attest: "B"},
		{name: "attestation C", headers: []string{id(shaken("C"))}, verstat: stir.Passed, attest: "C"},
		{name: "compact name of the header", headers: []string{"y: " + w.signer.Header(x5u, "shaken", shaken("A"))}, verstat: stir.Passed, attest: "A"},
		{name: "plus and separators signed", headers: []string{id(with(with(shaken("A"), "orig", stirtest.TN("+34 600-000-001")), "dest", stirtest.TNs("+34 91 5550101")))},
			verstat: stir.Passed, attest: "A"},
		{name: "the weaker of two", headers: []string{id(shaken("C")), id(shaken("A"))}, verstat: stir.Passed, attest: "A"},
		{name: "two in one field", headers: []string{id(shaken("C")) + ", " + w.signer.Header(x5u, "shaken", shaken("B"))}, verstat: stir.Passed, attest: "B"},
		{name: "one broken, one good", headers: []string{"Identity: x.y.z;info=<" + x5u + ">", id(shaken("B"))}, verstat: stir.Passed, attest: "B"},
		{name: "one of several called", headers: []string{id(with(shaken("A"), "dest", stirtest.TNs("34911111111", "34915550101")))}, verstat: stir.Passed, attest: "A"},
		{name: "base PASSporT", headers: []string{"Identity: " + w.signer.Header(x5u, "", stirtest.Claims{"dest": stirtest.TNs("34915550101"), "iat": at.Unix(), "orig": stirtest.TN("34600000001")})},
			verstat: stir.Passed},
		{name: "stale", headers: []string{id(with(shaken("A"), "iat", at.Add(-2*time.Minute).Unix()))}, verstat: stir.Failed, code: 403, says: "signed at 2026-11-25T11:58:00Z"},
		{name: "of the future", headers: []string{id(with(shaken("A"), "iat", at.Add(2*time.Minute).Unix()))}, verstat: stir.Failed, code: 403},
		{name: "another caller", headers: []string{id(with(shaken("A"), "orig", stirtest.TN("34600000002")))}, verstat: stir.Failed, code: 438, says: "who is another"},
		{name: "another called", headers: []string{id(with(shaken("A"), "dest", stirtest.TNs("34915550199")))}, verstat: stir.Failed, code: 438, says: `a call to "34915550199"`},
		{name: "content changed", headers: []string{strings.Replace(id(shaken("A")), ".", ".e30", 1)}, verstat: stir.Failed, code: 438},
		{name: "signed by another key", headers: []string{"Identity: " + w.second.Header(x5u, "shaken", shaken("A"))}, verstat: stir.Failed, code: 438, says: "does not fit"},
		{name: "nobody's authority", headers: []string{"Identity: " + w.forger.Header("https://forger.example/f.pem", "shaken", shaken("A"))}, verstat: stir.Failed, code: 437, says: "not one to trust"},
		{name: "certificate not to be had", headers: []string{"Identity: " + w.signer.Header("https://gone.example/", "shaken", shaken("A"))}, verstat: stir.None, code: 436, says: "nothing is there"},
		{name: "info and x5u differ", headers: []string{strings.Replace(id(shaken("A")), "info=<https://certs", "info=<https://others", 1)}, verstat: stir.Failed, code: 436},
		{name: "another algorithm", headers: []string{"Identity: " + w.signer.Odd(stirtest.Claims{"alg": "RS256", "ppt": "shaken", "typ": "passport", "x5u": x5u}, shaken("A")) + ";info=<" + x5u + ">"},
			verstat: stir.Failed, code: 437, says: "ES256 alone"},
		{name: "alg none", headers: []string{"Identity: " + w.signer.Odd(stirtest.Claims{"alg": "none", "ppt": "shaken", "typ": "passport", "x5u": x5u}, shaken("A")) + ";info=<" + x5u + ">"},
			verstat: stir.Failed, code: 437},
		{name: "no attest", headers: []string{id(with(shaken("A"), "attest", nil))}, verstat: stir.Failed, code: 438, says: "attest"},
		{name: "no origid", headers: []string{id(with(shaken("A"), "origid", nil))}, verstat: stir.Failed, code: 438, says: "origid"},
		{name: "no iat", headers: []string{id(with(shaken("A"), "iat", nil))}, verstat: stir.Failed, code: 438, says: "iat"},
		{name: "typ missing", headers: []string{"Identity: " + w.signer.Odd(stirtest.Claims{"alg": "ES256", "ppt": "shaken", "x5u": x5u}, shaken("A")) + ";info=<" + x5u + ">"}, verstat: stir.Failed, code: 438},
		{name: "ppt differs", headers: []string{strings.Replace(id(shaken("A")), `ppt="shaken"`, `ppt="div"`, 1)}, verstat: stir.Failed, code: 438},
		{name: "unknown kind", headers: []string{"Identity: " + w.signer.Header(x5u, "rph", shaken("A"))}, verstat: stir.None, says: "not known here"},
		{name: "no info", headers: []string{"Identity: a.b.c"}, verstat: stir.Failed, code: 438, says: "info"},
		{name: "asserted by a trusted trunk", trusted: true, headers: []string{"P-Asserted-Identity: <sip:+34600000009@c;user=phone>", id(with(shaken("A"), "orig", stirtest.TN("34600000009")))},
			verstat: stir.Passed, attest: "A"},
		{name: "asserted by nobody in particular", headers: []string{"P-Asserted-Identity: <sip:+34600000009@c>", id(with(shaken("A"), "orig", stirtest.TN("34600000009")))},
			verstat: stir.Failed, code: 438},
		{name: "expired", headers: []string{"Identity: " + expired.Issue(nil).Header("https://forger.example/f.pem", "shaken", shaken("A"))}, verstat: stir.Failed, code: 437},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.verify(invite(c.headers...), c.trusted)
			if r.Verstat != c.verstat || r.Attest != c.attest || r.Code != c.code || !strings.Contains(r.Reason, c.says) {
				t.Errorf("got %+v", r)
			}
			if r.Verstat == stir.Passed && (r.Signer == "" || r.Matched == "" || r.Code != 0) {
				t.Errorf("passed, but %+v", r)
			}
		})
	}
}

// A certificate speaks for the numbers of its TNAuthList and for no others, and
// not at another time than its own.
func TestAuthority(t *testing.T) {
	w := newWorld()
	for _, c := range []struct {
		number string
		at     time.Duration
		want   stir.Verstat
	}{
		{"34600000001", 0, stir.Passed}, {"34915550100", 0, stir.Passed}, {"34915550199", 0, stir.Passed},
		{"34915550200", 0, stir.Failed}, {"34915550099", 0, stir.Failed}, {"3491555010", 0, stir.Failed},
		{"34600000001", 2 * time.Hour, stir.Failed},
	} {
		now := at.Add(c.at)
		raw := []byte("INVITE sip:+34911@pbx SIP/2.0\r\nFrom: <sip:+" + c.number + "@c>;tag=1\r\nTo: <sip:+34911@pbx>\r\nIdentity: " +
			w.second.Header(other, "shaken", stirtest.Shaken(c.number, "34911", "A", now)) + "\r\n\r\n")
		v := stir.Open(stir.CallOf(raw, now, false, ""), stir.Policy{Roots: stir.NewRoots([]*x509.Certificate{w.ca.Cert}), MaxAge: time.Minute})
		if r := v.Result(w.chains); r.Verstat != c.want || c.want == stir.Failed && r.Code != 437 {
			t.Errorf("%s after %v: %+v", c.number, c.at, r)
		}
	}
	bare := w.ca.Issue(func(*x509.Certificate) {})
	raw := invite("Identity: " + bare.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at)))
	v := stir.Open(stir.CallOf(raw, at, false, ""), stir.Policy{Roots: stir.NewRoots([]*x509.Certificate{w.ca.Cert}), MaxAge: time.Minute})
	if r := v.Result(func(string) (*stir.Chain, error) { return stir.NewChain(bare.Chain), nil }); r.Code != 437 || !strings.Contains(r.Reason, "TNAuthList") {
		t.Errorf("a certificate without TNAuthList: %+v", r)
	}
	if r := stir.Open(stir.CallOf(raw, at, false, ""), stir.Policy{MaxAge: time.Minute}).Result(func(string) (*stir.Chain, error) { return stir.NewChain(bare.Chain), nil }); r.Code != 437 {
		t.Errorf("without anchors the system's are not taken: %+v", r)
	}
}

// What is remembered of a chain holds for its time and its anchors only.
func TestChainRemembers(t *testing.T) {
	w := newWorld()
	chain := stir.NewChain(w.signer.Chain)
	good, none := stir.NewRoots([]*x509.Certificate{w.ca.Cert}), stir.NewRoots(nil)
	for i, c := range []struct {
		roots stir.Roots
		after time.Duration
		want  stir.Verstat
	}{{good, 0, stir.Passed}, {good, 0, stir.Passed}, {none, 0, stir.Failed}, {good, time.Minute, stir.Passed}, {good, 61 * time.Minute, stir.Failed},
		{good, -61 * time.Minute, stir.Failed}, {none, 0, stir.Failed}, {good, 59 * time.Minute, stir.Passed}} {
		now := at.Add(c.after)
		raw := invite("Identity: " + w.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", now)))
		v := stir.Open(stir.CallOf(raw, now, false, ""), stir.Policy{Roots: c.roots, MaxAge: time.Minute})
		if r := v.Result(func(string) (*stir.Chain, error) { return chain, nil }); r.Verstat != c.want {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// A certificate may demand claims (RFC 8226 section 8); the extension is
// critical and must not be passed over.
func TestClaimConstraints(t *testing.T) {
	w := newWorld()
	for _, c := range []struct {
		claim string
		want  stir.Verstat
	}{{"attest", stir.Passed}, {"rcd", stir.Failed}} {
		s := w.ca.Issue(func(cert *x509.Certificate) {
			cert.ExtraExtensions = []pkix.Extension{stirtest.TNAuthList(stirtest.SPC("1234")), stirtest.MustInclude(c.claim)}
		})
		w.signer = s
		if r := w.verify(invite("Identity: "+s.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at))), false); r.Verstat != c.want {
			t.Errorf("%s demanded: %+v", c.claim, r)
		}
	}
}

// The compact form leaves the claims to the request (RFC 8224 section 4.1.2).
func TestCompact(t *testing.T) {
	w := newWorld()
	full := w.signer.Odd(stirtest.Claims{"alg": "ES256", "typ": "passport", "x5u": x5u},
		stirtest.Claims{"dest": stirtest.TNs("34915550101"), "iat": at.Unix(), "orig": stirtest.TN("34600000001")})
	digest := ".." + full[strings.LastIndexByte(full, '.')+1:]
	date := "Date: Wed, 25 Nov 2026 12:00:00 GMT"
	value := "Identity: " + digest + ";info=<" + x5u + ">"
	for _, c := range []struct {
		name    string
		headers []string
		verstat stir.Verstat
		code    int
	}{
		{"good", []string{date, value}, stir.Passed, 0},
		{"no Date", []string{value}, stir.Failed, 438},
		{"another Date", []string{"Date: Wed, 25 Nov 2026 12:00:01 GMT", value}, stir.Failed, 438},
		{"old Date", []string{"Date: Wed, 25 Nov 2026 11:00:00 GMT", value}, stir.Failed, 403},
		{"shaken must be full", []string{date, value + ";ppt=shaken"}, stir.Failed, 438},
	} {
		if r := w.verify(invite(c.headers...), false); r.Verstat != c.verstat || r.Code != c.code {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

// Callers who are named by a URI are vouched for by a certificate of their
// domain (RFC 8224 section 7.2).
func TestURI(t *testing.T) {
	w := newWorld()
	w.signer = w.ca.Issue(func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} })
	for from, want := range map[string]stir.Verstat{"sip:alice@Example.com": stir.Passed, "sip:alice@example.org": stir.Failed, "sip:bob@example.com": stir.Failed} {
		for _, signed := range []string{"sip:alice@example.com"} {
			raw := []byte("INVITE sip:bob@pbx SIP/2.0\r\nFrom: <" + from + ";transport=tcp>;tag=1\r\nTo: <sip:bob@pbx>\r\nIdentity: " +
				w.signer.Header(x5u, "", stirtest.Claims{"dest": stirtest.Claims{"uri": []string{"sip:bob@pbx"}}, "iat": at.Unix(), "orig": stirtest.Claims{"uri": signed}}) + "\r\n\r\n")
			if r := w.verify(raw, false); r.Verstat != want {
				t.Errorf("%s: %+v", from, r)
			}
		}
	}
}

// A call to +34915550101 was diverted to +34915550102 and on to …103 (RFC 8946).
func TestDiversion(t *testing.T) {
	w := newWorld()
	base := "Identity: " + w.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at))
	div := func(s *stirtest.Signer, url, from, to string) string {
		return "Identity: " + s.Header(url, "div", stirtest.Claims{"dest": stirtest.TNs(to), "div": stirtest.TN(from), "iat": at.Unix(), "orig": stirtest.TN("34600000001")})
	}
	call := func(target, to string, headers ...string) []byte {
		return []byte("INVITE sip:+" + target + "@pbx SIP/2.0\r\nFrom: <sip:+34600000001@carrier>;tag=1\r\nTo: <sip:+" + to + "@pbx>\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n")
	}
	first, second := div(w.second, other, "34915550101", "34915550102"), div(w.second, other, "34915550102", "34915550103")
	for _, c := range []struct {
		name    string
		raw     []byte
		verstat stir.Verstat
		want    []string
	}{
		{"one", call("34915550102", "34915550101", base, first), stir.Passed, []string{"34915550101"}},
		{"two, out of order", call("34915550103", "34915550101", second, base, first), stir.Passed, []string{"34915550101", "34915550102"}},
		{"To rewritten", call("34915550103", "34915550103", base, first, second), stir.Passed, []string{"34915550101", "34915550102"}},
		{"a link is missing", call("34915550103", "34915550101", base, second), stir.Passed, nil},
		{"a link is missing and To is rewritten", call("34915550103", "34915550103", base, second), stir.Failed, nil},
		{"diverted by somebody who may not", call("34915550102", "34915550102", base, div(w.second, other, "34915559999", "34915550102"), div(w.forger, "https://forger.example/f.pem", "34915550101", "34915550102")), stir.Failed, nil},
		{"a circle", call("34915550102", "34915550101", base, first, div(w.second, other, "34915550102", "34915550101")), stir.Passed, nil},
		{"div alone", call("34915550102", "34915550101", first), stir.None, nil},
	} {
		if r := w.verify(c.raw, false); r.Verstat != c.verstat || !slices.Equal(r.Diverted, c.want) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestRichCallData(t *testing.T) {
	w := newWorld()
	shaken := stirtest.Shaken("34600000001", "34915550101", "A", at)
	rcd := stirtest.Claims{"dest": stirtest.TNs("34915550101"), "iat": at.Unix(), "orig": stirtest.TN("34600000001"), "crn": "Your delivery\r\nX: y",
		"rcd":  stirtest.Claims{"jcd": []any{"vcard", []any{[]any{"version", stirtest.Claims{}, "text", "4.0"}, []any{"fn", stirtest.Claims{}, "text", "Acme"}}}, "icn": "https://acme.example/i.png"},
		"rcdi": stirtest.Claims{"/icn": "sha256-H8BRh8j48O9oYatfu5AZzq6A9RINQZngK7T62em8MUI", "bad": "x"}}
	r := w.verify(invite("Identity: "+w.signer.Header(x5u, "shaken", shaken), "Identity: "+w.signer.Header(x5u, "rcd", rcd)), false)
	if r.Verstat != stir.Passed || r.Rich == nil || r.Rich.Name != "Acme" || r.Rich.Reason != "Your deliveryX: y" || len(r.Rich.Integrity) != 1 || r.Rich.Icon == "" {
		t.Errorf("%+v %+v", r, r.Rich)
	}
	shaken["rcd"] = stirtest.Claims{"nam": "Acme Inc"}
	if r := w.verify(invite("Identity: "+w.signer.Header(x5u, "shaken", shaken)), false); r.Rich == nil || r.Rich.Name != "Acme Inc" {
		t.Errorf("within shaken: %+v", r)
	}
	if r := w.verify(invite("Identity: "+w.forger.Header("https://forger.example/f.pem", "rcd", rcd)), false); r.Rich != nil || r.Verstat != stir.None {
		t.Errorf("forged: %+v", r)
	}
}

// Certificates are asked for only for what could still pass.
func TestNeeds(t *testing.T) {
	w := newWorld()
	stale := stirtest.Shaken("34600000001", "34915550101", "A", at.Add(-time.Hour))
	good := stirtest.Shaken("34600000001", "34915550101", "A", at)
	raw := invite("Identity: "+w.signer.Header("https://stale.example/", "shaken", stale), "Identity: "+w.signer.Header(x5u, "shaken", good), "Identity: "+w.signer.Header(x5u, "shaken", good))
	if got := stir.Open(stir.CallOf(raw, at, false, ""), stir.Policy{MaxAge: time.Minute}).Needs(); !slices.Equal(got, []string{x5u}) {
		t.Errorf("needs %q", got)
	}
	var many []string
	for range 20 {
		many = append(many, "Identity: "+w.signer.Header(x5u, "shaken", good))
	}
	if r := w.verify(invite(many...), false); r.Verstat != stir.Passed || !strings.Contains(strings.Join(r.Notes, " "), "12 more") {
		t.Errorf("%+v", r)
	}
}

func FuzzVerify(f *testing.F) {
	w := newWorld()
	good := w.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at))
	f.Add(good)
	f.Add(good + ", " + good)
	f.Add("..c2ln;info=<" + x5u + ">;alg=ES256;ppt=\"div\"")
	f.Add("e30.e30.e30;info=<>")
	f.Add(w.signer.Header(x5u, "rcd", stirtest.Claims{"rcd": stirtest.Claims{"jcd": []any{"vcard", []any{[]any{"fn"}}}}}))
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n") {
			return
		}
		raw := invite("Date: Wed, 25 Nov 2026 12:00:00 GMT", "Identity: "+value)
		r := w.verify(raw, true)
		if r.Verstat != stir.Passed && r.Verstat != stir.Failed && r.Verstat != stir.None || r.Reason == "" {
			t.Errorf("%+v", r)
		}
		if r.Verstat == stir.Passed && !strings.Contains(value, good[:strings.LastIndexByte(good[:strings.IndexByte(good, ';')], '.')]) {
			t.Errorf("passed without the signed content: %+v", r)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	w := newWorld()
	f.Add(stirtest.PEM(w.signer.Chain...))
	f.Add(w.second.Chain[0].Raw)
	raw := invite("Identity: " + w.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at)))
	policy := stir.Policy{Roots: stir.NewRoots([]*x509.Certificate{w.ca.Cert}), MaxAge: time.Minute}
	f.Fuzz(func(t *testing.T, b []byte) {
		chain, err := stir.ParseChain(b)
		if err != nil {
			return
		}
		stir.Open(stir.CallOf(raw, at, false, ""), policy).Result(func(string) (*stir.Chain, error) { return chain, nil })
	})
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld()
	raw := invite("Identity: " + w.signer.Header(x5u, "shaken", stirtest.Shaken("34600000001", "34915550101", "A", at)))
	policy := stir.Policy{Roots: stir.NewRoots([]*x509.Certificate{w.ca.Cert}), MaxAge: time.Minute}
	chain := stir.NewChain(w.signer.Chain)
	b.ReportAllocs()
	for b.Loop() {
		if r := stir.Open(stir.CallOf(raw, at, false, ""), policy).Result(func(string) (*stir.Chain, error) { return chain, nil }); r.Verstat != stir.Passed {
			b.Fatalf("%+v", r)
		}
	}
}
