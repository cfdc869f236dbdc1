package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// queries asks name servers. Go's own resolver knows no NAPTR and tells no TTL,
// so the queries are made by miekg/dns (BSD-3, the library of CoreDNS); it is
// used nowhere on a call's way.
type queries struct {
	servers    []string // none: those of /etc/resolv.conf
	ipv4, ipv6 bool
	file       net.Resolver
}

func newDNS(c DNS, deps Deps) Resolver {
	q := &queries{ipv4: deps.IPv4, ipv6: deps.IPv6}
	for _, s := range c.Servers {
		if at, err := nameServer(s); err == nil { // Check has told of the others
			q.servers = append(q.servers, at)
		}
	}
	// Go looks into the hosts file before it asks anybody; here it may ask nobody.
	q.file = net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("only the hosts file is asked")
	}}
	return &locator{ask: q, transports: deps.Transports}
}

const (
	resolvConf = "/etc/resolv.conf"
	// queryWithin is for one query to one server, which is asked twice.
	queryWithin = time.Second
	// maxAnswer is what RFC 9715 recommends for DNS over UDP: no fragments.
	maxAnswer = 1232
)

// config is read each time: a machine's name servers change with its network.
func (q *queries) config() (*dns.ClientConfig, error) {
	if len(q.servers) > 0 {
		return &dns.ClientConfig{Ndots: 1}, nil
	}
	c, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("which name server to ask: %w; say so in dns.servers", err)
	}
	return c, nil
}

func (q *queries) names(host string) []string {
	c, err := q.config()
	if err != nil {
		return []string{dns.Fqdn(host)} // the queries will say what is wrong
	}
	return c.NameList(host)
}

func (q *queries) hosts(ctx context.Context, name string) []netip.Addr {
	found, err := q.file.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() && q.ipv4 || !a.Is4() && q.ipv6 {
			out = append(out, a)
		}
	}
	return out
}

func (q *queries) naptr(ctx context.Context, name string) ([]naptr, time.Duration, error) {
	rrs, err := q.ask(ctx, name, dns.TypeNAPTR)
	var out []naptr
	ttl := maxTTL
	for _, rr := range rrs {
		if r, ok := rr.(*dns.NAPTR); ok {
			out = append(out, naptr{r.Order, r.Preference, r.Flags, r.Service, r.Replacement})
			ttl = min(ttl, ttlOf(rr))
		}
	}
	return out, ttl, err
}

func (q *queries) srv(ctx context.Context, name string) ([]srv, time.Duration, error) {
	rrs, err := q.ask(ctx, name, dns.TypeSRV)
	var out []srv
	ttl := maxTTL
	for _, rr := range rrs {
		if r, ok := rr.(*dns.SRV); ok {
			out = append(out, srv{r.Priority, r.Weight, r.Port, r.Target})
			ttl = min(ttl, ttlOf(rr))
		}
	}
	return out, ttl, err
}

// addrs asks for the families that the door can send to. One that fails is no
// error when the other has an answer.
func (q *queries) addrs(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	var out []netip.Addr
	var faults error
	ttl := maxTTL
	for _, f := range []struct {
		wanted bool
		kind   uint16
	}{{q.ipv4, dns.TypeA}, {q.ipv6, dns.TypeAAAA}} {
		if !f.wanted {
			continue
		}
		rrs, err := q.ask(ctx, name, f.kind)
		faults = errors.Join(faults, err)
		for _, rr := range rrs {
			var ip net.IP
			switch r := rr.(type) {
			case *dns.A:
				ip = r.A
			case *dns.AAAA:
				ip = r.AAAA
			}
			if a, ok := netip.AddrFromSlice(ip); ok {
				out = append(out, a.Unmap())
			}
			ttl = min(ttl, ttlOf(rr)) // of a CNAME on the way too
		}
	}
	if len(out) > 0 {
		return out, ttl, nil
	}
	return nil, ttl, faults
}

func ttlOf(rr dns.RR) time.Duration { return time.Duration(rr.Header().Ttl) * time.Second }

// ask sends one query to the servers in turn, twice, and returns the answer
// section; nothing for a name that does not exist or has no such record.
func (q *queries) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	servers := q.servers
	if len(servers) == 0 {
		c, err := q.config()
		if err != nil {
			return nil, err
		}
		for _, s := range c.Servers {
			servers = append(servers, net.JoinHostPort(s, c.Port))
		}
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(maxAnswer, false)
	err := errors.New("no name server is configured")
	for range 2 {
		for _, s := range servers {
			var res *dns.Msg
			if res, err = exchange(ctx, m, s); err != nil {
				continue
			}
			switch res.Rcode {
			case dns.RcodeSuccess, dns.RcodeNameError:
				return res.Answer, nil
			case dns.RcodeNotImplemented, dns.RcodeRefused, dns.RcodeFormatError:
				if kind == dns.TypeNAPTR { // many a small resolver forwards no NAPTR; the names have SRV then
					return nil, nil
				}
			}
			err = fmt.Errorf("%s says %s", s, dns.RcodeToString[res.Rcode])
		}
	}
	return nil, fmt.Errorf("%s of %s: %w", dns.TypeToString[kind], name, err)
}

// exchange asks over UDP, and over TCP when the answer was cut.
func exchange(ctx context.Context, m *dns.Msg, server string) (*dns.Msg, error) {
	c := dns.Client{Timeout: queryWithin}
	res, _, err := c.ExchangeContext(ctx, m, server)
	if err == nil && res.Truncated {
		c.Net = "tcp"
		res, _, err = c.ExchangeContext(ctx, m, server)
	}
	return res, err
}
