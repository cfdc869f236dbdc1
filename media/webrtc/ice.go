package webrtc

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pion/stun/v4"
)

// candidate is where browsers send to (RFC 8445 section 5.1.1).
type candidate struct {
	addr     netip.AddrPort
	priority uint32
}

// priority is that of the n-th host candidate: the first listed is the first
// choice (RFC 8445 section 5.1.2.1).
func priority(n int) uint32 { return 126<<24 | uint32(65535-n)<<8 | 255 }

// String is the value of a=candidate (RFC 8839 section 5.1).
func (c candidate) String() string {
	return fmt.Sprintf("%d 1 udp %d %s %d typ host", c.priority&0xFFFF00>>8, c.priority, c.addr.Addr(), c.addr.Port())
}

// credentials are one generation of an ICE session (RFC 8839 section 5.4).
type credentials struct{ ufrag, pwd string }

// newCredentials has 60 bits of fragment and 160 of password; RFC 8445 section
// 5.3 asks for 24 and 128.
func newCredentials() credentials {
	return credentials{ufrag: rand.Text()[:12], pwd: (rand.Text() + rand.Text())[:32]}
}

// known are the attributes of a check that are understood; others of the range
// that must be understood are refused (RFC 8489 section 6.3.1).
var understood = []stun.AttrType{stun.AttrUsername, stun.AttrMessageIntegrity, stun.AttrPriority, stun.AttrUseCandidate,
	stun.AttrMessageIntegritySHA256}

// binding answers a connectivity check (RFC 8445 section 7.3). What has not the
// password of one of the calls is not answered at all: the socket tells strangers
// nothing, and cannot be used to send to somebody else.
func (s *socket) binding(b []byte, src netip.AddrPort) {
	m := &s.check
	m.Raw = append(m.Raw[:0], b...)
	if m.Decode() != nil || m.Type != stun.BindingRequest {
		return // of responses there are none, for nothing was asked
	}
	name, err := m.Get(stun.AttrUsername)
	if err != nil {
		return
	}
	ours, theirs, ok := strings.Cut(string(name), ":")
	if !ok {
		return
	}
	p := s.m.peer(ours)
	if p == nil {
		return
	}
	pwd, ok := p.password(ours, theirs)
	if !ok || !m.Contains(stun.AttrFingerprint) || stun.Fingerprint.Check(m) != nil || stun.MessageIntegrity(pwd).Check(m) != nil {
		return
	}
	r := &s.reply
	key := stun.MessageIntegrity(pwd)
	if unknown := unknownIn(m); len(unknown) > 0 {
		err = r.Build(id(m.TransactionID), stun.BindingError, stun.CodeUnknownAttribute, unknown, key, stun.Fingerprint)
	} else if m.Contains(stun.AttrICEControlled) {
		// A lite agent is the controlled one; whoever thinks to be it too must change
		// (RFC 8445 section 7.3.1.1).
		err = r.Build(id(m.TransactionID), stun.BindingError, stun.CodeRoleConflict, key, stun.Fingerprint)
	} else if p.checked(s, src, ours, m.Contains(stun.AttrUseCandidate)) {
		s.know(src, p)
		err = r.Build(id(m.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: net.IP(src.Addr().AsSlice()), Port: int(src.Port())}, key, stun.Fingerprint)
	} else {
		return
	}
	if err == nil {
		_, _ = s.conn.WriteToUDPAddrPort(r.Raw, src)
	}
}

func id(t [stun.TransactionIDSize]byte) stun.Setter { return stun.NewTransactionIDSetter(t) }

func unknownIn(m *stun.Message) (out stun.UnknownAttributes) {
	for _, a := range m.Attributes {
		if a.Type < 0x8000 && !slices.Contains(understood, a.Type) {
			out = append(out, a.Type)
		}
	}
	return out
}
