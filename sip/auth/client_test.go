package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"testing"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

func request(credentials ...string) *sipmsg.Request {
	req := sipmsg.NewRequest(sipmsg.INVITE, sipmsg.Uri{Scheme: "sip", User: "bob", Host: "biloxi.com"})
	for _, c := range credentials {
		req.AppendHeader(sipmsg.NewHeader("Authorization", c))
	}
	return req
}

func challenge(req *sipmsg.Request, code int, challenges ...string) *sipmsg.Response {
	res := &sipmsg.Response{StatusCode: code}
	name := "WWW-Authenticate"
	if code == 407 {
		name = "Proxy-Authenticate"
	}
	for _, c := range challenges {
		res.AppendHeader(sipmsg.NewHeader(name, c))
	}
	return res
}

// The digest is computed as RFC 7616 section 3.4.1 says, by hand.
func TestSign(t *testing.T) {
	hashes := map[string]func() hash.Hash{"": md5.New, "MD5": md5.New, "SHA-256": sha256.New}
	for _, tc := range []struct{ algorithm, qop string }{{"", ""}, {"MD5", ""}, {"MD5", "auth"}, {"SHA-256", "auth"}, {"SHA-256", "auth, auth-int"}, {"SHA-256", "auth-int"}} {
		t.Run(tc.algorithm+" "+tc.qop, func(t *testing.T) {
			asked := `Digest realm="biloxi.com", nonce="dcd98b"`
			if tc.algorithm != "" {
				asked += ", algorithm=" + tc.algorithm
			}
			if tc.qop != "" {
				asked += `, qop="` + tc.qop + `"`
			}
			c := NewClient("bob", "zanzibar", "")
			req := request()
			req.SetBody([]byte("v=0\r\n"))
			if err := c.Challenged(challenge(req, 401, asked), req); err != nil {
				t.Fatal(err)
			}
			if err := c.Sign(req); err != nil {
				t.Fatal(err)
			}
			got, err := digest.ParseCredentials(req.GetHeader("Authorization").Value())
			if err != nil {
				t.Fatal(err)
			}
			h := func(parts ...string) string {
				f := hashes[tc.algorithm]()
				f.Write([]byte(strings.Join(parts, ":")))
				return hex.EncodeToString(f.Sum(nil))
			}
			a1, a2 := h("bob", "biloxi.com", "zanzibar"), h("INVITE", "sip:bob@biloxi.com")
			if tc.qop == "auth-int" {
				a2 = h("INVITE", "sip:bob@biloxi.com", h("v=0\r\n"))
			}
			want := h(a1, "dcd98b", a2)
			if tc.qop != "" {
				want = h(a1, "dcd98b", "00000001", got.Cnonce, got.QOP, a2)
			}
			if got.Response != want || got.URI != "sip:bob@biloxi.com" || got.Username != "bob" {
				t.Errorf("got %+v, want the response %s", got, want)
			}
		})
	}
}

func TestChallenged(t *testing.T) {
	answered := func(nonce string, nc int) string {
		return fmt.Sprintf(`Digest username="bob", realm="a", nonce="%s", uri="sip:bob@biloxi.com", response="0", qop=auth, nc=%08x, cnonce="1"`, nonce, nc)
	}
	for name, tc := range map[string]struct {
		realm      string
		sent       []string
		challenges []string
		want       error
	}{
		"the first":                {"", nil, []string{`Digest realm="a", nonce="1"`}, nil},
		"of our realm":             {"a", nil, []string{`Digest realm="b", nonce="1"`, `Digest realm="a", nonce="1"`}, nil},
		"of another realm":         {"a", nil, []string{`Digest realm="b", nonce="1"`}, ErrNotOurs},
		"none":                     {"", nil, nil, ErrNotOurs},
		"no digest":                {"", nil, []string{`Bearer authz_server="https://a"`}, ErrNotOurs},
		"an unknown algorithm":     {"", nil, []string{`Digest realm="a", nonce="1", algorithm=SHA-9`}, ErrUnknown},
		"one of two algorithms":    {"", nil, []string{`Digest realm="a", nonce="1", algorithm=SHA-9`, `Digest realm="a", nonce="1", algorithm=MD5`}, nil},
		"stale":                    {"", []string{answered("1", 1)}, []string{`Digest realm="a", nonce="2", stale=true`}, nil},
		"refused":                  {"", []string{answered("1", 1)}, []string{`Digest realm="a", nonce="2"`}, ErrRefused},
		"refused, the same nonce":  {"", []string{answered("1", 3)}, []string{`Digest realm="a", nonce="1"`}, ErrRefused},
		"stale without a word":     {"", []string{answered("1", 3)}, []string{`Digest realm="a", nonce="2"`}, nil},
		"another realm was before": {"", []string{answered("1", 1)}, []string{`Digest realm="c", nonce="2"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(tc.sent...)
			if err := NewClient("bob", "zanzibar", tc.realm).Challenged(challenge(req, 401, tc.challenges...), req); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// What the caller answered to a challenge of his own stays; the client's own
// answers are replaced.
func TestSignReplaces(t *testing.T) {
	c := NewClient("bob", "zanzibar", "")
	theirs := `Digest username="anna", realm="b", nonce="9", uri="sip:b", response="0"`
	req := request(theirs)
	for range 2 {
		if err := c.Challenged(challenge(req, 401, `Digest realm="a", nonce="1", stale=true`), request()); err != nil {
			t.Fatal(err)
		}
		if err := c.Sign(req); err != nil {
			t.Fatal(err)
		}
	}
	all := req.GetHeaders("Authorization")
	if len(all) != 2 || all[0].Value() != theirs {
		t.Errorf("the request has %v", all)
	}
}
