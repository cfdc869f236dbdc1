package judge

import (
	"math"
	"slices"
	"time"

	"github.com/portero/portero/media/sound"
	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/fingerprint"
	"github.com/portero/portero/sip/sdp"
	"github.com/portero/portero/sip/signature"
)

// Call is one call before the judge. It is not safe for concurrent use.
//
// Everything that hears the caller runs inside Packet, Advance and Ended, on
// hostile input. Should one of them panic, the caller recovers, calls Abandon,
// never touches this Call again otherwise, and fails open (Bench.FailOpen): what
// a Call shares with others is not left locked by a panic.
//
// Every Call is ended with Ended or Abandon, else the Bench keeps it.
type Call struct {
	bench *Bench
	start time.Time     // the INVITE's
	shift time.Duration // of the rules' now, see Arrival
	next  time.Time     // the next tick
	ended bool

	print      fingerprint.Print
	made       signature.Match
	compared   bool // the caller's first packet with what is made
	signalling []policy.Evidence
	prior      float64 // log-odds
	facts      policy.Facts

	ear     *ear
	queue   queue // of the caller's packets
	others  queue // of those that the caller is sent
	missed  int   // the caller's packets that the analysis was too slow for
	unheard int   // and of those that the caller is sent

	campaignID string
	twin       bool // another call is this one at another place
	printed    int  // words of the print compared
	campaign   []policy.Evidence

	answered moment
	far      moment

	verdict   policy.Verdict
	stated    []statement
	verdicts  []policy.Verdict
	decision  policy.Decision // in force
	decisions []policy.Decision
	news      []policy.Decision // not yet returned by Advance

	screenSince time.Time // the dialogue has had the caller since; zero: it has not
	screenHeard float64   // s heard before that
	screenEnded time.Time // the dialogue was decided; zero: it was not
}

// moment is a time that is told once.
type moment struct {
	at    time.Time
	told  bool
	heard bool // the ear knows
}

func (m *moment) tell(at time.Time) {
	if !m.told {
		m.at, m.told = at, true
	}
}

// past says whether the moment has come at a time.
func (m *moment) past(now time.Time) bool { return m.told && !m.at.After(now) }

// late is how much later than its moment an answer may be told while packets go
// on to come, without a tick having gone by.
const late = 500 * time.Millisecond

// tickEvery is the time between ticks.
const tickEvery = time.Second

// lastTick is how long after the INVITE a call is still judged. It bounds the
// work that a recording with a gap of years can ask for.
const lastTick = 2 * time.Hour

func newCall(b *Bench, a Arrival) *Call {
	return &Call{
		bench: b, start: a.At, shift: a.Shift, next: a.At.Add(tickEvery),
		prior:      b.Config.prior(b.Fusion) + a.Load.Shift,
		ear:        newEar(b.Voice, b.Turns),
		facts:      policy.Facts{Stage: policy.Arrival},
		campaignID: newName(),
	}
}

// Answered says that the caller's leg got its 2xx, or that Portero itself began to
// speak to the caller before one, in early media. Only the first counts.
func (c *Call) Answered(at time.Time) { c.answered.tell(at) }

// FarAnswered says that a far leg got its 2xx (in a recording: the same moment
// as Answered). Only the first counts: a call that was moved is not listened to
// anew.
func (c *Call) FarAnswered(at time.Time) { c.far.tell(at) }

// TalksEarly says whether early media that the caller gets now is Portero's own: the
// caller is screened, and the PBX does not know of the call.
func (c *Call) TalksEarly() bool {
	return c.bench.Early && c.bench.Mode == policy.Enforce && c.decision.Action == policy.ToScreen && !c.answered.told
}

// Codecs tells the payload types of the caller's stream, from the exchange of
// session descriptions (RFC 3264), as often as they change.
func (c *Call) Codecs(codecs map[uint8]sdp.Codec) {
	for pt, codec := range codecs {
		c.ear.payload(pt, codec.Name, codec.Clock)
	}
}

// Packet takes an RTP packet of the caller's, in order of arrival; early media
// too. The bytes are copied. Should nobody say Advance, ticks long before it are
// run; their decisions wait for Advance.
func (c *Call) Packet(rtp []byte, at time.Time) {
	if c.ended {
		return
	}
	c.run(at.Add(-late))
	if c.ear.full || at.Sub(c.start) > lastTick {
		return // nobody will hear it
	}
	c.queue.add(rtp, at, at.Sub(c.start))
}

// Heard takes an RTP packet that the caller is sent, the far side's or Portero's
// own, as Packet takes those of the caller.
func (c *Call) Heard(rtp []byte, at time.Time) {
	if c.ended {
		return
	}
	c.run(at.Add(-late))
	if c.ear.full || at.Sub(c.start) > lastTick {
		return
	}
	c.others.add(rtp, at, at.Sub(c.start))
}

// Late tells how many packets so far the analysis was too slow for, so that they
// never came here: of the caller's, and of those that the caller is sent.
func (c *Call) Late(caller, heard int) { c.missed, c.unheard = caller, heard }

// Advance runs every tick up to now and returns the decisions that are new.
func (c *Call) Advance(now time.Time) []policy.Decision {
	if !c.ended {
		c.run(now)
	}
	return c.tellNews()
}

// Ended runs the ticks up to the call's end, hears what arrived until then, and
// gives the final verdict. The decisions returned are those of the ticks: nobody
// is left to decide on. After it the Call only answers questions.
func (c *Call) Ended(at time.Time) []policy.Decision {
	if c.ended {
		return nil
	}
	c.run(at)
	c.hear(at)
	c.ear.flush()
	c.ended = true
	c.recognise(at)
	c.bench.hops.leave(c)
	c.evaluate(at)
	if !same(c.verdicts[len(c.verdicts)-1], c.verdict) {
		c.verdicts = append(c.verdicts, c.verdict)
	}
	return c.tellNews()
}

// Abandon gives the call up without a final verdict, after a panic of the
// analysis. Verdict, Decisions and the like still answer with what was before.
func (c *Call) Abandon() {
	c.ended = true
	c.bench.hops.leave(c)
}

func (c *Call) tellNews() []policy.Decision {
	news := c.news
	c.news = nil
	return news
}

// Verdict is the present one.
func (c *Call) Verdict() policy.Verdict { return c.verdict }

// Verdicts are all that differed: by class, or by 0.05 in probability; the last
// one is the final one once the call has ended.
func (c *Call) Verdicts() []policy.Verdict { return c.verdicts }

// Contributions are the items of the present verdict with what each adds to the
// log-odds, sorted by name: they lead from Prior to the verdict's probability.
func (c *Call) Contributions() []policy.Contribution {
	return c.bench.Fusion.Contributions(c.verdict.Evidence)
}

// Prior is the log-odds of a machine before anything was known of the call.
func (c *Call) Prior() float64 {
	if c.facts.TextTelephone {
		return c.bench.Fusion.SparedPrior(c.prior)
	}
	return c.prior
}

// Since is when an item of evidence came to the ratio that it has in the present
// verdict: the INVITE's time, or that of a tick. The zero time: it has no such item.
func (c *Call) Since(name string) time.Time {
	for _, s := range c.stated {
		if s.name == name {
			return c.start.Add(s.after)
		}
	}
	return time.Time{}
}

// Decisions are all since the arrival; the last one is in force.
func (c *Call) Decisions() []policy.Decision { return c.decisions }

// Facts are those of the last tick.
func (c *Call) Facts() policy.Facts { return c.facts }

// Print is the INVITE's fingerprint.
func (c *Call) Print() fingerprint.Print { return c.print }

// Made says which signatures the INVITE bears.
func (c *Call) Made() *signature.Match { return &c.made }

// Dropped is how many packets were not heard because too many came at once.
func (c *Call) Dropped() int { return c.queue.dropped }

// run runs the ticks up to a time.
func (c *Call) run(until time.Time) {
	for !c.next.After(until) && c.next.Sub(c.start) <= lastTick {
		c.tick(c.next)
		c.next = c.next.Add(tickEvery)
	}
}

// tick hears what arrived up to a moment, judges, and asks the rules.
func (c *Call) tick(at time.Time) {
	c.hear(at)
	c.recognise(at)
	c.evaluate(at)
	c.ask(at)
}

// hear hands the packets up to a moment to the ear, and the answer in its place
// among them.
func (c *Call) hear(until time.Time) {
	c.queue.drain(until, func(b []byte, at time.Time) {
		c.tellAnswer(at)
		c.ear.packet(b, at)
	})
	c.others.drain(until, c.ear.heardPacket)
	c.tellAnswer(until)
}

func (c *Call) tellAnswer(now time.Time) {
	if c.answered.heard || !c.answered.past(now) {
		return
	}
	c.answered.heard = true
	c.ear.answered(c.answered.at)
	c.screenBegins(c.answered.at)
}

// screenBegins notes from when on a screened caller is heard, once answered.
func (c *Call) screenBegins(at time.Time) {
	if c.decision.Action == policy.ToScreen && c.answered.heard && c.screenSince.IsZero() {
		c.screenSince, c.screenHeard = at, c.ear.heard()
	}
}

// evaluate brings verdict and facts up to date.
func (c *Call) evaluate(at time.Time) {
	if c.ear.decoder != nil && !c.compared {
		c.compared = true
		c.signalling = append(c.signalling, c.made.Media(c.ear.first.sequence, c.ear.first.timestamp)...)
	}
	ev := append(make([]policy.Evidence, 0, 24), c.signalling...)
	abstains := c.abstains()
	if !abstains {
		ev = append(c.ear.evidence(ev, c.unheard), c.campaign...)
	}
	for i := range ev {
		ev[i].LLR, ev[i].Recording = round(ev[i].LLR, 100), round(ev[i].Recording, 100)
	}
	kind := c.ear.kind()
	judge := c.bench.Fusion.Verdict
	if kind == sound.Text { // a person types: abstaining is all that the judge may do
		judge = c.bench.Fusion.Spared
	}
	v := judge(c.prior, ev, at)
	v.PMachine = round(v.PMachine, 1e4)
	if c.missed > 0 { // in no ratio, and no reason for a class
		v.Evidence = policy.Sorted(append(v.Evidence, c.lateness(abstains)))
	}
	c.verdict = v
	c.state(at)
	if n := len(c.verdicts); n == 0 || c.verdicts[n-1].Class != v.Class || math.Abs(c.verdicts[n-1].PMachine-v.PMachine) >= 0.05 {
		c.verdicts = append(c.verdicts, v)
	}

	f := &c.facts
	f.Now = at.Add(c.shift).In(c.bench.zone)
	f.Class, f.PMachine = v.Class, v.PMachine
	f.WaitSeconds = at.Sub(c.start).Seconds()
	f.HeardSeconds, f.SpeechSeconds = c.ear.heard(), c.ear.spoken()
	f.Digits = string(c.ear.digits)
	f.Sound, f.Distant, f.TextTelephone = string(kind), c.ear.sound != nil && c.ear.sound.Distant(), kind == sound.Text
}

// statement is when an item of evidence came to its present ratio.
type statement struct {
	name  string
	llr   float64
	after time.Duration // the INVITE
}

// state notes which items of the verdict are new, or weigh something else now.
func (c *Call) state(at time.Time) {
	n := 0
	for _, e := range c.verdict.Evidence { // sorted by name, as stated is
		for n < len(c.stated) && c.stated[n].name < e.Name {
			c.stated = slices.Delete(c.stated, n, n+1)
		}
		if n == len(c.stated) || c.stated[n].name != e.Name {
			c.stated = slices.Insert(c.stated, n, statement{e.Name, e.LLR, at.Sub(c.start)})
		} else if c.stated[n].llr != e.LLR {
			c.stated[n].llr, c.stated[n].after = e.LLR, at.Sub(c.start)
		}
		n++
	}
	c.stated = c.stated[:n]
}

// round to a hundredth of a nat, or what else: figures that people compare, and
// that a frame more or less at a tick hardly moves.
func round(x, steps float64) float64 {
	if x = math.Round(x*steps) / steps; x == 0 {
		return 0 // and not -0, which JSON tells apart
	}
	return x
}

// same says whether two verdicts differ in nothing but their time.
func same(a, b policy.Verdict) bool {
	if a.Class != b.Class || a.PMachine != b.PMachine || len(a.Evidence) != len(b.Evidence) {
		return false
	}
	for i := range a.Evidence {
		if a.Evidence[i] != b.Evidence[i] {
			return false
		}
	}
	return true
}
