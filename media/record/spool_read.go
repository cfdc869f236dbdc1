package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// ErrNotKept says that no packet of a call is kept.
var ErrNotKept = errors.New("no packet of that call is kept")

// Capture is a call's packets, as they were kept.
type Capture struct {
	IDs     []string // the door's own ids of the calls with that Call-ID
	packets []kept
}

type kept struct {
	at    uint64 // ns since 1970
	block []byte // enhanced packet block
}

// Packets is how many there are.
func (c *Capture) Packets() int { return len(c.packets) }

// Find takes a call out of the files of a directory, by the door's own id or by its
// Call-ID; a door may be writing there. The error is ErrNotKept where there is none.
func Find(dir, call string) (*Capture, error) {
	wanted := map[string]bool{}
	err := scan(dir, func(mark string, _ []byte) {
		id, callID, _ := strings.Cut(mark, " ")
		if id == call || callID != "" && callID == plainID(call) {
			wanted[id] = true
		}
	})
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		return nil, ErrNotKept
	}
	c := &Capture{}
	for id := range wanted {
		c.IDs = append(c.IDs, id)
	}
	slices.Sort(c.IDs)
	err = scan(dir, func(mark string, block []byte) {
		if id, _, _ := strings.Cut(mark, " "); wanted[id] {
			at := uint64(binary.LittleEndian.Uint32(block[12:]))<<32 | uint64(binary.LittleEndian.Uint32(block[16:]))
			c.packets = append(c.packets, kept{at, slices.Clone(block)})
		}
	})
	slices.SortStableFunc(c.packets, func(a, b kept) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	return c, err
}

// WritePCAPNG writes the packets as pcapng, with their marks and directions.
func (c *Capture) WritePCAPNG(w io.Writer) error {
	b := bufio.NewWriter(w)
	_, _ = b.Write(section("a call that Portero had kept"))
	for _, k := range c.packets {
		_, _ = b.Write(k.block) // an error stays with b
	}
	return b.Flush()
}

// WritePCAP writes the packets as pcap with nanoseconds.
func (c *Capture) WritePCAP(w io.Writer) error {
	b := bufio.NewWriter(w)
	head := binary.LittleEndian.AppendUint32(nil, 0xA1B23C4D)
	head = binary.LittleEndian.AppendUint16(head, 2)
	head = binary.LittleEndian.AppendUint16(head, 4)
	head = binary.LittleEndian.AppendUint64(head, 0)
	head = binary.LittleEndian.AppendUint32(head, snaplen)
	_, _ = b.Write(binary.LittleEndian.AppendUint32(head, linkRaw))
	for _, k := range c.packets {
		n := binary.LittleEndian.Uint32(k.block[20:])
		head := binary.LittleEndian.AppendUint32(nil, uint32(k.at/1e9))
		head = binary.LittleEndian.AppendUint32(head, uint32(k.at%1e9))
		head = binary.LittleEndian.AppendUint32(head, n)
		_, _ = b.Write(binary.LittleEndian.AppendUint32(head, n))
		_, _ = b.Write(k.block[28 : 28+n])
	}
	return b.Flush()
}

// Open reads all that a directory keeps as one pcapng, the oldest packets first. With
// media false it leaves out what is no signalling.
func Open(dir string, media bool) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		_, err := w.Write(section("packets of the last calls"))
		if err == nil {
			err = scan(dir, func(mark string, block []byte) {
				if media || strings.Contains(mark, " ") {
					_, _ = w.Write(block) // fails when nobody reads any more
				}
			})
		}
		w.CloseWithError(err)
	}()
	return r
}

// scan tells every packet that is kept, with its mark. The block is only good until
// it returns. A file that is being written may end in the middle of a block.
func scan(dir string, each func(mark string, block []byte)) error {
	files, err := spooled(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := scanFile(f.path, each); err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return err
		}
	}
	return nil
}

func scanFile(path string, each func(mark string, block []byte)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	r := bufio.NewReaderSize(f, 1<<18)
	var b []byte
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return unlessCut(err)
		}
		n := binary.LittleEndian.Uint32(head[4:])
		if n < 12 || n%4 != 0 || n > snaplen+1024 {
			return nil // a crash or another's file: what stands before is good
		}
		if cap(b) < int(n) {
			b = make([]byte, n, 2*n)
		}
		b = b[:n]
		copy(b, head[:])
		if _, err := io.ReadFull(r, b[8:]); err != nil {
			return unlessCut(err)
		}
		if binary.LittleEndian.Uint32(head[:]) != blockPacket {
			continue
		}
		if mark, ok := markOf(b); ok {
			each(mark, b)
		}
	}
}

func unlessCut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// markOf is the comment of an enhanced packet block.
func markOf(b []byte) (string, bool) {
	if len(b) < 32 {
		return "", false
	}
	n := int(binary.LittleEndian.Uint32(b[20:]))
	if n < 0 || n > len(b)-32 {
		return "", false
	}
	for at := 28 + (n+3)/4*4; at+4 <= len(b)-4; {
		code, size := binary.LittleEndian.Uint16(b[at:]), int(binary.LittleEndian.Uint16(b[at+2:]))
		if code == 0 || at+4+size > len(b)-4 {
			break
		}
		if code == 1 { // opt_comment
			return strings.TrimPrefix(string(b[at+4:at+4+size]), markHead), strings.HasPrefix(string(b[at+4:at+4+size]), markHead)
		}
		at += 4 + (size+3)/4*4
	}
	return "", false
}

// markHead begins the comment that marks a packet.
const markHead = "portero "
