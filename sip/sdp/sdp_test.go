package sdp

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const offer = "v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns= \r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\na=x-odd:kept\r\n" +
	"m=audio 54400 RTP/AVP 0 8 96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendonly\r\n" +
	"m=video 0 RTP/AVP 31\r\n"

func TestWritesBackWhatItRead(t *testing.T) {
	d, err := Parse([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(offer, string(d.Bytes())); diff != "" {
		t.Errorf("changed on the way through (-in +out):\n%s", diff)
	}
	c := d.Clone()
	c.Media[0].Formats[0] = "9"
	c.Media[0].Lines[0].Value = "changed"
	if diff := cmp.Diff(offer, string(d.Bytes())); diff != "" {
		t.Errorf("changing a clone changed the original:\n%s", diff)
	}
}

func TestParseFaults(t *testing.T) {
	for _, c := range []struct{ in, err string }{
		{"", "empty description"},
		{"\r\n\r\n", "empty description"},
		{"m=audio 1 RTP/AVP 0", "empty description"},
		{"v=0\r\nhello", "line 2 \"hello\" is not of the form"},
		{"v=0\nm=audio\n", "line 2: media line"},
		{"v=0\nm=audio x RTP/AVP 0\n", "is not a number from 0 to 65535"},
		{"v=0\nm=audio 70000 RTP/AVP 0\n", "is not a number from 0 to 65535"},
		{"v=0\nm=audio 10/0 RTP/AVP 0\n", "port count"},
		{"v=0\n" + strings.Repeat("m=audio 1 RTP/AVP 0\n", maxMedia+1), "more than"},
		{strings.Repeat("v", MaxSize+1), "at most"},
	} {
		_, err := Parse([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%.30q: got %v, want %q", c.in, err, c.err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ name, lines, rtp, rtcp string }{
		{"session", "m=audio 4000 RTP/AVP 0", "192.0.2.1:4000", "192.0.2.1:4001"},
		{"media", "m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.9", "192.0.2.9:4000", "192.0.2.9:4001"},
		{"ttl", "m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127", "224.2.1.1:4000", "224.2.1.1:4001"},
		{"ipv6", "m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1", "[2001:db8::1]:4000", "[2001:db8::1]:4001"},
		{"rtcp port", "m=audio 4000 RTP/AVP 0\na=rtcp:5000", "192.0.2.1:4000", "192.0.2.1:5000"},
		{"rtcp address", "m=audio 4000 RTP/AVP 0\na=rtcp:5000 IN IP4 192.0.2.7", "192.0.2.1:4000", "192.0.2.7:5000"},
		{"mux", "m=audio 4000 RTP/AVP 0\na=rtcp-mux", "192.0.2.1:4000", "192.0.2.1:4000"},
	} {
		d, err := Parse([]byte("v=0\nc=IN IP4 192.0.2.1\n" + c.lines))
		if err != nil {
			t.Fatal(err)
		}
		rtp, err1 := d.RTP(d.Audio())
		rtcp, err2 := d.RTCP(d.Audio())
		if err1 != nil || err2 != nil || rtp != netip.MustParseAddrPort(c.rtp) || rtcp != netip.MustParseAddrPort(c.rtcp) {
			t.Errorf("%s: got %v %v (%v, %v), want %s %s", c.name, rtp, rtcp, err1, err2, c.rtp, c.rtcp)
		}
	}
	for _, c := range []string{"v=0\nm=audio 4 RTP/AVP 0", "v=0\nc=IN IP4 host.example\nm=audio 4 RTP/AVP 0", "v=0\nc=ATM\nm=audio 4 RTP/AVP 0"} {
		d, err := Parse([]byte(c))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := d.RTP(d.Audio()); err == nil {
			t.Errorf("%q gave address %v and no error", c, a)
		}
	}
}

func TestDirection(t *testing.T) {
	for _, c := range []struct{ session, media, want string }{
		{"", "", SendRecv},
		{"a=inactive\n", "", Inactive},
		{"a=inactive\n", "a=recvonly\n", RecvOnly},
		{"", "a=sendonly\n", SendOnly},
		{"", "c=IN IP4 0.0.0.0\n", SendOnly},
		{"", "c=IN IP4 0.0.0.0\na=recvonly\n", Inactive},
		{"", "c=IN IP6 ::\n", SendOnly},
	} {
		d, err := Parse([]byte("v=0\nc=IN IP4 192.0.2.1\n" + c.session + "m=audio 4000 RTP/AVP 0\n" + c.media))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Direction(d.Audio()); got != c.want {
			t.Errorf("%q %q: got %s, want %s", c.session, c.media, got, c.want)
		}
	}
}

func TestCodecs(t *testing.T) {
	d, err := Parse([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	want := []Codec{
		{PT: 0, Name: "PCMU", Clock: 8000, Channels: 1},
		{PT: 8, Name: "PCMA", Clock: 8000, Channels: 1},
		{PT: 96, Name: "opus", Clock: 48000, Channels: 2},
		{PT: 101, Name: "telephone-event", Clock: 8000, Channels: 1, Fmtp: "0-16"},
	}
	if diff := cmp.Diff(want, d.Audio().Codecs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Audio().Ptime() != 20 {
		t.Errorf("ptime %d", d.Audio().Ptime())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(offer))
	f.Add([]byte("v=0\nm=image 5000 udptl t38\nc=IN IP4 0.0.0.0"))
	seeds, _ := filepath.Glob("testdata/*.sdp")
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(d.Bytes())
		if err != nil {
			t.Fatalf("cannot read its own output: %v", err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("changed on the way through:\n%s", diff)
		}
		for _, m := range d.Media {
			m.Codecs()
			m.Ptime()
			d.Direction(m)
			_, _ = d.RTCP(m)
		}
	})
}
