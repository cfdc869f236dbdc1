package webrtc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v5/packetio"
	"go.uber.org/zap"
)

const (
	// handshakeWithin is how long a handshake may take. It begins when ICE has a
	// way and the browser speaks first.
	handshakeWithin = 30 * time.Second
	// maxHandshakes is how often a browser may begin one.
	maxHandshakes = 8
	// mtu of the handshake's flights, bytes: what every path takes (RFC 8200).
	mtu = 1200
)

// Why a browser cannot be talked to.
var (
	ErrFingerprint = errors.New("the browser's certificate is not the one that its SDP names")
	errProfile     = errors.New("the browser knows no SRTP profile that is known here")
)

// hashes that a=fingerprint may name (RFC 8122 section 5), the best first. SHA-1
// and MD5 are no proof of anything any more.
var hashes = []struct {
	name string
	new  func() hash.Hash
}{{"sha-512", sha512.New}, {"sha-384", sha512.New384}, {"sha-256", sha256.New}, {"sha-224", sha256.New224}}

// fingerprintOf is a certificate's, as a=fingerprint writes it.
func fingerprintOf(name string, der []byte) (string, error) {
	for _, h := range hashes {
		if h.name == name {
			sum := h.new()
			sum.Write(der)
			digest := sum.Sum(nil)
			parts := make([]string, len(digest))
			for i, b := range digest {
				parts[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
			}
			return name + " " + strings.Join(parts, ":"), nil
		}
	}
	return "", fmt.Errorf("webrtc: hash %q is not known", name)
}

// best are the fingerprints of the best hash among those given, which alone count
// (RFC 8122 section 5: a receiver picks one hash function).
func best(fingerprints []string) (name string, of []string) {
	for _, h := range hashes {
		for _, f := range fingerprints {
			if n, v, ok := strings.Cut(strings.TrimSpace(f), " "); ok && strings.EqualFold(n, h.name) {
				of = append(of, h.name+" "+strings.ToUpper(strings.TrimSpace(v)))
			}
		}
		if len(of) > 0 {
			return h.name, of
		}
	}
	return "", nil
}

// verify says whether a certificate has one of the fingerprints.
func verify(der []byte, fingerprints []string) error {
	name, of := best(fingerprints)
	got, err := fingerprintOf(name, der)
	if err != nil {
		return err
	}
	for _, f := range of {
		if subtle.ConstantTimeCompare([]byte(f), []byte(got)) == 1 {
			return nil
		}
	}
	return ErrFingerprint
}

// profiles of SRTP (RFC 5764 section 4.1.2, RFC 7714 section 14.2), the best first.
// GCM costs half of what HMAC-SHA1 does.
var profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}

// quiet keeps pion's own log lines to itself: what they say comes as an error too.
var quiet = func() *logging.DefaultLoggerFactory {
	f := logging.NewDefaultLoggerFactory()
	f.Writer = io.Discard
	return f
}()

// association is one DTLS association with a browser (RFC 5763).
type association struct {
	p      *Peer
	in     *packetio.Buffer // what the browser sent
	cancel context.CancelFunc
}

// associate begins a handshake with the holder of a certificate; p.mu is held.
func (p *Peer) associate() {
	ctx, cancel := context.WithCancel(context.Background())
	a := &association{p: p, in: p.flights, cancel: cancel}
	p.association, p.tried = a, p.tried+1
	remote := p.remote
	p.m.wg.Go(func() {
		defer cancel()
		err := a.run(ctx, remote)
		p.parted(a, err)
	})
}

// run shakes hands, hands the keys over, and waits for the end: a close_notify of
// the browser, or the peer's own.
func (a *association) run(ctx context.Context, remote Remote) error {
	common := []dtls.Option{
		dtls.WithCertificates(a.p.m.certificate),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithInsecureSkipVerify(true), // there are no authorities: the fingerprint is checked instead
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return ErrFingerprint
			}
			return verify(raw[0], remote.Fingerprints)
		}),
		dtls.WithMTU(mtu),
		dtls.WithLoggerFactory(quiet),
	}
	var conn *dtls.Conn
	var err error
	if remote.Passive {
		var o []dtls.ClientOption
		for _, c := range common {
			o = append(o, c)
		}
		conn, err = dtls.ClientWithOptions(a, a.RemoteAddr(), o...)
	} else {
		var o []dtls.ServerOption
		for _, c := range common {
			o = append(o, c)
		}
		// An address that has passed a check is nobody else's: no cookie is needed.
		o = append(o, dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true))
		conn, err = dtls.ServerWithOptions(a, a.RemoteAddr(), o...)
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	shaking, done := context.WithTimeout(ctx, handshakeWithin)
	defer done()
	if err := conn.HandshakeContext(shaking); err != nil {
		if ctx.Err() != nil {
			return ErrClosed
		}
		return fmt.Errorf("DTLS handshake: %w", err)
	}
	profile, ok := conn.SelectedSRTPProtectionProfile()
	state, had := conn.ConnectionState()
	if !ok || !had {
		return errProfile
	}
	keys := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := keys.ExtractSessionKeysFromDTLS(&state, remote.Passive); err != nil {
		return fmt.Errorf("SRTP keys: %w", err)
	}
	if err := a.p.keyed(a, &keys, profileName(profile)); err != nil {
		return err
	}
	a.p.log.Debug("media of a browser is encrypted", zap.String("profile", profileName(profile)))
	buf := make([]byte, 256)
	for { // nobody sends anything here but an end
		if _, err := conn.Read(buf); err != nil {
			if ctx.Err() != nil {
				return ErrClosed
			}
			return errLeft
		}
	}
}

var errLeft = errors.New("the browser has closed its connection")

// profileName is a profile's suite, as SDES calls it (RFC 4568, RFC 7714).
func profileName(p dtls.SRTPProtectionProfile) string {
	switch p {
	case dtls.SRTP_AEAD_AES_128_GCM:
		return "AEAD_AES_128_GCM"
	case dtls.SRTP_AEAD_AES_256_GCM:
		return "AEAD_AES_256_GCM"
	}
	return "AES_CM_128_HMAC_SHA1_80"
}

// The association is the net.PacketConn that DTLS reads and writes.

// ReadFrom implements net.PacketConn.
func (a *association) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := a.in.Read(b, nil)
	return n, a.RemoteAddr(), err
}

// WriteTo implements net.PacketConn: wherever ICE leads.
func (a *association) WriteTo(b []byte, _ net.Addr) (int, error) {
	way := a.p.way.Load()
	if way == nil {
		return len(b), nil // lost, as on a network; it is sent again
	}
	return way.socket.conn.WriteToUDPAddrPort(b, way.addr)
}

// RemoteAddr is one name for the browser, wherever ICE leads.
func (*association) RemoteAddr() net.Addr { return browser }

// LocalAddr implements net.PacketConn.
func (*association) LocalAddr() net.Addr { return browser }

var browser = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))

// Close implements net.PacketConn.
func (a *association) Close() error { return nil }

// SetDeadline implements net.PacketConn.
func (a *association) SetDeadline(t time.Time) error { return a.in.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (a *association) SetReadDeadline(t time.Time) error { return a.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn.
func (*association) SetWriteDeadline(time.Time) error { return nil }
