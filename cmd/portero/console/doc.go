// Package console is a door's HTTP side: health, metrics and the admin API, on a
// listener of its own, on loopback unless configured otherwise.
//
//	GET    /healthz              how the door fares; 503 while it drains
//	GET    /metrics              Prometheus
//	GET    /api/calls            records, newest first; since, until, from, class, limit
//	GET    /api/calls/{id}       one record, by Portero's id or the Call-ID
//	GET    /api/upstream         the destinations' targets and how they fare
//	GET    /api/callbacks        promises; state
//	POST   /api/callbacks/run    dial what is due now; now=true: also what waits for a retry
//	DELETE /api/callbacks/{id}   cancel a promise, by id or number
//
// Answers are JSON, also errors: {"error": "..."}. What changes something wants
// the header X-Portero-Admin: 1, which a foreign web page cannot send. On
// loopback, a Host header that is not loopback is refused, so that no web page
// gets here by a name that resolves to 127.0.0.1 (DNS rebinding). Elsewhere a
// token is wanted for everything under /api/.
//
// The room shows and asks; it refuses to decide anything, and to serve files.
package console
