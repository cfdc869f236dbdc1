package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng section 10.1). All others,
// such as name resolution, statistics and custom blocks, are passed over.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	blockSecrets   = 10
)

// secretsTLS marks a key log of TLS in a Decryption Secrets Block.
const secretsTLS = 0x544c534b

// maxInterfaces bounds the interfaces of a section.
const maxInterfaces = 1 << 16

// ngInterface is one interface of a section.
type ngInterface struct {
	link   layers.LinkType
	snap   uint32
	binary bool  // the unit of time is a power of 2, else of 10
	power  uint8 // its exponent, negated
	offset int64 // seconds to add
}

// errBlock says that the contents of a block do not fit into it.
var errBlock = errors.New("a block holds less than it says; the file is damaged from here")

// ng reads pcapng with any mix of sections, interfaces and resolutions. It is
// our own because the library passes over secrets, allocates for comments and
// name resolution, and panics on some damaged blocks.
type ng struct {
	c          *Capture
	in         blocks
	interfaces []ngInterface
	last       time.Time // for simple packets, which have no time
}

func openNg(r *bufio.Reader) (*Capture, error) {
	g := &ng{c: &Capture{}, in: blocks{r: r}, last: time.Unix(0, 0).UTC()}
	first, err := g.in.next()
	if err == nil && len(first) < 28 {
		err = errBlock
	}
	if err != nil {
		return nil, fmt.Errorf("the section header of a pcapng file: %w", unexpected(err))
	}
	g.c.next = g.next
	return g.c, nil
}

func (g *ng) next() (Packet, error) {
	for {
		b, err := g.in.next()
		if err == io.EOF {
			return Packet{}, io.EOF
		}
		if err == nil {
			var p Packet
			var ok bool
			if p, ok, err = g.block(b); ok {
				return p, nil
			}
		}
		if err != nil {
			return Packet{}, fmt.Errorf("packet %d, %w", g.c.n+1, err)
		}
	}
}

// block reads one whole block; ok is true when it was a packet.
func (g *ng) block(b []byte) (p Packet, ok bool, err error) {
	order := g.in.order
	kind, b := order.Uint32(b), b[8:len(b)-4]
	switch kind {
	case magicNg:
		g.interfaces = g.interfaces[:0]
	case blockInterface:
		return p, false, g.describe(b)
	case blockSecrets:
		if len(b) < 8 || int64(order.Uint32(b[4:])) > int64(len(b)-8) {
			return p, false, errBlock
		}
		if order.Uint32(b) == secretsTLS && g.c.Secrets != nil {
			g.c.Secrets(b[8 : 8+order.Uint32(b[4:])])
		}
	case blockEnhanced:
		if len(b) < 20 {
			return p, false, errBlock
		}
		return g.packet(order.Uint32(b), order.Uint32(b[4:]), order.Uint32(b[8:]), order.Uint32(b[12:]), b[20:])
	case blockPacket:
		if len(b) < 20 {
			return p, false, errBlock
		}
		return g.packet(uint32(order.Uint16(b)), order.Uint32(b[4:]), order.Uint32(b[8:]), order.Uint32(b[12:]), b[20:])
	case blockSimple:
		if len(b) < 4 || len(g.interfaces) == 0 {
			return p, false, errBlock
		}
		n := min(order.Uint32(b), uint32(len(b)-4))
		if s := g.interfaces[0].snap; s > 0 {
			n = min(n, s)
		}
		if n > maxRecord {
			return p, false, fmt.Errorf("the block holds %d bytes, at most %d are believed; the file is damaged from here", n, maxRecord)
		}
		return Packet{At: g.last, Link: g.interfaces[0].link, Data: b[4 : 4+n]}, true, nil
	}
	return p, false, nil
}

func (g *ng) packet(id, high, low, n uint32, b []byte) (p Packet, ok bool, err error) {
	switch {
	case id >= uint32(len(g.interfaces)):
		return p, false, fmt.Errorf("the block is of interface %d, of %d; the file is damaged from here", id, len(g.interfaces))
	case int64(n) > int64(len(b)):
		return p, false, errBlock
	case n > maxRecord:
		return p, false, fmt.Errorf("the block says it holds %d bytes, at most %d are believed; the file is damaged from here", n, maxRecord)
	}
	i := &g.interfaces[id]
	g.last = i.time(uint64(high)<<32 | uint64(low))
	return Packet{At: g.last, Link: i.link, Data: b[:n]}, true, nil
}

// describe reads an Interface Description Block (section 4.2).
func (g *ng) describe(b []byte) error {
	order := g.in.order
	if len(b) < 8 {
		return errBlock
	}
	if len(g.interfaces) >= maxInterfaces {
		return fmt.Errorf("more than %d interfaces; the file is damaged from here", maxInterfaces)
	}
	i := ngInterface{link: layers.LinkType(order.Uint16(b)), snap: order.Uint32(b[4:]), power: 6}
	for b = b[8:]; len(b) >= 4; {
		code, n := order.Uint16(b), int(order.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			return errBlock
		}
		switch {
		case code == 9 && n == 1: // if_tsresol
			i.binary, i.power = b[0]&0x80 != 0, b[0]&0x7f
		case code == 14 && n == 8: // if_tsoffset
			i.offset = int64(order.Uint64(b))
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	g.interfaces = append(g.interfaces, i)
	return nil
}

// time converts a timestamp in units of the interface.
func (i *ngInterface) time(t uint64) time.Time {
	var seconds, nanos uint64
	switch {
	case i.binary && i.power < 64:
		seconds = t >> i.power
		high, low := bits.Mul64(t-seconds<<i.power, 1e9)
		nanos = high<<(64-i.power) | low>>i.power
	case !i.binary && i.power < 20:
		unit := uint64(1)
		for range i.power {
			unit *= 10
		}
		seconds = t / unit
		high, low := bits.Mul64(t%unit, 1e9)
		nanos, _ = bits.Div64(high, low, unit)
	}
	return time.Unix(int64(seconds)+i.offset, int64(nanos)).UTC()
}
