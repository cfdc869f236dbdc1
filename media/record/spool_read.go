package record

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// ErrNotKept says that no packet of a call is kept.
var ErrNotKept = errors.New("no packet of that call is kept")

// Capture is a call's packets, as they were kept.
type Capture struct {
	IDs     []string // the door's own ids of the calls with that Call-ID
	Voices  int      // packets of RTP
	packets []kept
}

type kept struct {
	at    time.Time
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
			c.packets = append(c.packets, kept{stampOf(block), slices.Clone(block)})
			if !strings.Contains(mark, " ") {
				c.Voices++
			}
		}
	})
	slices.SortStableFunc(c.packets, func(a, b kept) int { return a.at.Compare(b.at) })
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
		head := binary.LittleEndian.AppendUint32(nil, uint32(k.at.Unix()))
		head = binary.LittleEndian.AppendUint32(head, uint32(k.at.Nanosecond()))
		head = binary.LittleEndian.AppendUint32(head, n)
		_, _ = b.Write(binary.LittleEndian.AppendUint32(head, n))
		_, _ = b.Write(k.block[28 : 28+n])
	}
	return b.Flush()
}

// Listed is a call of which packets are kept.
type Listed struct {
	ID     string    // the door's own
	CallID string    // of SIP, without what is not printable
	First  time.Time // its first packet
	SIP    int       // packets of signalling
	RTP    int       // packets of voices
}

// List tells the calls of which packets are kept, the newest first.
func List(dir string) ([]Listed, error) {
	calls := map[string]*Listed{}
	err := scan(dir, func(mark string, block []byte) {
		id, callID, sip := strings.Cut(mark, " ")
		l := calls[id]
		if l == nil {
			l = &Listed{ID: id}
			calls[id] = l
		}
		if at := stampOf(block); l.First.IsZero() || at.Before(l.First) {
			l.First = at
		}
		if sip {
			l.CallID = callID
			l.SIP++
		} else {
			l.RTP++
		}
	})
	out := make([]Listed, 0, len(calls))
	for _, l := range calls {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Listed) int { return cmp.Or(b.First.Compare(a.First), cmp.Compare(a.ID, b.ID)) })
	return out, err
}

// Load reads a recording's packets (Config.Format is PCAPNG).
func Load(path string) (*Capture, error) {
	c := &Capture{}
	err := scanFile(path, func(_ string, block []byte) { c.packets = append(c.packets, kept{stampOf(block), slices.Clone(block)}) })
	return c, err
}

// stampOf is the time of an enhanced packet block.
func stampOf(block []byte) time.Time {
	return time.Unix(0, int64(uint64(binary.LittleEndian.Uint32(block[12:]))<<32|uint64(binary.LittleEndian.Uint32(block[16:]))))
}

// scan tells every packet that is kept, with its mark. The block is only good until
// it returns. A file that is being written may end in the middle of a block.
func scan(dir string, each func(mark string, block []byte)) error {
	files, err := spooled(dir)
	if err != nil {
		return err
	}
	marked := func(mark string, block []byte) {
		if mark != "" {
			each(mark, block)
		}
	}
	for _, f := range files {
		if err := scanFile(f.path, marked); err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
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

// markOf is what an enhanced packet block is marked with, or nothing; it is no block
// that can be used where ok is false.
func markOf(b []byte) (mark string, ok bool) {
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
		if text := string(b[at+4 : at+4+size]); code == 1 && strings.HasPrefix(text, markHead) { // opt_comment
			return strings.TrimPrefix(text, markHead), true
		}
		at += 4 + (size+3)/4*4
	}
	return "", true
}

// markHead begins the comment that marks a packet.
const markHead = "portero "
