package replay

import (
	sipmsg "github.com/emiago/sipgo/sip"
)

// parsedRequest is a request as sip/auth takes it: the method, the Request-URI,
// the answers to challenges and the body are all that a digest covers.
func parsedRequest(m *message) *sipmsg.Request {
	var uri sipmsg.Uri
	if err := sipmsg.ParseUri(string(m.uri()), &uri); err != nil {
		return nil
	}
	req := sipmsg.NewRequest(sipmsg.RequestMethod(m.method()), uri)
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, v := range m.all(name) {
			req.AppendHeader(sipmsg.NewHeader(name, string(v)))
		}
	}
	if len(m.body) > 0 {
		req.SetBody(m.body)
	}
	return req
}

// parsedResponse is a challenge as sip/auth takes it.
func parsedResponse(m *message) *sipmsg.Response {
	res := sipmsg.NewResponse(m.code(), "")
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, v := range m.all(name) {
			res.AppendHeader(sipmsg.NewHeader(name, string(v)))
		}
	}
	return res
}

// sign is what answers the challenges so far for one request; nil: nothing does.
func (c *call) sign(m *message) []credential {
	req := parsedRequest(m)
	if req == nil || c.auth.Sign(req) != nil {
		return nil
	}
	var out []credential
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, h := range req.GetHeaders(name) {
			out = append(out, credential{name, h.Value()})
		}
	}
	return out
}
