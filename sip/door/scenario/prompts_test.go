package scenario_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
	"github.com/portero/portero/media/prompt"
)

// speak has the caller say something from an address (it has only the door's own
// words), after a second of a quiet room, while the script goes on.
func (d *testDoor) speak(from, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return fmt.Errorf("door speak: %w", err)
	}
	c, err := d.phone(from)
	if err != nil {
		return err
	}
	words, err := d.voice.Get("en", prompt.CallbackPromise)
	if err != nil {
		return err
	}
	room := bytes.Repeat([]byte{0x7e, 0xfd}, codec.Rate/2)
	d.send(c, net.UDPAddrFromAddrPort(at), codec.MuLaw.Encode(room, words))
	return nil
}

// types has the caller at an address type on a text telephone, after a second of a
// quiet room: five bits a letter at 45.45 baud, 1400 Hz for a one and 1800 for a zero.
func (d *testDoor) types(from, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return fmt.Errorf("door types: %w", err)
	}
	c, err := d.phone(from)
	if err != nil {
		return err
	}
	bits := strings.Repeat("1", 10)
	for _, letter := range []int{20, 1, 18, 18, 24, 4, 16, 16, 21, 4, 26, 3} { // HELLO TTY GA
		bits += "0"
		for i := range 5 {
			bits += string(rune('0' + letter>>i&1))
		}
		bits += "11"
	}
	bits += strings.Repeat("1", 10)
	phase := 0.0
	pcm := make([]int16, int(float64(len(bits))/45.45*codec.Rate)/160*160)
	for i := range pcm {
		hz := 1800.0
		if bits[int(float64(i)*45.45/codec.Rate)] == '1' {
			hz = 1400
		}
		phase += 2 * math.Pi * hz / codec.Rate
		pcm[i] = int16(5000 * math.Sin(phase))
	}
	d.send(c, net.UDPAddrFromAddrPort(at), codec.MuLaw.Encode(bytes.Repeat([]byte{0x7e, 0xfd}, codec.Rate/2), pcm))
	return nil
}

// flood has the caller at an address send a minute of µ-law at once: more than the
// ring to the analysis holds.
func (d *testDoor) flood(from, to string) error {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return fmt.Errorf("door flood: %w", err)
	}
	c, err := d.phone(from)
	if err != nil {
		return err
	}
	p := append([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, bytes.Repeat([]byte{0x7a, 0xfb}, 80)...)
	for i := range 3000 {
		binary.BigEndian.PutUint16(p[2:], uint16(i))
		binary.BigEndian.PutUint32(p[4:], uint32(160*i))
		if _, err := c.WriteTo(p, net.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
	}
	return nil
}

// phone is the socket at an address, until the door has closed.
func (d *testDoor) phone(address string) (net.PacketConn, error) {
	if c := d.phones[address]; c != nil {
		return c, nil
	}
	c, err := net.ListenPacket("udp", address)
	if err == nil {
		d.phones[address] = c
	}
	return c, err
}

// says waits for a prompt at an address. What was sent before somebody listened
// there is missed; from the first packet on, all must be as in the prompt.
func (d *testDoor) says(address, language, name string, more []string) error {
	pcm, err := d.voice.Get(language, name)
	if err != nil {
		return err
	}
	want := codec.MuLaw.Encode(nil, pcm)
	packet, cut := 20*time.Millisecond, false
	for _, w := range more {
		if w == "cut" {
			cut = true
		} else if packet, err = time.ParseDuration(w); err != nil {
			return fmt.Errorf("door says: %w", err)
		}
	}
	c, err := d.phone(address)
	if err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	samples := int(packet * codec.Rate / time.Second)
	at, silent := -1, 0 // where in the prompt; silent packets after an interruption
	for at < len(want)-samples {
		var b [1500]byte
		n, _, err := c.ReadFrom(b[:])
		if err != nil {
			return fmt.Errorf("at %d of %d samples: %w", at, len(want), err)
		}
		p, err := codec.ParseRTP(b[:n])
		if err != nil {
			return err
		}
		if len(p.Payload) != samples {
			return fmt.Errorf("a packet of %d samples, want %d", len(p.Payload), samples)
		}
		quiet := bytes.Count(p.Payload, []byte{0xFF}) == samples
		switch {
		case at < 0 && !quiet:
			if at = bytes.Index(want, p.Payload); at < 0 {
				return errors.New("another prompt is being said")
			}
			at += samples
		case at < 0:
		case bytes.HasPrefix(want[at:], p.Payload):
			at += samples
		case cut && quiet:
			if silent++; silent == 10 {
				return nil
			}
		default:
			return fmt.Errorf("at %d of %d samples: other codewords than the prompt's", at, len(want))
		}
	}
	if cut {
		return errors.New("the prompt was said to its end")
	}
	return nil
}
