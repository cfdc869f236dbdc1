package trace

import (
	"encoding/binary"
	"fmt"
	"io"
)

// maxBlock is the longest block of a pcapng file that is believed, bytes;
// Wireshark's own limit.
const maxBlock = 16 << 20

// blocks passes a pcapng file on in whole blocks, whose two lengths agree. So
// a file that is cut off gives every packet before the cut, and a damaged one
// is told from it, with the place: the library reads on with whatever length
// it finds.
type blocks struct {
	r      io.Reader
	order  binary.ByteOrder
	offset int64 // of the next block
	buf    []byte
	rest   []byte // of buf, not yet passed on
	err    error
}

func (b *blocks) Read(p []byte) (int, error) {
	if len(b.rest) == 0 && b.err == nil {
		b.err = b.block()
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// block reads the next one. io.EOF is the end of the file between two blocks.
func (b *blocks) block() error {
	if b.buf == nil {
		b.buf = make([]byte, 4096)
	}
	// 12 bytes are there in the shortest block, and tell a section's byte order.
	if _, err := io.ReadFull(b.r, b.buf[:12]); err != nil {
		if err == io.EOF {
			return err
		}
		return fmt.Errorf("block at byte %d: %w", b.offset, unexpected(err))
	}
	if binary.LittleEndian.Uint32(b.buf) == magicNg { // a palindrome
		switch uint32(0x1a2b3c4d) {
		case binary.LittleEndian.Uint32(b.buf[8:]):
			b.order = binary.LittleEndian
		case binary.BigEndian.Uint32(b.buf[8:]):
			b.order = binary.BigEndian
		default:
			return fmt.Errorf("block at byte %d: a section header without its byte-order magic; the file is damaged from here", b.offset)
		}
	} else if b.order == nil {
		return fmt.Errorf("block at byte %d: no section header comes first", b.offset)
	}
	size := b.order.Uint32(b.buf[4:])
	if size < 12 || size > maxBlock || size%4 != 0 {
		return fmt.Errorf("block at byte %d: a length of %d; allowed are multiples of 4 from 12 to %d, so the file is damaged from here", b.offset, size, maxBlock)
	}
	if int(size) > len(b.buf) {
		head := b.buf[:12]
		b.buf = make([]byte, size)
		copy(b.buf, head)
	}
	if _, err := io.ReadFull(b.r, b.buf[12:size]); err != nil {
		return fmt.Errorf("block at byte %d: %w", b.offset, unexpected(err))
	}
	if again := b.order.Uint32(b.buf[size-4:]); again != size {
		return fmt.Errorf("block at byte %d: its length is %d at the start and %d at the end; the file is damaged from here", b.offset, size, again)
	}
	b.rest = b.buf[:size]
	b.offset += int64(size)
	return nil
}
