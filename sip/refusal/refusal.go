package refusal

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/portero/portero/sip/identity/jws"
)

// Answer is a final response.
type Answer struct {
	Status  int
	Phrase  string
	Headers []Header
}

// Header is a header field of an answer.
type Header struct{ Name, Value string }

// Caller is what an answer depends on.
type Caller struct {
	Understands608 bool // Feature-Caps: *;+sip.608
	Verified       bool // the number was verified
}

// Refuser makes answers. It is safe for concurrent use.
type Refuser struct {
	cfg Config
	key *ecdsa.PrivateKey // nil: no jCard of our own
}

// New reads the key, if there is one.
func New(cfg Config) (*Refuser, error) {
	r := &Refuser{cfg: cfg}
	if cfg.Card.Key == "" {
		return r, nil
	}
	b, err := os.ReadFile(cfg.Card.Key)
	if err != nil {
		return nil, fmt.Errorf("sip.refusal.card.key: %w", err)
	}
	if r.key, err = jws.ParseKey(b); err != nil {
		return nil, fmt.Errorf("sip.refusal.card.key: %s: %w", cfg.Card.Key, err)
	}
	return r, nil
}

// phrases of the statuses that a rule may name.
var phrases = map[int]string{
	403: "Forbidden", 404: "Not Found", 410: "Gone", 433: "Anonymity Disallowed", 480: "Temporarily Unavailable", 484: "Address Incomplete",
	486: "Busy Here", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 607: "Unwanted", 608: "Rejected",
}

// Status is a plain status with a reason code.
func (r *Refuser) Status(status int, code string) Answer {
	phrase, ok := phrases[status]
	if !ok {
		phrase = "Rejected"
	}
	return Answer{Status: status, Phrase: phrase, Headers: []Header{Reason(status, code)}}
}

// Profile is the answer of a profile, the configured one if it is empty.
func (r *Refuser) Profile(profile, code string, c Caller, now time.Time) Answer {
	if profile == "" {
		profile = r.cfg.Profile
	}
	if profile == "608" && !c.Understands608 {
		profile = r.cfg.Without608
	}
	switch profile {
	case "603+":
		return Answer{Status: 603, Phrase: "Network Blocked", Headers: []Header{r.blocked(code)}}
	case "607":
		return r.withRedress(r.Status(607, code))
	case "608":
		a := r.Status(608, code)
		if uri := r.card(now); uri != "" && (c.Verified || r.cfg.Card.For == "any") {
			a.Headers = append(a.Headers, Header{"Call-Info", "<" + uri + ">;purpose=jwscard"})
		}
		return a
	}
	return r.withRedress(r.Status(603, code))
}

// Reason tells a peer why (RFC 3326).
func Reason(status int, code string) Header {
	return Header{"Reason", "SIP;cause=" + strconv.Itoa(status) + `;text="` + quotable(code) + `"`}
}

// blocked is the Reason of 603+ (ATIS-1000099): what a machine of the caller's
// carrier reads. Its id may have letters, digits, dash and underscore alone.
func (r *Refuser) blocked(code string) Header {
	text := "v=analytics1"
	for _, p := range []struct{ name, value string }{{"url", r.cfg.Redress.URL}, {"tel", r.cfg.Redress.Tel}, {"email", r.cfg.Redress.Email}} {
		if p.value != "" {
			text += ";" + p.name + "=" + quotable(p.value)
		}
	}
	id := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, code)
	if id != "" {
		text += ";id=" + id[:min(len(id), 64)]
	}
	return Header{"Reason", `SIP;cause=603;text="` + text + `";location=` + r.cfg.Location}
}

// withRedress adds where to turn to (RFC 3261 section 20.18).
func (r *Refuser) withRedress(a Answer) Answer {
	to := ""
	switch d := r.cfg.Redress; {
	case d.URL != "":
		to = d.URL
	case d.Tel != "":
		to = "tel:" + d.Tel
	case d.Email != "":
		to = "mailto:" + d.Email
	default:
		return a
	}
	a.Headers = append(a.Headers, Header{"Error-Info", "<" + to + ">"})
	return a
}

// card is the URI of the jCard, empty if there is none.
func (r *Refuser) card(now time.Time) string {
	if r.key == nil {
		return r.cfg.Card.URL
	}
	head, err := json.Marshal(map[string]string{"alg": "ES256", "typ": "vcard+json", "x5u": r.cfg.Card.X5U})
	if err != nil {
		return ""
	}
	body, err := json.Marshal(map[string]any{"iat": now.Unix(), "jcard": r.jcard()})
	if err != nil {
		return ""
	}
	token, err := jws.Sign(r.key, head, body)
	if err != nil {
		return ""
	}
	return "data:application/jose," + token
}

// jcard is the redress contact as RFC 7095 writes it.
func (r *Refuser) jcard() []any {
	none := map[string]string{}
	d := r.cfg.Redress
	name := d.Name
	if name == "" {
		name = "Redress"
	}
	properties := []any{[]any{"version", none, "text", "4.0"}, []any{"fn", none, "text", name}}
	if d.URL != "" {
		properties = append(properties, []any{"url", none, "uri", d.URL})
	}
	if d.Tel != "" {
		properties = append(properties, []any{"tel", map[string]string{"type": "voice"}, "uri", "tel:" + d.Tel})
	}
	if d.Email != "" {
		properties = append(properties, []any{"email", none, "text", d.Email})
	}
	return []any{"vcard", properties}
}

// quotable keeps a text from ending its quotes or its line.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, s)
}
