// Package learn fits how much each family of evidence weighs to calls whose callers
// are known (policy.Fusion). It is given the calls and returns weights and what they
// are worth; the same calls in the same order give the same weights.
//
// It learns weights and lowers caps, and nothing else: what an observer's ratios are
// is the observer's, and the prior and the thresholds are the operator's. Where too
// few calls have a family, its weight stays. It refuses to read files, and to learn
// from fewer calls than MinCalls of either kind.
package learn
