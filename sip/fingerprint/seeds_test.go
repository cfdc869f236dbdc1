package fingerprint

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portero/portero/policy"
)

// tokens fills in what changes from call to call.
type tokens struct{ r *rand.Rand }

func (t tokens) from(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[t.r.IntN(len(alphabet))]
	}
	return string(b)
}

func (t tokens) hex(n int) string { return t.from("0123456789abcdef", n) }
func (t tokens) dec(n int) string { return t.from("123456789", 1) + t.from("0123456789", n-1) }
func (t tokens) b62(n int) string {
	return t.from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", n)
}
func (t tokens) sofia() string { return t.from(sofiaAlphabet, 12) + t.from(sofiaAlphabet[:16], 1) }
func (t tokens) uuid(v int) string {
	return fmt.Sprintf("%s-%s-%d%s-a%s-%s", t.hex(8), t.hex(4), v, t.hex(3), t.hex(3), t.hex(12))
}
func (t tokens) ip() string {
	return fmt.Sprintf("10.%d.%d.%d", t.r.IntN(256), t.r.IntN(256), t.r.IntN(256))
}
func (t tokens) user() string { return "+34" + t.dec(9) }

// makers writes one INVITE of each make as the notes on public traces and
// sources describe it. Each call has its own tokens, numbers and addresses.
var makers = map[string]func(t tokens) string{
	"sofia-sip": func(t tokens) string {
		// Call-ID and CSeq of one clock: those of a published trace.
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bK"+t.sofia(), t.sofia(),
			"d8907723-0bc7-123b-09b5-12e962f3039b", "48063641", "Twilio Gateway", "INVITE, ACK, BYE",
			"v=0\no=root 1 2 IN IP4 "+t.ip()+"\ns=Twilio Media Gateway\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\na=maxptime:150\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n")
	},
	"freeswitch": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bK"+t.sofia(), t.sofia(), t.uuid(4), t.dec(8),
			"FreeSWITCH-mod_sofia/1.10.9", "INVITE, ACK, BYE, CANCEL",
			"v=0\no=FreeSWITCH 1700000000 1700000001 IN IP4 "+t.ip()+"\ns=FreeSWITCH\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\n")
	},
	"pjsip": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bKPj"+t.hex(32), t.hex(32), t.hex(32), fmt.Sprint(t.r.IntN(32768)),
			"MicroSIP/3.22.3", "PRACK, INVITE, ACK", "v=0\no=- 3975421861 3975421861 IN IP4 "+t.ip()+"\ns=pjmedia\nt=0 0\nm=audio 1 RTP/AVP 8 0 101\n")
	},
	"asterisk": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";rport;branch=z9hG4bKPj"+t.uuid(4), t.uuid(4), t.uuid(4), fmt.Sprint(t.r.IntN(32768)),
			"Asterisk PBX 20.5.0", "OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE",
			"v=0\no=- "+t.dec(9)+" 1 IN IP4 "+t.ip()+"\ns=Asterisk\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 0 101\na=maxptime:150\n")
	},
	"asterisk chan_sip": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+";branch=z9hG4bK"+t.hex(8), "as"+t.hex(8), t.hex(32)+"@"+t.ip()+":5060", "102",
			"Asterisk PBX 11.7.0", "INVITE, ACK, CANCEL", "v=0\no=root 555 555 IN IP4 "+t.ip()+"\ns=Asterisk PBX 11.7.0\nt=0 0\nm=audio 1 RTP/AVP 0 101\n")
	},
	"sipp": func(t tokens) string {
		pid, n := t.dec(5), t.dec(2)
		return "INVITE sip:service@h:5060 SIP/2.0\nVia: SIP/2.0/UDP " + t.ip() + ":5061;branch=z9hG4bK-" + pid + "-" + n + "-0\nFrom: sipp <sip:sipp@" + t.ip() +
			":5061>;tag=" + pid + "SIPpTag00" + n + "\nTo: service <sip:service@h:5060>\nCall-ID: " + n + "-" + pid + "@" + t.ip() +
			"\nCSeq: 1 INVITE\nContact: sip:sipp@" + t.ip() + ":5061\nMax-Forwards: 70\nSubject: Performance Test\nContent-Type: application/sdp\nContent-Length:   129\n\n" +
			"v=0\no=user1 53655765 2353687637 IN IP4 " + t.ip() + "\ns=-\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 6001 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
	},
	"livekit": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(16), t.b62(16), t.uuid(4), "1", "", livekitAllow,
			"v=0\no=- "+t.dec(19)+" "+t.dec(19)+" IN IP4 "+t.ip()+"\ns=LiveKit\nc=IN IP4 1.2.3.4\nt=0 0\nm=audio 1 RTP/AVP 9 0 8 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=sendrecv\n")
	},
	"sipgo": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(16), t.b62(16), t.uuid(4), "1", "", "", "")
	},
	"baresip": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK"+t.hex(16)+";rport", t.hex(16), t.hex(16), t.dec(4),
			"baresip v3.5.0 (x86_64/linux)", "INVITE,ACK,BYE,CANCEL", "v=0\no=- 346952262 325135698 IN IP4 "+t.ip()+"\ns=-\nt=0 0\nm=audio 1 RTP/AVP 0 8 101\na=tool:baresip 3.5\n")
	},
	"linphone": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK."+t.b62(9)+";rport", t.b62(9), t.b62(10), "20",
			"LinphoneAndroid/4.6.1 (Phone) LinphoneSDK/5.1.1", "INVITE, ACK", "v=0\no=ana 3143 923 IN IP4 "+t.ip()+"\ns=Talk\nt=0 0\nm=audio 1 RTP/AVP 96 0\n")
	},
	"resiprocate": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK-524287-1---"+t.hex(16)+";rport", t.hex(8), t.b62(22)+"..", "1",
			"Z 5.5.10 v2.10.17.3", livekitAllow, "v=0\no=Z 0 0 IN IP4 "+t.ip()+"\ns=Z\nt=0 0\nm=audio 1 RTP/AVP 9 0 8 101\n")
	},
	"sipvicious": func(t tokens) string {
		return "OPTIONS sip:100@h SIP/2.0\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK-" + t.dec(10) + ";rport\nContent-Length: 0\nFrom: \"sipvicious\"<sip:100@1.1.1.1>; tag=" +
			t.hex(46) + "\nAccept: application/sdp\nUser-Agent: friendly-scanner\nTo: \"sipvicious\"<sip:100@1.1.1.1>\nContact: sip:100@127.0.1.1:5060\nCSeq: 1 OPTIONS\nCall-ID: " +
			t.dec(23) + "\nMax-Forwards: 70\n\n"
	},
	"jain-sip": func(t tokens) string {
		return invite(t, "SIP/2.0/UDP "+t.ip()+":5060;branch=z9hG4bK-343230-"+t.hex(32), t.hex(8), t.hex(32)+"@0:0:0:0:0:0:0:0", "1",
			"Jitsi2.8.5426Mac OS X", "", "v=0\no=ana-jitsi.org 0 0 IN IP4 "+t.ip()+"\ns=-\nt=0 0\nm=audio 1 RTP/AVP 96 0 8\n")
	},
}

// invite writes the parts that most makes share.
func invite(t tokens, via, tag, callID, cseq, agent, allow, sdp string) string {
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

func TestStacks(t *testing.T) {
	for name, maker := range makers {
		stack, _, _ := strings.Cut(name, " ")
		texts := map[string]int{}
		for i := range 200 {
			p := Of(crlf(maker(tokens{rand.New(rand.NewPCG(1, uint64(i)))})))
			if p.Stack != stack {
				t.Fatalf("%s is taken for %q: %s", name, p.Stack, p.Text)
			}
			texts[p.Text]++
		}
		// A random token may look like another kind now and then, but most calls
		// of one make must have one print.
		most := 0
		for _, n := range texts {
			most = max(most, n)
		}
		if most < 180 {
			t.Errorf("%s: the commonest of %d prints has %d of 200 calls: %v", name, len(texts), most, texts)
		}
	}
}

// The makes must not share a print.
func TestPrintsDiffer(t *testing.T) {
	seen := map[string]string{}
	for name, maker := range makers {
		id := Of(crlf(maker(tokens{rand.New(rand.NewPCG(1, 1))}))).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have print %s", name, other, id)
		}
		seen[id] = name
	}
}

// What belongs to the make is in the print, what belongs to the call or its
// path is not.
func TestPrintSees(t *testing.T) {
	base := strings.TrimPrefix(makers["baresip"](tokens{rand.New(rand.NewPCG(1, 1))}), "\n")
	id := Of(crlf(base)).ID
	for _, c := range []struct {
		name, from, to string
		same           bool
	}{
		{"order", "Max-Forwards: 70\nFrom:", "From:", false},
		{"case", "CSeq:", "CSEQ:", false},
		{"compact form", "Call-ID:", "i:", false},
		{"blank before the colon", "Allow:", "Allow :", false},
		{"no blank after it", "Allow: ", "Allow:", false},
		{"folding", "INVITE,ACK,", "INVITE,\n ACK,", false},
		{"order of methods", "ACK,BYE", "BYE,ACK", false},
		{"codecs", "0 8 101", "8 0 101", false},
		{"no rport", ";rport", "", false},
		{"a proxy on the way", "Via: ", "Record-Route: <sip:p;lr>\nVia: SIP/2.0/UDP p;branch=z9hG4bKxyz.1\nVia: ", true},
		{"a proxy in one line", "Via: ", "Via: SIP/2.0/UDP p;branch=z9hG4bKxyz.1, ", true},
		{"credentials", "Contact:", "Proxy-Authorization: Digest a=\"b\"\nContact:", true},
		{"an asserted identity", "Contact:", "P-Asserted-Identity: <tel:+1>\nPrivacy: id\nContact:", true},
		{"callee", "INVITE sip:100@door", "INVITE sip:200@other", true},
		{"bare line feeds", "", "", true},
	} {
		if c.from != "" && !strings.Contains(base, c.from) {
			t.Fatalf("%s: the message has no %q", c.name, c.from)
		}
		raw := crlf(strings.Replace(base, c.from, c.to, 1))
		if c.from == "" {
			raw = []byte(base)
		}
		if p := Of(raw); (p.ID == id) != c.same {
			t.Errorf("%s: same print %v, want %v: %s", c.name, p.ID == id, c.same, p.Text)
		}
	}
}

func TestEvidence(t *testing.T) {
	of := func(name string) string { return makers[name](tokens{rand.New(rand.NewPCG(2, 2))}) }
	for _, c := range []struct {
		name, raw string
		want      string // name:LLR, blank between
	}{
		{"carrier gateway over sofia", of("sofia-sip"), ""},
		{"PBX", of("asterisk"), ""},
		{"telephone", of("linphone"), ""},
		{"telephone with LiveKit's Allow", of("resiprocate"), ""},
		{"SIPp", of("sipp"), "sig.load_tool:1"},
		{"scanner", of("sipvicious"), "sig.scanner:5"},
		{"LiveKit", of("livekit"), "sig.agent_platform:3.5"},
		{"LiveKit's host", strings.Replace(of("pjsip"), "Contact: <sip:+34", "Contact: <sip:x@abc.sip.livekit.cloud>, <sip:", 1), "sig.agent_platform:2"},
		{"a host that only ends so", strings.Replace(of("pjsip"), "Contact: <sip:+34", "Contact: <sip:x@notsip.vapi.ai>, <sip:", 1), ""},
		{"jambonz's header", strings.Replace(of("sofia-sip"), "Contact:", "X-Application-Sid: 1\nContact:", 1), "sig.agent_platform:2"},
		{"declared", "INVITE sip:a@b SIP/2.0\nContact: <sip:a@b>;automata;actor=\"attendant\"\n\n", "sig.automata:4 sig.actor:2"},
		{"principal", "INVITE sip:a@b SIP/2.0\nContact: <sip:a@b>;actor=\"principal\"\n\n", ""},
		{"another stack than claimed", strings.Replace(of("sipp"), "Subject:", "User-Agent: Grandstream GXP2170\nSubject:", 1), "sig.load_tool:1 sig.stack_mismatch:0.5"},
		{"FreeSWITCH as it says", of("freeswitch"), ""},
		{"nothing", "", ""},
	} {
		var got []string
		for _, e := range Of(crlf(c.raw)).Evidence() {
			got = append(got, fmt.Sprintf("%s:%v", e.Name, e.LLR))
			if e.Says == "" {
				t.Errorf("%s: %s says nothing", c.name, e.Name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %q", c.name, got, c.want)
		}
	}
	var _ []policy.Evidence = Print{}.Evidence()
}

func TestIsScanner(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      bool
	}{
		{"SIPVicious", makers["sipvicious"](tokens{rand.New(rand.NewPCG(1, 1))}), true},
		{"its From alone", "OPTIONS sip:h SIP/2.0\nf: \"sipvicious\" <sip:100@1.1.1.1>;tag=1\n\n", true},
		{"its contact alone", "OPTIONS sip:h SIP/2.0\nContact: sip:123@1.1.1.1\n\n", true},
		{"sipcli", "INVITE sip:h SIP/2.0\nuser-agent:SIPCLI/v1.8\n\n", true},
		{"VaxSIP", "INVITE sip:h SIP/2.0\nUser-Agent: VaxSIPUserAgent/3.1\n\n", true},
		{"pplsip", "INVITE sip:h SIP/2.0\nUser-Agent: pplsip\n\n", true},
		{"a renamed SIPVicious", "OPTIONS sip:100@h SIP/2.0\nFrom: \"PBX\"<sip:100@1.1.1.1>;tag=6163\nUser-Agent: PBX\n\n", true},
		{"SIPPTS", "OPTIONS sip:h SIP/2.0\nUser-Agent: SIPPTS/4.0\n\n", true},
		{"Nmap's version probe", "OPTIONS sip:nm SIP/2.0\nVia: SIP/2.0/TCP nm;branch=foo\nFrom: <sip:nm@nm>;tag=root\nTo: <sip:nm2@nm2>\nCall-ID: 50000\n\n", true},
		{"Nero SIPPS, a telephone", "INVITE sip:h SIP/2.0\nUser-Agent: Nero SIPPS IP Phone Version 2.0.51.16\n\n", false},
		{"a subscriber of 1.1.1.100", "INVITE sip:h SIP/2.0\nFrom: <sip:100@1.1.1.100>;tag=1\n\n", false},
		{"a number that begins so", "INVITE sip:h SIP/2.0\nFrom: <sip:123@11.1.1.1>;tag=1\nContact: <sip:123@192.0.2.1>\n\n", false},
		{"sundayddr", "REGISTER sip:h SIP/2.0\nUser-Agent: sundayddr\n\n", true},
		{"a body that quotes one", "MESSAGE sip:h SIP/2.0\nUser-Agent: phone\n\nUser-Agent: friendly-scanner\n", false},
		{"a subject that quotes one", "INVITE sip:h SIP/2.0\nSubject: about friendly-scanner\nUser-Agent: phone\n\n", false},
		{"somebody of that name", "INVITE sip:sipvicious@h SIP/2.0\nFrom: <sip:sipvicious@h>;tag=1\n\n", false},
		{"telephone", makers["linphone"](tokens{rand.New(rand.NewPCG(1, 1))}), false},
		{"SIPp", makers["sipp"](tokens{rand.New(rand.NewPCG(1, 1))}), false},
		{"nothing", "", false},
	} {
		raw := crlf(c.raw)
		if got := IsScanner(raw); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if n := testing.AllocsPerRun(10, func() { IsScanner(raw) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

// Real INVITEs out of captures: every one must have a print, and the stacks be
// those that their User-Agents name. Captures are searched for the bytes, which
// finds whole UDP datagrams and is enough here.
func TestTraces(t *testing.T) {
	root := os.Getenv("PORTERO_TRACES")
	if root == "" {
		t.Skip("PORTERO_TRACES is not set: no captures to read")
	}
	f, err := os.Open(filepath.Join(root, "manifest.csv"))
	if err != nil {
		t.Skipf("PORTERO_TRACES=%s holds no captures: %v", root, err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	wrong, stacks := map[string]int{}, map[string]int{}
	for _, row := range rows[1:] {
		b, err := os.ReadFile(filepath.Join(root, "pcaps", row[0]))
		if err != nil || strings.Contains(row[0], "fuzz") {
			continue
		}
		s := string(b)
		for {
			i := strings.Index(s, "INVITE sip:")
			if i < 0 {
				break
			}
			s = s[i:]
			end := strings.Index(s, "\r\n\r\n")
			if end < 0 || end > 4000 {
				s = s[1:]
				continue
			}
			p := Of([]byte(s[:min(len(s), end+1200)]))
			s = s[end:]
			if !strings.HasPrefix(p.Text, "p1 m=INVITE") {
				continue
			}
			stacks[p.Stack]++
			for _, e := range p.Evidence() {
				if e.Name == "sig.stack_mismatch" || e.Name == "sig.agent_platform" || e.Name == "sig.scanner" {
					wrong[e.Says]++
				}
			}
		}
	}
	t.Log(stacks)
	for says, n := range wrong {
		t.Errorf("%d times: %s", n, says)
	}
}

// No message of a capture is a scanner's, of whatever method, but those of a
// scan.
func TestTracesWithoutScanners(t *testing.T) {
	root := os.Getenv("PORTERO_TRACES")
	if root == "" {
		t.Skip("PORTERO_TRACES is not set: no captures to read")
	}
	files, err := filepath.Glob(filepath.Join(root, "pcaps", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("%s holds no captures: %v", root, err)
	}
	seen, scans := 0, 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := string(b); ; {
			i := strings.Index(s, " SIP/2.0\r\n")
			if i < 0 {
				break
			}
			start := max(strings.LastIndexByte(s[:i], '\n')+1, i-100, 0)
			s2 := s[start:]
			end := strings.Index(s2, "\r\n\r\n")
			if end < 0 {
				break
			}
			seen++
			if IsScanner([]byte(s2[:end+4])) {
				scans++
				if !strings.Contains(name, "Forensic_challenge") {
					t.Errorf("%s: taken for a scanner:\n%s", filepath.Base(name), s2[:end])
				}
			}
			s = s2[end:]
		}
	}
	if seen < 1000 || scans == 0 {
		t.Errorf("%d requests, %d of scanners", seen, scans)
	}
}

func FuzzOf(f *testing.F) {
	for _, maker := range makers {
		f.Add(crlf(maker(tokens{rand.New(rand.NewPCG(1, 1))})))
	}
	f.Add([]byte("\r\n\nINVITE\r\nv :;branch=z9hG4bK-,\"\r\nf:<\r\nm: \"\\\r\n ,;automata\r\n\r\nm=\r\na=:\r\no="))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := Of(raw)
		if len(p.ID) != 16 || !strings.HasPrefix(p.Text, version+" ") {
			t.Errorf("print %q %q", p.ID, p.Text)
		}
		for _, c := range []byte(p.Text + p.UserAgent) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("unprintable %q", p.Text)
			}
		}
		if len(p.Text) > 4096 {
			t.Errorf("%d bytes of text", len(p.Text))
		}
		p.Evidence()
		IsScanner(raw)
	})
}

func BenchmarkOf(b *testing.B) {
	raw := crlf(makers["livekit"](tokens{rand.New(rand.NewPCG(1, 1))}))
	b.ReportAllocs()
	for range b.N {
		Of(raw)
	}
}

func BenchmarkIsScanner(b *testing.B) {
	raw := crlf(makers["livekit"](tokens{rand.New(rand.NewPCG(1, 1))}))
	b.ReportAllocs()
	for range b.N {
		IsScanner(raw)
	}
}
