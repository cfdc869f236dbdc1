package door

import "slices"

// awaits notes that a peer's request, other than INVITE, was handed on and has
// no final response yet.
func (l *leg) awaits(in *incoming) { l.waiting = append(l.waiting, in) }

// awaited says whether a request still waits for its final response, and takes
// it for answered now.
func (l *leg) awaited(in *incoming) bool {
	i := slices.Index(l.waiting, in)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// abandon answers what still waits when the leg ends, since nobody else will
// (RFC 3261 section 15.1.2).
func (l *leg) abandon() {
	for _, in := range l.waiting {
		l.respondPlain(in, 487, "Request Terminated")
	}
	l.waiting, l.updating = nil, nil
}
