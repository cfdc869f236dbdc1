package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// reel is a capture that is made while it is read: n frames, each made out of the
// same one by change.
type reel struct {
	frame  []byte
	step   time.Duration
	n      int
	change func(frame []byte, i int)

	i   int
	buf bytes.Buffer
}

func (r *reel) Read(p []byte) (int, error) {
	le := binary.LittleEndian
	if r.i == 0 && r.buf.Len() == 0 {
		head := le.AppendUint32(nil, magicNano)
		head = le.AppendUint32(head, 2|4<<16)
		r.buf.Write(le.AppendUint32(append(head, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0), uint32(layers.LinkTypeEthernet)))
	}
	for r.buf.Len() < len(p) && r.i < r.n {
		r.change(r.frame, r.i)
		at := start.Add(time.Duration(r.i) * r.step)
		head := le.AppendUint32(nil, uint32(at.Unix()))
		head = le.AppendUint32(head, uint32(at.Nanosecond()))
		head = le.AppendUint32(head, uint32(len(r.frame)))
		r.buf.Write(le.AppendUint32(head, uint32(len(r.frame))))
		r.buf.Write(r.frame)
		r.i++
	}
	if r.buf.Len() == 0 {
		return 0, io.EOF
	}
	return r.buf.Read(p)
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestHundredThousandCalls: all of them open at once, and each is told, in order.
func TestHundredThousandCalls(t *testing.T) {
	const n = 100_000
	invite := "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK000000\r\nFrom: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\n" +
		"Call-ID: 000000\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
	frame := serialize(t, ether(alice), ip(alice, bob, layers.IPProtocolUDP), udpLayer(alice, bob), gopacket.Payload(invite))
	id := bytes.Index(frame, []byte("Call-ID: ")) + len("Call-ID: ")
	told, before := 0, inUse()
	var open int64
	began := time.Now()
	sum, err := Read(&reel{frame: frame, step: time.Millisecond, n: n, change: func(b []byte, i int) {
		copy(b[id:], fmt.Sprintf("%06d", i))
		if i == n-1 {
			open = inUse() - before
		}
	}}, Options{}, func(c *Call) {
		if want := fmt.Sprintf("%06d", told); c.CallID != want || c.Outcome != NoFinal {
			t.Fatalf("call %s is told where %s should be", c.CallID, want)
		}
		told++
	})
	if err != nil || told != n || sum.Dialogs != n {
		t.Errorf("%d calls told of %d, %v", told, sum.Dialogs, err)
	}
	t.Logf("%d open calls hold %d bytes each; %v", n, open/n, time.Since(began))
	if each := open / n; each > 4096 {
		t.Errorf("an open call holds %d bytes", each)
	}
}

// TestRTPAlone: far more streams than are followed or told, without a word of SIP.
func TestRTPAlone(t *testing.T) {
	const streams, each = 25_000, 12
	frame := serialize(t, ether(aRTP), ip(aRTP, bRTP, layers.IPProtocolUDP), udpLayer(aRTP, bRTP), gopacket.Payload(rtpPacket(0, 0, 0, 0)))
	before := inUse()
	var held int64
	sum, err := Read(&reel{frame: frame, step: time.Millisecond, n: streams * each, change: func(b []byte, i int) {
		s, seq := i/each, i%each
		binary.BigEndian.PutUint32(b[26:], 0x0a000000+uint32(s))     // the source's address
		binary.BigEndian.PutUint16(b[42+2:], uint16(seq))            // number
		binary.BigEndian.PutUint32(b[42+4:], uint32(8*(s+1)*each+i)) // timestamp
		binary.BigEndian.PutUint32(b[42+8:], uint32(s))              // SSRC
		if i == streams*each-1 {
			held = inUse() - before
		}
	}}, Options{}, func(*Call) { t.Error("a call is told") })
	if err != nil || len(sum.Strays) != maxStraysTold || sum.StraysLeftOut != streams-maxStraysTold {
		t.Errorf("%d streams told, %d left out, %v", len(sum.Strays), sum.StraysLeftOut, err)
	}
	for _, s := range sum.Strays {
		if s.Packets != each || s.Lost != 0 {
			t.Fatalf("%+v", s)
		}
	}
	t.Logf("%d bytes are held", held)
	if held > 4*maxHeldBytes {
		t.Errorf("%d bytes are held", held)
	}
}
