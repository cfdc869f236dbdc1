package relay

import (
	"bytes"
	"testing"
	"time"
)

func all(t *Tap) (out [][]byte) {
	buf := make([]byte, maxPacket)
	for p, _, ok := t.Next(buf); ok; p, _, ok = t.Next(buf) {
		out = append(out, bytes.Clone(p))
	}
	return out
}

// Copies have what the caller says and what the caller is sent, Portero's own
// voice included, and take nothing from the analysis.
func TestCopiesHearBothWays(t *testing.T) {
	c := newCall(t, Options{TapHeard: true})
	speak := func() (said, heard []byte) {
		said = c.caller.say(c.s.Addr(CallerSide))
		c.far.hear()
		heard = c.far.say(c.s.Addr(FarSide))
		c.caller.hear()
		return said, heard
	}
	speak()
	copies, others := c.s.Copy(0), c.s.Copy(0)
	said, heard := speak()
	sp, err := c.s.Play(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := sp.Send(bytes.Repeat([]byte{0x7f}, 160), 0, 160); err != nil {
		t.Fatal(err)
	}
	own, _ := receive(t, c.caller.rtp, soon)
	_ = sp.Close()
	copies.Stop()
	copies.Stop() // twice is once
	speak()
	others.Stop()
	speak()
	if a, b := len(all(others.Caller)), len(all(others.Heard)); a != 2 || b != 3 {
		t.Errorf("the copies that went on got %d and %d packets, want 2 and 3", a, b)
	}
	if got := all(copies.Caller); len(got) != 1 || !bytes.Equal(got[0], said) {
		t.Errorf("copies of the caller: %x, want %x", got, said)
	}
	if got := all(copies.Heard); len(got) != 2 || !bytes.Equal(got[0], heard) || !bytes.Equal(got[1], own) {
		t.Errorf("copies of what the caller heard: %x, want %x and %x", got, heard, own)
	}
	if a, b := len(all(c.s.Tap())), len(all(c.s.HeardTap())); a != 4 || b != 5 {
		t.Errorf("the analysis got %d and %d packets, want 4 and 5", a, b)
	}
}

// A session that is alone takes one pair of ports, hears its caller, and sends
// nothing back.
func TestAloneListensOnly(t *testing.T) {
	s := open(t, config(), Options{Alone: true})
	if n := s.relay.Load().Pairs; n != 1 {
		t.Errorf("%d pairs of ports are held, want 1", n)
	}
	caller := newPhone(t, "127.0.0.11")
	s.SetRemote(CallerSide, caller.addr(), caller.rtcpAddr())
	want := caller.say(s.Addr(CallerSide))
	var got [][]byte
	eventually(t, "the packet is in the tap", func() bool {
		got = append(got, all(s.Tap())...)
		return len(got) == 1
	})
	if !bytes.Equal(got[0], want) {
		t.Errorf("%x, want %x", got[0], want)
	}
	if b, src := receive(t, caller.rtp, 50*time.Millisecond); b != nil {
		t.Errorf("%x came back from %s", b, src)
	}
	if _, err := s.Play(0); err != nil {
		t.Error(err)
	}
	s.Close()
	if st := s.Stats(); st.Caller.Packets != 1 || st.Far.Packets != 0 {
		t.Errorf("figures %+v", st)
	}
}
