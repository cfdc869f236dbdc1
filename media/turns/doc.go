// Package turns watches who speaks when, on both sides: how soon after the call's
// answer and after what the other side said the caller begins, how much that
// varies, who speaks over whom and who gives way, whether the caller ever leaves
// room for a reply, and the rhythm of the keys they press.
//
// The other side is whatever the caller hears: the far side and Portero's own
// prompts.
//
// Whether there is speech is told to it (media/voice decides that); it looks at
// times alone, never at samples. It refuses to weigh words or voices, and keeps
// no clock: every time is an argument, and the same times give the same
// evidence for a live call and a recorded one.
package turns
