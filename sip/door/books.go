package door

// Books is how much the door keeps of calls, present ones and those that ended a
// moment ago, by the name of the book. All are empty a while after the last call:
// a figure that only grows is a leak.
func (d *Door) Books() map[string]int {
	servers, clients := d.tx.Count()
	books := map[string]int{"server transactions": servers, "client transactions": clients}
	for _, w := range d.hearings.workers {
		w.mu.Lock()
		for _, set := range w.sets {
			books["hearings"] += len(set)
		}
		w.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	books["calls"] = len(d.calls)
	books["dialogs"] = len(d.dialogs)
	books["ended dialogs"] = len(d.graves)
	books["attempts"] = len(d.attempts)
	books["promised numbers"] = len(d.promised)
	for _, n := range d.perTrunk {
		books["calls of trunks"] += n
	}
	return books
}
