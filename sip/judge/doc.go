// Package judge is the one judge for both benches: live calls (sip/door) and
// recorded ones (sip/trace) go through the same code from the first byte of the
// INVITE to the verdict.
//
// A Call is told what happened and when: the INVITE's bytes, the answers, the
// caller's RTP packets, the time. It judges on ticks: whole seconds after the
// INVITE. The tick at INVITE + k s hears exactly the packets that arrived up to
// that moment, whenever the caller gets round to saying Advance. So the same
// packets with the same times give the same ticks, verdicts and decisions,
// however the work was cut up; and since a live read and a capture of it differ
// by microseconds, nothing here hangs on a packet's time more finely than a
// frame.
//
// What this room refuses: sockets, files, clocks, logs; to weigh evidence
// (policy), to know rules (policy/rules), to act on a decision (sip/door).
package judge
