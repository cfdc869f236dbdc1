package prompt

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a Speaker that writes down what it is given.
type tape struct {
	mu     sync.Mutex
	sent   []spoken
	closed int
	after  int           // fail after so many packets; 0 never
	stall  int           // packet that takes long
	length time.Duration // how long
}

type spoken struct {
	at       time.Time
	payload  []byte
	position uint32
}

var errFull = errors.New("tape is full")

func (t *tape) Send(payload []byte, position, _ uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.after > 0 && len(t.sent) == t.after {
		return errFull
	}
	t.sent = append(t.sent, spoken{time.Now(), bytes.Clone(payload), position})
	if len(t.sent) == t.stall {
		time.Sleep(t.length)
	}
	return nil
}

func (t *tape) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed++
	return nil
}

func (t *tape) packets() []spoken {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]spoken(nil), t.sent...)
}

func ramp(n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(i * 8)
	}
	return out
}

func TestPlayer(t *testing.T) {
	for _, law := range []codec.Law{codec.MuLaw, codec.ALaw} {
		synctest.Test(t, func(t *testing.T) {
			var tp tape
			clip, two := ramp(8*160+40), ramp(100)
			start := time.Now()
			p := Play(&tp, law, Options{}, clip, two)
			<-p.Done()
			took := time.Since(start)
			<-p.Gone()
			if err := p.Err(); err != nil {
				t.Error(err)
			}
			sent := tp.packets()
			// 1420 samples are 8 packets and 140 samples, filled up with silence.
			want := law.Encode(nil, append(append(append([]int16(nil), clip...), two...), make([]int16, 20)...))
			if len(sent) != 9 || tp.closed != 1 {
				t.Fatalf("%s: %d packets, closed %d times", law, len(sent), tp.closed)
			}
			var got []byte
			for _, s := range sent {
				got = append(got, s.payload...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: other codewords than the clips'", law)
			}
			if took != 180*time.Millisecond { // the last packet is heard to its end
				t.Errorf("%s: 9 packets were done after %s", law, took)
			}
			p.Stop() // after the end it does nothing
		})
	}
}

// TestPlayerPace: whatever the packet time, each packet goes exactly when it is
// due, and says so in its timestamp.
func TestPlayerPace(t *testing.T) {
	for ms := 10; ms <= 60; ms += 10 {
		synctest.Test(t, func(t *testing.T) {
			var tp tape
			packet := Packet(ms)
			start := time.Now()
			p := Play(&tp, codec.MuLaw, Options{Packet: packet}, ramp(2*Rate))
			<-p.Gone()
			sent := tp.packets()
			if n := (2000 + ms - 1) / ms; len(sent) != n {
				t.Errorf("%d ms: %d packets in 2 s, want %d", ms, len(sent), n)
			}
			for i, s := range sent {
				if at := time.Duration(i) * packet; s.at.Sub(start) != at || s.position != uint32(i*ms*8) || len(s.payload) != ms*8 {
					t.Fatalf("%d ms: packet %d of %d bytes at %d went after %s, want %s", ms, i, len(s.payload), s.position, s.at.Sub(start), at)
				}
			}
		})
	}
}

func TestPacket(t *testing.T) {
	for ms, want := range map[int]int{0: 20, -5: 20, 5: 10, 10: 10, 20: 20, 25: 20, 30: 30, 40: 40, 60: 60, 120: 60, 1 << 40: 60} {
		if got := Packet(ms); got != time.Duration(want)*time.Millisecond {
			t.Errorf("ptime %d: packets of %s, want %d ms", ms, got, want)
		}
	}
}

// TestPlayerHeldUp: after 110 ms in which nothing could be sent the timestamps
// have a gap; the packets missed are not sent in a burst, and no sample is lost.
func TestPlayerHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := tape{stall: 3, length: 110 * time.Millisecond}
		clip := ramp(10 * 160)
		p := Play(&tp, codec.MuLaw, Options{}, clip)
		<-p.Gone()
		sent := tp.packets()
		if len(sent) != 10 {
			t.Fatalf("%d packets", len(sent))
		}
		// The third went at 40 ms and took until 150: the slot of 140 ms is late by
		// less than a packet and goes at once, the next when it is due.
		if gap := sent[3].position - sent[2].position; gap != 5*160 {
			t.Errorf("the timestamp moved by %d over 110 ms", gap)
		}
		if d := sent[4].at.Sub(sent[3].at); d != 10*time.Millisecond {
			t.Errorf("the packet after the late one followed within %s", d)
		}
		if d := sent[5].at.Sub(sent[4].at); d != 20*time.Millisecond {
			t.Errorf("two packets followed within %s: a burst", d)
		}
		var got []byte
		for _, s := range sent {
			got = append(got, s.payload...)
		}
		if !bytes.Equal(got, codec.MuLaw.Encode(nil, clip)) {
			t.Error("samples were lost")
		}
	})
}

func TestPlayerStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tp tape
		p := Play(&tp, codec.MuLaw, Options{Loop: true}, ramp(160))
		time.Sleep(50 * time.Millisecond)
		if p.Err() != nil {
			t.Errorf("while it plays: %v", p.Err())
		}
		p.Stop()
		if n := len(tp.packets()); n != 3 || !errors.Is(p.Err(), ErrStopped) || tp.closed != 1 {
			t.Errorf("%d packets, %v, closed %d times", n, p.Err(), tp.closed)
		}
		time.Sleep(time.Second)
		if len(tp.packets()) != 3 {
			t.Error("it speaks after Stop")
		}
		p.Stop()
	})
}

// TestPlayerCut: a prompt that is interrupted ends with the packet under way, and
// silence goes on where it was.
func TestPlayerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tp tape
		p := Play(&tp, codec.MuLaw, Options{Trail: -1}, ramp(5*Rate))
		time.Sleep(50 * time.Millisecond)
		start := time.Now()
		p.Cut()
		<-p.Done()
		if d := time.Since(start); d != 0 || !errors.Is(p.Err(), ErrCut) {
			t.Errorf("cut after %s: %v", d, p.Err())
		}
		p.Cut()
		time.Sleep(100 * time.Millisecond)
		p.Stop()
		sent := tp.packets()
		if len(sent) != 8 || tp.closed != 1 {
			t.Fatalf("%d packets, closed %d times", len(sent), tp.closed)
		}
		for i, s := range sent {
			silent := bytes.Equal(s.payload, bytes.Repeat([]byte{0xFF}, 160))
			if silent != (i >= 3) || s.position != uint32(i*160) {
				t.Errorf("packet %d at %d, silent: %t", i, s.position, silent)
			}
		}
	})
}

func TestPlayerTrail(t *testing.T) {
	for _, c := range []struct {
		trail time.Duration
		want  int
	}{{60 * time.Millisecond, 3}, {-1, 5}} {
		synctest.Test(t, func(t *testing.T) {
			var tp tape
			p := Play(&tp, codec.ALaw, Options{Trail: c.trail}, ramp(160))
			<-p.Done()
			if c.trail < 0 {
				time.Sleep(90 * time.Millisecond) // one packet goes as the clip is done
				p.Stop()
			}
			<-p.Gone()
			if p.Err() != nil {
				t.Error(p.Err())
			}
			sent := tp.packets()[1:]
			if len(sent) != c.want {
				t.Errorf("trail %s: %d packets, want %d", c.trail, len(sent), c.want)
			}
			for _, s := range sent {
				if !bytes.Equal(s.payload, bytes.Repeat([]byte{0xD5}, 160)) {
					t.Errorf("the trail is not silence: %x", s.payload)
				}
			}
		})
	}
}

func TestPlayerSpeakerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := tape{after: 2}
		p := Play(&tp, codec.MuLaw, Options{Trail: -1}, ramp(800))
		<-p.Done()
		<-p.Gone()
		if !errors.Is(p.Err(), errFull) || tp.closed != 1 {
			t.Errorf("%v, closed %d times", p.Err(), tp.closed)
		}
	})
}

// TestPlayerThroughRelay: a prompt goes out of a real session as one stream of
// RTP, and ends when the session does.
func TestPlayerThroughRelay(t *testing.T) {
	cfg := relay.Defaults()
	cfg.CallerAddress = "127.0.0.5"
	cfg.Ports = relay.Ports{Min: 23000, Max: 23999}
	r, err := relay.New(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Open("prompt@test", relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	phone, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 15)})
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	s.SetRemote(relay.CallerSide, phone.LocalAddr().(*net.UDPAddr).AddrPort(), netip.AddrPort{})
	beep, err := library(t, Defaults()).Get("en", Beep)
	if err != nil {
		t.Fatal(err)
	}
	sp, err := s.Play(codec.ALaw.PayloadType())
	if err != nil {
		t.Fatal(err)
	}
	p := Play(sp, codec.ALaw, Options{Trail: -1}, beep)
	var heard []int16
	d := codec.NewDecoder()
	buf := make([]byte, 2048)
	_ = phone.SetReadDeadline(time.Now().Add(5 * time.Second))
	for len(heard) < len(beep) {
		n, err := phone.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Packet(buf[:n], time.Now(), func(f *codec.Frame) { heard = append(heard, f.PCM...) }, nil); err != nil {
			t.Fatal(err)
		}
	}
	if st := d.Stats(); st.Lost() != 0 || d.Streams() != 1 {
		t.Errorf("%d lost, %d streams", st.Lost(), d.Streams())
	}
	want := codec.Companded(append([]int16(nil), beep...), codec.ALaw)
	for i := range want {
		if heard[i] != want[i] {
			t.Fatalf("sample %d is %d, want %d", i, heard[i], want[i])
		}
	}
	s.Close()
	<-p.Gone()
	if p.Err() != nil {
		t.Errorf("clip was played, but %v", p.Err())
	}
	if _, err := s.Play(0); !errors.Is(err, relay.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
