package auth

import (
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
)

// Whatever a challenge says, the answer to it is one line.
func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256, opaque="o"`)
	f.Add(`Digest realm="a\"b", nonce="", stale=TRUE`)
	f.Add(`Digest realm=r,,nonce=n;`)
	f.Fuzz(func(t *testing.T, challenge string) {
		if strings.ContainsAny(challenge, "\r\n\x00") {
			return // ended before: package syntax
		}
		req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Scheme: "sip", Host: "h"})
		res := sipmsg.NewResponseFromRequest(req, 401, "Unauthorized", nil)
		res.AppendHeader(sipmsg.NewHeader("WWW-Authenticate", challenge))
		c := NewClient("u", "p", "")
		if c.Challenged(res, req) != nil || c.Sign(req) != nil {
			return
		}
		for _, h := range req.GetHeaders("Authorization") {
			if strings.ContainsAny(h.Value(), "\r\n\x00") {
				t.Fatalf("%q is answered with %q", challenge, h.Value())
			}
		}
	})
}
