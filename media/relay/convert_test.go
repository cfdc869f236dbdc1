package relay

import (
	"bytes"
	"testing"

	"github.com/portero/portero/media/codec"
)

func change(t testing.TB, from, to uint8, in, out string) Change {
	t.Helper()
	c, ok := codec.NewConverter(in, out)
	if !ok {
		t.Fatalf("%s to %s cannot be converted", in, out)
	}
	return Change{From: from, To: to, Audio: c}
}

// TestConvert: a caller in A-law with keys as 101 and a far side in µ-law with
// keys as 96. What neither agreed on, and what is no RTP, passes as it is.
func TestConvert(t *testing.T) {
	c := newCall(t, Options{TapHeard: true})
	toCaller, toFar := c.s.Addr(CallerSide), c.s.Addr(FarSide)
	c.s.Far().Convert(
		NewConversion(change(t, 8, 0, "PCMA", "PCMU"), Change{From: 101, To: 96}),
		NewConversion(change(t, 0, 8, "PCMU", "PCMA"), Change{From: 96, To: 101}))
	law := func(b []byte, from, to string) []byte {
		b = bytes.Clone(b)
		x, _ := codec.NewConverter(from, to)
		x.Convert(b[12:])
		return b
	}
	for _, x := range []struct {
		pt, want byte
		convert  bool
	}{{8, 0, true}, {8 | 0x80, 0 | 0x80, true}, {101 | 0x80, 96 | 0x80, false}, {101, 96, false}, {13, 13, false}} {
		b := c.caller.next()
		b[1] = x.pt
		send(t, c.caller.rtp, b, toCaller)
		want := bytes.Clone(b)
		if x.convert {
			want = law(b, "PCMA", "PCMU")
		}
		want[1] = x.want
		if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, want) {
			t.Fatalf("payload type %d: the far side got %x, want %x", x.pt, got, want)
		}
		if p, _, ok := c.s.Tap().Next(make([]byte, 2048)); !ok || !bytes.Equal(p, b) {
			t.Fatalf("payload type %d: the tap has %x, the caller sent %x", x.pt, p, b)
		}
	}
	for _, x := range []struct {
		pt, want byte
		convert  bool
	}{{0, 8, true}, {96 | 0x80, 101 | 0x80, false}, {13, 13, false}} {
		b := c.far.next()
		b[1] = x.pt
		send(t, c.far.rtp, b, toFar)
		want := bytes.Clone(b)
		if x.convert {
			want = law(b, "PCMU", "PCMA")
		}
		want[1] = x.want
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(got, want) {
			t.Fatalf("payload type %d: the caller got %x, want %x", x.pt, got, want)
		}
		if p, _, ok := c.s.HeardTap().Next(make([]byte, 2048)); !ok || !bytes.Equal(p, want) {
			t.Fatalf("payload type %d: the far tap has %x, the caller got %x", x.pt, p, want)
		}
	}
	fax := []byte{0, 7, 6, 1, 2, 3}
	send(t, c.caller.rtp, fax, toCaller)
	if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, fax) {
		t.Errorf("what is no RTP came as %x", got)
	}
	c.s.Far().Convert(nil, nil)
	b := c.caller.next()
	b[1] = 8
	send(t, c.caller.rtp, b, toCaller)
	if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, b) {
		t.Errorf("without a conversion %x came as %x", b, got)
	}
}

// TestConvertAfterSwitch: another far side agreed on other things, and the
// caller's stream goes on in one piece and one codec.
func TestConvertAfterSwitch(t *testing.T) {
	c := newCall(t, Options{})
	for range 3 {
		c.far.say(c.s.Addr(FarSide))
		c.caller.hear()
	}
	f, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	bot := newPhone(t, "127.0.0.13")
	bot.ssrc = 0xB0000000
	f.SetRemote(bot.addr(), bot.rtcpAddr())
	f.Convert(NewConversion(change(t, 0, 8, "PCMU", "PCMA")), NewConversion(change(t, 8, 0, "PCMA", "PCMU")))
	if err := c.s.Switch(f); err != nil {
		t.Fatal(err)
	}
	b := bot.next()
	b[1] = 8
	send(t, bot.rtp, b, f.Addr())
	if p := c.caller.hear(); p.PayloadType != 0 || !p.Marker || p.SSRC != c.far.ssrc || bytes.Equal(p.Payload, b[12:]) {
		t.Errorf("the caller got payload type %d, marker %t, ssrc %x", p.PayloadType, p.Marker, p.SSRC)
	}
	c.caller.say(c.s.Addr(CallerSide))
	if p := bot.hear(); p.PayloadType != 8 {
		t.Errorf("the new far side got payload type %d", p.PayloadType)
	}
}

func TestNoConversion(t *testing.T) {
	if NewConversion() != nil || NewConversion(Change{From: 101, To: 101}, Change{From: 200, To: 1}) != nil {
		t.Error("nothing changes, and yet packets are looked at")
	}
	c := NewConversion(change(t, 9, 0, "G722", "PCMU"), Change{From: 101, To: 96})
	b := make([]byte, 172)
	b[0], b[1] = 0x80, 9
	if n := testing.AllocsPerRun(100, func() {
		b[1] = 9
		p, _ := codec.ParseRTP(b)
		c.apply(b, &p)
	}); n != 0 {
		t.Errorf("%g allocations per packet", n)
	}
}
