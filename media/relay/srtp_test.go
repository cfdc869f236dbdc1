package relay

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// secret is a key for a suite, different for each seed.
func secret(suite string, seed byte) Key {
	k := Key{Suite: suite}
	for i := range suites[suite].key + suites[suite].salt {
		k.Master = append(k.Master, seed+byte(i)*3)
	}
	return k
}

func secrets(suite string, seed byte) Keys {
	return Keys{Ours: secret(suite, seed), Theirs: secret(suite, seed+100)}
}

// cipher encrypts and decrypts as the other end of a Keys does.
type cipher struct {
	t       testing.TB
	out, in *srtp.Context
}

func newCipher(t testing.TB, k Keys) *cipher {
	t.Helper()
	c := &cipher{t: t}
	var errs [2]error
	c.out, errs[0] = k.Theirs.context()
	c.in, errs[1] = k.Ours.context()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cipher) seal(b []byte) []byte {
	c.t.Helper()
	var out []byte
	var err error
	if muxed(b) {
		out, err = c.out.EncryptRTCP(nil, b, nil)
	} else {
		out, err = c.out.EncryptRTP(nil, b, nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *cipher) open(b []byte) []byte {
	c.t.Helper()
	var out []byte
	var err error
	if muxed(b) {
		out, err = c.in.DecryptRTCP(nil, b, nil)
	} else {
		out, err = c.in.DecryptRTP(nil, b, nil)
	}
	if err != nil {
		c.t.Fatalf("%x: %v", b, err)
	}
	return out
}

// secure gives a side keys and returns what its phone encrypts with.
func (c *call) secure(t testing.TB, side Side, k Keys) *cipher {
	t.Helper()
	if err := c.s.Secure(side, &k); err != nil {
		t.Fatal(err)
	}
	return newCipher(t, k)
}

// up sends a plain packet, encrypted, to a side.
func (c *call) up(t testing.TB, with *cipher, plain []byte) {
	t.Helper()
	send(t, c.caller.rtp, with.seal(plain), c.s.Addr(CallerSide))
}

// The vector that libsrtp is tested with; its keys are derived from the master key
// of RFC 3711 appendix B.3.
func TestSRTPVector(t *testing.T) {
	master, _ := hex.DecodeString("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
	plain, _ := hex.DecodeString("800f1234decafbadcafebabeabababababababababababababababab")
	want, _ := hex.DecodeString("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
	c := newCall(t, Options{})
	k := secrets("AES_CM_128_HMAC_SHA1_80", 1)
	k.Ours.Master = master
	c.secure(t, CallerSide, k)
	send(t, c.far.rtp, plain, c.s.Addr(FarSide))
	if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(got, want) {
		t.Errorf("sent %x\nwant %x", got, want)
	}
	k.Ours, k.Theirs = k.Theirs, k.Ours
	c.secure(t, CallerSide, k)
	send(t, c.caller.rtp, want, c.s.Addr(CallerSide))
	if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(got, plain) {
		t.Errorf("read %x\nwant %x", got, plain)
	}
}

// Every suite on the caller's side, another on the far side: each packet is
// decrypted, heard, and encrypted anew, RTCP too.
func TestSRTPSuites(t *testing.T) {
	names := slices.Sorted(maps.Keys(suites))
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			c := newCall(t, Options{})
			near := secrets(name, 1)
			near.Theirs.MKI = []byte{0, 0, 0, 1}
			caller := c.secure(t, CallerSide, near)
			far := c.secure(t, FarSide, secrets(names[(i+1)%len(names)], 50))
			buf := make([]byte, maxPacket)
			for range 5 {
				up := c.caller.next()
				up[0], up[1] = 0x91, 0x80|101 // header extension, CSRC
				copy(up[16:], []byte{0xBE, 0xDE, 0, 2})
				c.up(t, caller, up)
				if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(far.open(got), up) {
					t.Fatal("the far side got something else")
				}
				if got, _, ok := c.s.Tap().Next(buf); !ok || !bytes.Equal(got, up) {
					t.Fatalf("heard %x", got)
				}
				down := c.far.next()
				send(t, c.far.rtp, far.seal(down), c.s.Addr(FarSide))
				if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(caller.open(got), down) {
					t.Fatal("the caller got something else")
				}
			}
			report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
			send(t, c.caller.rtcp, caller.seal(report), beside(c.s.Addr(CallerSide)))
			if got, _ := receive(t, c.far.rtcp, soon); !bytes.Equal(far.open(got), report) {
				t.Error("RTCP to the far side")
			}
			send(t, c.far.rtcp, far.seal(report), beside(c.s.Addr(FarSide)))
			if got, _ := receive(t, c.caller.rtcp, soon); !bytes.Equal(caller.open(got), report) {
				t.Error("RTCP to the caller")
			}
			// On one port with RTP (RFC 5761) its place in the key stream is another.
			c.s.SetRemote(CallerSide, c.caller.addr(), c.caller.addr())
			send(t, c.far.rtp, far.seal(report), c.s.Addr(FarSide))
			if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(caller.open(got), report) {
				t.Error("RTCP on the port of RTP")
			}
		})
	}
}

// What is forged, replayed, plain or no RTP at all is dropped and counted, and
// latches nobody.
func TestSRTPRefuses(t *testing.T) {
	for name := range suites {
		t.Run(name, func(t *testing.T) {
			c := newCall(t, Options{})
			caller := c.secure(t, CallerSide, secrets(name, 1))
			first := caller.seal(c.caller.next())
			at := c.s.Addr(CallerSide)
			send(t, c.caller.rtp, first, at)
			c.far.hear()
			send(t, c.caller.rtp, first, at)
			forged := caller.seal(c.caller.next())
			for _, i := range []int{3, 8, 40, len(forged) - 1} {
				b := slices.Clone(forged)
				b[i] ^= 1
				send(t, c.caller.rtp, b, at)
			}
			send(t, c.caller.rtp, c.caller.next(), at)
			send(t, c.caller.rtp, []byte{0, 7, 6, 1, 2, 3}, at)
			send(t, c.caller.rtp, nil, at)
			intruder := newPhone(t, "127.0.0.66")
			intruder.ssrc = 7
			for range 5 {
				intruder.say(at)
			}
			report := senderReport(0xA0000000, 1, 2, 3, time.Now(), "x")
			send(t, c.caller.rtcp, report, beside(at))
			c.up(t, caller, c.caller.next())
			c.far.hear()
			c.far.deaf("forged")
			eventually(t, "counted", func() bool {
				st := c.s.Stats().Caller
				return st.Replayed == 1 && st.Forged >= 4+1+1+5+1 && st.Packets == 2
			})
			if st := c.s.Stats().Caller; st.Latched.Addr() == intruder.addr().Addr() {
				t.Error("an intruder was latched")
			}
		})
	}
}

// Until the peer's key is known nothing passes either way; with it, everything.
func TestSRTPBeforeTheKey(t *testing.T) {
	c := newCall(t, Options{})
	k := secrets("AEAD_AES_256_GCM", 1)
	c.secure(t, CallerSide, Keys{Ours: k.Ours, Theirs: secret("AEAD_AES_128_GCM", 9)})
	if err := c.s.Secure(CallerSide, &Keys{Ours: k.Ours}); err != nil {
		t.Fatal(err)
	}
	c.far.say(c.s.Addr(FarSide))
	c.caller.deaf("before the key")
	c.caller.say(c.s.Addr(CallerSide))
	c.far.deaf("before the key")
	caller := c.secure(t, CallerSide, k)
	c.up(t, caller, c.caller.next())
	c.far.hear()
	down := c.far.say(c.s.Addr(FarSide))
	if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(caller.open(got), down) {
		t.Error("the caller got something else")
	}
	if err := c.s.Secure(CallerSide, nil); err != nil {
		t.Fatal(err)
	}
	c.caller.say(c.s.Addr(CallerSide))
	c.far.hear()
}

func TestSRTPKeyMistakes(t *testing.T) {
	c := newCall(t, Options{})
	good := secret("AES_CM_128_HMAC_SHA1_80", 1)
	for _, k := range []Key{{}, {Suite: "NULL_HMAC_SHA1_80", Master: good.Master}, {Suite: good.Suite, Master: good.Master[:29]}} {
		if err := c.s.Secure(FarSide, &Keys{Ours: k, Theirs: good}); err == nil {
			t.Errorf("%s of %d bytes was taken", k.Suite, len(k.Master))
		}
	}
	c.far.say(c.s.Addr(FarSide)) // as it was before
	c.caller.hear()
}

// Sequence numbers wrap, twice, in both directions, with loss and disorder.
func TestSRTPWraps(t *testing.T) {
	c := newCall(t, Options{})
	caller := c.secure(t, CallerSide, secrets("AES_CM_128_HMAC_SHA1_80", 1))
	far := c.secure(t, FarSide, secrets("AEAD_AES_128_GCM", 50))
	c.caller.seq, c.far.seq = 65000, 64000
	for i := range 300 {
		a, b := c.caller.next(), c.caller.next()
		for _, p := range [][]byte{b, a} { // out of order
			c.up(t, caller, p)
			if got, _ := receive(t, c.far.rtp, soon); !bytes.Equal(far.open(got), p) {
				t.Fatalf("round %d: up", i)
			}
		}
		down := c.far.next()
		send(t, c.far.rtp, far.seal(down), c.s.Addr(FarSide))
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(caller.open(got), down) {
			t.Fatalf("round %d: down", i)
		}
		c.caller.seq += 498 // lost
		c.far.seq += 499
	}
}

// A new key of the peer: its counter goes on or begins anew; packets under the old
// key are still under way. Our own key is the same and goes on.
func TestSRTPRekey(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		c := newCall(t, Options{})
		k := secrets("AES_CM_128_HMAC_SHA1_80", 1)
		first := c.secure(t, CallerSide, k)
		for range 30 { // into the second round
			c.up(t, first, c.caller.next())
			c.far.hear()
			c.caller.seq += 4000
		}
		late := first.seal(c.caller.next())
		k.Theirs = secret("AEAD_AES_256_GCM", 77)
		next := c.secure(t, CallerSide, k)
		if !fresh {
			roc, _ := first.out.ROC(c.caller.ssrc)
			next.out.SetROC(c.caller.ssrc, roc)
		}
		next.in = first.in
		c.up(t, next, c.caller.next())
		c.far.hear()
		send(t, c.caller.rtp, late, c.s.Addr(CallerSide))
		c.far.hear()
		for range retireAfter + 10 {
			c.up(t, next, c.caller.next())
			c.far.hear()
		}
		send(t, c.caller.rtp, first.seal(c.caller.next()), c.s.Addr(CallerSide))
		c.far.deaf("the old key is over")
		down := c.far.say(c.s.Addr(FarSide))
		if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(next.open(got), down) {
			t.Error("down")
		}
		c.s.Close()
	}
}

// The same keys again, as every re-INVITE brings them, begin nothing anew.
func TestSRTPSameKeysGoOn(t *testing.T) {
	c := newCall(t, Options{})
	k := secrets("AES_CM_128_HMAC_SHA1_32", 1)
	caller := c.secure(t, CallerSide, k)
	b := c.far.next()
	for range 3 {
		send(t, c.far.rtp, b, c.s.Addr(FarSide)) // a place in the key stream is used once
		c.secure(t, CallerSide, k)
	}
	if got, _ := receive(t, c.caller.rtp, soon); !bytes.Equal(caller.open(got), b) {
		t.Error("not what was sent")
	}
	c.caller.deaf("the same place of the key stream")
	if st := c.s.Stats().Caller; st.Unsent != 2 {
		t.Errorf("%d unsent", st.Unsent)
	}
	// Not even when another key was in use between.
	other := k
	other.Ours = secret("AES_CM_128_HMAC_SHA1_80", 9)
	c.secure(t, CallerSide, other)
	c.secure(t, CallerSide, k)
	send(t, c.far.rtp, b, c.s.Addr(FarSide))
	c.caller.deaf("a key that came back")
	p := caller.seal(c.caller.next())
	send(t, c.caller.rtp, p, c.s.Addr(CallerSide))
	c.far.hear()
	c.secure(t, CallerSide, k)
	send(t, c.caller.rtp, p, c.s.Addr(CallerSide))
	c.far.deaf("replayed after a re-INVITE")
}

// A plain source that counts anew under its SSRC goes on where the encrypted
// stream is, for what lies behind was used.
func TestSRTPSourceCountsAnew(t *testing.T) {
	c := newCall(t, Options{})
	caller := c.secure(t, CallerSide, secrets("AES_CM_128_HMAC_SHA1_80", 1))
	c.far.seq = 20000
	for range 3 {
		c.far.say(c.s.Addr(FarSide))
		got, _ := receive(t, c.caller.rtp, soon)
		caller.open(got)
	}
	c.far.seq = 100
	for range restarted - 1 {
		c.far.say(c.s.Addr(FarSide))
	}
	c.caller.deaf("behind")
	for i := range 5 {
		c.far.say(c.s.Addr(FarSide))
		got, _ := receive(t, c.caller.rtp, soon)
		if seq := binary.BigEndian.Uint16(caller.open(got)[2:]); seq != uint16(20003+i) {
			t.Errorf("went on with %d", seq)
		}
	}
}

// A new SSRC of a peer is taken; thousands are not.
func TestSRTPManySources(t *testing.T) {
	c := newCall(t, Options{})
	caller := c.secure(t, CallerSide, secrets("AES_CM_128_HMAC_SHA1_80", 1))
	for i := range 200 {
		c.caller.ssrc = uint32(i)
		c.up(t, caller, c.caller.next())
	}
	eventually(t, "bounded", func() bool {
		st := c.s.Stats().Caller
		return st.Packets == maxSources && st.Forged == 200-maxSources
	})
}

// The far side is replaced, one with a key of its own by a plain one, and the door
// speaks between: the caller's stream stays one.
func TestSRTPMoveAndPrompt(t *testing.T) {
	c := newCall(t, Options{})
	caller := c.secure(t, CallerSide, secrets("AES_CM_128_HMAC_SHA1_80", 1))
	far := c.secure(t, FarSide, secrets("AEAD_AES_128_GCM", 50))
	hear := func() (ssrc uint32, seq uint16) {
		got, _ := receive(t, c.caller.rtp, soon)
		if got == nil {
			t.Fatal("heard nothing")
		}
		b := caller.open(got)
		return binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[2:])
	}
	send(t, c.far.rtp, far.seal(c.far.next()), c.s.Addr(FarSide))
	ssrc, seq := hear()
	next := newPhone(t, "127.0.0.13")
	f, err := c.s.PrepareFar(false)
	if err != nil {
		t.Fatal(err)
	}
	f.SetRemote(next.addr(), netip.AddrPort{})
	sp, err := c.s.Play(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3) {
		if err := sp.Send(make([]byte, 160), i*160, 160); err != nil {
			t.Fatal(err)
		}
		if s, q := hear(); s != ssrc || q != seq+1 {
			t.Fatalf("prompt: SSRC %x, number %d after %d", s, q, seq)
		}
		seq++
	}
	if err := sp.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.s.Switch(f); err != nil {
		t.Fatal(err)
	}
	next.say(f.Addr())
	if s, q := hear(); s != ssrc || q != seq+1 {
		t.Errorf("moved: SSRC %x, number %d after %d", s, q, seq)
	}
	up := c.caller.next()
	c.up(t, caller, up)
	if got, _ := receive(t, next.rtp, soon); !bytes.Equal(got, up) {
		t.Error("the new far side got something else")
	}
}

// fixed is the two directions of a guard without a socket.
func fixed(t testing.TB, name string) (in *opener, out *sealer, packets [][]byte) {
	k := secret(name, 1)
	ctx, err := k.context()
	if err != nil {
		t.Fatal(err)
	}
	out = &sealer{key: k, ctx: ctx, sources: map[uint32]*sent{}}
	if in, err = newOpener(k, nil); err != nil {
		t.Fatal(err)
	}
	other, _ := k.context()
	p := &phone{t: t, ssrc: 5}
	for range 4000 {
		b, err := other.EncryptRTP(nil, p.next(), nil)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, b)
	}
	return in, out, packets
}

func TestSRTPAllocatesNothing(t *testing.T) {
	for name := range suites {
		in, out, packets := fixed(t, name)
		sink := func([]byte) error { return nil }
		i := 0
		if n := testing.AllocsPerRun(1000, func() {
			b, err := in.open(packets[i])
			if err != nil {
				t.Fatal(err)
			}
			if err := out.seal(b, sink); err != nil {
				t.Fatal(err)
			}
			i++
		}); n != 0 && !raced {
			t.Errorf("%s: %.1f allocations a packet", name, n)
		}
	}
}

// BenchmarkSRTP is what encryption adds to a packet of 20 ms of G.711: opened on
// one side, or sealed on the other.
func BenchmarkSRTP(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(suites)) {
		b.Run(name+"/open", func(b *testing.B) {
			b.ReportAllocs()
			in, _, packets := fixed(b, name)
			spare := make([]byte, maxPacket)
			for i := 0; b.Loop(); i++ {
				if i == len(packets) {
					b.StopTimer()
					in, _, packets = fixed(b, name)
					i = 0
					b.StartTimer()
				}
				if _, err := in.open(spare[:copy(spare, packets[i])]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/seal", func(b *testing.B) {
			b.ReportAllocs()
			_, out, _ := fixed(b, name)
			p := (&phone{ssrc: 5}).next()
			sink := func([]byte) error { return nil }
			for i := 0; b.Loop(); i++ {
				binary.BigEndian.PutUint16(p[2:], uint16(i))
				if err := out.seal(p, sink); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
