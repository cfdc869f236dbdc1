package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A bar shows on a terminal how far the reading of a long capture has come. It is
// drawn by who reads, so it needs no goroutine and no lock. nil: nothing is shown.
type bar struct {
	out   io.Writer
	width int // columns of the terminal
	now   func() time.Time
	total int64 // bytes to be read; 0: not known
	done  int64
	begun time.Time
	drawn time.Time
	shown bool
}

// What is over sooner than that needs no bar; and how often it is drawn.
const (
	barAfter = time.Second
	barEvery = 200 * time.Millisecond
)

// newBar is nil where standard error is no terminal.
func newBar(out io.Writer) *bar {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	width := windowColumns(f)
	if width < 30 {
		return nil
	}
	return &bar{out: out, width: min(width, 100), now: time.Now}
}

// begin begins with files of so many bytes in all.
func (b *bar) begin(total int64) {
	if b != nil {
		b.clear()
		b.total, b.done, b.begun = total, 0, b.now()
	}
}

// watch counts what is read of r.
func (b *bar) watch(r io.ReadCloser) io.ReadCloser {
	if b == nil {
		return r
	}
	return barred{r, b}
}

type barred struct {
	io.ReadCloser
	bar *bar
}

func (w barred) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.bar.read(n)
	return n, err
}

func (b *bar) read(n int) {
	b.done += int64(n)
	now := b.now()
	if now.Sub(b.begun) < barAfter || now.Sub(b.drawn) < barEvery || b.total <= 0 {
		return
	}
	b.drawn, b.shown = now, true
	fmt.Fprintf(b.out, "\r%s\x1b[K", b.text(now.Sub(b.begun)))
}

// text is the bar after a time.
func (b *bar) text(past time.Duration) string {
	part := min(float64(b.done)/float64(b.total), 1)
	rate := float64(b.done) / past.Seconds()
	left := time.Duration(float64(b.total-b.done) / max(rate, 1) * float64(time.Second)).Round(time.Second)
	tail := fmt.Sprintf(" %3.0f %% of %s, %s/s, %s left", 100*part, bytesOf(float64(b.total)), bytesOf(rate), max(left, 0))
	room := max(b.width-len(tail)-3, 4)
	full := int(part * float64(room))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", room-full) + "]" + tail
}

func bytesOf(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g TB", n)
}

// clear takes the bar off the line, for what is to be written there.
func (b *bar) clear() {
	if b != nil && b.shown {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.shown = false
	}
}

// sizeOf is the length of a regular file, 0 for what is none.
func sizeOf(name string) int64 {
	info, err := os.Stat(name)
	if name == "-" {
		info, err = os.Stdin.Stat()
	}
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}
