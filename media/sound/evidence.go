package sound

import (
	"fmt"

	"github.com/portero/portero/policy"
)

// Evidence says what the audio is. It weighs nothing: none of it is of a person or
// of an assistant. What follows from it, that nothing else is believed of such a
// call, is the judge's.
func (o *Observer) Evidence() (e []policy.Evidence) {
	add := func(name, says string) { e = append(e, policy.Evidence{Name: name, Says: says}) }
	switch o.Kind() {
	case Text:
		add("sound.text_telephone", fmt.Sprintf("%s: %d characters heard; a person types, and is not judged by the sound", o.writer(), o.Characters()))
	case Fax:
		says := "the calling tone of a fax, 1100 Hz"
		if !o.tones.fax {
			says = "a fax: what it sends before its frames"
		}
		add("sound.fax", says+"; no voice is judged")
	case Modem:
		says := o.tones.modem
		if says == "" {
			says = "a modem calls"
		}
		add("sound.modem", says+"; no voice is judged")
	case Tones:
		says := o.tones.network
		if says == "" {
			says = "steady tones"
		}
		if o.Speechless() {
			says += ", and hardly anything else; no voice is judged"
		}
		add("sound.tones", says)
	case Music:
		says := "music"
		if o.Speechless() {
			says += ", and hardly anything else; no voice is judged"
		}
		add("sound.music", says)
	}
	if o.Distant() {
		add("sound.distant", fmt.Sprintf("the voice comes from across a room, of a person who speaks freely or a loudspeaker: it falls by %.0f dB in 60 ms at most", o.distance.steepest()))
	}
	return e
}

// writer is the text telephone in words.
func (o *Observer) writer() string {
	for i := range o.channels {
		if o.channels[i].writes(&lines[i]) {
			return o.channels[i].says(&lines[i])
		}
	}
	if o.keys.writes() {
		return "a text telephone that writes with key tones"
	}
	return "a text telephone that calls"
}
