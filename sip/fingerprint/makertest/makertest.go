// Package makertest writes SIP messages as known stacks do, for tests: each call
// of a make has its own tokens, numbers and addresses.
package makertest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Wire turns a readable message into wire form.
func Wire(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n"))
}

// LiveKitAllow is the order of methods that livekit/sip writes; Zoiper writes the
// same, so that it proves nothing alone.
const LiveKitAllow = "INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE"

// Tokens fills in what changes from call to call.
type Tokens struct{ r *rand.Rand }

// NewTokens gives those of one call; the same number gives the same.
func NewTokens(call uint64) Tokens { return Tokens{rand.New(rand.NewPCG(1, call))} }

func (t Tokens) from(letters string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[t.r.IntN(len(letters))]
	}
	return string(b)
}

func (t Tokens) hex(n int) string { return t.from("0123456789abcdef", n) }
func (t Tokens) dec(n int) string { return t.from("123456789", 1) + t.from("0123456789", n-1) }
func (t Tokens) b62(n int) string {
	return t.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", n)
}

// alphabet is sofia-sip's.
const alphabet = "aBcDeFgHjKmNpQrStUvXyZ0123456789"

func (t Tokens) sofia() string { return t.from(alphabet, 12) + t.from(alphabet[:16], 1) }

// sofiaIDs makes a Call-ID of some moment and the CSeq that goes with it: a
// version 1 UUID that counts from 1900 where 1970 is meant (su_uniqueid.c), and
// half the seconds since 1900 (nta.c).
func (t Tokens) sofiaIDs() (callID, cseq string) {
	seconds := 2208988800 + 1_400_000_000 + t.r.Int64N(400_000_000)
	steps := uint64(seconds)*1e7 + uint64(t.r.Int64N(1e7)) + 0x01B21DD213814000
	callID = fmt.Sprintf("%08x-%04x-1%03x-%s-%s", uint32(steps), uint16(steps>>32), steps>>48&0xfff, t.hex(4), t.hex(12))
	return callID, fmt.Sprint(seconds >> 1 & 0x7ffffff)
}

func (t Tokens) uuid(v int) string {
	return fmt.Sprintf("%s-%s-%d%s-a%s-%s", t.hex(8), t.hex(4), v, t.hex(3), t.hex(3), t.hex(12))
}
func (t Tokens) ip() string {
	return fmt.Sprintf("10.%d.%d.%d", t.r.IntN(256), t.r.IntN(256), t.r.IntN(256))
}
func (t Tokens) user() string { return "+34" + t.dec(9) }

// Makers writes one INVITE of each make as the notes on public traces and
// sources describe it. Each call has its own Tokens, numbers and addresses.
var Makers = map[string]func(t Tokens) string{
	"sofia-sip": func(t Tokens) string {
		callID, cseq := t.sofiaIDs()
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bK"+t.sofia(), t.sofia(), callID, cseq, "Twilio Gateway", "INVITE, ACK, BYE",
			"v=0\no=root 1 2 IN IP4 "+t.ip()+"\ns=Twilio Media Gateway\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\na=maxptime:150\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n")
	},
	"freeswitch": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bK"+t.sofia(), t.sofia(), t.uuid(4), t.dec(8),
			"FreeSWITCH-mod_sofia/1.10.9", "INVITE, ACK, BYE, CANCEL",
			"v=0\no=FreeSWITCH 1700000000 1700000001 IN IP4 "+t.ip()+"\ns=FreeSWITCH\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\n")
	},
	"pjsip": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bKPj"+t.hex(32), t.hex(32), t.hex(32), fmt.Sprint(t.r.IntN(32768)),
			"MicroSIP/3.22.3", "PRACK, INVITE, ACK", "v=0\no=- 3975421861 3975421861 IN IP4 "+t.ip()+"\ns=pjmedia\nt=0 0\nm=audio 1 RTP/AVP 8 0 101\n")
	},
	"asterisk": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bKPj"+t.uuid(4), t.uuid(4), t.uuid(4), fmt.Sprint(t.r.IntN(32768)),
			"Asterisk PBX 20.5.0", "OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE",
			"v=0\no=- "+t.dec(9)+" 1 IN IP4 "+t.ip()+"\ns=Asterisk\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\na=maxptime:150\n")
	},
	"asterisk chan_sip": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";branch=z9hG4bK"+t.hex(8), "as"+t.hex(8), t.hex(32)+"@"+t.ip()+":5060", "102",
			"Asterisk PBX 11.7.0", "INVITE, ACK, CANCEL", "v=0\no=root 555 555 IN IP4 "+t.ip()+"\ns=Asterisk PBX 11.7.0\nt=0 0\nm=audio 1 RTP/AVP 0 101\n")
	},
	"sipp": func(t Tokens) string {
		pid, n := t.dec(5), t.dec(2)
		return "INVITE sip:service@h:5060 SIP/2.0\nVia: SIP/2.0/UDP " + t.ip() + ":5061;branch=z9hG4bK-" + pid + "-" + n + "-0\nFrom: sipp <sip:sipp@" + t.ip() +
			":5061>;tag=" + pid + "SIPpTag00" + n + "\nTo: service <sip:service@h:5060>\nCall-ID: " + n + "-" + pid + "@" + t.ip() +
			"\nCSeq: 1 INVITE\nContact: sip:sipp@" + t.ip() + ":5061\nMax-Forwards: 70\nSubject: Performance Test\nContent-Type: application/sdp\nContent-Length:   129\n\n" +
			"v=0\no=user1 53655765 2353687637 IN IP4 " + t.ip() + "\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 6001 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
	},
	"livekit": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(16), "SCL_"+t.b62(12), t.b62(12), "1", "", LiveKitAllow,
			"v=0\no=- "+t.dec(19)+" "+t.dec(19)+" IN IP4 "+t.ip()+"\ns=LiveKit\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 9 0 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=sendrecv\n")
	},
	"sipgo": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(16), t.b62(16), t.uuid(4), "1", "", "", "")
	},
	"baresip": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK"+t.hex(16)+";rport", t.hex(16), t.hex(16), t.dec(4),
			"baresip v3.5.0 (x86_64/linux)", "INVITE,ACK,BYE,CANCEL", "v=0\no=- 346952262 325135698 IN IP4 "+t.ip()+"\ns=-\nt=0 0\nm=audio 1 RTP/AVP 0 8 101\na=tool:baresip 3.5\n")
	},
	"linphone": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(9)+";rport", t.b62(9), t.b62(10), "20",
			"LinphoneAndroid/4.6.1 (Phone) LinphoneSDK/5.1.1", "INVITE, ACK", "v=0\no=ana 3143 923 IN IP4 "+t.ip()+"\ns=Talk\nt=0 0\nm=audio 1 RTP/AVP 96 0\n")
	},
	"resiprocate": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK-524287-1---"+t.hex(16)+";rport", t.hex(8), t.b62(22)+"..", "1",
			"Z 5.5.10 v2.10.17.3", LiveKitAllow, "v=0\no=Z 0 0 IN IP4 "+t.ip()+"\ns=Z\nt=0 0\nm=audio 1 RTP/AVP 9 0 8 101\n")
	},
	"sipvicious": func(t Tokens) string {
		return "OPTIONS sip:100@h SIP/2.0\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK-" + t.dec(10) + ";rport\nContent-Length: 0\nFrom: \"sipvicious\"<sip:100@1.1.1.1>; tag=" +
			t.hex(46) + "\nAccept: application/sdp\nUser-Agent: friendly-scanner\nTo: \"sipvicious\"<sip:100@1.1.1.1>\nContact: sip:100@127.0.1.1:5060\nCSeq: 1 OPTIONS\nCall-ID: " +
			t.dec(23) + "\nMax-Forwards: 70\n\n"
	},
	"jain-sip": func(t Tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK-343230-"+t.hex(32), t.hex(8), t.hex(32)+"@0:0:0:0:0:0:0:0", "1",
			"Jitsi2.8.5426Mac OS X", "", "v=0\no=ana-jitsi.org 0 0 IN IP4 "+t.ip()+"\ns=-\nt=0 0\nm=audio 1 RTP/AVP 96 0 8\n")
	},
}

// invite writes the parts that most makes share.
func invite(t Tokens, via, tag, callID, cseq, agent, allow, sdp string) string {
	user, host := t.user(), t.ip()
	var b strings.Builder
	fmt.Fprintf(&b, "INVITE sip:100@door SIP/2.0\nVia: %s\nMax-Forwards: 70\nFrom: <sip:%s@%s>;tag=%s\nTo: <sip:100@door>\nContact: <sip:%s@%s>\nCall-ID: %s\nCSeq: %s INVITE\n",
		via, user, host, tag, user, host, callID, cseq)
	if agent != "" {
		fmt.Fprintf(&b, "User-Agent: %s\n", agent)
	}
	if allow != "" {
		fmt.Fprintf(&b, "Allow: %s\n", allow)
	}
	fmt.Fprintf(&b, "Content-Length: %d\n\n%s", len(sdp), sdp)
	return b.String()
}
