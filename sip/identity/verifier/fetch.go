package verifier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/portero/portero/sip/identity/stir"
)

// mayFetch says why an x5u is not fetched, or nil.
func (m *material) mayFetch(u *url.URL) error {
	switch {
	case u.Scheme != "https":
		return fmt.Errorf("%.80q is not https", u.Redacted())
	case u.User != nil:
		return errors.New("a URL with a user is not fetched")
	}
	for _, h := range m.hosts {
		if h.allows(u.Hostname(), u.Port()) {
			return nil
		}
	}
	return fmt.Errorf("%.80q is not among the hosts of fetch_from", u.Host)
}

// special are the networks that no certificate is fetched from unless
// fetch_private says so, besides those that net/netip knows (RFC 6890).
var special = func() (out []netip.Prefix) {
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// mayDial looks at the address that a host's name has led to: a name in
// somebody's DNS can point into this network.
func (m *material) mayDial(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address", address)
	}
	a := ap.Addr().Unmap().WithZone("")
	for _, p := range m.nets {
		if p.Contains(a) {
			return nil
		}
	}
	private := !a.IsGlobalUnicast() || a.IsPrivate()
	for _, p := range special {
		private = private || p.Contains(a)
	}
	if private {
		return fmt.Errorf("%s is a private or special address and not in fetch_private", a)
	}
	return nil
}

// client makes the HTTP client for a configuration. It follows no proxy of the
// environment: a proxy would resolve names where nobody checks the address.
func (m *material) client() *http.Client {
	dialer := &net.Dialer{Timeout: m.cfg.FetchTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return m.mayDial(address)
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: m.tls, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: m.cfg.FetchTimeout, ResponseHeaderTimeout: m.cfg.FetchTimeout, MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConns: 32, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > m.cfg.FetchRedirects {
				return fmt.Errorf("more than %d redirects", m.cfg.FetchRedirects)
			}
			return m.mayFetch(req.URL)
		},
	}
}

// fetched is what came of a fetch.
type fetched struct {
	chain *stir.Chain
	err   error
	keep  time.Duration // how long its server lets it be kept; negative: not said
}

// fetch gets the certificates behind an x5u.
func fetch(ctx context.Context, client *http.Client, u string, most int) fetched {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fetched{err: err}
	}
	req.Header.Set("Accept", "application/pem-certificate-chain, application/pkix-cert, */*;q=0.5")
	req.Header.Set("User-Agent", "Portero")
	res, err := client.Do(req)
	if err != nil {
		return fetched{err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fetched{err: fmt.Errorf("%s answers %d", req.URL.Host, res.StatusCode)}
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	switch {
	case err != nil:
		return fetched{err: fmt.Errorf("reading from %s: %w", req.URL.Host, err)}
	case len(b) > most:
		return fetched{err: fmt.Errorf("what %s has is larger than %d bytes", req.URL.Host, most)}
	}
	chain, err := stir.ParseChain(b)
	if err != nil {
		return fetched{err: fmt.Errorf("what %s has is no certificate: %w", req.URL.Host, err)}
	}
	return fetched{chain: chain, keep: maxAge(res.Header.Values("Cache-Control"))}
}

// maxAge reads how long a response may be kept (RFC 9111 section 5.2.2).
func maxAge(fields []string) time.Duration {
	for _, one := range strings.Split(strings.Join(fields, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); err == nil && n >= 0 {
				return time.Duration(n) * time.Second
			}
		}
	}
	return -1
}
