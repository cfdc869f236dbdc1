package trace

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"time"
)

// isERF says whether a file begins with a record of Endace's Extensible Record
// Format, which has no header and no magic number: the head of the first record
// has to be one that is read, of a time in the years 2000 to 2100, with lengths
// that fit each other.
func isERF(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	const from, to = 946684800, 4102444800
	seconds := binary.LittleEndian.Uint32(b[4:])
	size, wire := binary.BigEndian.Uint16(b[10:]), binary.BigEndian.Uint16(b[14:])
	switch b[8] & 0x7f {
	case 1, 2, 4, 10, 11, 12, 15, 16, 17, 18, 20, 22, 23:
	default:
		return false
	}
	// Records are padded to 8 bytes.
	return seconds >= from && seconds < to && size >= 24 && size%8 == 0 && wire > 0
}

// openERF reads such a file.
func openERF(r *bufio.Reader) (*Capture, error) {
	c := &Capture{}
	offset := int64(0)
	c.next = func() (Packet, error) {
		head, err := r.Peek(16)
		if len(head) < 16 {
			if len(head) == 0 {
				return Packet{}, c.ends(offset, err)
			}
			return Packet{}, c.ends(offset, unexpected(err))
		}
		size := int(binary.BigEndian.Uint16(head[10:]))
		if size < 16 {
			return Packet{}, fmt.Errorf("packet %d, byte %d: the record says it has %d bytes, with a head of 16; the file is damaged from here", c.n+1, offset, size)
		}
		// Seconds and their fraction, of 2 to the power of 32, little-endian.
		t := binary.LittleEndian.Uint64(head)
		at := time.Unix(int64(t>>32), int64((t&0xffffffff)*1e9>>32)).UTC()
		b, err := record(r, size)
		if err != nil {
			return Packet{}, c.ends(offset, unexpected(err))
		}
		offset += int64(size)
		return Packet{At: at, Link: linkERF, Data: b}, nil
	}
	return c, nil
}
