package trace

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/portero/portero/sip/hep"
)

// wsFrame is a frame of RFC 6455 section 5.2.
func wsFrame(first byte, payload string, mask string) string {
	size := []byte{byte(len(payload))}
	switch {
	case len(payload) > 65535:
		size = append([]byte{127, 0, 0, 0, 0}, be16(len(payload)>>16)...)
		size = append(size, be16(len(payload)&0xffff)...)
	case len(payload) > 125:
		size = append([]byte{126}, be16(len(payload))...)
	}
	if mask == "" {
		return string(cat([]byte{first}, size, payload))
	}
	size[0] |= 0x80
	masked := []byte(payload)
	for i := range masked {
		masked[i] ^= mask[i%4]
	}
	return string(cat([]byte{first}, size, mask, masked))
}

const (
	wsRequest  = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
	wsResponse = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)

// deflated compresses messages one after the other, as RFC 7692 section 7.2.1 has it.
func deflated(t testing.TB, messages ...string) (out []string) {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		b.Reset()
		if _, err := w.Write([]byte(m)); err != nil || w.Flush() != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSuffix(b.String(), "\x00\x00\xff\xff"))
	}
	return out
}

func TestWebSocket(t *testing.T) {
	one, two, three := sipText("one", 10), sipText("two", 300), sipText("three", 70000)
	z := deflated(t, one, two, one)
	bomb := deflated(t, strings.Repeat("x", 1<<20))
	const m = "\x12\x34\x56\x78"
	text := func(s string) string { return wsFrame(0x81, s, m) }
	for _, c := range []struct {
		name, stream string
		want         string
	}{
		{"masked", wsRequest + text(one) + text(two) + text(three), "one two three"},
		{"not masked", wsResponse + wsFrame(0x81, one, "") + wsFrame(0x82, two, ""), "one two"},
		{"in parts, a ping between", wsRequest + wsFrame(0x01, two[:100], m) + wsFrame(0x89, "ping", m) + wsFrame(0x00, two[100:200], m) + wsFrame(0x80, two[200:], m) + text(one), "two one"},
		{"keep-alives and others", wsRequest + text("\r\n\r\n") + wsFrame(0x8a, "", m) + text(`{"jsonrpc":"2.0"}`) + text(one), "one"},
		{"compressed, with what came before", wsRequest + wsFrame(0xc1, z[0], m) + wsFrame(0xc1, z[1], m) + wsFrame(0xc1, z[2], m), "one two one"},
		{"compressed in parts", wsRequest + wsFrame(0x41, z[0][:9], m) + wsFrame(0x80, z[0][9:], m) + text(two), "one two"},
		{"a bomb", wsRequest + wsFrame(0xc1, bomb[0], m) + text(one), "one"},
		{"too long a frame", wsRequest + wsFrame(0x81, strings.Repeat("x", maxMessage+1), m) + text(one), "one"},
		{"too many parts", wsRequest + wsFrame(0x01, "INVITE", m) + strings.Repeat(wsFrame(0x00, strings.Repeat("x", 60000), m), 3) + text(one), "one"},
		{"begins in the middle", text(two) + text(one), "two one"},
		{"another request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + text(one), ""},
		{"no WebSocket after all", wsRequest + wsFrame(0x83, "x", m) + text(one), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 13, 1460, 1 << 20} {
				if size < 20 && (len(c.stream) > 60000 || c.name == "begins in the middle") { // too little to show what it is
					continue
				}
				if got, transport := streamed(c.stream, size, -1); got != c.want || got != "" && transport != "ws" {
					t.Errorf("in segments of %d: got %q over %s, want %q", size, got, transport, c.want)
				}
			}
			// Cut anywhere, nothing may break.
			for i := 0; i < len(c.stream); i += 1 + len(c.stream)/300 {
				streamed(c.stream[:i], 1<<20, -1)
			}
		})
	}
	// A segment is missing, and the next frames are found again.
	stream := wsRequest
	for i := range 30 {
		stream += text(sipText(fmt.Sprint("m", i), 200))
	}
	if got, _ := streamed(stream, 500, 3); strings.Count(got, "m") < 27 || !strings.HasSuffix(got, "m28 m29") {
		t.Errorf("with a gap: %q", got)
	}
}

// streamed sends a stream of bytes from alice to bob in segments, of which one
// may be missing, and tells the Call-IDs found.
func streamed(stream string, size, missing int) (ids, transport string) {
	flows := &tcpFlows{}
	syn := segment{tcp: true, syn: missing < 0, src: alice, dst: bob, at: start, seq: 99}
	if missing < 0 && !strings.HasPrefix(stream, "\x81") {
		flows.add(&syn, nil)
	}
	for i := 0; i*size < len(stream); i++ {
		if i == missing {
			continue
		}
		s := segment{tcp: true, src: alice, dst: bob, at: start.Add(time.Duration(i) * time.Second), seq: uint32(100 + i*size), payload: []byte(stream[i*size : min(len(stream), (i+1)*size)])}
		flows.add(&s, func(s *segment) {
			if m, ok := parseMessage(s.payload); ok {
				ids, transport = strings.TrimSpace(ids+" "+m.callID), s.transport
			}
		})
	}
	flows.flush(func(s *segment) {
		if m, ok := parseMessage(s.payload); ok {
			ids, transport = strings.TrimSpace(ids+" "+m.callID), s.transport
		}
	})
	return ids, transport
}

// tap notes what goes over a client's connection, both ways.
type tap struct {
	net.Conn
	mu  *sync.Mutex
	log *[]written
}

func (c tap) note(client bool, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.log = append(*c.log, written{client, bytes.Clone(b)})
}

func (c tap) Write(b []byte) (int, error) { c.note(true, b); return c.Conn.Write(b) }

func (c tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.note(false, b[:n])
	return n, err
}

// TestWebSocketOfALibrary: both ends are another's work, with and without TLS
// and compression.
func TestWebSocketOfALibrary(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, mode := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"sip"}, CompressionMode: mode, CompressionThreshold: 1})
				if err != nil {
					t.Error(err)
					return
				}
				for {
					kind, b, err := c.Read(r.Context())
					if err != nil {
						return
					}
					if err := c.Write(r.Context(), kind, bytes.Replace(b, []byte("Call-ID: "), []byte("Call-ID: r"), 1)); err != nil {
						return
					}
				}
			}))
			var keys bytes.Buffer
			var o spokenTLS
			var mu sync.Mutex
			if secure {
				server.StartTLS()
			} else {
				server.Start()
			}
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &keys}, //nolint:gosec // of this test
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, addr)
					return tap{c, &mu, &o.writes}, err
				}}
			ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
			c, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{Subprotocols: []string{"sip"}, CompressionMode: mode, CompressionThreshold: 1, HTTPClient: &http.Client{Transport: transport}})
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			for i := range 5 {
				if err := c.Write(ctx, websocket.MessageText, []byte(sipText(fmt.Sprint("m", i), 300*i))); err != nil {
					t.Fatal(err)
				}
				if _, _, err := c.Read(ctx); err != nil {
					t.Fatal(err)
				}
				want += fmt.Sprintf(" m%d rm%d", i, i)
			}
			c.CloseNow() //nolint:errcheck // of this test
			server.Close()
			stop()
			mu.Lock()
			got, over, _ := heard(t, keys.String(), o.segments(700))
			mu.Unlock()
			if got != strings.TrimSpace(want) || over != map[bool]string{false: "ws", true: "wss"}[secure] {
				t.Errorf("secure %v, compression %v: got %q over %s", secure, mode, got, over)
			}
		}
	}
}

func TestHEPOverTCP(t *testing.T) {
	text := func(id string) string { return sipText(id, 100) }
	one := string(mirrored(t, hep.Packet{Protocol: hep.SIP, Transport: hep.TLS, Source: alice, Destination: bob, At: start, Payload: []byte(text("one"))}))
	rtcp := string(mirrored(t, hep.Packet{Protocol: hep.RTCP, Source: alice, Destination: bob, At: start, Payload: []byte(`{"a":1}`)}))
	two := string(mirrored(t, hep.Packet{Protocol: hep.SIP, Transport: hep.UDP, Source: bob, Destination: alice, At: start, Payload: []byte(text("two"))}))
	for _, c := range []struct{ name, stream, want, transport string }{
		{"several", one + rtcp + two, "one two", "udp"},
		{"a wrong length", "HEP3\x00\x03\x00" + one, "one", "tls"},
		{"rubbish between", one + "rubbish" + two, "one two", "udp"},
		{"cut", one + two[:80], "one", "tls"},
	} {
		for _, size := range []int{1, 9, 1460} {
			if got, transport := streamed(c.stream, size, -1); got != c.want || transport != c.transport {
				t.Errorf("%s in segments of %d: got %q over %s", c.name, size, got, transport)
			}
		}
	}
	if got, _ := streamed(one+one+one+two+two+two, 2*len(one)+10, 1); got != "one one two" {
		t.Errorf("with a gap: %q", got)
	}
}
