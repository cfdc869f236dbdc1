package trace

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// openClassic reads pcap (draft-ietf-opsawg-pcap). It is our own because the
// library refuses the variants that are about: Kuznetsov's records, other minor
// versions, lengths on the wire that are less than the captured ones.
func openClassic(r *bufio.Reader, order binary.ByteOrder, unit time.Duration, head int) (*Capture, error) {
	file, err := record(r, 24)
	if err != nil {
		return nil, fmt.Errorf("the 24-byte file header of a pcap file: %w", unexpected(err))
	}
	if v := order.Uint16(file[4:]); v != 2 {
		return nil, fmt.Errorf("pcap version %d.%d; version 2 is read", v, order.Uint16(file[6:]))
	}
	// The upper bits say whether frames end in a checksum.
	link := layers.LinkType(order.Uint32(file[20:]) & 0xffff)
	c := &Capture{}
	offset := int64(len(file))
	c.next = func() (Packet, error) {
		if b, _ := r.Peek(head + 64); len(b) == head+64 {
			// Nearly always: both parts at once.
			if n := order.Uint32(b[8:]); n <= maxRecord {
				if b, _ := r.Peek(head + int(n)); len(b) == head+int(n) {
					r.Discard(len(b)) //nolint:errcheck // they are there
					offset += int64(len(b))
					at := time.Unix(int64(order.Uint32(b)), int64(order.Uint32(b[4:]))*int64(unit)).UTC()
					return Packet{At: at, Link: link, Data: b[head:]}, nil
				}
			}
		}
		rec, err := record(r, head)
		if err != nil {
			return Packet{}, c.ends(offset, err)
		}
		at := time.Unix(int64(order.Uint32(rec)), int64(order.Uint32(rec[4:]))*int64(unit)).UTC()
		n := order.Uint32(rec[8:])
		if n > maxRecord {
			return Packet{}, fmt.Errorf("packet %d, byte %d: the record says it holds %d bytes, at most %d are believed; the file is damaged from here", c.n+1, offset, n, maxRecord)
		}
		data, err := record(r, int(n))
		if err != nil {
			return Packet{}, c.ends(offset, unexpected(err))
		}
		offset += int64(head) + int64(n)
		return Packet{At: at, Link: link, Data: data}, nil
	}
	return c, nil
}

// snoopLinks are the data link types of snoop that are read.
var snoopLinks = map[uint32]layers.LinkType{
	0: layers.LinkTypeEthernet, // IEEE 802.3
	4: layers.LinkTypeEthernet,
	9: layers.LinkTypeNull, // "other": of a Sun, the loopback
}

// openSnoop reads snoop (RFC 1761), which Solaris writes and session border
// controllers with it.
func openSnoop(r *bufio.Reader) (*Capture, error) {
	file, err := record(r, 16)
	if err != nil {
		return nil, fmt.Errorf("the 16-byte file header of a snoop file: %w", unexpected(err))
	}
	be := binary.BigEndian
	if string(file[:8]) != "snoop\x00\x00\x00" || be.Uint32(file[8:]) != 2 {
		return nil, fmt.Errorf("snoop version %d; version 2 is read", be.Uint32(file[8:]))
	}
	link, ok := snoopLinks[be.Uint32(file[12:])]
	if !ok {
		return nil, fmt.Errorf("a snoop file of data link type %d; Ethernet (4) is read", be.Uint32(file[12:]))
	}
	c := &Capture{}
	const head = 24
	offset := int64(len(file))
	c.next = func() (Packet, error) {
		rec, err := record(r, head)
		if err != nil {
			return Packet{}, c.ends(offset, err)
		}
		n, whole := be.Uint32(rec[4:]), be.Uint32(rec[8:])
		at := time.Unix(int64(be.Uint32(rec[16:])), int64(be.Uint32(rec[20:]))*1000).UTC()
		if n > maxRecord || whole < head || whole-head < n || whole > maxRecord+head {
			return Packet{}, fmt.Errorf("packet %d, byte %d: the record says it holds %d bytes in %d, at most %d are believed; the file is damaged from here", c.n+1, offset, n, whole, maxRecord)
		}
		data, err := record(r, int(whole)-head)
		if err != nil {
			return Packet{}, c.ends(offset, unexpected(err))
		}
		offset += int64(whole)
		return Packet{At: at, Link: link, Data: data[:n]}, nil
	}
	return c, nil
}
