package webrtc

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v5/packetio"
	"go.uber.org/zap"
)

// Remote is what a browser's SDP says of it.
type Remote struct {
	Ufrag, Pwd   string   // a=ice-ufrag, a=ice-pwd
	Fingerprints []string // a=fingerprint, each with its hash
	Passive      bool     // a=setup:passive: Portero begins the handshake
}

// Local is what goes into the SDP for it.
type Local struct {
	Ufrag, Pwd  string
	Fingerprint string
	Candidates  []string // values of a=candidate
}

// consent is how long a browser that is heard nothing of is still sent to (RFC
// 7675 section 5.1).
const consent = 30 * time.Second

// ErrNoWay says that a browser cannot be sent to yet.
var ErrNoWay = errors.New("webrtc: ICE and DTLS are not through yet")

// Peer is one browser. It is a relay.Carrier. Its methods are safe for concurrent
// use.
type Peer struct {
	m   *Mux
	log *zap.Logger
	way atomic.Pointer[way] // where to send

	heard atomic.Int64 // when the last packet came that was the browser's, ns since 1970

	// mu is taken for each packet received, and by the call's control; two
	// sockets want it only while the browser moves from one to the other.
	mu          sync.Mutex
	now, before credentials // of ours; before is what a restart left (RFC 8445 section 9)
	remote      Remote
	nominated   bool   // a pair under now
	secured     bool   // keys were there once
	suite       string // of them
	closed      bool
	failed      error // why there is no talking to this browser
	flights     *packetio.Buffer
	association *association
	tried       int // handshakes
	in          *srtp.Context
	f           func(b []byte, src netip.AddrPort, wall int64)
	header      rtp.Header
	report      rtcp.Header

	sending sync.Mutex
	out     *srtp.Context
	sent    replays
	toSend  rtp.Header
	toTell  rtcp.Header
	packet  [maxPacket]byte
}

// way is an address of the browser's, and the socket that it has checked.
type way struct {
	socket    *socket
	addr      netip.AddrPort
	nominated bool
}

// Local is what to tell the browser now.
func (p *Peer) Local() Local {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := Local{Ufrag: p.now.ufrag, Pwd: p.now.pwd, Fingerprint: p.m.fingerprint}
	for _, c := range p.m.candidates {
		l.Candidates = append(l.Candidates, c.String())
	}
	return l
}

// Addr is the default candidate, for m= and c= lines.
func (p *Peer) Addr() netip.AddrPort { return p.m.candidates[0].addr }

// Suite is what the media is encrypted with, as SDES would call it; empty before
// there are keys.
func (p *Peer) Suite() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suite
}

// Know takes what the browser's SDP says. The same again changes nothing. Another
// fragment or password restarts ICE: the way so far serves until the browser has
// nominated a new one. Another certificate ends the encryption so far.
func (p *Peer) Know(r Remote) error {
	if _, of := best(r.Fingerprints); len(of) == 0 {
		return fmt.Errorf("webrtc: no fingerprint with a hash that proves anything among %q; allowed: sha-256 and longer", r.Fingerprints)
	}
	if len(r.Ufrag) < 4 || len(r.Pwd) < 22 || len(r.Ufrag) > 256 || len(r.Pwd) > 256 { // RFC 8839 section 5.4
		return errors.New("webrtc: ice-ufrag needs 4 to 256 characters, ice-pwd 22 to 256")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	was := p.remote
	known := was.Ufrag != ""
	if known && (r.Ufrag != was.Ufrag || r.Pwd != was.Pwd) {
		p.restart()
	}
	if !known {
		p.remote = r
		p.begin()
		return nil
	}
	p.remote.Ufrag, p.remote.Pwd = r.Ufrag, r.Pwd
	if slices.Equal(r.Fingerprints, was.Fingerprints) {
		return nil
	}
	p.remote = r
	p.unkey()
	p.flights, p.association, p.tried = nil, nil, 0
	p.begin()
	return nil
}

// restart makes new credentials; p.mu is held. Those of a restart that came to
// nothing go, those that a pair was nominated under stay.
func (p *Peer) restart() {
	if p.nominated || p.before == (credentials{}) {
		p.m.forget(p.before.ufrag)
		p.before = p.now
	} else {
		p.m.forget(p.now.ufrag)
	}
	p.now, p.nominated = newCredentials(), false
	p.m.register(p.now.ufrag, p)
}

// password is what a check with these fragments must be signed with. The
// browser's own fragment is not known as long as it has not answered.
func (p *Peer) password(ours, theirs string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return "", false
	case ours == p.before.ufrag:
		return p.before.pwd, true
	case ours == p.now.ufrag && (p.remote.Ufrag == "" || p.remote.Ufrag == theirs):
		return p.now.pwd, true
	}
	return "", false
}

// checked takes an address that has proved itself; false if the peer is closed. A
// nominated one is sent to from now on, any other until there is a nominated one.
func (p *Peer) checked(s *socket, src netip.AddrPort, ours string, nominate bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.heard.Store(time.Now().UnixNano())
	w := p.way.Load()
	current := ours == p.now.ufrag
	if nominate && current && !p.nominated {
		p.nominated = true
		if p.before != (credentials{}) {
			p.m.forget(p.before.ufrag)
			p.before = credentials{}
		}
	}
	if w == nil || !w.nominated && !nominate || nominate && (current || !p.nominated) {
		if w == nil || w.socket != s || w.addr != src || w.nominated != nominate {
			p.way.Store(&way{socket: s, addr: src, nominated: nominate})
		}
		if w == nil {
			p.log.Debug("a way to the browser", zap.Stringer("address", src), zap.Stringer("local", s.addr))
			p.begin()
		}
	}
	return true
}

// handshaken takes a packet of DTLS.
func (p *Peer) handshaken(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.failed != nil {
		return
	}
	p.heard.Store(time.Now().UnixNano())
	if p.flights == nil {
		p.flights = packetio.NewBuffer()
		p.flights.SetLimitCount(32)
	}
	_, _ = p.flights.Write(b, nil)
	p.begin()
}

// begin shakes hands as soon as it can be done; p.mu is held.
func (p *Peer) begin() {
	switch {
	case p.closed || p.failed != nil || p.association != nil || p.remote.Ufrag == "" || p.way.Load() == nil:
		return
	case p.flights == nil && !p.remote.Passive:
		return // the browser begins
	case p.tried == maxHandshakes:
		return
	}
	if p.flights == nil {
		p.flights = packetio.NewBuffer()
		p.flights.SetLimitCount(32)
	}
	p.associate()
}

// keyed takes the keys of an association.
func (p *Peer) keyed(a *association, k *srtp.Config, suite string) error {
	in, err := srtp.CreateContext(k.Keys.RemoteMasterKey, k.Keys.RemoteMasterSalt, k.Profile,
		srtp.SRTPReplayProtection(1024), srtp.SRTCPReplayProtection(128))
	if err != nil {
		return fmt.Errorf("SRTP: %w", err)
	}
	out, err := srtp.CreateContext(k.Keys.LocalMasterKey, k.Keys.LocalMasterSalt, k.Profile)
	if err != nil {
		return fmt.Errorf("SRTP: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.association != a {
		return ErrClosed
	}
	if !p.secured {
		p.secured = true
		p.m.secured.Add(1)
	}
	p.in, p.suite = in, suite
	p.sending.Lock()
	p.out, p.sent = out, replays{}
	p.sending.Unlock()
	return nil
}

// unkey ends the encryption so far; p.mu is held.
func (p *Peer) unkey() {
	if p.association != nil {
		p.association.cancel()
		_ = p.association.in.Close()
	}
	p.in = nil
	p.sending.Lock()
	p.out = nil
	p.sending.Unlock()
}

// parted takes the end of an association.
func (p *Peer) parted(a *association, err error) {
	_ = a.in.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.association != a {
		return
	}
	p.association, p.flights = nil, nil
	if p.in == nil {
		p.m.failed.Add(1)
	}
	if errors.Is(err, errLeft) || errors.Is(err, ErrFingerprint) || p.tried == maxHandshakes {
		p.failed = err
	}
	p.log.Info("the encryption of a browser's media has ended", zap.Error(err))
}

// media takes a packet of SRTP or SRTCP; plain is room for what it holds.
func (p *Peer) media(b, plain []byte, src netip.AddrPort, wall int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.in == nil {
		return
	}
	var err error
	if isRTCP(b) {
		plain, err = p.in.DecryptRTCP(plain, b, &p.report)
	} else {
		plain, err = p.in.DecryptRTP(plain, b, &p.header)
	}
	if err != nil {
		return // not the browser's, or a repeat
	}
	p.heard.Store(time.Now().UnixNano())
	if p.f != nil {
		p.f(plain, src, wall)
	}
}

// isRTCP tells RTCP from RTP on one port (RFC 5761 section 4).
func isRTCP(b []byte) bool { return len(b) >= 2 && b[1] >= 192 && b[1] <= 223 }

// Watch implements relay.Carrier.
func (p *Peer) Watch(f func(b []byte, src netip.AddrPort, wall int64)) {
	p.mu.Lock()
	p.f = f
	p.mu.Unlock()
}

// Send implements relay.Carrier. The error is ErrNoWay until ICE and DTLS are
// through.
func (p *Peer) Send(b []byte) error {
	w := p.way.Load()
	p.sending.Lock()
	defer p.sending.Unlock()
	if w == nil || p.out == nil {
		return ErrNoWay
	}
	var err error
	enc := p.packet[:0]
	if isRTCP(b) {
		enc, err = p.out.EncryptRTCP(enc, b, &p.toTell)
	} else {
		if !p.sent.first(b) {
			return errRepeated
		}
		enc, err = p.out.EncryptRTP(enc, b, &p.toSend)
	}
	if err != nil {
		return err
	}
	_, err = w.socket.conn.WriteToUDPAddrPort(enc, w.addr)
	return err
}

// Lost says why there is no talking to the browser any more, nil as long as there
// is: it has left, it is not who its SDP says, or nothing was heard of it for 30 s
// (RFC 7675), counted from since at the earliest.
func (p *Peer) Lost(since, now time.Time) error {
	p.mu.Lock()
	failed := p.failed
	p.mu.Unlock()
	if failed != nil {
		return failed
	}
	last := time.Unix(0, p.heard.Load())
	if since.After(last) {
		last = since
	}
	silent := now.Sub(last)
	switch {
	case silent <= consent:
		return nil
	case p.heard.Load() == 0:
		return fmt.Errorf("nothing ever came from the browser by UDP: can it reach %s?", p.Addr())
	}
	return fmt.Errorf("nothing was heard of the browser for %s", silent.Round(time.Second))
}

// Close implements relay.Carrier.
func (p *Peer) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.unkey()
	now, before := p.now.ufrag, p.before.ufrag
	p.mu.Unlock()
	p.m.forget(now)
	p.m.forget(before)
	for _, s := range p.m.sockets {
		s.leave(p)
	}
}
