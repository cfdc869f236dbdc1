// Package tap listens to traffic that is happening now, for package trace: on a
// network interface, and as a collector of HEP. Its sources only ever receive:
// no call is touched, and nobody can tell that they are there.
//
// May be added here: another place to listen at. It refuses to send, to answer,
// and to understand what it hears.
package tap

import "time"

// tick is how long a source waits before it says that nothing came.
const tick = 250 * time.Millisecond
