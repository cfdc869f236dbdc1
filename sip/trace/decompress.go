package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Limits of compressed captures. What is read is never held as a whole, so what
// a bomb costs is time.
const (
	maxInflation  = 1000      // times the size of the file, once it is
	freeInflation = 1 << 30   // bytes
	maxWindow     = 128 << 20 // bytes that zstd may refer back, as with its --long
)

// inflations are the compressions that are read, by their first bytes, and those
// that are only known.
var inflations = []struct {
	name, magic string
	open        func(io.Reader) (io.Reader, error)
}{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd},
	{"zstd", "\x50\x2a\x4d\x18", openZstd}, // a skippable frame, as pzstd writes first
	{"xz", "\xfd7zXZ\x00", nil},
	{"bzip2", "BZh", nil},
	{"lz4", "\x04\x22\x4d\x18", nil},
	{"zip", "PK\x03\x04", nil},
}

// openZstd decodes in this goroutine alone: nothing is left running when the
// reading stops early, and memory is the window.
func openZstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}

// decompressed looks through one compression, if there is one.
func decompressed(b *bufio.Reader) (*bufio.Reader, error) {
	head, _ := b.Peek(6)
	for _, k := range inflations {
		if !bytes.HasPrefix(head, []byte(k.magic)) {
			continue
		}
		if k.open == nil {
			return nil, fmt.Errorf("compressed with %s; gzip and zstd are read, so decompress it first", k.name)
		}
		in := &inflation{name: k.name, size: &counted{r: b}}
		r, err := k.open(in.size)
		if err != nil {
			return nil, fmt.Errorf("the %s header cannot be read: %w", k.name, unexpected(err))
		}
		in.r = r
		return bufio.NewReaderSize(in, fileBuffer), nil
	}
	return b, nil
}

// inflation ends a stream that grows beyond belief.
type inflation struct {
	name string
	size *counted
	r    io.Reader
	out  int64
}

func (i *inflation) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.out += int64(n)
	if i.out > freeInflation && i.out/maxInflation > i.size.n {
		return 0, fmt.Errorf("%d bytes of %s have become %d, more than %d times as many: no capture is so monotonous; decompress it first if you trust it", i.size.n, i.name, i.out, maxInflation)
	}
	switch {
	case err == nil, err == io.EOF:
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
	default:
		err = fmt.Errorf("the %s data is damaged: %w", i.name, err)
	}
	return n, err
}

// counted counts what was read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
