package config

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// inside finds the line and column in the file of a place inside a scalar's
// value: the one that is offset bytes into it. A value is not where it seems
// in the file: quotes, escapes, folded lines and the indentation of blocks
// stand between. YAML 1.2 chapters 7.3 and 8.1.
func (r *reader) inside(n *yaml.Node, offset int) (line, column int) {
	w := walker{rest: r.from(n.Line, n.Column), line: n.Line, column: n.Column}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.blockHeader()
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.skip(1)
	}
	value := n.Value[:max(min(offset, len(n.Value)), 0)]
	for value != "" && len(w.rest) > 0 {
		c, size := utf8.DecodeRuneInString(value)
		value = value[size:]
		w.match(c, n.Style)
	}
	w.settle(n.Style)
	return w.line, w.column
}

// from is the file from a line and column on.
func (r *reader) from(line, column int) []byte {
	rest := r.source
	for ; line > 1; line-- {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
	}
	for ; column > 1 && len(rest) > 0; column-- {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
	}
	return rest
}

// A walker goes through the file beside the value that was made of it.
type walker struct {
	rest         []byte
	line, column int
	indent       int // of a block's lines
}

// skip goes n characters on.
func (w *walker) skip(n int) {
	for ; n > 0 && len(w.rest) > 0; n-- {
		c, size := utf8.DecodeRune(w.rest)
		w.rest = w.rest[size:]
		w.column++
		if c == '\n' {
			w.line, w.column = w.line+1, 1
		}
	}
}

// blockHeader goes from the | or > to the block's first line.
func (w *walker) blockHeader() {
	for len(w.rest) > 0 && w.rest[0] != '\n' {
		w.skip(1)
	}
	w.skip(1)
	lines := bytes.TrimLeft(w.rest, "\r\n")
	w.indent = len(lines) - len(bytes.TrimLeft(lines, " "))
	w.margin()
}

// margin goes over the block's indentation.
func (w *walker) margin() {
	for i := 0; i < w.indent && len(w.rest) > 0 && w.rest[0] == ' '; i++ {
		w.skip(1)
	}
}

// lineEnd goes over the end of a line, the empty lines after it that a fold
// swallows, and the next line's indentation.
func (w *walker) lineEnd(style yaml.Style) {
	for first := true; first || style&yaml.LiteralStyle == 0; first = false {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 || len(bytes.TrimSpace(w.rest[:end])) > 0 {
			break
		}
		w.skip(utf8.RuneCount(w.rest[:end+1]))
	}
	if style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		w.margin()
		return
	}
	for len(w.rest) > 0 && (w.rest[0] == ' ' || w.rest[0] == '\t') {
		w.skip(1)
	}
}

// match goes over what stands in the file for one character of the value.
func (w *walker) match(c rune, style yaml.Style) {
	w.settle(style)
	end := bytes.IndexByte(w.rest, '\n')
	atEnd := end >= 0 && len(bytes.TrimRight(w.rest[:end], " \t\r")) == 0
	switch {
	case style&yaml.SingleQuotedStyle != 0 && c == '\'':
		w.skip(2) // two quotes stand for one
	case style&yaml.DoubleQuotedStyle != 0 && w.rest[0] == '\\':
		w.skip(escapeLength(w.rest))
	case c == '\n' || c == ' ' && atEnd && style&yaml.LiteralStyle == 0:
		w.lineEnd(style)
	default:
		w.skip(1)
	}
}

// settle goes over an escaped line end, which stands for nothing.
func (w *walker) settle(style yaml.Style) {
	for style&yaml.DoubleQuotedStyle != 0 && len(w.rest) > 1 && w.rest[0] == '\\' && w.rest[1] == '\n' {
		w.skip(1)
		w.lineEnd(style)
	}
}

// escapeLength is the length of the escape that b begins with, in characters
// (YAML 1.2 section 5.7).
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 1
	}
	switch b[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
