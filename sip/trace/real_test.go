package trace

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// real reads a capture of runs of real peers (testdata/interop/make-traces).
func real(t *testing.T, name string) (calls []*Call, others []*Exchange, sum Summary) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "traces", "real", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	sum, err = Read(f, Options{Others: func(x *Exchange) { others = append(others, x) }}, func(c *Call) { calls = append(calls, c) })
	if err != nil {
		t.Fatal(err)
	}
	return calls, others, sum
}

// TestRealPeers: what any run of those peers gives.
func TestRealPeers(t *testing.T) {
	t.Run("through Kamailio", func(t *testing.T) {
		calls, _, _ := real(t, "proxied.pcap")
		if len(calls) != 2 {
			t.Fatalf("%d calls", len(calls))
		}
		a, b := calls[0], calls[1]
		if a.Outcome != Answered || a.Methods["INVITE"] != 2 || a.Methods["BYE"] != 2 || !slices.Contains(a.Flags, "multi_hop") || a.Setup == nil || a.Duration == nil {
			t.Errorf("%+v", a)
		}
		if b.Outcome != Busy || *b.FinalCode != 486 {
			t.Errorf("%s", b.Outcome)
		}
		for _, c := range calls {
			if len(c.Hops) != 2 || c.Hops[0].Destination != c.Hops[1].Source || c.Hops[0].Messages+c.Hops[1].Messages != c.MessageCount || len(c.Links) != 0 {
				t.Errorf("%s: hops %+v, links %+v", c.CallID, c.Hops, c.Links)
			}
		}
	})
	t.Run("forked by Kamailio", func(t *testing.T) {
		calls, _, _ := real(t, "forked.pcap")
		if len(calls) != 1 || len(calls[0].Hops) != 3 || calls[0].Outcome != Answered || calls[0].Methods["CANCEL"] != 1 || !slices.Contains(calls[0].Flags, "multiple_early_dialogs") {
			t.Errorf("%+v", calls[0])
		}
	})
	t.Run("PRACK, T.38 and OPTIONS of SIPp", func(t *testing.T) {
		calls, others, sum := real(t, "extensions.pcap")
		if len(calls) != 2 || len(others) != 1 {
			t.Fatalf("%d calls, %d others", len(calls), len(others))
		}
		if got := strings.Join(calls[0].Flags, " "); got != "183 early_media_sdp prack 100rel" || *calls[0].RingCode != 183 {
			t.Errorf("flags %s", got)
		}
		if got := strings.Join(calls[1].Flags, " "); got != "reinvite t38" {
			t.Errorf("flags %s", got)
		}
		x := others[0]
		if x.Kind != "options" || x.FinalCode != nil || x.Hops[0].Repeats != x.Methods["OPTIONS"]-1 || sum.Others["options"] != 1 {
			t.Errorf("%+v", x)
		}
	})
	t.Run("baresip in G.722", func(t *testing.T) {
		calls, _, _ := real(t, "g722.pcap")
		if len(calls) != 1 || len(calls[0].Streams) != 2 || calls[0].Outcome != Answered || !strings.HasSuffix(calls[0].ByeFrom, ".20") {
			t.Fatalf("%+v", calls)
		}
		for _, s := range calls[0].Streams {
			if s.Codec != "G722" || s.Packets < 100 || s.Lost != 0 || s.Jitter <= 0 || s.Jitter > 20 {
				t.Errorf("%+v", s)
			}
		}
		if c := calls[0].Codecs; !slices.Equal(c, []string{"G722", "telephone-event"}) {
			t.Errorf("codecs %q", c)
		}
	})
	t.Run("through Asterisk", func(t *testing.T) {
		calls, _, _ := real(t, "b2b.pcap")
		if len(calls) != 2 {
			t.Fatalf("%d calls", len(calls))
		}
		for i, c := range calls {
			if len(c.Links) != 1 || c.Links[0].CallID != calls[1-i].CallID || c.Links[0].Kind != LinkLeg || c.Links[0].Sure != "certain" {
				t.Errorf("%s: links %+v", c.CallID, c.Links)
			}
			if len(c.Hops) != 1 || len(c.Streams) < 2 || c.CallerStream() == nil || c.CallerStream().Codec != "PCMU" {
				t.Errorf("%s: hops %+v, streams %+v", c.CallID, c.Hops, c.Streams)
			}
		}
	})
	t.Run("a page in Chromium", func(t *testing.T) {
		calls, _, sum := real(t, "chromium.pcap")
		if len(calls) != 1 || calls[0].Outcome != Answered || calls[0].Methods["BYE"] != 1 || len(calls[0].Streams) != 2 {
			t.Fatalf("%+v", calls)
		}
		for _, s := range calls[0].Streams {
			if s.Codec != "PCMU" || s.Packets < 100 || s.Lost != 0 || !s.SRTP {
				t.Errorf("%+v", s)
			}
		}
		if k := sum.Kinds; k["stun"] == 0 || k["dtls"] == 0 || k["rtcp"] == 0 {
			t.Errorf("kinds %v", k)
		}
	})
	t.Run("RTP of ffmpeg alone", func(t *testing.T) {
		calls, _, sum := real(t, "media.pcap")
		if len(calls) != 0 || len(sum.Strays) != 4 || sum.Kinds["rtcp"] == 0 {
			t.Fatalf("%d calls, streams %+v, kinds %v", len(calls), sum.Strays, sum.Kinds)
		}
		for _, s := range sum.Strays {
			// G.722's clock of 8 kHz and the guessed ones of the dynamic types: a wrong
			// one makes hundreds of milliseconds.
			if s.Lost != 0 || s.Packets < 10 || s.Jitter <= 0 || s.Jitter > 60 {
				t.Errorf("%+v", s)
			}
		}
	})
}
