package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/policy/store"
)

// Where the door takes browsers' media, and where their page is served.
const (
	doorWebRTCAddr = doorHost + ":3478"
	pageHost       = "127.0.60.24"
)

// testBrowser has a real browser, headless Chromium with the sample page of
// configs/browser, call Asterisk through the door. Its microphone plays speech.
func testBrowser(t *testing.T, b *bed) { testPage(t, b, startChromium(t, personVoice).open) }

func testPage(t *testing.T, b *bed, open func(t *testing.T, url, before string) *page) {
	site := servePage(t)
	d := b.openWith(t, withBrowsers(site))
	for _, part := range []struct {
		name string
		test func(*testing.T, *openDoor, *page)
	}{
		{"echo", testBrowserEcho},
		{"digits", testBrowserDigits},
		{"hold", testBrowserHold},
		{"moved", testBrowserMoved},
		{"prompt", testBrowserPrompt},
		{"ICE restart", testBrowserRestart},
		{"gone", testBrowserGone},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, d, open(t, site+"/", spy)) })
	}
}

// testBrowserCalled has it register through the door and called along its Path. The
// registrar is SIPp, which sends back what it hears.
func testBrowserCalled(t *testing.T, b *bed) {
	c := startChromium(t, personVoice)
	site := servePage(t)
	d := b.openWith(t, strings.Replace(withBrowsers(site), "\nmedia:", "\n  proxy: answerer\nmedia:", 1))
	pbx := startSIPp(t, t.TempDir(), "uas-registrar-calls", answererAddr, "-m", "1", "-rtp_echo")
	p := c.open(t, site+"/", spy)
	p.eval(nil, pagePhone+".then(() => phone.register())")
	p.await("a call", "!!window.session")
	p.await("ICE and DTLS", "pcs.at(-1).connectionState === 'connected'")
	p.await("what was said", "stats().then(s => s.packets > 100 && s.energy > 0.001)")
	p.eval(nil, "phone.hangup(session)")
	pbx.wait(t)
	waitFor(t, "the record", func() bool { return strings.Contains(d.log(), `"msg":"call ended"`) })
}

// jssip is a page's other library. Each step waits for what it is to come to.
const jssip = `(async () => {
const until = (what, on, event) => new Promise((ok, no) => { on.once(event, ok); setTimeout(() => no(new Error('waited 30 s for ' + what)), 30000) });
window.ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface('ws://` + doorWSAddr + `/')], uri: 'sip:visitor@pbx.test', register: false });
window.call = async number => {
	const session = window.session = ua.call('sip:' + number + '@` + doorHost + `', { mediaConstraints: { audio: true, video: false } });
	session.connection.addEventListener('track', e => { document.getElementById('voice').srcObject = new MediaStream([e.track]) });
	session.once('ended', e => { window.over = e.originator });
	await until('an answer', session, 'confirmed');
};
window.hold = on => new Promise((ok, no) => session[on ? 'hold' : 'unhold']({}, ok) || no(new Error('not now')));
window.restart = () => new Promise((ok, no) => session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, ok) || no(new Error('not now')));
ua.start();
await until('a connection', ua, 'connected');
})()`

// testJsSIP has a page with JsSIP call, hold, restart ICE, press keys and be hung up.
func testJsSIP(t *testing.T, b *bed) {
	c := startChromium(t, personVoice)
	site := servePage(t)
	d := b.openWith(t, withBrowsers(site))
	p := c.open(t, site+"/jssip", spy)
	p.await("JsSIP", "!!window.JsSIP")
	p.eval(nil, jssip)
	p.eval(nil, "call('600')")
	p.await("the echo of speech", "stats().then(s => s.packets > 100 && s.energy > 0.001)")
	p.eval(nil, "hold(true)")
	p.eval(nil, "hold(false)")
	p.eval(nil, "restart()")
	before := p.stats()
	p.await("audio after it", fmt.Sprintf("stats().then(s => s.packets > %d && s.energy > %f)", before.Packets+150, before.Energy+0.0005))
	p.eval(nil, "session.terminate()")

	pbx := d.bed.pbxLogSize(t)
	p.eval(nil, "call('801')")
	time.Sleep(500 * time.Millisecond)
	p.eval(nil, "session.sendDTMF('1234', { duration: 120, interToneGap: 150, transportType: 'RFC2833' })")
	d.bed.pbxSaid(t, pbx, "digits=1234")
	p.await("the end", "window.over === 'remote'")
}

// pagePhone is a phone of a page's own, which answers; the sample page has none.
const pagePhone = `(async () => {
	const { Web } = await import('/node_modules/sip.js/lib/index.js');
	window.phone = new Web.SessionManager('ws://` + doorWSAddr + `/', {
		aor: 'sip:701@pbx.test',
		media: { constraints: { audio: true, video: false }, remote: { audio: document.getElementById('voice') } },
		userAgentOptions: { authorizationUsername: '701', authorizationPassword: 'interop' },
		delegate: { onCallReceived: s => phone.answer(s), onCallAnswered: s => { window.session = s } },
	});
	await phone.connect();
})()`

// withBrowsers is a configuration that takes calls of a site's pages.
func withBrowsers(site string) string {
	config := strings.Replace(interopConfig, `, "tcp:`+doorAddr+`"]`, fmt.Sprintf(`, "tcp:%s", "ws:%s"]
  websocket: {trunk: web, origins: [%q]}`, doorAddr, doorWSAddr, site), 1)
	config = strings.Replace(config, "  trunks:\n", "  trunks:\n    - {name: web}\n", 1)
	config = strings.Replace(config, "media:\n", "media:\n  webrtc: {listen: [\""+doorWebRTCAddr+"\"]}\n", 1)
	return strings.Replace(config, "rules:\n", `rules:
  - name: asked
    when: to == "750" and class == "unknown"
    stages: [arrival]
    action: screen
`, 1)
}

// spy lets the test at the page's connections.
const spy = `window.pcs = [];
window.RTCPeerConnection = class extends RTCPeerConnection { constructor(...a) { super(...a); pcs.push(this) } };
window.stats = async () => {
	const s = { packets: 0, energy: 0, sent: 0, state: 'none', codec: '' };
	const pc = pcs.at(-1);
	if (!pc) return s;
	s.state = pc.connectionState;
	const all = await pc.getStats();
	for (const r of all.values()) {
		if (r.type === 'inbound-rtp') { s.packets = r.packetsReceived; s.energy = r.totalAudioEnergy; s.codec = all.get(r.codecId)?.mimeType ?? '' }
		if (r.type === 'outbound-rtp') s.sent = r.packetsSent;
	}
	return s;
};`

// page is a tab of a browser.
type page struct {
	t        *testing.T
	evaluate func(expression string) (json.RawMessage, error) // awaits promises
}

// eval has the page evaluate an expression, and reads its value into v.
func (p *page) eval(v any, expression string) {
	p.t.Helper()
	if err := p.try(v, expression); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

func (p *page) try(v any, expression string) error {
	if v == nil { // what it comes to may be nothing that can be written as JSON
		expression = "(async () => { await (" + expression + ") })()"
	}
	b, err := p.evaluate(expression)
	if err != nil || v == nil || len(b) == 0 {
		return err
	}
	return json.Unmarshal(b, v)
}

// await waits until an expression is true.
func (p *page) await(what, expression string) {
	p.t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var ok bool
		if last = p.try(&ok, expression); last == nil && ok {
			return
		}
	}
	p.t.Fatalf("waited 30 s in vain for %s (%v)", what, last)
}

// heard are a page's WebRTC statistics.
type heard struct {
	Packets, Sent int
	Energy        float64 // of what was heard, by the W3C's totalAudioEnergy
	State, Codec  string
}

func (p *page) stats() (h heard) {
	p.t.Helper()
	p.eval(&h, "stats()")
	return h
}

// servePage serves the sample page, set to call the door.
func servePage(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", pageHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	const configs, modules = "../../configs/browser/", "../../testdata/interop/phones/node_modules"
	mux := http.NewServeMux()
	mux.Handle("/node_modules/", http.StripPrefix("/node_modules", http.FileServer(http.Dir(modules))))
	mux.HandleFunc("/call.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, configs+"call.js") })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		b, err := os.ReadFile(configs + "index.html")
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(string(b), "wss://sip.example.com:8089/", "ws://"+doorWSAddr+"/"), "@sip.example.com", "@"+doorHost)))
	})
	mux.HandleFunc("/jssip", func(w http.ResponseWriter, _ *http.Request) {
		// JsSIP is published for bundlers.
		out, err := exec.Command(modules+"/.bin/esbuild", modules+"/jssip", "--bundle", "--format=iife", "--global-name=JsSIP").Output()
		if err != nil {
			t.Errorf("esbuild: %v", err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!doctype html><audio id=voice autoplay></audio><script>%s</script>", strings.ReplaceAll(string(out), "</script", "<\\/script"))
	})
	s := &http.Server{Handler: mux}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}

// calls has the page call a number, and returns when it is answered.
func (p *page) calls(number string) {
	p.t.Helper()
	p.await("the page", "!!document.querySelector('#keys button')")
	p.eval(nil, fmt.Sprintf("document.getElementById('phone').dataset.number = 'sip:%s@%s'", number, doorHost))
	p.click("#call")
	p.await("an answer", "document.getElementById('state').textContent === 'talking'")
	p.await("ICE and DTLS", "pcs.at(-1).connectionState === 'connected'")
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.eval(nil, fmt.Sprintf("document.querySelector(%q).click()", selector))
}

func (p *page) press(keys string) {
	p.t.Helper()
	for _, k := range keys {
		p.eval(nil, fmt.Sprintf("[...document.querySelectorAll('#keys button')].find(b => b.textContent === %q).click()", string(k)))
		time.Sleep(300 * time.Millisecond) // a key and the pause after it
	}
}

func (p *page) ended() {
	p.t.Helper()
	p.await("the end", "document.getElementById('state').textContent === 'ended'")
}

// lastRecord is that of the last call to a number, by the door's log.
func (d *openDoor) lastRecord(t *testing.T, from int, number string) store.Record {
	t.Helper()
	var id string
	waitFor(t, "a call to "+number, func() bool {
		for _, line := range strings.Split(d.log()[from:], "\n") {
			if strings.Contains(line, `"msg":"call"`) && strings.Contains(line, `"to":"`+number+`"`) {
				_, rest, _ := strings.Cut(line, `"call_id":"`)
				id, _, _ = strings.Cut(rest, `"`)
			}
		}
		return id != ""
	})
	return d.record(t, id)
}

// What the browser says comes back from Asterisk's echo through the door.
func testBrowserEcho(t *testing.T, d *openDoor, p *page) {
	from := len(d.log())
	p.calls("600")
	p.await("the echo of speech", "stats().then(s => s.packets > 200 && s.energy > 0.001)")
	h := p.stats()
	if h.Codec != "audio/PCMU" || h.Sent < 200 {
		t.Errorf("statistics of the page: %+v", h)
	}
	p.click("#hangup")
	p.ended()
	r := d.lastRecord(t, from, "600")
	if r.Outcome != store.Answered || r.EndedBy != store.ByCaller || r.CallerMedia.Codec != "PCMU" || r.Transport != "WS" || r.Trunk != "web" {
		t.Errorf("outcome %s, ended by %s, codec %s, transport %s, trunk %s", r.Outcome, r.EndedBy, r.CallerMedia.Codec, r.Transport, r.Trunk)
	}
	if r.CallerMedia.SRTP != "AEAD_AES_128_GCM" {
		t.Errorf("encrypted with %q", r.CallerMedia.SRTP)
	}
	if r.CallerMedia.Packets < 200 || r.CallerMedia.Lost > 5 || r.CallerMedia.Dropped > 0 {
		t.Errorf("media of the caller: %+v", r.CallerMedia)
	}
	t.Logf("energy %.4f, %d packets heard, %d sent; media %+v", h.Energy, h.Packets, h.Sent, r.CallerMedia)
}

// Keys reach Asterisk as events, and Asterisk hangs up.
func testBrowserDigits(t *testing.T, d *openDoor, p *page) {
	from, pbx := len(d.log()), d.bed.pbxLogSize(t)
	p.calls("801")
	time.Sleep(500 * time.Millisecond)
	p.press("1234")
	d.bed.pbxSaid(t, pbx, "digits=1234")
	p.ended()
	if r := d.lastRecord(t, from, "801"); r.EndedBy != store.ByFar || r.Digits != 4 {
		t.Errorf("ended by %s after %d keys", r.EndedBy, r.Digits)
	}
}

// The browser holds and resumes.
func testBrowserHold(t *testing.T, d *openDoor, p *page) {
	p.calls("600")
	p.await("the echo", "stats().then(s => s.packets > 50)")
	p.click("#hold")
	p.await("hold", "document.getElementById('state').textContent === 'on hold' && pcs.at(-1).getTransceivers()[0].currentDirection === 'sendonly'")
	p.click("#hold")
	p.await("resuming", "document.getElementById('state').textContent === 'talking' && pcs.at(-1).getTransceivers()[0].currentDirection === 'sendrecv'")
	before := p.stats()
	p.await("audio after the hold", fmt.Sprintf("stats().then(s => s.packets > %d && s.energy > %f)", before.Packets+100, before.Energy+0.0005))
	p.click("#hangup")
	p.ended()
	if strings.Contains(d.log(), "taken off a hold") {
		t.Error("the door took somebody off a hold that it kept")
	}
}

// A rule moves the browser's call to another destination: the page sees nothing
// of it, and hears the other.
func testBrowserMoved(t *testing.T, d *openDoor, p *page) {
	from, pbx := len(d.log()), d.bed.pbxLogSize(t)
	p.calls("600")
	p.await("the echo", "stats().then(s => s.packets > 50)")
	p.press("42")
	d.bed.pbxSaid(t, pbx, "to=sip:automation@", "action=automation", "rule=digits")
	before := p.stats()
	p.await("audio of the automation", fmt.Sprintf("stats().then(s => s.packets > %d)", before.Packets+50))
	p.click("#hangup")
	p.ended()
	if r := d.lastRecord(t, from, "600"); len(r.Far) != 2 || r.Far[1].Destination != "automation" || r.EndedBy != store.ByCaller {
		t.Errorf("went to %+v, ended by %s", r.Far, r.EndedBy)
	}
}

// The door itself answers, and the browser hears its prompt.
func testBrowserPrompt(t *testing.T, d *openDoor, p *page) {
	from := len(d.log())
	p.calls("750")
	p.await("the prompt", "stats().then(s => s.packets > 50 && s.energy > 0.0005)")
	p.click("#hangup")
	p.ended()
	if r := d.lastRecord(t, from, "750"); len(r.Far) != 0 || r.EndedBy != store.ByCaller {
		t.Errorf("went to %+v, ended by %s", r.Far, r.EndedBy)
	}
}

// A browser restarts ICE in a call, as it does when it changes networks.
func testBrowserRestart(t *testing.T, _ *openDoor, p *page) {
	p.eval(nil, pagePhone+".then(() => phone.call('sip:600@"+doorHost+"'))")
	p.await("an answer", "!!window.session")
	p.await("the echo", "stats().then(s => s.packets > 50)")
	const ufrag = `pcs.at(-1).currentRemoteDescription.sdp.match(/a=ice-ufrag:(\S+)/)[1]`
	var before string
	p.eval(&before, ufrag)
	p.eval(nil, "session.invite({ sessionDescriptionHandlerOptions: { offerOptions: { iceRestart: true } } })")
	p.await("new credentials", fmt.Sprintf("%s !== %q", ufrag, before))
	heard := p.stats()
	p.await("audio after the restart", fmt.Sprintf("stats().then(s => s.packets > %d)", heard.Packets+150))
	p.await("the state", "pcs.at(-1).iceConnectionState === 'connected'")
	p.eval(nil, "phone.hangup(session)")
}

// A browser whose connection is closed, without a BYE, is not kept.
func testBrowserGone(t *testing.T, d *openDoor, p *page) {
	from := len(d.log())
	p.calls("600")
	p.await("the echo", "stats().then(s => s.packets > 50)")
	p.eval(nil, "pcs.at(-1).close()")
	p.ended()
	if r := d.lastRecord(t, from, "600"); r.EndedBy != store.ByPortero {
		t.Errorf("ended by %s", r.EndedBy)
	}
}
