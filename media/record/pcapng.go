package record

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng section 4).
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockStats     = 5
	blockPacket    = 6
)

const (
	linkRaw = 101 // packets begin with their IP header
	nanos   = 9   // if_tsresol: 10^-9 s
	snaplen = 1<<16 + 100
)

// pcapng is a capture in the making: packets that wait until those before them
// have come, and behind them the file.
type pcapng struct {
	start   time.Time
	callID  string
	keys    bool
	events  [128]bool // payload types of telephone-event
	pending []packet
	buf     []byte
	written int64
	packets uint64
	left    uint64 // key packets left out
}

// packet is one datagram.
type packet struct {
	at       time.Time
	src, dst netip.AddrPort
	inbound  bool
	data     []byte
}

func newPCAPNG(start time.Time, callID string, keys bool) *pcapng {
	return &pcapng{start: start, callID: callID, keys: keys}
}

func (p *pcapng) payload(pt uint8, name string, _ int) {
	p.events[pt&127] = isEvent(name)
}

// isEvent says whether a payload type bears keys (RFC 4733).
func isEvent(name string) bool { return strings.EqualFold(name, "telephone-event") }

// rtp takes an RTP packet on its way from src to dst.
func (p *pcapng) rtp(b []byte, at time.Time, src, dst netip.AddrPort, inbound bool) {
	if r, err := codec.ParseRTP(b); err == nil && !p.keys && p.events[r.PayloadType&127] {
		p.left++
		return
	}
	p.add(packet{at: at, src: src, dst: dst, inbound: inbound, data: slices.Clone(b)})
}

func (p *pcapng) add(k packet) {
	if fit(k) {
		p.pending = append(p.pending, k)
	}
}

// fit says whether a packet has addresses that a datagram can have.
func fit(k packet) bool {
	return k.src.IsValid() && k.dst.IsValid() && k.src.Addr().Unmap().Is4() == k.dst.Addr().Unmap().Is4()
}

func (p *pcapng) begin(f io.Writer) error {
	n, err := f.Write(section("Call-ID " + plain(p.callID, 200, true)))
	p.written += int64(n)
	return err
}

// section begins a file: what it says of itself, and its one interface.
func section(comment string) []byte {
	var about []byte
	about = binary.LittleEndian.AppendUint32(about, 0x1A2B3C4D)
	about = binary.LittleEndian.AppendUint16(about, 1)
	about = binary.LittleEndian.AppendUint16(about, 0)
	about = binary.LittleEndian.AppendUint64(about, ^uint64(0)) // the section's length: not known
	about = option(about, 4, []byte("portero"))                 // shb_userappl
	about = option(about, 1, []byte(comment))
	about = option(about, 0, nil)
	b := block(nil, blockSection, about)
	var iface []byte
	iface = binary.LittleEndian.AppendUint16(iface, linkRaw)
	iface = binary.LittleEndian.AppendUint16(iface, 0)
	iface = binary.LittleEndian.AppendUint32(iface, snaplen)
	iface = option(iface, 9, []byte{nanos})
	iface = option(iface, 0, nil)
	return block(b, blockInterface, iface)
}

// flush writes the packets that are older than settle, in order of time.
func (p *pcapng) flush(f io.Writer, now time.Time) error { return p.write(f, now.Add(-settle)) }

func (p *pcapng) write(f io.Writer, until time.Time) error {
	slices.SortStableFunc(p.pending, func(a, b packet) int { return a.at.Compare(b.at) })
	n := 0
	p.buf = p.buf[:0]
	for n < len(p.pending) && !p.pending[n].at.After(until) {
		p.buf = p.pending[n].append(p.buf, "")
		n++
	}
	if n == 0 {
		return nil
	}
	p.packets += uint64(n)
	p.pending = slices.Delete(p.pending, 0, n)
	k, err := f.Write(p.buf)
	p.written += int64(k)
	return err
}

func (p *pcapng) finish(f *os.File, end time.Time, about []comment) error {
	if err := p.write(f, end.Add(time.Hour)); err != nil {
		return err
	}
	var stats []byte
	stats = binary.LittleEndian.AppendUint32(stats, 0)
	stats = stamp(stats, end)
	for _, c := range about {
		if c.id == "ICMT" {
			stats = option(stats, 1, []byte(c.text))
		}
	}
	stats = option(stats, 0, nil)
	n, err := f.Write(block(nil, blockStats, stats))
	p.written += int64(n)
	return err
}

// append writes the packet as an enhanced packet block, in place: its length is
// known beforehand. A mark says whose it is.
func (k packet) append(b []byte, mark string) []byte {
	const about = 20 + 8 + 4 // interface, time, lengths; the flags; the options' end
	n := ipHeader(k.src) + 8 + min(len(k.data), maxData)
	total := uint32(12 + about + (n+3)/4*4)
	if mark != "" {
		total += uint32(4 + (len(markHead)+len(mark)+3)/4*4)
	}
	b = binary.LittleEndian.AppendUint32(b, blockPacket)
	b = binary.LittleEndian.AppendUint32(b, total)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = stamp(b, k.at)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = k.datagram(b)
	for range (4 - n%4) % 4 {
		b = append(b, 0)
	}
	flags := uint32(2) // outbound
	if k.inbound {
		flags = 1
	}
	b = binary.LittleEndian.AppendUint32(b, 2|4<<16) // epb_flags, 4 bytes
	b = binary.LittleEndian.AppendUint32(b, flags)
	if mark != "" {
		m := len(markHead) + len(mark)
		b = binary.LittleEndian.AppendUint16(b, 1) // opt_comment
		b = binary.LittleEndian.AppendUint16(b, uint16(m))
		b = append(append(b, markHead...), mark...)
		for range (4 - m%4) % 4 {
			b = append(b, 0)
		}
	}
	b = binary.LittleEndian.AppendUint32(b, 0) // opt_endofopt
	return binary.LittleEndian.AppendUint32(b, total)
}

func stamp(b []byte, at time.Time) []byte {
	ns := uint64(at.UnixNano())
	b = binary.LittleEndian.AppendUint32(b, uint32(ns>>32))
	return binary.LittleEndian.AppendUint32(b, uint32(ns))
}

func block(b []byte, kind uint32, body []byte) []byte {
	n := uint32(12 + len(body))
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, n)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, n)
}

func option(b []byte, code uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// maxData is what one datagram holds beside its headers.
const maxData = 65000

// ipHeader is the length of the header before a datagram from a.
func ipHeader(a netip.AddrPort) int {
	if a.Addr().Unmap().Is4() {
		return 20
	}
	return 40
}

// datagram puts IP and UDP headers before what was sent. What came in a stream
// (TCP, TLS, WebSocket) is shown as a datagram too: the bytes are the same, and
// the file has nothing of how a stream cut them.
func (k packet) datagram(b []byte) []byte {
	data := k.data[:min(len(k.data), maxData)]
	length := uint16(8 + len(data))
	head := len(b)
	addresses := 0 // where they begin
	if ipHeader(k.src) == 20 {
		src, dst := k.src.Addr().Unmap().As4(), k.dst.Addr().Unmap().As4()
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, 20+length)
		b = append(b, 0, 0, 0x40, 0, 64, 17, 0, 0)
		addresses = len(b)
		b = append(append(b, src[:]...), dst[:]...)
		binary.BigEndian.PutUint16(b[head+10:], ^sum(0, b[head:]))
	} else {
		src, dst := k.src.Addr().As16(), k.dst.Addr().As16()
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, length)
		b = append(b, 17, 64)
		addresses = len(b)
		b = append(append(b, src[:]...), dst[:]...)
	}
	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, k.src.Port())
	b = binary.BigEndian.AppendUint16(b, k.dst.Port())
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(b, 0, 0)
	b = append(b, data...)
	// The pseudo header: addresses, protocol and length (RFC 768, RFC 8200).
	pseudo := [4]byte{0, 17, byte(length >> 8), byte(length)}
	check := ^sum(sum(sum(0, b[addresses:udp]), pseudo[:]), b[udp:])
	if check == 0 { // RFC 768: zero means there is none
		check = 0xFFFF
	}
	binary.BigEndian.PutUint16(b[udp+6:], check)
	return b
}

// sum is the Internet checksum's ones' complement sum (RFC 1071).
func sum(from uint16, b []byte) uint16 {
	n := uint32(from)
	for i := 0; i+1 < len(b); i += 2 {
		n += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		n += uint32(b[len(b)-1]) << 8
	}
	for n > 0xFFFF {
		n = n&0xFFFF + n>>16
	}
	return uint16(n)
}

// mendPCAPNG cuts off a block that a crash left half written.
func mendPCAPNG(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var whole int64
	packets := 0
	for {
		var head [8]byte
		if _, err := f.ReadAt(head[:], whole); err != nil {
			break
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		var tail [4]byte
		if n < 12 || n%4 != 0 || whole+n > info.Size() {
			break
		}
		if _, err := f.ReadAt(tail[:], whole+n-4); err != nil || int64(binary.LittleEndian.Uint32(tail[:])) != n {
			break
		}
		if binary.LittleEndian.Uint32(head[:]) == blockPacket {
			packets++
		}
		whole += n
	}
	if packets == 0 {
		return errEmpty
	}
	return f.Truncate(whole)
}
