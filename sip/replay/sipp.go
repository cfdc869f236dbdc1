package replay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Scenario is a recorded call as a scenario of SIPp (3.6), the caller's side.
type Scenario struct {
	XML   []byte
	Audio []byte // a capture for play_pcap_audio; nil when the caller sent none
	// Notes say what of the recording the scenario cannot have.
	Notes []string
}

// The values that stand for SIPp's keywords while a message is rewritten as for a
// live call; addresses of class E, which no recording has.
const (
	markTag       = "marktag0marktag0"
	markBranch    = "z9hG4bKmark0mark0mark0"
	markCall      = "markcall0markcall0"
	markPeer      = "markpeer0markpeer0"
	markRoute     = "markroute0markroute0"
	markAnswer    = "markanswer0markanswer0"
	markTarget    = "sip:marktarget0"
	markTransport = "MARKTRANSPORT"
)

var (
	markLocal  = netip.MustParseAddrPort("240.1.2.3:61234")
	markMedia  = netip.MustParseAddr("240.1.2.4")
	markRemote = "240.1.2.5:61999"
)

const markPort = 61000 // of the first section

// keywords are what SIPp is told in place of the marks; the longer come first.
var keywords = strings.NewReplacer(
	"SIP/2.0/"+markTransport, "SIP/2.0/[transport]",
	strings.ToLower(markTransport), "[transport]",
	";tag="+markPeer, "[peer_tag_param]",
	markTag, "[pid]SIPpTag00[call_number]",
	markBranch, "[branch]",
	markCall, "[call_id]",
	markTarget, "[next_url]",
	"Route: "+markRoute, "[routes]",
	"Proxy-Authorization: "+markAnswer, "[authentication]",
	"Authorization: "+markAnswer, "[authentication]",
	"IN IP4 "+markMedia.String(), "IN IP[media_ip_type] [media_ip]",
	markMedia.String(), "[media_ip]",
	markLocal.Addr().String()+":"+strconv.Itoa(int(markLocal.Port())), "[local_ip]:[local_port]",
	markLocal.Addr().String(), "[local_ip]",
	markRemote, "[remote_ip]:[remote_port]",
	strings.TrimSuffix(markRemote, ":61999"), "[remote_ip]",
)

// ExportSIPp writes a recorded call as a scenario of SIPp that places it. audio
// is the name that the scenario calls the capture by. The error says why the
// recording cannot be one.
func ExportSIPp(r *Recording, audio string) (Scenario, error) {
	e := &exporter{rec: r, script: r.script()}
	if len(e.script.attempts) == 0 {
		return Scenario{}, errors.New("the recording has no INVITE to begin with")
	}
	first := e.script.attempts[0].invite
	e.id = identity{tokens: newTokens(newRand()), target: Target{Host: markRemote}, local: markLocal, protocol: markTransport,
		media: sippPlace(), was: r.Caller.Addr(), host: called(first.uri()), callID: markCall, tag: markTag}
	if from, till := paramSpan(first.get("From"), "tag"); from == till {
		e.note("the recorded From has no tag; SIPp may not match responses")
	}
	audioPackets := e.audible(r.packets)
	e.audioName = audio
	fmt.Fprintf(&e.out, "<?xml version=\"1.0\" encoding=\"us-ascii\"?>\n<!-- A recorded call, %s to %s, Call-ID %s. -->\n<scenario name=\"%s\">\n",
		comment(r.From), comment(r.To), comment(r.CallID), attribute(r.CallID))
	for i := range r.steps {
		e.step(i)
	}
	e.close()
	e.out.WriteString("</scenario>\n")
	s := Scenario{XML: e.out.Bytes(), Notes: e.notes}
	if len(audioPackets) > 0 {
		var err error
		if s.Audio, err = ethernet(audioPackets); err != nil {
			return s, err
		}
	}
	return s, nil
}

// exporter writes one scenario.
type exporter struct {
	rec       *Recording
	script    script
	id        identity
	out       bytes.Buffer
	notes     []string
	audioName string
	audioAt   time.Duration // of the first packet
	playing   bool          // the audio was begun, or there is none
	at        time.Duration // up to where the scenario has told the recording
	dialog    bool          // a response with rrs was received
	optional  []string      // recv elements of what may come or not, ahead of one that must
	answered  bool
	ended     bool
}

func (e *exporter) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(e.notes, n) {
		e.notes = append(e.notes, n)
	}
}

// sippPlace gives the sections of descriptions marks for SIPp's ports.
func sippPlace() mediaPlace {
	return mediaPlace{addr: markMedia, port: func(i int) uint16 { return uint16(markPort + 2*min(i, maxSections)) }}
}

// audible picks the packets that SIPp can play: of the first section.
func (e *exporter) audible(packets []packet) []packet {
	var out []packet
	for _, p := range packets {
		if p.section != 0 {
			e.note("media of other sections than the first is not played")
			continue
		}
		if len(p.data) <= 1400 {
			out = append(out, p)
		}
	}
	if e.rec.unencodable {
		e.note("the media is encrypted with keys that the recording does not have; it is not played")
		out = nil
	}
	e.playing = len(out) == 0
	if len(out) > 0 {
		e.audioAt = out[0].at
	}
	return out
}

// step writes one recorded message.
func (e *exporter) step(i int) {
	s := e.rec.steps[i]
	number, method := s.cseq()
	switch {
	case s.caller && s.code() > 100:
		e.respond(s)
	case s.caller && s.code() > 0:
	case s.caller:
		e.send(i)
	case s.code() > 0:
		e.response(i, s.code(), method, number)
	default:
		e.play(s.at)
		e.mustCome("  <recv request=\"%s\"/>\n", attribute(s.method()))
		e.at = s.at
		e.ended = e.ended || s.method() == "BYE"
	}
}

// send writes a request of the caller's.
func (e *exporter) send(i int) {
	s := e.rec.steps[i]
	method := s.method()
	number, _ := s.cseq()
	prompt := method == "ACK" || method == "PRACK" // reactions
	retry := false
	if s.index("Authorization") >= 0 || s.index("Proxy-Authorization") >= 0 {
		retry = e.challenged(i)
		prompt = prompt || retry
	}
	if !prompt {
		e.play(s.at)
		e.pause(s.at)
	}
	var d *dialog
	inDialog := e.dialog && method != "CANCEL" && !(method == "INVITE" && e.script.isAttempt(number))
	refused := method == "ACK" && e.refused(i)
	if inDialog && !refused {
		d = &dialog{tag: markPeer, target: []byte(markTarget), routes: [][]byte{[]byte(markRoute)}}
	}
	var credentials []credential
	if retry {
		name := "Authorization"
		if s.index(name) < 0 {
			name = "Proxy-Authorization"
		}
		credentials = []credential{{name, markAnswer}}
	}
	m := e.id.request(flat(s.message), d, markBranch, number, credentials)
	switch {
	case refused: // the transaction of the INVITE, so its Via (RFC 3261 section 17.1.1.3)
		asReceived(m, "Via", "To")
	case method == "CANCEL":
		asReceived(m, "Via")
	case method == "PRACK":
		m.edit("RAck", func(v []byte) []byte {
			_, rest, _ := strings.Cut(string(v), " ")
			return []byte("[$rseq] " + strings.TrimSpace(rest))
		})
	}
	retrans := " retrans=\"500\""
	if method == "ACK" {
		retrans = ""
	}
	e.message(retrans, m)
	e.at = s.at
	switch method {
	case "INVITE":
		codes := []int{100, 180, 181, 182, 183}
		for j := i + 1; j < len(e.rec.steps) && !e.rec.steps[j].caller; j++ {
			if e.needed(j) {
				codes = slices.DeleteFunc(codes, func(c int) bool { return c == e.rec.steps[j].code() })
			}
		}
		e.mayCome(codes...)
	case "ACK":
		e.play(e.next(i))
	case "BYE":
		e.ended = true
	}
}

// next is when the step after one is, the end of the recording for the last.
func (e *exporter) next(i int) time.Duration {
	if i+1 < len(e.rec.steps) {
		return e.rec.steps[i+1].at
	}
	return e.rec.end
}

// mayCome takes responses that may come or not, before what must come next. Of
// something to be sent next SIPp would not know when to send it.
func (e *exporter) mayCome(codes ...int) {
	for _, c := range codes {
		e.optional = append(e.optional, fmt.Sprintf("  <recv response=\"%d\" optional=\"true\"/>\n", c))
	}
}

// mustCome writes the wait for a message, and for what may come before it.
func (e *exporter) mustCome(format string, args ...any) {
	for _, o := range e.optional {
		e.out.WriteString(o)
	}
	e.optional = nil
	fmt.Fprintf(&e.out, format, args...)
}

// challenged says whether a request answers a challenge that was recorded.
func (e *exporter) challenged(i int) bool {
	for j := i - 1; j >= 0; j-- {
		s := e.rec.steps[j]
		if _, method := s.cseq(); !s.caller && (s.code() == 401 || s.code() == 407) && method == e.rec.steps[i].method() {
			return true
		}
	}
	return false
}

// refused says whether an ACK is of a final response that is no 2xx.
func (e *exporter) refused(i int) bool {
	number, _ := e.rec.steps[i].cseq()
	for j := i - 1; j >= 0; j-- {
		s := e.rec.steps[j]
		if n, method := s.cseq(); !s.caller && s.code() >= 200 && n == number && method == "INVITE" {
			return s.code() >= 300
		}
	}
	return false
}

// response writes the wait for a response of the far side's.
func (e *exporter) response(i, code int, method string, number int) {
	if code < 200 {
		if e.needed(i) {
			rseq := e.rec.steps[i].get("RSeq")
			switch {
			case len(rseq) > 0:
				e.mustCome("  <recv response=\"%d\" rrs=\"true\">\n    <action><ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/></action>\n  </recv>\n", code)
			case code > 100:
				e.mustCome("  <recv response=\"%d\" rrs=\"true\"/>\n", code)
			default:
				e.mustCome("  <recv response=\"%d\"/>\n", code)
			}
			e.dialog = e.dialog || code > 100
			e.at = e.rec.steps[i].at
			e.play(e.next(i))
		}
		return
	}
	attributes := ""
	if code == 401 || code == 407 {
		attributes = " auth=\"true\""
	}
	if method == "INVITE" {
		if len(e.optional) == 0 {
			e.mayCome(100, 180, 181, 182, 183)
		}
		if code < 300 {
			attributes += " rrs=\"true\""
			e.dialog = true
			e.answered = e.answered || e.script.isAttempt(number)
		}
	}
	e.at = e.rec.steps[i].at
	if method == "CANCEL" { // it and the 487 may cross
		e.mayCome(code)
		return
	}
	e.mustCome("  <recv response=\"%d\"%s/>\n", code, attributes)
}

// needed says whether a provisional response to an INVITE outside the dialog is
// the last before the caller does something, and so has to come; others may.
func (e *exporter) needed(i int) bool {
	number, method := e.rec.steps[i].cseq()
	if method != "INVITE" || !e.script.isAttempt(number) {
		return false
	}
	for _, s := range e.rec.steps[i+1:] {
		if s.caller {
			return true
		}
		if n, method := s.cseq(); method == "INVITE" && n == number && s.code() > 0 {
			return s.code() >= 200 && !e.playing && e.audioAt < s.at && describes(e.rec.steps[i].message) != nil
		}
	}
	return false
}

// pause waits until the recording's time.
func (e *exporter) pause(until time.Duration) {
	if ms := (until - e.at).Milliseconds(); ms >= 20 {
		fmt.Fprintf(&e.out, "  <pause milliseconds=\"%d\"/>\n", ms)
	}
	e.at = max(e.at, until)
}

// play begins the audio, if its time is before another.
func (e *exporter) play(before time.Duration) {
	if e.playing || len(e.optional) > 0 || !e.dialog || e.audioAt > before {
		return
	}
	e.playing = true
	e.pause(e.audioAt)
	fmt.Fprintf(&e.out, "  <nop><action><exec play_pcap_audio=\"%s\"/></action></nop>\n", attribute(e.audioName))
}

// respond writes a response of the caller's to the request received last.
func (e *exporter) respond(s step) {
	m := flat(s.message)
	e.id.contact(m)
	m.body = e.id.media.describe(m.body, e.id.was)
	asReceived(m, "Via", "From", "To", "Call-ID", "CSeq")
	e.message("", m)
	e.at = max(e.at, s.at)
}

// asReceived puts SIPp's word for the header of the last received message in
// place of headers.
func asReceived(m *message, names ...string) {
	for _, name := range names {
		at := m.index(name)
		m.drop(name)
		// The colon makes it a line of the message, as far as this package knows.
		m.lines = slices.Insert(m.lines, max(at, 0), newLine([]byte("[last_"+name+":]"+string(m.end))))
	}
}

// close ends a call whose end was not recorded.
func (e *exporter) close() {
	e.play(e.rec.end)
	if !e.answered || e.ended {
		return
	}
	e.pause(e.rec.end)
	last := e.script.attempts[len(e.script.attempts)-1]
	template := last.invite
	if last.signed != nil {
		template = last.signed
	}
	n, _ := template.cseq()
	d := &dialog{tag: markPeer, target: []byte(markTarget), routes: [][]byte{[]byte(markRoute)}}
	e.message(" retrans=\"500\"", e.id.request(flat(derive(template, "BYE")), d, markBranch, n+100, nil))
	e.out.WriteString("  <recv response=\"200\"/>\n")
}

// flat is a message without folded headers, as SIPp takes blanks off the
// beginnings of lines, and with a bare description.
func flat(m *message) *message {
	c := m.clone()
	for i, l := range c.lines {
		c.lines[i] = l.with(unfold(l.value()))
	}
	c.body = bare(m.body)
	return c
}

// words are SIPp's own, which were escaped with everything else.
var words = regexp.MustCompile(`\\x5B(last_[A-Za-z-]+:|\$(?:rseq|via|from|to|cseq)|pid|call_number|call_id)\]`)

// message writes a message as the text of a send element.
func (e *exporter) message(attributes string, m *message) {
	m.edit("Content-Length", func([]byte) []byte { return []byte("marklength0") })
	text := strings.ReplaceAll(string(m.bytes()), "\r\n", "\n")
	text = escape(text)
	text = words.ReplaceAllString(text, "[$1]")
	text = strings.Replace(text, "marklength0", "[len]", 1)
	text = keywords.Replace(text)
	text = mediaLine.ReplaceAllStringFunc(text, mediaPort)
	if len(m.body) == 0 {
		text = strings.TrimRight(text, "\n") + "\n\n"
	}
	fmt.Fprintf(&e.out, "  <send%s><![CDATA[\n%s]]></send>\n", attributes, text)
	e.optional = nil
}

// mediaLine is the line of a section with a port of ours.
var mediaLine = regexp.MustCompile(`(?m)^m=[^ ]+ +6\d{4}\b`)

// mediaPort puts SIPp's keyword for a port in, which it takes on the lines of
// audio and video only. The ports of other media nobody listens on.
func mediaPort(line string) string {
	at := strings.LastIndexByte(line, ' ') + 1
	n, err := strconv.Atoi(line[at:])
	if err != nil || n < markPort || n > markPort+2*maxSections {
		return line
	}
	switch {
	case !strings.HasPrefix(line, "m=audio ") && !strings.HasPrefix(line, "m=video "):
		return line
	case n == markPort:
		return line[:at] + "[media_port]"
	}
	return line[:at] + "[media_port+" + strconv.Itoa(n-markPort) + "]"
}

// bare takes the lines out of a description that SIPp cannot fill in and has no
// use for: ICE candidates and ports of RTCP.
func bare(body []byte) []byte {
	from, till := descriptionSpan(body)
	out := slices.Clone(body[:from])
	for one := range bytes.Lines(body[from:till]) {
		if !bytes.HasPrefix(one, []byte("a=candidate:")) && !bytes.HasPrefix(one, []byte("a=rtcp:")) {
			out = append(out, one...)
		}
	}
	return append(out, body[till:]...)
}

// escape writes what SIPp or XML would take for theirs as SIPp's \xNN.
func escape(text string) string {
	var b strings.Builder
	start := true
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '[', c == '\\', c == '\r', c > '~', c < ' ' && c != '\n' && c != '\t', start && (c == ' ' || c == '\t'), c == '>' && strings.HasSuffix(text[:i], "]]"):
			fmt.Fprintf(&b, `\x%02X`, c)
		default:
			b.WriteByte(c)
		}
		start = c == '\n'
	}
	return b.String()
}

func attribute(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`<>&"'`, r) {
			return '_'
		}
		return r
	}, s)
}

func comment(s string) string { return strings.ReplaceAll(attribute(s), "--", "-_") }

// ethernet writes packets as a capture of Ethernet frames, the only ones that
// SIPp plays besides Linux's cooked ones.
func ethernet(packets []packet) ([]byte, error) {
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		return nil, err
	}
	start := time.Unix(1_000_000_000, 0)
	for _, p := range packets {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
		udp := &layers.UDP{SrcPort: 4000, DstPort: 6000}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			return nil, err
		}
		buf := gopacket.NewSerializeBuffer()
		eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(p.data)); err != nil {
			return nil, err
		}
		n := len(buf.Bytes())
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: start.Add(p.at - packets[0].at), CaptureLength: n, Length: n}, buf.Bytes()); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
