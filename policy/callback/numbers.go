package callback

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/portero/portero/policy/rules"
)

// Refusal says why a number gets no callback. The call goes on as if none had
// been offered.
type Refusal struct {
	Number string // as the caller gave it
	Code   string // one of the Refused codes, for metrics and records
	Says   string // in words
}

func (r *Refusal) Error() string { return fmt.Sprintf("no callback to %q: %s", r.Number, r.Says) }

// The codes of refusals.
const (
	RefusedDisabled = "disabled"    // callbacks are switched off
	RefusedWithheld = "withheld"    // the caller gave no number
	RefusedInvalid  = "invalid"     // what the caller gave is no number
	RefusedNumber   = "not_allowed" // the patterns of the configuration refuse it
	RefusedFull     = "full"        // too many promises are open
	RefusedCooldown = "cooldown"    // the last promise to it ended unkept a short while ago
)

// numbers are the patterns of what may be dialled.
type numbers struct {
	allow, refuse []*regexp.Regexp
}

func newNumbers(c Config) (numbers, error) {
	var n numbers
	for _, l := range []struct {
		from []string
		to   *[]*regexp.Regexp
	}{{c.Numbers, &n.allow}, {c.Refuse, &n.refuse}} {
		for _, p := range l.from {
			re, err := wholly(p)
			if err != nil {
				return numbers{}, fmt.Errorf("number pattern %q: %w", p, err)
			}
			*l.to = append(*l.to, re)
		}
	}
	return n, nil
}

// withheld are user parts that stand for "no number": RFC 3323 section 4.1.1.3
// and what carriers write.
var withheld = map[string]bool{
	"": true, "anonymous": true, "restricted": true, "private": true, "privacy": true, "withheld": true,
	"unavailable": true, "unknown": true, "none": true, "nobody": true, "asserted": true,
}

// maxNumber is longer than any number: E.164 has 15 digits, an international
// prefix and a + come on top.
const maxNumber = 32

// dialable brings a caller's number into the form in which it is dialled, or
// says with a [Refusal] why it is not.
func (n numbers) dialable(user string) (string, error) {
	bare, _, _ := strings.Cut(strings.TrimSpace(user), ";")
	if withheld[strings.ToLower(bare)] {
		return "", &Refusal{user, RefusedWithheld, "the caller gave no number"}
	}
	if len(user) > 4*maxNumber {
		return "", &Refusal{user[:maxNumber] + "…", RefusedInvalid, "it is too long for a number"}
	}
	number := rules.Number(user)
	if len(number) > maxNumber || number == "" || strings.Trim(strings.TrimPrefix(number, "+"), "0123456789") != "" || number == "+" {
		return "", &Refusal{user, RefusedInvalid, "it is no telephone number; digits with an optional + in front are wanted"}
	}
	for _, re := range n.refuse {
		if re.MatchString(number) {
			return "", &Refusal{user, RefusedNumber, "callback.refuse forbids it"}
		}
	}
	for _, re := range n.allow {
		if re.MatchString(number) {
			return number, nil
		}
	}
	return "", &Refusal{user, RefusedNumber, "no pattern of callback.numbers allows it"}
}
