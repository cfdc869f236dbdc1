// Package store keeps what must outlive a call: the record of every call and
// the promises of callbacks owed, in one SQLite file in WAL mode, and the
// records as JSON lines beside it when asked.
//
// Call records are written behind the call's back: [Store.Put] never waits, a
// bounded queue and one writer do the rest, and a store that breaks costs
// records, never calls. Promises are the opposite: [Promises.Promise] returns
// once the promise is on disk, because only then may the caller hear it.
//
// The room refuses to judge (that is policy), to dial (policy/callback), and to
// hold anything a caller keyed in or said: keys may be PINs, so a record holds
// their count only.
package store
