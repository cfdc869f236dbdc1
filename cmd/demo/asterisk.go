package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The project's own scripts start and stop Asterisk; the demo runs in the
// project's folder.
const scripts = "testdata/interop/"

// asterisk is a real one, whose dialplan logs each call it gets.
type asterisk struct{ log string }

func openAsterisk(ctx context.Context) (*asterisk, error) {
	// Asterisk keeps what it inherits: a pipe here would never end.
	said, err := os.CreateTemp("", "portero-demo-asterisk-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	host, _, _ := strings.Cut(doorAddr, ":")
	up := exec.CommandContext(ctx, scripts+"asterisk-up", pbxAddr)
	up.Env = append(os.Environ(), "PORTERO_ASTERISK_TRUNK="+host)
	up.Stdout, up.Stderr = said, said
	err = up.Run()
	out, _ := os.ReadFile(said.Name())
	if err != nil {
		return nil, fmt.Errorf("asterisk-up: %w\n%s", err, out)
	}
	lines := strings.Fields(string(out))
	return &asterisk{log: lines[len(lines)-1]}, nil
}

// places reads the NOTICE lines of the dialplan: portero to=sip:agents@… id=….
func (a *asterisk) places(id string) ([]string, error) {
	b, err := os.ReadFile(a.log)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, line := range strings.Split(string(b), "\n") {
		if _, to, ok := strings.Cut(line, " portero to=sip:"); ok && strings.Contains(to, " id="+id+" ") {
			user, _, _ := strings.Cut(to, "@")
			out = append(out, user)
		}
	}
	return out, nil
}

func (a *asterisk) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, scripts+"asterisk-down", pbxAddr).CombinedOutput(); err != nil {
		return fmt.Errorf("asterisk-down: %w\n%s", err, out)
	}
	return nil
}
