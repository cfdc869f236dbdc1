package trace

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
)

// isUpgrade says whether b begins as the HTTP request or response that may begin
// a WebSocket (RFC 6455 section 4).
func isUpgrade(b []byte) bool {
	return bytes.HasPrefix(b, []byte("GET ")) || bytes.HasPrefix(b, []byte("HTTP/1.1 101"))
}

// upgrades says whether a header asks for WebSocket, or agrees to it.
func upgrades(head []byte) bool {
	head = bytes.ToLower(head)
	return bytes.Contains(head, []byte("\nupgrade:")) && bytes.Contains(head, []byte("websocket"))
}

// Opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
)

// frames7118 takes SIP out of the frames of a WebSocket, one message each
// (RFC 7118 section 5), in one direction.
type frames7118 struct {
	skip     uint64 // bytes still to be passed over of a frame that is not read
	message  []byte // of a message in parts
	open     bool   // its first part was seen
	deflated bool   // it is compressed (RFC 7692)
	window   []byte // the end of what was inflated, which later messages refer to
	inflate  io.ReadCloser
}

// frame is the header of a frame.
type frame struct {
	fin, rsv1 bool
	op        byte
	masked    bool
	mask      [4]byte
	head      int
	size      uint64
}

// frameHead reads a header; ok is false while it is not there as a whole.
func frameHead(b []byte) (f frame, ok bool) {
	if len(b) < 2 {
		return f, false
	}
	f.fin, f.rsv1, f.op = b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x0f
	f.masked, f.size, f.head = b[1]&0x80 != 0, uint64(b[1]&0x7f), 2
	switch f.size {
	case 126:
		f.head = 4
	case 127:
		f.head = 10
	}
	if f.masked {
		f.head += 4
	}
	if len(b) < f.head {
		return f, false
	}
	switch f.size {
	case 126:
		f.size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		f.size = binary.BigEndian.Uint64(b[2:])
	}
	if f.masked {
		copy(f.mask[:], b[f.head-4:])
	}
	return f, true
}

// unmask appends the payload b to dst (RFC 6455 section 5.3).
func (f *frame) unmask(dst, b []byte) []byte {
	at := len(dst)
	dst = append(dst, b...)
	if f.masked {
		for i := range b {
			dst[at+i] ^= f.mask[i&3]
		}
	}
	return dst
}

// beginsFrame says whether b begins with a frame that holds the start of a SIP
// message: text or binary, the first or only part, not compressed.
func beginsFrame(b []byte) bool {
	if len(b) < 14 || b[0]&0x7f != opText && b[0]&0x7f != opBinary {
		return false
	}
	f, ok := frameHead(b)
	if !ok || f.size < 12 {
		return false
	}
	var line [256]byte
	body := b[f.head:]
	body = body[:min(uint64(len(body)), uint64(len(line)), f.size)]
	_, _, ok = startLine(f.unmask(line[:0], body))
	return ok
}

// findFrame returns where in b the first such frame begins, or -1.
func findFrame(b []byte) int {
	for at := range b {
		if beginsFrame(b[at:]) {
			return at
		}
	}
	return -1
}

// lose forgets the message that bytes are missing of, and with them what
// compressed ones refer to.
func (w *frames7118) lose() {
	*w = frames7118{inflate: w.inflate}
}

// take reads the complete frames at the head of b.
func (w *frames7118) take(b []byte, deliver func([]byte)) (used int, ok bool) {
	for {
		rest := b[used:]
		if w.skip > 0 {
			n := min(w.skip, uint64(len(rest)))
			w.skip -= n
			used += int(n)
			if w.skip > 0 {
				return used, true
			}
			continue
		}
		f, whole := frameHead(rest)
		if !whole {
			return used, true
		}
		if f.op > 0xa || f.op > opBinary && f.op < 8 || f.size > 1<<62 {
			return used, false // no such opcode: this is no WebSocket
		}
		control := f.op >= 8
		if control || f.size > maxMessage || f.op == opContinuation && !w.open {
			if !control {
				w.open, w.message = false, w.message[:0]
			}
			w.skip = f.size
			used += f.head
			continue
		}
		if uint64(len(rest)-f.head) < f.size {
			return used, true
		}
		payload := rest[f.head : f.head+int(f.size)]
		used += f.head + int(f.size)
		if f.op != opContinuation {
			w.open, w.deflated, w.message = true, f.rsv1, w.message[:0]
		}
		if len(w.message)+len(payload) > maxMessage {
			w.open, w.message = false, w.message[:0]
			continue
		}
		w.message = f.unmask(w.message, payload)
		if !f.fin {
			continue
		}
		w.open = false
		if w.deflated {
			if m := w.inflated(w.message); m != nil {
				deliver(m)
			}
			continue
		}
		deliver(w.message)
	}
}

// inflated decompresses a message (RFC 7692 section 7.2.2). Whether the ends
// keep the window between messages does not matter here: one that was dropped is
// not referred to.
func (w *frames7118) inflated(b []byte) []byte {
	in := io.MultiReader(bytes.NewReader(b), bytes.NewReader([]byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if w.inflate == nil {
		w.inflate = flate.NewReaderDict(in, w.window)
	} else if err := w.inflate.(flate.Resetter).Reset(in, w.window); err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(w.inflate, maxMessage+1))
	if err != nil || len(out) > maxMessage {
		w.window = nil
		return nil
	}
	const size = 32 << 10
	w.window = append(w.window, out...)
	if over := len(w.window) - size; over > 0 {
		w.window = append(w.window[:0], w.window[over:]...)
	}
	return out
}
