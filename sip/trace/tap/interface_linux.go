package tap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unsafe"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/portero/portero/sip/trace"
)

// The ring that the kernel fills: blocks are handed over when they are full, or
// after blockPatience. What does not fit while we are busy is dropped and counted.
const (
	blockSize     = 1 << 20
	blockCount    = 32
	frameSize     = 2048 // only a unit for the kernel; packets may be longer
	blockPatience = 60   // ms
)

// Interface reads the packets that an interface sends and receives, with
// AF_PACKET and a ring in shared memory (packet(7), TPACKET_V3).
type Interface struct {
	ctx     context.Context
	fd      int
	ring    []byte
	block   int    // the one being read
	packets uint32 // still to come of it
	at      uint32 // of the next one, in it
	dropped uint64
}

// OpenInterface listens on an interface; "any" is all of them. The source ends
// when ctx does. It needs the capability CAP_NET_RAW.
func OpenInterface(ctx context.Context, name string) (*Interface, error) {
	index := 0
	var dev *net.Interface
	if name != "any" {
		var err error
		if dev, err = net.InterfaceByName(name); err != nil {
			return nil, fmt.Errorf("no interface %q; ip link lists them, and any is all of them", name)
		}
		index = dev.Index
	}
	// Without a protocol nothing comes before the ring is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, errors.New("listening on an interface needs the capability CAP_NET_RAW: run it as root, or once setcap cap_net_raw+ep on the portero binary")
	}
	if err != nil {
		return nil, fmt.Errorf("a packet socket: %w", err)
	}
	i := &Interface{ctx: ctx, fd: fd}
	if err := i.listen(index, dev); err != nil {
		i.Close() //nolint:errcheck // the reason is that one
		return nil, fmt.Errorf("listening on %s: %w", name, err)
	}
	return i, nil
}

func (i *Interface) listen(index int, dev *net.Interface) error {
	if err := unix.SetsockoptInt(i.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w", err)
	}
	if err := unix.SetsockoptTpacketReq3(i.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: blockSize, Block_nr: blockCount, Frame_size: frameSize, Frame_nr: blockSize / frameSize * blockCount,
		Retire_blk_tov: blockPatience,
	}); err != nil {
		return fmt.Errorf("the ring: %w", err)
	}
	ring, err := unix.Mmap(i.fd, 0, blockSize*blockCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("the ring: %w", err)
	}
	i.ring = ring
	if dev != nil && dev.Flags&net.FlagLoopback == 0 {
		// As tcpdump does; a mirrored port's packets are for others. An interface
		// that cannot has all it can get.
		unix.SetsockoptPacketMreq(i.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{ //nolint:errcheck // see above
			Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	return unix.Bind(i.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
}

// Next implements trace.Source. Packets come with the header of Linux's cooked
// captures, version 2, whatever the interface is.
func (i *Interface) Next() (trace.Packet, error) {
	for {
		if i.packets == 0 {
			if err := i.nextBlock(); err != nil {
				return trace.Packet{At: time.Now()}, err
			}
		}
		base := i.ring[i.block*blockSize : (i.block+1)*blockSize]
		head := (*unix.Tpacket3Hdr)(unsafe.Pointer(&base[i.at]))
		from := i.at
		i.packets--
		i.at += head.Next_offset
		p, ok := cooked(base[from:], head)
		if i.packets == 0 {
			// Handed back with the next call: the packet's bytes are in it.
			i.at = done
		}
		if ok {
			return p, nil
		}
	}
}

// done says that the block is read and not yet handed back.
const done = ^uint32(0)

// cooked puts the header of LINKTYPE_LINUX_SLL2 before a packet, over what the
// kernel wrote there about it.
func cooked(frame []byte, head *unix.Tpacket3Hdr) (trace.Packet, bool) {
	const address, size = 48, 20 // struct sockaddr_ll follows the header
	sll := frame[address : address+size]
	kind, hardware := sll[10], binary.NativeEndian.Uint16(sll[8:])
	if hardware == unix.ARPHRD_LOOPBACK && kind == unix.PACKET_OUTGOING {
		return trace.Packet{}, false // it comes a second time, received
	}
	at, n := int(head.Mac), int(head.Snaplen)
	if at < address+size+size || at+n > len(frame) {
		return trace.Packet{}, false
	}
	out := frame[at-size : at+n]
	copy(out[:2], sll[2:4])
	out[2], out[3] = 0, 0
	binary.BigEndian.PutUint32(out[4:], binary.NativeEndian.Uint32(sll[4:]))
	binary.BigEndian.PutUint16(out[8:], hardware)
	out[10], out[11] = kind, sll[11]
	copy(out[12:20], sll[12:20])
	return trace.Packet{At: time.Unix(int64(head.Sec), int64(head.Nsec)).UTC(), Link: layers.LinkTypeLinuxSLL2, Data: out}, true
}

// nextBlock hands the block back that was read, and waits for the next.
func (i *Interface) nextBlock() error {
	if i.at == done {
		i.status().store(unix.TP_STATUS_KERNEL)
		i.block, i.at = (i.block+1)%blockCount, 0
	}
	for waited := false; ; waited = true {
		if i.ctx.Err() != nil {
			return io.EOF
		}
		if i.status().load()&unix.TP_STATUS_USER != 0 {
			desc := (*unix.TpacketHdrV1)(unsafe.Pointer(&i.ring[i.block*blockSize+8]))
			i.packets, i.at = desc.Num_pkts, desc.Offset_to_first_pkt
			if i.packets > 0 {
				return nil
			}
			i.at = done
			i.status().store(unix.TP_STATUS_KERNEL)
			i.block, i.at = (i.block+1)%blockCount, 0
			continue
		}
		if waited {
			return trace.ErrIdle
		}
		fds := []unix.PollFd{{Fd: int32(i.fd), Events: unix.POLLIN | unix.POLLERR}}
		if _, err := unix.Poll(fds, int(tick.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for packets: %w", err)
		}
		if fds[0].Revents&unix.POLLERR != 0 {
			if v, err := unix.GetsockoptInt(i.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && v == int(unix.ENETDOWN) {
				return errors.New("the interface went down")
			}
		}
	}
}

// Dropped says how many packets the kernel had no room for so far.
func (i *Interface) Dropped() uint64 {
	if i.fd >= 0 {
		if s, err := unix.GetsockoptTpacketStatsV3(i.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			i.dropped += uint64(s.Drops) // reading sets it back
		}
	}
	return i.dropped
}

// Close implements io.Closer.
func (i *Interface) Close() error {
	if i.fd < 0 {
		return nil
	}
	i.Dropped()
	if i.ring != nil {
		unix.Munmap(i.ring) //nolint:errcheck // nothing else can be done
		i.ring = nil
	}
	err := unix.Close(i.fd)
	i.fd = -1
	return err
}
