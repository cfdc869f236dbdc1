package signature

import (
	"fmt"

	"github.com/portero/portero/policy"
)

// late are the packets that may have been lost, or sent before anybody listened,
// when what is taken for the first one comes; maxStep is how far a timestamp
// goes on in each, 20 ms at 48 kHz.
const (
	late    = 100
	maxStep = 960
)

// Media says whether the caller's first RTP packet is one of the stack that the
// signalling proves. If it is not, the audio comes from elsewhere: that of a
// gateway or of another party that the signalling passes on, or of a program
// that only writes its messages like that stack. Every B2BUA that leaves media
// alone shows it, so that it weighs nothing.
func (r *Match) Media(sequence uint16, timestamp uint32) []policy.Evidence {
	if r.proof == nil || r.proof.Media == nil || r.proof.expired(r.at) {
		return nil
	}
	m := r.proof.Media
	if sequence >= m.Sequence[0] && uint64(sequence) <= uint64(m.Sequence[1])+late &&
		timestamp >= m.Timestamp[0] && uint64(timestamp) <= uint64(m.Timestamp[1])+late*maxStep {
		return nil
	}
	return []policy.Evidence{{Name: "sig.media_mismatch",
		Says: fmt.Sprintf("the signalling was made by %s, the audio was not: its first packet counts from %d and %d", r.Stack, sequence, timestamp)}}
}
