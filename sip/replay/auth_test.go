package replay

import (
	"strings"
	"testing"

	"github.com/icholy/digest"
)

// challenge refuses a request until it bears the credentials of ana, secret; it
// returns the request that does, nil when none came.
func (c *farCall) challenge(req *message, status, asks, bears string) *message {
	chal := &digest.Challenge{Realm: "far", Nonce: "n" + req.branch(), Algorithm: "MD5", QOP: []string{"auth"}}
	c.reply(req, status, "", asks+": "+chal.String())
	if req.method() == "INVITE" {
		c.await("ACK")
	}
	again := c.await(req.method())
	if again == nil {
		return nil
	}
	cr, err := digest.ParseCredentials(string(again.get(bears)))
	if err != nil {
		c.t.Errorf("%s: %v", bears, err)
		return nil
	}
	want, err := digest.Digest(chal, digest.Options{Method: req.method(), URI: cr.URI, Username: "ana", Password: "secret", Count: cr.Nc, Cnonce: cr.Cnonce})
	if err != nil || want.Response != cr.Response || cr.Username != "ana" {
		return nil
	}
	return again
}

// challenged is a recorded call whose INVITE was challenged.
func challenged(t testing.TB) []*Recording {
	return newTape(t).say("> INVITE|"+head("7 INVITE", "")+"||sdp", "< 407|"+head("7 INVITE", "c1"), "> ACK|"+head("7 ACK", "c1"),
		"> INVITE|"+head("8 INVITE", "")+"|proxy-authorization:  Digest username=\"al\", realm=\"old\", response=\"stale\"|X-Second: yes||sdp",
		"< 180|"+head("8 INVITE", "b1"), "< 200|"+head("8 INVITE", "b1")+"||SDP", "> ACK|"+head("8 ACK", "b1"), "+200ms",
		"> BYE|"+head("9 BYE", "b1"), "< 200|"+head("9 BYE", "b1")).load()
}

func TestChallenges(t *testing.T) {
	ana := func(o *Options) { o.User, o.Password = "ana", "secret" }
	plan := func(status, asks, bears string) func(*farCall) {
		return func(c *farCall) {
			again := c.challenge(c.invite, status, asks, bears)
			if again == nil {
				c.reply(c.invite, "403 Forbidden", "")
				return
			}
			c.invite = again
			c.reply(again, "180 Ringing", "")
			c.answer()
			c.await("ACK")
			// The BYE is challenged with another nonce.
			if bye := c.await("BYE"); bye != nil {
				if bye = c.challenge(bye, status, asks, bears); bye != nil {
					c.reply(bye, "200 OK", "")
				}
			}
		}
	}
	t.Run("as recorded", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", plan("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"))
		res := against(t, f, challenged(t), ana)
		if len(res) != 1 || !res[0].Equal || f.said("BYE") != 2 {
			t.Fatalf("%+v\n%q", res, f.heard)
		}
		// The INVITE with credentials is the recorded one.
		second := f.raw[2]
		if !strings.Contains(second, "X-Second: yes") || strings.Contains(second, "stale") || strings.Contains(second, "secret") ||
			!strings.Contains(second, "\r\ncSeQ: 8 INVITE\r\n") {
			t.Errorf("sent %s", second)
		}
	})
	t.Run("never recorded", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", plan("401 Unauthorized", "WWW-Authenticate", "Authorization"))
		res := against(t, f, basic(t), ana)
		if len(res) != 1 || len(res[0].Differences) != 1 || res[0].Differences[0].Says != "recorded: 180, 200 after 0.4 s; now: 401, 180, 200 after 0.0 s" {
			t.Errorf("%+v", res)
		}
	})
	t.Run("recorded and not asked for", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) { c.reply(c.invite, "180 Ringing", ""); c.answer() })
		res := against(t, f, challenged(t), ana)
		if len(res[0].Differences) != 1 || f.said("INVITE") != 1 || strings.Contains(f.raw[0], "uthorization") {
			t.Errorf("%+v", res)
		}
	})
	t.Run("without credentials", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			c.reply(c.invite, "407 Proxy Authentication Required", "", `Proxy-Authenticate: Digest realm="far", nonce="1"`)
		})
		res := against(t, f, challenged(t), nil)
		if len(res[0].Differences) != 1 || res[0].Flow.Ended != "refused" || f.said("ACK") != 1 {
			t.Errorf("%+v", res)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		f := newFar(t, "127.0.87.10", func(c *farCall) {
			req := c.invite
			for range 2 {
				c.reply(req, "407 Proxy Authentication Required", "", `Proxy-Authenticate: Digest realm="far", nonce="`+req.branch()+`", qop="auth"`)
				c.await("ACK")
				if req.index("Proxy-Authorization") >= 0 {
					return
				}
				if req = c.await("INVITE"); req == nil {
					return
				}
			}
		})
		res := against(t, f, challenged(t), func(o *Options) { o.User, o.Password = "ana", "wr0ng" })
		if res[0].Equal || res[0].Flow.Ended != "refused" || !strings.Contains(res[0].Note, "refused") || strings.Contains(res[0].Note, "wr0ng") {
			t.Errorf("%+v", res)
		}
	})
}
