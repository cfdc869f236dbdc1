package stir

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/portero/portero/sip/identity/jws"
)

// Chains gives the certificates behind an x5u, the signer's first. An error
// says why there are none; it is nothing against the caller.
type Chains func(x5u string) (*Chain, error)

// Verification is a call whose Identity headers were read, on its way to a
// result.
type Verification struct {
	call   Call
	policy Policy
	tokens []*token
}

// token is one Identity header value.
type token struct {
	forms   []*passport // one, or what a compact one may stand for
	failure *failure
	signer  *credential
	caller  string // header that names the caller who was signed
}

func (t *token) passport() *passport { return t.forms[0] }

// is says whether the token still stands and is of one of the kinds.
func (t *token) is(ppts ...string) bool {
	return t.failure == nil && slices.Contains(ppts, t.passport().ppt)
}

// Open reads a call's Identity headers and checks what needs no certificate.
func Open(c Call, p Policy) *Verification {
	v := &Verification{call: c, policy: p}
	for _, value := range c.headers {
		v.tokens = append(v.tokens, v.read(value))
	}
	return v
}

func (v *Verification) read(value string) *token {
	t := &token{}
	h, err := parseHeader(value)
	if err != nil {
		t.failure = invalid("%w", err)
		return t
	}
	if h.compact() {
		t.forms, t.failure = rebuilt(h, v.call)
	} else {
		var p *passport
		if p, t.failure = parse(h); t.failure == nil {
			t.forms = []*passport{p}
		}
	}
	if t.failure != nil {
		return t
	}
	p := t.passport()
	switch {
	case !slices.Contains([]string{"", "shaken", "div", "rcd"}, p.ppt):
		t.failure = &failure{ours: true, err: fmt.Errorf("PASSporTs of kind %.20q are not known here", p.ppt)}
	case p.opt:
		t.failure = &failure{ours: true, err: errors.New("a nested div PASSporT (opt) is not looked into")}
	case apart(p.iat, v.call.at) > v.policy.MaxAge:
		t.failure = &failure{code: CodeStale, err: fmt.Errorf("it was signed at %s, %v from its arrival; allowed is %v",
			p.iat.UTC().Format(time.RFC3339), apart(p.iat, v.call.at).Round(time.Second), v.policy.MaxAge)}
	default:
		if t.caller = v.callerOf(p.orig); t.caller == "" {
			t.failure = invalid("%s was signed as the caller, who is another", p.orig)
		}
	}
	return t
}

func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// callerOf names the header that holds the caller who was signed.
func (v *Verification) callerOf(orig claim) string {
	for _, p := range v.call.callers {
		if p.holds(orig) {
			return p.header
		}
	}
	return ""
}

func (v *Verification) reaches(dest claim) bool {
	return slices.ContainsFunc(v.call.to, func(p party) bool { return p.holds(dest) })
}

// Needs lists the x5u whose certificates the result hangs on, each once.
func (v *Verification) Needs() []string {
	var out []string
	for _, t := range v.tokens {
		if t.failure == nil && !slices.Contains(out, t.passport().x5u) {
			out = append(out, t.passport().x5u)
		}
	}
	return out
}

// Result checks the signatures and sums up.
func (v *Verification) Result(chains Chains) Result {
	for _, t := range v.tokens {
		if t.failure == nil {
			v.check(t, chains)
		}
	}
	r := Result{Verstat: None}
	if len(v.tokens) == 0 {
		return Unsigned()
	}
	best := v.best()
	switch {
	case best == nil:
		r.Reason = "no Identity header says who calls"
		for _, t := range v.tokens {
			if t.failure != nil {
				r.Reason = t.failure.Error()
				break
			}
		}
	case best.failure != nil:
		r.Code, r.Reason = best.failure.code, best.failure.Error()
		if !best.failure.ours {
			r.Verstat = Failed
		}
	default:
		p := best.passport()
		r.Verstat, r.Attest, r.OrigID, r.Matched = Passed, p.attest, p.origID, best.caller
		r.Reason = "the caller's number was signed"
		if p.attest != "" {
			r.Reason += " with attestation " + p.attest
		}
		if r.Diverted = v.diverted(p); len(r.Diverted) > 0 {
			r.Reason += fmt.Sprintf(" and the call was diverted %d times", len(r.Diverted))
		}
	}
	if best != nil && best.signer != nil {
		r.Signer, r.SPC = best.signer.subject, best.signer.tn.spc
	}
	v.enrich(&r)
	for _, t := range v.tokens {
		if t.failure != nil && t != best && t.failure.Error() != r.Reason {
			r.Notes = append(r.Notes, t.failure.Error())
		}
	}
	if v.call.dropped > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more Identity headers were not looked at", v.call.dropped))
	}
	return r
}

// check holds a token against its certificate.
func (v *Verification) check(t *token, chains Chains) {
	t.failure = func() *failure {
		p := t.passport()
		chain, err := chains(p.x5u)
		if err != nil {
			return &failure{code: CodeBadInfo, err: fmt.Errorf("no certificate: %w", err), ours: true}
		}
		if t.signer, err = chain.credential(v.policy.Roots, v.call.at); err != nil {
			return &failure{code: CodeUnsupported, err: fmt.Errorf("the certificate is not one to trust: %w", err)}
		}
		at := slices.IndexFunc(t.forms, func(p *passport) bool { return jws.Verify(t.signer.key, p.signed, p.signature) == nil })
		if at < 0 {
			return invalid("%w", jws.ErrSignature)
		}
		p = t.forms[at]
		t.forms = t.forms[at : at+1]
		if t.caller = v.callerOf(p.orig); t.caller == "" {
			return invalid("%s was signed as the caller, who is another", p.orig)
		}
		speaks := p.orig
		if p.ppt == "div" { // who diverts signs for the number diverted from (RFC 8946 section 4.1)
			speaks = p.div
		}
		if err := t.signer.vouches(speaks, p.ppt); err != nil {
			return &failure{code: CodeUnsupported, err: err}
		}
		if err := t.signer.limits.allows(p.keys); err != nil {
			return invalid("%w", err)
		}
		return nil
	}()
}

// best picks the token that says who calls: one that passed before one that
// failed, the stronger attestation before the weaker, and a failure of the
// caller's before one of ours. Nil if there is none of that kind.
func (v *Verification) best() *token {
	for _, t := range v.tokens {
		if t.is("", "shaken") && !v.reaches(t.passport().dest) && !v.reachesDiverted(t.passport()) {
			t.failure = invalid("the signature is for a call to %s", t.passport().dest)
		}
	}
	var best *token
	for _, t := range v.tokens {
		if len(t.forms) > 0 && t.passport().ppt != "" && t.passport().ppt != "shaken" {
			continue
		}
		if best == nil || rank(t) > rank(best) {
			best = t
		}
	}
	return best
}

func rank(t *token) int {
	switch {
	case t.failure == nil && t.passport().attest != "":
		return 4 + int('C'-t.passport().attest[0])
	case t.failure == nil:
		return 3
	case !t.failure.ours:
		return 2
	}
	return 1
}

// route follows the div PASSporTs that hold from a PASSporT's dest on: the
// numbers diverted from, and where the last one leads.
func (v *Verification) route(p *passport) (from []string, end claim) {
	end = p.dest
	used := map[*token]bool{}
	for range v.tokens {
		for _, t := range v.tokens {
			if used[t] || !t.is("div") {
				continue
			}
			if d := t.passport(); d.orig.meets(p.orig) && d.div.meets(end) {
				used[t] = true
				from, end = append(from, d.div.first()), d.dest
				break
			}
		}
	}
	return from, end
}

func (v *Verification) reachesDiverted(p *passport) bool {
	from, end := v.route(p)
	return len(from) > 0 && v.reaches(end)
}

// diverted are the numbers the call came by, if the chain leads to where it is
// now: the Request-URI (RFC 8946 section 5), which stands last.
func (v *Verification) diverted(p *passport) []string {
	from, end := v.route(p)
	if n := len(v.call.to); len(from) == 0 || n == 0 || !v.call.to[n-1].holds(end) {
		return nil
	}
	return from
}

// enrich adds rich call data of PASSporTs that passed (RFC 9795 section 9): of
// an rcd one of its own, or in the one that says who calls.
func (v *Verification) enrich(r *Result) {
	for _, t := range v.tokens {
		if t.is("rcd", "shaken", "") && t.signer != nil && t.passport().rich != nil && v.reaches(t.passport().dest) {
			if r.Rich = t.passport().rich; t.is("rcd") {
				return
			}
		}
	}
}
