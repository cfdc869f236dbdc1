package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
)

// testCalls places calls with a phone that hears and presses keys, where SIPp
// only sees messages.
func testCalls(t *testing.T, b *bed) {
	d := b.open(t)
	p := openPhone(t)
	for name, test := range map[string]func(*testing.T, *openDoor, *phone.Phone){
		"echo":      testEcho,
		"digits":    testDigits,
		"declared":  testDeclared,
		"moved":     testMoved,
		"signed":    testSigned,
		"allowed":   testAllowed,
		"strangers": testStrangers,
	} {
		t.Run(name, func(t *testing.T) { test(t, d, p) })
	}
}

func openPhone(t *testing.T) *phone.Phone {
	t.Helper()
	p, err := phone.Open(netip.MustParseAddrPort("127.0.60.22:5060"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// dial places a call that must be answered.
func dial(t *testing.T, p *phone.Phone, inv phone.Invite) *phone.Call {
	t.Helper()
	c, err := p.Dial(t.Context(), inv)
	if err != nil {
		t.Fatalf("the call to %s: %v", inv.To, err)
	}
	return c
}

func hangUp(t *testing.T, c *phone.Call) {
	t.Helper()
	if err := c.Hangup(); err != nil {
		t.Error(err)
	}
}

func number(n string) string { return "sip:" + n + "@" + doorAddr }

// What the caller says comes back from Asterisk's echo through the door, as it
// was said.
func testEcho(t *testing.T, d *openDoor, p *phone.Phone) {
	for _, law := range []codec.Law{codec.MuLaw, codec.ALaw} {
		t.Run(law.String(), func(t *testing.T) {
			voice := readSound(t, personVoice)[:4*codec.Rate]
			c := dial(t, p, phone.Invite{To: number("600"), From: "+34600000002", Law: law})
			if err := c.Line().Say(t.Context(), voice); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			heard := c.Line().Hearing()
			hangUp(t, c)
			if l := likeness(voice, heard); l < 0.98 {
				t.Errorf("the echo has a likeness of %.3f to what was said", l)
			}
			r := d.record(t, c.ID())
			if r.Outcome != store.Answered || r.EndedBy != store.ByCaller || r.CallerMedia.Codec != law.String() {
				t.Errorf("outcome %s, ended by %s, codec %s", r.Outcome, r.EndedBy, r.CallerMedia.Codec)
			}
			if r.CallerMedia.Packets < 200 || r.CallerMedia.Lost > 2 || r.CallerMedia.Dropped > 0 || r.AnalysisDropped > 0 {
				t.Errorf("media of the caller: %+v; %d frames were not analysed", r.CallerMedia, r.AnalysisDropped)
			}
		})
	}
}

// Keys pass as they are.
func testDigits(t *testing.T, d *openDoor, p *phone.Phone) {
	from := d.bed.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("801"), From: "+34600000003"})
	time.Sleep(500 * time.Millisecond)
	// Asterisk hangs up at the fourth, perhaps before the pause after it is over.
	if err := c.Line().Press(t.Context(), "1234", 120*time.Millisecond, 150*time.Millisecond); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	d.bed.pbxSaid(t, from, "from=+34600000003", "digits=1234")
	<-c.Done()
	if r := d.record(t, c.ID()); r.EndedBy != store.ByFar || r.Digits != 4 {
		t.Errorf("ended by %s after %d keys", r.EndedBy, r.Digits)
	}
}

// A caller that declares itself a machine goes to the automation at once.
func testDeclared(t *testing.T, d *openDoor, p *phone.Phone) {
	from := d.bed.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("700"), From: "+34600000004", Contact: ";automata"})
	d.bed.pbxSaid(t, from, "from=+34600000004", "to=sip:automation@", "action=automation", "rule=declared", "reason=P200-declared")
	hangUp(t, c)
	r := d.record(t, c.ID())
	if len(r.Far) != 1 || r.Far[0].Destination != "automation" || r.Action() != policy.ToAutomation {
		t.Errorf("went to %+v by %+v", r.Far, r.Decisions)
	}
}

// A call that talks already is moved by what is heard; the caller's leg goes on.
func testMoved(t *testing.T, d *openDoor, p *phone.Phone) {
	from := d.bed.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("600"), From: "+34600000005"})
	d.bed.pbxSaid(t, from, "from=+34600000005", "to=sip:600@")
	time.Sleep(500 * time.Millisecond)
	before := c.Line().Heard().Packets
	if err := c.Line().Press(t.Context(), "42", 100*time.Millisecond, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	d.bed.pbxSaid(t, from, "from=+34600000005", "to=sip:automation@", "action=automation", "rule=digits")
	waitFor(t, "audio of the automation", func() bool { return c.Line().Heard().Packets > before+100 })
	select {
	case <-c.Done():
		t.Fatal("the caller's leg was ended by the move")
	default:
	}
	if err := c.Reinvite(t.Context(), "sendonly"); err != nil {
		t.Errorf("hold after the move: %v", err)
	}
	if err := c.Reinvite(t.Context(), "sendrecv"); err != nil {
		t.Errorf("resume after the move: %v", err)
	}
	hangUp(t, c)
	r := d.record(t, c.ID())
	if len(r.Far) != 2 || r.Far[0].Destination != "agents" || r.Far[1].Destination != "automation" {
		t.Errorf("far legs %+v", r.Far)
	}
	if n := len(r.Decisions); n == 0 || !r.Decisions[n-1].Enforced || r.Decisions[n-1].Stage != policy.Listening {
		t.Errorf("decisions %+v", r.Decisions)
	}
}

// An allow-listed caller is no matter of rules, even if it declares itself.
func testAllowed(t *testing.T, d *openDoor, p *phone.Phone) {
	from := d.bed.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("700"), From: "+34600000111", Contact: ";automata"})
	d.bed.pbxSaid(t, from, "from=+34600000111", "to=sip:700@", "action=agents", "reason=P110-allow-listed")
	hangUp(t, c)
}

// Who is no trunk gets nothing, not even a refusal.
func testStrangers(t *testing.T, _ *openDoor, _ *phone.Phone) {
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(strangerHost)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(doorAddr)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, message := range []string{
		"OPTIONS sip:600@" + doorAddr + " SIP/2.0\r\nVia: SIP/2.0/UDP " + conn.LocalAddr().String() + ";branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:600@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		"REGISTER\r\n\r\n",
	} {
		if _, err := conn.Write([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 2048)
	if n, err := conn.Read(buf); err == nil {
		t.Errorf("a stranger was answered: %s", buf[:n])
	}
}

// testReload changes the rules of a running door: good ones count for the next
// call, bad ones for none.
func testReload(t *testing.T, b *bed) {
	d := b.open(t)
	p := openPhone(t)
	call := func(want ...string) {
		t.Helper()
		from := b.pbxLogSize(t)
		c := dial(t, p, phone.Invite{To: number("600"), From: "+34600000006"})
		b.pbxSaid(t, from, append(want, "from=+34600000006")...)
		hangUp(t, c)
	}
	call("reason=P300-no-rule")
	const rules = "rules:\n"
	d.reload(t, rules+"  - {name: reloaded, when: 'from == \"+34600000006\"', stages: [arrival], action: agents}\n", "are new; other keys need a restart")
	call("rule=reloaded")
	d.errorsWanted = true
	d.reload(t, rules+"  - {name: broken, when: 'form == 1', action: agents}\n", "old rules stay")
	call("rule=reloaded")
}

// testDrain lets a call go on after SIGTERM, takes no new one, and ends by
// itself when the call has.
func testDrain(t *testing.T, b *bed) {
	d := b.open(t)
	p := openPhone(t)
	c := dial(t, p, phone.Invite{To: number("600"), From: "+34600000007"})
	d.terminate()
	waitFor(t, "the health check to tell of the drain", func() bool { return getJSON("http://"+consoleAddr+"/healthz", new(any)) != nil })
	if _, err := p.Dial(t.Context(), phone.Invite{To: number("600"), From: "+34600000008"}); err == nil {
		t.Error("a new call was taken while draining")
	} else if r, ok := err.(*phone.Refused); !ok || r.Code != 503 {
		t.Errorf("a new call got %v, want 503", err)
	}
	before := c.Line().Heard().Packets
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Line().Say(ctx, readSound(t, personVoice)[:codec.Rate]); err != nil {
		t.Fatal(err)
	}
	if n := c.Line().Heard().Packets - before; n < 40 {
		t.Errorf("only %d packets came in a second of draining", n)
	}
	hangUp(t, c)
	select {
	case err := <-d.exited:
		d.exited <- err
	case <-time.After(10 * time.Second):
		t.Error("the door is still there 10 s after its last call")
	}
}
