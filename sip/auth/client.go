package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Client answers challenges with one set of credentials. It belongs to one
// dialog or registration and is not safe for concurrent use.
type Client struct {
	username, password, realm string
	spaces                    []*space
}

// space is a protection space: what a realm asked for last, and how often that
// nonce was used.
type space struct {
	header string // Authorization or Proxy-Authorization
	digest.Challenge
	count int
}

// NewClient makes a client; an empty realm answers the challenges of any.
func NewClient(username, password, realm string) *Client {
	return &Client{username: username, password: password, realm: realm}
}

// The reasons not to answer a challenge.
var (
	// ErrNotOurs: no challenge names the realm of the credentials.
	ErrNotOurs = errors.New("the challenge is of another realm")
	// ErrUnknown: no challenge of the realm is a digest that can be made.
	ErrUnknown = errors.New("no challenge is a digest of a known algorithm")
	// ErrRefused: the peer has seen these credentials and does not take them.
	ErrRefused = errors.New("the credentials were refused; are username and password right?")
)

// Challenged learns the challenges of a 401 or 407 to a request. After nil the
// request is to be sent again, signed anew.
func (c *Client) Challenged(res *sipmsg.Response, req *sipmsg.Request) error {
	named, header := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sipmsg.StatusProxyAuthRequired {
		named, header = "Proxy-Authenticate", "Proxy-Authorization"
	}
	ours, learnt := false, false
	done := map[string]bool{}
	for _, h := range res.GetHeaders(named) {
		ch, err := digest.ParseChallenge(h.Value())
		if err != nil || c.realm != "" && ch.Realm != c.realm {
			continue
		}
		ours = true
		// The first challenge of a realm that can be answered is the one that the
		// server likes best (RFC 8760 section 2.3).
		if done[ch.Realm] || !can(ch) {
			continue
		}
		done[ch.Realm] = true
		if c.refused(header, ch, req) {
			return ErrRefused
		}
		c.learn(header, ch)
		learnt = true
	}
	switch {
	case learnt:
		return nil
	case ours:
		return ErrUnknown
	}
	return ErrNotOurs
}

func can(ch *digest.Challenge) bool {
	for i := range ch.QOP {
		ch.QOP[i] = strings.TrimSpace(ch.QOP[i])
	}
	return digest.CanDigest(ch)
}

// refused says whether the request carried an answer to this realm that was
// fresh: a first use of its nonce. Of a nonce used before, the server may have
// forgotten without saying stale.
func (c *Client) refused(header string, ch *digest.Challenge, req *sipmsg.Request) bool {
	for _, h := range req.GetHeaders(header) {
		cr, err := digest.ParseCredentials(h.Value())
		if err != nil || cr.Realm != ch.Realm {
			continue
		}
		if cr.Nonce == ch.Nonce || !ch.Stale && cr.Nc <= 1 {
			return true
		}
	}
	return false
}

func (c *Client) learn(header string, ch *digest.Challenge) {
	for _, s := range c.spaces {
		if s.header == header && s.Realm == ch.Realm {
			s.Challenge, s.count = *ch, 0
			return
		}
	}
	c.spaces = append(c.spaces, &space{header: header, Challenge: *ch})
}

// Sign puts an answer to each realm that has challenged into a request, in place
// of older ones. Answers that somebody else put there, to other realms, stay.
func (c *Client) Sign(req *sipmsg.Request) error {
	for _, s := range c.spaces {
		remove(req, s.header, s.Realm)
		s.count++
		uri := req.Recipient
		cr, err := digest.Digest(&s.Challenge, digest.Options{
			Method: string(req.Method), URI: uri.String(), Count: s.count, Username: c.username, Password: c.password,
			GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(req.Body())), nil },
		})
		if err != nil {
			return fmt.Errorf("answering the challenge of realm %q: %w", s.Realm, err)
		}
		req.AppendHeader(sipmsg.NewHeader(s.header, cr.String()))
	}
	return nil
}

// remove takes out the credentials for a realm.
func remove(req *sipmsg.Request, header, realm string) {
	var keep []sipmsg.Header
	found := false
	for _, h := range req.GetHeaders(header) {
		if cr, err := digest.ParseCredentials(h.Value()); err == nil && cr.Realm == realm {
			found = true
			continue
		}
		keep = append(keep, h)
	}
	if !found {
		return
	}
	for req.RemoveHeader(header) {
	}
	for _, h := range keep {
		req.AppendHeader(h)
	}
}
