package replay

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/portero/portero/sip/fingerprint"
)

func testTokens() *tokens { return newTokens(rand.New(rand.NewPCG(1, 2))) }

// A fresh token of every stack's form is another one and has the same shape in
// the fingerprint.
func TestTokensKeepTheirShape(t *testing.T) {
	k := testTokens()
	print := func(branch, tag, id string) string {
		return fingerprint.Of([]byte("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=" + branch +
			"\r\nFrom: <sip:a@b>;tag=" + tag + "\r\nTo: <sip:c@d>\r\nCall-ID: " + id + "\r\nCSeq: 1 INVITE\r\n\r\n")).Text
	}
	for _, c := range []struct{ name, branch, tag, id string }{
		{"sofia", "z9hG4bKKaQpF2g7H3g0c", "yaHv9jXv5ZtaN", "d8907723-0bc7-123b-09b5-12e962f3039b"},
		{"pjsip", "z9hG4bKPjf3a8c2e0-5c1f-4d57-8d0a-3f2e8f9b6a11", "0ab1c2d3-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "f3a8c2e0-5c1f-4d57-8d0a-3f2e8f9b6a11"},
		{"pjsip, its own alphabet", "z9hG4bKPjW3xkQm-7rVb2Lz9cYt8sNfHq1pDgJw5e", "W3xkQm-7rVb2Lz9cYt8sNfHq1pDgJw5e", "aB3xkQm-7rVb2Lz9cYt8sNfHq1pDgJw5e"},
		{"chan_sip", "z9hG4bK5f1a2b3c", "as3c5d7e9f", "0123456789abcdef0123456789abcdef@192.0.2.1:5060"},
		{"sipp", "z9hG4bK-4711-1-0", "4711SIPpTag001", "1-4711@192.0.2.1"},
		{"resiprocate", "z9hG4bK-d8754z-5f1a2b3c4d5e6f70-1---d8754z-", "5f1a2b3c", "MDhmYzM4NWE1Zjk4ZTE4NjE0ZmU5ZDJiNTM4ZTU."},
		{"newer resiprocate", "z9hG4bK-524287-1---5f1a2b3c4d5e6f70", "5f1a2b3c", "5f1a2b3c4d5e6f705f1a2b3c"},
		{"baresip", "z9hG4bK5f1a2b3c4d5e6f70", "5f1a2b3c4d5e6f70", "5f1a2b3c4d5e6f70"},
		{"linphone", "z9hG4bK.aB3xkQm7r", "Vb2Lz9cYt", "8sNfHq1pDg"},
		{"audiocodes", "z9hG4bKac1234567890", "1c987654321", "12345678901234567890@192.0.2.1"},
		{"jain", "z9hG4bK-373037-5f1a2b3c4d5e6f705f1a2b3c4d5e6f70", "5f1a2b3c", "5f1a2b3c4d5e6f705f1a2b3c4d5e6f70@0:0:0:0"},
		{"exosip", "z9hG4bK1234567890", "987654321", "192837465"},
		{"scanner", "z9hG4bK-1234567890", "313233", "1122334455"},
		{"an address in the branch", "z9hG4bKnp104984053-44ce4a41192.168.1.2", "6433ef9", "105090259-446faf7a@192.168.1.2"},
		{"no cookie", "12345", "x", "a"},
		{"capitals", "z9hG4bK5F1A2B3C", "5F1A2B3C-11E", "5F1A2B3C-4D5E6F70"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := print(c.branch, c.tag, c.id)
			for range 200 {
				branch, tag := k.like(c.branch), k.like(c.tag)
				id, _ := k.callID(c.id, 1, time.Now(), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7"))
				if got := print(branch, tag, id); got != want {
					t.Fatalf("%s %s %s is\n%s, not\n%s", branch, tag, id, got, want)
				}
				if len(c.id) > 1 && id == c.id || branch == c.branch {
					t.Errorf("%s %s is not fresh", branch, id)
				}
			}
		})
	}
}

// Digits that several tokens of a call share stay shared.
func TestTokensShareRuns(t *testing.T) {
	k := testTokens()
	id, _ := k.callID("1-4711@192.0.2.1", 1, time.Now(), netip.Addr{}, netip.Addr{})
	pid := id[2:6]
	if branch := k.like("z9hG4bK-4711-1-0"); branch[8:12] != pid {
		t.Errorf("Call-ID %s, branch %s", id, branch)
	}
	if tag := k.like("4711SIPpTag001"); tag[:4] != pid {
		t.Errorf("Call-ID %s, tag %s", id, tag)
	}
}

// A Call-ID of sofia-sip tells the time of the new call, and the CSeq follows
// from it as it must.
func TestSofiaClock(t *testing.T) {
	k := testTokens()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for old, cseq := range map[string]int{ // of public traces
		"b6c776f6-47ed-1230-0085-000f1f659e58": 30776798,
		"252a93d3-bdb2-1238-6185-06d91d68c9b0": 15623387,
		"d8907723-0bc7-123b-09b5-12e962f3039b": 48063641,
		"68f45bf5-aff2-123c-9193-0e9252b57157": 71162525,
	} {
		id, move := k.callID(old, cseq+1, now, netip.Addr{}, netip.Addr{})
		s, ok := sofiaSeconds(id)
		if !ok || s-ntpEpoch != now.Unix() || cseq+move != sofiaFirst(s) {
			t.Errorf("%s became %s, which says %d, CSeq moved by %d", old, id, s-ntpEpoch, move)
		}
		if id[18:] != old[18:] {
			t.Errorf("%s became %s: the machine changed", old, id)
		}
	}
	if _, move := k.callID("d8907723-0bc7-123b-09b5-12e962f3039b", 1, now, netip.Addr{}, netip.Addr{}); move != 0 {
		t.Error("a CSeq that does not follow from the clock was moved")
	}
}

func TestCallIDAddress(t *testing.T) {
	was4, was6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, c := range []struct {
		old, host string
		was, is   string
	}{
		{"12@192.0.2.1", "198.51.100.7", was4.String(), "198.51.100.7"},
		{"12@192.0.2.1:5060", "198.51.100.7:5060", was4.String(), "198.51.100.7"},
		{"12@192.0.2.9", "192.0.2.9", was4.String(), "198.51.100.7"},
		{"12@example.com", "example.com", was4.String(), "198.51.100.7"},
		{"12@[2001:db8::1]", "[2001:db8::7]", was6.String(), "2001:db8::7"},
	} {
		id, _ := testTokens().callID(c.old, 1, time.Now(), netip.MustParseAddr(c.was), netip.MustParseAddr(c.is))
		if _, host, _ := cutAt(id); host != c.host {
			t.Errorf("%s became %s, want @%s", c.old, id, c.host)
		}
	}
}

func cutAt(id string) (local, host string, ok bool) {
	for i := range len(id) {
		if id[i] == '@' {
			return id[:i], id[i+1:], true
		}
	}
	return id, "", false
}
