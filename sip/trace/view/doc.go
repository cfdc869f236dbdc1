// Package view shows one call of a capture to people: as text for a terminal, and as
// a page for a browser with pictures and sound.
//
// What is shown stands in trace.Call; headers in it were written by strangers, and
// nothing of theirs reaches a terminal or a page as anything but text.
//
// It refuses to read captures, to judge, and to open files.
package view
