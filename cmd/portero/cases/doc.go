// Package cases is the regression suite of somebody's policy: files that say of
// recorded calls what a configuration should make of them, held against what it
// does make of them, with every difference in words.
//
// It reads and rewrites case files and prints results; it refuses to read captures
// and configurations itself (Reader does), so that a case is judged by exactly what
// portero inspect uses.
package cases
