package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Key is a master key of SRTP, as one side sends with it (RFC 3711 section 3.2.1).
type Key struct {
	Suite  string // as RFC 4568, 6188 and 7714 call it
	Master []byte // key and salt, one after the other
	MKI    []byte // stands in each packet; none for nil
	Window int    // of replayed packets, at least 64; 0 for 64
}

// Keys are those of one side of a call.
type Keys struct {
	Ours   Key // what we send to the peer with
	Theirs Key // what the peer sends with; without a suite it is not known yet
}

// suite is what a name stands for.
type suite struct {
	profile   srtp.ProtectionProfile
	key, salt int // bytes
}

var suites = map[string]suite{
	"AES_CM_128_HMAC_SHA1_80": {srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14},
	"AES_CM_128_HMAC_SHA1_32": {srtp.ProtectionProfileAes128CmHmacSha1_32, 16, 14},
	"AES_256_CM_HMAC_SHA1_80": {srtp.ProtectionProfileAes256CmHmacSha1_80, 32, 14},
	"AES_256_CM_HMAC_SHA1_32": {srtp.ProtectionProfileAes256CmHmacSha1_32, 32, 14},
	"AEAD_AES_128_GCM":        {srtp.ProtectionProfileAeadAes128Gcm, 16, 12},
	"AEAD_AES_256_GCM":        {srtp.ProtectionProfileAeadAes256Gcm, 32, 12},
}

func (k Key) equal(o Key) bool {
	return k.Suite == o.Suite && k.Window == o.Window && bytes.Equal(k.Master, o.Master) && bytes.Equal(k.MKI, o.MKI)
}

// context is the state of one direction under a key.
func (k Key) context() (*srtp.Context, error) {
	s, ok := suites[k.Suite]
	if !ok {
		return nil, fmt.Errorf("SRTP suite %.40q is not known", k.Suite)
	}
	if len(k.Master) != s.key+s.salt {
		return nil, fmt.Errorf("SRTP key for %s has %d bytes, %d are needed", k.Suite, len(k.Master), s.key+s.salt)
	}
	window := uint(max(k.Window, replayWindow))
	return srtp.CreateContext(k.Master[:s.key], k.Master[s.key:], s.profile,
		srtp.MasterKeyIndicator(k.MKI), srtp.SRTPReplayProtection(window), srtp.SRTCPReplayProtection(window))
}

const (
	// replayWindow is RFC 3711 section 3.3.2's smallest.
	replayWindow = 64
	// maxSources is how many SSRCs are spoken or heard under one key: each has
	// state that must be kept as long as the key.
	maxSources = 64
	// retireAfter is how many packets under a new key let the old one go.
	retireAfter = 250
	// maxExpansion is what encryption adds: tag, SRTCP index and MKI, bytes.
	maxExpansion = 16 + 4 + 128
)

// Secure has the packets of a side encrypted and authenticated; nil: neither. The
// same key again goes on where it is, so that no key stream is used twice. While
// the peer's key is not known nothing passes either way.
func (s *Session) Secure(side Side, k *Keys) error {
	if e := s.side(side); e != nil {
		return e.secure(k)
	}
	return nil
}

// Secure is Session.Secure for this far side.
func (f *Far) Secure(k *Keys) error { return f.endpoint.secure(k) }

// security is what a side's packets are encrypted with. Below mu it belongs to the
// call's control.
type security struct {
	rtp, rtcp secured

	mu   sync.Mutex
	keys Keys
	// outs are the keys that were sent with, the newest last: one that comes back,
	// as forked phones and replaced legs may have it, goes on where it was.
	outs []*sealer
}

// stand puts itself before an endpoint's sockets.
func (s *security) stand(e *endpoint) {
	s.rtp.conn, s.rtcp.conn = e.sock.rtp, e.sock.rtcp
	s.rtp.count, s.rtcp.count = &e.count, &e.count
	e.sock.rtp, e.sock.rtcp = &s.rtp, &s.rtcp
}

// maxOuts is how many of them are kept.
const maxOuts = 16

// out is what sends with a key.
func (s *security) out(k Key) (*sealer, error) {
	for _, o := range s.outs {
		if o.key.equal(k) {
			return o, nil
		}
	}
	ctx, err := k.context()
	if err != nil {
		return nil, err
	}
	o := &sealer{key: k, ctx: ctx, sources: map[uint32]*sent{}}
	if len(s.outs) == maxOuts {
		s.outs = s.outs[1:]
	}
	s.outs = append(s.outs, o)
	return o, nil
}

func (e *endpoint) secure(k *Keys) error {
	if e.carrier != nil { // it has keys of its own
		return nil
	}
	e.security.mu.Lock()
	defer e.security.mu.Unlock()
	rtp, rtcp := &e.security.rtp, &e.security.rtcp
	if k == nil {
		e.security.keys = Keys{}
		rtp.guard.Store(nil)
		rtcp.guard.Store(nil)
		return nil
	}
	// Both sockets share what is sent with: RTCP may leave by either, and the same
	// place of the key stream must never be used twice.
	out, err := e.security.out(k.Ours)
	if err != nil {
		return err
	}
	same := e.security.keys.Theirs.equal(k.Theirs)
	var guards [2]*guard
	for i, s := range []*secured{rtp, rtcp} {
		var in *opener
		if g := s.guard.Load(); g != nil {
			in = g.in
		}
		switch {
		case k.Theirs.Suite == "":
			in = nil
		case in == nil || !same:
			if in, err = newOpener(k.Theirs, in); err != nil {
				return err
			}
		}
		guards[i] = &guard{in: in, out: out}
	}
	rtp.guard.Store(guards[0])
	rtcp.guard.Store(guards[1])
	e.security.keys = *k
	return nil
}

// secured is a conn whose packets are SRTP and SRTCP (RFC 3711) as soon as there
// are keys. What does not prove to be the peer's is dropped before anything else
// looks at it.
type secured struct {
	conn
	count *counters
	guard atomic.Pointer[guard] // nil: plain
}

// guard is what stands before a socket. Without in nothing passes, either way.
type guard struct {
	in  *opener
	out *sealer
}

// watch implements conn.
func (s *secured) watch(f func(b []byte, src netip.AddrPort, wall int64)) {
	s.conn.watch(func(b []byte, src netip.AddrPort, wall int64) {
		g := s.guard.Load()
		if g == nil {
			f(b, src, wall)
			return
		}
		if g.in == nil { // its key is still under way (RFC 4568 section 5.1.1)
			s.count.forged.Add(1)
			return
		}
		p, err := g.in.open(b)
		switch {
		case err == nil:
			f(p, src, wall)
		case errors.Is(err, errReplayed):
			s.count.replayed.Add(1)
		default:
			s.count.forged.Add(1)
		}
	})
}

// send implements conn.
func (s *secured) send(b []byte, to netip.AddrPort) error {
	g := s.guard.Load()
	if g == nil {
		return s.conn.send(b, to)
	}
	if g.in == nil { // the peer has agreed to no key yet
		return errNoKey
	}
	return g.out.seal(b, func(p []byte) error { return s.conn.send(p, to) })
}

var (
	errNoKey    = errors.New("the peer has agreed to no SRTP key yet")
	errNotMedia = errors.New("neither RTP nor RTCP, which is not sent on an encrypted leg")
	errReplayed = errors.New("an SRTP packet that came before")
	errForged   = errors.New("an SRTP packet that the peer did not make")
	errUsed     = errors.New("its place in the key stream is used")
	errSources  = errors.New("too many SSRCs under one SRTP key")
)

// muxed says whether a packet is in the range of RTCP (RFC 5761 section 4).
func muxed(b []byte) bool { return len(b) >= 8 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }

// opener takes what comes apart. It belongs to the goroutine that reads the socket,
// which takes the one before over from itself.
type opener struct {
	keys   []*opening // the newest first
	before *opener    // whose keys may still be in use; nil once taken over
	after  int        // packets since the last under an old key
	seen   map[uint32]*heard
	last   *heard
	h      rtp.Header
	rh     rtcp.Header
	spare  []byte // for a packet that more than one key is tried on
}

// opening is a key that is tried.
type opening struct {
	ctx   *srtp.Context
	fresh bool // counts begin at zero; else they go on from the key before
	old   bool
}

// heard is where a source stands.
type heard struct {
	ssrc uint32
	roc  uint32
	seq  uint16
}

// newOpener is for a key that follows that of before. A rollover counter goes on
// across keys (RFC 3711 section 3.3.1), but there are peers that begin anew; both
// are tried.
func newOpener(k Key, before *opener) (*opener, error) {
	o := &opener{before: before, seen: map[uint32]*heard{}}
	for _, fresh := range []bool{false, true} {
		if fresh && before == nil {
			break
		}
		ctx, err := k.context()
		if err != nil {
			return nil, err
		}
		o.keys = append(o.keys, &opening{ctx: ctx, fresh: fresh})
	}
	return o, nil
}

// open authenticates and decrypts a packet, in place unless keys change.
func (o *opener) open(b []byte) ([]byte, error) {
	if p := o.before; p != nil {
		o.before = nil
		p.settle()
		o.seen = p.seen
		for _, k := range p.keys[:1] {
			k.old = true
			o.keys = append(o.keys, k)
		}
	}
	dst := b
	if len(o.keys) > 1 {
		if o.spare == nil {
			o.spare = make([]byte, maxPacket+maxExpansion)
		}
		dst = o.spare
	}
	control := muxed(b)
	if !control && (len(b) < 12 || b[0]>>6 != 2) {
		return nil, errForged
	}
	replayed := false
	for i, k := range o.keys {
		var p []byte
		var err error
		if control {
			p, err = k.ctx.DecryptRTCP(dst, b, &o.rh)
		} else {
			o.carryOn(k, b)
			p, err = k.ctx.DecryptRTP(dst, b, &o.h)
		}
		if err == nil {
			if !control && !o.note(k) {
				return nil, errSources
			}
			o.chose(i)
			return p, nil
		}
		replayed = replayed || isReplay(err)
	}
	if replayed {
		return nil, errReplayed
	}
	return nil, errForged
}

// isReplay says whether a packet came before, or too long ago to know. pion/srtp
// does not export that error, but names all others.
func isReplay(err error) bool {
	var d interface{ Unwrap() error }
	return errors.As(err, &d) && d.Unwrap() != nil && d.Unwrap().Error() == "duplicated packet"
}

// carryOn gives a new key the rollover counter that a source has got to.
func (o *opener) carryOn(k *opening, b []byte) {
	if k.fresh || k.old || len(o.seen) == 0 {
		return
	}
	h := o.seen[binary.BigEndian.Uint32(b[8:])]
	if h == nil {
		return
	}
	if _, known := k.ctx.ROC(h.ssrc); known {
		return
	}
	roc, seq := h.roc, binary.BigEndian.Uint16(b[2:])
	if seq < h.seq && h.seq-seq > 1<<15 {
		roc++
	}
	k.ctx.SetROC(h.ssrc, roc)
}

// note remembers where a source has got to; false: there are too many.
func (o *opener) note(k *opening) bool {
	h := o.last
	if h == nil || h.ssrc != o.h.SSRC {
		if h = o.seen[o.h.SSRC]; h == nil {
			if len(o.seen) >= maxSources {
				return false
			}
			h = &heard{ssrc: o.h.SSRC, seq: o.h.SequenceNumber}
			o.seen[h.ssrc] = h
		}
		o.last = h
	}
	if roc, _ := k.ctx.ROC(h.ssrc); !k.old && roc != h.roc {
		h.roc, h.seq = roc, o.h.SequenceNumber
	} else if int16(o.h.SequenceNumber-h.seq) > 0 {
		h.seq = o.h.SequenceNumber
	}
	return true
}

// chose drops the keys that turned out not to be needed.
func (o *opener) chose(i int) {
	if len(o.keys) == 1 {
		return
	}
	if o.keys[i].old {
		o.after = 0
		return
	}
	kept := o.keys[:0]
	o.after++
	for j, k := range o.keys {
		if j == i || k.old && o.after < retireAfter {
			kept = append(kept, k)
		}
	}
	clear(o.keys[len(kept):])
	o.keys = kept
}

// settle takes over what an opener that never opened anything was to take over.
func (o *opener) settle() {
	if p := o.before; p != nil {
		o.before = nil
		p.settle()
		o.seen, o.keys = p.seen, p.keys
	}
}

// sealer encrypts what is sent.
type sealer struct {
	key     Key
	mu      sync.Mutex // RTP and RTCP of a side may come from two goroutines
	ctx     *srtp.Context
	sources map[uint32]*sent
	last    *sent
	h       rtp.Header
	rh      rtcp.Header
	buf     [maxPacket + maxExpansion]byte
}

// sent is which places of the key stream a source has used. A packet that was
// there before would be encrypted with the same key stream as the first, and both
// could be read (RFC 3711 section 9.1): it is dropped, as the peer would drop it.
type sent struct {
	ssrc   uint32
	high   int64 // highest index: number of wraps and sequence number
	used   uint64
	off    uint16 // added to sequence numbers
	behind int    // packets in a row that are too old
	next   uint16 // number that a further one would have
}

// restarted is how many packets in a row show that a source began to count anew.
const restarted = 3

// place is the sequence number that a source's packet goes under; false: none.
func (s *sent) place(seq uint16) (uint16, bool) {
	out := seq + s.off
	step := int64(int16(out - uint16(s.high)))
	switch {
	case step > 0:
		s.used = s.used<<min(step, 64) | 1
		s.high += step
	case step > -64 && s.high+step >= 0 && s.used&(1<<-step) == 0:
		s.used |= 1 << -step
	case step > -64:
		return 0, false
	default: // far behind: a straggler, or a source that counts anew under its SSRC
		if seq != s.next {
			s.behind = 0
		}
		s.behind, s.next = s.behind+1, seq+1
		if s.behind < restarted {
			return 0, false
		}
		s.off = uint16(s.high) + 1 - seq
		s.used = s.used<<1 | 1
		s.high++
		out = uint16(s.high)
	}
	s.behind = 0
	return out, true
}

func (o *sealer) source(ssrc uint32, seq uint16) (*sent, error) {
	if s := o.last; s != nil && s.ssrc == ssrc {
		return s, nil
	}
	s := o.sources[ssrc]
	if s == nil {
		if len(o.sources) >= maxSources {
			return nil, errSources
		}
		s = &sent{ssrc: ssrc, high: int64(seq) - 1}
		o.sources[ssrc] = s
	}
	o.last = s
	return s, nil
}

// seal gives a packet, encrypted, to send.
func (o *sealer) seal(b []byte, send func([]byte) error) error {
	if len(b) > maxPacket || len(b) < 8 || b[0]>>6 != 2 {
		return errNotMedia
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.buf[:copy(o.buf[:], b)]
	var err error
	if muxed(b) {
		p, err = o.ctx.EncryptRTCP(o.buf[:], p, &o.rh)
	} else {
		if len(b) < 12 {
			return errNotMedia
		}
		seq := binary.BigEndian.Uint16(b[2:])
		s, err2 := o.source(binary.BigEndian.Uint32(b[8:]), seq)
		if err2 != nil {
			return err2
		}
		seq, ok := s.place(seq)
		if !ok {
			return errUsed
		}
		binary.BigEndian.PutUint16(p[2:], seq)
		p, err = o.ctx.EncryptRTP(o.buf[:], p, &o.h)
	}
	if err != nil {
		return err
	}
	return send(p)
}
