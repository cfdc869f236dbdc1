package stir

import (
	"encoding/json"
	"strings"
)

// richOf reads rich call data (RFC 9795 sections 5 and 6) from a PASSporT's
// claims. Nothing is fetched: what stands behind a URL is neither shown nor
// checked, its digest is kept for whoever does.
func richOf(keys map[string]json.RawMessage) *Rich {
	var c struct {
		Nam string            `json:"nam"`
		Apn string            `json:"apn"`
		Icn string            `json:"icn"`
		Jcl string            `json:"jcl"`
		Jcd []json.RawMessage `json:"jcd"`
	}
	r := &Rich{}
	if raw, ok := keys["rcd"]; ok && json.Unmarshal(raw, &c) == nil {
		r.Name, r.Number, r.Icon, r.CardURL = printable(c.Nam), printable(c.Apn), printable(c.Icn), printable(c.Jcl)
		if r.Name == "" {
			r.Name = cardName(c.Jcd)
		}
	}
	if raw, ok := keys["crn"]; ok {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			r.Reason = printable(s)
		}
	}
	if raw, ok := keys["rcdi"]; ok {
		var digests map[string]string
		if json.Unmarshal(raw, &digests) == nil {
			for at, digest := range digests {
				if len(r.Integrity) < maxList && strings.HasPrefix(at, "/") && isDigest(digest) {
					if r.Integrity == nil {
						r.Integrity = map[string]string{}
					}
					r.Integrity[printable(at)] = printable(digest)
				}
			}
		}
	}
	if r.Name == "" && r.Number == "" && r.Icon == "" && r.CardURL == "" && r.Reason == "" && r.Integrity == nil {
		return nil
	}
	return r
}

// isDigest says whether s has the form of RFC 9795 section 6.1: an algorithm of
// the SHA-2 family and a base64 digest.
func isDigest(s string) bool {
	for _, alg := range []string{"sha256-", "sha384-", "sha512-"} {
		if strings.HasPrefix(s, alg) && len(s) > len(alg) {
			return true
		}
	}
	return false
}

// cardName is the fn of a jCard (RFC 7095): ["vcard", [["fn", {}, "text", NAME], …]].
func cardName(card []json.RawMessage) string {
	if len(card) != 2 {
		return ""
	}
	var properties [][]json.RawMessage
	if json.Unmarshal(card[1], &properties) != nil {
		return ""
	}
	for _, p := range properties {
		var name, value string
		if len(p) < 4 || json.Unmarshal(p[0], &name) != nil || !strings.EqualFold(name, "fn") {
			continue
		}
		if json.Unmarshal(p[3], &value) == nil {
			return printable(value)
		}
	}
	return ""
}
