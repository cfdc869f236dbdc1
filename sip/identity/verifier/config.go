package verifier

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config of the verification of Identity headers.
type Config struct {
	// Verify has Identity headers verified (STIR/SHAKEN, RFC 8224). What comes
	// of it are facts for rules and headers for the dialplan; no call is refused
	// for it alone. Default: false.
	Verify bool `yaml:"verify"`
	// Anchors are PEM files with the certificates of the authorities that may
	// issue signers' certificates (in the USA the list of the STI-PA). Required
	// with verify. Read anew at SIGHUP.
	Anchors []string `yaml:"anchors"`
	// Certificates are signers' certificates that are at hand: PEM files by the
	// x5u that they stand for. Such an x5u is never fetched. Default: none.
	Certificates map[string]string `yaml:"certificates"`
	// FetchFrom are the hosts that certificates are fetched from, by https: a
	// name, *.name for all below it, * for any, each with a port if that is not
	// 443 or 8443. Default: none, and nothing is fetched.
	FetchFrom []string `yaml:"fetch_from"`
	// FetchPrivate are the networks that such a host may be in although they are
	// private or special (RFC 6890). Default: none.
	FetchPrivate []string `yaml:"fetch_private"`
	// FetchCA is a PEM file with the authorities that those hosts' TLS
	// certificates are checked against. Default: the system's.
	FetchCA string `yaml:"fetch_ca"`
	// Budget is how long a call may wait for its verification, 1ms to 2s. What
	// is not there by then leaves the call unverified. Default: 300ms.
	Budget time.Duration `yaml:"budget"`
	// FetchTimeout is how long a fetch may take in all, 100ms to 30s; it goes on
	// when the call no longer waits. Default: 5s.
	FetchTimeout time.Duration `yaml:"fetch_timeout"`
	// FetchMax is how large a fetched file may be, bytes, 1024 to 1048576.
	// Default: 65536.
	FetchMax int `yaml:"fetch_max"`
	// FetchRedirects is how many redirects are followed, 0 to 5, each to an
	// allowed host. Default: 1.
	FetchRedirects int `yaml:"fetch_redirects"`
	// FetchesAtOnce is how many fetches may run at a time, 1 to 256; calls that
	// would need more stay unverified. Default: 16.
	FetchesAtOnce int `yaml:"fetches_at_once"`
	// CacheSize is how many x5u are remembered, 1 to 100000. Default: 2000.
	CacheSize int `yaml:"cache_size"`
	// CacheFor is how long a fetched certificate is kept at most, whatever its
	// server says, 1m to 168h. Default: 24h.
	CacheFor time.Duration `yaml:"cache_for"`
	// CacheFailures is how long an x5u that could not be fetched is not tried
	// again, 1s to 1h. Default: 1m.
	CacheFailures time.Duration `yaml:"cache_failures"`
	// MaxAge is how old a signature may be when its call arrives, 1s to 10m; RFC
	// 8224 section 6.2 asks for 60s. Default: 60s.
	MaxAge time.Duration `yaml:"max_age"`
	// CountryCode is put before numbers in national form when they are compared
	// with signed ones, which always have it: "1", "34". Default: none.
	CountryCode string `yaml:"country_code"`
	// VerstatParam writes the outcome into the far leg's INVITE as the verstat
	// parameter of the number in P-Asserted-Identity, or in From if there is
	// none (TS 24.229 section 7.2A.20). Only for a PBX that expects it: others
	// take it for a part of the number. X-Portero-Verstat is told in any case.
	// Default: false.
	VerstatParam bool `yaml:"verstat_param"`
}

// Defaults of Config.
func Defaults() Config {
	return Config{
		Budget: 300 * time.Millisecond, FetchTimeout: 5 * time.Second, FetchMax: 64 << 10, FetchRedirects: 1, FetchesAtOnce: 16,
		CacheSize: 2000, CacheFor: 24 * time.Hour, CacheFailures: time.Minute, MaxAge: time.Minute,
	}
}

// Check reports every mistake by its path. Whether the files can be read is
// for CheckFiles to say.
func (c Config) Check(fault func(path, format string, args ...any)) {
	if c.Verify && len(c.Anchors) == 0 {
		fault("anchors", "none, so that no signature could ever be trusted; allowed: PEM files of authorities, or verify: false")
	}
	for _, u := range slices.Sorted(maps.Keys(c.Certificates)) {
		if _, err := url.Parse(u); err != nil || !strings.Contains(u, "://") {
			fault("certificates."+u, "%q is not a URL; allowed: x5u: file", u)
		}
	}
	for i, h := range c.FetchFrom {
		if _, err := parseHost(h); err != nil {
			fault(fmt.Sprintf("fetch_from[%d]", i), "%v", err)
		}
	}
	for i, p := range c.FetchPrivate {
		if _, err := parseNetwork(p); err != nil {
			fault(fmt.Sprintf("fetch_private[%d]", i), "%v", err)
		}
	}
	for _, r := range []struct {
		path           string
		d, least, most time.Duration
	}{
		{"budget", c.Budget, time.Millisecond, 2 * time.Second}, {"fetch_timeout", c.FetchTimeout, 100 * time.Millisecond, 30 * time.Second},
		{"cache_for", c.CacheFor, time.Minute, 168 * time.Hour}, {"cache_failures", c.CacheFailures, time.Second, time.Hour},
		{"max_age", c.MaxAge, time.Second, 10 * time.Minute},
	} {
		if r.d < r.least || r.d > r.most {
			fault(r.path, "%v is not allowed; allowed: %v to %v", r.d, r.least, r.most)
		}
	}
	for _, r := range []struct {
		path           string
		n, least, most int
	}{
		{"fetch_max", c.FetchMax, 1 << 10, 1 << 20}, {"fetch_redirects", c.FetchRedirects, 0, 5},
		{"fetches_at_once", c.FetchesAtOnce, 1, 256}, {"cache_size", c.CacheSize, 1, 100000},
	} {
		if r.n < r.least || r.n > r.most {
			fault(r.path, "%d is not allowed; allowed: %d to %d", r.n, r.least, r.most)
		}
	}
	if strings.Trim(c.CountryCode, "0123456789") != "" || len(c.CountryCode) > 3 || strings.HasPrefix(c.CountryCode, "0") {
		fault("country_code", "%q is no country code; allowed: one to three digits like 1 or 34, without +", c.CountryCode)
	}
}

// CheckFiles reports every file that cannot be read or does not hold what it
// should.
func (c Config) CheckFiles(fault func(path, format string, args ...any)) {
	c.load(fault)
}

// host is an allowed place to fetch from.
type host struct {
	name string // lower case; empty: any
	sub  bool   // all names below it
	port string // empty: 443 or 8443
}

func parseHost(s string) (host, error) {
	h := host{name: strings.ToLower(s)}
	if i := strings.LastIndexByte(h.name, ':'); i >= 0 && !strings.HasSuffix(h.name, "]") {
		h.name, h.port = h.name[:i], h.name[i+1:]
		if h.port == "" || strings.Trim(h.port, "0123456789") != "" {
			return h, fmt.Errorf("%q has no port after the colon; allowed: certs.example.com, *.example.com, host:port, *", s)
		}
	}
	if h.name == "*" {
		h.name = ""
		return h, nil
	}
	if rest, ok := strings.CutPrefix(h.name, "*."); ok {
		h.name, h.sub = rest, true
	}
	if h.name == "" || strings.ContainsAny(h.name, "/*@ \t") {
		return h, fmt.Errorf("%q is no host; allowed: certs.example.com, *.example.com, host:port, *", s)
	}
	return h, nil
}

func (h host) allows(name, port string) bool {
	if port == "" {
		port = "443"
	}
	if h.port != port && !(h.port == "" && (port == "443" || port == "8443")) {
		return false
	}
	name = strings.ToLower(name)
	switch {
	case h.name == "":
		return true
	case h.sub:
		return strings.HasSuffix(name, "."+h.name)
	}
	return name == h.name || "["+name+"]" == h.name
}

func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no IP address or network like 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}
