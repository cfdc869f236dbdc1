package codec

import (
	"fmt"
	"testing"
	"time"
)

// told is one telephone-event packet as it arrives.
type told struct {
	ms     int
	seq    uint16
	ts     uint32
	marker bool
	code   byte
	end    bool
	dur    uint16
}

func (e told) packet() []byte {
	flags := byte(10) // volume −10 dBm0
	if e.end {
		flags |= 0x80
	}
	return packet(101, e.marker, e.seq, e.ts, 9, []byte{e.code, flags, byte(e.dur >> 8), byte(e.dur)})
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []told
		want string // key and duration, of each digit
	}{
		{"plain", []told{
			{0, 1, 800, true, 5, false, 160}, {20, 2, 800, false, 5, false, 320},
			{40, 3, 800, false, 5, true, 800}, {41, 4, 800, false, 5, true, 800}, {42, 5, 800, false, 5, true, 800},
		}, "5:100ms "},
		{"only one end packet came", []told{{0, 1, 800, false, 11, true, 800}}, "#:100ms "},
		{"all end packets lost, silence after", []told{
			{0, 1, 800, true, 10, false, 160}, {20, 2, 800, false, 10, false, 640}, {400, 9, 8000, true, 1, true, 400},
		}, "*:80ms 1:50ms "},
		{"all end packets lost, next key at once", []told{
			{0, 1, 800, true, 3, false, 640}, {100, 9, 1760, true, 4, false, 160}, {120, 10, 1760, false, 4, true, 480},
		}, "3:80ms 4:60ms "},
		{"end packets and all else lost at the end of the call", []told{{0, 1, 800, true, 12, false, 640}}, "A:80ms "},
		{"same key twice, told apart by timestamp", []told{
			{0, 1, 800, true, 7, false, 160}, {60, 4, 800, false, 7, true, 640},
			{120, 7, 1760, true, 7, false, 160}, {180, 9, 1760, false, 7, true, 640},
		}, "7:80ms 7:80ms "},
		{"same key twice, first end and second start lost", []told{
			{0, 1, 800, true, 7, false, 640}, {120, 7, 2560, false, 7, false, 160}, {180, 9, 2560, false, 7, true, 320},
		}, "7:80ms 7:40ms "},
		{"longer than 16 bits", []told{
			{0, 1, 1000, true, 1, false, 65000}, {20, 2, 1000, false, 1, false, 0xFFFF},
			{40, 3, 1000 + 0xFFFF, false, 1, false, 160}, {60, 4, 1000 + 0xFFFF, false, 1, true, 14465},
		}, "1:10s "},
		{"out of order", []told{
			{0, 1, 800, true, 2, false, 160}, {20, 3, 800, false, 2, false, 480}, {21, 2, 800, false, 2, false, 320}, {40, 4, 800, false, 2, true, 640},
		}, "2:80ms "},
		{"straggler of the key before", []told{
			{0, 1, 800, true, 2, true, 640}, {80, 4, 1600, true, 3, false, 160}, {90, 3, 800, false, 2, true, 640}, {140, 5, 1600, false, 3, true, 640},
		}, "2:80ms 3:80ms "},
		{"timestamp runs with the duration", []told{
			{0, 1, 800, true, 6, false, 160}, {20, 2, 960, false, 6, false, 320}, {40, 3, 1120, false, 6, false, 480},
			{60, 4, 1280, false, 6, true, 640}, {61, 5, 1440, false, 6, true, 640}, {62, 6, 1600, false, 6, true, 640},
		}, "6:80ms "},
		{"flash and fax tones are no keys", []told{{0, 1, 800, true, 16, true, 800}, {100, 2, 1600, true, 36, true, 800}}, ""},
		{"timestamps start over", []told{{0, 1, 80000, true, 8, true, 800}, {2000, 40, 800, true, 9, true, 800}}, "8:100ms 9:100ms "},
	} {
		e := newEar()
		for _, p := range c.in {
			if err := e.hear(p.ms, p.packet()); err != nil {
				t.Fatal(err)
			}
		}
		e.d.Flush(e.emit, e.digit)
		got := ""
		for _, g := range e.digits {
			got += fmt.Sprintf("%c:%s ", g.Key, g.Duration.Round(time.Millisecond))
			if g.InBand || g.Volume != 10 {
				t.Errorf("%s: digit %+v", c.name, g)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestEventsSeveral: one packet with two events (RFC 4733 section 2.5.1.5), and
// an event's arrival is that of its first packet.
func TestEventsSeveral(t *testing.T) {
	e := newEar()
	_ = e.hear(0, packet(101, true, 1, 800, 9, []byte{1, 10, 0, 80}))
	_ = e.hear(50, packet(101, false, 2, 800, 9, []byte{1, 0x8A, 1, 144, 2, 0x8A, 1, 144, 3}))
	if len(e.digits) != 2 || e.digits[0].Key != '1' || e.digits[1].Key != '2' || !e.digits[0].At.Equal(epoch) {
		t.Errorf("digits %+v", e.digits)
	}
}

// TestEventsOtherClock: the duration is in units of the event's own clock (RFC
// 4733 section 2.3.5), and its packets take part in the order of the stream.
func TestEventsOtherClock(t *testing.T) {
	e := newEar()
	e.d.Payload(110, "TELEPHONE-EVENT", 48000)
	_ = e.hear(0, packet(0, false, 1, 0, 9, []byte{0xFF}))
	_ = e.hear(20, packet(110, true, 2, 160, 9, []byte{9, 0x8A, 0x12, 0xC0}))
	_ = e.hear(40, packet(0, false, 3, 320, 9, []byte{0xFF}))
	if len(e.digits) != 1 || e.digits[0].Duration != 100*time.Millisecond {
		t.Errorf("digits %+v", e.digits)
	}
	if got := e.order(); got != "1 3 " {
		t.Errorf("frames %s: the event's number was taken for a loss", got)
	}
}
