//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// free is a loopback address that nobody has at the moment.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 87, 40)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// peerOf hands packets between caller and answerer as change says: it is given
// each packet on its way and returns what goes on.
func peerOf(t *testing.T, caller, answerer netip.AddrPort, change func(m []byte) [][]byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 87, 41)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			to := answerer
			if from.Port() == answerer.Port() {
				to = caller
			}
			for _, m := range change(buf[:n]) {
				if _, err := c.WriteToUDPAddrPort(m, to); err != nil {
					return
				}
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func loaded(t *testing.T, change func(m []byte) [][]byte, hold time.Duration) result {
	t.Helper()
	o := order{caller: free(t), answerer: free(t), run: 7, rate: 400, calls: 80, hold: hold}
	o.peer = o.answerer
	if change != nil {
		o.peer = peerOf(t, o.caller, o.answerer, change)
	}
	l, err := place(o)
	if err != nil {
		t.Fatal(err)
	}
	return l.result()
}

func TestNothingBetween(t *testing.T) {
	r := loaded(t, nil, 0)
	if r.Failed+r.Resent+r.Repeated+r.Reordered != 0 {
		t.Errorf("caller and answerer alone: %s", r)
	}
	if r.Invite.P50 <= 0 || r.Ring.P50 <= 0 || r.Answer.P50 <= r.Invite.P50 || r.Answer.P99 < r.Answer.P50 {
		t.Errorf("delays %+v", r)
	}
}

// What a peer loses is sent again and counted, and costs no call.
func TestLostMessages(t *testing.T) {
	seen := map[string]int{}
	r := loaded(t, func(m []byte) [][]byte {
		_, call, _ := readUser(header(m, "Call-ID"))
		key := strings.Fields(string(m))[0] + string(header(m, "Call-ID")) + string(header(m, "CSeq"))
		if seen[key]++; call%20 == 0 && seen[key] == 1 && !bytes.HasPrefix(m, []byte("SIP/2.0 180")) {
			return nil
		}
		return [][]byte{m}
	}, 0)
	if r.Failed != 0 || r.Resent < 4 {
		t.Errorf("every 20th call lost each of its messages once: %s", r)
	}
}

// A peer that hands a call's messages on in another order is found out.
func TestDisorder(t *testing.T) {
	var kept []byte
	r := loaded(t, func(m []byte) [][]byte {
		if bytes.HasPrefix(m, []byte("SIP/2.0 180")) && kept == nil {
			kept = bytes.Clone(m)
			return nil
		}
		if k := kept; k != nil && bytes.HasPrefix(m, []byte("SIP/2.0 200")) && bytes.Equal(header(k, "Call-ID"), header(m, "Call-ID")) {
			kept = nil
			return [][]byte{m, k}
		}
		return [][]byte{m}
	}, 0)
	if r.Reordered == 0 || r.Failed != 0 {
		t.Errorf("180 and 200 changed places: %s", r)
	}
}

// A refusal is acknowledged, and is a failure.
func TestRefusal(t *testing.T) {
	r := loaded(t, func(m []byte) [][]byte {
		if bytes.HasPrefix(m, []byte("SIP/2.0 200 OK")) && method(m) == "INVITE" {
			m = bytes.Replace(m, []byte("200 OK"), []byte("503 No"), 1)
		}
		return [][]byte{m}
	}, 0)
	if r.Failed != r.Calls || r.Why["refused with 503"] != r.Calls {
		t.Errorf("every call was refused: %s", r)
	}
}

func TestHeld(t *testing.T) {
	full := 0
	o := order{caller: free(t), answerer: free(t), run: 9, rate: 200, calls: 40, hold: time.Second}
	o.peer = o.answerer
	o.full = func(*load) { full++ }
	l, err := place(o)
	if err != nil {
		t.Fatal(err)
	}
	if r := l.result(); r.Failed != 0 || full != 1 {
		t.Errorf("held: %s; full was told %d times", r, full)
	}
	for i, c := range l.state {
		if c.byeSent < l.state[len(l.state)-1].answered {
			t.Fatalf("call %d hung up before all were up", i)
		}
	}
}

func TestRoutes(t *testing.T) {
	m := []byte("SIP/2.0 200 OK\r\nRecord-Route: <sip:a;lr>;x=1, <sip:b;lr>\r\nrecord-route: <sip:c;r2=on;lr>\r\n\r\n<sip:d>")
	if got, want := string(routes(m)), "Route: <sip:c;r2=on;lr>\r\nRoute: <sip:b;lr>\r\nRoute: <sip:a;lr>\r\n"; got != want {
		t.Errorf("route set %q, want %q", got, want)
	}
}

func TestOwnProcess(t *testing.T) {
	kib, err := memory(os.Getpid())
	if err != nil || kib < 100 {
		t.Errorf("memory of this test: %d KiB, %v", kib, err)
	}
	before, err := cpu(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
	}
	if after, err := cpu(os.Getpid()); err != nil || after <= before {
		t.Errorf("CPU went from %v to %v, %v", before, after, err)
	}
}
