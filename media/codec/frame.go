// Package codec turns RTP payloads into what the analysis hears: frames of
// 8 kHz samples in order of time, and keys. It opens nothing and keeps no clock.
package codec

import "time"

// Rate is the sampling rate of every frame, Hz.
const Rate = 8000

// Frame is the caller's audio out of one RTP packet.
type Frame struct {
	At        time.Time // arrival of the packet
	Seq       uint16    // RTP sequence number
	Timestamp uint32    // RTP timestamp
	Clock     int       // of Timestamp, Hz: 8000, or 48000 for Opus (RFC 7587 section 4.1)
	Codewords []byte    // payload as received; nil unless G.711
	Law       Law       // companding law of Codewords
	PCM       []int16   // decoded samples at Rate; owned by the decoder, valid until its next call
	Lost      int       // packets missing just before this one, by sequence number
	Comfort   bool      // made up from comfort noise (RFC 3389), of which Seq and Codewords say nothing
}

// Law is the companding law of a G.711 payload.
type Law byte

// The laws.
const (
	NoLaw Law = iota
	MuLaw
	ALaw
)

// Digit is one key the caller pressed.
type Digit struct {
	Key      byte          // '0'..'9', '*', '#', 'A'..'D'
	At       time.Time     // arrival of its first packet
	Duration time.Duration // by the event's own duration field (RFC 4733 section 2.3.5)
	Volume   int           // dBm0 without sign (RFC 4733 section 2.3.4)
	InBand   bool          // found as a tone in the audio
}
