package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/portero/portero/policy/store"
)

// door is the running binary.
type door struct {
	cmd    *exec.Cmd
	log    *os.File
	exited chan error
}

// openDoor starts `portero serve` in dir, where it keeps its store, and waits
// until it is well.
func openDoor(ctx context.Context, binary, config, dir string) (*door, error) {
	log, err := os.Create(filepath.Join(dir, "door.log"))
	if err != nil {
		return nil, err
	}
	d := &door{cmd: exec.Command(binary, "serve", "--config", config), log: log, exited: make(chan error, 1)}
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = dir, log, log
	if err := d.cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("the door: %w (`make build` makes it)", err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	for range 150 {
		if res, err := http.Get("http://" + consoleAddr + "/healthz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return d, nil
			}
		}
		select {
		case err := <-d.exited:
			d.exited <- err
			return nil, fmt.Errorf("the door ended at once (%w); it said:\n%s", err, d.said())
		case <-ctx.Done():
			d.close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	d.close()
	return nil, fmt.Errorf("the door is not well after 15 s; it said:\n%s", d.said())
}

// close has the door drain, as SIGTERM does, and waits for its end.
func (d *door) close() error {
	defer d.log.Close()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.exited:
		if err != nil {
			return fmt.Errorf("the door: %w; it said:\n%s", err, d.said())
		}
		return nil
	case <-time.After(15 * time.Second):
		d.cmd.Process.Kill()
		return fmt.Errorf("the door did not end after SIGTERM; it said:\n%s", d.said())
	}
}

// said is the end of the door's log.
func (d *door) said() string {
	b, _ := os.ReadFile(d.log.Name())
	return string(b[max(0, len(b)-3000):])
}

// record waits for the record of an ended call, from the console's API.
func (d *door) record(ctx context.Context, callID string) (store.Record, error) {
	var r store.Record
	for range 50 {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return r, err
		}
		res, err := http.Get("http://" + consoleAddr + "/api/calls/" + callID)
		if err != nil {
			return r, err
		}
		if res.StatusCode == http.StatusOK {
			err = json.NewDecoder(res.Body).Decode(&r)
			res.Body.Close()
			return r, err
		}
		res.Body.Close()
	}
	return r, fmt.Errorf("no record of the call %s after 5 s", callID)
}
