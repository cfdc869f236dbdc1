package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
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

// Capture reads the packets of a pcap or pcapng file, also gzip-compressed.
type Capture struct {
	next func() (Packet, error)
	n    int
}

// maxRecord is the longest packet believed, bytes; Wireshark's own limit. A
// longer one means that the file is not what it says.
const maxRecord = 256 << 10

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
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(4)
	if err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("the gzip header cannot be read: %w", err)
		}
		b = bufio.NewReaderSize(z, 64<<10)
		head, err = b.Peek(4)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("the compressed file cannot be read: %w", unexpected(err))
		}
	}
	if len(head) == 0 {
		if err != nil && err != io.EOF {
			return nil, err
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
		return nil, errors.New("a snoop capture; convert it with editcap -F pcapng")
	}
	return nil, fmt.Errorf("not a capture: it begins with the bytes % x; pcap and pcapng are read", head)
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
	return p, nil
}

// openClassic reads pcap (draft-ietf-opsawg-pcap). It is our own because the
// library refuses the variants that are about: Kuznetsov's records, other minor
// versions, lengths on the wire that are less than the captured ones.
func openClassic(r io.Reader, order binary.ByteOrder, unit time.Duration, record int) (*Capture, error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("the 24-byte file header of a pcap file: %w", unexpected(err))
	}
	if v := order.Uint16(head[4:]); v != 2 {
		return nil, fmt.Errorf("pcap version %d.%d; version 2 is read", v, order.Uint16(head[6:]))
	}
	// The upper bits say whether frames end in a checksum.
	link := layers.LinkType(order.Uint32(head[20:]) & 0xffff)
	c := &Capture{}
	buf := make([]byte, 2048)
	var rec [24]byte
	offset := int64(len(head))
	c.next = func() (Packet, error) {
		switch _, err := io.ReadFull(r, rec[:record]); {
		case err == io.EOF:
			return Packet{}, io.EOF
		case err != nil:
			return Packet{}, fmt.Errorf("packet %d, byte %d: %w", c.n+1, offset, unexpected(err))
		}
		n := order.Uint32(rec[8:])
		if n > maxRecord {
			return Packet{}, fmt.Errorf("packet %d, byte %d: the record says it holds %d bytes, at most %d are believed; the file is damaged from here", c.n+1, offset, n, maxRecord)
		}
		if int(n) > cap(buf) {
			buf = make([]byte, n)
		}
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return Packet{}, fmt.Errorf("packet %d, byte %d: %w", c.n+1, offset, unexpected(err))
		}
		offset += int64(record) + int64(n)
		at := time.Unix(int64(order.Uint32(rec[:])), int64(order.Uint32(rec[4:]))*int64(unit)).UTC()
		return Packet{At: at, Link: link, Data: buf[:n]}, nil
	}
	return c, nil
}

// openNg reads pcapng (draft-ietf-opsawg-pcapng) with any mix of interfaces.
func openNg(r io.Reader) (*Capture, error) {
	in := &blocks{r: r}
	why := func(err error) error {
		switch {
		case in.err != nil && in.err != io.EOF:
			return in.err
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			// The blocks are whole, so what is inside one asks for too much.
			return errors.New("a block holds less than it says; the file is damaged from here")
		}
		return err
	}
	ng, err := pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, fmt.Errorf("the section header of a pcapng file: %w", why(err))
	}
	c := &Capture{}
	c.next = func() (Packet, error) {
		data, ci, err := readNg(ng)
		if err == io.EOF && in.err == io.EOF {
			return Packet{}, io.EOF
		}
		if err != nil {
			return Packet{}, fmt.Errorf("packet %d, %w", c.n+1, why(err))
		}
		link, _ := ci.AncillaryData[0].(layers.LinkType)
		return Packet{At: ci.Timestamp, Link: link, Data: data}, nil
	}
	return c, nil
}

// readNg turns a panic of the library into an error: the file is not ours.
func readNg(ng *pcapgo.NgReader) (data []byte, ci gopacket.CaptureInfo, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged block: %v", p)
		}
	}()
	data, ci, err = ng.ZeroCopyReadPacketData()
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("the block says it holds %d bytes, at most %d are believed; the file is damaged from here", len(data), maxRecord)
	}
	return data, ci, err
}

func unexpected(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrCut
	}
	return err
}
