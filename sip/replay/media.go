package replay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/sip/sdp"
)

// maxSections bounds the media sections that get ports.
const maxSections = 8

// media are the sockets of one call and what goes through them. Its readers
// count, under the lock; all else is the call's goroutine's.
type media struct {
	addr    netip.Addr
	wire    Wire
	sockets []*socketPair
	remote  []remote
	wg      sync.WaitGroup

	mu      sync.Mutex
	streams map[heardStream]*codec.Stats
}

// remote is where the far side wants a section's media.
type remote struct {
	addr netip.AddrPort
	deaf bool // it wants none: on hold, or declined
}

type heardStream struct {
	section int
	ssrc    uint32
}

// socketPair is the ports of RTP and RTCP of one section. What comes as RTCP is
// not looked at, but must find the port open.
type socketPair struct {
	rtp, rtcp *net.UDPConn
	local     netip.AddrPort
}

func openMedia(addr netip.Addr, sections int, wire Wire) (*media, error) {
	m := &media{addr: addr, wire: wire, streams: map[heardStream]*codec.Stats{}}
	m.remote = make([]remote, min(sections, maxSections))
	for i := range m.remote {
		s, err := openPair(addr)
		if err != nil {
			m.close()
			return nil, err
		}
		m.sockets = append(m.sockets, s)
		m.wg.Add(1)
		go m.read(i, s)
	}
	return m, nil
}

// openPair finds an even port with a free one above it (RFC 3550 section 11).
func openPair(addr netip.Addr) (*socketPair, error) {
	var why error
	for range 64 {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return nil, fmt.Errorf("opening a port for media on %s: %w", addr, err)
		}
		port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		if port%2 != 0 {
			_ = c.Close()
			port++
			if port == 0 {
				continue
			}
			if c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port))); err != nil {
				why = err
				continue
			}
		}
		r, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port+1)))
		if err != nil {
			_ = c.Close()
			why = err
			continue
		}
		return &socketPair{c, r, netip.AddrPortFrom(addr, port)}, nil
	}
	return nil, errors.Join(errors.New("no pair of free ports for media"), why)
}

func (m *media) port(section int) uint16 {
	if section < 0 || section >= len(m.sockets) {
		return 0
	}
	return m.sockets[section].local.Port()
}

// read counts what comes until the socket is closed.
func (m *media) read(section int, s *socketPair) {
	defer m.wg.Done()
	buf := make([]byte, 2048)
	for {
		n, from, err := s.rtp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 12 || buf[0]>>6 != 2 || buf[1] >= 192 && buf[1] <= 223 { // RTCP on the port: RFC 5761
			continue
		}
		now := time.Now()
		seq, ts := rtpNumbers(buf)
		key := heardStream{section, uint32(buf[8])<<24 | uint32(buf[9])<<16 | uint32(buf[10])<<8 | uint32(buf[11])}
		m.mu.Lock()
		st := m.streams[key]
		if st == nil && len(m.streams) < 64 {
			st = &codec.Stats{}
			m.streams[key] = st
		}
		if st != nil {
			st.Packet(seq, ts, now, 0)
		}
		m.mu.Unlock()
		m.tap(now, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), s.local, buf[:n])
	}
}

func (m *media) tap(at time.Time, src, dst netip.AddrPort, b []byte) {
	if m.wire != nil {
		m.wire(at, src, dst, b)
	}
}

// heard is what came, all sections together.
func (m *media) heard() (received, lost int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.streams {
		received += s.Packets
		lost += s.Lost()
	}
	return received, lost
}

// learn takes from a description where the far side wants media.
func (m *media) learn(d *sdp.Description, sender netip.Addr) {
	for i, s := range d.Media {
		if i >= len(m.remote) {
			return
		}
		a, err := d.RTP(s)
		if err != nil {
			a = netip.AddrPortFrom(sender, uint16(s.Port))
		}
		dir := d.Direction(s)
		m.remote[i] = remote{
			addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()),
			deaf: s.Port == 0 || a.Addr().IsUnspecified() || dir == "sendonly" || dir == "inactive",
		}
	}
}

// send sends a recorded packet; false: the far side wants none.
func (m *media) send(p packet) bool {
	if p.section >= len(m.sockets) {
		return false
	}
	to := m.remote[p.section]
	if to.deaf || !to.addr.IsValid() || to.addr.Port() == 0 {
		return false
	}
	s := m.sockets[p.section]
	if _, err := s.rtp.WriteToUDPAddrPort(p.data, to.addr); err != nil {
		return false
	}
	m.tap(time.Now(), s.local, to.addr, p.data)
	return true
}

// close closes the sockets and waits for their readers.
func (m *media) close() {
	for _, s := range m.sockets {
		_ = s.rtp.Close()
		_ = s.rtcp.Close()
	}
	m.wg.Wait()
}
