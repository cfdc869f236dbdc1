package trace

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/portero/portero/sip/sdp"
)

// maxEndpoints bounds the addresses one call may announce.
const maxEndpoints = 64

// endpoint is an address at which one side of a call said it takes RTP.
type endpoint struct {
	addr   netip.AddrPort
	call   *call
	codecs codecs
	callee bool // the audio of the side that was called, as told to the caller
	caller bool // the caller's audio, as told to the side that was called
	secure bool // SRTP: what comes here cannot be heard
	other  bool // of a recording session: whom its caller talks to
}

// codecs are payload types and what they mean. Most addresses have few.
type codecs []sdp.Codec

func (l codecs) of(pt uint8) (sdp.Codec, bool) {
	for i := range l {
		if l[i].PT == pt {
			return l[i], true
		}
	}
	return sdp.Codec{}, false
}

// with has the types of more, and of l those that more has not.
func (l codecs) with(more codecs) codecs {
	if len(l) == 0 {
		return more[:len(more):len(more)]
	}
	var out codecs
	for i, k := range l {
		if n, ok := more.of(k.PT); ok && n != k {
			if out == nil {
				out = append(make(codecs, 0, len(l)+len(more)), l...)
			}
			out[i] = n
		}
	}
	if out == nil {
		out = l[:len(l):len(l)] // shared with other addresses
	}
	for _, k := range more {
		if _, ok := l.of(k.PT); !ok {
			out = append(out, k)
		}
	}
	return out
}

// described is a session description with the codecs of its sections.
type described struct {
	*sdp.Description
	codecs []codecs // by section
}

func newDescribed(d *sdp.Description) *described {
	out := &described{Description: d, codecs: make([]codecs, len(d.Media))}
	for i, m := range d.Media {
		out.codecs[i] = m.Codecs()
	}
	return out
}

// describe notes where a description says media is to go, and returns the
// endpoints that are new or changed. sender is where the message came from; it
// stands for a connection address that is a name. callee is true when the
// message told the caller where to send, caller when it told so of the caller.
func (c *call) describe(d *described, sender netip.Addr, callee, caller bool) []*endpoint {
	var out []*endpoint
	audio, other := c.voice(d.Description), c.otherVoice(d.Description)
	for i, m := range d.Media {
		if m.Port == 0 || !strings.Contains(strings.ToUpper(m.Proto), "RTP") {
			continue
		}
		for _, a := range addresses(d.Description, m, sender) {
			if e := c.endpoint(a); e != nil {
				e.codecs = e.codecs.with(d.codecs[i])
				e.callee = e.callee || callee && m == audio
				e.caller = e.caller || caller && m == audio
				e.other = callee && m == other
				_, keyed := m.Attribute("crypto") // at best effort (RFC 8643): who answers with a key has agreed
				e.secure = keyed || strings.Contains(strings.ToUpper(m.Proto), "SAVP")
				out = append(out, e)
			}
		}
	}
	if len(out) > 0 {
		c.epoch++
	}
	return out
}

// endpoint returns the call's endpoint at a, new if need be, nil when there
// are too many.
func (c *call) endpoint(a netip.AddrPort) *endpoint {
	for _, e := range c.media {
		if e.addr == a {
			return e
		}
	}
	if len(c.media) >= maxEndpoints {
		return nil
	}
	e := &endpoint{addr: a, call: c}
	c.media = append(c.media, e)
	return e
}

// udptlPorts lists where a description wants T.38 over UDPTL (RFC 7345 for its
// encrypted form).
func udptlPorts(d *sdp.Description, sender netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, m := range d.Media {
		if m.Port != 0 && len(out) < maxEndpoints && strings.EqualFold(m.Proto, "udptl") {
			out = append(out, addresses(d, m, sender)...)
		}
	}
	return out
}

// addresses lists where a section may get its RTP: its connection line, and
// its ICE candidates of component 1 (RFC 8839 section 5.1), one of which the
// two sides choose without saying so in SIP.
func addresses(d *sdp.Description, m *sdp.Media, sender netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	a, err := d.RTP(m)
	if err != nil {
		a = netip.AddrPortFrom(sender, uint16(m.Port))
	}
	if !a.Addr().IsUnspecified() {
		for i := range min(m.Count, 8) { // RTP takes every second port (RFC 8866 section 5.14)
			out = append(out, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()+uint16(2*i)))
		}
	}
	for _, l := range m.Lines {
		name, v, _ := strings.Cut(l.Value, ":")
		if l.Type != 'a' || name != "candidate" {
			continue
		}
		f := strings.Fields(v)
		if len(f) < 6 || f[1] != "1" || !strings.EqualFold(f[2], "udp") {
			continue
		}
		ip, err := netip.ParseAddr(f[4])
		port, err2 := strconv.ParseUint(f[5], 10, 16)
		if err == nil && err2 == nil && port > 0 {
			out = append(out, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
		}
	}
	return out
}
