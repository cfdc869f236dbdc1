package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/portero/portero/sip/trace"
)

// maxOthers bounds the Call-IDs without a call that a JSON document lists; they
// have to be held until the calls are all written.
const maxOthers = 10_000

// maxStrayLines bounds the streams without a call that the table lists.
const maxStrayLines = 50

// besides says what a capture held besides its calls.
func besides(sum trace.Summary) string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(sum.Others)) {
		out = append(out, fmt.Sprintf("%d %s", sum.Others[kind], plain(strings.ToUpper(kind))))
	}
	if len(out) == 0 {
		return ""
	}
	return "; besides them " + strings.Join(out, ", ")
}

// stray is the line of a stream that belongs to no call.
func stray(s *trace.Stream) string {
	codec := s.Codec
	if codec == "" {
		codec = fmt.Sprintf("PT %d", s.PayloadType)
	}
	return fmt.Sprintf("%s → %s %s %s: %d packets, %d lost, jitter %.1f ms, %.1f s", s.Source, s.Destination, s.SSRC, codec, s.Packets, s.Lost, s.Jitter, s.Seconds)
}
