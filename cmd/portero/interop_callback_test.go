package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/portero/portero/cmd/demo/phone"
	"github.com/portero/portero/policy/store"
)

// testCallback has a caller promised a callback while the only agent is busy,
// and the promise kept when the agent is free: the customer (SIPp) is called
// through Asterisk, presses 1, and is joined to the agents. `callbacks run` at
// the same moment as the door's own dialer must not have them called twice.
func testCallback(t *testing.T, b *bed) {
	const customer = "+34600000009"
	d := b.openWith(t, interopConfig+"surge: {agents: 1}\n")
	p := openPhone(t)
	answered := startSIPp(t, t.TempDir(), "uas-customer", customerAddr, "-m", "1")
	busy := dial(t, p, phone.Invite{To: number("600"), From: "+34600000010"})

	from := b.pbxLogSize(t)
	c := dial(t, p, phone.Invite{To: number("950"), From: customer})
	select { // the promise is said, then the door hangs up
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Error("the promise is still being said after 20 s")
		hangUp(t, c)
	}
	if h := c.Line().Heard(); h.Speech < time.Second {
		t.Errorf("the caller heard %v of speech", h.Speech)
	}
	promises := d.promises(t)
	if len(promises) != 1 || promises[0].Number != customer || promises[0].CallID != c.ID() || promises[0].State != store.StateOpen {
		t.Fatalf("promises while the agent is busy: %+v", promises)
	}

	hangUp(t, busy)
	d.portero(t, "callbacks", "run", "--config", d.config)
	b.pbxSaid(t, from, "to=sip:"+customer+"@", "callback=1")
	b.pbxSaid(t, from, "to=sip:agents@", "callback=1")
	waitFor(t, "the promise to be kept", func() bool { return d.promises(t)[0].State == store.StateJoined })
	if kept := d.promises(t)[0]; kept.Attempts != 1 {
		t.Errorf("the customer was called %d times", kept.Attempts)
	}
	b.hangUpAll(t) // after the talk
	answered.wait(t)
}

func (d *openDoor) promises(t *testing.T) []store.Promise {
	t.Helper()
	var list []store.Promise
	dec := json.NewDecoder(strings.NewReader(d.portero(t, "callbacks", "list", "--json", "--config", d.config)))
	for dec.More() {
		var p store.Promise
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}
