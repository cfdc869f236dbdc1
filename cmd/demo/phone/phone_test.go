package phone

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(t *testing.T) (a, b *Phone) {
	t.Helper()
	for _, p := range []**Phone{&a, &b} {
		var err error
		*p, err = Open(netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*p).Close() })
	}
	return a, b
}

func tone(seconds float64) []int16 {
	pcm := make([]int16, int(seconds*8000))
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/8000))
	}
	return pcm
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestCall(t *testing.T) {
	a, b := pair(t)
	ctx := within(t)
	answered := make(chan *Call, 1)
	b.OnCall(func(in *Incoming) {
		if in.Header("X-Test") != "yes" {
			t.Errorf("X-Test is %q", in.Header("X-Test"))
		}
		in.Ring()
		c, err := in.Answer(ctx)
		if err != nil {
			t.Error(err)
		}
		answered <- c
	})
	out, err := a.Dial(ctx, Invite{To: "sip:agents@" + b.Addr().String(), From: "+34600000001", Headers: []string{"X-Test: yes"}})
	if err != nil {
		t.Fatal(err)
	}
	in := <-answered
	in.Line().Background(tone(1))
	if err := out.Line().Say(ctx, tone(0.5)); err != nil {
		t.Fatal(err)
	}
	if err := out.Line().Press(ctx, "12#", 80*time.Millisecond, 60*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	h := in.Line().Heard()
	if h.Digits != "12#" {
		t.Errorf("heard the keys %q", h.Digits)
	}
	if h.Speech < 400*time.Millisecond || h.Speech > 600*time.Millisecond {
		t.Errorf("heard %v of speech, want 0.5 s", h.Speech)
	}
	if h := out.Line().Heard(); h.Speech < 500*time.Millisecond {
		t.Errorf("the caller heard %v of the background", h.Speech)
	}
	if err := out.Reinvite(ctx, "sendonly"); err != nil {
		t.Errorf("hold: %v", err)
	}
	if err := in.Reinvite(ctx, "sendrecv"); err != nil {
		t.Errorf("re-INVITE of the answerer: %v", err)
	}
	if err := in.Hangup(); err != nil {
		t.Error(err)
	}
	<-out.Done()
	if out.EndedBy() != ByFar || in.EndedBy() != ByUs {
		t.Errorf("ended by %s and %s", out.EndedBy(), in.EndedBy())
	}
}

func TestRefused(t *testing.T) {
	a, b := pair(t)
	b.OnCall(func(in *Incoming) { in.Refuse(486, "Busy Here") })
	_, err := a.Dial(within(t), Invite{To: "sip:x@" + b.Addr().String(), From: "1"})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != 486 {
		t.Errorf("got %v", err)
	}
}

func TestGivenUp(t *testing.T) {
	a, b := pair(t)
	rings := make(chan struct{})
	b.OnCall(func(in *Incoming) { in.Ring(); close(rings) })
	ctx, cancel := context.WithCancel(within(t))
	go func() { <-rings; cancel() }()
	_, err := a.Dial(ctx, Invite{To: "sip:x@" + b.Addr().String(), From: "1"})
	var refused *Refused
	if !errors.As(err, &refused) || refused.Code != 487 {
		t.Errorf("got %v", err)
	}
}

func TestParseSDP(t *testing.T) {
	for name, c := range map[string]struct {
		sdp  string
		want string // to, law, events; or empty for an error
	}{
		"plain":          {"v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n", "192.0.2.1:4000 PCMU 101"},
		"A-law first":    {"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0\r\n", "192.0.2.1:4000 PCMA 0"},
		"media address":  {"c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.2\n", "192.0.2.2:4000 PCMU 0"},
		"video first":    {"c=IN IP4 192.0.2.1\nm=video 9 RTP/AVP 99\nc=IN IP4 192.0.2.3\nm=audio 4000 RTP/AVP 0", "192.0.2.1:4000 PCMU 0"},
		"IPv6":           {"c=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 0\n", "[2001:db8::1]:4000 PCMU 0"},
		"no audio":       {"c=IN IP4 192.0.2.1\nm=video 9 RTP/AVP 99\n", ""},
		"another codec":  {"c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 18\n", ""},
		"refused stream": {"c=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\n", ""},
		"nothing":        {"", ""},
	} {
		to, law, events, err := remoteMedia([]byte(c.sdp))
		got := ""
		if err == nil {
			got = to.String() + " " + law.String() + " " + map[uint8]string{0: "0", 101: "101"}[events]
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}
