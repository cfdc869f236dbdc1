package trace

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// ngWriter writes blocks as draft-ietf-opsawg-pcapng has them.
type ngWriter struct {
	order binary.AppendByteOrder
	b     []byte
}

func (w *ngWriter) block(kind uint32, body ...byte) {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(12 + len(body))
	w.b = w.order.AppendUint32(w.order.AppendUint32(w.b, kind), size)
	w.b = w.order.AppendUint32(append(w.b, body...), size)
}

func (w *ngWriter) words(v ...uint32) (b []byte) {
	for _, x := range v {
		b = w.order.AppendUint32(b, x)
	}
	return b
}

func (w *ngWriter) option(code uint16, value []byte) []byte {
	b := w.order.AppendUint16(w.order.AppendUint16(nil, code), uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (w *ngWriter) section() { w.block(magicNg, w.words(0x1a2b3c4d, 1, ^uint32(0), ^uint32(0))...) }

func (w *ngWriter) device(link uint16, snap uint32, options ...[]byte) {
	b := append(w.order.AppendUint16(w.order.AppendUint16(nil, link), 0), w.words(snap)...)
	w.block(blockInterface, append(b, bytes.Join(options, nil)...)...)
}

func (w *ngWriter) packet(id uint32, ticks uint64, data string, options ...[]byte) {
	b := append(w.words(id, uint32(ticks>>32), uint32(ticks), uint32(len(data)), 9000), data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	w.block(blockEnhanced, append(b, bytes.Join(options, nil)...)...)
}

func TestNgBlocks(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		w := &ngWriter{order: order}
		w.section()
		w.device(1, 4, w.option(2, []byte("eth0")), w.option(9, []byte{9}), w.option(0, nil))
		w.device(101, 0, w.option(9, []byte{0x80 | 10}), w.option(14, []byte(map[bool]string{true: "\x10\x0e\x00\x00\x00\x00\x00\x00", false: "\x00\x00\x00\x00\x00\x00\x0e\x10"}[order.String() == "LittleEndian"])))
		w.device(276, 0)
		w.block(4, w.words(0)...)                                                                    // name resolution
		w.block(5, w.words(0, 0, 0)...)                                                              // statistics
		w.block(0xbad, w.words(32473, 1)...)                                                         // custom
		w.block(blockSecrets, append(w.words(secretsTLS, 5), "keys\n"...)...)                        // a key log
		w.block(blockSecrets, append(w.words(0x57474b4c, 2), "wg"...)...)                            // of WireGuard
		w.packet(0, 1700000000123456789, "abc", w.option(1, []byte("a comment, not a SIP message"))) // ns
		w.packet(1, 1700000000<<10|512, "de")                                                        // 1/1024 s, an hour off
		w.packet(2, 1700000000000001, "f")                                                           // µs
		w.block(blockSimple, append(w.words(9), "ghijklmno"...)...)                                  // snapped to 4
		w.block(blockPacket, append(append(order.AppendUint16(order.AppendUint16(nil, 2), 0), w.words(uint32(1700000000000002>>32), uint32(1700000000000002&0xffffffff), 2, 2)...), "pq"...)...)
		w.section() // whose interfaces are others
		w.device(12, 0)
		w.packet(0, 1700000000000003, "")

		c, err := OpenCapture(bytes.NewReader(w.b))
		if err != nil {
			t.Fatal(err)
		}
		keys := ""
		c.Secrets = func(b []byte) { keys += string(b) }
		sec := time.Unix(1700000000, 0)
		for i, want := range []Packet{
			{1, sec.Add(123456789), layers.LinkTypeEthernet, []byte("abc")},
			{2, sec.Add(time.Hour + time.Second/2), layers.LinkTypeRaw, []byte("de")},
			{3, sec.Add(time.Microsecond), layers.LinkTypeLinuxSLL2, []byte("f")},
			{4, sec.Add(time.Microsecond), layers.LinkTypeEthernet, []byte("ghij")},
			{5, sec.Add(2 * time.Microsecond), layers.LinkTypeLinuxSLL2, []byte("pq")},
			{6, sec.Add(3 * time.Microsecond), 12, nil},
		} {
			got, err := c.Next()
			if err != nil || got.Number != want.Number || !got.At.Equal(want.At) || got.Link != want.Link || !bytes.Equal(got.Data, want.Data) {
				t.Errorf("%v, packet %d: %v %v %v %q, %v", order, i+1, got.Number, got.At, got.Link, got.Data, err)
			}
		}
		if keys != "keys\n" {
			t.Errorf("key log %q", keys)
		}
	}
}

func TestNgDamage(t *testing.T) {
	base := func() *ngWriter {
		w := &ngWriter{order: binary.LittleEndian}
		w.section()
		w.device(1, 0)
		return w
	}
	for _, c := range []struct {
		says  string
		block func(w *ngWriter)
	}{
		{"interface 7, of 1", func(w *ngWriter) { w.packet(7, 0, "abc") }},
		{"less than it says", func(w *ngWriter) { w.block(blockEnhanced, w.words(0, 0, 0)...) }},
		{"less than it says", func(w *ngWriter) { w.block(blockEnhanced, w.words(0, 0, 0, 100, 100)...) }},
		{"at most 262144", func(w *ngWriter) { w.packet(0, 0, strings.Repeat("x", maxRecord+1)) }},
		{"at most 262144", func(w *ngWriter) { w.block(blockSimple, append(w.words(1<<30), make([]byte, maxRecord+8)...)...) }},
		{"less than it says", func(w *ngWriter) { w.block(blockInterface, 1, 0) }},
		{"less than it says", func(w *ngWriter) { w.device(1, 0, w.words(0xffff0002)) }},
		{"less than it says", func(w *ngWriter) { w.block(blockSecrets, w.words(secretsTLS, 900)...) }},
		{"less than it says", func(w *ngWriter) { w.section(); w.block(blockSimple, w.words(0)...) }},
		{"byte-order magic", func(w *ngWriter) { w.block(magicNg, w.words(1, 2, 3, 4)...) }},
	} {
		w := base()
		c.block(w)
		if _, err := packets(t, w.b); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("error is %v, want one with %q", err, c.says)
		}
	}
	// A block longer than what is read ahead is no damage.
	w := base()
	w.block(0x4242, make([]byte, 2*fileBuffer)...)
	w.packet(0, 0, "abc")
	if got, err := packets(t, w.b); err != nil || len(got) != 1 {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

func TestNgTime(t *testing.T) {
	for _, c := range []struct {
		i    ngInterface
		t    uint64
		want time.Time
	}{
		{ngInterface{power: 6}, 1700000000_000001, time.Unix(1700000000, 1000)},
		{ngInterface{power: 12}, 1700000_123456789012, time.Unix(1700000, 123456789)},
		{ngInterface{power: 0}, 1700000000, time.Unix(1700000000, 0)},
		{ngInterface{power: 19}, 18446744073709551615, time.Unix(1, 844674407)},
		{ngInterface{power: 20}, 5, time.Unix(0, 0)},
		{ngInterface{binary: true, power: 0}, 1700000000, time.Unix(1700000000, 0)},
		{ngInterface{binary: true, power: 32}, 1700000000<<32 | 1<<31, time.Unix(1700000000, 5e8)},
		{ngInterface{binary: true, power: 63}, 1<<63 | 1<<62, time.Unix(1, 5e8)},
		{ngInterface{binary: true, power: 64}, 1 << 63, time.Unix(0, 0)},
		{ngInterface{power: 3, offset: -60}, 61_001, time.Unix(1, 1e6)},
	} {
		if got := c.i.time(c.t); !got.Equal(c.want) {
			t.Errorf("%+v: %d is %v, want %v", c.i, c.t, got, c.want)
		}
	}
}
