package scenario_test

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/portero/portero/media/codec"
)

// tones sends a key of 100 ms as tones in audio (ITU-T Q.23), after and before
// some of a quiet room.
func (d *testDoor) tones(address, key, name string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("door tones: %w", err)
	}
	i := strings.Index("123456789*0#", key)
	if len(key) != 1 || i < 0 {
		return fmt.Errorf("door tones: %q is no key", key)
	}
	low, high := []float64{697, 770, 852, 941}[i/3], []float64{1209, 1336, 1477}[i%3]
	pcm := make([]int16, 3000)
	for n := range pcm {
		pcm[n] = int16(8 * (n % 2))
		if n >= 1600 && n < 2400 {
			x := 2 * math.Pi * float64(n) / codec.Rate
			pcm[n] = int16(6000 * (math.Sin(x*low) + math.Sin(x*high)))
		}
	}
	audio := codec.MuLaw.Encode(nil, pcm)
	pt := map[string]byte{"pcmu": 0, "pcma": 8, "g722": 9}[name]
	c, ok := codec.NewConverter("PCMU", name)
	if !ok {
		return fmt.Errorf("door tones: %s is no codec for them", name)
	}
	if c != nil {
		c.Convert(audio)
	}
	conn, err := net.Dial("udp", at.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for seq := 0; seq*200+200 <= len(audio); seq++ { // 25 ms a packet
		ts := seq * 200
		p := []byte{0x80, pt, 0x30, byte(seq), 0, 7, byte(ts >> 8), byte(ts), 6, 6, 6, 6}
		if _, err := conn.Write(append(p, audio[ts:ts+200]...)); err != nil {
			return err
		}
		time.Sleep(25 * time.Millisecond)
	}
	return nil
}
