package scenario

import (
	"fmt"
	"net/netip"
	"strings"
)

// ladder is every message of the scenario, one a line.
func (r *runner) ladder() string {
	var b strings.Builder
	for _, p := range r.network.packets() {
		m, err := parse(p.data)
		says := fmt.Sprintf("%.40q", p.data)
		if err == nil {
			says = m.start
			if m.code() > 0 {
				says += " (" + m.method() + ")"
			}
			if to := parameter(m.get("To"), "tag"); to != "" {
				says += " to-tag=" + to
			}
			says += fmt.Sprintf(" cseq=%d", m.seq())
			if strings.HasPrefix(m.body, "v=0") {
				says += " sdp(" + mediaAddress(m.body) + " " + direction(m.body) + ")"
			}
		}
		fmt.Fprintf(&b, "    %6.1f ms  %-8s -> %-8s  %s\n", float64(p.at.Sub(r.began).Microseconds())/1000, nameOf(p.from), nameOf(p.to), says)
	}
	return b.String()
}

func nameOf(a netip.AddrPort) string {
	if a == DoorAddr {
		return "door"
	}
	for name, addr := range cast {
		if addr == a {
			return name
		}
	}
	return a.String()
}
