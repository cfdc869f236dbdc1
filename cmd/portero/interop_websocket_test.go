package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Where the door takes WebSockets.
const (
	doorWSAddr  = doorHost + ":8088"
	doorWSSAddr = doorHost + ":8089"
)

// testSIPjs has a foreign phone of a browser's kind, SIP.js under Node.js,
// register at Asterisk through the door, call and write, over ws and wss: its
// signalling, that is. The steps are in testdata/interop/phones.
func testSIPjs(t *testing.T, b *bed) {
	t.Run("calls", func(t *testing.T) { testSIPjsCalls(t, b) })
	t.Run("called", func(t *testing.T) { testSIPjsCalled(t, b) })
	t.Run("behind Kamailio", func(t *testing.T) { testSIPjsBehindKamailio(t, b) })
}

// testSIPjsBehindKamailio has it call through a Kamailio that takes its WebSocket
// and is a trunk over UDP to the door.
func testSIPjsBehindKamailio(t *testing.T, b *bed) {
	startKamailioWith(t, []string{"PORTERO_KAMAILIO_WS=yes"}, frontAddr, doorAddr)
	b.open(t)
	sipjs(t, makePKI(t), "ws://"+frontAddr, "options,caller,hungup,cancel,busy,message")
}

func testSIPjsCalls(t *testing.T, b *bed) {
	p := makePKI(t)
	b.openWith(t, p.withWebSockets())
	for name, url := range p.webSockets() {
		t.Run(name, func(t *testing.T) {
			sipjs(t, p, url, "register,options,caller,hungup,cancel,busy,message,unregister")
			text := "body=" + url // of its MESSAGE
			waitFor(t, "Asterisk to say "+text, func() bool {
				log, _ := os.ReadFile(b.pbxLog)
				return bytes.Contains(log, []byte(text))
			})
		})
	}
}

// testSIPjsCalled has it called along the Path of its registration. The registrar
// is SIPp: Asterisk 16 looks up what its Contact names instead (x.invalid).
func testSIPjsCalled(t *testing.T, b *bed) {
	p := makePKI(t)
	b.openWith(t, strings.Replace(p.withWebSockets(), "\nmedia:", "\n  proxy: answerer\nmedia:", 1))
	for name, url := range p.webSockets() {
		t.Run(name, func(t *testing.T) {
			pbx := startSIPp(t, t.TempDir(), "uas-registrar-calls", answererAddr, "-m", "1")
			sipjs(t, p, url, "called")
			pbx.wait(t)
		})
	}
}

// withWebSockets is a configuration that listens over ws and wss too.
func (p pki) withWebSockets() string {
	config := strings.Replace(interopConfig, `, "tcp:`+doorAddr+`"]`, fmt.Sprintf(`, "tcp:%s", "ws:%s", "wss:%s"]
  websocket: {trunk: phones}
  tls: {certificates: [{cert: %q, key: %q}]}`, doorAddr, doorWSAddr, doorWSSAddr, p.file(doorName+".pem"), p.file(doorName+".key")), 1)
	return strings.Replace(config, "  trunks:\n", "  trunks:\n    - {name: phones}\n", 1)
}

// webSockets are the URLs of the door's listeners, by their scheme.
func (p pki) webSockets() map[string]string {
	return map[string]string{"ws": "ws://" + doorWSAddr, "wss": strings.Replace("wss://"+doorWSSAddr, doorHost, doorName, 1)}
}

// sipjs has the phone take these steps at a URL.
func sipjs(t *testing.T, p pki, url, steps string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const script = "../../testdata/interop/phones/phone.mjs"
	if _, err := os.Stat(script); err != nil { // also tells go test that the result hangs on it
		t.Fatal(err)
	}
	phone := exec.CommandContext(ctx, "node", script, url, steps, doorName+"="+doorHost)
	phone.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+p.file("ca.pem"))
	if said, err := phone.CombinedOutput(); err != nil {
		t.Fatalf("the phone: %v; it said\n%s", err, said)
	}
}
