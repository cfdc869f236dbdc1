package tap

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portero/portero/sip/trace"
)

// Limits of a collector.
const (
	maxSenders   = 256        // connections at a time; more are closed at once
	senderIdle   = time.Hour  // until a silent one is closed
	maxDatagram  = 64<<10 - 1 // what the length of HEP can say
	queuedFrames = 256        // of all connections, until they wait
	readBuffer   = 4 << 20    // bytes asked of the kernel for datagrams
	magicHEP3    = "HEP3"     // how each packet on a connection begins
	headHEP3     = 6          // bytes that say how long it is
)

// Collector receives what agents mirror by HEP: version 3 over TCP, versions 1
// to 3 over UDP.
type Collector struct {
	ctx     context.Context
	udp     *net.UDPConn
	tcp     net.Listener
	buf     []byte
	frames  chan []byte
	stop    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	senders map[net.Conn]bool
	refused atomic.Uint64
}

// OpenCollector listens at a place such as udp:0.0.0.0:9060 or tcp:[::1]:9060.
// The source ends when ctx does.
func OpenCollector(ctx context.Context, place string) (*Collector, error) {
	network, addr, ok := strings.Cut(place, ":")
	if !ok || network != "udp" && network != "tcp" {
		return nil, fmt.Errorf("%q is no place to listen at; write udp:ADDRESS:PORT or tcp:ADDRESS:PORT", place)
	}
	c := &Collector{ctx: ctx, buf: make([]byte, maxDatagram), stop: make(chan struct{}), senders: map[net.Conn]bool{}}
	if network == "udp" {
		a, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; write udp:ADDRESS:PORT", place, err)
		}
		if c.udp, err = net.ListenUDP("udp", a); err != nil {
			return nil, err
		}
		c.udp.SetReadBuffer(readBuffer) //nolint:errcheck // what the system allows is enough
		return c, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	c.tcp, c.frames = l, make(chan []byte, queuedFrames)
	c.ended.Add(1)
	go c.accept()
	return c, nil
}

// Addr is where it listens.
func (c *Collector) Addr() net.Addr {
	if c.udp != nil {
		return c.udp.LocalAddr()
	}
	return c.tcp.Addr()
}

// Next implements trace.Source.
func (c *Collector) Next() (trace.Packet, error) {
	if c.ctx.Err() != nil {
		return trace.Packet{}, io.EOF
	}
	if c.udp == nil {
		select {
		case b := <-c.frames:
			return trace.Packet{At: time.Now().UTC(), Link: trace.LinkHEP, Data: b}, nil
		case <-time.After(tick):
			return trace.Packet{At: time.Now().UTC()}, trace.ErrIdle
		case <-c.ctx.Done():
			return trace.Packet{}, io.EOF
		}
	}
	if err := c.udp.SetReadDeadline(time.Now().Add(tick)); err != nil {
		return trace.Packet{}, err
	}
	n, _, err := c.udp.ReadFromUDPAddrPort(c.buf)
	now := time.Now().UTC()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return trace.Packet{At: now}, trace.ErrIdle
	case err != nil:
		return trace.Packet{}, err
	}
	return trace.Packet{At: now, Link: trace.LinkHEP, Data: c.buf[:n]}, nil
}

func (c *Collector) accept() {
	defer c.ended.Done()
	for {
		conn, err := c.tcp.Accept()
		if err != nil {
			select {
			case <-c.stop:
				return
			case <-time.After(tick): // of files, say, there are too many
				continue
			}
		}
		c.mu.Lock()
		select {
		case <-c.stop: // Close has already closed all that it knew
			c.mu.Unlock()
			conn.Close() //nolint:errcheck // nothing was said
			return
		default:
		}
		full := len(c.senders) >= maxSenders
		if !full {
			c.senders[conn] = true
			c.ended.Add(1)
		}
		c.mu.Unlock()
		if full {
			c.refused.Add(1)
			conn.Close() //nolint:errcheck // nothing was said
			continue
		}
		go c.receive(conn)
	}
}

// receive reads the packets of one connection. One that sends anything else is
// closed.
func (c *Collector) receive(conn net.Conn) {
	defer c.ended.Done()
	defer func() {
		c.mu.Lock()
		delete(c.senders, conn)
		c.mu.Unlock()
		conn.Close() //nolint:errcheck // only read
	}()
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(senderIdle)); err != nil {
			return
		}
		head, err := r.Peek(headHEP3)
		if err != nil || string(head[:4]) != magicHEP3 {
			return
		}
		size := int(binary.BigEndian.Uint16(head[4:]))
		if size < headHEP3 {
			return
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		select {
		case c.frames <- b:
		case <-c.stop:
			return
		}
	}
}

// Refused says how many connections were one too many.
func (c *Collector) Refused() uint64 { return c.refused.Load() }

// Close ends listening and waits for what it started.
func (c *Collector) Close() error {
	if c.udp != nil {
		return c.udp.Close()
	}
	select {
	case <-c.stop:
		return nil
	default:
	}
	close(c.stop)
	err := c.tcp.Close()
	c.mu.Lock()
	for conn := range c.senders {
		conn.Close() //nolint:errcheck // only read
	}
	c.mu.Unlock()
	c.ended.Wait()
	return err
}
