package door

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/sdp"
)

const (
	callersKey = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	farKey     = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj"
)

// encryptedCall is a call whose two legs have media ports and nothing else.
func encryptedCall(t *testing.T, caller, far string) *call {
	t.Helper()
	cfg := relay.Defaults()
	cfg.CallerAddress = "127.0.82.1"
	r, err := relay.New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	s, err := r.Open("a@b", relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{d: &Door{}, session: s}
	c.caller = &leg{c: c, role: "caller", srtp: caller, log: zap.NewNop(), session: 1, version: 1}
	c.far = &leg{c: c, role: "far", srtp: far, far: s.Far(), log: zap.NewNop(), session: 2, version: 1}
	return c
}

// from is a description of a leg's peer.
func (l *leg) from(t *testing.T, media string) *sdp.Description {
	t.Helper()
	d, err := sdp.Parse([]byte("v=0\r\no=- 1 1 IN IP4 127.0.82.9\r\ns=-\r\nc=IN IP4 127.0.82.9\r\nt=0 0\r\n" + media))
	if err == nil {
		d, err = l.undressed(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var inline = regexp.MustCompile(`inline:(\S+)`)

func keysIn(b []byte) (keys []string) {
	for _, m := range inline.FindAllSubmatch(b, -1) {
		keys = append(keys, string(m[1]))
	}
	return keys
}

// No key of one leg is ever seen on the other, whoever encrypts, and each leg's own
// stays what it is: a description without a change has no new version.
func TestKeysStayOnTheirLeg(t *testing.T) {
	c := encryptedCall(t, srtpOptional, srtpRequired)
	offer := c.caller.from(t, "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+callersKey+"\r\n")
	c.caller.settleMedia(offer)
	toFar := c.far.rewrite(offer)
	answer := c.far.from(t, "m=audio 4002 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+farKey+"\r\n")
	c.far.settleMedia(answer)
	toCaller := c.caller.rewriteAnswer(answer, offer)
	far, caller := keysIn(toFar), keysIn(toCaller)
	if len(far) != offeredSuites || len(caller) != 1 {
		t.Fatalf("keys %q and %q", far, caller)
	}
	all := append(slices.Concat(far, caller), callersKey, farKey)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != offeredSuites+1+2 {
		t.Errorf("a key is there twice: %q", all)
	}
	if again := c.caller.repeat(nil); string(again) != string(toCaller) {
		t.Errorf("told again:\n%s\nbefore:\n%s", again, toCaller)
	}
	if d := c.caller.inRefusal(body{contentType: sdpType, data: toFar, end: len(toFar)}); len(keysIn(d)) != 0 {
		t.Errorf("a key in a refusal:\n%s", d)
	}
	if c.caller.sent == "" || strings.Contains(string(c.caller.ours.Bytes()), "crypto") {
		t.Error("the door's own view of a leg is not plain")
	}
	// A re-INVITE that brings a new key and nothing else is no mere refresh.
	same := c.caller.from(t, "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+callersKey+"\r\n")
	other := c.caller.from(t, "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+farKey+"\r\n")
	if !sameSession(offer, same) || sameSession(offer, other) {
		t.Error("a new key is not seen")
	}
}

// The suites of descriptions are those of the relay.
func TestSuitesAreRelayed(t *testing.T) {
	c := encryptedCall(t, srtpOptional, srtpOptional)
	if got := slices.Sorted(slices.Values(srtpSuites)); !slices.Equal(got, sdp.Suites()) {
		t.Errorf("by default %q, known are %q", got, sdp.Suites())
	}
	for _, s := range sdp.Suites() {
		if err := c.session.Secure(relay.FarSide, &relay.Keys{Ours: c.far.key(s), Theirs: c.caller.key(s)}); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// The operator is told where keys travel in the clear.
func TestNotes(t *testing.T) {
	c := Defaults()
	c.Trunks = []Trunk{{Name: "a", SRTP: srtpRequired}, {Name: "b"}, {Name: "c", SRTP: srtpOff}}
	c.Destinations = map[string]Destination{
		"agents": {URI: "sip:192.0.2.1", SRTP: srtpOptional},
		"bots":   {URI: "sip:192.0.2.2;transport=tls", SRTP: srtpRequired},
		"others": {URI: "sip:192.0.2.3"},
	}
	notes := c.Notes()
	if len(notes) != 2 || !strings.HasPrefix(notes[0], "trunk a: srtp is required, and its keys are seen") || !strings.HasPrefix(notes[1], "destination agents: ") {
		t.Errorf("notes: %q", notes)
	}
	c.Listen = append(c.Listen, "tls:127.0.0.1:5061")
	if notes := c.Notes(); len(notes) != 1 {
		t.Errorf("with a TLS listener: %q", notes)
	}
}

// Whatever a peer describes, no key of its reaches the other side.
func FuzzKeysStay(f *testing.F) {
	line := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + callersKey + "\r\n"
	f.Add("m=audio 4000 RTP/SAVP 0\r\n" + line)
	f.Add("m=audio 4000 RTP/AVP 0\r\n" + line + "m=audio 4002 RTP/SAVPF 8\r\n" + line)
	f.Add("m=image 4000 udptl t38\r\nm=audio 0 RTP/SAVP 0\r\n" + line)
	f.Add("a=crypto:1 x inline:" + callersKey + "\r\nm=audio 1 RTP/SAVP 0\r\na=Crypto : 2 x inline:" + callersKey)
	f.Fuzz(func(t *testing.T, media string) {
		for _, mode := range []string{srtpOff, srtpOptional, srtpRequired} {
			c := &call{d: &Door{}}
			c.caller = &leg{c: c, srtp: mode, log: zap.NewNop(), session: 1, version: 1}
			d, err := sdp.Parse([]byte("v=0\r\ns=-\r\nc=IN IP4 127.0.82.9\r\nt=0 0\r\n" + media))
			if err != nil {
				return
			}
			if d, err = c.caller.undressed(d); err != nil {
				continue
			}
			far := &leg{c: c, srtp: srtpOff, session: 2, version: 1}
			at := netip.MustParseAddrPort("127.0.82.1:20000")
			if out := far.rewriteAt(d, at, nil); keyLine.Match(out) {
				t.Errorf("%s: a key of the caller's goes on:\n%s", mode, out)
			}
			c.caller.rewriteAt(d, at, d)
		}
	})
}

// keyLine is a line that a reader takes for a key.
var keyLine = regexp.MustCompile(`(?m)^a=\s*(?i:crypto)\s*:`)
