package replay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What goes out is what was recorded, but for what must be new.
func TestRecordedBytes(t *testing.T) {
	f := newFar(t, "127.0.87.10", func(c *farCall) {
		c.reply(c.invite, "180 Ringing", "")
		c.answer()
	})
	res := against(t, f, basic(t), func(o *Options) { o.SpeedRTP = true })
	if len(res) != 1 || !res[0].Equal || !res[0].SameFingerprint || res[0].Flow.Sent != 10 || res[0].Flow.Received != 10 {
		t.Fatalf("%+v", res)
	}
	id := res[0].Now
	got := f.bytesOf("INVITE")
	m, err := parse([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	port := strings.Split(f.bytesOf("INVITE"), "m=audio ")[1]
	port, _, _ = strings.Cut(port, " ")
	body := "v=0\r\no=- 7 7 IN IP4 127.0.87.2\r\ns=tape\r\nc=IN IP4 127.0.87.2\r\nt=0 0\r\nm=audio " + port + " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
	want := fmt.Sprintf("INVITE sip:bob@%[1]s SIP/2.0\r\nv:  SIP/2.0/UDP 127.0.87.2:5060 ;rport;branch=%[2]s\r\nFROM: \"Al, ice\" <sip:alice@192.0.2.2>;tag=%[3]s\r\n"+
		"t:<sip:bob@127.0.87.10>\r\nCall-ID: %[4]s\r\ncSeQ: 7 INVITE\r\nm: <sip:alice@127.0.87.2:5060>\r\nX-Odd:\tkept \r\n  folded\r\nContent-Type: application/sdp\r\ncontent-LENGTH:  %[5]d\r\n\r\n%[6]s",
		f.local, m.branch(), m.tag("From"), id, len(body), body)
	if got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
	for _, c := range []struct{ token, frame string }{{m.branch(), "z9hG4bK5f1a2b3c"}, {m.tag("From"), "as3c5d7e9f"}, {id, "5f1a2b3c4d5e6f70@127.0.87.2"}} {
		if len(c.token) != len(c.frame) || c.token == c.frame {
			t.Errorf("%s is not a fresh one of the shape of %s", c.token, c.frame)
		}
	}
	if bye := f.bytesOf("BYE"); !strings.Contains(bye, "\r\ncSeQ: 8 BYE\r\n") || !strings.Contains(bye, "t:<sip:bob@127.0.87.10>;tag=f0\r\n") ||
		!strings.HasPrefix(bye, "BYE sip:"+f.local.String()+" ") || !strings.Contains(bye, "X-Odd:\tkept") {
		t.Errorf("sent %s", bye)
	}
	if f.said("ACK") != 1 || f.said("BYE") != 1 {
		t.Errorf("the far side heard %q", f.heard)
	}
}

// Where the flows part is said in words.
func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		name string
		plan func(*farCall)
		says string
	}{
		{"busy", func(c *farCall) { c.reply(c.invite, "486 Busy Here", "") }, "recorded: 180, 200 after 0.4 s; now: 486 after 0.0 s"},
		{"other ringing", func(c *farCall) { c.reply(c.invite, "183 Progress", c.sdp("0")); c.answer() }, "recorded: 180, 200 after 0.4 s; now: 183, 200 after 0.0 s"},
		{"hangs up first", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			c.answer()
			c.await("ACK")
			c.ask("BYE", "")
			c.await("200 BYE")
		}, "recorded: the caller hung up after 0.8 s; now: the far side hung up after 0.0 s"},
		{"codec", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.reply(c.invite, "200 OK", c.sdp("8 101")) }, "recorded: PCMU; now: PCMA"},
		{"asks", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			c.answer()
			c.await("ACK")
			c.ask("OPTIONS", "")
			c.await("200 OPTIONS")
			c.ask("INFO", "")
			c.await("200 INFO")
		}, "recorded: no request of the far side; now: the far side sent OPTIONS, INFO"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := against(t, newFar(t, "127.0.87.10", c.plan), basic(t), nil)
			if len(res) != 1 || res[0].Equal || len(res[0].Differences) != 1 || res[0].Differences[0].Says != c.says {
				t.Errorf("%+v", res)
			}
		})
	}
}

// The recorded call goes on with whatever the far side does.
func TestFarSide(t *testing.T) {
	ring := func(c *farCall) {
		c.reply(c.invite, "180 Ringing", "")
		c.answer()
		c.await("ACK")
	}
	t.Run("a lost 200 comes again and is acknowledged again", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			ring(c)
			c.answer()
			c.await("ACK")
		})
		if res := against(t, f, basic(t), nil); !res[0].Equal || f.said("ACK") != 2 {
			t.Errorf("%+v\n%q", res, f.heard)
		}
	})
	t.Run("an INVITE that is not heard comes again", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.await("INVITE")
			ring(c)
		})
		if res := against(t, f, basic(t), nil); !res[0].Equal || f.said("INVITE") != 2 {
			t.Errorf("%+v\n%q", res, f.heard)
		}
	})
	t.Run("re-INVITE to hold", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			ring(c)
			m := c.ask("INVITE", c.sdp("0 101")+"a=sendonly\r\n")
			res := c.await("200 INVITE")
			if res == nil {
				return
			}
			if !bytes.Contains(res.body, []byte("a=recvonly")) || !bytes.Contains(res.body, []byte("m=audio ")) || bytes.Contains(res.body, []byte(" 192.0.2.1")) {
				t.Errorf("the answer is %s", res.body)
			}
			_ = m
			c.await("200 INVITE") // until it is acknowledged
			c.cseq--
			c.ask("ACK", "")
		})
		res := against(t, f, basic(t), nil)
		if len(res[0].Differences) != 1 || res[0].Differences[0].Kind != "requests" || res[0].Flow.Sent == 10 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("UPDATE", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			ring(c)
			c.ask("UPDATE", c.sdp("0"))
			if res := c.await("200 UPDATE"); res != nil && !bytes.Contains(res.body, []byte(" RTP/AVP 0\r\n")) {
				t.Errorf("the answer is %s", res.body)
			}
		})
		against(t, f, basic(t), nil)
	})
	t.Run("reliable ringing", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "", "Require: 100rel", "RSeq: 41")
			if p := c.await("PRACK"); p != nil {
				if got := string(p.get("RAck")); got != "41 7 INVITE" {
					t.Errorf("RAck %q", got)
				}
				c.reply(p, "200 OK", "")
			}
			c.answer()
			c.await("ACK")
		})
		if res := against(t, f, basic(t), nil); !res[0].Equal || f.said("PRACK") != 1 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("two branches of a fork answer", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			ring(c)
			c.id.tag = "other"
			c.answer()
			c.await("ACK")
			if m := c.await("BYE"); m != nil {
				if m.tag("To") != "other" {
					t.Errorf("the BYE is to %q", m.tag("To"))
				}
				c.reply(m, "200 OK", "")
			}
			c.id.tag = "f0"
		})
		if res := against(t, f, basic(t), nil); !res[0].Equal {
			t.Errorf("%+v", res)
		}
	})
	t.Run("the far side ends what it ended in the recording", func(t *testing.T) {
		calls := newTape(t).say("> INVITE|"+head("1 INVITE", "")+"||sdp", "< 200|"+head("1 INVITE", "b1")+"||SDP", "> ACK|"+head("1 ACK", "b1"), "+1s",
			"< BYE|"+head("3 BYE", ""), "> 200|"+head("3 BYE", "")).load()
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.answer()
			c.await("ACK")
			c.ask("BYE", "")
			c.await("200 BYE")
		})
		if res := against(t, f, calls, nil); !res[0].Equal || res[0].Flow.Ended != "far" {
			t.Errorf("%+v", res)
		}
		// One that does not hang up is hung up on.
		f = newFar(t, "127.0.87.10", (*farCall).answer)
		res := against(t, f, calls, nil)
		if res[0].Equal || res[0].Flow.Ended != "caller" || time.Duration(res[0].Flow.EndedAt) < 500*time.Millisecond {
			t.Errorf("%+v", res)
		}
	})
}

// The caller gives up when it did, whatever has become of the call until then.
func TestCancel(t *testing.T) {
	calls := newTape(t).say("> INVITE|"+head("1 INVITE", "")+"||sdp", "< 180|"+head("1 INVITE", "b1"), "+800ms",
		"> CANCEL|"+head("1 CANCEL", ""), "< 200|"+head("1 CANCEL", "b1"), "< 487|"+head("1 INVITE", "b1"), "> ACK|"+head("1 ACK", "b1")).load()
	t.Run("cancelled", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			if m := c.await("CANCEL"); m != nil {
				if m.branch() != c.invite.branch() {
					t.Errorf("the CANCEL has branch %s, the INVITE %s", m.branch(), c.invite.branch())
				}
				c.reply(m, "200 OK", "")
			}
			c.reply(c.invite, "487 Request Terminated", "")
			if m := c.await("ACK"); m != nil && m.branch() != c.invite.branch() {
				t.Error("the ACK has another branch than the INVITE")
			}
		})
		res := against(t, f, calls, nil)
		if !res[0].Equal || time.Duration(res[0].Flow.EndedAt) < 150*time.Millisecond {
			t.Errorf("%+v", res)
		}
	})
	t.Run("answered before", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
		res := against(t, f, calls, nil)
		if res[0].Equal || f.said("BYE") != 1 || f.said("CANCEL") != 0 || time.Duration(res[0].Flow.EndedAt) < 150*time.Millisecond {
			t.Errorf("%+v", res)
		}
	})
	t.Run("answered meanwhile", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			if m := c.await("CANCEL"); m != nil {
				c.reply(m, "200 OK", "")
			}
			c.answer()
		})
		if res := against(t, f, calls, nil); res[0].Equal || f.said("BYE") != 1 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("before anything was heard", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			time.Sleep(350 * time.Millisecond)
			c.reply(c.invite, "100 Trying", "")
			c.await("CANCEL")
			c.reply(c.invite, "487 Request Terminated", "")
		})
		against(t, f, calls, nil)
		if f.said("CANCEL") != 1 {
			t.Errorf("%q", f.heard)
		}
	})
}

// The captures of this project are placed again, whatever carried them.
func TestOwnCaptures(t *testing.T) {
	for _, c := range []struct {
		file string
		plan func(*farCall)
		sent int
	}{
		{"key.pcap", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() }, 150},
		{"proxied.pcap", func(c *farCall) {
			c.reply(c.invite, "180 Ringing", "")
			c.answer()
			c.await("ACK")
			if m := c.await("INVITE"); m != nil {
				c.reply(m, "200 OK", c.sdp("0"))
			}
		}, -1},
		{"busy-tcp6.pcapng", func(c *farCall) { c.reply(c.invite, "486 Busy Here", "") }, 0},
	} {
		t.Run(c.file, func(t *testing.T) {
			calls := loadFile(t, c.file)
			res := against(t, newFar(t, "127.0.87.10", c.plan), calls, func(o *Options) { o.SpeedRTP = true })
			if len(res) != 1 || !res[0].Equal || !res[0].SameFingerprint || c.sent >= 0 && res[0].Flow.Sent != c.sent || res[0].Flow.Sent > res[0].Recorded.Sent {
				t.Errorf("%+v", res)
			}
		})
	}
}
