package stir

import "time"

// Verstat is the outcome of a verification as TS 24.229 section 7.2A.20 names it.
type Verstat string

// The outcomes. None is everything that was not found out: no Identity header,
// none of a kind that is known, or a certificate that could not be had in time.
const (
	Passed Verstat = "passed"
	Failed Verstat = "failed"
	None   Verstat = "none"
)

// Param is the value of the verstat parameter.
func (v Verstat) Param() string {
	switch v {
	case Passed:
		return "TN-Validation-Passed"
	case Failed:
		return "TN-Validation-Failed"
	}
	return "No-TN-Validation"
}

// The failure codes of RFC 8224 section 6.2.2. They are evidence: Portero does
// not answer with them.
const (
	CodeStale       = 403 // Stale Date
	CodeMissing     = 428 // Use Identity Header
	CodeBadInfo     = 436 // Bad Identity Info: the certificate could not be had
	CodeUnsupported = 437 // Unsupported Credential: the certificate is not one to trust
	CodeInvalid     = 438 // Invalid Identity Header
)

// Result is what all Identity headers of a request come to.
type Result struct {
	Verstat Verstat `json:"verstat"`
	// Attest is A, B or C of a shaken PASSporT that passed (RFC 8588 section 4),
	// else empty.
	Attest string `json:"attest,omitempty"`
	// OrigID is its origid, a UUID that names the signer's point of entry.
	OrigID string `json:"origid,omitempty"`
	// Code is one of RFC 8224's failure codes; 0 if nothing failed.
	Code int `json:"code,omitempty"`
	// Reason is the outcome in a sentence.
	Reason string `json:"reason"`
	// Signer is the certificate's subject, of a PASSporT whose signature holds.
	Signer string `json:"signer,omitempty"`
	// SPC are the service provider codes of its TNAuthList (RFC 8226 section 9).
	SPC []string `json:"spc,omitempty"`
	// Matched is the header whose number was signed: From or
	// P-Asserted-Identity.
	Matched string `json:"matched,omitempty"`
	// Diverted are the numbers that the call was diverted from, in order, by a
	// chain of div PASSporTs that holds (RFC 8946).
	Diverted []string `json:"diverted,omitempty"`
	// Rich is rich call data that was signed (RFC 9795); nil if there is none.
	Rich *Rich `json:"rich,omitempty"`
	// Notes are what else is to be said, one sentence a PASSporT.
	Notes []string `json:"notes,omitempty"`
}

// Unsigned is the result for a request without an Identity header.
func Unsigned() Result {
	return Result{Verstat: None, Code: CodeMissing, Reason: "there is no Identity header"}
}

// Rich is rich call data as signed.
type Rich struct {
	Name      string            `json:"name,omitempty"`      // nam, or fn of jcd
	Number    string            `json:"number,omitempty"`    // apn, an alternate presentation number
	Icon      string            `json:"icon,omitempty"`      // icn, a URL; not fetched
	CardURL   string            `json:"card_url,omitempty"`  // jcl, a URL; not fetched
	Reason    string            `json:"reason,omitempty"`    // crn, why the caller calls
	Integrity map[string]string `json:"integrity,omitempty"` // rcdi: digests by JSON pointer
}

// Policy is by what is verified.
type Policy struct {
	Roots Roots // certificates that are trusted to issue others
	// MaxAge is how far iat may be from the time of arrival, either way.
	MaxAge time.Duration
	// CountryCode is put before numbers that are written without one when they
	// are compared with signed ones; empty compares them as they are.
	CountryCode string
}
