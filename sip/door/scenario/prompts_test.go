package scenario_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
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
