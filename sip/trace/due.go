package trace

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Limits on what is followed at one time.
const (
	// maxDialogs bounds the Call-IDs; those silent longest give way.
	maxDialogs = 200_000
	// maxIdle is how many Call-IDs there may be for those that are no calls to be
	// waited for long: a registration is refreshed under the same one for hours.
	maxIdle = 20_000
)

// dues is a heap of the followed Call-IDs by when each is looked at next. A
// message or packet that makes one live longer does not move it: it is found alive
// and put back.
type dues []*call

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}
func (d *dues) Push(x any) {
	c := x.(*call)
	c.place = len(*d)
	*d = append(*d, c)
}
func (d *dues) Pop() any {
	last := len(*d) - 1
	c := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return c
}

// follow begins to look after a call.
func (t *reader) follow(c *call) {
	c.due = t.now.Add(t.patience(c, t.crowd()))
	heap.Push(&t.dues, c)
}

// hasten looks at a call earlier if a message has made it so.
func (t *reader) hasten(c *call) {
	if until := c.last.Add(t.patience(c, t.crowd())); until.Before(c.due) {
		c.due = until
		heap.Fix(&t.dues, c.place)
	}
}

// patience is how long after its last sign of life more of a call is expected.
func (t *reader) patience(c *call, many bool) time.Duration {
	if d := t.options.Linger; d > 0 && c.invited && !c.ended().IsZero() {
		return d
	}
	return c.patience(many)
}

// crowd says whether so many are followed that those that are no calls get little.
func (t *reader) crowd() bool { return len(t.calls) > maxIdle }

// over closes the calls of which nothing more is expected.
func (t *reader) over() {
	for len(t.dues) > 0 && !t.dues[0].due.After(t.now) {
		c := t.dues[0]
		if until := c.last.Add(t.patience(c, t.crowd())); !until.Before(t.now) {
			c.due = until.Add(time.Nanosecond)
			heap.Fix(&t.dues, 0)
			continue
		}
		heap.Pop(&t.dues)
		t.close(c)
	}
	// A crowd begins: those that were to be waited for long are not.
	if t.crowd() && !t.crowded {
		for _, c := range t.dues {
			if until := c.last.Add(t.patience(c, true)); until.Before(c.due) {
				c.due = until
			}
		}
		heap.Init(&t.dues)
	}
	t.crowded = t.crowd()
}

// thin closes an eighth of the calls, those silent longest.
func (t *reader) thin() {
	all := make([]*call, 0, len(t.calls))
	for _, c := range t.calls {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *call) int { return cmp.Or(a.last.Compare(b.last), cmp.Compare(a.id, b.id)) })
	for _, c := range all[:len(all)/8+1] {
		t.close(c)
	}
	t.dues = slices.DeleteFunc(t.dues, func(c *call) bool { return c.closed })
	for i, c := range t.dues {
		c.place = i
	}
	heap.Init(&t.dues)
	t.tell()
}
