// Package spectrum makes pictures' figures of sound: when it is how loud, and at
// which pitch. It is pure.
//
// May be added here: other transforms and scales. Must not: judging by them, and
// drawing.
package spectrum
