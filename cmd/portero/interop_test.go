package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestInterop plays the door against what it will meet: a real Asterisk, SIPp,
// baresip. It needs root, and the packages of testdata/interop/setup.
func TestInterop(t *testing.T) {
	b := makeBed(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *bed)
	}{
		{"SIPp", testSIPp},
		{"session timers", testTimers},
		{"refused", testRefused},
		{"Kamailio", testKamailio},
		{"calls", testCalls},
		{"callback", testCallback},
		{"transfers", testTransfers},
		{"registration", testRegistration},
		{"SIPREC", testSIPREC},
		{"same judge", testSameJudge},
		{"baresip", testBaresip},
		{"SRTP", testSRTP},
		{"codecs", testCodecs},
		{"baresip over TLS", testBaresipTLS},
		{"SIP.js", testSIPjs},
		{"browser", testBrowser},
		{"browser called", testBrowserCalled},
		{"JsSIP", testJsSIP},
		{"reload", testReload},
		{"drain", testDrain},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
}

// waitFor polls until ok, for 10 s.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s in vain for %s", what)
		}
	}
}

// udpListens says whether some process holds this UDP address, without taking
// it or sending to it.
func udpListens(addr string) bool {
	ap := netip.MustParseAddrPort(addr)
	a4 := ap.Addr().As4()
	// The kernel writes the address as a number of the machine's own order.
	want := strings.ToUpper(strconv.FormatUint(uint64(binary.NativeEndian.Uint32(a4[:]))|1<<32, 16)[1:] + ":" +
		strconv.FormatUint(uint64(ap.Port())|1<<16, 16)[1:])
	table, err := os.ReadFile("/proc/net/udp")
	return err == nil && strings.Contains(string(table), " "+want+" ")
}
