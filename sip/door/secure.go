package door

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// What a trunk or destination may say of SRTP with keys in the descriptions (SDES,
// RFC 4568). Inside the door descriptions are plain: a leg takes its peer's
// encryption off when it reads one (undressed) and puts its own on when it writes
// one (dressed). So keys never cross, and the two sides of a call agree each for
// itself.
const (
	srtpOff      = "off"
	srtpOptional = "optional"
	srtpRequired = "required"
	srtpPass     = "pass" // of trunks: keys and packets are the two sides' own affair
)

// offeredSuites is how many suites an offer of the door's own has: with more, an
// INVITE would be too large for UDP (RFC 3261 section 18.1.1).
const offeredSuites = 2

// srtpSuites are the suites taken, the most preferred first, unless the
// configuration says otherwise.
var srtpSuites = []string{"AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM",
	"AES_256_CM_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32"}

// checkSRTP looks at what the configuration says of SRTP.
func checkSRTP(path, v string, fault func(path, format string, args ...any), allowed ...string) {
	if v != "" && !slices.Contains(allowed, v) {
		fault(path, "%q is not known; allowed: %s", v, strings.Join(allowed, ", "))
	}
}

// Notes are what the configuration allows and may not be meant: SRTP keys that
// travel in the clear (RFC 4568 section 8.3).
func (c Config) Notes() []string {
	var out []string
	inClear := "srtp is %s, and its keys are seen by who sees the signalling: %s"
	asked := func(v string) bool { return v != "" && v != srtpOff }
	covered := false
	for _, l := range c.Listen {
		if p, err := parseListen(l); err == nil && (p.transport == transport.TLS || p.transport == transport.WSS) {
			covered = true
		}
	}
	for _, t := range c.Trunks {
		if asked(t.SRTP) && !covered {
			out = append(out, fmt.Sprintf("trunk %s: "+inClear, t.Name, t.SRTP, "no listener is tls or wss"))
		}
	}
	for _, name := range c.DestinationNames() {
		d := c.Destinations[name]
		if !asked(d.SRTP) {
			continue
		}
		for _, t := range d.all() {
			if s := strings.ToLower(t.URI); !strings.HasPrefix(s, "sips:") && !strings.Contains(s, ";transport=tls") {
				out = append(out, fmt.Sprintf("destination %s: "+inClear, name, d.SRTP, t.URI+" is not reached over tls"))
			}
		}
	}
	return out
}

// errSRTP says that a description is read well and encrypted as it may not be.
var errSRTP = errors.New("SRTP")

// refuseUnreadable answers a request whose description is not taken.
func (l *leg) refuseUnreadable(in *incoming, err error) {
	if errors.Is(err, errSRTP) {
		l.respondPlain(in, 488, "Not Acceptable Here: "+err.Error())
		return
	}
	l.respondPlain(in, 400, "Bad Request: "+err.Error())
}

// secures sets what a leg of the caller, or one of who takes over from the caller,
// does about SRTP. Whether keys pass is the trunk's to say, for both sides.
func (l *leg) secures() {
	c := l.c
	l.srtp = c.trunk.SRTP
	if c.out != nil && l.srtp != srtpPass { // of the PBX
		l.srtp = c.d.cfg.Destinations[c.agents()].SRTP
	}
	l.securesByDefault()
}

// securesFar is the same for a leg toward a destination or, of a call of the PBX,
// a trunk.
func (l *leg) securesFar() {
	c := l.c
	switch {
	case c.caller != nil && c.caller.srtp == srtpPass:
		l.srtp = srtpPass
	case c.out != nil && c.trunk.SRTP != srtpPass:
		l.srtp = c.trunk.SRTP
	case c.out == nil:
		l.srtp = c.d.cfg.Destinations[l.dest].SRTP
	}
	l.securesByDefault()
}

func (l *leg) securesByDefault() {
	if l.srtp == "" {
		l.srtp = srtpOptional
	}
}

// passesKeys settles whether the keys of a call pass, once its offer is known: where
// there are none, there is nothing to pass.
func (l *leg) passesKeys(offer *sdp.Description) {
	if l.srtp != srtpPass || offer == nil {
		return
	}
	for _, m := range offer.Media {
		if m.Port != 0 && (encrypted(m) || keyed(m)) {
			return
		}
	}
	l.srtp = srtpOptional
}

// keyed says whether a section has a key in it, be it RTP/SAVP or, at best effort,
// RTP/AVP (RFC 8643).
func keyed(m *sdp.Media) bool {
	_, has := m.Attribute("crypto")
	return has
}

// blind says whether what two sides have agreed on is encrypted with keys that the
// door has no part in.
func blind(a, b *sdp.Media) bool {
	return encrypted(a) || encrypted(b) || keyed(a) && keyed(b)
}

// plainProto is a profile without its encryption. The feedback of SAVPF (RFC 5124)
// may be given without its profile's name, which many do not take.
func plainProto(proto string) string {
	switch strings.ToUpper(proto) {
	case "RTP/SAVP", "RTP/SAVPF":
		return "RTP/AVP"
	}
	return proto
}

// bySDES says whether a section can be encrypted with SDES.
func bySDES(m *sdp.Media) bool {
	switch strings.ToUpper(m.Proto) {
	case "RTP/SAVP", "RTP/SAVPF", "RTP/AVP", "RTP/AVPF":
		return m.Type == "audio"
	}
	return false
}

// undressed is a description of the leg's peer with its encryption taken off: the
// section that is taken is plain, has its key aside, and is the only audio that is
// switched on. Of several sections the first that can be encrypted is taken, of
// its lines the first that can be kept (RFC 4568 section 5.1.2).
func (l *leg) undressed(d *sdp.Description) (*sdp.Description, error) {
	if d == nil || l.srtp == "" || l.srtp == srtpPass {
		return d, nil
	}
	var chosen *sdp.Media
	var took sdp.Crypto
	var why error
	for _, m := range d.Media {
		if m.Port == 0 || !bySDES(m) || l.srtp == srtpOff {
			continue
		}
		all, err := m.Cryptos()
		i := slices.IndexFunc(all, func(k sdp.Crypto) bool { return slices.Contains(l.suites(), k.Suite) })
		if i >= 0 {
			chosen, took = m, all[i]
			break
		}
		if len(all) > 0 {
			err = errors.New("none of its suites is among sip.srtp_suites")
		}
		if err != nil {
			why = err
		}
	}
	if chosen == nil {
		if main := anchored(d); main != nil && main.Port != 0 {
			switch {
			case l.mustEncrypt() && why == nil:
				return nil, fmt.Errorf("%w with an a=crypto key (RFC 4568) is required", errSRTP)
			case l.mustEncrypt():
				return nil, fmt.Errorf("%w is required: %w", errSRTP, why)
			case encrypted(main) && keyed(main) && l.srtp == srtpOff:
				return nil, fmt.Errorf("%w is switched off here", errSRTP)
			case encrypted(main) && why != nil:
				return nil, fmt.Errorf("%w: %w", errSRTP, why)
			case encrypted(main): // by other means than SDES: the two sides' own affair
				dropKeys(d)
				return d, nil
			}
		}
	}
	dropKeys(d)
	for _, m := range d.Media {
		if !bySDES(m) {
			continue
		}
		m.Secure = &sdp.Secure{Proto: m.Proto}
		if m == chosen {
			m.Secure.Crypto = &took
		} else if chosen != nil || encrypted(m) {
			m.Port = 0
		}
		m.Proto = plainProto(m.Proto)
	}
	return d, nil
}

// dropKeys takes every key out of a description, also from where none should be.
func dropKeys(d *sdp.Description) {
	d.Lines = slices.DeleteFunc(d.Lines, isCrypto)
	for _, m := range d.Media {
		m.Lines = slices.DeleteFunc(m.Lines, isCrypto)
	}
}

func isCrypto(s sdp.Line) bool {
	name, _, _ := strings.Cut(s.Value, ":")
	return s.Type == 'a' && strings.EqualFold(strings.TrimSpace(name), "crypto")
}

// dressed is a description for the leg's peer with the leg's own encryption. toward
// is the offer it answers, else the last one of the peer; nil: the peer has said
// nothing yet.
func (l *leg) dressed(d, toward *sdp.Description) *sdp.Description {
	switch {
	case l.web != nil:
		return l.web.dress(d)
	case l.srtp == "" || l.srtp == srtpPass:
		return d
	}
	out := d.Clone()
	main := anchored(out)
	fresh := true
	var took *sdp.Crypto
	if toward != nil {
		for i, m := range toward.Media {
			if m.Secure != nil && i < len(out.Media) && out.Media[i].Type == m.Type && bySDES(out.Media[i]) {
				out.Media[i].Proto = m.Secure.Proto
			}
		}
		if m := anchored(toward); m != nil && m.Type == "audio" && m.Port != 0 {
			fresh = false
			if m.Secure != nil {
				took = m.Secure.Crypto
			}
		}
	}
	if main == nil || main.Port == 0 || !bySDES(main) {
		return out
	}
	switch {
	case took != nil:
		l.addCrypto(main, took.Tag, took.Suite)
	case fresh && l.mustEncrypt() || fresh && l.srtp == srtpOptional && l.opposite().encrypts():
		if l.mustEncrypt() && !encrypted(main) {
			main.Proto = strings.Replace(strings.ToUpper(main.Proto), "RTP/", "RTP/S", 1)
		}
		l.bestEffort = !l.mustEncrypt()
		for i, suite := range l.suites()[:min(offeredSuites, len(l.suites()))] {
			l.addCrypto(main, i+1, suite)
		}
		if l.theirs == nil { // what comes before the answer cannot be decrypted
			l.setKeys(&relay.Keys{Ours: l.key(l.suites()[0])})
		}
	}
	return out
}

// mustEncrypt says whether nothing plain is agreed to on the leg.
func (l *leg) mustEncrypt() bool { return l.srtp == srtpRequired || l.strict }

// stricter says whether a destination that refused an offer at best effort is asked
// again, for an encrypted caller, with RTP/SAVP: some take nothing else. Then the
// INVITE has it.
func (l *leg) stricter(req *sipmsg.Request, res *sipmsg.Response) bool {
	c := l.c
	if res.StatusCode != 488 && res.StatusCode != 606 || !l.bestEffort || l.lateOffer {
		return false
	}
	l.strict = true
	if b := bodyOf(req); c.answeredAt.IsZero() {
		setBody(req, b.contentType, b.with(l.rewrite(adding(c.callerOffer(), l.added))))
	} else {
		setBody(req, sdpType, l.moveOffer())
	}
	l.log.Info("a destination refused SRTP at best effort: it is asked again with RTP/SAVP", zap.String("destination", l.dest))
	return true
}

func (l *leg) addCrypto(m *sdp.Media, tag int, suite string) {
	k := l.key(suite)
	m.Lines = append(m.Lines, sdp.Line{Type: 'a', Value: "crypto:" + sdp.Crypto{Tag: tag, Suite: suite, Key: k.Master}.String()})
}

func (l *leg) suites() []string {
	if s := l.c.d.cfg.SRTPSuites; len(s) > 0 {
		return s
	}
	return srtpSuites
}

// key is what the leg sends with under a suite: made when it is first needed, and
// the same as long as the leg lasts.
func (l *leg) key(suite string) relay.Key {
	k, ok := l.keys[suite]
	if !ok {
		k = make([]byte, sdp.SuiteBytes(suite))
		_, _ = rand.Read(k) // never fails
		if l.keys == nil {
			l.keys = map[string][]byte{}
		}
		l.keys[suite] = k
	}
	return relay.Key{Suite: suite, Master: k}
}

// opposite is the leg at the other side of the call; nil if there is none.
func (l *leg) opposite() *leg {
	if l == l.c.caller || l.far == nil {
		return l.c.far
	}
	return l.c.caller
}

// encrypts says whether the leg's peer sends SRTP with SDES, by its last description.
func (l *leg) encrypts() bool {
	if l == nil || l.theirs == nil {
		return false
	}
	m := anchored(l.theirs)
	return m != nil && m.Port != 0 && m.Secure != nil && m.Secure.Crypto != nil
}

// settleKeys has the relay encrypt as a section of the peer's says.
func (l *leg) settleKeys(m *sdp.Media) {
	if l.srtp == "" || l.srtp == srtpPass || l.web != nil {
		return
	}
	if m.Secure == nil || m.Secure.Crypto == nil {
		l.suite = ""
		l.setKeys(nil)
		return
	}
	k := m.Secure.Crypto
	l.suite = k.Suite
	l.setKeys(&relay.Keys{Ours: l.key(k.Suite), Theirs: relay.Key{Suite: k.Suite, Master: k.Key, MKI: k.MKI, Window: k.Window}})
}

func (l *leg) setKeys(k *relay.Keys) {
	var err error
	if l.far != nil {
		err = l.far.Secure(k)
	} else {
		err = l.c.session.Secure(relay.CallerSide, k)
	}
	if err != nil { // cannot be: suites and lengths were looked at
		l.log.Error("SRTP keys cannot be used", zap.String("leg", l.role), zap.Error(err))
	}
}

// sameKeys says whether two descriptions ask for the same encryption.
func sameKeys(a, b *sdp.Description) bool {
	return slices.EqualFunc(a.Media, b.Media, func(m, n *sdp.Media) bool {
		if m.Secure == nil || n.Secure == nil {
			return m.Secure == n.Secure
		}
		if (m.Secure.Crypto == nil) != (n.Secure.Crypto == nil) || m.Secure.Proto != n.Secure.Proto {
			return false
		}
		return m.Secure.Crypto == nil || m.Secure.Crypto.String() == n.Secure.Crypto.String()
	})
}
