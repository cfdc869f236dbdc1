// Tracerepeat makes a long capture out of short ones: it writes them again and
// again, each time later, with other Call-IDs, branches, tags and SSRCs of the
// same length. What inspect costs is measured on such captures.
//
//	tracerepeat [-bytes N] [-gap D] CAPTURE... > LONG.pcap
//
// Captures of another link type than the first one are left out. Nothing else of
// a packet is changed, checksums neither.
package main

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/portero/portero/sip/trace"
)

func main() {
	size := flag.Int64("bytes", 100<<20, "length of the capture, at least")
	gap := flag.Duration("gap", 0, "time between the end of one copy and the beginning of the next; negative: they overlap")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: tracerepeat [-bytes N] [-gap D] CAPTURE... > LONG.pcap")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, *size, *gap, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tracerepeat:", err)
		os.Exit(1)
	}
}

// packet is one of a capture, at a time after its first.
type packet struct {
	after time.Duration
	data  []byte
	ssrc  int // offset of the SSRC in data; 0: no RTP
	text  bool
}

// run writes the captures until there are size bytes.
func run(out io.Writer, size int64, gap time.Duration, names []string) error {
	var captures [][]packet
	var link layers.LinkType
	for i, name := range names {
		p, l, err := read(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if i == 0 {
			link = l
		}
		if l == link && len(p) > 0 {
			captures = append(captures, p)
		}
	}
	if len(captures) == 0 {
		return fmt.Errorf("the captures hold no packet")
	}
	w := bufio.NewWriterSize(out, 1<<20)
	head := make([]byte, 24)
	le := binary.LittleEndian
	le.PutUint32(head, 0xa1b2c3d4)
	le.PutUint16(head[4:], 2)
	le.PutUint16(head[6:], 4)
	le.PutUint32(head[16:], 262144)
	le.PutUint32(head[20:], uint32(link))
	written := int64(len(head))
	w.Write(head) //nolint:errcheck // Flush tells
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var record [16]byte
	var b []byte
	for copied := uint32(0); written < size; copied++ {
		for _, packets := range captures {
			for _, p := range packets {
				b = append(b[:0], p.data...)
				if p.text {
					rename(b, copied)
				}
				if p.ssrc > 0 {
					le.PutUint32(b[p.ssrc:], le.Uint32(b[p.ssrc:])+copied*0x9e3779b1)
				}
				t := at.Add(p.after)
				le.PutUint32(record[:], uint32(t.Unix()))
				le.PutUint32(record[4:], uint32(t.Nanosecond()/1000))
				le.PutUint32(record[8:], uint32(len(b)))
				le.PutUint32(record[12:], uint32(len(b)))
				w.Write(record[:]) //nolint:errcheck // Flush tells
				if _, err := w.Write(b); err != nil {
					return err
				}
				written += int64(len(record) + len(b))
			}
			at = at.Add(packets[len(packets)-1].after + gap)
		}
	}
	return w.Flush()
}

// read reads a capture into memory.
func read(name string) ([]packet, layers.LinkType, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	c, err := trace.OpenCapture(f)
	if err != nil {
		return nil, 0, err
	}
	var out []packet
	var first, last time.Time
	var link layers.LinkType
	for {
		p, err := c.Next()
		if err == io.EOF {
			return out, link, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if first.IsZero() {
			first, last, link = p.At, p.At, p.Link
		}
		if p.Link != link {
			continue
		}
		if p.At.After(last) { // the copies are to be in order
			last = p.At
		}
		q := packet{after: last.Sub(first), data: append([]byte(nil), p.Data...), ssrc: ssrc(link, p.Data)}
		q.text = q.ssrc == 0
		out = append(out, q)
	}
}

// ssrc finds the SSRC of what looks like RTP in UDP over IPv4; 0: it does not.
func ssrc(link layers.LinkType, b []byte) int {
	at := 0
	switch link {
	case layers.LinkTypeEthernet:
		at = 14
		if len(b) > 18 && binary.BigEndian.Uint16(b[12:]) == 0x8100 {
			at = 18
		}
	case layers.LinkTypeLinuxSLL:
		at = 16
	case layers.LinkTypeNull:
		at = 4
	}
	if len(b) < at+20 || b[at]>>4 != 4 || b[at+9] != 17 {
		return 0
	}
	at += int(b[at]&15)*4 + 8
	if len(b) < at+12 || b[at]>>6 != 2 || b[at+1] >= 192 && b[at+1] <= 223 {
		return 0
	}
	return at + 8
}
