package webrtc

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	pion "github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is how long things may take on a busy machine.
const soon = 20 * time.Second

func newMux(t testing.TB, listen ...string) *Mux {
	t.Helper()
	if len(listen) == 0 {
		listen = []string{"127.0.83.1:0"}
	}
	m, err := New(Config{Listen: listen}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// client is a WebRTC client of another make: pion's.
type client struct {
	t     testing.TB
	pc    *pion.PeerConnection
	out   *pion.TrackLocalStaticRTP
	heard chan []byte // raw RTP
	state chan pion.PeerConnectionState
}

func newClient(t testing.TB, mime string) *client {
	t.Helper()
	var media pion.MediaEngine
	for _, c := range []pion.RTPCodecParameters{
		{RTPCodecCapability: pion.RTPCodecCapability{MimeType: pion.MimeTypeOpus, ClockRate: 48000, Channels: 2}, PayloadType: 111},
		{RTPCodecCapability: pion.RTPCodecCapability{MimeType: pion.MimeTypePCMU, ClockRate: 8000}, PayloadType: 0},
		{RTPCodecCapability: pion.RTPCodecCapability{MimeType: pion.MimeTypePCMA, ClockRate: 8000}, PayloadType: 8},
		{RTPCodecCapability: pion.RTPCodecCapability{MimeType: "audio/telephone-event", ClockRate: 8000}, PayloadType: 126},
	} {
		if err := media.RegisterCodec(c, pion.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	var s pion.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeUDP4})
	s.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetHandleUndeclaredSSRCWithoutAnswer(true) // pion wants the SSRC or a mid in each packet
	api := pion.NewAPI(pion.WithMediaEngine(&media), pion.WithSettingEngine(s))
	pc, err := api.NewPeerConnection(pion.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, pc: pc, heard: make(chan []byte, 64), state: make(chan pion.PeerConnectionState, 16)}
	t.Cleanup(c.close)
	pc.OnConnectionStateChange(func(s pion.PeerConnectionState) { c.state <- s })
	pc.OnTrack(func(track *pion.TrackRemote, _ *pion.RTPReceiver) {
		for {
			b := make([]byte, 2048)
			n, _, err := track.Read(b)
			if err != nil {
				return
			}
			select {
			case c.heard <- b[:n]:
			default:
			}
		}
	})
	if c.out, err = pion.NewTrackLocalStaticRTP(pion.RTPCodecCapability{MimeType: mime, ClockRate: 8000}, "mic", "page"); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(c.out); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) close() { _ = c.pc.Close() }

// offer is the client's, and what it says to Portero.
func (c *client) offer(restart bool) Remote {
	c.t.Helper()
	o, err := c.pc.CreateOffer(&pion.OfferOptions{ICERestart: restart})
	if err != nil {
		c.t.Fatal(err)
	}
	done := pion.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(o); err != nil {
		c.t.Fatal(err)
	}
	<-done
	return remoteIn(c.pc.LocalDescription().SDP)
}

func remoteIn(sdp string) Remote {
	r := Remote{Passive: strings.Contains(sdp, "a=setup:passive")}
	for _, line := range strings.Split(sdp, "\r\n") {
		name, v, _ := strings.Cut(line, ":")
		switch name {
		case "a=ice-ufrag":
			r.Ufrag = v
		case "a=ice-pwd":
			r.Pwd = v
		case "a=fingerprint":
			r.Fingerprints = append(r.Fingerprints, v)
		}
	}
	return r
}

// description is a peer's SDP for G.711.
func description(p *Peer, setup string) string {
	l := p.Local()
	a := p.Addr()
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- 1 %d IN IP4 %s\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0\r\n", time.Now().UnixNano(), a.Addr())
	fmt.Fprintf(&b, "m=audio %d UDP/TLS/RTP/SAVPF 0 8 126\r\nc=IN IP4 %s\r\na=mid:0\r\na=rtcp-mux\r\n", a.Port(), a.Addr())
	fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\na=setup:%s\r\n", l.Ufrag, l.Pwd, l.Fingerprint, setup)
	for _, c := range l.Candidates {
		fmt.Fprintf(&b, "a=candidate:%s\r\n", c)
	}
	b.WriteString("a=end-of-candidates\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:126 telephone-event/8000\r\na=sendrecv\r\n")
	return b.String()
}

// answer gives the client Portero's answer.
func (c *client) answer(p *Peer) {
	c.t.Helper()
	if err := c.pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: description(p, "passive")}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) connected() {
	c.t.Helper()
	deadline := time.After(soon)
	for {
		select {
		case s := <-c.state:
			if s == pion.PeerConnectionStateConnected {
				return
			}
		case <-deadline:
			c.t.Fatalf("never connected: %s", c.pc.ConnectionState())
		}
	}
}

// called connects a client to a new peer.
func called(t testing.TB, m *Mux) (*client, *Peer) {
	t.Helper()
	p, err := m.Open(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c := newClient(t, pion.MimeTypePCMU)
	if err := p.Know(c.offer(false)); err != nil {
		t.Fatal(err)
	}
	c.answer(p)
	c.connected()
	keyed(t, p)
	return c, p
}

// keyed waits for the keys, which the browser has a moment before Portero.
func keyed(t testing.TB, p *Peer) {
	t.Helper()
	eventually(t, "there are keys", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.in != nil
	})
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
