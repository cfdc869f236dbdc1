// Command demo shows the door at work: it starts the real binary in front of a
// PBX, on loopback, places real calls through it (people, synthetic voices, a
// keypad dialer, a message that comes twice), and tells for each what was
// judged, why, and where it went.
//
// It ends with 0 only if every call went where the rules of its configuration
// say. It is no test of the judgement: a handful of voices shows the way of a
// call and measures nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// limit is how long the whole demo may take.
const limit = 110 * time.Second

func main() {
	door := flag.String("portero", "./portero", "the door's `binary`")
	config := flag.String("config", "configs/demo.yaml", "the door's configuration `file`")
	pbx := flag.String("pbx", "", "asterisk: a real Asterisk answers; empty: an answering PBX of the demo's own")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	well, err := run(ctx, *door, *config, *pbx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !well {
		os.Exit(1)
	}
}

// run is the demo; well says that every call went where the rules say.
func run(ctx context.Context, binary, config, pbxName string) (well bool, err error) {
	dir, err := os.MkdirTemp("", "portero-demo-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of /tmp that stays is no failure
	for _, path := range []*string{&binary, &config} {
		if *path, err = filepath.Abs(*path); err != nil {
			return false, err
		}
	}
	show := newScreen(os.Stdout)
	show.title(pbxName)

	cast, err := rehearse(ctx, dir)
	if err != nil {
		return false, err
	}
	pbx, err := openPBX(ctx, pbxName)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := pbx.Close(); e != nil && err == nil {
			err = e
		}
	}()
	d, err := openDoor(ctx, binary, config, dir)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := d.close(); e != nil && err == nil {
			err = e
		}
	}()
	carrier, err := openCarrier()
	if err != nil {
		return false, err
	}
	defer carrier.Close() //nolint:errcheck // it only listened

	well = true
	// The calls of one act are placed together; the second time of a message needs
	// the first.
	for _, act := range acts(cast) {
		for _, r := range play(ctx, carrier, d, pbx, act) {
			show.call(r)
			well = well && r.wrong == ""
		}
	}
	show.end(well)
	return well, nil
}
