package door

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	sipmsg "github.com/emiago/sipgo/sip"
	"go.uber.org/zap"

	"github.com/portero/portero/media/prompt"
	"github.com/portero/portero/media/record"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/policy/store"
	"github.com/portero/portero/sip/identity"
	"github.com/portero/portero/sip/sdp"
)

// A call is recorded as long as it is at a destination, or on a trunk, that says
// so (record: true), from the moment in which somebody answers:
//
//	announce   what comes first
//	prompt     the door says it to the caller; the recording begins when it was said
//	pbx        nothing: X-Portero-Recording has told the dialplan to say it
//	none       nothing
//
// Whatever goes wrong, the call goes on unrecorded, and its record says why.

// taping is one recording of a call, or the announcement before it.
type taping struct {
	announcement *prompt.Player    // nil: not any more
	rec          *record.Recording // nil: not yet
	since        time.Time
}

// tapeBytes is the size of the rings between the packets and the recording: 6.6 s
// of G.711 each.
const tapeBytes = 64 << 10

// tapeWait is how long a call that has ended waits for the disk, at most.
const tapeWait = 5 * time.Second

// recorded says whether a call is to be recorded while it is at a far leg.
func (c *call) recorded(l *leg) bool {
	if c.d.deps.Recorder == nil {
		return false
	}
	wanted := c.trunk.Record || c.d.cfg.Destinations[l.dest].Record
	if c.out != nil {
		wanted = slices.ContainsFunc(c.d.cfg.Trunks, func(t Trunk) bool { return t.Name == c.out.name && t.Record })
	}
	return wanted && (c.d.deps.Recorder.Emergency() || !c.isEmergency())
}

// isEmergency says whether this is an emergency call, by its signalling or by the
// number it calls.
func (c *call) isEmergency() bool { return c.isEmergencyTo(c.rec.To) }

func (c *call) isEmergencyTo(number string) bool {
	if len(c.in.raw) > 0 && identity.Of(c.in.raw, false).Emergency {
		return true
	}
	f := policy.Facts{To: number}
	c.bench.Rules.Fill(&f)
	return f.Emergency
}

// tellRecorded says in an INVITE that the call is recorded at its destination, and
// who announces it.
func (c *call) tellRecorded(l *leg, req *sipmsg.Request) {
	set := func(name, value string) { req.AppendHeader(sipmsg.NewHeader(name, value)) }
	if c.out == nil && c.recorded(l) {
		set("X-Portero-Recording", c.d.deps.Recorder.Announce())
	}
}

// recordAt begins to record, goes on or stops, as a far leg that has answered
// wants it.
func (c *call) recordAt(l *leg) {
	switch {
	case !c.recorded(l):
		c.stopTaping()
	case c.taping != nil || c.ending:
	case c.d.deps.Recorder.Announce() != record.ByPrompt:
		c.taping = &taping{}
		c.tape(c.taping)
	case c.out != nil:
		c.untaped(errors.New("a call of the PBX cannot be announced to who is called; recording.announce says prompt"))
	default:
		c.announce()
	}
}

// announce tells the caller, and has the recording begin after it.
func (c *call) announce() {
	p, err := c.say(prompt.Options{}, prompt.Recorded)
	if err != nil {
		c.untaped(fmt.Errorf("it cannot be announced: %w", err))
		return
	}
	t := &taping{announcement: p}
	c.taping = t
	c.d.spawn(func() {
		<-p.Gone()
		c.post(func() {
			if c.taping != t || c.ending {
				return
			}
			t.announcement = nil
			if err := p.Err(); err != nil {
				c.taping = nil
				c.untaped(fmt.Errorf("it was not announced: %w", err))
				return
			}
			c.tape(t)
		})
	})
}

// tape begins the recording.
func (c *call) tape(t *taping) {
	r := c.d.deps.Recorder
	codecs, secure := c.callersCodecs()
	if c.srs != nil && r.Packets() {
		c.taping = nil
		c.untaped(errors.New("a recording session has no two ways that a capture could show; recording.format says pcapng"))
		return
	}
	if secure {
		c.taping = nil
		c.untaped(errors.New("its media is encrypted with keys of the two sides"))
		return
	}
	sources := c.tapeSources()
	t.since = time.Now()
	id := c.id
	if n := c.tapes; n > 0 {
		id += "x" + strconv.Itoa(n)
	}
	rec, err := r.Begin(record.Call{
		ID: id, CallID: c.rec.CallID, Start: t.since, Sources: sources,
		Media: mediaPlaces(c.session),
		Done:  func(res record.Result) { c.post(func() { c.taped(t, res) }) },
	})
	if err != nil {
		c.stopCopies()
		c.taping = nil
		c.untaped(err)
		return
	}
	t.rec = rec
	c.tapes++
	c.tapesOpen++
	tellCodecs(rec, codecs)
	c.film.to(rec)
	c.log.Info("recording", zap.String("file", rec.Path()))
}

// tapeSources are what is recorded: both ways of a call, or the first two streams
// of a recording session, the caller's first.
func (c *call) tapeSources() [2]record.Source {
	copies := c.session.Copy(tapeBytes)
	c.copies = append(c.copies, copies)
	out := [2]record.Source{copies.Caller, copies.Heard}
	if c.srs == nil {
		return out
	}
	if k := c.srs.other(); k != nil {
		copies := k.session.Copy(tapeBytes)
		c.copies = append(c.copies, copies)
		out[record.Heard] = copies.Caller
	}
	return out
}

func (c *call) stopCopies() {
	for _, copies := range c.copies {
		copies.Stop()
	}
	c.copies = nil
}

func tellCodecs(rec *record.Recording, codecs map[uint8]sdp.Codec) {
	for pt, k := range codecs {
		rec.Payload(pt, k.Name, k.Clock)
	}
}

// untaped notes that a call that was to be recorded is not.
func (c *call) untaped(err error) {
	c.log.Warn("the call is not recorded and goes on", zap.Error(err))
	c.rec.Errors = append(c.rec.Errors, "not recorded: "+err.Error())
}

// stopTaping ends the recording, or the announcement before it.
func (c *call) stopTaping() {
	t := c.taping
	if t == nil {
		return
	}
	c.taping = nil
	if t.announcement != nil {
		t.announcement.Stop()
	}
	if t.rec != nil {
		c.stopCopies()
		c.film.to(nil)
		t.rec.End(time.Now())
	}
}

// leaveTapes ends the recording as the call ends, and lets it go soon even if the
// disk does not come back.
func (c *call) leaveTapes() {
	c.stopTaping()
	if c.tapesOpen > 0 {
		c.after(tapeWait, func() {
			if c.tapesOpen > 0 {
				c.log.Warn("the disk is slow: the call's record does not say what became of its recording")
				c.tapesOpen = 0
			}
		})
	}
}

// taped puts what became of a recording into the call's record.
func (c *call) taped(t *taping, res record.Result) {
	c.tapesOpen = max(0, c.tapesOpen-1)
	if c.taping == t { // it ended before the call
		c.taping = nil
		c.stopCopies()
		c.film.to(nil)
	}
	r := store.Recording{File: res.File, StartedAt: store.At(t.since), Seconds: res.Length.Seconds(), Dropped: res.Dropped, Stopped: res.Stopped}
	if res.Err != nil {
		r.Stopped = res.Err.Error()
	}
	c.rec.Recordings = append(c.rec.Recordings, r)
	c.log.Info("recorded", zap.String("file", res.File), zap.Duration("length", res.Length), zap.Uint64("dropped", res.Dropped), zap.String("stopped", r.Stopped))
}
