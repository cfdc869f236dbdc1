package line

import "github.com/portero/portero/policy"

// start watches where the first stream's counters begin.
type start struct {
	seen bool
	zero bool
}

func (s *start) add(p packet) {
	if !s.seen {
		s.seen = true
		s.zero = p.seq == 0 && p.ts == 0
	}
}

func (s *start) evidence() (policy.Evidence, bool) {
	return policy.Evidence{Name: "rtp.first_zero", LLR: llrFirstZero,
		Says: "the audio stream counts from zero, as programs send it and telephones do not"}, s.zero
}
