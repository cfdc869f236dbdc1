package codec

import "time"

const (
	// holdPackets is how many packets wait for a missing one before it is given up.
	holdPackets = 3
	// holdTime is how long they wait, whatever their number.
	holdTime = 100 * time.Millisecond
	// maxPayload bounds the bytes kept of a waiting packet.
	maxPayload = 2048
)

// kind is what a payload type carries.
type kind byte

const (
	unknown kind = iota
	muLaw
	aLaw
	g722
	opusKind
	noise
	quiet // comfort noise by a clock that is not the audio's
	event
	numKinds
)

// Decoder turns the RTP packets of one caller into frames and keys. Packets that
// come out of order by up to three are put in order; nothing is re-timed: each
// frame keeps its own packet's arrival. It is not safe for concurrent use.
type Decoder struct {
	Refused int // packets that are not RTP
	Skipped int // packets of audio that were not decoded; Unheard says why

	speech Speech     // of the present SSRC
	clocks [128]int32 // Hz
	names  map[uint8]string
	mute   uint8 // payload type of the last packet in Skipped

	ssrc    uint32
	first   uint32 // SSRC of the first stream
	streams int
	stats   Stats // of the present SSRC
	before  Stats // of those before it

	want    uint16 // next sequence number to play
	lost    int    // given up since the last frame
	held    []waiting
	waiting int

	events  events
	tones   Tones
	signals bool // telephone events were seen: tones are their leak
	frame   Frame
	hush    hush
}

// waiting is a packet ahead of a missing one.
type waiting struct {
	p       RTP
	at      time.Time
	payload []byte
}

// NewDecoder returns a decoder that knows the static payload types PCMU (0),
// PCMA (8), G.722 (9) and comfort noise (13).
func NewDecoder() *Decoder {
	d := &Decoder{names: map[uint8]string{}}
	for pt := range d.clocks {
		d.clocks[pt] = int32(Clock(uint8(pt)))
	}
	d.speech = NewSpeech()
	d.speech.kinds[PayloadCN] = noise
	return d
}

// Payload tells a negotiated payload type: its encoding name in any case
// (a=rtpmap) and its clock, Hz. PCMU, PCMA, G722, opus, CN and telephone-event
// are understood; others are measured and skipped. A pt above 127 is ignored.
func (d *Decoder) Payload(pt uint8, name string, clock int) {
	if pt > 127 {
		return
	}
	d.clocks[pt] = int32(min(max(clock, 0), 1<<30))
	d.names[pt] = name
	k := kindOf(name, clock)
	d.speech.kinds[pt] = k
	switch {
	case k == noise || k == quiet:
		d.clocks[pt] = 0
	case k == event && clock <= 0:
		d.clocks[pt] = Rate
	}
}

// Packet takes one packet as it arrived. emit is called for each frame that is
// now in order, digit for each key that has ended; either may be nil. The error
// says why the packet is not RTP; it is counted in Refused and changes nothing else.
func (d *Decoder) Packet(b []byte, at time.Time, emit func(*Frame), digit func(Digit)) error {
	p, err := ParseRTP(b)
	if err != nil {
		d.Refused++
		return err
	}
	if d.streams == 0 || p.SSRC != d.ssrc {
		d.newStream(&p, emit, digit)
	}
	d.events.silence(at, digit)
	k, clock := d.speech.kinds[p.PayloadType], int(d.clocks[p.PayloadType])
	pacing := clock
	if k == event {
		pacing = 0
	}
	switch d.stats.Packet(p.Seq, p.Timestamp, at, pacing) {
	case Duplicate, Wild:
		return nil
	case Restarted:
		d.release(emit, digit)
		d.want = p.Seq
	}
	switch k {
	case event:
		d.signals = true
		d.events.packet(&p, at, clock, digit)
	case unknown:
		d.skip(p.PayloadType)
	}
	switch ahead := int16(p.Seq - d.want); {
	case ahead == 0:
		d.play(&p, at, emit, digit)
	case ahead > 0:
		d.hold(&p, at)
	default:
		return nil // was given up; Stats.Late has counted it
	}
	d.settle(at, emit, digit)
	return nil
}

// Flush gives out what still waits: the call is over.
func (d *Decoder) Flush(emit func(*Frame), digit func(Digit)) {
	d.release(emit, digit)
	d.events.finish(digit)
	if !d.signals {
		d.tones.Flush(digit)
	}
}

// Stats measures all streams of the caller together; its first marks are those
// of the first stream.
func (d *Decoder) Stats() Stats {
	s := d.before
	s.add(&d.stats)
	return s
}

// SSRC is the synchronization source of the first stream; 0 before any packet.
func (d *Decoder) SSRC() uint32 { return d.first }

// Streams is how often the SSRC was new: 1 for a caller that stays with its own.
func (d *Decoder) Streams() int { return d.streams }

func (d *Decoder) newStream(p *RTP, emit func(*Frame), digit func(Digit)) {
	d.release(emit, digit)
	d.events.finish(digit)
	d.events = events{}
	if d.streams == 0 {
		d.first = p.SSRC
	}
	d.streams++
	d.before.add(&d.stats)
	d.stats = Stats{}
	d.ssrc, d.want, d.lost = p.SSRC, p.Seq, 0
	d.speech.Restart()
	d.hush.on = false
}

// hold keeps a packet that came before its turn.
func (d *Decoder) hold(p *RTP, at time.Time) {
	if d.held == nil {
		d.held = make([]waiting, holdPackets)
	}
	w := &d.held[d.waiting]
	w.p, w.at = *p, at
	w.payload = append(w.payload[:0], p.Payload[:min(len(p.Payload), maxPayload)]...)
	w.p.Payload = w.payload
	d.waiting++
}

// settle plays what is in order now, and gives up a missing packet for which
// enough others have waited.
func (d *Decoder) settle(at time.Time, emit func(*Frame), digit func(Digit)) {
	for d.waiting > 0 {
		i := d.nearest()
		w := d.held[i]
		gap := w.p.Seq - d.want
		if gap > 0 && d.waiting < holdPackets && at.Sub(w.at) < holdTime {
			return
		}
		d.lost += int(gap)
		d.want = w.p.Seq
		d.waiting--
		d.held[i], d.held[d.waiting] = d.held[d.waiting], d.held[i]
		d.play(&w.p, w.at, emit, digit)
	}
}

// release plays all that waits.
func (d *Decoder) release(emit func(*Frame), digit func(Digit)) {
	for d.waiting > 0 {
		i := d.nearest()
		d.settle(d.held[i].at.Add(holdTime), emit, digit)
	}
}

// nearest is the waiting packet with the lowest number.
func (d *Decoder) nearest() int {
	best := 0
	for i := 1; i < d.waiting; i++ {
		if d.held[i].p.Seq-d.want < d.held[best].p.Seq-d.want {
			best = i
		}
	}
	return best
}

// play gives out the packet whose turn it is.
func (d *Decoder) play(p *RTP, at time.Time, emit func(*Frame), digit func(Digit)) {
	d.want = p.Seq + 1
	k := d.speech.kinds[p.PayloadType]
	switch k {
	case noise:
		d.comfort(p, at, emit)
		return
	case event, quiet:
		return
	}
	d.fill(p.Timestamp, at, emit)
	pcm, err := d.speech.Decode(p.PayloadType, p.Payload)
	if err != nil {
		d.skip(p.PayloadType)
	}
	if len(pcm) == 0 {
		return
	}
	d.frame = Frame{
		At: at, Seq: p.Seq, Timestamp: p.Timestamp, Clock: int(d.clocks[p.PayloadType]),
		Law: law(k), PCM: pcm, Lost: d.lost,
	}
	if d.frame.Law != NoLaw {
		d.frame.Codewords = p.Payload
	}
	if d.frame.Clock == 0 {
		d.frame.Clock = Rate
	}
	d.lost = 0
	if emit != nil {
		emit(&d.frame)
	}
	if d.signals {
		return
	}
	d.tones.Samples(pcm, at, digit)
}

func law(k kind) Law {
	switch k {
	case muLaw:
		return MuLaw
	case aLaw:
		return ALaw
	}
	return NoLaw
}
