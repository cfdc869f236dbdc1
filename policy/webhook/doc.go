// Package webhook posts what is found out about calls to whoever wants to know, as
// JSON over HTTP: each verdict and decision as it comes, and the call's record at
// its end.
//
// A call never waits for it: [Sender.Put] puts an event into a bounded queue of
// each URL, which a goroutine of that URL empties, with repetitions where the
// receiver is away. What does not fit, or cannot be delivered in time, is dropped
// and counted.
//
// It refuses to post anywhere but where the configuration says: redirects are not
// followed.
package webhook
