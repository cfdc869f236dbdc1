// Package policy holds the words that every room of Portero shares: Evidence,
// Verdict, Facts and Decision, and the fusion of evidence into a verdict.
//
// It imports nothing of ours, opens no socket and no file, and keeps no clock:
// times are given to it.
package policy
