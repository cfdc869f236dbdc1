package door

import (
	"go.uber.org/zap"
)

// A call is moved by calling the new place while the old one goes on:
//
//	caller is   the new place     what happens
//	ringing     rings             the old place is cancelled, the caller hears the new one ring
//	ringing     answers           the old place is cancelled, the caller is answered
//	ringing     refuses           nothing; the call stays where it is
//	(ringing    the old answers   the caller is connected there, and moved when the new one answers)
//	talking     answers           media is switched, the old place gets BYE; the caller's leg sees nothing
//	talking     refuses           nothing; the call stays where it is
//
// So a move can fail without the caller losing anything.

// promote makes the candidate the call's far leg and lets the old one go.
func (c *call) promote(why string) {
	old := c.far
	c.far, c.next = c.next, nil
	c.log.Info("the call was moved", zap.String("destination", c.far.dest), zap.String("why", why))
	c.came("moved to " + c.far.dest)
	if old != nil {
		c.letGo(old)
	}
}

// letGo ends a far leg that the call no longer needs.
func (c *call) letGo(l *leg) {
	c.leaving(l)
	c.old = append(c.old, l)
	l.bye()
	c.endBranches(l, "the call was moved")
	c.dropMedia(l)
}

// dropNext gives up a move.
func (c *call) dropNext(why string) {
	l := c.next
	c.next = nil
	c.old = append(c.old, l)
	c.dropMedia(l)
	c.came("failed: " + why)
	c.log.Warn("a move failed; the call stays where it is", zap.String("destination", l.dest), zap.String("why", why))
	if c.far == nil && c.talk == nil { // the old place left meanwhile
		c.noPlace(why)
	}
}
