package refusal

import (
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/identity/jws"
)

// Config says how calls are refused that a rule rejects.
type Config struct {
	// Profile is the refusal of a rule that names neither refusal nor status:
	// "603", "603+", "607" or "608". Default: "603".
	Profile string `yaml:"profile"`
	// Redress is whom a caller turns to who was refused by mistake. 603+ needs a
	// way to reach somebody.
	Redress Redress `yaml:"redress"`
	// Location is where the call was blocked, for 603+ (RFC 8606): RPN (the
	// private network of the called party), RLN (the network that serves it),
	// TN (a transit network), LN or LPN. Default: RPN.
	Location string `yaml:"location"`
	// Card is the jCard in the Call-Info of a 608.
	Card Card `yaml:"card"`
	// Without608 is the profile for callers who have not said that they
	// understand a 608 (Feature-Caps with sip.608): RFC 8688 section 3.4 wants an
	// announcement played to them first, which Portero does not do. Default:
	// "603".
	Without608 string `yaml:"without_608"`
}

// Redress is a contact.
type Redress struct {
	// Name of the contact, for the jCard of a 608. Default: none.
	Name string `yaml:"name"`
	// URL is an https page. Default: none.
	URL string `yaml:"url"`
	// Tel is a number in the form +15550100. Default: none.
	Tel string `yaml:"tel"`
	// Email is an address. Default: none.
	Email string `yaml:"email"`
}

// Card is where the jCard of a 608 comes from.
type Card struct {
	// URL is where a signed jCard of your own is published (https). Default:
	// none.
	URL string `yaml:"url"`
	// Key is a PEM file with a P-256 private key, by which Portero signs a jCard
	// made of redress and puts it into the header itself, as a data URI. Not
	// with url. Default: none, and no jCard is sent without url.
	Key string `yaml:"key"`
	// X5U is the https URL of the certificate for key. Required with key.
	X5U string `yaml:"x5u"`
	// For says who is sent it: verified (callers whose number was verified: RFC
	// 8688 section 6 warns of giving others a contact to flood) or any. Default:
	// verified.
	For string `yaml:"for"`
}

// Defaults of Config.
func Defaults() Config {
	return Config{Profile: "603", Location: "RPN", Without608: "603", Card: Card{For: "verified"}}
}

var (
	telForm   = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)
	locations = []string{"LN", "LPN", "TN", "RLN", "RPN"}
)

// Check reports every mistake by its path.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if !slices.Contains(policy.Refusals, c.Profile) {
		fault("profile", "%q is no refusal; allowed: %s", c.Profile, strings.Join(policy.Refusals, ", "))
	} else if err := c.Usable(c.Profile); err != nil {
		fault("profile", "%v", err)
	}
	switch {
	case c.Without608 == "608" || !slices.Contains(policy.Refusals, c.Without608):
		fault("without_608", "%q is no refusal for those who do not understand 608; allowed: 603, 603+, 607", c.Without608)
	default:
		if err := c.Usable(c.Without608); err != nil {
			fault("without_608", "%v", err)
		}
	}
	if c.Redress.URL != "" && !isHTTPS(c.Redress.URL) {
		fault("redress.url", "%q is no https URL", c.Redress.URL)
	}
	if c.Redress.Tel != "" && !telForm.MatchString(c.Redress.Tel) {
		fault("redress.tel", "%q is no number in international form; allowed: like +15550100", c.Redress.Tel)
	}
	if c.Redress.Email != "" {
		if a, err := mail.ParseAddress(c.Redress.Email); err != nil || a.Address != c.Redress.Email || strings.ContainsAny(a.Address, `";\ `) {
			fault("redress.email", "%q is no address; allowed: like abuse@example.com", c.Redress.Email)
		}
	}
	if !slices.Contains(locations, c.Location) {
		fault("location", "%q is no location; allowed: %s", c.Location, strings.Join(locations, ", "))
	}
	c.Card.check(func(path, format string, args ...any) { fault("card."+path, format, args...) })
}

func (c Card) check(fault func(path, format string, args ...any)) {
	if c.URL != "" && !isHTTPS(c.URL) {
		fault("url", "%q is no https URL", c.URL)
	}
	if c.URL != "" && c.Key != "" {
		fault("key", "a jCard is published at url or signed with key, not both; remove one")
	}
	if c.Key != "" && !isHTTPS(c.X5U) {
		fault("x5u", "%q is no https URL; whoever checks the jCard needs the certificate", c.X5U)
	}
	if c.For != "verified" && c.For != "any" {
		fault("for", "%q is not known; allowed: verified, any", c.For)
	}
}

// CheckFiles reports a key that cannot be read.
func (c Config) CheckFiles(fault func(path, format string, args ...any)) {
	if c.Card.Key == "" {
		return
	}
	b, err := os.ReadFile(c.Card.Key)
	if err == nil {
		_, err = jws.ParseKey(b)
	}
	if err != nil {
		fault("card.key", "%v; allowed: a PEM file with an ECDSA key on P-256", err)
	}
}

// Usable says why a profile cannot be used as things are configured, or nil.
func (c Config) Usable(profile string) error {
	if profile == "603+" && c.Redress.URL == "" && c.Redress.Tel == "" && c.Redress.Email == "" {
		return fmt.Errorf("603+ needs somebody to turn to (ATIS-1000099); allowed: url, tel or email in sip.refusal.redress")
	}
	return nil
}

// isHTTPS takes what may stand in angle brackets and in a quoted text.
func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && !strings.ContainsAny(s, "\"<>;\\ \t\r\n")
}
