package door

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"

	"github.com/portero/portero/media/record"
	"github.com/portero/portero/media/relay"
	"github.com/portero/portero/sip/hep"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/transport"
)

// film is the signalling of a call's caller leg, for captures: handed to the spool at
// once, and kept until a recording begins, then handed on. It is nil where nothing
// wants it.
type film struct {
	spool *record.Kept // nil: the last calls are not kept, or not this one
	tapes bool         // a recording may want it

	mu   sync.Mutex
	rec  *record.Recording
	kept []frame
	size int
}

type frame struct {
	in            bool
	local, remote netip.AddrPort
	data          []byte
	at            time.Time
}

// maxFilm bounds what is kept of a call before its recording begins, bytes.
const maxFilm = 64 << 10

func (f *film) add(callID string, k frame) {
	if f.spool != nil {
		b := bytes.Clone(k.data)
		hep.Mask(b)
		f.spool.Message(k.in, k.local, k.remote, callID, b, k.at)
	}
	if !f.tapes {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rec != nil {
		f.rec.Message(k.in, k.local, k.remote, k.data, k.at)
		return
	}
	if f.size+len(k.data) <= maxFilm {
		k.data = bytes.Clone(k.data)
		f.size += len(k.data)
		f.kept = append(f.kept, k)
	}
}

// to hands the messages to a recording from now on; nil: to nobody.
func (f *film) to(rec *record.Recording) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rec = rec
	if rec == nil {
		return
	}
	for _, k := range f.kept {
		rec.Message(k.in, k.local, k.remote, k.data, k.at)
	}
	f.kept, f.size = nil, 0
}

// films are those of the calls that may be recorded, by Call-ID.
type films struct {
	mu      sync.RWMutex
	all     map[string]*film
	leaving []leaving // in the order in which they go
}

// leaving is the film of a call that is over.
type leaving struct {
	id    string
	film  *film
	until time.Time
}

// filmed begins to keep a call's signalling, if captures are made.
func (c *call) filmed(req *sipmsg.Request) {
	f := &film{tapes: c.d.deps.Recorder != nil && c.d.deps.Recorder.Packets()}
	if s := c.d.deps.Spool; s != nil && c.out == nil && (s.Emergency() || !c.isEmergencyTo(dialled(req))) {
		f.spool = s.Keep(c.id)
	}
	if c.in.raw == nil || !f.tapes && f.spool == nil {
		return
	}
	c.film = f
	f.add(c.rec.CallID, frame{in: true, local: c.in.local, remote: c.source, data: c.in.raw, at: c.in.at})
	c.d.films.mu.Lock()
	c.d.films.all[c.rec.CallID] = f
	c.d.films.mu.Unlock()
}

// keepVoices has the spool keep the call's RTP, if it is to.
func (c *call) keepVoices() {
	if c.film == nil || c.film.spool == nil || !c.d.deps.Spool.Media() {
		return
	}
	c.kept = c.session.Copy(tapeBytes)
	c.film.spool.Voices([2]record.Source{c.kept.Caller, c.kept.Heard}, mediaPlaces(c.session))
}

// keepAgreed tells the spool what the caller now speaks. What goes between the two
// sides with keys of their own is not kept.
func (c *call) keepAgreed(codecs map[uint8]sdp.Codec, secure bool) {
	if c.film == nil || c.film.spool == nil {
		return
	}
	for pt, k := range codecs {
		c.film.spool.Payload(pt, k.Name, k.Clock)
	}
	if secure && c.kept != nil {
		c.kept.Stop()
	}
}

// mediaPlaces are the addresses of the caller's media and of the door's toward it.
func mediaPlaces(session *relay.Session) func() (caller, door netip.AddrPort) {
	return func() (netip.AddrPort, netip.AddrPort) {
		st := session.Stats().Caller
		if st.Latched.IsValid() {
			return st.Latched, st.Local
		}
		return st.Remote, st.Local
	}
}

func (c *call) unfilmed() {
	if c.film == nil {
		return
	}
	if c.kept != nil {
		c.kept.Stop()
	}
	if c.film.spool != nil {
		c.film.spool.End()
	}
	c.d.films.leave(c.rec.CallID, c.film, time.Now())
}

// filmLinger is for how long messages of a call that is over are still its own: the
// ACK of a refusal, and what is sent again.
const filmLinger = 5 * time.Second

// leave forgets a call's film in a while, and those whose time is up at once.
func (f *films) leave(id string, k *film, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leaving = append(f.leaving, leaving{id, k, now.Add(filmLinger)})
	for len(f.leaving) > 0 && f.leaving[0].until.Before(now) {
		if l := f.leaving[0]; f.all[l.id] == l.film { // and no later call's with that Call-ID
			delete(f.all, l.id)
		}
		f.leaving[0] = leaving{}
		f.leaving = f.leaving[1:]
	}
}

// message takes a SIP message that passes.
func (f *films) message(in bool, flow transport.Flow, data []byte, at time.Time) {
	id := callIDIn(data)
	f.mu.RLock()
	k := f.all[id]
	f.mu.RUnlock()
	if k != nil {
		k.add(id, frame{in: in, local: flow.Local, remote: flow.Remote, data: data, at: at})
	}
}

// callIDIn is the Call-ID of a raw message; a header of that name that is folded or
// oddly spelt is not found.
func callIDIn(data []byte) string {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			return ""
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		if ok && (bytes.EqualFold(name, []byte("Call-ID")) || len(name) == 1 && name[0]|0x20 == 'i') {
			return string(bytes.TrimSpace(value))
		}
		data = rest
	}
	return ""
}
