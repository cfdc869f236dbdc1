package trace

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// ErrCut says that a capture ends in the middle of a packet, as when the disk
// was full or the writer was killed. What stands before is good.
var ErrCut = errors.New("the file is cut off")

// Packet is one record of a capture.
type Packet struct {
	Number int             // from 1
	At     time.Time       // of capture, UTC
	Link   layers.LinkType // what Data begins with
	Data   []byte          // as captured, perhaps shorter than on the wire; valid until the next Next
}

// Capture reads the packets of a pcap, pcapng, snoop or ERF file, also compressed
// with gzip or zstd.
type Capture struct {
	// Secrets is called with the key log of each Decryption Secrets Block of a
	// pcapng file, before the packets behind it; nil to pass over them. The bytes
	// are valid during the call.
	Secrets func(keyLog []byte)

	next  func() (Packet, error)
	n     int
	empty int // packets without a byte, in a row
}

// Limits on what a file may say of itself.
const (
	maxRecord  = 256 << 10 // bytes of a packet; Wireshark's own limit
	maxNothing = 1 << 20   // packets without a byte, in a row: the file is filled up with zeros
	fileBuffer = 512 << 10 // bytes read ahead; the longest record fits into it
)

// Magic numbers as they stand in the file, read little-endian.
const (
	magicNg       = 0x0a0d0d0a
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34 // Kuznetsov's tcpdump: 8 more bytes a record
)

// OpenCapture reads the head of a capture. The error says what the file is
// instead, as far as can be told.
func OpenCapture(r io.Reader) (*Capture, error) {
	b, err := decompressed(bufio.NewReaderSize(r, fileBuffer))
	if err != nil {
		return nil, err
	}
	head, err := b.Peek(4)
	if len(head) == 0 {
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("the file cannot be read: %w", unexpected(err))
		}
		return nil, errors.New("the file is empty; a pcap or pcapng capture is needed")
	}
	if len(head) < 4 {
		return nil, fmt.Errorf("the file has only %d bytes; a pcap or pcapng capture is needed", len(head))
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head) {
		case magicNg:
			return openNg(b)
		case magicMicro:
			return openClassic(b, order, time.Microsecond, 16)
		case magicNano:
			return openClassic(b, order, time.Nanosecond, 16)
		case magicModified:
			return openClassic(b, order, time.Microsecond, 24)
		}
	}
	if bytes.Equal(head, []byte("snoo")) {
		return openSnoop(b)
	}
	if long, _ := b.Peek(16); isERF(long) {
		return openERF(b)
	}
	return nil, fmt.Errorf("not a capture: it begins with the bytes % x; pcap, pcapng, snoop and ERF are read", head)
}

// Next returns the next packet, io.EOF at the end, an error that wraps ErrCut
// where the file is cut off, or another one where it is damaged; either names
// the packet. After an error there is nothing more to read.
func (c *Capture) Next() (Packet, error) {
	p, err := c.next()
	if err != nil {
		return Packet{}, err
	}
	c.n++
	p.Number = c.n
	if len(p.Data) > 0 {
		c.empty = 0
	} else if c.empty++; c.empty > maxNothing {
		return Packet{}, fmt.Errorf("packet %d and the %d before it are empty; the file is damaged", c.n, maxNothing)
	}
	return p, nil
}

// ends tells the end of a file at a record that begins at offset.
func (c *Capture) ends(offset int64, err error) error {
	if err == io.EOF {
		return io.EOF
	}
	return fmt.Errorf("packet %d, byte %d: %w", c.n+1, offset, err)
}

// record returns the next n bytes, valid until the next call, io.EOF where
// there is none, and ErrCut where there are too few.
func record(b *bufio.Reader, n int) ([]byte, error) {
	out, err := b.Peek(n)
	if len(out) == n {
		b.Discard(n) //nolint:errcheck // they are there
		return out, nil
	}
	if len(out) == 0 && err == io.EOF {
		return nil, io.EOF
	}
	return nil, unexpected(err)
}

func unexpected(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrCut
	}
	return err
}
