package door

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
)

// copied is one stream.
type copied struct {
	label   string
	session *relay.Session
	codecs  map[uint8]sdp.Codec
	resting bool        // it sends nothing now
	crypto  *sdp.Crypto // what its client encrypts with (SDES); nil: nothing
	key     []byte      // what the reports to it are encrypted with
}

// maxCopied bounds the streams of one recording session.
const maxCopied = 8

// live are the streams that were not declined.
func (s *srs) live() []*copied {
	var out []*copied
	for _, k := range s.streams {
		if k != nil {
			out = append(out, k)
		}
	}
	return out
}

// other is the first stream that is not the caller's; nil if there is none.
func (s *srs) other() *copied {
	for _, k := range s.live() {
		if k != s.judged {
			return k
		}
	}
	return nil
}

// takeCopies opens ports for the streams of an offer; those that were there go on.
// The error says why none can be heard.
func (c *call) takeCopies(offer *sdp.Description) error {
	s := c.srs
	var fault error
	for i, m := range offer.Media {
		var k *copied
		if i < len(s.streams) {
			k = s.streams[i]
		} else {
			s.streams = append(s.streams, nil)
		}
		codecs := map[uint8]sdp.Codec{}
		voices, crypto := c.hearable(m)
		for _, f := range voices {
			codecs[f.PT] = f
		}
		if len(codecs) == 0 || k == nil && len(s.live()) == maxCopied {
			if k != nil {
				k.resting = true
			}
			continue
		}
		if k == nil {
			session, err := c.d.deps.Relay.Open(c.rec.CallID, relay.Options{Alone: true, IPv6: describesIPv6(offer, c.source)})
			if err != nil {
				fault = err
				continue
			}
			k = &copied{session: session}
			s.streams[i] = k
		}
		k.label, _ = m.Attribute("label")
		k.codecs = codecs
		if err := k.secure(crypto); err != nil {
			fault = err
		}
		dir := offer.Direction(m)
		k.resting = dir == sdp.Inactive || dir == sdp.RecvOnly
		if rtp, err := offer.RTP(m); err == nil {
			rtcp, err := offer.RTCP(m)
			if err != nil {
				rtcp = netip.AddrPort{}
			}
			k.session.SetRemote(relay.CallerSide, rtp, rtcp)
		}
	}
	c.caller.theirs = offer
	if len(s.live()) > 0 {
		return nil
	}
	if fault == nil {
		fault = errors.New("it has no audio that can be heard")
	}
	return fault
}

// secure has a stream decrypted with what its client encrypts with.
func (k *copied) secure(crypto *sdp.Crypto) error {
	if crypto == nil {
		k.crypto, k.key = nil, nil
		return k.session.Secure(relay.CallerSide, nil)
	}
	if k.crypto == nil || k.crypto.Suite != crypto.Suite { // RFC 4568 section 6.1: a key a stream
		k.key = make([]byte, sdp.SuiteBytes(crypto.Suite))
		_, _ = rand.Read(k.key) // never fails
	}
	k.crypto = crypto
	return k.session.Secure(relay.CallerSide, &relay.Keys{Ours: relay.Key{Suite: crypto.Suite, Master: k.key},
		Theirs: relay.Key{Suite: crypto.Suite, Master: crypto.Key, MKI: crypto.MKI, Window: crypto.Window}})
}

// hearable are the payload types of a section that the analysis hears, and what it
// is encrypted with; none if it is switched off, encrypted by other means than SDES
// (RFC 4568) or as the trunk's srtp does not allow, or no audio.
func (c *call) hearable(m *sdp.Media) ([]sdp.Codec, *sdp.Crypto) {
	if m.Type != "audio" || m.Port == 0 {
		return nil, nil
	}
	if !encrypted(m) {
		if c.trunk.SRTP == srtpRequired {
			return nil, nil
		}
		return voicesOf(m), nil
	}
	if c.trunk.SRTP == srtpOff || !bySDES(m) {
		return nil, nil
	}
	all, _ := m.Cryptos()
	i := slices.IndexFunc(all, func(k sdp.Crypto) bool { return slices.Contains(c.caller.suites(), k.Suite) })
	if i < 0 {
		return nil, nil
	}
	return voicesOf(m), &all[i]
}

// voicesOf are the payload types of a section that the analysis hears.
func voicesOf(m *sdp.Media) []sdp.Codec {
	var out []sdp.Codec
	voices := 0
	for _, k := range m.Codecs() {
		switch strings.ToUpper(k.Name) {
		case "PCMU", "PCMA", "G722", "OPUS":
			voices++
		case "CN", "TELEPHONE-EVENT":
		default:
			continue
		}
		out = append(out, k)
	}
	if voices == 0 {
		return nil
	}
	return out
}

// copyAnswer answers an offer: recvonly where it can be heard (RFC 7866 section
// 7.2), else declined.
func (c *call) copyAnswer(offer *sdp.Description) []byte {
	d := blank()
	var at netip.Addr
	for i, o := range offer.Media {
		k := c.srs.streams[i]
		codecs, _ := c.hearable(o)
		if k == nil || len(codecs) == 0 {
			d.Media = append(d.Media, declined(o))
			continue
		}
		a := k.session.Addr(relay.CallerSide)
		at = a.Addr()
		m := &sdp.Media{Type: o.Type, Port: int(a.Port()), Count: 1, Proto: o.Proto}
		add := func(s string) { m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: s}) }
		for _, f := range codecs {
			pt := strconv.Itoa(int(f.PT))
			m.Formats = append(m.Formats, pt)
			of := f.Name + "/" + strconv.Itoa(f.Clock)
			if f.Channels > 1 {
				of += "/" + strconv.Itoa(f.Channels)
			}
			add("rtpmap:" + pt + " " + of)
			if f.Fmtp != "" {
				add("fmtp:" + pt + " " + f.Fmtp)
			}
		}
		if k.crypto != nil {
			add("crypto:" + sdp.Crypto{Tag: k.crypto.Tag, Suite: k.crypto.Suite, Key: k.key}.String())
		}
		if k.label != "" {
			add("label:" + k.label)
		}
		if k.resting {
			add(sdp.Inactive)
		} else {
			add(sdp.RecvOnly)
		}
		d.Media = append(d.Media, m)
	}
	if !at.IsValid() {
		at = c.session.Addr(relay.CallerSide).Addr()
	}
	setConnection(d, at, false)
	return c.caller.described(d, at, nil)
}

// copiesSilent ends a recording session whose client is gone without a word: none
// of its streams has sent anything for media.timeout, and one should.
func (c *call) copiesSilent() {
	if c.ending {
		return
	}
	now, silent := time.Now(), false
	for _, k := range c.srs.live() {
		if k.resting {
			continue
		}
		if silent = k.session.TimedOut(now); !silent {
			break
		}
	}
	if silent {
		c.log.Warn("a recording session has no media any more")
		c.end("portero", "media timeout")
		return
	}
	c.after(silenceEvery, c.copiesSilent)
}

// hearableNames is the voice codec of a stream with one, nothing of one with several:
// which was used is not looked at.
func hearableNames(codecs map[uint8]sdp.Codec) []string {
	var out []string
	for _, k := range codecs {
		if n := strings.ToUpper(k.Name); n != "CN" && n != "TELEPHONE-EVENT" {
			out = append(out, n)
		}
	}
	if len(out) > 1 {
		return nil
	}
	return out
}

// closeCopies gives the ports back.
func (s *srs) closeCopies() {
	if s == nil {
		return
	}
	for _, k := range s.live() {
		k.session.Close()
	}
}
