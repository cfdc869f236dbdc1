package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Who may open a WebSocket: path, subprotocol and Origin (RFC 7118 sections 4
// and 9, RFC 6455 section 10.2).
func TestWebSocketHandshake(t *testing.T) {
	d, at, _ := open(t, WS, nil)
	for _, c := range []struct {
		name, path, protocol, origin string
		status                       int
	}{
		{"no browser", "/sip", "sip", "", 101},
		{"one of several subprotocols", "/sip", "msrp, sip", "", 101},
		{"a page that may", "/sip", "sip", "https://phone.example.com", 101},
		{"a page that may not", "/sip", "sip", "https://evil.example", 403},
		{"the same host without TLS", "/sip", "sip", "http://phone.example.com", 403},
		{"a page of nowhere", "/sip", "sip", "null", 403},
		{"another path", "/", "sip", "", 404},
		{"another subprotocol", "/sip", "msrp", "", 400},
		{"no subprotocol", "/sip", "", "", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
				"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": c.protocol, "Origin": c.origin} {
				if v != "" {
					req.Header.Set(name, v)
				}
			}
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != c.status {
				t.Errorf("got %s, want %d", res.Status, c.status)
			}
			if c.status == 101 && res.Header.Get("Sec-WebSocket-Protocol") != "sip" {
				t.Errorf("the subprotocol is %q", res.Header.Get("Sec-WebSocket-Protocol"))
			}
		})
	}
	if d.count("websocket_handshake") != 6 {
		t.Errorf("%d refusals were counted", d.count("websocket_handshake"))
	}
}

// Text and binary, in one frame or in several, are messages alike.
func TestWebSocketFrames(t *testing.T) {
	d, at, cfg := open(t, WS, nil)
	p := connect(t, WS, at, cfg)
	for i, typ := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		w, err := p.web.Writer(t.Context(), typ)
		if err != nil {
			t.Fatal(err)
		}
		// coder/websocket writes a frame whenever its buffer of 4 KiB is full.
		msg := "MESSAGE sip:a SIP/2.0\r\nX: " + strings.Repeat("x", 1500) + "\r\n\r\n"
		for b := range strings.SplitAfterSeq(msg, "\r\n") {
			if _, err := w.Write([]byte(b)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		until(t, "the message", func() bool { return d.messages() == i+1 })
		if d.got[i] != msg {
			t.Errorf("got %q", d.got[i])
		}
		if got, err := p.read(5 * time.Second); err != nil || !strings.HasPrefix(got, "SIP/2.0 200") {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// A WebSocket whose peer no longer answers pings is closed.
func TestWebSocketPings(t *testing.T) {
	d, at, cfg := open(t, WS, func(l *Limits) { l.WebSocketPing, l.Pong = 50*time.Millisecond, 200*time.Millisecond })
	alive := connect(t, WS, at, cfg)
	go func() { // reading answers pings
		for {
			if _, err := alive.read(time.Minute); err != nil {
				return
			}
		}
	}()
	if err := alive.write(options); err != nil {
		t.Fatal(err)
	}
	dead := connect(t, WS, at, cfg)
	if err := dead.write(options); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of one", func() bool { return d.ends() == 1 && d.count("no_pong") == 1 })
	if d.layer.Connections() != 1 {
		t.Errorf("%d connections", d.layer.Connections())
	}
}

func TestCheckOrigin(t *testing.T) {
	for in, ok := range map[string]bool{
		"*": true, "https://phone.example.com": true, "http://localhost:8000": true,
		"phone.example.com": false, "https://phone.example.com/": false, "https://a/b": false, "": false, "https://u@a": false, "https://a?b": false,
	} {
		if err := CheckOrigin(in); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}
