package trace

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// maxBlock is the longest block of a pcapng file that is believed, bytes;
// Wireshark's own limit.
const maxBlock = 16 << 20

// blocks cuts a pcapng file into whole blocks, whose two lengths agree. So a
// file that is cut off gives every packet before the cut, and a damaged one is
// told from it, with the place.
type blocks struct {
	r      *bufio.Reader
	order  binary.ByteOrder
	offset int64  // of the next block
	buf    []byte // for a block that is longer than what r reads ahead
}

// next returns the next block with its type and lengths, valid until the next
// call. io.EOF is the end of the file between two blocks.
func (b *blocks) next() ([]byte, error) {
	// 12 bytes are there in the shortest block, and tell a section's byte order.
	head, err := b.r.Peek(12)
	if len(head) < 12 {
		if len(head) == 0 && err == io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("block at byte %d: %w", b.offset, unexpected(err))
	}
	if binary.LittleEndian.Uint32(head) == magicNg { // a palindrome
		switch uint32(0x1a2b3c4d) {
		case binary.LittleEndian.Uint32(head[8:]):
			b.order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]):
			b.order = binary.BigEndian
		default:
			return nil, fmt.Errorf("block at byte %d: a section header without its byte-order magic; the file is damaged from here", b.offset)
		}
	} else if b.order == nil {
		return nil, fmt.Errorf("block at byte %d: no section header comes first", b.offset)
	}
	size := b.order.Uint32(head[4:])
	if size < 12 || size > maxBlock || size%4 != 0 {
		return nil, fmt.Errorf("block at byte %d: a length of %d; allowed are multiples of 4 from 12 to %d, so the file is damaged from here", b.offset, size, maxBlock)
	}
	out, err := b.take(int(size))
	if err != nil {
		return nil, fmt.Errorf("block at byte %d: %w", b.offset, unexpected(err))
	}
	if again := b.order.Uint32(out[size-4:]); again != size {
		return nil, fmt.Errorf("block at byte %d: its length is %d at the start and %d at the end; the file is damaged from here", b.offset, size, again)
	}
	b.offset += int64(size)
	return out, nil
}

func (b *blocks) take(n int) ([]byte, error) {
	if n <= fileBuffer {
		return record(b.r, n)
	}
	// Memory grows with what is there, not with what the length says.
	b.buf = b.buf[:0]
	for len(b.buf) < n {
		piece, err := record(b.r, min(n-len(b.buf), 64<<10))
		if err != nil {
			return nil, err
		}
		b.buf = append(b.buf, piece...)
	}
	return b.buf, nil
}
