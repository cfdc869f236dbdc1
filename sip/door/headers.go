package door

import (
	"slices"
	"strings"

	sipmsg "github.com/emiago/sipgo/sip"
)

// message is a request or a response.
type message interface {
	sipmsg.Message
	headed
	RemoveHeader(name string) bool
	ContentType() *sipmsg.ContentTypeHeader
}

// allow is what the door itself can do in a dialog.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, SUBSCRIBE, MESSAGE"

// hopByHop are the headers that belong to one leg and are made anew for the
// other (RFC 7092 section 3.1.3). Everything else passes unharmed.
var hopByHop = map[string]bool{
	"via": true, "v": true, "route": true, "record-route": true,
	"from": true, "f": true, "to": true, "t": true, "contact": true, "m": true,
	"call-id": true, "i": true, "cseq": true, "max-forwards": true,
	"content-length": true, "l": true, "content-type": true, "c": true,
	"supported": true, "k": true, "require": true, "proxy-require": true, "unsupported": true,
	"allow": true, "timestamp": true, "path": true, "service-route": true,
	"rseq": true, "rack": true, "session-expires": true, "x": true, "min-se": true,
	"x-portero-raw": true,
}

// ownOptions are the extensions that change how the door itself must act on a
// leg. What the door takes part in it names itself on each leg; of the rest
// neither side may think that the other has them.
var ownOptions = map[string]bool{
	"100rel": true, "timer": true, "outbound": true, "path": true, "gruu": true,
	"precondition": true, "multiple-refer": true, "early-session": true, "199": true, "siprec": true,
}

// passOptions are extensions that work end to end through the door without its
// doing, and so may be required.
var passOptions = map[string]bool{
	"histinfo": true, "privacy": true, "answermode": true, "resource-priority": true, "tdialog": true,
	"sec-agree": true, "uui": true, "geolocation-sip": true, "geolocation-http": true, "norefersub": true,
	"replaces": true,
}

// unsupported lists what a request requires and the door does not know
// (RFC 3261 section 8.2.2.3).
func (d *Door) unsupported(req *sipmsg.Request) []string {
	var bad []string
	for _, o := range options(req, "Require") {
		if !passOptions[o] && !d.takesPart(o) {
			bad = append(bad, o)
		}
	}
	return bad
}

// takesPart says whether the door itself does what an extension asks, on each
// leg for itself.
func (d *Door) takesPart(option string) bool {
	switch option {
	case "timer":
		return d.cfg.SessionTimers.Enabled
	case siprecOption: // from whom, inviteCopy has looked at
		return d.cfg.takesCopies()
	case "100rel", "precondition":
		return d.reliable()
	}
	return false
}

// header is the first header of a name, or of its compact form.
func header(m message, name, compact string) sipmsg.Header {
	if h := headerOf(m, name); h != nil {
		return h
	}
	return headerOf(m, compact)
}

// supports says whether a message's sender knows an extension.
func supports(m message, option string) bool {
	return slices.Contains(options(m, "Supported"), option) || slices.Contains(options(m, "k"), option)
}

// addSupported names an extension of the door's own among the supported.
func addSupported(m message, option string) {
	h := headerOf(m, "Supported")
	switch {
	case h == nil:
		m.AppendHeader(sipmsg.NewHeader("Supported", option))
	case !supports(m, option):
		m.RemoveHeader("Supported")
		m.AppendHeader(sipmsg.NewHeader("Supported", joined([]string{h.Value(), option})))
	}
}

// headed is what has headers.
type headed interface{ Headers() []sipmsg.Header }

// headerOf is the first header of a name, nil if there is none. sipgo's own search
// makes a lower-case copy of every name it passes.
func headerOf(m headed, name string) sipmsg.Header {
	for _, h := range m.Headers() {
		if isNamed(h, name) {
			return h
		}
	}
	return nil
}

// headersOf are all headers of a name, in order.
func headersOf(m headed, name string) (all []sipmsg.Header) {
	for _, h := range m.Headers() {
		if isNamed(h, name) {
			all = append(all, h)
		}
	}
	return all
}

func isNamed(h sipmsg.Header, name string) bool {
	n := h.Name()
	return len(n) == len(name) && strings.EqualFold(n, name)
}

// options returns the lower-case option tags of all headers of a name.
func options(m headed, name string) []string {
	var out []string
	for _, h := range m.Headers() {
		if !isNamed(h, name) {
			continue
		}
		for o := range strings.SplitSeq(h.Value(), ",") {
			if o = strings.ToLower(strings.TrimSpace(o)); o != "" {
				out = append(out, o)
			}
		}
	}
	return out
}

// passHeaders copies what is not hop by hop from one leg's message to the
// other's, in order. Portero's own headers are taken from nobody.
func passHeaders(from message, to sipmsg.Message) {
	var supported []string
	for _, h := range from.Headers() {
		name := strings.ToLower(h.Name())
		switch {
		case name == "supported" || name == "k":
			if o := foreign(h.Value()); o != "" {
				supported = append(supported, o)
			}
		case name == "allow":
			to.AppendHeader(sipmsg.NewHeader("Allow", without(h.Value(), "PRACK")))
		case name == "require": // what a leg's own extensions require is between the door and its peer
			if o := foreign(h.Value(), "precondition"); o != "" {
				to.AppendHeader(sipmsg.NewHeader("Require", o))
			}
		case hopByHop[name] || strings.HasPrefix(name, "x-portero-"):
		default:
			to.AppendHeader(sipmsg.HeaderClone(h))
		}
	}
	if len(supported) > 0 {
		to.AppendHeader(sipmsg.NewHeader("Supported", strings.Join(supported, ", ")))
	}
}

// foreign leaves out of a list of option tags those of the door's own legs, but
// for some.
func foreign(list string, and ...string) string {
	var out []string
	for _, o := range strings.Split(list, ",") {
		if o = strings.TrimSpace(o); o != "" && (!ownOptions[strings.ToLower(o)] || slices.Contains(and, strings.ToLower(o))) {
			out = append(out, o)
		}
	}
	return strings.Join(out, ", ")
}

// without removes one element of a comma list.
func without(list, element string) string {
	var out []string
	for _, e := range strings.Split(list, ",") {
		if e = strings.TrimSpace(e); e != "" && !strings.EqualFold(e, element) {
			out = append(out, e)
		}
	}
	return strings.Join(out, ", ")
}

// featureParams are the Contact parameters that say something of the caller
// (RFC 3840) and so go on with the call.
func featureParams(c *sipmsg.ContactHeader) sipmsg.HeaderParams {
	var out sipmsg.HeaderParams
	for _, kv := range c.Params {
		switch strings.ToLower(kv.K) {
		case "expires", "q", "reg-id", "+sip.instance", "pub-gruu", "temp-gruu", "alias":
		default:
			out = append(out, kv)
		}
	}
	return out
}
