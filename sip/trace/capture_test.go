package trace

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"
)

// classic writes two packets of 3 and 5 bytes as pcap.
func classic(order binary.ByteOrder, magic uint32, extra int) []byte {
	var b bytes.Buffer
	head := make([]byte, 24)
	order.PutUint32(head, magic)
	order.PutUint16(head[4:], 2)
	order.PutUint16(head[6:], 4)
	order.PutUint32(head[16:], 65535)
	order.PutUint32(head[20:], 101)
	b.Write(head)
	for i, data := range []string{"abc", "defgh"} {
		rec := make([]byte, 16+extra)
		order.PutUint32(rec, 1700000000)
		order.PutUint32(rec[4:], uint32(500+i))
		order.PutUint32(rec[8:], uint32(len(data)))
		order.PutUint32(rec[12:], 9000)
		b.Write(rec)
		b.WriteString(data)
	}
	return b.Bytes()
}

func packets(t *testing.T, file []byte) ([]Packet, error) {
	t.Helper()
	c, err := OpenCapture(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var out []Packet
	for {
		p, err := c.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		p.Data = bytes.Clone(p.Data)
		out = append(out, p)
	}
}

func TestClassicVariants(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(classic(binary.LittleEndian, magicMicro, 0)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		file []byte
		unit time.Duration
	}{
		{"little-endian µs", classic(binary.LittleEndian, magicMicro, 0), time.Microsecond},
		{"big-endian µs", classic(binary.BigEndian, magicMicro, 0), time.Microsecond},
		{"little-endian ns", classic(binary.LittleEndian, magicNano, 0), 1},
		{"big-endian ns", classic(binary.BigEndian, magicNano, 0), 1},
		{"Kuznetsov's", classic(binary.LittleEndian, magicModified, 8), time.Microsecond},
		{"gzip", zipped.Bytes(), time.Microsecond},
		{"zstd", zstded(t, classic(binary.BigEndian, magicMicro, 0)), time.Microsecond},
		{"zstd behind a skippable frame", append([]byte("\x50\x2a\x4d\x18\x02\x00\x00\x00ab"), zstded(t, classic(binary.BigEndian, magicMicro, 0))...), time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := packets(t, c.file)
			if err != nil || len(got) != 2 {
				t.Fatalf("%d packets, %v", len(got), err)
			}
			if string(got[1].Data) != "defgh" || got[1].Number != 2 || got[1].Link != layers.LinkTypeRaw {
				t.Errorf("second packet is %+v", got[1])
			}
			if want := time.Unix(1700000000, 0).UTC().Add(501 * c.unit); !got[1].At.Equal(want) {
				t.Errorf("at %v, want %v", got[1].At, want)
			}
		})
	}
}

func ngFile(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{LinkType: layers.LinkTypeEthernet, TimestampResolution: 9}, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.AddInterface(pcapgo.NgInterface{LinkType: layers.LinkTypeRaw, TimestampResolution: 6})
	if err != nil {
		t.Fatal(err)
	}
	for i, data := range []string{"abc", "defgh"} {
		ci := gopacket.CaptureInfo{Timestamp: start, CaptureLength: len(data), Length: len(data), InterfaceIndex: i * second}
		if err := w.WritePacket(ci, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNgMixedInterfaces(t *testing.T) {
	got, err := packets(t, ngFile(t))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	if got[0].Link != layers.LinkTypeEthernet || got[1].Link != layers.LinkTypeRaw {
		t.Errorf("link types %v and %v", got[0].Link, got[1].Link)
	}
	if !got[0].At.Equal(start) || string(got[1].Data) != "defgh" {
		t.Errorf("got %v %q", got[0].At, got[1].Data)
	}
}

func TestUnreadable(t *testing.T) {
	le := classic(binary.LittleEndian, magicMicro, 0)
	huge := bytes.Clone(le)
	binary.LittleEndian.PutUint32(huge[24+16+3+8:], 1<<30)
	ng := ngFile(t)
	for _, c := range []struct {
		name, says string
		file       []byte
		packets    int
		cut        bool
	}{
		{"empty", "empty", nil, 0, false},
		{"three bytes", "only 3 bytes", le[:3], 0, false},
		{"text", "begins with the bytes 49 4e 56 49", []byte("INVITE sip:bob"), 0, false},
		{"snoop header cut", "snoop file", []byte("snoop\x00\x00\x00"), 0, true},
		{"snoop version 3", "snoop version 3", snoopFile(3, 4), 0, false},
		{"snoop of FDDI", "data link type 8", snoopFile(2, 8), 0, false},
		{"snoop cut", "packet 2, byte 44", snoopFile(2, 4)[:60], 1, true},
		{"xz", "compressed with xz", []byte("\xfd7zXZ\x00\x00"), 0, false},
		{"gzip cut", "packet 2", gzipped(t, string(le))[:50], 1, true},
		{"zstd cut", "cannot be read", zstded(t, le)[:30], 0, true},
		{"zstd damaged", "zstd", flip(zstded(t, le), 9), 0, false},
		{"gzip header cut", "gzip header", gzipped(t, "x")[:5], 0, true},
		{"header only half", "file header", le[:20], 0, true},
		{"version 7", "version 7.", append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 7, 0, 4, 0}, make([]byte, 16)...), 0, false},
		{"cut in a record's head", "packet 2, byte 43", le[:24+16+3+7], 1, true},
		{"cut in a record's data", "packet 2, byte 43", le[:len(le)-1], 1, true},
		{"record too long", "packet 2, byte 43", huge, 1, false},
		{"pcapng cut", "packet 2", ng[:len(ng)-9], 1, true},
		{"pcapng header cut", "section header", ng[:10], 0, true},
		{"pcapng block length", "block at byte", flip(ng, len(ng)-36), 1, false},
		{"pcapng inner length", "packet 2, a block holds less than it says", flip(ng, len(ng)-19), 1, false},
		{"pcapng byte order", "byte-order magic", flip(ng, 8), 0, false},
		{"not gzip inside", "begins with", gzipped(t, "plain text"), 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := packets(t, c.file)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v, want one with %q", err, c.says)
			}
			if len(got) != c.packets || errors.Is(err, ErrCut) != c.cut {
				t.Errorf("%d packets, cut %v; want %d, %v", len(got), errors.Is(err, ErrCut), c.packets, c.cut)
			}
		})
	}
}

// snoopFile writes two packets of 3 and 5 bytes as RFC 1761 has it.
func snoopFile(version, link uint32) []byte {
	be := binary.BigEndian
	b := be.AppendUint32(be.AppendUint32([]byte("snoop\x00\x00\x00"), version), link)
	for i, data := range []string{"abc\x00", "defgh\x00\x00\x00"} {
		size := uint32(3 + 2*i)
		for _, v := range []uint32{900, size, 24 + uint32(len(data)), 0, 1700000000, uint32(500 + i)} {
			b = be.AppendUint32(b, v)
		}
		b = append(b, data...)
	}
	return b
}

func TestSnoop(t *testing.T) {
	got, err := packets(t, snoopFile(2, 4))
	if err != nil || len(got) != 2 || string(got[1].Data) != "defgh" || got[1].Link != layers.LinkTypeEthernet || !got[1].At.Equal(time.Unix(1700000000, 501000)) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestERF: a file of records, as Endace's cards write them.
func TestERF(t *testing.T) {
	frame := cat(mac1, mac2, "\x08\x00", serialize(t, ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), gopacket.Payload("hello")))
	var file []byte
	for i := range 3 {
		size := (16 + 2 + len(frame) + 7) &^ 7
		file = append(file, cat("\x00\x00\x00\x80", le32(1700000000+i), "\x02\x04", be16(size), 2, be16(len(frame)), 2, frame, size-18-len(frame))...)
	}
	got, err := packets(t, file)
	if err != nil || len(got) != 3 || !got[2].At.Equal(time.Unix(1700000002, 5e8)) {
		t.Fatalf("%d packets, %v", len(got), err)
	}
	var n network
	if s, ok := n.decode(got[1]); !ok || s.src != alice || string(s.payload) != "hello" {
		t.Errorf("got %v %+v", ok, s)
	}
	size := len(file) / 3
	for _, c := range []struct {
		file []byte
		n    int
		says string
	}{
		{file[:size+9], 1, "packet 2, byte 72"},
		{file[:len(file)-1], 2, "packet 3, byte"},
		{append(bytes.Clone(file), make([]byte, 16)...), 3, "packet 4, byte 216: the record says it has 0 bytes"},
	} {
		if got, err := packets(t, c.file); err == nil || len(got) != c.n || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d packets, %v; want %d and %q", len(got), err, c.n, c.says)
		}
	}
}

// TestBombs: a file that is small on disk must not cost without end.
func TestBombs(t *testing.T) {
	head := classic(binary.LittleEndian, magicMicro, 0)[:24]
	t.Run("zeros", func(t *testing.T) {
		c, err := OpenCapture(io.MultiReader(bytes.NewReader(head), zeros{}))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for err == nil {
			_, err = c.Next()
			n++
		}
		if n > maxNothing+2 || !strings.Contains(err.Error(), "are empty") {
			t.Errorf("%d packets, %v", n, err)
		}
	})
	t.Run("inflation", func(t *testing.T) {
		// As far as the limit, nothing is decoded: it is the count that matters.
		in := &inflation{name: "zstd", size: &counted{n: 1 << 20}, r: zeros{}, out: freeInflation - 1<<20}
		b := make([]byte, 1<<20)
		for i := range 3 {
			if _, err := in.Read(b); (err != nil) != (i > 0) {
				t.Errorf("after %d bytes: %v", in.out, err)
			}
		}
	})
	t.Run("window", func(t *testing.T) {
		// A frame whose header asks for 1 TiB of window (RFC 8878 section 3.1.1.1.2).
		if _, err := packets(t, []byte("\x28\xb5\x2f\xfd\x00\xf0\x01\x00\x00")); err == nil || !strings.Contains(err.Error(), "zstd") {
			t.Errorf("error is %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1024), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() //nolint:errcheck // writes nowhere
	return w.EncodeAll(b, nil)
}

// flip changes one byte of a file.
func flip(file []byte, at int) []byte {
	out := bytes.Clone(file)
	out[at] ^= 0x55
	return out
}

func gzipped(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
