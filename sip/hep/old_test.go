package hep

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestOldVersions(t *testing.T) {
	const four = "\x13\xc4\x13\xce" + "\xc0\x00\x02\x01" + "\xc0\x00\x02\x02"
	six := "\x13\xc4\x13\xce" + strings.Repeat("\x20", 16) + strings.Repeat("\x30", 16)
	when := "\x00\xf1\x53\x65" + "\x05\x00\x00\x00" + "\x07\x00\x00\x00"
	for _, c := range []struct {
		packet, source string
		transport      byte
		at             time.Time
		agent          uint32
		wrong          string
	}{
		{"\x01\x10\x02\x11" + four + "BYE", "192.0.2.1:5060", UDP, time.Time{}, 0, ""},
		{"\x02\x10\x02\x06" + four + when + "BYE", "192.0.2.1:5060", TCP, time.Unix(1700000000, 5000), 7, ""},
		{"\x02\x28\x0a\x11" + six + when + "BYE", "[2020:2020:2020:2020:2020:2020:2020:2020]:5060", UDP, time.Unix(1700000000, 5000), 7, ""},
		{"\x01\x10\x02", "", 0, time.Time{}, 0, "not a packet"},
		{"\x01\x11\x02\x11" + four + "BYE", "", 0, time.Time{}, 0, "another length"},
		{"\x01\x28\x02\x11" + four + "BYE", "", 0, time.Time{}, 0, "another length"},
		{"\x02\x10\x02\x06" + four + "BYE", "", 0, time.Time{}, 0, "without its time"},
	} {
		p, n, err := Decode([]byte(c.packet))
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q: %v, want %q", c.packet, err, c.wrong)
			}
			continue
		}
		if err != nil || n != len(c.packet) || string(p.Payload) != "BYE" || p.Protocol != SIP || p.Transport != c.transport ||
			p.Source != netip.MustParseAddrPort(c.source) || p.Destination.Port() != 5070 || p.Agent != c.agent || !p.At.Equal(c.at) && !c.at.IsZero() {
			t.Errorf("%q: %+v, %d bytes, %v", c.packet, p, n, err)
		}
	}
}
