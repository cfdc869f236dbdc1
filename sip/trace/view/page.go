package view

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/portero/portero/policy"
	"github.com/portero/portero/sip/trace"
)

// Limits bound a page. What goes beyond is left out, and the page says so.
type Limits struct {
	Calls int   // shown in full; more stand in the index only
	Rows  int   // of the index
	Audio int64 // bytes of sound, µ-law; of further calls there are pictures alone
	Raw   int   // bytes of each call's messages
}

// Defaults are limits that browsers bear well.
func Defaults() Limits { return Limits{Calls: 500, Rows: 20_000, Audio: 64 << 20, Raw: 128 << 10} }

// Page makes one self-contained page for a browser, with pictures and sound, that
// asks nobody for anything. The calls go to a spool as they are told, so that only
// their lines in the index are held.
type Page struct {
	limits  Limits
	spool   *bufio.Writer
	rows    []indexRow
	calls   int // seen
	full    int
	audio   int64
	silent  int // calls whose sound was left out, as there was too much
	capture map[string]bool
}

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pages = template.Must(template.New("page").Parse(pageHTML))

// NewPage begins a page whose calls are kept in a spool.
func NewPage(spool io.Writer, limits Limits) *Page {
	return &Page{limits: limits, spool: bufio.NewWriter(spool), capture: map[string]bool{}}
}

// Room says whether another call would be shown in full.
func (p *Page) Room() bool { return p.full < p.limits.Calls }

type indexRow struct {
	ID                                         int // of the call in the page; 0: it is not shown in full
	Number                                     int
	Capture, Time, From, To, Outcome, Class, P string
	Action, CallID, Stack                      string
	Digits                                     string
	Audio                                      bool
	Machine                                    int // %, for the bar
}

type callPage struct {
	indexRow
	Times       string
	Fingerprint string // hash; empty: there is none
	UserAgent   string
	Happened    string
	Signature   string // with its kind
	Ladder      *drawing
	Sound       *picture
	NoSound     string
	Waterfall   []fall
	Zero        float64 // % of 0 in the waterfall's bars
	Unjudged    bool
	Course      string
	Streams     []streamRow
	Decisions   []decisionRow
	Messages    []rawMessage
}

type fall struct {
	Mark, Name, Says string
	Adds, LogOdds, P string
	At               string
	Frame            int
	Left, Width      float64 // %
	Class            string
	Alone            string
}

type streamRow struct {
	Side, Codec, SSRC, Begins, Seconds, Packets, Lost, Jitter, Way, Keys string
}

type decisionRow struct{ At, Text string }

type rawMessage struct {
	Number                     int
	At, Frame, Way, Line, Text string
	Again                      bool
}

// Call adds a call, and what was heard of it; nil: nothing.
func (p *Page) Call(capture string, number int, c *trace.Call, s *Sound) error {
	p.calls++
	p.capture[capture] = true
	row := indexRow{
		Number: number, Capture: clean(capture), From: cmp.Or(clean(c.FromUser), "–"), To: cmp.Or(clean(c.ToUser), "–"),
		Outcome: outcome(c), Class: string(c.Verdict.Class), P: fmt.Sprintf("%.2f", c.Verdict.PMachine), Machine: int(math.Round(c.Verdict.PMachine * 100)),
		Action: string(c.Decision.Action), CallID: cmp.Or(clean(c.CallID), "(no Call-ID)"), Stack: clean(c.Fingerprint.Stack),
	}
	if first := began(c); !first.IsZero() {
		row.Time = first.UTC().Format("2006-01-02 15:04:05")
	}
	if !p.Room() {
		if len(p.rows) < p.limits.Rows {
			p.rows = append(p.rows, row)
		}
		return nil
	}
	p.full++
	row.ID = p.full
	l, w := newLadder(c), newWaterfall(c)
	v := &callPage{
		indexRow: row, Times: times(c), Fingerprint: c.Fingerprint.ID, UserAgent: clean(c.Fingerprint.UserAgent), Happened: clean(strings.Join(c.Flags, ", ")), Signature: signature(c.Fingerprint), Ladder: l.draw(),
		Unjudged: c.Fingerprint.ID == "" && len(c.Verdict.Evidence) == 0 && len(c.Decisions) == 0,
	}
	v.Waterfall, v.Zero = w.falls(c.Verdict)
	for i, m := range c.Verdict.Course {
		if len(c.Verdict.Course) > 1 {
			if i > 0 {
				v.Course += " → "
			}
			v.Course += fmt.Sprintf("%.1f s %s %.2f", m.At.Sub(began(c)).Seconds(), m.Class, m.PMachine)
		}
	}
	p.sound(v, c, s, l, w)
	row.Audio = v.Sound != nil && v.Sound.Audio != ""
	v.Audio = row.Audio
	for i := range c.Streams {
		v.Streams = append(v.Streams, newStreamRow(c, &c.Streams[i]))
	}
	for _, f := range c.Faxes {
		v.Streams = append(v.Streams, streamRow{Side: "–", Codec: "T.38", Begins: fmt.Sprintf("%.3f", f.FirstAt.Sub(began(c)).Seconds()), Seconds: fmt.Sprintf("%.1f", f.Seconds),
			Packets: fmt.Sprint(f.Packets), Lost: fmt.Sprint(f.Lost), Way: fmt.Sprintf("%s → %s", f.Source, f.Destination)})
	}
	for _, d := range c.Decisions {
		at := ""
		if d.At != nil {
			at = fmt.Sprintf("%.3f s", d.At.Sub(began(c)).Seconds())
		}
		v.Decisions = append(v.Decisions, decisionRow{at, decision(d)})
	}
	v.Messages = p.messages(c, l)
	p.rows = append(p.rows, row)
	return pages.ExecuteTemplate(p.spool, "call", v)
}

// sound adds what was heard.
func (p *Page) sound(v *callPage, c *trace.Call, s *Sound, l *ladder, w *waterfall) {
	if s != nil {
		audio := p.audio+int64(s.wavBytes()) <= p.limits.Audio
		if v.Sound = newPicture(c, s, l, w, audio); v.Sound != nil {
			if audio {
				p.audio += int64(s.wavBytes())
				return
			}
			p.silent++
			v.Sound.Note = strings.TrimPrefix(v.Sound.Note+"; ", "; ") + fmt.Sprintf("the sound is left out: the page has the %d MB of it that it may have (--html-mb)", p.limits.Audio>>20)
			return
		}
	}
	caller, far := Missing(c, trace.Caller), Missing(c, trace.Far)
	switch {
	case len(c.Streams) == 0:
		v.NoSound = "no RTP of the call is in the capture"
	case caller == far:
		v.NoSound = caller
	default:
		v.NoSound = "caller: " + cmp.Or(caller, "nothing was heard") + "; far: " + cmp.Or(far, "nothing was heard")
	}
	v.NoSound = cmp.Or(v.NoSound, "nothing was heard")
}

// falls are the rows of the waterfall.
func (w *waterfall) falls(v *trace.Verdict) (rows []fall, zero float64) {
	width := max(w.hi-w.lo, 1e-9)
	place := func(x float64) float64 { return math.Round((x-w.lo)/width*1e4) / 100 }
	row := func(name string, from, to float64) fall {
		f := fall{Name: name, LogOdds: fmt.Sprintf("%+.2f", to), P: fmt.Sprintf("%.2f", policy.Probability(to)), Left: place(min(from, to)), Class: "up"}
		f.Width = max(place(max(from, to))-f.Left, 0)
		if to < from {
			f.Class = "down"
		}
		return f
	}
	first := row("prior", 0, w.prior)
	first.Class = "total"
	first.Says = "what is expected of a call before anything is known of it"
	rows = append(rows, first)
	for i, s := range w.steps {
		f := row(clean(s.Name), s.from, s.to)
		f.Mark, f.Says, f.Adds, f.Frame = fmt.Sprint(i+1), clean(s.Says), fmt.Sprintf("%+.2f", s.Effect), s.Frame
		if s.At != nil {
			f.At = fmt.Sprintf("%.1f s", s.after.Seconds())
		}
		if math.Abs(s.Effect-s.LLR) >= 0.01 {
			f.Alone = fmt.Sprintf("%+.2f", s.LLR)
		}
		rows = append(rows, f)
	}
	last := row("verdict: "+string(v.Class), 0, w.verdict)
	last.Class = "total"
	return append(rows, last), place(0)
}

func newStreamRow(c *trace.Call, s *trace.Stream) streamRow {
	r := streamRow{
		Side: cmp.Or(string(s.Side), "–"), Codec: clean(codecOf(s)), SSRC: s.SSRC.String(), Begins: fmt.Sprintf("%.3f", s.FirstAt.Sub(began(c)).Seconds()),
		Seconds: fmt.Sprintf("%.1f", s.Seconds), Packets: fmt.Sprint(s.Packets), Lost: fmt.Sprint(s.Lost), Jitter: fmt.Sprintf("%.1f ms", s.Jitter),
		Way: fmt.Sprintf("%s → %s", s.Source, s.Destination), Keys: clean(s.Digits),
	}
	if s.SRTP {
		r.Codec = "SRTP " + r.Codec
	}
	if all := s.Packets + s.Lost; s.Lost > 0 && all > 0 {
		r.Lost += fmt.Sprintf(" (%.1f %%)", 100*float64(s.Lost)/float64(all))
	}
	return r
}

// messages are those of the call as they were written, as far as there is room.
func (p *Page) messages(c *trace.Call, l *ladder) []rawMessage {
	var out []rawMessage
	room := p.limits.Raw
	for i, m := range c.Messages {
		if m.Hop < 0 || m.Hop >= len(c.Hops) {
			continue
		}
		r := rawMessage{Number: i + 1, At: fmt.Sprintf("%.3f", m.At.Sub(l.start).Seconds()), Frame: fmt.Sprintf("#%d", m.Frame),
			Way: fmt.Sprintf("%s → %s %s", m.Source, m.Destination, m.Transport), Line: fit(clean(m.Line), 120), Again: m.Repeat}
		if room -= len(m.Raw); room >= 0 && m.Raw != nil {
			r.Text = cleanLines(m.Raw)
		}
		out = append(out, r)
	}
	return out
}

// cleanLines is a message with its lines kept and everything else cleaned.
func cleanLines(raw []byte) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ToValidUTF8(string(raw), "\uFFFD")) {
		lead := len(line) - len(strings.TrimLeft(line, " \t"))
		b.WriteString(strings.Repeat(" ", min(lead, 8)))
		b.WriteString(clean(line))
		b.WriteByte('\n')
	}
	return b.String()
}

// Finish writes the page. calls reads the spool from its beginning.
func (p *Page) Finish(out io.Writer, calls func() (io.Reader, error)) error {
	if err := p.spool.Flush(); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(pageJS))
	head := map[string]any{
		"CSS": template.CSS(pageCSS), "Rows": p.rows, "Captures": len(p.capture), "Calls": p.calls, "Full": p.full, "Hidden": p.calls - len(p.rows),
		"Silent": p.silent, "Hash": "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		"Title": p.title(),
	}
	w := bufio.NewWriter(out)
	if err := pages.ExecuteTemplate(w, "head", head); err != nil {
		return err
	}
	in, err := calls()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	if err := pages.ExecuteTemplate(w, "foot", template.JS(pageJS)); err != nil {
		return err
	}
	return w.Flush()
}

func (p *Page) title() string {
	if len(p.capture) == 1 {
		for name := range p.capture {
			return clean(name)
		}
	}
	return fmt.Sprintf("%d captures", len(p.capture))
}
