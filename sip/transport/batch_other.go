//go:build !linux || !(amd64 || arm64)

package transport

import "net"

func batchOf(c *net.UDPConn) packetConn { return anyUDP{c} }
