//go:build !linux

package transport

import (
	"net"
	"net/netip"
)

// ListenUDP opens one socket: sharing an address spreads peers on Linux only.
func ListenUDP(addr netip.AddrPort, _ int) ([]net.PacketConn, error) {
	pc, err := net.ListenUDP(network("udp", addr), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	_ = pc.SetReadBuffer(ReceiveBuffer) // the system may grant less
	return []net.PacketConn{pc}, nil
}
