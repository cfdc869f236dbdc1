// Package turns watches who speaks when: how soon after the answer the caller
// begins, whether they ever leave room for a reply, and the rhythm of the keys
// they press.
//
// Whether there is speech is told to it (media/voice decides that); it looks at
// times alone, never at samples. It refuses to weigh words or voices, and keeps
// no clock: every time is an argument, and the same times give the same
// evidence for a live call and a recorded one.
package turns
