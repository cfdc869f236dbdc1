package upstream

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Config says how a target is chosen, watched and given up.
type Config struct {
	// TryFor is how long one call may look for a target that answers, over all
	// targets of a destination: the time in which the caller hears nothing. What
	// is left of it is shared by the targets that are still to be tried, 2s each
	// at least; the only target of a destination has answer_timeout instead.
	// Default: 8s.
	TryFor time.Duration `yaml:"try_for"`
	// Cooldown is how long a target is passed over after it answered nothing, or
	// could not be sent to, or refused health.fall calls in a row with 503; a 503
	// with Retry-After says the time itself (at most 5 minutes are believed).
	// When nothing else is left it is tried all the same. Default: 10s.
	Cooldown time.Duration `yaml:"cooldown"`
	// Health is how targets are asked whether they are alive.
	Health Health `yaml:"health"`
	// DNS is how names in target URIs are looked up.
	DNS DNS `yaml:"dns"`
}

// Health is the watch on targets by OPTIONS (RFC 3261 section 11). Any final
// response but 408 and 503 is a sign of life, be it 404 or 401.
type Health struct {
	// Interval is how often each address of a target is asked, give or take a
	// tenth; 0s asks never. Only destinations with a choice are asked about: with
	// one address nothing would follow from the answer, and a PBX that does not
	// expect OPTIONS would get them for nothing. Default: 15s.
	Interval time.Duration `yaml:"interval"`
	// Timeout is how long an answer is waited for; the next question is not asked
	// before. Default: 4s.
	Timeout time.Duration `yaml:"timeout"`
	// Rise is how many answers in a row bring an address back. Default: 2.
	Rise int `yaml:"rise"`
	// Fall is how many failures in a row, of OPTIONS or of calls, take it out.
	// Default: 2.
	Fall int `yaml:"fall"`
}

// DNS is the way to the names' addresses. The hosts file goes first; answers
// are kept for their TTL, and for as long as DNS fails.
type DNS struct {
	// Servers are the name servers, as address or address:port. Default: those of
	// /etc/resolv.conf.
	Servers []string `yaml:"servers"`
}

// Target is one PBX of a destination.
type Target struct {
	// URI is a SIP URI with an IP address or name, and a port and transport if
	// need be. A name without a port is looked up by NAPTR and SRV (RFC 3263). A
	// user part replaces the dialled number; without one the number is kept.
	URI string `yaml:"uri"`
	// Priority is its rank: the lower is chosen as long as one of that number is
	// well and not full, 0 to 65535. Default: 0.
	Priority int `yaml:"priority"`
	// Weight is its share of the calls among targets of the same priority, 1 to
	// 65535. Default: 1.
	Weight int `yaml:"weight"`
	// MaxCalls is how many calls it has at most; 0 is no bound. Emergency calls
	// go beyond it when no other target is left. Default: 0.
	MaxCalls int `yaml:"max_calls"`
}

// Defaults is the configuration that nobody changed.
func Defaults() Config {
	return Config{
		TryFor:   8 * time.Second,
		Cooldown: 10 * time.Second,
		Health:   Health{Interval: 15 * time.Second, Timeout: 4 * time.Second, Rise: 2, Fall: 2},
	}
}

// Check reports every mistake by its path.
func (c Config) Check(fault func(path, format string, args ...any)) {
	for _, r := range []struct {
		path string
		d    time.Duration
		zero bool
	}{
		{"try_for", c.TryFor, false}, {"cooldown", c.Cooldown, true},
		{"health.interval", c.Health.Interval, true}, {"health.timeout", c.Health.Timeout, false},
	} {
		if r.d < 0 || r.d == 0 && !r.zero {
			fault(r.path, "%v is not a time to wait; allowed: more than 0s", r.d)
		}
	}
	for _, r := range []struct {
		path string
		n    int
	}{{"health.rise", c.Health.Rise}, {"health.fall", c.Health.Fall}} {
		if r.n < 1 {
			fault(r.path, "%d is too small; allowed: 1 and more", r.n)
		}
	}
	for i, s := range c.DNS.Servers {
		if _, err := nameServer(s); err != nil {
			fault(fmt.Sprintf("dns.servers[%d]", i), "%v", err)
		}
	}
}

// Check reports every mistake in a target by its path. Transports are those
// that the door can send by, in capitals.
func (t Target) Check(transports []string, fault func(path, format string, args ...any)) {
	if _, err := parsePlace(t.URI, transports); err != nil {
		fault("uri", "%v", err)
	}
	for _, r := range []struct {
		path string
		n    int
	}{{"priority", t.Priority}, {"weight", t.Weight}} {
		if r.n < 0 || r.n > 65535 {
			fault(r.path, "%d is not allowed; allowed: 0 to 65535", r.n)
		}
	}
	if t.MaxCalls < 0 {
		fault("max_calls", "%d is too small; allowed: 0 and more", t.MaxCalls)
	}
}

// nameServer reads address or address:port; the port is 53 by default.
func nameServer(s string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return "", fmt.Errorf("%q is not the address of a name server like 192.0.2.53 or 192.0.2.53:53", s)
	}
	return ap.String(), nil
}
