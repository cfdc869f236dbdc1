package door

import (
	"strconv"
	"testing"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/sip/sdp"
)

func TestSessionExpires(t *testing.T) {
	for _, c := range []struct {
		name, value string
		interval    time.Duration
		refresher   string
	}{
		{"Session-Expires", "1800", 30 * time.Minute, ""},
		{"Session-Expires", "1800;refresher=uac", 30 * time.Minute, byUAC},
		{"x", " 90 ; Refresher = UAS ;other", 90 * time.Second, byUAS},
		{"Session-Expires", "4294967295", 4294967295 * time.Second, ""},
		{"Session-Expires", "4294967296", 0, ""},
		{"Session-Expires", "-1", 0, ""},
		{"Session-Expires", "soon", 0, ""},
		{"Session-Expires", "", 0, ""},
		{"Expires", "1800", 0, ""},
	} {
		req := request(sipmsg.INVITE, "", "")
		req.AppendHeader(sipmsg.NewHeader(c.name, c.value))
		if interval, refresher := sessionExpires(req); interval != c.interval || refresher != c.refresher {
			t.Errorf("%s: %s: got %v %q, want %v %q", c.name, c.value, interval, refresher, c.interval, c.refresher)
		}
	}
}

func TestTooShort(t *testing.T) {
	cfg := SessionTimers{Enabled: true, Expires: 30 * time.Minute, MinSE: 90 * time.Second}
	off := cfg
	off.Enabled = false
	for _, c := range []struct {
		cfg                SessionTimers
		method             sipmsg.RequestMethod
		supported, expires string
		want               bool
	}{
		{cfg, sipmsg.INVITE, "timer", "89", true},
		{cfg, sipmsg.UPDATE, "100rel, timer", "10", true},
		{cfg, sipmsg.INVITE, "timer", "90", false},
		{cfg, sipmsg.INVITE, "timer", "", false},
		{cfg, sipmsg.INVITE, "100rel", "10", false}, // put in by a proxy
		{cfg, sipmsg.MESSAGE, "timer", "10", false},
		{off, sipmsg.INVITE, "timer", "10", false},
	} {
		req := request(c.method, "", "")
		req.AppendHeader(sipmsg.NewHeader("Supported", c.supported))
		if c.expires != "" {
			req.AppendHeader(sipmsg.NewHeader("Session-Expires", c.expires))
		}
		bad, least := c.cfg.tooShort(req)
		if bad != c.want || bad && least.Value() != "90" {
			t.Errorf("%s Supported: %s Session-Expires: %s: got %v %v", c.method, c.supported, c.expires, bad, least)
		}
	}
}

// A peer cannot have the door ask for ever.
func TestLonger(t *testing.T) {
	l := &leg{}
	tries := 0
	for asked := 90; tries < 100; asked, tries = asked+1, tries+1 {
		req := request(sipmsg.INVITE, "", "")
		req.AppendHeader(sipmsg.NewHeader("Session-Expires", strconv.Itoa(asked)))
		res := sipmsg.NewResponse(422, "Session Interval Too Small")
		res.AppendHeader(sipmsg.NewHeader("Min-SE", strconv.Itoa(asked+1)))
		if !l.longer(req, res) {
			break
		}
	}
	if tries != maxRaised {
		t.Errorf("asked %d times again, want %d", tries, maxRaised)
	}
	for _, c := range []struct{ asked, least string }{{"90", "90"}, {"90", ""}, {"90", "86401"}, {"", "100"}} {
		req := request(sipmsg.INVITE, "", "")
		req.AppendHeader(sipmsg.NewHeader("Session-Expires", c.asked))
		res := sipmsg.NewResponse(422, "Session Interval Too Small")
		res.AppendHeader(sipmsg.NewHeader("Min-SE", c.least))
		if (&leg{}).longer(req, res) {
			t.Errorf("Session-Expires %q, Min-SE %q: asked again", c.asked, c.least)
		}
	}
}

// RFC 3261 section 14.1: the owner of the Call-ID waits longer than the other
// side can.
func TestGlareDelay(t *testing.T) {
	for range 1000 {
		theirs, ours := (&leg{uas: true}).glareDelay(), (&leg{}).glareDelay()
		if theirs < 0 || theirs > 2*time.Second || ours < 2100*time.Millisecond || ours > 4*time.Second {
			t.Fatalf("%v as not the owner, %v as the owner", theirs, ours)
		}
	}
}

func TestRetryAfterOf(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"5": 5 * time.Second, "18000;duration=3600": 5 * time.Minute, "120 (in a meeting)": 2 * time.Minute, "": 0, "never": 0, "-4": 0,
	} {
		res := sipmsg.NewResponse(500, "Server Internal Error")
		res.AppendHeader(sipmsg.NewHeader("Retry-After", in))
		if got := retryAfterOf(res); got != want {
			t.Errorf("Retry-After: %s: got %v, want %v", in, got, want)
		}
	}
}

// Silence ends no call in which a side holds or sends a fax.
func TestHeld(t *testing.T) {
	for _, c := range []struct {
		name, media string
		held        bool
	}{
		{"talking", "m=audio 4000 RTP/AVP 0\n", false},
		{"sendonly", "m=audio 4000 RTP/AVP 0\na=sendonly\n", true},
		{"inactive", "m=audio 4000 RTP/AVP 0\na=inactive\n", true},
		{"address 0.0.0.0", "m=audio 4000 RTP/AVP 0\nc=IN IP4 0.0.0.0\n", true},
		{"address ::", "m=audio 4000 RTP/AVP 0\nc=IN IP6 ::\n", true},
		{"fax", "m=audio 0 RTP/AVP 0\nm=image 4000 udptl t38\n", true},
	} {
		d, err := sdp.Parse([]byte("v=0\nc=IN IP4 192.0.2.1\n" + c.media))
		if err != nil {
			t.Fatal(err)
		}
		call := &call{caller: &leg{theirs: d}}
		if got := call.held(); got != c.held {
			t.Errorf("%s: held %v", c.name, got)
		}
	}
}
